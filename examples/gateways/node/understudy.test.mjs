import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { keyOf, murmur2, partitionOf } from "./understudy.mjs";

const { keys } = JSON.parse(readFileSync(new URL("../vectors.json", import.meta.url), "utf8"));

for (const vector of keys) {
  test(`key ${vector.key.slice(0, 40)}`, () => {
    assert.equal(keyOf(vector), vector.key);
    assert.equal(murmur2(new TextEncoder().encode(vector.key)), vector.murmur2);
    for (const [partitions, partition] of Object.entries(vector.partitions)) {
      assert.equal(partitionOf(vector.key, Number(partitions)), partition);
    }
  });
}
