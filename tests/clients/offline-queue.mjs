// The queue of docs/analytics.md against the stack, on a network that fails in every way there is.
// Usage: node offline-queue.mjs <URL of analytics> <publishable key> <word> <token>
// Prints the ids of the events that must be stored, each once.
import assert from "node:assert/strict";
import { codeOf, imported } from "./docs.mjs";

const [url, apikey, word, token] = process.argv.slice(2);
const { analytics } = await imported(codeOf("analytics.md", "analytics.js"));

// What a browser would keep, from page to page.
const kept = new Map();
const storage = {
  get length() {
    return kept.size;
  },
  key: (at) => [...kept.keys()][at] ?? null,
  getItem: (name) => kept.get(name) ?? null,
  setItem: (name, value) => kept.set(name, value),
  removeItem: (name) => kept.delete(name),
};
const dropped = [];
const onDrop = (event, reason) => dropped.push([event.event_type, reason.code]);
const newPage = () => analytics({ url, apikey, token: async () => token, storage, onDrop });

const network = globalThis.fetch;
const bodies = [];
const answers = [];
const online = async (target, options) => {
  bodies.push(options.body);
  const answer = await network(target, options);
  answers.push(await answer.clone().json());
  return answer;
};
const offline = async () => {
  throw new TypeError("fetch failed");
};
const answerLost = async (target, options) => {
  assert.equal((await network(target, options)).status, 201);
  throw new TypeError("fetch failed");
};
const atGateway = async () => new Response("{}", { status: 503 });

const ids = [];
const track = (page, data = {}) => ids.push(page.track("llm_turn_completed", { word, ...data }));

let page = newPage();
for (let n = 0; n < 3; n += 1) track(page);
for (const failing of [offline, atGateway, answerLost]) {
  // A visit each: after a failure a page waits before it sends again.
  page = newPage();
  globalThis.fetch = failing;
  assert.equal(await page.flush(), false);
  assert.equal(page.queued().length, 3);
}

// The next visit. One of its events no server will ever take: it must not stop the others.
page = newPage();
track(page);
page.track("Not a type", { word });
globalThis.fetch = online;
assert.deepEqual(await Promise.all([page.flush(), page.flush()]), [true, true]);
assert.deepEqual(page.queued(), []);
assert.equal(answers.length, 1, "two calls at once are one request");
assert.equal(answers[0].accepted, 1);
assert.equal(answers[0].duplicates, 3);
assert.deepEqual(answers[0].rejected.map(({ pointer }) => pointer), ["/events/4/event_type"]);
assert.deepEqual(dropped, [["Not a type", "invalid_event_type"]]);

// More than one request takes, in number and in bytes; and one that comes while they are on their way.
answers.length = 0;
for (let n = 0; n < 501; n += 1) track(page);
for (let n = 0; n < 40; n += 1) track(page, { long: "é".repeat(10_000) });
const flushed = page.flush();
track(page);
assert.equal(await flushed, true);
assert.deepEqual(page.queued(), []);
assert.equal(answers.reduce((sum, { accepted }) => sum + accepted, 0), 542);
assert.ok(bodies.every((body) => Buffer.byteLength(body) <= 512 * 1024));

// More bad events than an answer lists: all of them are dropped and reported, and the good one is stored.
dropped.length = 0;
for (let n = 0; n < 150; n += 1) page.track(`Not a type ${n}`, { word });
track(page);
assert.equal(await page.flush(), true);
assert.equal(new Set(dropped.map(([event_type]) => event_type)).size, 150);

// An event that JSON cannot hold, and a page whose onDrop throws.
dropped.length = 0;
assert.equal(typeof page.track("llm_turn_completed", { word, big: 1n }), "string");
assert.deepEqual(dropped, [["llm_turn_completed", "not_json"]]);
const rude = analytics({ url, apikey, storage: null, onDrop: () => assert.fail("a fault of the page's") });
rude.track("llm_turn_completed", { word, long: "x".repeat(40_000) });

// A token that has expired is asked for once more; where there is no other, and where nobody can tell, events wait.
const tokens = [];
const headers = [];
const late = analytics({ url, apikey, storage: null, token: () => tokens.shift() ?? Promise.reject(new Error("offline")) });
globalThis.fetch = async (target, options) => {
  headers.push(options.headers.authorization);
  return options.headers.authorization === `Bearer ${token}` ? online(target, options) : new Response("{}", { status: 401 });
};
const stale = [token.split(".")[0], token.split(".")[1], "AAAA"].join(".");
tokens.push(stale);
track(late);
assert.equal(await late.flush(), false, "nobody can tell who is signed in");
assert.equal(late.queued().length, 1);
tokens.push(stale, token);
assert.equal(await late.flush(), true);
assert.deepEqual(headers, [`Bearer ${stale}`, `Bearer ${token}`]);
assert.deepEqual(late.queued(), []);

// An answer of `token` that comes late does not change whose an event is: a try as that user's may be on its way.
const answersOfToken = [Promise.resolve(token), new Promise((resolve) => setTimeout(resolve, 300, null)), token, token];
const slow = analytics({ url, apikey, storage: null, token: () => answersOfToken.shift() });
track(slow);
const clock = Date.now;
Date.now = () => clock() + 11_000;
globalThis.fetch = answerLost;
assert.equal(await slow.flush(), false);
Date.now = clock;
await new Promise((resolve) => setTimeout(resolve, 3000)); // past the late answer, and past the pause after a failure
headers.length = 0;
globalThis.fetch = async (target, options) => {
  headers.push(options.headers.authorization);
  return online(target, options);
};
assert.equal(await slow.flush(), true);
assert.deepEqual(headers, [`Bearer ${token}`]);

// A queue has an end, so that the page's own storage does not fill up: the oldest go.
const counted = [];
const full = analytics({ url, apikey, storage: null, onDrop: (event, { code }) => counted.push(code) });
for (let n = 0; n < 2100; n += 1) full.track("llm_turn_completed", { n });
assert.equal(full.queued().length, 2000);
assert.deepEqual(new Set(counted), new Set(["queue_full"]));
assert.equal(full.queued().at(-1).event_data.n, 2099);
console.log(JSON.stringify(ids));
