// Liveness: who answers stays connected, whatever else is sent; who does not is noticed.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { proxy } from "./proxy.js";
import { ACTION, channelOf, dial, dialInto } from "./raw.js";
import { attached, clientOf, fresh, inBothFormats, start, statuses } from "./support.js";
import { pass, record } from "./waiting.js";

const server = await start();
after(() => server.stop());

const FIVE_SECONDS = { transportParams: { heartbeatInterval: 5000 } };

/** Publishes something every second until the test `t` ends. */
async function publishing(t, name, format) {
  const bob = await dialInto(t, server, channelOf(name), { ...format, clientId: "bob", echo: "false" });
  // The last publish may go unanswered because the test ends.
  const tick = () => bob.publish(channelOf(name), { name: "tick" }).catch(() => {});
  const timer = setInterval(tick, 1000);
  t.after(() => clearInterval(timer));
}

inBothFormats("liveness", (format) => {
  test("who only listens in a busy room sees no change of state in 40 s", async (t) => {
    const name = fresh();
    const room = await attached(t, server, "ann", name, { ...format, ...FIVE_SECONDS });
    const connection = record((listener) => clientOf(room).connection.on(listener));
    const [channel, heard] = [statuses(room), record((listener) => room.channel.subscribe("tick", listener))];
    await publishing(t, name, format);

    await pass(40_000);

    assert.deepEqual([connection.items, channel.items], [[], []]);
    assert.ok(heard.items.length >= 38, `${heard.items.length} messages`);
  });

  test("who is gone without a word leaves a busy room after two intervals", async (t) => {
    const name = fresh();
    const network = await proxy(t, server);
    const gone = await dial(t, network, { ...format, clientId: "ann", heartbeatInterval: "5000" });
    await gone.connected();
    await gone.attach(channelOf(name));
    await publishing(t, name, format);
    const carol = await attached(t, server, "carol", name, { ...format, room: { occupancy: { enableEvents: true } } });
    const seen = record((listener) => carol.occupancy.subscribe(listener));
    await seen.first(({ occupancy }) => occupancy.connections === 3);

    network.muteClient();

    await seen.first(({ occupancy }) => occupancy.connections === 2, 13_000);
  });

  test("who does not say that pings are enough hears heartbeats, also in a busy room", async (t) => {
    const name = fresh();
    await publishing(t, name, format);
    for (const heartbeats of [undefined, "bounce", "true"]) {
      const client = await dial(t, server, { ...format, clientId: "ann", heartbeats, heartbeatInterval: "5000" });
      await client.connected();
      await client.attach(channelOf(name));

      await client.frames.first(({ action, id }) => action === ACTION.HEARTBEAT && id === undefined, 6000);
    }
  });
}, { concurrency: 4 });
