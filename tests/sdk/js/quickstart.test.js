// The quickstart that users copy from, run as it is.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { start } from "./support.js";

const run = promisify(execFile);
const cwd = fileURLToPath(new URL("../../../examples/quickstart/js/", import.meta.url));

if (!existsSync(`${cwd}/node_modules`)) await run("npm", ["ci"], { cwd });
const server = await start();
after(() => server.stop());

const TIME = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`;
const LINES = [
  `made two users; Ann's token lives until ${TIME}`,
  String.raw`made room \d{16,18}`,
  `it is open until ${TIME}`,
  `now it is open until ${TIME}`,
  String.raw`there (is 1 room|are \d+ rooms)`,
  "Ann is Presenter",
  "Bob is Consumer",
  "removed both",
  "deleted the room",
];

for (const [protocol, name] of [["http", "httpConnectionString"], ["https", "connectionString"]]) {
  test(`the quickstart runs over ${protocol}`, async () => {
    const env = {
      ...process.env,
      COMMUNICATION_CONNECTION_STRING: server[name],
      NODE_EXTRA_CA_CERTS: server.caFile,
    };

    const { stdout, stderr } = await run(process.execPath, ["quickstart.js"], { cwd, env });

    assert.match(stdout, new RegExp(`^${LINES.join("\n")}\n$`));
    assert.equal(stderr, "");
  });
}

test("the quickstart without a connection string says what to set", async () => {
  const env = { ...process.env, COMMUNICATION_CONNECTION_STRING: undefined };

  const call = run(process.execPath, ["quickstart.js"], { cwd, env });

  await assert.rejects(call, { code: 2, stdout: "", stderr: /^Set COMMUNICATION_CONNECTION_STRING to one of the strings/ });
});
