// Three requests as a gateway would have seen them: answered, failed, and not mirrored for lack of
// room. `node example.mjs` prints their messages, one a line.

import { keyOf, partitionOf, shadowEvents } from "./understudy.mjs";

const PARTITIONS = 12;

const stable = {
  response: { model: "house-large-2", output: "Rechnung 2041: 89,50 Euro", finish_reason: "stop" },
  usage: { input_tokens: 31, output_tokens: 12, cost_usd: 0.0004 },
  timing: { duration_ms: 812.4 },
};
const candidate = {
  response: {
    model: "house-small-3",
    output: "2041, 89,50 € 🧾",
    finish_reason: "stop",
    stream: true,
    tool_calls: [{ name: "find_invoice", arguments: { number: "2041" } }],
  },
  usage: { input_tokens: 31, output_tokens: 9, cost_usd: 0.0001 },
  timing: { duration_ms: 388.1, time_to_first_token_ms: 91 },
};
const failed = { error: { type: "timeout", status: 504 }, timing: { duration_ms: 30000 } };

const request = { prompt: "Rechnung 2041?", language: "de", workflow: "extraction" };
const at = (seconds) => new Date(Date.UTC(2026, 2, 2, 9, 15, seconds));

export const requests = [
  shadowEvents("invoices", { ...request, pairId: "inv-55", time: at(30) }, { stable, candidate }),
  shadowEvents(
    "invoices",
    { ...request, pairId: "inv-56", time: at(31), conversationId: "会話-8841", turn: 2 },
    { stable, candidate: failed },
  ),
  shadowEvents("invoices", { ...request, pairId: "inv-57", time: at(32) }, { stable }),
];

export const messages = requests.flat().map((event) => ({
  key: keyOf(event),
  partition: partitionOf(keyOf(event), PARTITIONS),
  value: JSON.stringify(event),
}));

if (process.argv[1] === new URL(import.meta.url).pathname) {
  for (const message of messages) console.log(JSON.stringify(message));
}
