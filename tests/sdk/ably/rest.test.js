// The REST side as bytes: formats, errors, envelopes, and what browsers need.
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { decode, encode } from "@msgpack/msgpack";
import { fresh, inBothFormats, realtime, refusal, rest, start } from "./support.js";
import { token } from "./tokens.js";

const server = await start();
after(() => server.stop());

const MSGPACK = "application/x-msgpack";
const basic = (key) => `Basic ${Buffer.from(key).toString("base64")}`;
const occupancyOf = (name) => `/chat/v4/rooms/${encodeURIComponent(name)}/occupancy`;
const read = (bytes, type) => (type === MSGPACK ? decode(bytes) : JSON.parse(Buffer.from(bytes)));

/** A request as it is, and its answer, read as the type it says it is. */
async function ask(path, { method = "GET", headers = {}, authorization = basic(server.ablyKey), body } = {}) {
  const credential = authorization ? { authorization } : {};
  const response = await fetch(`${server.http}${path}`, { method, headers: { ...credential, ...headers }, body });
  const bytes = new Uint8Array(await response.arrayBuffer());
  const type = response.headers.get("content-type");
  return { status: response.status, headers: response.headers, type, body: bytes.length ? read(bytes, type) : undefined };
}

/** Asserts the whole form of a refusal. */
function assertError({ status, headers, type, body }, wanted, code, format) {
  assert.equal(status, wanted);
  assert.equal(type, format);
  assert.deepEqual(Object.keys(body), ["error"]);
  assert.deepEqual([body.error.statusCode, body.error.code], [wanted, code]);
  assert.equal(typeof body.error.message, "string");
  assert.equal(headers.get("x-ably-errorcode"), `${code}`);
  assert.equal(headers.get("x-ably-errormessage"), body.error.message);
}

for (const format of ["application/json", MSGPACK]) {
  describe(`answers in ${format}`, { concurrency: 4 }, () => {
    const headers = { accept: format };

    test("occupancy is flat", async () => {
      const { status, type, body } = await ask(occupancyOf(fresh()), { headers });

      assert.deepEqual([status, type], [200, format]);
      assert.deepEqual(body, { connections: 0, presenceMembers: 0 });
    });

    test("the time is one number, for anybody", async () => {
      const { status, type, body } = await ask("/time", { headers, authorization: null });

      assert.deepEqual([status, type, body.length], [200, format, 1]);
      assert.ok(Math.abs(body[0] - Date.now()) < 60_000, `${body[0]}`);
    });

    test("a wrong key is refused with 40101", async () => {
      const answer = await ask(occupancyOf(fresh()), { headers, authorization: basic("dev.primary:wrong") });

      assertError(answer, 401, 40101, format);
    });

    test("no credential is refused with 401", async () => {
      const answer = await ask(occupancyOf(fresh()), { headers, authorization: null });

      assertError(answer, 401, answer.body.error.code, format);
    });

    for (const authorization of ["Basic", "Basic !", "Bearer", "Bearer !", "Digest x", basic("nonsense"), basic(":")]) {
      test(`the credential ${authorization} is refused`, async () => {
        const answer = await ask(occupancyOf(fresh()), { headers, authorization });

        const { code } = answer.body.error;
        assertError(answer, { 40005: 400, 40101: 401, 40144: 401 }[code], code, format);
      });
    }

    test("a token that has ended is refused with 40142", async () => {
      const authorization = `Bearer ${Buffer.from(token(server, { seconds: -10 })).toString("base64")}`;

      assertError(await ask(occupancyOf(fresh()), { headers, authorization }), 401, 40142, format);
    });

    test("a capability that is missing is refused with 40160", async () => {
      const bare = token(server, { clientId: "ann", capability: { other: ["*"] } });
      const authorization = `Bearer ${Buffer.from(bare).toString("base64")}`;

      assertError(await ask(occupancyOf(fresh()), { headers, authorization }), 401, 40160, format);
    });

    for (const path of ["/chat/v4/nothing", "/chat/v4/rooms/a/nothing", "/channels/a/nothing", "/chat/v5/rooms/a/occupancy"]) {
      test(`${path} is not found`, async () => {
        assertError(await ask(path, { headers }), 404, 40400, format);
      });
    }

    for (const [method, path] of [["DELETE", occupancyOf("a")], ["POST", "/time"], ["PUT", "/channels/a"]]) {
      test(`${method} of ${path} is not allowed`, async () => {
        assertError(await ask(path, { method, headers }), 405, 40500, format);
      });
    }
  });
}

inBothFormats("the vendor's REST client", (format) => {
  test("reads the time", async () => {
    assert.ok(Math.abs((await rest(server, format).time()) - Date.now()) < 60_000);
  });

  test("reads the code of a refusal", async () => {
    const client = rest(server, { ...format, key: "dev.primary:wrong" });

    assert.deepEqual(await refusal(client.auth.requestToken()), { code: 40101, statusCode: 401 });
  });
});

test("a token is accepted plain, and encoded once more", async () => {
  const plain = token(server, { clientId: "ann" });

  for (const bearer of [plain, Buffer.from(plain).toString("base64")]) {
    const { status } = await ask(occupancyOf(fresh()), { authorization: `Bearer ${bearer}` });
    assert.equal(status, 200);
  }
});

test("a client that says nothing of formats gets JSON", async () => {
  assert.equal((await ask(occupancyOf(fresh()))).type, "application/json");
});

describe("an envelope", () => {
  test("has the answer, its status and its headers inside", async () => {
    const { status, type, body } = await ask(`${occupancyOf(fresh())}?envelope=json&rnd=123`);

    assert.deepEqual([status, type], [200, "application/json"]);
    assert.equal(body.statusCode, 200);
    assert.equal(typeof body.headers, "object");
    assert.deepEqual(body.response, { connections: 0, presenceMembers: 0 });
  });

  test("has a refusal inside, too", async () => {
    const authorization = basic("dev.primary:wrong");

    const { status, body } = await ask(`${occupancyOf(fresh())}?envelope=json`, { authorization });

    assert.deepEqual([status, body.statusCode, body.response.error.code], [200, 401, 40101]);
  });
});

describe("a browser", () => {
  const origin = "http://localhost:5173"; // of this machine, as the development key asks for
  const list = (headers, name) => headers.get(name)?.toLowerCase().split(/\s*,\s*/) ?? [];

  for (const path of [occupancyOf("a/b"), "/keys/dev.primary/requestToken", "/time", "/channels/a", "/chat/v4/nothing"]) {
    test(`may ask beforehand for ${path}`, async () => {
      const headers = {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-ably-version,x-ably-clientid,ably-agent",
      };

      const { status, headers: answer } = await ask(path, { method: "OPTIONS", headers, authorization: null });

      assert.ok([200, 204].includes(status), `${status}`);
      assert.equal(answer.get("access-control-allow-origin"), origin);
      assert.equal(answer.get("access-control-allow-credentials"), "true");
      const methods = list(answer, "access-control-allow-methods");
      for (const method of ["get", "post", "put", "delete", "patch"]) assert.ok(methods.includes(method), method);
      const allowed = list(answer, "access-control-allow-headers");
      const asked = ["authorization", "accept", "content-type", "x-ably-version", "x-ably-clientid", "ably-agent"];
      for (const name of asked) assert.ok(allowed.includes(name), name);
    });
  }

  for (const [what, path, authorization, wanted] of [
    ["an answer", occupancyOf("a"), basic(server.ablyKey), 200],
    ["a refusal", occupancyOf("a"), basic("dev.primary:wrong"), 401],
    ["what is not there", "/chat/v4/nothing", basic(server.ablyKey), 404],
  ]) {
    test(`may read ${what}`, async () => {
      const { status, headers } = await ask(path, { headers: { origin }, authorization });

      assert.equal(status, wanted);
      assert.equal(headers.get("access-control-allow-origin"), origin);
      assert.equal(headers.get("access-control-allow-credentials"), "true");
      const exposed = list(headers, "access-control-expose-headers");
      for (const name of ["link", "x-ably-errorcode", "x-ably-errormessage"]) assert.ok(exposed.includes(name), name);
      assert.ok(list(headers, "vary").includes("origin"), "a cache keeps the answers of origins apart");
    });
  }
});

describe("a body that can't be read", () => {
  const path = "/keys/dev.primary/requestToken";

  for (const [what, type, body] of [
    ["half of JSON", "application/json", '{"keyName":'],
    ["half of MessagePack", MSGPACK, encode({ keyName: "dev.primary" }).slice(0, 5)],
    ["nothing", "application/json", ""],
  ]) {
    test(`${what} is a bad request`, async () => {
      const { status, body: { error } } = await ask(path, { method: "POST", headers: { "content-type": type }, body });

      assert.equal(status, 400);
      assert.deepEqual([error.statusCode, Math.floor(error.code / 100)], [400, 400]);
    });
  }
});

test("who is present comes in pages, and by client or connection", async (t) => {
  const name = fresh();
  const clients = ["ann", "bob", "cid"].map((clientId) => realtime(t, server, clientId));
  for (const client of clients) await client.channels.get(name).presence.enter();
  const { presence } = rest(server).channels.get(name);
  const names = (page) => page.items.map((item) => item.clientId);

  const pages = [];
  for (let page = await presence.get({ limit: 1 }); page; page = page.hasNext() ? await page.next() : null) {
    pages.push(names(page));
  }
  const first = await (await (await presence.get({ limit: 2 })).next()).first();

  assert.deepEqual(pages.map((page) => page.length), [1, 1, 1]);
  assert.deepEqual(pages.flat().sort(), ["ann", "bob", "cid"]);
  assert.equal(first.items.length, 2);
  assert.deepEqual(names(await presence.get({ clientId: "bob" })), ["bob"]);
  assert.deepEqual(names(await presence.get({ connectionId: clients[2].connection.id })), ["cid"]);
  assert.deepEqual(names(await presence.get({ clientId: "nobody" })), []);
  for (const limit of ["abc", "0", "1001"]) {
    assert.equal((await refusal(presence.get({ limit }))).statusCode, 400, limit);
  }
});

test("the holder of a key lists live channels by their beginning, in pages", async (t) => {
  const prefix = fresh();
  const client = realtime(t, server, "ann");
  for (const name of ["a", "b", "c"]) await client.channels.get(`${prefix}:${name}`).attach();
  const holder = rest(server);

  const one = await holder.request("get", "/channels", 3, { prefix, by: "id", limit: "2" });
  const two = await one.next();
  const details = await holder.request("get", "/channels", 3, { prefix });

  assert.deepEqual([...one.items, ...two.items], ["a", "b", "c"].map((name) => `${prefix}:${name}`));
  assert.ok(one.hasNext() && !two.hasNext());
  assert.deepEqual([details.items.length, details.items[0].status.isActive], [3, true]);
  const others = await ask("/channels", { authorization: `Bearer ${Buffer.from(token(server, { clientId: "ann" })).toString("base64")}` });
  assert.equal(others.status, 401);
});

test("earlier versions of Chat get the same occupancy", async () => {
  for (const version of ["v1", "v2", "v3", "v4"]) {
    const { status, body } = await ask(`/chat/${version}/rooms/${fresh()}/occupancy`);
    assert.deepEqual([status, body], [200, { connections: 0, presenceMembers: 0 }], version);
  }
  assert.equal((await ask(`/chat/v5/rooms/${fresh()}/occupancy`)).status, 404);
});

test("a token request may be MessagePack, as every body", async () => {
  const request = await rest(server).auth.createTokenRequest({ clientId: "bob" });
  const path = `/keys/${request.keyName}/requestToken`;

  const granted = await ask(path, {
    ...{ method: "POST", authorization: null, body: encode(request) },
    headers: { "content-type": MSGPACK, accept: MSGPACK },
  });
  const cut = await ask(path, {
    ...{ method: "POST", authorization: null, body: encode(request).slice(0, 20) },
    headers: { "content-type": MSGPACK },
  });

  assert.deepEqual([granted.status, granted.type, granted.body.clientId], [201, MSGPACK, "bob"]);
  assertError(cut, 400, 40000, "application/json");
});

for (const [method, path] of [["GET", "/stats"], ["GET", "/presence"], ["POST", "/messages"], ["GET", "/push/channels"]]) {
  test(`${method} ${path}, which is not served, is refused in Ably's form`, async () => {
    const headers = { "x-ably-version": "4" };
    assertError(await ask(path, { method, headers }), 404, 40400, "application/json");
  });
}
