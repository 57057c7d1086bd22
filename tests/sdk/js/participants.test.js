// Participants: who may enter a room and as what, and what is refused where.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { badRequest, malformed, refusal, roster, sending, start, user } from "./support.js";

const server = await start();
after(() => server.stop());
const rooms = server.rooms();

const ROLES = ["Presenter", "Attendee", "Consumer", "Collaborator"];
const NO_ROLE = "Invalid participant role. The valid roles are: Presenter, Attendee, Consumer, Collaborator.";
const PHONE = { phoneNumber: "+14255550123" };

/** A room with Ann, who presents, and Bob, who attends. */
async function roomOfTwo() {
  const [ann, bob] = [user(), user()];
  const room = await rooms.createRoom({ participants: [{ id: ann, role: "Presenter" }, { id: bob }] });
  const both = { [ann.communicationUserId]: "Presenter", [bob.communicationUserId]: "Attendee" };
  return { room, ann, bob, both };
}

for (const role of ROLES) {
  test(`a user is added as ${role}, and everybody else stays`, async () => {
    const { room, both } = await roomOfTwo();
    const cid = user();

    await rooms.addOrUpdateParticipants(room.id, [{ id: cid, role }]);

    assert.deepEqual(await roster(rooms, room), { ...both, [cid.communicationUserId]: role });
  });

  test(`a participant becomes ${role}, and everybody else stays`, async () => {
    const { room, bob, both } = await roomOfTwo();

    await rooms.addOrUpdateParticipants(room.id, [{ id: bob, role }]);

    assert.deepEqual(await roster(rooms, room), { ...both, [bob.communicationUserId]: role });
  });
}

test("a user who is added without a role is an Attendee", async () => {
  const { room, both } = await roomOfTwo();
  const cid = user();

  await rooms.addOrUpdateParticipants(room.id, [{ id: cid }]);

  assert.deepEqual(await roster(rooms, room), { ...both, [cid.communicationUserId]: "Attendee" });
});

test("a participant is listed as the kind of user that was added", async () => {
  const { room, ann } = await roomOfTwo();

  const { value: first } = await rooms.listParticipants(room.id).next();

  assert.deepEqual(first, { id: { kind: "communicationUser", ...ann }, role: "Presenter" });
});

for (const [value, text] of [[{}, "no role"], [{ role: null }, "a role of null"]]) {
  test(`a participant who is sent with ${text} is an Attendee again`, async () => {
    const { room, ann, both } = await roomOfTwo();
    const altered = server.rooms(sending({ participants: { [ann.communicationUserId]: value } }));

    await altered.addOrUpdateParticipants(room.id, []);

    assert.deepEqual(await roster(rooms, room), { ...both, [ann.communicationUserId]: "Attendee" });
  });
}

test("a change of the roster is answered with 200 and an empty object", async () => {
  const { room } = await roomOfTwo();
  let answer;

  await rooms.addOrUpdateParticipants(room.id, [{ id: user() }], { onResponse: (response) => (answer = response) });

  assert.deepEqual([answer.status, answer.bodyAsText], [200, "{}"]);
});

test("a change without anybody changes nothing", async () => {
  const { room, both } = await roomOfTwo();

  await rooms.addOrUpdateParticipants(room.id, []);

  assert.deepEqual(await roster(rooms, room), both);
});

test("participants are removed, and everybody else stays", async () => {
  const { room, ann, bob } = await roomOfTwo();
  const cid = user();
  await rooms.addOrUpdateParticipants(room.id, [{ id: cid, role: "Consumer" }]);

  await rooms.removeParticipants(room.id, [ann, bob]);

  assert.deepEqual(await roster(rooms, room), { [cid.communicationUserId]: "Consumer" });
});

test("the removal of somebody who is not in the room changes nothing", async () => {
  const { room, both } = await roomOfTwo();

  await rooms.removeParticipants(room.id, [user()]);

  assert.deepEqual(await roster(rooms, room), both);
});

const UNSUPPORTED = {
  "8:acs:nonExistentParticipant": { communicationUserId: "8:acs:nonExistentParticipant" },
  "invalid": { communicationUserId: "invalid" },
  "4:+14255550123": PHONE,
  "8:orgid:8f3a2d5e-0000-4000-8000-1c9b3f7e2a10": { microsoftTeamsUserId: "8f3a2d5e-0000-4000-8000-1c9b3f7e2a10" },
};
for (const [rawId, identifier] of Object.entries(UNSUPPORTED)) {
  test(`a removal that names ${rawId} is refused, and nobody is removed`, async () => {
    const { room, ann, both } = await roomOfTwo();

    const refused = await refusal(rooms.removeParticipants(room.id, [ann, identifier]));

    assert.deepEqual(refused, badRequest(`Communication identifier ${rawId} is not supported.`));
    assert.deepEqual(await roster(rooms, room), both);
  });
}

test("a malformed id is refused when it is added, and nobody is added", async () => {
  const { room, both } = await roomOfTwo();

  const participants = [{ id: user() }, { id: { communicationUserId: "8:acs:nonExistentParticipant" } }];
  const refused = await refusal(rooms.addOrUpdateParticipants(room.id, participants));

  assert.deepEqual(refused, badRequest("Communication identifier 8:acs:nonExistentParticipant is not supported."));
  assert.deepEqual(await roster(rooms, room), both);
});

for (const apiVersion of ["2023-06-14", "2024-04-15"]) {
  test(`at version ${apiVersion} a malformed id is refused in the words of that version`, async () => {
    const { room } = await roomOfTwo();

    const refused = await refusal(
      server.rooms({ apiVersion }).removeParticipants(room.id, [{ communicationUserId: "invalid" }]),
    );

    assert.deepEqual(refused, badRequest("Invalid value for the Participants."));
  });
}

test("a malformed id is refused on create", async () => {
  const participants = [{ id: user() }, { id: { communicationUserId: "invalid" } }];

  const refused = await refusal(rooms.createRoom({ participants }));

  assert.deepEqual(refused, badRequest("Invalid format for communication identifier."));
});

for (const role of ["Kafka", "presenter"]) {
  test(`the role ${role} is refused on create and on update, and nobody is added`, async () => {
    const { room, both } = await roomOfTwo();
    const [cid, dan] = [user().communicationUserId, user().communicationUserId];
    const altered = server.rooms(sending({ participants: { [cid]: {}, [dan]: { role } } }));

    const refusals = [
      await refusal(altered.createRoom()),
      await refusal(altered.addOrUpdateParticipants(room.id, [])),
    ];

    const expected = malformed([`$.participants.${dan}.role`, NO_ROLE]);
    assert.deepEqual(refusals, [expected, expected]);
    assert.deepEqual(await roster(rooms, room), both);
  });
}

test("a roster holds 350 and not one more", async () => {
  const participants = Array.from({ length: 350 }, () => ({ id: user() }));
  const room = await rooms.createRoom({ participants });

  const refused = await refusal(rooms.addOrUpdateParticipants(room.id, [{ id: user() }]));

  assert.deepEqual([refused.statusCode, refused.details[0].target], [400, "$.participants"]);
  assert.equal(Object.keys(await roster(rooms, room)).length, 350);
});

test("the client itself refuses a role that it does not know", async () => {
  const { room } = await roomOfTwo();

  const call = rooms.addOrUpdateParticipants(room.id, [{ id: user(), role: "Kafka" }]);

  await assert.rejects(call, (error) => error.statusCode === undefined && /^Error "Kafka is not a valid/.test(error.message));
});

test("the client itself refuses to add a phone number", async () => {
  const { room } = await roomOfTwo();

  const call = rooms.addOrUpdateParticipants(room.id, [{ id: PHONE }]);

  await assert.rejects(call, { message: "We currently only support CommunicationUsers" });
});
