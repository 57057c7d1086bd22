"""A program as users write it: it makes a user and a room, and lists all rooms. The tests run it as it is."""

import json
import os

from azure.communication.identity import CommunicationIdentityClient
from azure.communication.rooms import RoomParticipant, RoomsClient

connection_string = os.environ["COMMUNICATION_CONNECTION_STRING"]
identity = CommunicationIdentityClient.from_connection_string(connection_string)
rooms = RoomsClient.from_connection_string(connection_string)

room = rooms.create_room(participants=[RoomParticipant(communication_identifier=identity.create_user())])
print(json.dumps([room.id, [room.id for room in rooms.list_rooms()]]))
