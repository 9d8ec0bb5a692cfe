// What a gateway needs to know of Understudy: the events of a request, their key and partition.
// No dependencies; docs/events.md describes the fields, asyncapi.json all of the contract.

/** The Kafka key of an event: all sides of a request and all turns of a conversation share it. */
export function keyOf(event) {
  return `${event.rollout_id}/${event.conversation_id || event.pair_id}`;
}

/** The partition of a key, as Kafka's Java client chooses it. */
export function partitionOf(key, partitions) {
  return (murmur2(new TextEncoder().encode(key)) & 0x7fffffff) % partitions;
}

/** murmur2 with Kafka's seed, as a signed integer of 32 bits. */
export function murmur2(bytes) {
  const m = 0x5bd1e995;
  let hash = 0x9747b28c ^ bytes.length;
  const whole = bytes.length & ~3;
  for (let i = 0; i < whole; i += 4) {
    let k = bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    k = Math.imul(k, m);
    k ^= k >>> 24;
    hash = Math.imul(hash, m) ^ Math.imul(k, m);
  }
  const rest = bytes.length - whole;
  if (rest === 3) hash ^= bytes[whole + 2] << 16;
  if (rest >= 2) hash ^= bytes[whole + 1] << 8;
  if (rest >= 1) hash = Math.imul(hash ^ bytes[whole], m);
  hash = Math.imul(hash ^ (hash >>> 13), m);
  return hash ^ (hash >>> 15);
}

/**
 * Both events of a request in `shadow`: the user got stable's answer.
 *
 * `request` has `pairId`, `time` (a Date, stamped once for both sides) and what else is known;
 * an answer has `response` or `error`, and `usage` and `timing`.
 */
export function shadowEvents(rolloutId, request, answers) {
  return ["stable", "candidate"].map((side) => ({
    schema_version: 1,
    rollout_id: rolloutId,
    pair_id: request.pairId,
    mode: "shadow",
    side,
    sides: ["stable", "candidate"],
    request_time: request.time.toISOString(),
    conversation_id: request.conversationId,
    turn: request.turn,
    workflow: request.workflow,
    language: request.language,
    served: side === "stable",
    request: { prompt: request.prompt },
    ...(answers[side] ?? NOT_STARTED),
  }));
}

/** The candidate was not called: the gateway had no room for it. No harm of the model's. */
export const NOT_STARTED = { error: { type: "mirror_dropped", source: "gateway" } };
