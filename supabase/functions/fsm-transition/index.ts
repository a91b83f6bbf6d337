import { handle } from "./fsm_transition.js";

Deno.serve(handle);
