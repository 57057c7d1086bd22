// The live rooms quickstart: two clients in a room see each other. Plain Ably Chat code; only where it connects is ours.
import { ChatClient, PresenceEventType } from "@ably/chat";
import { Realtime } from "ably";

const { ROOMKEEPER_URL, ABLY_KEY } = process.env;
if (!ROOMKEEPER_URL || !ABLY_KEY) {
  console.error("Set ROOMKEEPER_URL and ABLY_KEY, as the README says under Live rooms.");
  process.exit(2);
}
const { hostname, port, protocol } = new URL(ROOMKEEPER_URL);
const tls = protocol === "https:";
const server = { endpoint: hostname, tls, [tls ? "tlsPort" : "port"]: Number(port) || (tls ? 443 : 80) };

/** A room as one client has it. */
async function attach(clientId) {
  const client = new Realtime({ ...server, key: ABLY_KEY, clientId });
  const room = await new ChatClient(client).rooms.get("lobby", { occupancy: { enableEvents: true } });
  await room.attach();
  console.log(`${clientId} is attached`);
  return { client, room };
}

/** Resolves once `is` is true of an event. */
const first = (feature, is) => new Promise((resolve) => feature.subscribe((event) => is(event) && resolve()));

const ann = await attach("ann");
const both = first(ann.room.occupancy, ({ occupancy }) => occupancy.connections === 2);
const bob = await attach("bob");
await both;
console.log("ann sees 2 connections");

const entered = first(bob.room.presence, ({ type }) => type === PresenceEventType.Enter);
await ann.room.presence.enter({ mood: "curious" });
await entered;
for (const { clientId, data } of await bob.room.presence.get()) console.log(`bob sees ${clientId}, who is ${data.mood}`);

const left = first(bob.room.presence, ({ type }) => type === PresenceEventType.Leave);
ann.client.close();
await left;
const { connections, presenceMembers } = await bob.room.occupancy.get();
console.log(`bob sees ann leave: ${connections} connection, ${presenceMembers} members`);
bob.client.close();
