// Identity: users, and the tokens with which they enter.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { AzureCommunicationTokenCredential } from "@azure/communication-common";
import { refusal, start, user } from "./support.js";

const server = await start();
after(() => server.stop());
const identity = server.identity();

const MINUTE = 60 * 1000;
const NOT_OWNED = {
  statusCode: 401,
  code: "IdentityNotOwned",
  message: "Provided identity doesn't belong to the resource.",
};
const UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";

/** The header and the claims of a token. */
function decoded(token) {
  const parts = token.split(".");
  assert.equal(parts.length, 3);
  const [header, claims] = parts.slice(0, 2).map((part) => JSON.parse(Buffer.from(part, "base64url")));
  return { header, claims };
}

/** Asserts that `instant`, a whole second, lies `minutes` from now, now being between `since` and this moment. */
function assertIn(minutes, instant, since) {
  const now = instant - minutes * MINUTE;
  assert.ok(since - 1000 < now && now <= Date.now(), `${new Date(instant).toISOString()} is not in ${minutes} minutes`);
}

test("a user is made from a request without a body", async () => {
  let answer;

  const made = await identity.createUser({ onResponse: (response) => (answer = response) });

  assert.match(made.communicationUserId, new RegExp(`^8:acs:${UUID}_${UUID}$`));
  assert.deepEqual([answer.request.body, answer.status], [undefined, 201]);
  assert.deepEqual(JSON.parse(answer.bodyAsText), { identity: { id: made.communicationUserId } });
});

test("users of one service share its guid, and are different users", async () => {
  const [ann, bob] = [await identity.createUser(), await identity.createUser()];

  const [[annsService, annsOwn], [bobsService, bobsOwn]] = [ann, bob].map((one) => one.communicationUserId.split("_"));
  assert.equal(annsService, bobsService);
  assert.notEqual(annsOwn, bobsOwn);
});

test("a user is made with a token that lives for a day", async () => {
  const since = Date.now();

  const { user: made, token, expiresOn } = await identity.createUserAndToken(["chat", "voip"]);

  assertIn(1440, expiresOn.getTime(), since);
  const { header, claims } = decoded(token);
  const [resource] = made.communicationUserId.slice("8:acs:".length).split("_");
  assert.deepEqual([header.alg, header.typ, typeof header.kid], ["RS256", "JWT", "string"]);
  assert.equal(claims.skypeid, made.communicationUserId.slice("8:".length));
  assert.equal(claims.acsScope, "chat,voip");
  assert.equal(claims.scp, 1792);
  assert.equal(claims.resourceId, resource);
  assert.equal(claims.csi, String(claims.iat));
  assert.equal(claims.exp - claims.iat, 24 * 60 * 60);
});

test("a token is issued for a user whose id is encoded in the path", async () => {
  const made = await identity.createUser();
  let answer;

  const { token } = await identity.getToken(made, ["voip"], { onResponse: (response) => (answer = response) });

  assert.ok(answer.request.url.includes("/identities/8%3Aacs%3A"), answer.request.url);
  assert.equal(answer.status, 200);
  assert.equal(`8:${decoded(token).claims.skypeid}`, made.communicationUserId);
});

for (const scope of ["chat", "voip", "chat.join", "chat.join.limited", "voip.join"]) {
  test(`a token is issued for the scope ${scope}`, async () => {
    const { user: made, token: first } = await identity.createUserAndToken([scope]);

    const { token: second } = await identity.getToken(made, [scope]);

    assert.deepEqual([first, second].map((token) => decoded(token).claims.acsScope), [scope, scope]);
  });
}

test("the vendor's credential takes a token and reads when it ends", async () => {
  const { token } = await identity.createUserAndToken(["voip"]);
  const credential = new AzureCommunicationTokenCredential(token);

  const access = await credential.getToken();

  assert.deepEqual(access, { token, expiresOnTimestamp: decoded(token).claims.exp * 1000 });
  credential.dispose();
});

for (const tokenExpiresInMinutes of [60, 1440]) {
  test(`a token lives for ${tokenExpiresInMinutes} minutes when that is asked for`, async () => {
    const since = Date.now();

    const made = await identity.createUserAndToken(["voip"], { tokenExpiresInMinutes });
    const issued = await identity.getToken(made.user, ["voip"], { tokenExpiresInMinutes });

    for (const { token, expiresOn } of [made, issued]) {
      assertIn(tokenExpiresInMinutes, expiresOn.getTime(), since);
      const { exp, iat } = decoded(token).claims;
      assert.equal(exp - iat, tokenExpiresInMinutes * 60);
      assert.equal(exp * 1000, expiresOn.getTime());
    }
  });
}

for (const tokenExpiresInMinutes of [59, 1441]) {
  test(`a token for ${tokenExpiresInMinutes} minutes is refused`, async () => {
    const made = await identity.createUser();

    const refusals = [
      await refusal(identity.createUserAndToken(["voip"], { tokenExpiresInMinutes })),
      await refusal(identity.getToken(made, ["voip"], { tokenExpiresInMinutes })),
    ];

    const message = `ExpiresInMinutes value ${tokenExpiresInMinutes} is invalid. Value must be within the [60, 1440] interval.`;
    const expected = { statusCode: 400, code: "ValidationError", message };
    assert.deepEqual(refusals, [expected, expected]);
  });
}

test("the target of a refusal stands in the answer", async () => {
  const call = identity.createUserAndToken(["voip"], { tokenExpiresInMinutes: 59 });

  await assert.rejects(call, (error) => error.details.error.target === "ExpiresInMinutes");
});

for (const [which, scopes] of [["no scopes", []], ["an unknown scope", ["voip", "fax"]]]) {
  test(`a token for ${which} is refused`, async () => {
    const made = await identity.createUser();

    const refusals = [
      await refusal(identity.createUserAndToken(scopes)),
      await refusal(identity.getToken(made, scopes)),
    ];

    for (const { statusCode, code } of refusals) assert.deepEqual([statusCode, code], [400, "ValidationError"]);
  });
}

test("a user of another service gets no token", async () => {
  assert.deepEqual(await refusal(identity.getToken(user(), ["voip"])), NOT_OWNED);
});

test("a user who was never made gets no token", async () => {
  const made = await identity.createUser();
  const [service] = made.communicationUserId.split("_");
  const [, nobody] = user().communicationUserId.split("_");

  const refused = await refusal(identity.getToken({ communicationUserId: `${service}_${nobody}` }, ["voip"]));

  assert.deepEqual(refused, NOT_OWNED);
});

test("an id that is none gets no token", async () => {
  assert.deepEqual(await refusal(identity.getToken({ communicationUserId: "ann" }, ["voip"])), NOT_OWNED);
});

test("missing scopes are told before the owner of the id", async () => {
  assert.equal((await refusal(identity.getToken(user(), []))).statusCode, 400);
});
