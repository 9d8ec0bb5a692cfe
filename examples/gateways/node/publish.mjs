// Sends the example's events: `npm install && KAFKA=localhost:9092 node publish.mjs`.

import { Kafka, logLevel } from "kafkajs";
import { requests } from "./example.mjs";
import { keyOf, partitionOf } from "./understudy.mjs";

const TOPIC = process.env.TOPIC ?? "understudy.events";
const brokers = (process.env.KAFKA ?? "localhost:9092").split(",");
const kafka = new Kafka({ clientId: "gateway", brokers, logLevel: logLevel.WARN });
const producer = kafka.producer({
  maxInFlightRequests: 1,
  createPartitioner: () => ({ partitionMetadata, message }) =>
    partitionOf(message.key, partitionMetadata.length),
});

await producer.connect();
for (const events of requests) {
  // All sides of a request in one call: both arrive, or neither does.
  const messages = events.map((event) => ({ key: keyOf(event), value: JSON.stringify(event) }));
  await producer.send({ topic: TOPIC, acks: -1, messages });
}
await producer.disconnect();
