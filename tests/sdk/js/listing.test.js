// Listing: rooms come in pages of 30, newest first.
import assert from "node:assert/strict";
import { test } from "node:test";
import { all, start } from "./support.js";

/** A server of the test's own with so many rooms; their ids come newest first. */
async function serverWith(t, count) {
  const server = await start();
  t.after(server.stop);
  const rooms = server.rooms();
  const ids = [];
  for (let made = 0; made < count; made++) ids.unshift((await rooms.createRoom()).id);
  return { rooms, ids };
}

test("a server without rooms lists none", async (t) => {
  const { rooms } = await serverWith(t, 0);

  const pages = await all(rooms.listRooms().byPage());

  assert.deepEqual(pages.flat(), []);
});

test("65 rooms come in pages of 30, 30 and 5, or one by one, newest first", async (t) => {
  const { rooms, ids } = await serverWith(t, 65);

  const pages = await all(rooms.listRooms().byPage());
  const oneByOne = await all(rooms.listRooms());

  assert.deepEqual(pages.map((page) => page.length), [30, 30, 5]);
  assert.deepEqual(pages.flat().map((room) => room.id), ids);
  assert.deepEqual(oneByOne, pages.flat());
  assert.deepEqual(oneByOne[0], await rooms.getRoom(ids[0]));
});

test("30 rooms are one page, with no empty one behind it", async (t) => {
  const { rooms, ids } = await serverWith(t, 30);

  const pages = await all(rooms.listRooms().byPage());

  assert.deepEqual(pages.map((page) => page.map((room) => room.id)), [ids]);
});

test("rooms that are deleted while a client pages make it miss none of the others", async (t) => {
  const { rooms, ids } = await serverWith(t, 35);
  const pages = rooms.listRooms().byPage();
  await pages.next();

  await rooms.deleteRoom(ids[0]);
  await rooms.deleteRoom(ids[29]);
  const { value: second } = await pages.next();

  assert.deepEqual(second.map((room) => room.id), ids.slice(30));
});

test("the client itself refuses another size of pages", async (t) => {
  const { rooms } = await serverWith(t, 0);

  const call = all(rooms.listRooms().byPage({ maxPageSize: 5 }));

  await assert.rejects(call, { message: "maxPageSize is not supported by this operation." });
});
