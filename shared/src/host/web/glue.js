// What is cheaper or only possible on the JavaScript side: driving futures, and objects that would take a call each for
// every member. Nothing is decided here.

// Runs the module's futures. A future asks for one promise at a time (`wait`), and finds what came of it the next time
// it is polled. A trap (a panic, or memory that ran out) ends the future that trapped and no other: the stack is put
// back where it was, and the module makes the response.
let awaited, value, isRejected;

export const wait = (promise) => {
  awaited = promise;
};
export const settled = () => value;
export const rejected = () => isRejected;
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function drive(task, wasm) {
  for (;;) {
    const stack = wasm.__stack_pointer?.value;
    try {
      if (wasm.poll(task)) return awaited;
    } catch {
      if (stack !== undefined) wasm.__stack_pointer.value = stack;
      wasm.rescue(task);
      return awaited;
    }
    let outcome;
    let failed = false;
    try {
      outcome = await awaited;
    } catch (error) {
      outcome = error;
      failed = true;
    }
    value = outcome;
    isRejected = failed;
  }
}

// Method, URL and the headers of these names that are there, a line each.
export const readHead = (request, names) => {
  const { headers } = request;
  let head = request.method + "\n" + request.url;
  for (const name of split(names)) {
    const value = headers.get(name);
    if (value !== null) head += "\n" + name + ":" + value;
  }
  return head;
};

// The names come again and again as the same text.
let names = "";
let list = [];
const split = (text) => {
  if (text !== names) {
    names = text;
    list = text.split(",");
  }
  return list;
};

// Headers from lines, a name and a value by turns. Values of the same name are one list.
const headersOf = (lines) => {
  const headers = {};
  if (lines !== "") {
    const parts = lines.split("\n");
    for (let at = 0; at < parts.length; at += 2) {
      const name = parts[at];
      const value = parts[at + 1];
      headers[name] = Object.hasOwn(headers, name) ? headers[name] + ", " + value : value;
    }
  }
  return headers;
};

export const makeResponse = (status, headers, body) => new Response(body, { status, headers: headersOf(headers) });

// One request to another server. `body` is a Uint8Array of the whole response where it has at most `buffer` bytes, and
// else a stream that begins with what was read.
export async function exchange(method, url, headers, sent, ms, buffer, names) {
  const response = await fetch(url, {
    method,
    headers: headersOf(headers),
    body: sent,
    redirect: "manual", // a token must not follow a redirect to another place
    signal: AbortSignal.timeout(ms),
  });
  let head = "";
  for (const name of split(names)) {
    const value = response.headers.get(name);
    if (value !== null) head += (head && "\n") + name + "\n" + value;
  }
  const length = response.headers.get("content-length");
  const body =
    response.body === null || (length !== null && Number(length) <= buffer)
      ? new Uint8Array(await response.arrayBuffer())
      : await readUpTo(response.body, buffer);
  return { status: response.status, head, body, isWhole: body instanceof Uint8Array };
}

async function readUpTo(stream, buffer) {
  const reader = stream.getReader();
  const chunks = [];
  let size = 0;
  while (size <= buffer) {
    const { done, value } = await reader.read();
    if (done) return joined(chunks, size);
    chunks.push(value);
    size += value.byteLength;
  }
  return new ReadableStream({
    type: "bytes",
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
    },
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

const joined = (chunks, size) => {
  if (chunks.length === 1) return chunks[0];
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.byteLength;
  }
  return all;
};
