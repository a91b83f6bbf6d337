import { handle } from "./{{stem}}.js";

Deno.serve(handle);
