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

// What comes of a promise, or null after so many milliseconds.
export const within = (promise, ms) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms, null);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });

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

// Method, URL and headers, a line each: those of the names for this method that are there. `names` is an array of
// [methods, names], made once; asking for a header that nobody reads costs as much as for one that is there.
export const readHead = (request, names) => {
  const { headers, method } = request;
  let head = method + "\n" + request.url;
  const [, wanted] = names.find(([methods]) => methods.includes(method)) ?? names.at(-1);
  for (const name of wanted) {
    const value = headers.get(name);
    if (value !== null) head += "\n" + name + ":" + value;
  }
  return head;
};

// Headers from lines, a name and a value by turns. Values of the same name are one list.
const headersOf = (lines) => {
  const headers = { __proto__: null };
  if (lines !== "") {
    const parts = lines.split("\n");
    for (let at = 0; at < parts.length; at += 2) {
      const name = parts[at];
      const value = parts[at + 1];
      headers[name] = name in headers ? headers[name] + ", " + value : value;
    }
  }
  return headers;
};

export const makeResponse = (status, headers, body) => new Response(body, { status, headers: headersOf(headers) });

// One request to another server. `body` is a Uint8Array of the whole response where it has at most `buffer` bytes, and
// else a stream of all of it, of which `first` is the first byte.
export async function sendRequest(method, url, headers, sent, ms, buffer, names) {
  const aborter = new AbortController();
  const abort = () => aborter.abort(new DOMException("The upstream took too long", "TimeoutError"));
  const timer = setTimeout(abort, ms);
  try {
    const response = await fetch(url, {
      method,
      headers: headersOf(headers),
      body: sent,
      redirect: "manual", // a token must not follow a redirect to another place
      signal: aborter.signal,
    });
    let head = "";
    for (const name of names) {
      const value = response.headers.get(name);
      if (value !== null) head += (head && "\n") + name + "\n" + value;
    }
    return { status: response.status, head, ...(await readUpTo(response, buffer, ms, abort)) };
  } finally {
    clearTimeout(timer);
  }
}

// Ends a stream that nobody will read, and with it the upstream connection.
export const discard = (stream) => {
  stream.cancel().catch(() => {});
};

async function readUpTo(response, buffer, ms, abort) {
  const { body } = response;
  const length = response.headers.get("content-length");
  if (body === null || buffer === 0xffffffff || (length !== null && Number(length) <= buffer)) {
    return { body: new Uint8Array(await response.arrayBuffer()), isWhole: true };
  }
  const begun = await begin(body, buffer + 1);
  if (begun.byteLength <= buffer) return { body: begun, isWhole: true };
  // On Workers only a stream of fixed length shows the caller that the response broke off.
  const isPlain = length !== null && !response.headers.has("content-encoding");
  const { readable, writable } = isPlain && FixedPipe ? new FixedPipe(Number(length)) : new Pipe();
  passOn(begun, body, writable, ms, abort).catch(abort); // the reader is gone, or the upstream
  return { body: readable, isWhole: false, first: begun[0] };
}

// Workers have a pipe that is not JavaScript, and a read that waits for so many bytes.
const FixedPipe = globalThis.FixedLengthStream;
const Pipe = globalThis.IdentityTransformStream ?? TransformStream;
const readsAtLeast = globalThis.ReadableStreamBYOBReader?.prototype.readAtLeast !== undefined;

// Most responses are short, and memory for a long one costs more than all else here: so the first look is a short one.
const FIRST_LOOK = 16384;
// What is read of a stream at once after that.
const PART = 65536;

// The first bytes of a stream: so many, or fewer where it ends before.
async function begin(stream, size) {
  const reader = readsAtLeast ? stream.getReader({ mode: "byob" }) : stream.getReader();
  const chunks = [];
  let length = 0;
  while (length < size) {
    const wanted = Math.min(size, Math.max(FIRST_LOOK, 4 * length)) - length;
    const { done, value } = readsAtLeast
      ? await reader.readAtLeast(wanted, new Uint8Array(wanted))
      : await reader.read();
    if (value !== undefined && value.byteLength > 0) chunks.push(value);
    length += value?.byteLength ?? 0;
    if (done || (readsAtLeast && value.byteLength < wanted)) break;
  }
  reader.releaseLock();
  if (chunks.length === 1) return chunks[0];
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.byteLength;
  }
  return all;
}

// Passes a stream on. The upstream has `ms` for each part of it; how long the reader takes, whose connection may be slow,
// is not counted.
async function passOn(begun, rest, writable, ms, abort) {
  const writer = writable.getWriter();
  const reader = readsAtLeast ? rest.getReader({ mode: "byob" }) : rest.getReader();
  writer.closed.catch(abort); // the reader may go while the upstream is waited for
  try {
    for (let part = begun, isLast = false; ; ) {
      await writer.write(part);
      if (isLast) return await writer.close();
      const timer = setTimeout(abort, ms);
      const { done, value } = readsAtLeast ? await reader.readAtLeast(PART, new Uint8Array(PART)) : await reader.read();
      clearTimeout(timer);
      part = value ?? new Uint8Array();
      isLast = done || (readsAtLeast && part.byteLength < PART);
    }
  } catch (reason) {
    writer.abort(reason).catch(() => {});
    throw reason;
  }
}
