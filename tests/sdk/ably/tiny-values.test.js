// Data of many tiny values: it takes the memory of its bytes, however many are told of it, and comes out as it went in.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, test } from "node:test";
import { ACTION, channelOf, dial, dialInto, PRESENCE } from "./raw.js";
import { fresh, inBothFormats, start, UNHURRIED } from "./support.js";

const server = await start(UNHURRIED);
after(() => server.stop());

/** What the server has in memory, in MiB. */
async function resident() {
  const status = await readFile(`/proc/${server.pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)[1]) / 1024;
}

const tiny = (count) => Array.from({ length: count }, () => ({ "": "" }));

inBothFormats("data of many tiny values", (format) => {
  test("a hundred members with 15 KB of it each are let in, and take the memory of their bytes", async (t) => {
    const channel = channelOf(fresh());
    const backend = await dialInto(t, server, channel, format);
    const before = await resident();

    for (let n = 0; n < 100; n += 1) {
      const presence = [{ action: PRESENCE.ENTER, clientId: `member ${n}`, data: tiny(1_900) }];
      const answer = await backend.ask({ action: ACTION.PRESENCE, channel, presence });
      assert.equal(answer.action, ACTION.ACK, JSON.stringify(answer.error));
    }
    const others = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const other = await dialInto(t, server, channel, format);
        await other.frames.first(({ action, channelSerial }) => action === ACTION.SYNC && channelSerial.endsWith(":"));
        return other.frames.items.filter(({ action }) => action === ACTION.SYNC).flatMap(({ presence }) => presence);
      }),
    );

    assert.deepEqual(others.map((members) => members.length), Array(10).fill(100));
    assert.deepEqual(others[0][0].data, tiny(1_900));
    const grown = (await resident()) - before;
    assert.ok(grown < 40, `${grown} MiB more`);
  });

  test("a frame full of it takes the memory of its bytes while it is read", async (t) => {
    const ann = await dial(t, server, format);
    await ann.connected();
    const before = await resident();

    for (const frame of [{ data: tiny(60_000) }, { extras: { x: tiny(60_000) } }]) {
      const { error } = await ann.publish(channelOf(fresh()), frame);
      assert.equal(error.code, 40009);
    }
    ann.send({ action: ACTION.ATTACH, channel: channelOf(fresh()), params: { x: tiny(60_000) } });
    assert.equal((await ann.next(ACTION.ATTACHED)).action, ACTION.ATTACHED);

    const grown = (await resident()) - before;
    assert.ok(grown < 15, `${grown} MiB more`);
  });
});

for (const [from, to] of [[false, true], [true, false]]) {
  const name = (binary) => (binary ? "MessagePack" : "JSON");
  test(`values of every kind are the same in ${name(to)} as they were in ${name(from)}`, async (t) => {
    const channel = channelOf(fresh());
    const data = { list: [1, -1, 2 ** 40, 1.5, true, null, "ä\n\"", [], {}], "": { "": "" }, long: "x".repeat(300) };
    const extras = { headers: { a: 1 }, userClaim: "admin", nested: [{ userClaim: "is data here" }] };
    const ann = await dialInto(t, server, channel, { useBinaryProtocol: from });
    const bob = await dialInto(t, server, channel, { useBinaryProtocol: to });
    const same = await dialInto(t, server, channel, { useBinaryProtocol: from });

    await ann.publish(channel, { name: "values", data, extras });

    for (const listener of [bob, same]) {
      const { messages } = await listener.next(ACTION.MESSAGE, channel);
      assert.deepEqual(messages[0].data, data);
      const { userClaim, ...others } = extras;
      assert.deepEqual(messages[0].extras, others);
    }
  });
}

test("all rooms together keep no more of their members than they may, and take others when some have left", async (t) => {
  const small = await start([...UNHURRIED, "--max-presence-memory", "100000"]);
  t.after(() => small.stop());
  const [one, two] = [channelOf(fresh()), channelOf(fresh())];
  const backend = await dialInto(t, small, one);
  await backend.attach(two);

  const enter = async (channel, clientId, bytes) =>
    (await backend.enter(channel, { clientId, data: "x".repeat(bytes) })).error?.code;
  assert.equal(await enter(one, "a", 50_000), undefined);
  assert.equal(await enter(two, "b", 60_000), 91006);
  assert.equal(await enter(one, "a", 60_000), undefined, "it takes the place of what was");
  backend.send({ action: ACTION.DETACH, channel: one });
  assert.equal(await enter(two, "b", 60_000), undefined);
});
