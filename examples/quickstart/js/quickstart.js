// The Rooms quickstart: two users, a room, its roster. Plain Azure client code; only the connection string is ours.
import { CommunicationIdentityClient } from "@azure/communication-identity";
import { RoomsClient } from "@azure/communication-rooms";

const connectionString = process.env.COMMUNICATION_CONNECTION_STRING;
if (!connectionString) {
  console.error("Set COMMUNICATION_CONNECTION_STRING to one of the strings that roomkeeper prints when it starts.");
  process.exit(2);
}
// The Azure clients speak http only when they are told that it is meant.
const options = { allowInsecureConnection: connectionString.startsWith("endpoint=http:") };

const identity = new CommunicationIdentityClient(connectionString, options);
const rooms = new RoomsClient(connectionString, options);

const ann = await identity.createUserAndToken(["voip"]);
const bob = await identity.createUserAndToken(["voip"]);
console.log(`made two users; Ann's token lives until ${ann.expiresOn.toISOString()}`);

const validFrom = new Date();
const validUntil = new Date(validFrom.getTime() + 60 * 60 * 1000);
const room = await rooms.createRoom({
  validFrom,
  validUntil,
  participants: [{ id: ann.user, role: "Presenter" }],
});
console.log(`made room ${room.id}`);

const found = await rooms.getRoom(room.id);
console.log(`it is open until ${found.validUntil.toISOString()}`);

const longer = new Date(validUntil.getTime() + 60 * 60 * 1000);
const updated = await rooms.updateRoom(room.id, { validFrom, validUntil: longer });
console.log(`now it is open until ${updated.validUntil.toISOString()}`);

let count = 0;
for await (const _ of rooms.listRooms()) count += 1;
console.log(`there ${count === 1 ? "is 1 room" : `are ${count} rooms`}`);

await rooms.addOrUpdateParticipants(room.id, [{ id: bob.user, role: "Consumer" }]);
for await (const participant of rooms.listParticipants(room.id)) {
  const name = participant.id.communicationUserId === ann.user.communicationUserId ? "Ann" : "Bob";
  console.log(`${name} is ${participant.role}`);
}

await rooms.removeParticipants(room.id, [ann.user, bob.user]);
console.log("removed both");

await rooms.deleteRoom(room.id);
console.log("deleted the room");
