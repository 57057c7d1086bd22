// Retries: a create whose answer was lost on the way is sent again by the client, and makes one room.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { after, test } from "node:test";
import { RoomsClient } from "@azure/communication-rooms";
import { all, start, user } from "./support.js";

const server = await start();
after(() => server.stop());

/** A proxy that hands on what comes, but for the service's first answer: `lose` gets the client's socket in its place. */
async function proxy(t, lose) {
  const seen = { requests: "", lost: "" };
  const { hostname, port } = new URL(server.http);
  let connections = 0;
  const listener = createServer((client) => {
    const service = connect(Number(port), hostname);
    client.on("data", (bytes) => (seen.requests += bytes));
    client.on("error", () => service.destroy());
    service.on("error", () => client.destroy());
    client.pipe(service);
    if (connections++ > 0) return service.pipe(client);
    service.once("data", (bytes) => {
      seen.lost = String(bytes);
      service.destroy();
      lose(client);
    });
  });
  await once(listener.listen(0, "127.0.0.1"), "listening");
  t.after(() => listener.close());
  const connectionString = `endpoint=http://127.0.0.1:${listener.address().port}/;accesskey=${server.accessKey}`;
  const options = { allowInsecureConnection: true, retryOptions: { retryDelayInMs: 1 } };
  return { rooms: new RoomsClient(connectionString, options), seen };
}

async function listedIds() {
  return (await all(server.rooms().listRooms())).map((room) => room.id);
}

const LOSSES = {
  "with the connection": (client) => client.resetAndDestroy(),
  "behind a 503": (client) => client.end("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
};
for (const [how, lose] of Object.entries(LOSSES)) {
  test(`a create whose answer is lost ${how} makes one room`, async (t) => {
    const { rooms, seen } = await proxy(t, lose);
    const before = await listedIds();

    const room = await rooms.createRoom({ pstnDialOutEnabled: true, participants: [{ id: user() }] });

    const made = (await listedIds()).filter((id) => !before.includes(id));
    assert.deepEqual(made, [room.id]);
    assert.match(seen.lost, /^HTTP\/1\.1 201 /);
    assert.ok(seen.lost.includes(room.id), seen.lost);
    const ids = [...seen.requests.matchAll(/^repeatability-request-id: (\S+)/gim)].map(([, id]) => id);
    assert.equal(ids.length, 2);
    assert.equal(ids[0], ids[1]);
  });
}

test("two creates with the same content make two rooms", async () => {
  const rooms = server.rooms();

  const [first, second] = [await rooms.createRoom(), await rooms.createRoom()];

  assert.notEqual(first.id, second.id);
});
