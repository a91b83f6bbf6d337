// Servers for tests in a browser: pages with the code of docs/analytics.md, and in front of the function one that passes
// everything on, or answers itself.
import { createServer, request } from "node:http";
import { codeOf } from "./docs.mjs";

export async function listening(server) {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${server.address().port}/`;
}

// `noted` is told of each request after the browser has its response. Where `answering(body)` returns a response
// ({status, headers}) to a POST, that is sent instead.
export async function passingOn(target, noted, answering = () => null) {
  const server = createServer(async (asked, answer) => {
    const chunks = [];
    for await (const chunk of asked) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const { method, url } = asked;
    const note = (status) => noted({ method, url, headers: asked.headers, body: body.toString(), status });
    const own = asked.method === "POST" && answering(body);
    if (own) {
      answer.writeHead(own.status, { "access-control-allow-origin": "*", ...own.headers }).end("{}");
      return note(own.status);
    }
    const headers = { ...asked.headers, host: new URL(target).host };
    const onward = request(target + asked.url.slice(1), { method: asked.method, headers }, (answered) => {
      answer.writeHead(answered.statusCode, answered.headers);
      answered.pipe(answer);
      answered.on("end", () => note(answered.statusCode));
    });
    onward.on("error", (error) => answer.destroy(error));
    onward.end(body);
  });
  return { server, url: await listening(server) };
}

// Of another origin than what they call, as pages are. Nothing on them has to be drawn: there may be no fonts.
export async function pagesWith(script, headersOf = () => ({})) {
  const page = `<!doctype html><meta charset="utf-8"><title>.</title><script type="module">${script}</script>`;
  const server = createServer((asked, answer) => {
    const [type, body] = {
      "/elsewhere": ["text/html", "<!doctype html><title>.</title>"],
      "/analytics.js": ["text/javascript", codeOf("analytics.md", "analytics.js")],
    }[asked.url] ?? ["text/html", page];
    const headers = { "content-type": type, "access-control-allow-origin": "*", ...headersOf(asked.url) };
    answer.writeHead(200, headers).end(body);
  });
  return { server, url: await listening(server) };
}

export async function until(condition, what) {
  for (let tries = 0; tries < 200; tries += 1) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  fail(new Error(what));
}

export function fail(error) {
  console.error(error);
  process.exit(1);
}
