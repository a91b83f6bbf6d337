// A real page in a real browser, with the code of docs/analytics.md, that is left in different ways.
// Usage: node beacon.mjs <URL of analytics> <publishable key> <word> [token]
// Prints what the browser sent and was answered, in order: [{leaving, method, url, headers, body, status}, …]. Each event
// has `leaving` and `word` in its data.
import { createServer, request } from "node:http";
import { launch } from "./browser.mjs";
import { codeOf } from "./docs.mjs";

const [target, apikey, word, token = null] = process.argv.slice(2);

// What the page calls: everything is passed on, and noted once the browser has been answered.
const sent = [];
let leaving;
const api = createServer(async (asked, answer) => {
  const chunks = [];
  for await (const chunk of asked) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const headers = { ...asked.headers, host: new URL(target).host };
  const onward = request(target + asked.url.slice(1), { method: asked.method, headers }, (answered) => {
    answer.writeHead(answered.statusCode, answered.headers);
    answered.pipe(answer);
    answered.on("end", () => {
      const { method, url, headers } = asked;
      sent.push({ leaving, method, url, headers, body: body.toString(), status: answered.statusCode });
    });
  });
  onward.on("error", (error) => answer.destroy(error));
  onward.end(body);
});
const apiUrl = await listening(api);

// Of another origin than what it calls, as pages are. Nothing on it has to be drawn: there may be no fonts.
const page = `<!doctype html><meta charset="utf-8"><title>.</title><script type="module">
  import { analytics } from "/analytics.js";
  const { url, apikey, token } = ${JSON.stringify({ url: apiUrl, apikey, token })};
  globalThis.tracker = analytics({ url, apikey, token: async () => token });
</script>`;
const pages = createServer((asked, answer) => {
  const [type, body] = {
    "/": ["text/html", page],
    "/elsewhere": ["text/html", "<!doctype html><title>.</title>"],
    "/analytics.js": ["text/javascript", codeOf("analytics.md", "analytics.js")],
  }[asked.url] ?? ["text/plain", ""];
  answer.writeHead(200, { "content-type": type }).end(body);
});
const pagesUrl = await listening(pages);

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

async function listening(server) {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${server.address().port}/`;
}

async function until(condition, what) {
  for (let tries = 0; tries < 200; tries += 1) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  fail(new Error(what));
}

function fail(error) {
  console.error(error);
  process.exit(1);
}
