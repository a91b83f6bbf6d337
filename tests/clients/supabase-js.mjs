// Unmodified supabase-js against the stack: sign in anonymously, invoke chat-message, read the row back under RLS.
// Usage: node supabase-js.mjs <api_url> <publishable_key>
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createClient } from "@supabase/supabase-js";

const [apiUrl, publishableKey] = process.argv.slice(2);
// Node 20 has no WebSocket, and supabase-js asks for one although nothing here is realtime.
const realtime = { transport: globalThis.WebSocket ?? class {} };
const newClient = () => createClient(apiUrl, publishableKey, { auth: { persistSession: false }, realtime });

async function signedIn() {
  const client = newClient();
  const { data, error } = await client.auth.signInAnonymously();
  assert.equal(error, null);
  assert.equal(data.user.is_anonymous, true);
  return client;
}

const owner = await signedIn();
const body = { id: randomUUID(), session_id: randomUUID(), role: "user", message: "Hello from supabase-js" };

const saved = await owner.functions.invoke("chat-message", { body });
assert.equal(saved.error, null);
assert.equal(saved.data.replayed, false);
assert.equal(saved.data.message.message, body.message);

const again = await owner.functions.invoke("chat-message", { body });
assert.equal(again.error, null);
assert.equal(again.data.replayed, true);
assert.deepEqual(again.data.message, saved.data.message);

const page = await owner.functions.invoke(`chat-message?session_id=${body.session_id}`, { method: "GET" });
assert.equal(page.error, null);
assert.deepEqual(page.data, { messages: [saved.data.message], next: null });

const direct = await owner.from("chat_history").select().eq("session_id", body.session_id);
assert.equal(direct.error, null);
assert.deepEqual(direct.data, [saved.data.message]);

const stranger = await signedIn();
const unseen = await stranger.from("chat_history").select().eq("session_id", body.session_id);
assert.equal(unseen.error, null);
assert.deepEqual(unseen.data, []);
const refused = await stranger.functions.invoke("chat-message", { body: { ...body, id: randomUUID() } });
assert.equal(refused.error.context.status, 404);
assert.equal((await refused.error.context.json()).code, "session_not_found");

// Not signed in, supabase-js sends its publishable key as the bearer.
const nobody = await newClient().functions.invoke("chat-message", { body });
assert.equal(nobody.error.context.status, 401);
