// Unmodified supabase-js against the stack: sign in anonymously, invoke chat-message, read the row back under RLS, become
// a permanent user, and refresh twice at once.
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
assert.deepEqual(page.data, { messages: [saved.data.message], next: null, last_seq: 1 });

const direct = await owner.from("chat_history").select().eq("session_id", body.session_id);
assert.equal(direct.error, null);
assert.deepEqual(direct.data, [{ ...saved.data.message, parts: null, written_at: null }]);

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

// An anonymous user becomes permanent, keeps what is theirs, and signs in elsewhere.
const [email, password] = [`${randomUUID()}@example.com`, "correct horse"];
const changed = await owner.auth.updateUser({ email, password, data: { name: "Ada" } });
assert.equal(changed.error, null);
assert.deepEqual([changed.data.user.email, changed.data.user.is_anonymous], [email, false]);
assert.deepEqual(changed.data.user.user_metadata, { name: "Ada" });
const elsewhere = newClient();
const entered = await elsewhere.auth.signInWithPassword({ email, password });
assert.equal(entered.error, null);
assert.equal(entered.data.user.id, changed.data.user.id);
const found = await elsewhere.from("chat_history").select().eq("session_id", body.session_id);
assert.deepEqual(found.data, [{ ...saved.data.message, parts: null, written_at: null }]);
const unchanged = await elsewhere.auth.updateUser({ password });
assert.equal(unchanged.error.code, "same_password");

// Two tabs refresh at once, with the token both have stored.
const { refresh_token } = entered.data.session;
const tabs = await Promise.all([newClient(), newClient()].map((tab) => tab.auth.refreshSession({ refresh_token })));
assert.deepEqual(tabs.map(({ error }) => error), [null, null]);
assert.equal(tabs[0].data.session.refresh_token, tabs[1].data.session.refresh_token);
assert.equal(tabs[0].data.user.id, entered.data.user.id);
