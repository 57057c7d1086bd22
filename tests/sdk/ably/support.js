// Starts a server for a test file, and makes the vendor's clients that talk to it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { describe } from "node:test";
import { fileURLToPath } from "node:url";
import { ChatClient, LogLevel } from "@ably/chat";
import { ErrorInfo, Realtime, Rest } from "ably";
import { Log, within } from "./waiting.js";

const BINARY = process.env.ROOMKEEPER_BIN ?? fileURLToPath(new URL("../../../target/debug/roomkeeper", import.meta.url));

// A runner that gives up on a file ends it by a signal, which alone would leave its servers behind.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

/** Flags for tests that publish more in a second than a connection or a room may. */
export const UNHURRIED = ["--connection-rate", "10000", "--room-rate", "10000"];

/**
 * A server with a database of its own. Whoever starts it stops it.
 * Given `again`, a server that has ended, it comes back on the same port with the same data.
 */
export async function start(flags = [], again = undefined) {
  // Directly under /tmp and open to enter: started by root, the private Postgres runs as another user.
  const folder = again?.folder ?? (await mkdtemp("/tmp/roomkeeper-ably-"));
  await chmod(folder, 0o755);
  const listen = `127.0.0.1:${again?.port ?? 0}`;
  const own = ["--data-dir", folder, "--listen", listen, "--tls-listen", "127.0.0.1:0", "--log", "warn"];
  const server = spawn(BINARY, [...own, ...flags], {
    env: { ...process.env, ROOMKEEPER_DATABASE_URL: undefined, ROOMKEEPER_DRAIN: "0s" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const killed = () => server.kill();
  process.once("exit", killed);
  const exited = once(server, "exit").finally(() => process.off("exit", killed));
  const announced = once(server.stdout, "data", { signal: AbortSignal.timeout(60_000) });
  const failed = exited.then(([code]) => assert.fail(`the server ended with ${code} before it was ready`));
  try {
    await Promise.race([announced, failed]);
  } catch (error) {
    server.kill();
    await exited.catch(() => {});
    await rm(folder, { recursive: true });
    throw error;
  }
  failed.catch(() => {});
  server.stdout.resume();

  const endpoint = JSON.parse(await readFile(`${folder}/endpoint.json`, "utf8"));
  const end = async (signal) => {
    server.kill(signal);
    const [code, by] = await exited;
    return { code, signal: by };
  };
  return {
    ...endpoint,
    folder,
    port: Number(new URL(endpoint.http).port),
    /** Ends it as an operator does, and keeps its data. */
    terminate: () => end("SIGTERM"),
    /** Ends it as a crash does, and keeps its data. */
    kill: () => end("SIGKILL"),
    /** Ends it, and leaves nothing behind. */
    async stop() {
      const ended = await end("SIGTERM");
      await rm(folder, { recursive: true });
      assert.deepEqual(ended, { code: 0, signal: null });
    },
  };
}

/**
 * The client options that lead to a server, or to a proxy before one, and nowhere else when it is slow.
 * The client is quick to try again, and says nothing on the console of refusals that are meant.
 */
export function at({ port }) {
  const checks = { disableConnectivityCheck: true, wsConnectivityCheckUrl: `ws://127.0.0.1:${port}/` };
  return { endpoint: "127.0.0.1", port, tls: false, logLevel: 0, disconnectedRetryTimeout: 200, ...checks };
}

/** The vendor's realtime client with the server's key. It is closed when the test `t` ends. */
export function realtime(t, server, clientId, options) {
  const identity = clientId === undefined ? {} : { clientId };
  const client = new Realtime({ ...at(server), key: server.ablyKey, ...identity, ...options });
  t.after(() => client.close());
  return client;
}

/** The same with no key but a token: one, or a function that gives one each time it is asked. */
export function bearer(t, server, token, options) {
  const credential = typeof token === "function" ? { authCallback: answering(token) } : { token };
  const client = new Realtime({ ...at(server), ...credential, ...options });
  t.after(() => client.close());
  return client;
}

function answering(token) {
  return async (params, callback) => {
    try {
      callback(null, await token(params));
    } catch (error) {
      callback(error.message, null);
    }
  };
}

/** The vendor's REST client with the server's key. */
export function rest(server, options) {
  return new Rest({ ...at(server), key: server.ablyKey, ...options });
}

/** The vendor's chat client over a realtime client. */
export function over(client) {
  return new ChatClient(client, { logLevel: LogLevel.Silent });
}

/** The vendor's chat client with the server's key. */
export function chat(t, server, clientId, options) {
  return over(realtime(t, server, clientId, options));
}

/** A room to which a client of its own, with that name, is attached; `room` among the options are the room's. */
export async function attached(t, server, clientId, name, { room: roomOptions, ...options } = {}) {
  const client = chat(t, server, clientId, options);
  const room = await client.rooms.get(name, roomOptions);
  clients.set(room, client.realtime);
  await room.attach();
  return room;
}

const clients = new WeakMap();

/** The realtime client of a room that `attached` gave. */
export function clientOf(room) {
  return clients.get(room);
}

/** A room's name that nobody else uses. */
export function fresh(prefix = "room") {
  return `${prefix}-${randomUUID()}`;
}

/** Resolves when a connection or a channel is in the state, at once if it is already. */
export function state(emitter, wanted, limit) {
  return within(emitter.whenState(wanted), `${wanted}, but was ${emitter.state}`, limit);
}

/** Every status that a room or a chat connection takes from here on. */
export function statuses(owner) {
  const log = new Log();
  owner.onStatusChange((change) => log.push(change));
  return log;
}

/** What a caller reads from the error with which a call was refused. */
export async function refusal(call) {
  const error = await call.then(() => assert.fail("the call was not refused"), (error) => error);
  assert.ok(error instanceof ErrorInfo, error.stack);
  return { code: error.code, statusCode: error.statusCode };
}

/** Describes a subject twice, for clients that speak JSON and for those that speak MessagePack, side by side. */
export function inBothFormats(subject, body, { concurrency = 4 } = {}) {
  describe(subject, { concurrency: 2 }, () => {
    for (const [name, useBinaryProtocol] of [["JSON", false], ["MessagePack", true]]) {
      describe(`in ${name}`, { concurrency }, () => body({ useBinaryProtocol }));
    }
  });
}
