// `@supabase/server` as its documentation shows it: it verifies the token and brings a client that acts as the caller.
// The handler adds the same field checks and the same log line as the others.

import { fromSupabaseUrl, withSupabase } from "@supabase/server";

import { readMessage } from "./checks.js";

// Made once, with the key set read once.
let handler;

const handlerFor = (env) => withSupabase({
  auth: "user",
  audience: "authenticated",
  issuer: fromSupabaseUrl(env.SUPABASE_URL),
  env: {
    url: env.SUPABASE_URL,
    publishableKeys: { default: env.SUPABASE_PUBLISHABLE_KEY },
    secretKeys: { default: "sb_secret_not_used" },
    jwks: JSON.parse(env.SUPABASE_JWKS),
  },
}, async (request, { supabase, userClaims }) => {
  const began = Date.now();
  const { value, faults } = readMessage(await request.json());
  if (faults.length > 0) return Response.json({ errors: faults }, { status: 422 });
  value.id ??= crypto.randomUUID();
  const { data, error, status } = await supabase.rpc("save_message", value);
  console.log(JSON.stringify({
    ts: new Date(began).toISOString(), level: error ? "warn" : "info", function: "server", request_id: crypto.randomUUID(),
    method: "POST", route: "/", status, user: userClaims.id, dur_ms: Date.now() - began,
  }));
  return Response.json(error ?? data, { status });
});

export default {
  fetch(request, env) {
    handler ??= handlerFor(env);
    return handler(request);
  },
};
