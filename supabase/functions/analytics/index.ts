import { handle } from "./analytics.js";

Deno.serve(handle);
