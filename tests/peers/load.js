// The load of the benchmarks: autocannon, told what to send. Each line of standard input is a turn, each line of standard
// output what it measured; so all turns come from one process, whose code is warm.
//
// A turn ends when its time is up or all its requests are sent, and each connection with its last response: no request
// is cut off, so the work of the process that answers belongs to requests that were counted.

import autocannon from "autocannon";
import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

// People take turns, and each sends the requests in their order. Not all begin with the same one, and nobody with the
// last, which may need the one before it.
function request({ people, requests }, number) {
  const place = number % people.length;
  const begin = place % Math.max(requests.length - 1, 1);
  const next = requests[(begin + Math.floor(number / people.length)) % requests.length];
  const values = people[place];
  const fill = (text) => text.replace(/\{(uuid|token|session)\}/g, (_, name) => values[name] ?? randomUUID());
  const headers = Object.fromEntries(next.headers.map(([name, value]) => [name, fill(value)]));
  return { method: next.method, path: fill(next.path), headers, body: fill(next.body) };
}

async function take(turn) {
  // `rate`: how many requests a second each caller sends; without it, as many as are answered.
  const { port, load: { callers, rate } } = turn;
  const [seconds, most] = [turn.load.seconds ?? Infinity, turn.load.most ?? Infinity];
  const times = [];
  let [number, succeeded, failure] = [0, 0, null];
  const began = performance.now();
  const cpu = process.cpuUsage();
  let ended = began;

  const run = (connections) => {
    const running = autocannon({
      url: `http://127.0.0.1:${port}`,
      connections,
      connectionRate: rate,
      duration: Math.min(seconds, 86_400) + 30, // The turn ends earlier, below.
      timeout: 30,
      sampleInt: 10, // How soon autocannon notices that all connections have ended.
      requests: [{
        setupRequest: (defaults) => ({ ...defaults, ...request(turn, number++) }),
        onResponse: (status, body) => {
          if (status >= 200 && status <= 299) succeeded += 1;
          else failure ??= `${status}: ${body.slice(0, 500)}`;
        },
      }],
    });
    running.on("reqError", (error) => failure ??= String(error));
    // Not autocannon's own latencies, which are whole milliseconds.
    running.on("response", (client, _status, _bytes, milliseconds) => {
      times.push(milliseconds);
      ended = performance.now();
      // This was the connection's last.
      if (number >= most || ended - began >= seconds * 1000) client.responseMax = client.reqsMade;
    });
    return running;
  };
  // Paced callers begin one after the other, so that they are spread over each second.
  await (rate
    ? Promise.all(Array.from({ length: callers }, (_, place) => sleep((place * 1000) / callers).then(() => run(1))))
    : run(callers));

  const { user, system } = process.cpuUsage(cpu);
  times.sort((a, b) => a - b);
  // By nearest rank: a time that was really measured.
  const percentile = (part) => times[Math.ceil(part * times.length) - 1] / 1000;
  return {
    // A request whose connection was closed has no response, and has failed, too.
    requests: times.length, failed: number - succeeded, first_failure: failure, seconds: (ended - began) / 1000,
    cpu_seconds: (user + system) / 1e6, p50: percentile(0.5), p99: percentile(0.99),
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await take(JSON.parse(line))));
}
