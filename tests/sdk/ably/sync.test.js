// SYNC: how a connection learns who is there already.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { ACTION, channelOf, dial, dialInto, FLAG, PRESENCE, ROOM_MODES } from "./raw.js";
import { fresh, inBothFormats, start, UNHURRIED } from "./support.js";

const server = await start(UNHURRIED);
after(() => server.stop());

/** Enters that many members over one connection, in frames of ten. */
async function populate(connection, channel, number) {
  for (let first = 0; first < number; first += 10) {
    const presence = Array.from({ length: Math.min(10, number - first) }, (_, n) => ({
      action: PRESENCE.ENTER, clientId: `member ${first + n}`, data: `${first + n}`,
    }));
    await connection.ask({ action: ACTION.PRESENCE, channel, presence });
  }
}

const isLast = ({ action, channelSerial }) => action === ACTION.SYNC && /:$/.test(channelSerial);

inBothFormats("who is there already", (format) => {
  test("is told right after ATTACHED, in one page that is the last", async (t) => {
    const channel = channelOf(fresh());
    const ann = await dialInto(t, server, channel, { ...format, clientId: "ann" });
    await ann.enter(channel, { data: '{"n":1}', encoding: "json" });
    const { connectionId } = await ann.connected();
    const { timestamp } = (await ann.next(ACTION.PRESENCE)).presence[0];

    const bob = await dialInto(t, server, channel, { ...format, clientId: "bob" });
    await bob.frames.first(isLast);

    const [, attached, sync] = bob.frames.items;
    assert.equal(attached.flags, ROOM_MODES | FLAG.HAS_PRESENCE);
    assert.deepEqual([sync.action, sync.channel], [ACTION.SYNC, channel]);
    assert.match(sync.channelSerial, /^[A-Za-z0-9_-]+:$/);
    assert.deepEqual(sync.presence, [{
      id: `${connectionId}:0:0`, action: PRESENCE.PRESENT, clientId: "ann", connectionId,
      data: '{"n":1}', encoding: "json", timestamp,
    }]);
  });

  test("is nobody in an empty room, of which no SYNC tells", async (t) => {
    const ann = await dialInto(t, server, channelOf(fresh()), { ...format, clientId: "ann" });

    await ann.settled();

    const [, attached, next] = ann.frames.items;
    assert.equal(attached.flags, ROOM_MODES);
    assert.equal(next.action, ACTION.HEARTBEAT);
  });

  test("is not told to who may not hear of presence", async (t) => {
    const channel = channelOf(fresh());
    const ann = await dialInto(t, server, channel, { ...format, clientId: "ann" });
    await ann.enter(channel);
    const flags = ROOM_MODES & ~FLAG.PRESENCE_SUBSCRIBE;

    const bob = await dialInto(t, server, channel, { ...format, clientId: "bob", attach: { flags } });
    await bob.settled();

    const [, attached, next] = bob.frames.items;
    assert.deepEqual([attached.flags, next.action], [flags, ACTION.HEARTBEAT]);
  });

  test("is told in pages when it is many", async (t) => {
    const channel = channelOf(fresh());
    await populate(await dialInto(t, server, channel, format), channel, 150);

    const bob = await dialInto(t, server, channel, { ...format, clientId: "bob" });
    await bob.frames.first(isLast);

    const pages = bob.frames.items.filter(({ action }) => action === ACTION.SYNC);
    assert.ok(pages.length >= 2, `${pages.length} page`);
    const [ids, cursors] = [0, 1].map((at) => pages.map(({ channelSerial }) => channelSerial.split(":")[at]));
    assert.equal(new Set(ids).size, 1);
    assert.match(ids[0], /^[A-Za-z0-9_-]+$/);
    assert.deepEqual(cursors.map((cursor) => cursor === ""), pages.map((_, index) => index === pages.length - 1));
    const members = pages.flatMap(({ presence }) => presence);
    assert.deepEqual(
      members.map(({ clientId, action, data }) => [clientId, action, data]).toSorted(),
      Array.from({ length: 150 }, (_, n) => [`member ${n}`, PRESENCE.PRESENT, `${n}`]).toSorted(),
    );
    assert.equal(new Set(members.map(({ id }) => id)).size, 150);
  });

  test("is whole though members come and go meanwhile", async (t) => {
    const channel = channelOf(fresh());
    const crowd = await dialInto(t, server, channel, format);
    await populate(crowd, channel, 150);
    const bob = await dial(t, server, { ...format, clientId: "bob" });
    await bob.connected();

    const changes = [
      crowd.enter(channel, { clientId: "member 3", action: PRESENCE.LEAVE }),
      crowd.enter(channel, { clientId: "newcomer" }),
    ];
    await bob.attach(channel);
    await Promise.all([...changes, crowd.enter(channel, { clientId: "member 4", action: PRESENCE.LEAVE })]);
    await bob.settled();

    const there = present(bob.frames.items);
    assert.deepEqual([there.length, there.includes("newcomer")], [149, true]);
    assert.deepEqual([there.includes("member 3"), there.includes("member 4")], [false, false]);
  });

  test("is the same for all of a crowd that comes, enters and goes at once", async (t) => {
    const channel = channelOf(fresh());
    const crowd = await Promise.all(Array.from({ length: 60 }, async (_, n) => {
      const one = await dialInto(t, server, channel, { ...format, clientId: `member ${n}` });
      await one.enter(channel);
      // Every third is gone again before the last has come.
      if (n % 3 === 0) one.send({ action: ACTION.DETACH, channel });
      return one;
    }));
    const left = crowd.filter((_, n) => n % 3 !== 0);
    const wanted = left.map((_, n) => `member ${Math.floor(n / 2) * 3 + (n % 2) + 1}`).toSorted();

    for (const one of left) await one.frames.until((frames) => isDeepStrictEqual(present(frames), wanted));
  });
});

/** Who is there, to whoever was told these frames. */
function present(frames) {
  const there = new Set();
  for (const { action, clientId } of frames.flatMap(({ presence }) => presence ?? [])) {
    if (action === PRESENCE.LEAVE) there.delete(clientId);
    else there.add(clientId);
  }
  return [...there].toSorted();
}
