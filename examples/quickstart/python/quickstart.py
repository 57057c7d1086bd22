"""The Rooms quickstart: two users, a room, its roster. Plain Azure client code; only the connection string is ours."""

import os
import sys
from datetime import datetime, timedelta, timezone

from azure.communication.identity import CommunicationIdentityClient
from azure.communication.rooms import ParticipantRole, RoomParticipant, RoomsClient
from azure.core.credentials import AzureKeyCredential

connection_string = os.environ.get("COMMUNICATION_CONNECTION_STRING")
if not connection_string:
    print(
        "Set COMMUNICATION_CONNECTION_STRING to one of the strings that roomkeeper prints when it starts.",
        file=sys.stderr,
    )
    sys.exit(2)

if connection_string.startswith("endpoint=http:"):
    # By a connection string, the Azure clients always speak https. They speak http when they get a URL and a key.
    endpoint, _, key = connection_string.removeprefix("endpoint=").partition(";accesskey=")
    identity = CommunicationIdentityClient(endpoint, AzureKeyCredential(key))
    rooms = RoomsClient(endpoint, AzureKeyCredential(key))
else:
    identity = CommunicationIdentityClient.from_connection_string(connection_string)
    rooms = RoomsClient.from_connection_string(connection_string)

ann, token = identity.create_user_and_token(["voip"])
bob, _ = identity.create_user_and_token(["voip"])
print(f"made two users; Ann's token lives until {token.expires_on}")

valid_from = datetime.now(timezone.utc)
valid_until = valid_from + timedelta(hours=1)
room = rooms.create_room(
    valid_from=valid_from,
    valid_until=valid_until,
    participants=[RoomParticipant(communication_identifier=ann, role=ParticipantRole.PRESENTER)],
)
print(f"made room {room.id}")

found = rooms.get_room(room.id)
print(f"it is open until {found.valid_until}")

longer = valid_until + timedelta(hours=1)
updated = rooms.update_room(room_id=room.id, valid_from=valid_from, valid_until=longer)
print(f"now it is open until {updated.valid_until}")

count = len(list(rooms.list_rooms()))
print("there is 1 room" if count == 1 else f"there are {count} rooms")

consumer = RoomParticipant(communication_identifier=bob, role=ParticipantRole.CONSUMER)
rooms.add_or_update_participants(room_id=room.id, participants=[consumer])
for participant in rooms.list_participants(room.id):
    name = "Ann" if participant.communication_identifier == ann else "Bob"
    print(f"{name} is {participant.role}")

rooms.remove_participants(room_id=room.id, participants=[ann, bob])
print("removed both")

rooms.delete_room(room.id)
print("deleted the room")
