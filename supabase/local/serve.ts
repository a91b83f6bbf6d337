// Usage: serve.ts PORT ENTRY. Runs an entry file as Supabase does, but on loopback and a port of our choice,
// neither of which Deno 2.1.4 can be told from outside.
const [port, entry] = Deno.args;
const serve = Deno.serve;

Object.defineProperty(Deno, "serve", {
  value: (handler: Deno.ServeHandler) => serve({ hostname: "127.0.0.1", port: Number(port) }, handler),
});

await import(`file://${entry}`);
