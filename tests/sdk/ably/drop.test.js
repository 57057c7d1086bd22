// A connection that drops: it counts no more at once, its members stay for a while, in case it comes back.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { proxy } from "./proxy.js";
import { ACTION, channelOf, dialInto, PRESENCE } from "./raw.js";
import { attached, chat, clientOf, fresh, inBothFormats, start, state } from "./support.js";
import { record } from "./waiting.js";

const server = await start(["--occupancy-interval", "200ms"]);
after(() => server.stop());

const OCCUPANCY = { room: { occupancy: { enableEvents: true } } };
const grace = (milliseconds) => ({ transportParams: { remainPresentFor: milliseconds } });
const tells = (connections, presenceMembers) => ({ occupancy }) =>
  occupancy.connections === connections && occupancy.presenceMembers === presenceMembers;
const by = (clientId, wanted) => ({ type, member }) => type === wanted && member.clientId === clientId;

/** Ann's room, with all that she is told in it. */
async function watched(t, name, format) {
  const room = await attached(t, server, "ann", name, { ...format, ...OCCUPANCY });
  return {
    room,
    seen: record((listener) => room.presence.subscribe(listener)),
    counted: record((listener) => room.occupancy.subscribe(listener)),
  };
}

inBothFormats("a connection that drops", (format) => {
  test("counts no more at once, and its member leaves when the grace is over, with its last data", async (t) => {
    const name = fresh();
    const { room, seen, counted } = await watched(t, name, format);
    const network = await proxy(t, server);
    const bob = await attached(t, network, "bob", name, { ...format, ...grace(1500) });
    await bob.presence.enter({ n: 1 });
    await bob.presence.update({ n: 2 });
    await counted.first(tells(2, 1));
    const ids = record((listener) => room.channel.presence.subscribe("leave", ({ id }) => listener(id)));
    const { connectionId } = (await room.presence.get())[0];
    const since = Date.now();

    network.close();
    await counted.first(tells(1, 1));
    const fell = Date.now() - since;
    const { member } = await seen.first(by("bob", "leave"));
    const left = Date.now() - since;
    await counted.first(tells(1, 0));

    assert.ok(fell < 1000, `connections fell after ${fell} ms`);
    assert.ok(left >= 1400 && left < 4000, `left after ${left} ms`);
    assert.deepEqual([member.data, member.connectionId], [{ n: 2 }, connectionId]);
    assert.ok(!ids.items[0].startsWith(`${connectionId}:`), ids.items[0]);
    assert.deepEqual(await room.presence.get(), []);
  });

  test("has never left when it comes back in time", async (t) => {
    const name = fresh();
    const { room, seen, counted } = await watched(t, name, format);
    const [bobs, carols] = [await proxy(t, server), await proxy(t, server)];
    const bob = await attached(t, bobs, "bob", name, { ...format, ...grace(2000) });
    const carol = await attached(t, carols, "carol", name, { ...format, ...grace(2000) });
    await Promise.all([bob.presence.enter(), carol.presence.enter()]);
    await counted.first(tells(3, 2));

    // Carol is dropped after Bob, so that when she has left, his grace would be over, too.
    bobs.close();
    await counted.first(tells(2, 2));
    carols.close();
    bobs.open();
    await state(clientOf(bob).connection, "connected");
    await seen.first(by("carol", "leave"));
    await counted.first(tells(2, 1));

    assert.deepEqual(seen.items.filter(by("bob", "leave")), []);
    assert.equal(await room.presence.isUserPresent("bob"), true);
  });

  test("leaves when it comes back too late, and enters again", async (t) => {
    const name = fresh();
    const { room, seen } = await watched(t, name, format);
    const network = await proxy(t, server);
    const bob = await attached(t, network, "bob", name, { ...format, ...grace(1000) });
    await bob.presence.enter({ n: 1 });
    await seen.first(by("bob", "enter"));
    network.close();
    await seen.first(by("bob", "leave"));

    network.open();
    await seen.until((items) => items.filter(by("bob", "enter")).length === 2);

    assert.deepEqual((await room.presence.get()).map(({ data }) => data), [{ n: 1 }]);
  });

  test("keeps its member for longer when it did not say how long", async (t) => {
    const name = fresh();
    const { room, seen, counted } = await watched(t, name, format);
    const [bobs, carols] = [await proxy(t, server), await proxy(t, server)];
    const bob = await attached(t, bobs, "bob", name, format);
    const carol = await attached(t, carols, "carol", name, { ...format, ...grace(1500) });
    await Promise.all([bob.presence.enter(), carol.presence.enter()]);
    await counted.first(tells(3, 2));

    bobs.close();
    carols.close();
    await seen.first(by("carol", "leave"));

    assert.equal(await room.presence.isUserPresent("bob"), true);
  });
});

inBothFormats("a connection that ends", (format) => {
  for (const [how, end] of [
    ["closes", (room) => clientOf(room).close()],
    ["detaches", (room) => room.detach()],
    ["leaves", (room) => room.presence.leave()],
  ]) {
    test(`leaves at once when it ${how}`, async (t) => {
      const name = fresh();
      const { seen, counted } = await watched(t, name, format);
      const bob = await attached(t, server, "bob", name, format);
      await bob.presence.enter({ n: 1 });
      await counted.first(tells(2, 1));
      const since = Date.now();

      await end(bob);

      const { member } = await seen.first(by("bob", "leave"));
      assert.ok(Date.now() - since < 1000, `${Date.now() - since} ms`);
      assert.deepEqual(member.data, { n: 1 });
      await counted.first(how === "leaves" ? tells(2, 0) : tells(1, 0));
    });
  }

  test("takes all its members with it, in all rooms", async (t) => {
    const [one, other] = [await watched(t, fresh(), format), await watched(t, fresh(), format)];
    const bob = chat(t, server, "bob", format);
    for (const { room } of [one, other]) {
      const his = await bob.rooms.get(room.name);
      await his.attach();
      await his.presence.enter();
    }

    bob.realtime.close();

    for (const { seen, counted } of [one, other]) {
      await seen.first(by("bob", "leave"));
      await counted.first(tells(1, 0));
    }
  });

  test("leaves after two silent intervals when nothing is heard of it", async (t) => {
    const channel = channelOf(fresh());
    const ann = await dialInto(t, server, channel, { ...format, clientId: "ann" });
    const silent = { heartbeats: "true", heartbeatInterval: "5000", remainPresentFor: "1000" };
    const bob = await dialInto(t, server, channel, { ...format, clientId: "bob", ...silent });
    await bob.enter(channel);

    // Nothing is read, and nothing is said, not even that the socket has closed.
    bob.socket._socket.pause();

    const isLeave = ({ presence }) => presence?.[0].action === PRESENCE.LEAVE;
    const left = await ann.frames.first(isLeave, 20_000);
    assert.equal(left.presence[0].clientId, "bob");
  });

  test("stays for a second at least, whatever it asked for", async (t) => {
    const channel = channelOf(fresh());
    const ann = await dialInto(t, server, channel, { ...format, clientId: "ann" });
    const bob = await dialInto(t, server, channel, { ...format, clientId: "bob", remainPresentFor: "1" });
    await bob.enter(channel);
    await ann.next(ACTION.PRESENCE);
    const since = Date.now();

    bob.cut();

    await ann.frames.first(({ presence }) => presence?.[0].action === PRESENCE.LEAVE, 20_000);
    assert.ok(Date.now() - since >= 900, `${Date.now() - since} ms`);
  });
});
