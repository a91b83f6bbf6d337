// The same functions as Selvedge's, by hand: Hono, jose, the same checks and the same log line.

import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { cors } from "hono/cors";
import { HTTPException } from "hono/http-exception";
import { createLocalJWKSet, jwtVerify } from "jose";

import { readEvents, readMessage, readPage } from "./checks.js";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

const app = new Hono();
// The keys in it are imported once.
let keys;

const problem = (c, status, code, more) => c.json(
  { type: `/docs/errors.md#${code}`, title: code, status, code, request_id: c.get("id"), ...more },
  status,
  { "content-type": "application/problem+json" },
);

// A short hash of the caller, for the log.
function hash(text) {
  let hash = 0x811c9dc5;
  for (let place = 0; place < text.length; place++) hash = Math.imul(hash ^ text.charCodeAt(place), 0x01000193);
  return (hash >>> 0).toString(16);
}

app.use(cors({ origin: "*", exposeHeaders: ["etag", "location", "retry-after", "server-timing", "x-request-id"] }));

app.use(async (c, next) => {
  const began = Date.now();
  const id = c.req.header("x-request-id") ?? crypto.randomUUID();
  c.set("id", id);
  await next();
  const total = Date.now() - began;
  c.header("x-request-id", id);
  c.header("cache-control", "no-store");
  c.header("x-content-type-options", "nosniff");
  c.header("server-timing", `db;dur=${c.get("db") ?? 0}, total;dur=${total}`);
  console.log(JSON.stringify({
    ts: new Date(began).toISOString(), level: c.res.status < 400 ? "info" : "warn", function: "hono", request_id: id,
    method: c.req.method, route: c.req.path, status: c.res.status, user: c.get("user"), dur_ms: total, db_ms: c.get("db"),
  }));
});

app.use(async (c, next) => {
  const [, token] = /^bearer +(\S+)$/i.exec(c.req.header("authorization") ?? "") ?? [];
  if (!token) return problem(c, 401, "missing_token");
  keys ??= createLocalJWKSet(JSON.parse(c.env.SUPABASE_JWKS));
  try {
    const { payload } = await jwtVerify(token, keys, {
      issuer: `${c.env.SUPABASE_URL}/auth/v1`, audience: "authenticated", algorithms: ["ES256"],
      requiredClaims: ["exp", "sub"], clockTolerance: 30,
    });
    if (!UUID.test(payload.sub)) return problem(c, 401, "invalid_token");
    if (payload.role !== "authenticated") return problem(c, 403, "role_not_allowed");
    c.set("user", hash(payload.sub));
    c.set("token", token);
  } catch {
    return problem(c, 401, "invalid_token");
  }
  await next();
});

// One request upstream, as the caller; its answer goes back as it came.
async function call(c, rpc, { value, faults }) {
  if (faults.length > 0) return problem(c, 422, "validation_failed", { errors: faults });
  const began = Date.now();
  const answer = await fetch(`${c.env.SUPABASE_URL}/rest/v1/rpc/${rpc}`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${c.get("token")}`, apikey: c.env.SUPABASE_PUBLISHABLE_KEY, "content-type": "application/json",
      "x-request-id": c.get("id"),
    },
    body: JSON.stringify(value),
  });
  const body = await answer.arrayBuffer();
  c.set("db", Date.now() - began);
  if (!answer.ok) return problem(c, answer.status < 500 ? answer.status : 502, "upstream_error");
  const location = answer.headers.get("location");
  return c.body(body, answer.status, { "content-type": "application/json", ...(location && { location }) });
}

async function json(c) {
  if (!/^application\/json *(;|$)/i.test(c.req.header("content-type") ?? "")) throw new HTTPException(415);
  return c.req.json().catch(() => {
    throw new HTTPException(400);
  });
}

const limited = bodyLimit({ maxSize: 512 * 1024 });

app.post("/chat-message", limited, async (c) => {
  const message = readMessage(await json(c));
  if (message.value) message.value.id ??= c.req.header("idempotency-key") ?? crypto.randomUUID();
  return call(c, "save_message", message);
});
app.get("/chat-message", (c) => call(c, "get_history", readPage(c.req.query())));
app.post("/analytics", limited, async (c) => call(c, "record_events", readEvents(await json(c))));

app.onError((error, c) => problem(c, error.status ?? 500, "request_refused"));

export default app;
