// Keys and tokens: who may connect, as whom, and what becomes of who may not.
import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, sign as signature } from "node:crypto";
import { after, test } from "node:test";
import { CommunicationIdentityClient } from "@azure/communication-identity";
import { ACTION, dial } from "./raw.js";
import { bearer, fresh, inBothFormats, over, realtime, rest, start, state } from "./support.js";
import { parts, sign, token } from "./tokens.js";

const server = await start();
after(() => server.stop());

const KEY = parts(server.ablyKey);
const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const claims = (more) => ({ iat: Math.floor(Date.now() / 1000), exp: Math.floor(Date.now() / 1000) + 3600, ...more });

/** The code with which a client failed for good. */
async function failure({ connection }) {
  await state(connection, "failed");
  return [connection.errorReason.code, connection.errorReason.statusCode];
}

inBothFormats("who may connect", (format) => {
  test("a token's bearer is the one it names, and enters as that one", async (t) => {
    const client = bearer(t, server, token(server, { clientId: "ann" }), format);
    const room = await over(client).rooms.get(fresh());
    await room.attach();

    await room.presence.enter();

    assert.equal(client.auth.clientId, "ann");
    assert.equal(await room.presence.isUserPresent("ann"), true);
  });

  test("a token's bearer may say the name that it has", async (t) => {
    const client = bearer(t, server, token(server, { clientId: "ann" }), { ...format, clientId: "ann" });

    await state(client.connection, "connected");

    assert.equal(client.auth.clientId, "ann");
  });

  test("a token's bearer may not take another name", async (t) => {
    const client = bearer(t, server, token(server, { clientId: "ann" }), { ...format, clientId: "bob" });

    assert.deepEqual(await failure(client), [40102, 401]);
  });

  test("the bearer of a token without a name may not take one", async (t) => {
    const client = bearer(t, server, token(server), { ...format, clientId: "bob" });

    assert.deepEqual(await failure(client), [40102, 401]);
  });

  test("the bearer of a token without a name has none", async (t) => {
    const client = bearer(t, server, token(server), format);

    await state(client.connection, "connected");

    assert.equal(client.auth.clientId, undefined);
  });

  for (const [asked, got] of [[undefined, "*"], ["bob", "bob"]]) {
    test(`the bearer of a token for anybody who asks to be ${asked ?? "nobody"} is ${got}`, async (t) => {
      const options = { ...format, ...(asked && { clientId: asked }) };
      const client = bearer(t, server, token(server, { clientId: "*" }), options);

      await state(client.connection, "connected");

      assert.equal(client.auth.clientId, got);
    });
  }

  for (const [what, key] of [
    ["a wrong secret", `${KEY.name}:${"x".repeat(40)}`],
    ["a key that nobody has", `dev.nobodys:${KEY.secret}`],
    ["a key of an app that nobody has", `nowhere.primary:${KEY.secret}`],
  ]) {
    test(`a client with ${what} fails for good, and is refused over REST`, async (t) => {
      assert.deepEqual(await failure(realtime(t, server, "ann", { ...format, key })), [40101, 401]);

      const client = rest(server, { ...format, key });
      const { statusCode, errorCode } = await client.request("GET", `/chat/v4/rooms/${fresh()}/occupancy`, 6);
      assert.deepEqual([statusCode, errorCode], [401, 40101]);
    });
  }

  test("a client with no credential fails for good", async (t) => {
    const nobody = await dial(t, server, { ...format, key: undefined });

    const { error, channel } = await nobody.next(ACTION.ERROR);

    assert.ok([40005, 40101].includes(error.code), `${error.code}`);
    assert.equal(channel, undefined);
    await nobody.closed();
  });

  test("a token is accepted where either name of its parameter says it", async (t) => {
    const accessToken = token(server, { clientId: "ann" });
    const client = await dial(t, server, { ...format, key: undefined, accessToken });

    assert.equal((await client.connected()).connectionDetails.clientId, "ann");
  });

  test("a token opens the REST side", async (t) => {
    const client = bearer(t, server, token(server, { clientId: "ann" }), format);
    const room = await over(client).rooms.get(fresh());

    assert.deepEqual(await room.occupancy.get(), { connections: 0, presenceMembers: 0 });
  });

  test("a token without an end is refused", async (t) => {
    const { exp, ...endless } = claims();
    const refused = await dial(t, server, { ...format, access_token: sign(server.ablyKey, endless) });

    assert.equal((await refused.next(ACTION.ERROR)).error.statusCode, 401);
  });
});

const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const otherKey = `${KEY.name}:${"x".repeat(40)}`;

/** A token of the given header whose signature is made by `signs`. */
function made(header, signs) {
  const signed = `${encoded({ typ: "JWT", kid: KEY.name, ...header })}.${encoded(claims({ "x-ably-clientId": "ann" }))}`;
  return `${signed}.${signs(signed)}`;
}

const BAD = [
  ["garbage", () => "garbage"],
  ["three parts of garbage", () => "a.b.c"],
  ["a wrong signature", () => sign(otherKey, claims())],
  ["no signature", () => made({ alg: "none" }, () => "")],
  ["the signature of another algorithm of the same key",
    () => made({ alg: "HS512" }, (text) => createHmac("sha512", KEY.secret).update(text).digest("base64url"))],
  ["the signature of an RSA key",
    () => made({ alg: "RS256" }, (text) => signature("sha256", Buffer.from(text), privateKey).toString("base64url"))],
  ["a key that nobody has", () => sign(server.ablyKey, claims(), { kid: "dev.nobodys" })],
  ["no key", () => sign(server.ablyKey, claims(), { kid: undefined })],
  ["an end that was", () => token(server, { seconds: -10 })],
  ["a name that is no text", () => sign(server.ablyKey, claims({ "x-ably-clientId": 7 }))],
  ["a capability that is none", () => sign(server.ablyKey, claims({ "x-ably-capability": "everything" }))],
];

inBothFormats("a token that is not one", (format) => {
  for (const [what, bad] of BAD) {
    test(`${what}: an ERROR after the upgrade, and the socket is closed`, async (t) => {
      const refused = await dial(t, server, { ...format, access_token: bad() });

      const { error, channel } = await refused.next(ACTION.ERROR);

      assert.ok([400, 401].includes(error.statusCode), `${error.statusCode}`);
      assert.ok(Math.floor(error.code / 100) >= 400 && typeof error.message === "string", JSON.stringify(error));
      assert.equal(channel, undefined);
      await refused.closed();
      assert.deepEqual(refused.frames.items.map(({ action }) => action), [ACTION.ERROR]);
    });
  }

  test("one that has ended is code 40142", async (t) => {
    const refused = await dial(t, server, { ...format, access_token: token(server, { seconds: -10 }) });

    assert.equal((await refused.next(ACTION.ERROR)).error.code, 40142);
  });

  test("a client that can't get another fails", async (t) => {
    const client = bearer(t, server, token(server, { seconds: -10 }), format);

    assert.deepEqual(await failure(client), [40171, 403]);
  });

  for (const [what, first] of [["has ended", () => token(server, { seconds: -10 })], ["is garbage", () => "a.b.c"]]) {
    test(`a client whose first token ${what} gets another, and connects`, async (t) => {
      const tokens = [first(), token(server, { clientId: "ann" })];
      const client = bearer(t, server, () => tokens.shift(), format);

      await state(client.connection, "connected");

      assert.deepEqual([tokens.length, client.auth.clientId], [0, "ann"]);
    });
  }
});

inBothFormats("a user token of the identity service", (format) => {
  const identity = new CommunicationIdentityClient(server.httpConnectionString, { allowInsecureConnection: true });

  test("its bearer is the user, by its raw id", async (t) => {
    const { user, token } = await identity.createUserAndToken(["chat"]);
    const client = bearer(t, server, token, format);
    const room = await over(client).rooms.get(fresh());
    await room.attach();

    await room.presence.enter({ n: 1 });

    assert.equal(client.auth.clientId, user.communicationUserId);
    const members = await room.presence.get();
    assert.deepEqual(members.map(({ clientId }) => clientId), [user.communicationUserId]);
  });

  test("without the scope chat, its bearer fails for good, and asks for no other token", async (t) => {
    const { token } = await identity.createUserAndToken(["voip", "chat.join"]);

    assert.deepEqual(await failure(bearer(t, server, token, format)), [40160, 401]);
  });

  test("its bearer may take no other name", async (t) => {
    const { token } = await identity.createUserAndToken(["chat"]);

    assert.deepEqual(await failure(bearer(t, server, token, { ...format, clientId: "ann" })), [40102, 401]);
  });

  test("it opens nothing once it is revoked", async (t) => {
    const { user, token } = await identity.createUserAndToken(["chat"]);
    await identity.revokeTokens(user);

    const refused = await dial(t, server, { ...format, access_token: token });

    assert.equal((await refused.next(ACTION.ERROR)).error.statusCode, 401);
  });
});
