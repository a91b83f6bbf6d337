// Runs the module's futures. A future asks for one promise at a time (`wait`), and finds what came of it the next time
// it is polled. A trap (a panic, or memory that ran out) ends the future that trapped and no other: the stack is put
// back where it was, and the module makes the answer.
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
