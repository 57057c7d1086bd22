// Connections: the ways in which a program can name the service, and the keys that open it.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { CommunicationIdentityClient } from "@azure/communication-identity";
import { RoomsClient } from "@azure/communication-rooms";
import { AzureKeyCredential } from "@azure/core-auth";
import { refusal, sending, start } from "./support.js";

const server = await start();
after(() => server.stop());

const INSECURE = { allowInsecureConnection: true };
const WRONG_KEY = randomBytes(64).toString("base64");
const DENIED = { statusCode: 401, code: "Denied", message: "Denied by the resource provider." };

// Enough rooms that whoever lists them follows a link to a second page.
const { id: oldest } = await server.rooms().createRoom();
for (let made = 1; made < 30; made++) await server.rooms().createRoom();

/** Uses both clients for one room, and lists all. */
async function use(Rooms, Identity, ...named) {
  const rooms = new Rooms(...named);
  const { id } = await rooms.createRoom({ participants: [{ id: await new Identity(...named).createUser() }] });
  const listed = [];
  for await (const room of rooms.listRooms()) listed.push(room.id);
  return { id, listed };
}

/** The same in a process of its own, since a certificate authority is read when a process starts. */
async function useInChild(connectionString, env) {
  const program = `
    import { CommunicationIdentityClient } from "@azure/communication-identity";
    import { RoomsClient } from "@azure/communication-rooms";
    ${use}
    console.log(JSON.stringify(await use(RoomsClient, CommunicationIdentityClient, process.argv[1])));`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module", "--eval", program, connectionString],
    { cwd: import.meta.dirname, env: { ...process.env, ...env } },
  );
  return JSON.parse(stdout);
}

test("http by connection string", async () => {
  const { id, listed } = await use(RoomsClient, CommunicationIdentityClient, server.httpConnectionString, INSECURE);

  assert.deepEqual([listed[0], listed.at(-1)], [id, oldest]);
});

test("http by URL and key", async () => {
  const credential = new AzureKeyCredential(server.accessKey);

  const { id, listed } = await use(RoomsClient, CommunicationIdentityClient, server.http, credential, INSECURE);

  assert.deepEqual([listed[0], listed.at(-1)], [id, oldest]);
});

test("http by a connection string that ends with a semicolon", async () => {
  const { id, listed } = await use(RoomsClient, CommunicationIdentityClient, `${server.httpConnectionString};`, INSECURE);

  assert.deepEqual([listed[0], listed.at(-1)], [id, oldest]);
});

for (const host of ["127.0.0.1", "localhost"]) {
  test(`https by connection string to ${host}, with the service's certificate authority`, async () => {
    const connectionString = server.connectionString.replace("127.0.0.1", host);

    const { id, listed } = await useInChild(connectionString, { NODE_EXTRA_CA_CERTS: server.caFile });

    assert.deepEqual([listed[0], listed.at(-1)], [id, oldest]);
  });
}

test("https without the certificate authority is refused by the client", async () => {
  const call = useInChild(server.connectionString, { NODE_EXTRA_CA_CERTS: undefined });

  await assert.rejects(call, /UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN/);
});

test("http without leave for it is refused by the client", async () => {
  const rooms = new RoomsClient(server.httpConnectionString);

  const call = rooms.getRoom("99480215317774646");

  const url = `${server.http}/rooms/99480215317774646?api-version=2025-03-13`;
  await assert.rejects(call, { message: `Cannot connect to ${url} while allowInsecureConnection is false.` });
});

test("a wrong key opens nothing", async () => {
  const named = [server.http, new AzureKeyCredential(WRONG_KEY), INSECURE];

  const refusals = [
    await refusal(new RoomsClient(...named).createRoom()),
    await refusal(new CommunicationIdentityClient(...named).createUser()),
  ];

  assert.deepEqual(refusals, [DENIED, DENIED]);
});

test("a body that was changed after it was signed is refused", async () => {
  const altered = server.rooms(sending({ pstnDialOutEnabled: true }, { signed: false }));

  const refused = await refusal(altered.createRoom());

  const message = "Request 'x-ms-content-sha256' differs from generated content hash.";
  assert.deepEqual(refused, { statusCode: 401, code: "Denied", message });
});
