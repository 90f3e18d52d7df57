// BullMQ against a server: `node bullmq.mjs PORT`. Ends with 0 when every job was done as it was asked for.
import assert from "node:assert/strict";
import { FlowProducer, Queue, QueueEvents, Worker } from "bullmq";

const connection = { port: Number(process.argv[2]), maxRetriesPerRequest: null };
const queue = new Queue("jobs", { connection });
const events = new QueueEvents("jobs", { connection });
const flows = new FlowProducer({ connection });
const order = [];
const worker = new Worker(
  "jobs",
  async (job) => {
    order.push(job.name);
    if (job.name === "fail") throw new Error("as it was meant to");
    if (job.name === "fail once" && job.attemptsMade === 0) throw new Error("the first time");
    if (job.name === "sum") return Object.values(await job.getChildrenValues()).reduce((left, right) => left + right, 0);
    await job.updateProgress(50);
    return job.data.left + job.data.right;
  },
  { connection, autorun: false, drainDelay: 1 },
);

const rejects = (job, text) => assert.rejects(job.waitUntilFinished(events, 20000), text);
try {
  await events.waitUntilReady();
  // What waits is taken by priority, and in order among those without.
  await queue.add("third", { left: 1, right: 1 }, { priority: 5 });
  await queue.add("second", { left: 1, right: 1 }, { priority: 2 });
  await queue.add("first", { left: 1, right: 1 });
  const cancelled = await queue.add("cancelled", {});
  assert.equal((await queue.getWaitingCount()) + (await queue.getPrioritizedCount()), 4);
  await cancelled.remove();
  const last = await queue.add("last", { left: 20, right: 22 }, { priority: 9 });
  const runs = worker.run();
  assert.equal(await last.waitUntilFinished(events, 20000), 42);
  assert.deepEqual(order, ["first", "second", "third", "last"]);
  assert.equal((await queue.getJob(last.id)).progress, 50);

  const many = await queue.addBulk([...Array(100).keys()].map((left) => ({ name: "many", data: { left, right: 1 } })));
  const sums = await Promise.all(many.map((job) => job.waitUntilFinished(events, 20000)));
  assert.deepEqual(sums, [...Array(100).keys()].map((number) => number + 1));

  const failing = await queue.add("fail", {}, { attempts: 3, backoff: { type: "fixed", delay: 20 } });
  await rejects(failing, /as it was meant to/);
  assert.equal((await queue.getJob(failing.id)).attemptsMade, 3);
  const once = await queue.add("fail once", { left: 1, right: 2 }, { attempts: 2 });
  assert.equal(await once.waitUntilFinished(events, 20000), 3);

  const begun = Date.now();
  const delayed = await queue.add("delayed", { left: 3, right: 4 }, { delay: 300 });
  assert.equal(await delayed.getState(), "delayed");
  assert.equal(await delayed.waitUntilFinished(events, 20000), 7);
  assert.ok(Date.now() - begun >= 295);

  const child = (left) => ({ name: "child", queueName: "jobs", data: { left, right: 0 } });
  const flow = await flows.add({ name: "sum", queueName: "jobs", children: [child(10), child(20), child(12)] });
  assert.equal(await flow.job.waitUntilFinished(events, 20000), 42);

  await queue.upsertJobScheduler("every", { every: 50, limit: 3 }, { name: "repeated", data: { left: 0, right: 0 } });
  const until = Date.now() + 20000;
  const repeated = () => order.filter((name) => name === "repeated").length;
  while (repeated() < 3 && Date.now() < until) await new Promise((done) => setTimeout(done, 20));
  await queue.removeJobScheduler("every");
  assert.equal(repeated(), 3);

  await queue.pause();
  const held = await queue.add("held", { left: 5, right: 5 });
  assert.equal(await held.getState(), "waiting");
  await queue.resume();
  assert.equal(await held.waitUntilFinished(events, 20000), 10);
  const counts = await queue.getJobCounts();
  assert.equal(counts.failed, 1);
  assert.equal(counts.active + counts.waiting + counts.delayed, 0);
  const cleaned = await queue.clean(0, 1000, "completed");
  assert.equal(cleaned.length, counts.completed);
  await queue.obliterate({ force: true });
  await worker.close();
  await runs;
} finally {
  await Promise.all([worker.close(true), events.close(), flows.close(), queue.close()]);
}
