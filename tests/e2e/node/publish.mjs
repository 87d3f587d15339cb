// node publish.mjs URL SUBJECT COUNT
//
// Publishes COUNT futures trades as JSON, first through JetStream (each publish is acknowledged), then the same number
// through core NATS without waiting. Every message carries a Nats-Msg-Id (the core ones too: another client's habit),
// a Content-Type and a header of our own with text that is no ASCII. Prints one JSON line:
// {"jetstream": COUNT, "core": COUNT, "first_sequence": N, "last_sequence": N}
import { connect, headers } from "nats";

const BASE_NS = 1_734_359_400_000_000_000n; // 2024-12-16T14:30:00Z

const [url, subject, countText] = process.argv.slice(2);
const count = Number(countText);
if (!url || !subject || !Number.isSafeInteger(count) || count < 1) {
  console.error("usage: node publish.mjs URL SUBJECT COUNT");
  process.exit(2);
}

// 64-bit times do not fit a JavaScript number: write the digits, not the value.
function tradeJson(way, number) {
  const eventNs = BASE_NS + BigInt(number) * 1_000_000n;
  const trade = {
    symbol: "ESZ4",
    price: 6050.25 + (number % 8) * 0.25,
    size: 1 + (number % 5),
    aggressor: number % 2 ? "BUY" : "SELL",
    exchange: "CME",
    source: `node-${way}`,
    seq: number,
  };
  const times = `"ts_event_ns":${eventNs},"ts_recv_ns":${eventNs + 50_000n}`;
  return `{${times},${JSON.stringify(trade).slice(1)}`;
}

function tradeHeaders(way, number) {
  const block = headers();
  block.set("Nats-Msg-Id", `node-${way}-${number}`);
  block.set("Content-Type", "application/json");
  block.set("Publisher-Note", "näh – 日本");
  return block;
}

const encoder = new TextEncoder();
const connection = await connect({ servers: url, name: "ticklake-e2e-node", timeout: 10_000 });
const jetstream = connection.jetstream();

const acks = [];
for (let number = 0; number < count; number += 1) {
  const options = { headers: tradeHeaders("jetstream", number), timeout: 10_000 };
  acks.push(jetstream.publish(subject, encoder.encode(tradeJson("jetstream", number)), options));
}
const sequences = (await Promise.all(acks)).map((ack) => ack.seq);

for (let number = 0; number < count; number += 1) {
  connection.publish(subject, encoder.encode(tradeJson("core", number)), { headers: tradeHeaders("core", number) });
}
await connection.flush();
await connection.drain();

console.log(
  JSON.stringify({
    jetstream: sequences.length,
    core: count,
    first_sequence: Math.min(...sequences),
    last_sequence: Math.max(...sequences),
  }),
);
