"""Listing: rooms come in pages of 30, newest first."""

from urllib.parse import parse_qs, urlsplit

import pytest
from support import Answers


@pytest.fixture
def fill(rooms):
    """Leaves so many rooms on the server and no others; their ids come newest first."""

    def fill(count):
        for room in list(rooms.list_rooms()):
            rooms.delete_room(room.id)
        return [rooms.create_room().id for _ in range(count)][::-1]

    return fill


def pages_of(listing):
    return [[room.id for room in page] for page in listing]


def test_a_server_without_rooms_lists_none(rooms, fill):
    fill(0)

    assert pages_of(rooms.list_rooms().by_page()) == [[]]
    assert list(rooms.list_rooms()) == []


def test_65_rooms_come_in_pages_of_30_30_and_5_or_one_by_one_newest_first(rooms, fill):
    ids = fill(65)

    pages = pages_of(rooms.list_rooms().by_page())
    one_by_one = list(rooms.list_rooms())

    assert pages == [ids[:30], ids[30:60], ids[60:]]
    assert [room.id for room in one_by_one] == ids
    assert one_by_one[0] == rooms.get_room(ids[0])


def test_the_client_names_its_version_oddly_on_every_page_but_the_first(rooms, fill):
    fill(65)
    answers = Answers()

    list(rooms.list_rooms(raw_response_hook=answers.take))

    urls = [urlsplit(answer.http_request.url) for answer in answers]
    assert [url.path for url in urls] == ["/rooms"] * 3
    versions = [parse_qs(url.query)["api-version"] for url in urls]
    assert versions == [["2025-03-13"], ["ApiVersion.V2025_03_13"], ["ApiVersion.V2025_03_13"]]
    assert [answer.http_response.status_code for answer in answers] == [200] * 3


@pytest.mark.parametrize("api_version", ["2023-06-14", "2024-04-15"])
def test_a_client_that_was_given_its_version_pages_as_well(clients, fill, api_version):
    ids = fill(31)

    pages = pages_of(clients.rooms(api_version=api_version).list_rooms().by_page())

    assert pages == [ids[:30], ids[30:]]


def test_30_rooms_are_one_page_with_no_empty_one_behind_it(rooms, fill):
    ids = fill(30)

    assert pages_of(rooms.list_rooms().by_page()) == [ids]


def test_a_listing_goes_on_later_where_another_one_ended(rooms, fill):
    ids = fill(35)
    pages = rooms.list_rooms().by_page()
    next(pages)

    rest = rooms.list_rooms().by_page(continuation_token=pages.continuation_token)

    assert pages_of(rest) == [ids[30:]]


def test_rooms_that_are_deleted_while_a_client_pages_make_it_miss_none_of_the_others(rooms, fill):
    ids = fill(35)
    pages = rooms.list_rooms().by_page()
    next(pages)

    rooms.delete_room(ids[0])
    rooms.delete_room(ids[29])

    assert pages_of(pages) == [ids[30:]]
