// Starts a server for a test file, and a browser that looks at its pages.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash, createHmac } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const BINARY = process.env.ROOMKEEPER_BIN ?? fileURLToPath(new URL("../../target/debug/roomkeeper", import.meta.url));
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
// Nothing of the browser's own goes over the network; root has no sandbox.
const FLAGS = ["gpu", "quic", "background-networking", "component-update", "sync"].map((part) => `--disable-${part}`);

/** A server with a database of its own, and its address. Whoever starts it stops it. */
export async function start(...more) {
  // Directly under /tmp and open to enter: started by root, the private Postgres runs as another user.
  const folder = await mkdtemp("/tmp/roomkeeper-browser-");
  await chmod(folder, 0o755);
  const flags = ["--data-dir", folder, "--listen", "127.0.0.1:0", "--tls-listen", "off", "--log", "warn", ...more];
  const server = spawn(BINARY, flags, {
    env: { ...process.env, ROOMKEEPER_DATABASE_URL: undefined, ROOMKEEPER_DRAIN: "0s" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  process.once("exit", () => server.kill());
  const exited = once(server, "exit");
  const announced = once(server.stdout, "data", { signal: AbortSignal.timeout(60_000) });
  const failed = exited.then(([code]) => assert.fail(`the server ended with ${code} before it was ready`));
  const stop = async () => {
    server.kill("SIGTERM");
    await exited.catch(() => {});
    await rm(folder, { recursive: true });
  };
  try {
    await Promise.race([announced, failed]);
  } catch (error) {
    await stop();
    throw error;
  }
  server.stdout.resume();
  failed.catch(() => {}); // it ends when it is stopped
  const { http, ablyKey, accessKey } = JSON.parse(await readFile(`${folder}/endpoint.json`, "utf8"));
  return { http: http.replace(/\/$/, ""), ablyKey, accessKey, stop };
}

/** What a backend asks of the service, signed: its answer. */
export async function backend({ http, accessKey }, method, path, body) {
  const url = new URL(`${path}?api-version=2025-03-13`, http);
  const text = JSON.stringify(body);
  const date = new Date().toUTCString();
  const digest = createHash("sha256").update(text).digest("base64");
  const signed = `${method}\n${url.pathname}${url.search}\n${date};${url.host};${digest}`;
  const signature = createHmac("sha256", Buffer.from(accessKey, "base64")).update(signed).digest("base64");
  const authorization = `HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=${signature}`;
  const headers = { authorization, "x-ms-date": date, "x-ms-content-sha256": digest, "content-type": "application/json" };
  const answer = await fetch(url, { method, headers, body: text });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.json();
}

/**
 * A page in a browser of its own, and further tabs if wanted, with what they asked for and what they complained of.
 * Whoever opens it closes it.
 */
export async function open(viewport = { width: 1280, height: 900 }) {
  const chromiumSandbox = process.getuid?.() !== 0;
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS, chromiumSandbox });
  const context = await browser.newContext({ viewport });
  const requests = [];
  const complaints = [];
  const tab = async () => {
    const page = await context.newPage();
    page.on("request", (request) => requests.push(request.url()));
    page.on("websocket", (socket) => requests.push(socket.url()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    return page;
  };
  return { page: await tab(), tab, requests, complaints, close: () => browser.close() };
}
