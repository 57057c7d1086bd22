// Starts a server for a test file, and makes the client that is generated from openapi.yaml.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash, createHmac, randomUUID } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import createClient from "openapi-fetch";

/** @typedef {import("./generated/api.js").paths} Paths */

const BINARY = process.env.ROOMKEEPER_BIN ?? fileURLToPath(new URL("../../../target/debug/roomkeeper", import.meta.url));

/** A server with a database of its own. Whoever starts it stops it. */
export async function start() {
  // Directly under /tmp and open to enter: started by root, the private Postgres runs as another user.
  const folder = await mkdtemp("/tmp/roomkeeper-contract-js-");
  await chmod(folder, 0o755);
  const flags = ["--data-dir", folder, "--listen", "127.0.0.1:0", "--tls-listen", "off", "--log", "warn"];
  const server = spawn(BINARY, flags, {
    env: { ...process.env, ROOMKEEPER_DATABASE_URL: undefined, ROOMKEEPER_DRAIN: "0s" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  process.once("exit", () => server.kill());
  const exited = once(server, "exit");
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
  server.stdout.resume();
  failed.catch(() => {}); // it ends when it is stopped
  const stop = async () => {
    server.kill("SIGTERM");
    const [code, signal] = await exited;
    await rm(folder, { recursive: true });
    assert.deepEqual({ code, signal }, { code: 0, signal: null });
  };

  /** @type {{ http: string, accessKey: string }} */
  const { http, accessKey } = JSON.parse(await readFile(`${folder}/endpoint.json`, "utf8"));
  return {
    /** A client that signs, with the server's access key unless another is given. */
    client(key = accessKey) {
      /** @type {import("openapi-fetch").Client<Paths>} */
      const client = createClient({ baseUrl: http.replace(/\/$/, "") });
      client.use(signing(key));
      return client;
    },
    stop,
  };
}

/**
 * The hook that signs: all that a generated client lacks.
 * @param {string} accessKey
 * @returns {import("openapi-fetch").Middleware}
 */
function signing(accessKey) {
  const key = Buffer.from(accessKey, "base64");
  return {
    async onRequest({ request }) {
      const { host, pathname, search } = new URL(request.url);
      const body = Buffer.from(await request.clone().arrayBuffer());
      const date = new Date().toUTCString();
      const hash = createHash("sha256").update(body).digest("base64");
      const text = `${request.method}\n${pathname}${search}\n${date};${host};${hash}`;
      const signature = createHmac("sha256", key).update(text).digest("base64");
      request.headers.set("x-ms-date", date);
      request.headers.set("x-ms-content-sha256", hash);
      request.headers.set(
        "authorization",
        `HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=${signature}`,
      );
      return request;
    },
  };
}

/** A user that nobody else uses; rooms take users that the identity service has never seen. */
export function user() {
  return `8:acs:${randomUUID()}_${randomUUID()}`;
}

/**
 * What a call gave, which has to be no refusal.
 * @template T
 * @param {Promise<{ data?: T, error?: unknown, response: Response }>} call
 */
export async function given(call) {
  const { data, error, response } = await call;
  assert.equal(error, undefined, `${response.status} ${JSON.stringify(error)}`);
  return { data: /** @type {NonNullable<T>} */ (data), status: response.status, headers: response.headers };
}
