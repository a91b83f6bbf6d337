import { handle } from "./chat_message.js";

Deno.serve(handle);
