// The access key is changed, by the steps of the README, while clients call two instances.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { start, startPostgres } from "./support.js";

const [OLD, NEW, NOBODYS] = ["old", "new", "nobody's"].map((name) => Buffer.from(`the ${name} access key of rooms`).toString("base64"));

const postgres = await startPostgres();
const begin = (...flags) => start("--database-url", postgres.url, ...flags);
const instances = [await begin("--access-key", OLD), await begin("--access-key", OLD)];
after(async () => {
  for (const instance of instances) await instance.stop();
  await postgres.stop();
});

/** Starts an instance with flags that replace keys, and has the others read the keys at once. */
async function replaceKeys(...flags) {
  const replacing = await begin(...flags, "--replace-access-key");
  await replacing.stop();
  for (const instance of instances) instance.hangUp();
}

/** Waits until every instance takes a key, or refuses it. */
async function settled(key, isTaken) {
  for (const instance of instances) {
    const client = instance.rooms({ key, retryOptions: { maxRetries: 0 } });
    const takes = () => client.createRoom().then(() => true, () => false);
    for (const until = Date.now() + 10_000; (await takes()) !== isTaken; await sleep(20)) assert.ok(Date.now() < until);
  }
}

test("the access key is changed without a failed call", async () => {
  let [key, isOver, calls] = [OLD, false, 0];
  const calling = (async () => {
    while (!isOver) {
      for (const instance of instances) {
        const client = instance.rooms({ key, retryOptions: { maxRetries: 0 } });
        const { id } = await client.createRoom();
        await client.getRoom(id);
        calls += 2;
      }
    }
  })();
  calling.catch(() => {}); // it is awaited below

  await replaceKeys("--access-key", OLD, "--secondary-access-key", NEW);
  await settled(NEW, true);
  key = NEW;
  await replaceKeys("--access-key", NEW);
  await sleep(200);
  await replaceKeys("--access-key", NEW, "--secondary-access-key", NOBODYS);
  await settled(OLD, false);
  isOver = true;
  await calling;

  assert.ok(calls > 20, `${calls} calls`);
});
