// Starts a server for a test file, and makes the vendor's clients that talk to it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { CommunicationIdentityClient } from "@azure/communication-identity";
import { RoomsClient } from "@azure/communication-rooms";

const BINARY = process.env.ROOMKEEPER_BIN ?? fileURLToPath(new URL("../../../target/debug/roomkeeper", import.meta.url));

export const DAY = 24 * 60 * 60 * 1000;

/** Runs the binary in a folder of its own until it has announced something. Whoever starts it stops it. */
async function run(command, flags) {
  // Directly under /tmp and open to enter: started by root, the private Postgres runs as another user.
  const folder = await mkdtemp("/tmp/roomkeeper-js-");
  await chmod(folder, 0o755);
  const child = spawn(BINARY, [command, "--data-dir", folder, "--log", "warn", ...flags], {
    env: { ...process.env, ROOMKEEPER_DATABASE_URL: undefined, ROOMKEEPER_DRAIN: "0s" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  process.once("exit", () => child.kill());
  const exited = once(child, "exit");
  const announced = once(child.stdout, "data", { signal: AbortSignal.timeout(60_000) });
  const failed = exited.then(([code]) => assert.fail(`it ended with ${code} before it was ready`));
  let announcement;
  try {
    [announcement] = await Promise.race([announced, failed]);
  } catch (error) {
    child.kill();
    await exited.catch(() => {});
    await rm(folder, { recursive: true });
    throw error;
  }
  child.stdout.resume();
  const stop = async () => {
    child.kill("SIGTERM");
    const [code, signal] = await exited;
    await rm(folder, { recursive: true });
    assert.deepEqual({ code, signal }, { code: 0, signal: null });
  };
  return { folder, announcement: String(announcement), stop, hangUp: () => child.kill("SIGHUP") };
}

/** A Postgres, for instances that share it. */
export async function startPostgres() {
  const { announcement, stop } = await run("postgres", []);
  return { url: announcement.trim(), stop };
}

/** A server, with a database of its own unless the flags name one. */
export async function start(...flags) {
  const { folder, stop, hangUp } = await run("serve", [
    ...["--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0"],
    ...flags,
  ]);
  const endpoint = JSON.parse(await readFile(`${folder}/endpoint.json`, "utf8"));
  const connectionString = (key) => (key ? `endpoint=${endpoint.http}/;accesskey=${key}` : endpoint.httpConnectionString);
  const insecure = { allowInsecureConnection: true };
  return {
    ...endpoint,
    rooms: ({ key, ...options } = {}) => new RoomsClient(connectionString(key), { ...insecure, ...options }),
    identity: (options) => new CommunicationIdentityClient(endpoint.httpConnectionString, { ...insecure, ...options }),
    stop,
    hangUp,
  };
}

/** A user that nobody else uses; rooms take users that the identity service has never seen. */
export function user() {
  return { communicationUserId: `8:acs:${randomUUID()}_${randomUUID()}` };
}

/** Client options: every request carries `body`, or none, put in place before the client signs or after. */
export function sending(body, { signed = true } = {}) {
  const policy = {
    name: "altered body",
    sendRequest(request, next) {
      request.body = JSON.stringify(body);
      return next(request);
    },
  };
  return { additionalPolicies: [{ policy, position: signed ? "perCall" : "perRetry" }] };
}

/** Everything that an async iterator gives. */
export async function all(iterator) {
  const items = [];
  for await (const item of iterator) items.push(item);
  return items;
}

/** The users of a room, each with its role. */
export async function roster(client, room) {
  const participants = await all(client.listParticipants(room.id));
  return Object.fromEntries(participants.map(({ id, role }) => [id.communicationUserId, role]));
}

/** What a caller reads from the error with which a call was refused. */
export async function refusal(call) {
  const error = await call.then(() => assert.fail("the call was not refused"), (error) => error);
  assert.equal(error.name, "RestError", error.stack);
  const { statusCode, code, message } = error;
  const { details } = error.details.error;
  return { statusCode, code, message, ...(details && { details }) };
}

/** The refusal of a body, with a reason for each pair of target and message. */
export function malformed(...reasons) {
  const message = "The request could not be understood by the server due to malformed syntax.";
  const details = reasons.map(([target, message]) => ({ code: "BadArgument", message, target }));
  return { statusCode: 400, code: "BadRequest", message, details };
}

/** A refusal whose message says it all. */
export function badRequest(message) {
  return { statusCode: 400, code: "BadRequest", message };
}

export const NOT_FOUND = {
  statusCode: 404,
  code: "NotFound",
  message: "The server cannot find the requested resource.",
};
