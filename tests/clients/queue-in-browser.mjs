// The queue of docs/analytics.md in Chromium, at the moments when queues lose events, double them or take them for
// somebody else's.
// Usage: node queue-in-browser.mjs <URL of analytics> <publishable key> <word> <scenario> [token of A] [token of B]
// Prints what the scenario saw. Each event has `word` in its data, and says in `of` whose it is.
import assert from "node:assert/strict";
import { launch } from "./browser.mjs";
import { fail, pagesWith, passingOn, until } from "./pages.mjs";

const [target, apikey, word, scenario, a, b] = process.argv.slice(2);

const sent = [];
let answering = () => null;
const api = await passingOn(target, (request) => sent.push(request), (body) => answering(body));
// `/denied` is a page of an opaque origin, which may not use localStorage or Web Locks.
const denied = (path) => (path === "/denied" ? { "content-security-policy": "sandbox allow-scripts" } : {});
const pages = await pagesWith(`
  import { analytics } from "/analytics.js";
  globalThis.dropped = [];
  globalThis.tracker = analytics({
    url: ${JSON.stringify(api.url)}, apikey: ${JSON.stringify(apikey)},
    token: async () => globalThis.signedIn ?? null,
    onDrop: ({ event_type }, { code }) => dropped.push({ event_type, code }),
  });
  addEventListener("pagehide", () => tracker.leave());
`, denied);
// The same pages from a host that is not the machine's own: without https they are no secure context.
const insecure = pages.url.replace("127.0.0.1", "page.example");

const browser = await launch("--host-resolver-rules=MAP page.example 127.0.0.1");
const profile = await browser.newContext();
await profile.newPage();

// What `token` has not answered yet.
const NEVER = "never";

async function visit({ signedIn = null, at = pages.url } = {}) {
  const tab = await profile.newPage();
  tab.on("pageerror", fail);
  await tab.addInitScript(([token, isNever]) => {
    globalThis.signedIn = isNever ? new Promise(() => {}) : token;
  }, [signedIn, signedIn === NEVER]);
  await tab.goto(at);
  await tab.waitForFunction(() => globalThis.tracker);
  return tab;
}
const signIn = (tab, token) => tab.evaluate((token) => void (globalThis.signedIn = token), token);
const track = (tab, of, more = {}) =>
  tab.evaluate((data) => tracker.track("llm_turn_completed", data), { word, of, ...more });
const flush = (tab) => tab.evaluate(() => tracker.flush());
const queued = (tab) => tab.evaluate(() => tracker.queued().length);
const dropped = (tab) => tab.evaluate(() => dropped);
const flushed = (tab) => until(() => flush(tab), "the queue is never sent");

const SCENARIOS = {
  // A tracks offline and signs out; a visitor comes; B signs in, and what may be sent is sent. Then A is back.
  async users() {
    const tab = await visit({ signedIn: a });
    await profile.setOffline(true);
    await track(tab, "A");
    assert.equal(await flush(tab), false);
    await signIn(tab, null);
    await track(tab, "visitor");
    await signIn(tab, b);
    await track(tab, "B");
    await profile.setOffline(false);
    await flushed(tab);
    const left = await queued(tab);
    await signIn(tab, a);
    await flushed(tab);
    return { left, afterwards: await queued(tab), posts: posts() };
  },

  // A signed-in person's page closes before its first flush: on a new device, before the page could find out who is signed
  // in; and then as soon as the event is there.
  async closing() {
    const first = await visit({ signedIn: NEVER });
    await track(first, "A", { visit: "first" });
    await first.close({ runBeforeUnload: true });
    const second = await visit({ signedIn: a });
    await track(second, "A", { visit: "second" });
    await second.close({ runBeforeUnload: true });
    await new Promise((resolve) => setTimeout(resolve, 11_000));
    const next = await visit({ signedIn: a });
    await flushed(next);
    return { left: await queued(next) };
  },

  // Two tabs, 400 events each, one every 5 ms, while both send.
  async tabs() {
    const seen = {};
    for (const [of, at] of Object.entries({ secure: pages.url, insecure })) {
      const tabs = [await visit({ signedIn: a, at }), await visit({ signedIn: a, at })];
      const hasLocks = await tabs[0].evaluate(() => "locks" in navigator);
      const all = (tab, number) =>
        tab.evaluate(async (data) => {
          const sending = setInterval(() => tracker.flush(), 40);
          for (let n = 0; n < 400; n += 1) {
            tracker.track("llm_turn_completed", { ...data, n });
            await new Promise((resolve) => setTimeout(resolve, 5));
          }
          clearInterval(sending);
        }, { word, of, number });
      await Promise.all(tabs.map(all));
      for (const tab of tabs) await flushed(tab);
      seen[of] = { hasLocks, left: await queued(tabs[0]) };
      for (const tab of tabs) await tab.close();
    }
    return seen;
  },

  // Events that nobody will ever take, in front of good ones: too large for the function, too large for a gateway, of a
  // type that is none. Then A, whose account has been deleted, and B after them.
  async poison() {
    const tab = await visit({ signedIn: b });
    await track(tab, "B", { long: "x".repeat(530_000) });
    for (let n = 0; n < 3; n += 1) await track(tab, "B");
    await flushed(tab);
    answering = (body) => (body.length > 20_000 ? { status: 413 } : null);
    await track(tab, "B", { long: "x".repeat(25_000) });
    for (let n = 0; n < 100; n += 1) await track(tab, "B", { long: "x".repeat(1000) });
    await tab.evaluate((word) => tracker.track("Not a type", { word }), word);
    await flushed(tab);
    answering = () => null;
    const before = await dropped(tab);
    await signIn(tab, a);
    await track(tab, "A");
    await flushed(tab);
    await signIn(tab, b);
    await track(tab, "B");
    await flushed(tab);
    return { left: await queued(tab), dropped: before, deleted: (await dropped(tab)).slice(before.length) };
  },

  // Whoever answers asks for two seconds.
  async waiting() {
    const tab = await visit({ signedIn: a });
    const seen = [];
    for (const status of [429, 503]) {
      answering = () => ({ status, headers: { "retry-after": "2", "access-control-expose-headers": "retry-after" } });
      await track(tab, "A");
      const before = posts().length;
      const began = Date.now();
      for (let n = 0; n < 10; n += 1) assert.equal(await flush(tab), false);
      const asked = posts().length - before;
      answering = () => null;
      await flushed(tab);
      seen.push({ status, asked, waited: Date.now() - began });
    }
    return { seen, left: await queued(tab) };
  },

  // Storage that is full, or denied, and no `crypto.randomUUID`.
  async without() {
    const full = await visit({ signedIn: a });
    const fullness = await full.evaluate(() => {
      for (let size = 1 << 20; size >= 1; size /= 2) {
        try {
          for (let n = 0; ; n += 1) localStorage.setItem(`filling-${size}-${n}`, "x".repeat(size));
        } catch ({ name }) {
          if (size === 1) return name;
        }
      }
    });
    const refused = await visit({ signedIn: a, at: `${pages.url}denied` });
    const denial = await refused.evaluate(() => {
      try {
        return typeof localStorage;
      } catch ({ name }) {
        return name;
      }
    });
    const idless = await visit({ signedIn: a, at: insecure });
    const randomUUID = await idless.evaluate(() => typeof crypto.randomUUID);
    const left = [];
    for (const [of, tab] of Object.entries({ full, refused, idless })) {
      await track(tab, of);
      await flushed(tab);
      left.push(await queued(tab));
    }
    return { fullness, denial, randomUUID, left };
  },
};

// What was sent, without preflights: whose token, and whose events.
function posts() {
  const whose = ({ authorization }) => ({ [`Bearer ${a}`]: "A", [`Bearer ${b}`]: "B" })[authorization] ?? "visitor";
  return sent.filter(({ method }) => method === "POST").map(({ headers, body }) => {
    return { as: whose(headers), of: JSON.parse(body).events.map(({ event_data }) => event_data.of) };
  });
}

assert.ok(SCENARIOS[scenario], `no such scenario: ${scenario}`);
const seen = await SCENARIOS[scenario]();
await browser.close();
api.server.close();
pages.server.close();
console.log(JSON.stringify(seen));
