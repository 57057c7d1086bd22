// The database is away for a while: who is in a room stays there, and only what needs the database waits.
import assert from "node:assert/strict";
import { readdirSync, readlinkSync } from "node:fs";
import { test } from "node:test";
import { attached, chat, clientOf, fresh, start, state } from "./support.js";
import { pass, record } from "./waiting.js";

const QUICK = { channelRetryTimeout: 500 };

/** Stops every process of the server's database, as a machine that hangs does, and gives what lets them go on. */
function hold(server) {
  const data = `${server.folder}/postgres/data`;
  const isOfDatabase = (pid) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`) === data;
    } catch {
      return false;
    }
  };
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && isOfDatabase(name)).map(Number);
  assert.ok(pids.length > 0);
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  return () => pids.forEach((pid) => process.kill(pid, "SIGCONT"));
}

test("200 clients that each enter one more room while the database is held for 8 s lose nothing", async (t) => {
  const server = await start(["--max-members", "300"]);
  t.after(() => server.stop());
  const lobby = fresh("lobby");
  const rooms = await Promise.all(
    Array.from({ length: 200 }, (_, n) => attached(t, server, `client ${n}`, lobby, QUICK)),
  );
  await Promise.all(rooms.map((room) => room.presence.enter()));
  const connections = record((listener) => rooms.forEach((room) => clientOf(room).connection.on(listener)));
  const inLobby = record((listener) => rooms.forEach((room) => room.onStatusChange(listener)));
  const left = record((listener) => rooms[0].presence.subscribe("leave", listener));

  const release = hold(server);
  const entering = rooms.map(async (room, n) => {
    const channel = clientOf(room).channels.get(`more ${n % 20}::$chat`);
    await channel.attach().catch(({ code }) => assert.equal(code, 50003));
    await state(channel, "attached", 30_000);
  });
  await pass(8000);
  release();
  await Promise.all(entering);

  assert.deepEqual([connections.items, inLobby.items, left.items], [[], [], []]);
  assert.equal((await rooms[0].presence.get()).length, 200);
});

test("a room that can't be checked in time is suspended alone, and attached when it can", async (t) => {
  const server = await start();
  t.after(() => server.stop());
  const client = chat(t, server, "ann", QUICK);
  const there = await client.rooms.get("there");
  await there.attach();
  const connection = record((listener) => client.realtime.connection.on(listener));

  const release = hold(server);
  const late = await client.rooms.get("late");
  const attaching = late.attach();
  await there.presence.enter(); // what needs no database goes on
  const error = await attaching.then(() => assert.fail("attached without a database"), (error) => error);
  const status = late.status;
  release();
  await state(late.channel, "attached", 20_000);

  assert.deepEqual([status, error.code], ["suspended", 50003]);
  assert.deepEqual([there.status, late.status], ["attached", "attached"]);
  assert.deepEqual(connection.items, []);
});
