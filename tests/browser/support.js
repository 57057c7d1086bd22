// Starts a server for a test file, and a browser that looks at its pages.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
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
    env: { ...process.env, ROOMKEEPER_DATABASE_URL: undefined },
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
  const { http, ablyKey } = JSON.parse(await readFile(`${folder}/endpoint.json`, "utf8"));
  return { http: http.replace(/\/$/, ""), ablyKey, stop };
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
