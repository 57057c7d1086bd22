// Rooms: making, reading, changing and deleting them, and the rules of their time.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { DAY, NOT_FOUND, all, malformed, refusal, roster, sending, start, user } from "./support.js";

const server = await start();
after(() => server.stop());
const rooms = server.rooms();

/** A window by its ends, in days from now. */
function window(from, until) {
  const now = Date.now();
  return { validFrom: new Date(now + from * DAY), validUntil: new Date(now + until * DAY) };
}

/** Asserts that `instant` is now plus `days`, now being some time between `since` and this moment. */
function assertNow(instant, since, days = 0) {
  const now = instant.getTime() - days * DAY;
  assert.ok(since <= now && now <= Date.now(), `${instant.toISOString()} is not ${days} days from now`);
}

const EMPTY_CREATES = {
  "an empty map of participants": [],
  "an empty object": [sending({})],
  "nulls for everything": [sending({ validFrom: null, validUntil: null, pstnDialOutEnabled: null, participants: null })],
  "zero bytes": [sending(undefined)],
};
for (const [body, options] of Object.entries(EMPTY_CREATES)) {
  test(`a room made with ${body} is open from now on for 180 days, empty and without dial-out`, async () => {
    const since = Date.now();

    const room = await server.rooms(...options).createRoom();

    assert.match(room.id, /^[0-9]{16,18}$/);
    assertNow(room.createdOn, since);
    assertNow(room.validFrom, since);
    assertNow(room.validUntil, since, 180);
    assert.equal(room.pstnDialOutEnabled, false);
    assert.deepEqual(await roster(rooms, room), {});
  });
}

test("a room has what it was made with, its times to the millisecond", async () => {
  const [ann, bob] = [user(), user()];
  const validFrom = new Date(Math.floor(Date.now() / 1000) * 1000 + DAY + 7);
  const validUntil = new Date(validFrom.getTime() + DAY + 120);
  const participants = [{ id: ann, role: "Presenter" }, { id: bob }];

  const room = await rooms.createRoom({ validFrom, validUntil, pstnDialOutEnabled: true, participants });

  const { id, createdOn, ...rest } = room;
  assert.deepEqual(rest, { validFrom, validUntil, pstnDialOutEnabled: true });
  assert.deepEqual(await rooms.getRoom(id), room);
  assert.deepEqual(await roster(rooms, room), {
    [ann.communicationUserId]: "Presenter",
    [bob.communicationUserId]: "Attendee",
  });
});

test("a create is answered with 201, the room's id as location, and that it may be repeated", async () => {
  let answer;

  const room = await rooms.createRoom({ onResponse: (response) => (answer = response) });

  assert.equal(answer.status, 201);
  assert.equal(answer.headers.get("location"), room.id);
  assert.equal(answer.headers.get("repeatability-result"), "accepted");
});

test("an end that is not given lies 180 days from now, wherever the start is", async () => {
  const since = Date.now();
  const validFrom = new Date(since + 2 * DAY);

  const room = await rooms.createRoom({ validFrom });

  assert.deepEqual(room.validFrom, validFrom);
  assertNow(room.validUntil, since, 180);
});

test("a start that is not given is now", async () => {
  const since = Date.now();
  const validUntil = new Date(since + DAY);

  const room = await rooms.createRoom({ validUntil });

  assertNow(room.validFrom, since);
  assert.deepEqual(room.validUntil, validUntil);
});

const RANGE = ["ValidUntil", "The time range is incorrect, or larger than 180 days."];
const PAST = ["ValidUntil", "The time range end is in the past."];
const FAR = ["ValidFrom", "Value is incorrect or more than 180 days in the future."];
const WINDOWS = {
  "that is exactly 180 days long": [[0, 180]],
  "that began in the past": [[-1, 1]],
  "longer than 180 days": [[0, 181], RANGE],
  "that ends before it starts": [[2, 1], RANGE],
  "that ends as it starts": [[1, 1], RANGE],
  "that is over": [[-2, -1], PAST],
  "that is over and ends before it starts": [[-1, -2], PAST],
  "that starts in more than 180 days": [[181, 182], FAR],
  "that starts in more than 180 days and is too long": [[181, 362], FAR, RANGE],
  "that starts in more than 180 days and is over": [[181, -1], FAR, PAST],
};
for (const [which, [days, ...reasons]] of Object.entries(WINDOWS)) {
  test(`a window ${which} is ${reasons.length ? "refused" : "taken"} on create`, async () => {
    const given = window(...days);

    const call = rooms.createRoom(given);

    if (reasons.length) return assert.deepEqual(await refusal(call), malformed(...reasons));
    const { validFrom, validUntil } = await call;
    assert.deepEqual({ validFrom, validUntil }, given);
  });

  test(`a window ${which} is ${reasons.length ? "refused" : "taken"} on update`, async () => {
    const room = await rooms.createRoom();
    const given = window(...days);

    const call = rooms.updateRoom(room.id, given);

    if (reasons.length) assert.deepEqual(await refusal(call), malformed(...reasons));
    else assert.deepEqual(await call, { ...room, ...given });
    assert.deepEqual(await rooms.getRoom(room.id), reasons.length ? room : { ...room, ...given });
  });
}

const EMPTY_UPDATES = {
  "an empty object": [],
  "nulls for everything": [sending({ validFrom: null, validUntil: null, pstnDialOutEnabled: null })],
};
for (const [body, options] of Object.entries(EMPTY_UPDATES)) {
  test(`an update with ${body} keeps everything`, async () => {
    const ann = user();
    const participants = [{ id: ann, role: "Consumer" }];
    const room = await rooms.createRoom({ ...window(1, 2), pstnDialOutEnabled: true, participants });

    const updated = await server.rooms(...options).updateRoom(room.id);

    assert.deepEqual(updated, room);
    assert.deepEqual(await rooms.getRoom(room.id), room);
    assert.deepEqual(await roster(rooms, room), { [ann.communicationUserId]: "Consumer" });
  });
}

test("an update of dial-out alone changes nothing else", async () => {
  const room = await rooms.createRoom();

  const updated = await rooms.updateRoom(room.id, { pstnDialOutEnabled: true });

  assert.deepEqual(updated, { ...room, pstnDialOutEnabled: true });
});

test("an update of the window alone keeps dial-out", async () => {
  const room = await rooms.createRoom({ pstnDialOutEnabled: true });

  const updated = await rooms.updateRoom(room.id, window(1, 2));

  assert.equal(updated.pstnDialOutEnabled, true);
});

for (const end of ["validFrom", "validUntil"]) {
  test(`an update of ${end} alone is refused`, async () => {
    const room = await rooms.createRoom();

    const refused = await refusal(rooms.updateRoom(room.id, { [end]: new Date(Date.now() + DAY) }));

    assert.deepEqual(refused, malformed(["", "validFrom and validUntil should be set together."]));
    assert.deepEqual(await rooms.getRoom(room.id), room);
  });
}

test("a room is deleted once, and then it is not found", async () => {
  const room = await rooms.createRoom();
  let answer;

  await rooms.deleteRoom(room.id, { onResponse: (response) => (answer = response) });

  assert.deepEqual([answer.status, answer.bodyAsText], [204, ""]);
  assert.deepEqual(await refusal(rooms.deleteRoom(room.id)), NOT_FOUND);
  assert.deepEqual(await refusal(rooms.getRoom(room.id)), NOT_FOUND);
  assert.deepEqual(await refusal(rooms.updateRoom(room.id, {})), NOT_FOUND);
  assert.deepEqual(await refusal(all(rooms.listParticipants(room.id))), NOT_FOUND);
});
