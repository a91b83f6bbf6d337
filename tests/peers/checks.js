// What Selvedge's functions check, by hand. Every fault is listed, by JSON Pointer.

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const DATE_TIME = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(?:[Zz]|[+-](\d\d):(\d\d))$/;
const EVENT_TYPE = /^[a-z][a-z0-9_]{0,63}$/;
const NAME = /^[a-z][a-z0-9_-]{0,63}$/;
const MAX_DEPTH = 16;
const MAX_EVENTS = 500;
const EVENT_BYTES = 32 * 1024;
const encoder = new TextEncoder();

// A check takes a value, returns what is sent on, and adds what is wrong to the faults.
const check = (code, detail, is) => (value, pointer, faults) => {
  if (!is(value)) faults.push({ pointer, code, detail });
  return value;
};

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const isAtMost = (json, bytes) => json.length * 3 <= bytes || encoder.encode(json).length <= bytes;

function isDateTime(text) {
  const parts = typeof text === "string" && DATE_TIME.exec(text);
  if (!parts) return false;
  const [year, month, day, hour, minute, second, hours = 0, minutes = 0] = parts.slice(1).map((part) => part && +part);
  return year > 0 && month >= 1 && month <= 12 && day >= 1 && day <= new Date(Date.UTC(year, month, 0)).getUTCDate() &&
    hour < 24 && minute < 60 && second <= 60 && hours < 16 && minutes < 60;
}

// Whether PostgreSQL can store it as jsonb, no deeper than that.
function isStorable(value, depth) {
  if (typeof value === "string") return value.isWellFormed() && !value.includes("\0");
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || value === null) return true;
  if (depth === 0) return false;
  if (Array.isArray(value)) return value.every((one) => isStorable(one, depth - 1));
  for (const name in value) if (!isStorable(name, 0) || !isStorable(value[name], depth - 1)) return false;
  return true;
}

const uuid = check("invalid_uuid", "must be a UUID", (value) => typeof value === "string" && UUID.test(value));
const name = check("invalid_name", "must be a name", (value) => typeof value === "string" && NAME.test(value));
const time = check("invalid_date_time", "must be an RFC 3339 time", isDateTime);
const fraction = check("out_of_range", "must be a number from 0 to 1", (value) => typeof value === "number" && value >= 0 && value <= 1);
const amount = check("out_of_range", "must be a number of at least 0", (value) => typeof value === "number" && value >= 0);
const word = (words) => check("not_allowed", `must be one of ${words.join(", ")}`, (value) => words.includes(value));
const eventType = check("invalid_event_type", "must be lower-case letters, digits and _, at most 64, a letter first",
  (value) => typeof value === "string" && EVENT_TYPE.test(value));
const object = (bytes) => check("not_storable", `must be an object of at most ${bytes} bytes and ${MAX_DEPTH} levels`,
  (value) => isObject(value) && isStorable(value, MAX_DEPTH) && isAtMost(JSON.stringify(value), bytes));
const storable = check("not_storable", `must be an object of at most ${MAX_DEPTH} levels`,
  (value) => isObject(value) && isStorable(value, MAX_DEPTH));
const array = (bytes) => check("too_large", `must be an array of at most ${bytes} bytes`,
  (value) => Array.isArray(value) && isAtMost(JSON.stringify(value), bytes));

const text = (most) => (value, pointer, faults) => {
  const add = (code, detail) => faults.push({ pointer, code, detail });
  if (typeof value !== "string") return add("wrong_type", "must be a string");
  const trimmed = value.trim();
  if (trimmed === "") add("blank", "must not be blank");
  else if (!isStorable(trimmed)) add("not_storable", "holds a NUL character or half a surrogate pair");
  else if (trimmed.length > most && [...trimmed].length > most) add("too_long", `must be at most ${most} characters long`);
  return trimmed;
};

const fields = (known) => (value, pointer, faults) => {
  if (!isObject(value)) return void faults.push({ pointer, code: "wrong_type", detail: "must be a JSON object" });
  const read = {};
  for (const name in value) {
    if (!(name in known)) faults.push({ pointer: `${pointer}/${name}`, code: "unknown_field", detail: "no such field" });
  }
  for (const name in known) {
    const { required, is } = known[name];
    if (value[name] != null) read[name] = is(value[name], `${pointer}/${name}`, faults);
    else if (required) faults.push({ pointer: `${pointer}/${name}`, code: "required", detail: "is required" });
  }
  return read;
};
const required = (is) => ({ required: true, is });
const optional = (is) => ({ required: false, is });

const messageOf = (most) => fields({
  id: optional(uuid), session_id: required(uuid), role: required(word(["user", "bot", "system"])),
  message: required(text(most)), parts: optional(array(256 * 1024)), meta: optional(object(8 * 1024)),
  intent: optional(fields({
    label: required(text(64)), confidence: optional(fraction), method: optional(text(64)), fsm_state: optional(text(64)),
    inference_time_ms: optional(amount),
  })),
  risk: optional(fields({
    label: required(text(64)), trigger_phrase: optional(text(1000)), confidence: optional(fraction),
    method: optional(text(64)), model: optional(text(128)), details: optional(object(8 * 1024)),
  })),
  machine: optional(name), written_at: optional(time),
});
const [ofUser, ofOthers] = [messageOf(1000), messageOf(65536)];

const page = fields({
  session_id: required(uuid),
  limit: optional(check("out_of_range", "must be a whole number from 1 to 200", (value) => /^[1-9]\d*$/.test(value) && value <= 200)),
  order: optional(word(["asc", "desc"])),
  before: optional(check("invalid_cursor", "must be the next of an earlier page", (value) => /^[\w-]{1,64}$/.test(value))),
  after: optional(check("invalid_cursor", "must be a seq", (value) => /^\d{1,18}$/.test(value))),
});

const event = fields({
  id: optional(uuid), event_type: required(eventType), event_data: optional(storable), session_id: optional(uuid),
  occurred_at: optional(time),
});
const eventsOf = (value, pointer, faults) => {
  if (!Array.isArray(value)) return void faults.push({ pointer, code: "wrong_type", detail: "must be an array of events" });
  if (value.length > MAX_EVENTS) return void faults.push({ pointer, code: "too_many", detail: `must be at most ${MAX_EVENTS} events` });
  return value.map((one, place) => {
    const json = JSON.stringify(one);
    if (!isAtMost(json, EVENT_BYTES)) {
      faults.push({ pointer: `${pointer}/${place}`, code: "too_large", detail: `must be at most ${EVENT_BYTES} bytes` });
      return;
    }
    const read = event(one, `${pointer}/${place}`, faults);
    if (read) read.id ??= crypto.randomUUID();
    return read;
  });
};
const batch = fields({ events: required(eventsOf), sent_at: optional(time) });

// Each takes what was sent, and returns the arguments of the database function and the faults.
const reader = (read) => (given) => {
  const faults = [];
  return { value: read(given, "", faults), faults };
};
export const readMessage = reader((given, at, faults) => (given?.role === "user" ? ofUser : ofOthers)(given, at, faults));
export const readPage = reader(page);
export const readEvents = reader(batch);
