// A real page in a real browser, with the code of docs/analytics.md, that is left in different ways.
// Usage: node beacon.mjs <URL of analytics> <publishable key> <word> [token]
// Prints what the browser sent and was answered, in order: [{leaving, method, url, headers, body, status}, …]. Each event
// has `leaving` and `word` in its data.
import { launch } from "./browser.mjs";
import { fail, pagesWith, passingOn, until } from "./pages.mjs";

const [target, apikey, word, token = null] = process.argv.slice(2);

const sent = [];
let leaving;
const { server: api, url: apiUrl } = await passingOn(target, (request) => sent.push({ leaving, ...request }));
const { server: pages, url: pagesUrl } = await pagesWith(`
  import { analytics } from "/analytics.js";
  const { url, apikey, token } = ${JSON.stringify({ url: apiUrl, apikey, token })};
  globalThis.tracker = analytics({ url, apikey, token: async () => token });
`);

const LEAVINGS = {
  // The person closes the tab.
  close: (tab) => tab.close({ runBeforeUnload: true }),
  // They follow a link.
  navigate: (tab) => tab.goto(`${pagesUrl}elsewhere`),
  // The script puts its last words into a fetch instead.
  keepalive: (tab) => tab.close({ runBeforeUnload: true }),
};

const browser = await launch();
const profile = await browser.newContext();
// Another tab stays open: with its last one, Playwright's profile goes, and takes what is on its way along.
await profile.newPage();
for (const [name, leave] of Object.entries(LEAVINGS)) {
  leaving = name;
  const tab = await profile.newPage();
  tab.on("pageerror", (error) => fail(error));
  await tab.goto(pagesUrl);
  await tab.waitForFunction(() => globalThis.tracker);
  // One event goes out while the page lives; another is made and left behind.
  await tab.evaluate(async ({ leaving, word, apiUrl, apikey, token }) => {
    tracker.track("llm_turn_completed", { word, leaving, at: "ease" });
    if (!(await tracker.flush())) throw new Error("the page's first event was not taken");
    tracker.track("llm_turn_completed", { word, leaving, at: "last" });
    addEventListener("pagehide", () => {
      if (leaving !== "keepalive") return tracker.leave();
      const headers = { apikey, "content-type": "application/json" };
      if (token) headers.authorization = `Bearer ${token}`;
      fetch(apiUrl, { method: "POST", keepalive: true, headers, body: JSON.stringify({ events: tracker.queued() }) });
    });
  }, { leaving, word, apiUrl, apikey, token });
  const before = sent.length;
  await leave(tab);
  await until(() => sent.slice(before).some(({ method }) => method === "POST"), `${leaving}: nothing came`);
  if (!tab.isClosed()) await tab.close();
}
await browser.close();
api.close();
pages.close();
console.log(JSON.stringify(sent));
