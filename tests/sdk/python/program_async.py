"""The same program as program_sync.py, with the asynchronous clients."""

import asyncio
import json
import os

from azure.communication.identity.aio import CommunicationIdentityClient
from azure.communication.rooms import RoomParticipant
from azure.communication.rooms.aio import RoomsClient


async def main():
    connection_string = os.environ["COMMUNICATION_CONNECTION_STRING"]
    async with (
        CommunicationIdentityClient.from_connection_string(connection_string) as identity,
        RoomsClient.from_connection_string(connection_string) as rooms,
    ):
        participant = RoomParticipant(communication_identifier=await identity.create_user())
        room = await rooms.create_room(participants=[participant])
        print(json.dumps([room.id, [room.id async for room in rooms.list_rooms()]]))


asyncio.run(main())
