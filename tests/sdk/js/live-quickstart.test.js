// The quickstart of live rooms that users copy from, run as it is.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { start } from "./support.js";

const run = promisify(execFile);
const cwd = fileURLToPath(new URL("../../../examples/live/js/", import.meta.url));

if (!existsSync(`${cwd}/node_modules`)) await run("npm", ["ci"], { cwd });
const server = await start();
after(() => server.stop());

const LINES = [
  "ann is attached",
  "bob is attached",
  "ann sees 2 connections",
  "bob sees ann, who is curious",
  "bob sees ann leave: 1 connection, 0 members",
];

for (const protocol of ["http", "https"]) {
  test(`the quickstart of live rooms runs over ${protocol}`, async () => {
    const env = {
      ...process.env,
      ROOMKEEPER_URL: server[protocol],
      ABLY_KEY: server.ablyKey,
      NODE_EXTRA_CA_CERTS: server.caFile,
    };

    const { stdout, stderr } = await run(process.execPath, ["quickstart.js"], { cwd, env });

    assert.equal(stdout, `${LINES.join("\n")}\n`);
    assert.equal(stderr, "");
  });
}

test("the quickstart of live rooms without a key says what to set", async () => {
  const env = { ...process.env, ABLY_KEY: undefined };

  const call = run(process.execPath, ["quickstart.js"], { cwd, env });

  await assert.rejects(call, { code: 2, stdout: "", stderr: /^Set ROOMKEEPER_URL and ABLY_KEY/ });
});
