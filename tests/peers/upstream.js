// The upstream of every worker that is measured. It answers at once, with what PostgREST sends: JSON in chunks.

const ID = "018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e";
const TIME = "2026-11-21T10:00:00.123456+00:00";

const message = (seq, text) => ({
  id: ID, session_id: ID, role: "user", message: text, parts: null, meta: { client: "web", locale: "en-GB" },
  seq, written_at: TIME, created_at: TIME, written_by: "caller",
});
const page = (count, text) => ({
  messages: Array.from({ length: count }, (_, place) => message(count - place, text)), next: null, last_seq: count,
});
const bytes = (answer) => new TextEncoder().encode(JSON.stringify(answer));

const SAVED = bytes({
  message: message(7, "I have been thinking about who I could call when it gets late, and there is my sister. ".repeat(2)),
  session: {
    session_id: ID, title: null, meta: {}, machine: "supportive-yarn", fsm_state: "introduction", version: 3,
    created_at: TIME, last_activity: TIME, completed: false,
  },
  replayed: false,
});
const PAGE = bytes(page(50, "There is my sister."));
// As many of the longest messages as fit into a page.
const LARGE_PAGE = bytes(page(16, "0123456789abcdef".repeat(4096)));
const RECORDED = bytes({ accepted: 500, duplicates: 0 });
// The limit that asks for the large page.
const LARGE = "200";

// Without a length, so that it is sent in chunks.
const chunked = (body) => new ReadableStream({
  type: "bytes",
  start(controller) {
    controller.enqueue(body.slice());
    controller.close();
  },
});
const answer = (status, body, headers) => new Response(chunked(body), {
  status,
  headers: {
    date: new Date().toUTCString(), server: "postgrest/12.0.2", "content-range": "0-0/*",
    "content-type": "application/json; charset=utf-8", ...headers,
  },
});

export default {
  async fetch(request) {
    const url = new URL(request.url);
    const body = await request.text();
    switch (url.pathname) {
      case "/rest/v1/rpc/save_message":
        return answer(201, SAVED, { location: `?session_id=${ID}&limit=1&before=ZGVzYzo4` });
      case "/rest/v1/rpc/get_history": {
        const limit = request.method === "GET" ? url.searchParams.get("limit") : JSON.parse(body).limit;
        return answer(200, String(limit) === LARGE ? LARGE_PAGE : PAGE);
      }
      case "/rest/v1/rpc/record_events":
        return answer(201, RECORDED);
      default:
        return new Response("not found", { status: 404 });
    }
  },
};
