// ioredis against a server: `node session.mjs PORT`. Ends with 0 when every answer was right.
import assert from "node:assert/strict";
import Redis from "ioredis";

// Its ready check reads INFO and waits while the server is loading.
const redis = new Redis({ port: Number(process.argv[2]), maxRetriesPerRequest: 1 });
try {
  assert.equal(await redis.ping(), "PONG");
  await redis.flushall();
  assert.equal(await redis.set("greeting", "hello"), "OK");
  assert.equal(await redis.set("greeting", "again", "NX"), null);
  assert.equal(await redis.get("greeting"), "hello");
  assert.equal(await redis.incrby("counter", 42), 42);
  assert.equal(await redis.incrbyfloat("counter", 0.5), "42.5");
  assert.deepEqual(await redis.mget("greeting", "absent"), ["hello", null]);
  assert.equal(await redis.setbit("bits", 7, 1), 0);
  assert.deepEqual(await redis.getBuffer("bits"), Buffer.from([1]));
  assert.equal(await redis.pexpire("greeting", 60000), 1);
  assert.ok((await redis.pttl("greeting")) > 0);
  await assert.rejects(redis.incr("greeting"), /ERR value is not an integer or out of range/);

  const pipeline = redis.pipeline();
  for (let number = 0; number < 1000; number++) pipeline.set(`many:${number}`, number);
  for (const [error, answer] of await pipeline.exec()) assert.deepEqual([error, answer], [null, "OK"]);
  const seen = new Set();
  for await (const keys of redis.scanStream({ match: "many:*", count: 100 })) keys.forEach((key) => seen.add(key));
  assert.equal(seen.size, 1000);
  assert.equal(await redis.dbsize(), 1003);
  await redis.flushall();
} finally {
  redis.disconnect();
}
