// The client that openapi-typescript and openapi-fetch make from openapi.yaml; its calls are type-checked against it too.
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { after, test } from "node:test";
import { given, start, user } from "./support.js";

const server = await start();
after(() => server.stop());
const client = server.client();

const query = /** @type {const} */ ({ "api-version": "2025-03-13" });
const MERGE_PATCH = { "Content-Type": "application/merge-patch+json" };
const HOUR = 60 * 60 * 1000;

/** @param {string} roomId */
const at = (roomId) => ({ params: { path: { roomId }, query } });
/** @param {number} hours */
const inHours = (hours) => new Date(Date.now() + hours * HOUR).toISOString();
/** @param {import("./support.js").Paths["/rooms"]["post"]["requestBody"]} [requestBody] */
async function created(requestBody) {
  const body = requestBody?.content["application/json"];
  const { data } = await given(client.POST("/rooms", { params: { query }, ...(body && { body }) }));
  return data;
}

test("a room is created with its roster and window, and read back", async () => {
  const [ann, bob] = [user(), user()];
  const [validFrom, validUntil] = [inHours(1), inHours(2)];
  const body = { validFrom, validUntil, pstnDialOutEnabled: true };
  /** @type {NonNullable<import("./generated/api.js").components["schemas"]["CreateRoomRequest"]["participants"]>} */
  const participants = { [ann]: { role: "Presenter" }, [bob]: {} };

  const { data: room, status, headers } = await given(
    client.POST("/rooms", { params: { query }, body: { ...body, participants } }),
  );

  assert.equal(status, 201);
  assert.equal(headers.get("location"), room.id);
  assert.equal(room.pstnDialOutEnabled, true);
  assert.deepEqual([room.validFrom, room.validUntil].map(Date.parse), [validFrom, validUntil].map(Date.parse));
  const { data: read } = await given(client.GET("/rooms/{roomId}", at(room.id)));
  assert.deepEqual(read, room);
  const { data: roster } = await given(client.GET("/rooms/{roomId}/participants", at(room.id)));
  assert.deepEqual(roster.value, [{ rawId: ann, role: "Presenter" }, { rawId: bob, role: "Attendee" }]);
});

test("a room can be created with no body at all", async () => {
  const room = await created();

  assert.match(room.id, /^[0-9]{18}$/);
  assert.equal(room.pstnDialOutEnabled, false);
});

test("a create that is sent again makes no second room", async () => {
  const header = { "Repeatability-Request-ID": randomUUID(), "Repeatability-First-Sent": new Date().toUTCString() };

  const rooms = [];
  for (let sent = 0; sent < 2; sent++) {
    rooms.push((await given(client.POST("/rooms", { params: { query, header }, body: {} }))).data);
  }

  assert.deepEqual(rooms[0], rooms[1]);
});

test("rooms are listed newest first, page by page", async () => {
  /** @type {string[]} */
  const ids = [];
  for (let made = 0; made < 31; made++) ids.unshift((await created()).id);

  const { data: first } = await given(client.GET("/rooms", { params: { query } }));
  const nextLink = new URL(first.nextLink ?? "").searchParams.get("nextLink") ?? "";
  const { data: second } = await given(client.GET("/rooms", { params: { query: { ...query, nextLink } } }));

  assert.deepEqual([...first.value, ...second.value].slice(0, 31).map(({ id }) => id), ids);
});

test("a room is patched, and null leaves a member as it is", async () => {
  const { id } = await created({ content: { "application/json": { pstnDialOutEnabled: true } } });
  const [validFrom, validUntil] = [inHours(3), inHours(4)];

  const body = { validFrom, validUntil, pstnDialOutEnabled: null };
  const { data: room } = await given(client.PATCH("/rooms/{roomId}", { ...at(id), body, headers: MERGE_PATCH }));

  assert.deepEqual([room.validFrom, room.validUntil].map(Date.parse), [validFrom, validUntil].map(Date.parse));
  assert.equal(room.pstnDialOutEnabled, true);
});

test("participants are added, changed and removed by one patch", async () => {
  const [ann, bob, eve] = [user(), user(), user()];
  const { id } = await created({ content: { "application/json": { participants: { [ann]: {}, [bob]: {} } } } });

  const participants = { [ann]: { role: /** @type {const} */ ("Presenter") }, [bob]: null, [eve]: {} };
  const { data } = await given(
    client.PATCH("/rooms/{roomId}/participants", { ...at(id), body: { participants }, headers: MERGE_PATCH }),
  );

  assert.deepEqual(data, {});
  const { data: roster } = await given(client.GET("/rooms/{roomId}/participants", at(id)));
  assert.deepEqual(roster.value, [{ rawId: ann, role: "Presenter" }, { rawId: eve, role: "Attendee" }]);
});

test("a room is deleted, and then not found", async () => {
  const { id } = await created();

  const { status } = await given(client.DELETE("/rooms/{roomId}", at(id)));

  assert.equal(status, 204);
  const { error, response } = await client.GET("/rooms/{roomId}", at(id));
  assert.equal(response.status, 404);
  assert.deepEqual(error, {
    error: { code: "NotFound", message: "The server cannot find the requested resource." },
  });
});

test("a refused body is explained by the error's details", async () => {
  const { error, response } = await client.POST("/rooms", { params: { query }, body: { validUntil: inHours(-1) } });

  assert.equal(response.status, 400);
  assert.equal(error?.error.code, "BadRequest");
  assert.equal(response.headers.get("x-ms-error-code"), "BadRequest");
  assert.deepEqual(error.error.details, [
    { code: "BadArgument", message: "The time range end is in the past.", target: "ValidUntil" },
  ]);
});

test("a request that another key signed is denied", async () => {
  const stranger = server.client(randomBytes(64).toString("base64"));

  const { error, response } = await stranger.GET("/rooms", { params: { query } });

  assert.equal(response.status, 401);
  assert.deepEqual(error, { error: { code: "Denied", message: "Denied by the resource provider." } });
});
