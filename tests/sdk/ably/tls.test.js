// The same over TLS, with the service's own certificate authority.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { inBothFormats, start } from "./support.js";

const server = await start();
after(() => server.stop());

/** Visits a room in a process of its own, since a certificate authority is read when a process starts. */
async function visit(format, env) {
  const options = {
    endpoint: "localhost", tlsPort: Number(new URL(server.https).port), key: server.ablyKey, clientId: "ann", logLevel: 0,
    disableConnectivityCheck: true, ...format,
  };
  const program = `
    import { ChatClient, LogLevel } from "@ably/chat";
    import { Realtime } from "ably";
    const client = new Realtime(JSON.parse(process.argv[1]));
    client.connection.once("disconnected", ({ reason }) => {
      console.error(String(reason.cause ?? reason));
      process.exit(1);
    });
    const room = await new ChatClient(client, { logLevel: LogLevel.Silent }).rooms.get("lobby");
    await room.attach();
    await room.presence.enter();
    console.log(JSON.stringify([await room.presence.isUserPresent("ann"), await room.occupancy.get()]));
    process.exit(0);`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module", "--eval", program, JSON.stringify(options)],
    { cwd: import.meta.dirname, env: { ...process.env, ...env } },
  );
  return JSON.parse(stdout);
}

inBothFormats("over TLS", (format) => {
  test("a client that trusts the service's certificate authority visits a room", async () => {
    const [isPresent, { connections }] = await visit(format, { NODE_EXTRA_CA_CERTS: server.caFile });

    assert.equal(isPresent, true);
    assert.ok(connections >= 1, `${connections}`);
  });

  test("a client that does not trust it comes no further", async () => {
    await assert.rejects(visit(format, { NODE_EXTRA_CA_CERTS: undefined }), { code: 1, stdout: "" });
  });
});
