// Errors: what a caller of the vendor's client reads when the service refuses.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { DAY, NOT_FOUND, all, badRequest, malformed, refusal, sending, start, user } from "./support.js";

const server = await start();
after(() => server.stop());
const rooms = server.rooms();

/** Every call that names a room. */
function callsOn(id) {
  return {
    getRoom: () => rooms.getRoom(id),
    updateRoom: () => rooms.updateRoom(id, { pstnDialOutEnabled: true }),
    deleteRoom: () => rooms.deleteRoom(id),
    listParticipants: () => all(rooms.listParticipants(id)),
    addOrUpdateParticipants: () => rooms.addOrUpdateParticipants(id, [{ id: user() }]),
    removeParticipants: () => rooms.removeParticipants(id, [user()]),
  };
}

const NO_ROOMS = {
  "123": badRequest("Invalid room ID length."),
  "Invalid": badRequest("Invalid room ID length."),
  "invalid_id": badRequest("Invalid room ID length."),
  "NotExistingRoomID": badRequest("Invalid room ID."),
  "non-existingroomId": badRequest("Invalid room ID."),
  "9946919857838155": NOT_FOUND,
  "99480215317774646": NOT_FOUND,
  "999058871389949120": NOT_FOUND,
};
for (const [id, expected] of Object.entries(NO_ROOMS)) {
  for (const [name, call] of Object.entries(callsOn(id))) {
    test(`${name} of ${id} is refused with ${expected.statusCode}: ${expected.message}`, async () => {
      assert.deepEqual(await refusal(call()), expected);
    });
  }
}

test("an error has the status, the code, the message and the whole answer", async () => {
  const room = await rooms.createRoom();

  const error = await rooms.updateRoom(room.id, { validFrom: new Date() }).catch((error) => error);

  const { statusCode, ...answer } = malformed(["", "validFrom and validUntil should be set together."]);
  assert.equal(error.name, "RestError");
  assert.equal(error.statusCode, statusCode);
  assert.equal(error.code, answer.code);
  assert.equal(error.message, answer.message);
  assert.deepEqual(error.details.error, answer);
  assert.equal(error.details.errorCode, answer.code); // x-ms-error-code
  assert.match(error.response.headers.get("content-type"), /^application\/json/);
});

test("a refused call reaches the service once", async () => {
  let attempts = 0;
  const policy = { name: "count", sendRequest: (request, next) => (attempts++, next(request)) };
  const counting = server.rooms({ additionalPolicies: [{ policy, position: "perRetry" }] });

  await refusal(counting.getRoom("123"));

  assert.equal(attempts, 1);
});

test("a bad id is told before a participant that is not supported", async () => {
  const refused = await refusal(rooms.removeParticipants("123", [{ communicationUserId: "invalid" }]));

  assert.deepEqual(refused, badRequest("Invalid room ID length."));
});

test("a bad body is told before an unknown room", async () => {
  const refused = await refusal(rooms.updateRoom("99480215317774646", { validUntil: new Date(Date.now() + DAY) }));

  assert.deepEqual(refused, malformed(["", "validFrom and validUntil should be set together."]));
});

test("a member of the wrong type is refused by its path", async () => {
  const { details, ...refused } = await refusal(server.rooms(sending({ pstnDialOutEnabled: "yes" })).createRoom());

  assert.deepEqual({ ...refused, details: [] }, malformed());
  assert.deepEqual(details.map(({ code, target }) => [code, target]), [["BadArgument", "$.pstnDialOutEnabled"]]);
});

for (const apiVersion of ["2023-06-14", "2023-10-30-preview", "2024-04-15", "2025-02-28-preview", "2025-03-13"]) {
  test(`version ${apiVersion} is served`, async () => {
    const room = await server.rooms({ apiVersion }).createRoom({ participants: [{ id: user(), role: "Collaborator" }] });

    assert.equal(room.pstnDialOutEnabled, false);
  });
}

test("a version that is not served is refused by its name", async () => {
  const { message, ...refused } = await refusal(server.rooms({ apiVersion: "2021-04-07" }).createRoom());

  assert.deepEqual(refused, { statusCode: 400, code: "UnsupportedApiVersion" });
  assert.match(message, /^The HTTP resource that matches the request URI '.+' does not support the API version '2021-04-07'\.$/);
});
