// A client that reads too slowly: others do not wait for it, the server does not grow, and it learns what it lost.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { proxy } from "./proxy.js";
import { ACTION, dialInto } from "./raw.js";
import { attached, clientOf, fresh, inBothFormats, start, state, statuses, UNHURRIED } from "./support.js";
import { record } from "./waiting.js";

const server = await start(UNHURRIED);
after(() => server.stop());

const MEGABYTE = 1024 * 1024;
const MESSAGE = "x".repeat(60_000);

/** The memory that the server has, in bytes. */
function memory() {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${server.pid}/status`, "utf8"));
  return kilobytes * 1024;
}

/** Bob says much, and Carol hears each before he says the next: she is not slow. */
async function talk(bob, carol, channel, megabytes) {
  for (let n = 0; n * MESSAGE.length < megabytes * MEGABYTE; n++) {
    const heard = carol.frames.first(({ messages }) => messages?.[0].name === `${n}`);
    const { action } = await bob.publish(channel, { name: `${n}`, data: MESSAGE });
    assert.equal(action, ACTION.ACK);
    await heard;
  }
}

inBothFormats("a client that reads too slowly", (format) => {
  test("is cut and comes back, and the room tells of a discontinuity", async (t) => {
    const network = await proxy(t, server);
    const ann = await attached(t, network, "ann", fresh(), format);
    const channel = ann.channel.name;
    const bob = await dialInto(t, server, channel, { ...format, clientId: "bob", echo: "false" });
    const carol = await dialInto(t, server, channel, { ...format, clientId: "carol" });
    const [seen, gaps] = [statuses(ann), record((listener) => ann.onDiscontinuity(listener))];
    const heard = record((listener) => ann.channel.subscribe("after", listener));
    const before = memory();

    network.freeze();
    await talk(bob, carol, channel, 50);
    const grown = memory() - before;
    network.thaw();
    const { code } = await gaps.first(() => true);
    await state(ann.channel, "attached");
    await bob.publish(channel, { name: "after" });
    await heard.first(() => true);

    assert.equal(code, 102100);
    assert.ok(grown < 45 * MEGABYTE, `grown by ${grown} bytes`);
    assert.ok(!seen.items.some(({ current }) => current === "failed"));
    assert.equal(clientOf(ann).connection.state, "connected");
  });
}, { concurrency: 1 });
