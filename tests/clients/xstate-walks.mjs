// Random walks through a machine by the real XState: what state each event leads to.
// Usage: node xstate-walks.mjs <machine.json> <number of walks>
// Prints [[{event, state}, …], …]. Attempts are counted here as the contract says: an event with a guarded branch is
// one, and they are exhausted at the state's meta.max_attempts.
import { readFileSync } from "node:fs";
import { createActor, createMachine } from "xstate";

const [file, count] = process.argv.slice(2);
const config = JSON.parse(readFileSync(file, "utf8"));
const events = [...new Set(Object.values(config.states).flatMap((state) => Object.keys(state.on ?? {}))), "made_up"];
const isAttempt = (state, event) => [config.states[state].on?.[event]].flat().some((branch) => branch?.guard);

function walk() {
  const attempts = {};
  let here = config.initial;
  const machine = createMachine(config).provide({
    guards: { attempts_exhausted: () => attempts[here] >= config.states[here].meta.max_attempts },
  });
  const actor = createActor(machine).start();
  const steps = [];
  for (let n = 0; n < 16; n += 1) {
    const event = events[Math.floor(Math.random() * events.length)];
    if (isAttempt(here, event)) attempts[here] = (attempts[here] ?? 0) + 1;
    actor.send({ type: event });
    here = actor.getSnapshot().value;
    steps.push({ event, state: here });
  }
  return steps;
}

console.log(JSON.stringify(Array.from({ length: Number(count) }, walk)));
