"""Identity: users, the tokens with which they enter, and the end of both."""

import base64
import json
import re
from datetime import timedelta

import pytest
from azure.communication.identity import CommunicationTokenScope, CommunicationUserIdentifier
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from support import Answers, Refusal, instant, is_now, now, refusal, user

MINUTE = timedelta(minutes=1)
NOT_OWNED = Refusal(
    ClientAuthenticationError, 401, "IdentityNotOwned", "Provided identity doesn't belong to the resource."
)
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def decoded(token):
    """The header and the claims of a token."""
    header, claims, _signature = token.split(".")
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, claims)]


def lives_for(minutes, token, since):
    """Whether a token ends so many minutes from now, and says so itself. Its times are whole seconds."""
    claims = decoded(token.token)[1]
    ends_then = is_now(token.expires_on, since.replace(microsecond=0), ahead=minutes * MINUTE)
    return ends_then and claims["exp"] == instant(token.expires_on).timestamp() == claims["iat"] + minutes * 60


def guids(who):
    """The service's guid and the user's own."""
    return who.raw_id.removeprefix("8:acs:").split("_")


def test_a_user_is_made_from_a_request_without_a_body(identity):
    answers = Answers()

    made = identity.create_user(raw_response_hook=answers.take)

    assert re.fullmatch(f"8:acs:{UUID}_{UUID}", made.raw_id)
    assert made.properties["id"] == made.raw_id
    assert not answers.request.content
    assert answers.response.status_code == 201
    assert answers.response.json() == {"identity": {"id": made.raw_id}}


def test_users_of_one_service_share_its_guid_and_are_different_users(identity):
    (anns_service, anns_own), (bobs_service, bobs_own) = guids(identity.create_user()), guids(identity.create_user())

    assert anns_service == bobs_service
    assert anns_own != bobs_own


def test_a_user_is_made_with_a_token_that_lives_for_a_day(identity):
    since = now()

    made, token = identity.create_user_and_token([CommunicationTokenScope.CHAT, CommunicationTokenScope.VOIP])

    assert lives_for(1440, token, since)
    header, claims = decoded(token.token)
    service, own = guids(made)
    assert (header["alg"], header["typ"], type(header["kid"])) == ("RS256", "JWT", str)
    assert claims["skypeid"] == f"acs:{service}_{own}"
    assert claims["acsScope"] == "chat,voip"
    assert claims["scp"] == 1792
    assert claims["resourceId"] == service
    assert claims["csi"] == str(claims["iat"])


def test_a_token_is_issued_for_a_user_whose_id_is_encoded_in_the_path_or_not(clients, identity):
    made, answers = identity.create_user(), Answers()

    token = identity.get_token(made, ["voip"], raw_response_hook=answers.take)

    sent = str(answers.response.internal_response.url)  # what the transport made of the request's URL
    assert {"sync": "/identities/8%3Aacs%3A", "async": "/identities/8:acs:"}[clients.kind] in sent
    assert answers.response.status_code == 200
    assert f"8:{decoded(token.token)[1]['skypeid']}" == made.raw_id


@pytest.mark.parametrize("scope", ["chat", "voip", "chat.join", "chat.join.limited", "voip.join"])
def test_a_token_is_issued_for_every_scope(identity, scope):
    made, first = identity.create_user_and_token([scope])

    second = identity.get_token(made, [scope])

    assert [decoded(token.token)[1]["acsScope"] for token in [first, second]] == [scope, scope]


@pytest.mark.parametrize("minutes", [60, 1440])
def test_a_token_lives_as_long_as_is_asked_for(identity, minutes):
    since = now()

    made, first = identity.create_user_and_token(["voip"], token_expires_in=minutes * MINUTE)
    second = identity.get_token(made, ["voip"], token_expires_in=minutes * MINUTE)

    assert lives_for(minutes, first, since)
    assert lives_for(minutes, second, since)


@pytest.mark.parametrize("minutes", [59, 1441])
def test_a_token_for_less_than_an_hour_or_more_than_a_day_is_refused(identity, minutes):
    made = identity.create_user()

    refusals = [
        refusal(identity.create_user_and_token, ["voip"], token_expires_in=minutes * MINUTE),
        refusal(identity.get_token, made, ["voip"], token_expires_in=minutes * MINUTE),
    ]

    message = f"ExpiresInMinutes value {minutes} is invalid. Value must be within the [60, 1440] interval."
    expected = Refusal(HttpResponseError, 400, "ValidationError", message)
    assert refusals == [expected, expected]


def test_the_target_of_a_refusal_stands_in_the_answer(identity):
    with pytest.raises(HttpResponseError) as caught:
        identity.create_user_and_token(["voip"], token_expires_in=59 * MINUTE)

    assert caught.value.error.target == "ExpiresInMinutes"
    assert caught.value.model.error.target == "ExpiresInMinutes"


@pytest.mark.parametrize("scopes", [[], ["voip", "fax"]], ids=["none", "an unknown one"])
def test_a_token_for_bad_scopes_is_refused(identity, scopes):
    made = identity.create_user()

    refusals = [refusal(identity.create_user_and_token, scopes), refusal(identity.get_token, made, scopes)]

    assert [(refused.status, refused.code) for refused in refusals] == [(400, "ValidationError")] * 2


def test_a_token_whose_scopes_are_missing_is_refused(identity):
    made, answers = identity.create_user(), Answers()

    refused = refusal(identity.get_token, made, None, raw_response_hook=answers.take)

    assert json.loads(answers.request.content) == {}
    assert (refused.error, refused.status, refused.code) == (HttpResponseError, 400, "ValidationError")


def test_a_user_whose_scopes_are_missing_is_made_without_a_token_at_which_the_client_stumbles(identity):
    answers = Answers()

    with pytest.raises(AttributeError):
        identity.create_user_and_token(None, raw_response_hook=answers.take)

    assert json.loads(answers.request.content) == {}
    assert answers.response.status_code == 201
    assert list(answers.response.json()) == ["identity"]


def test_missing_scopes_are_told_before_the_owner_of_the_id(identity):
    assert refusal(identity.get_token, user(), []).status == 400


def test_tokens_are_revoked_with_204_and_new_ones_are_issued_afterwards(identity):
    made, first = identity.create_user_and_token(["voip"])
    answers = Answers()

    identity.revoke_tokens(made, raw_response_hook=answers.take)
    second = identity.get_token(made, ["voip"])

    assert (answers.response.status_code, answers.response.text()) == (204, "")
    assert second.token != first.token


def test_tokens_are_revoked_for_a_user_who_has_none(identity):
    made = identity.create_user()

    assert [identity.revoke_tokens(made), identity.revoke_tokens(made)] == [None, None]


def test_a_user_is_deleted_with_204_however_often(identity):
    made, answers = identity.create_user(), Answers()

    identity.delete_user(made, raw_response_hook=answers.take)
    identity.delete_user(made, raw_response_hook=answers.take)

    assert [(one.http_response.status_code, one.http_response.text()) for one in answers] == [(204, "")] * 2


def test_a_deleted_user_gets_no_token_and_has_none_to_revoke(identity):
    made, _ = identity.create_user_and_token(["voip"])

    identity.delete_user(made)

    assert refusal(identity.get_token, made, ["voip"]) == NOT_OWNED
    assert refusal(identity.revoke_tokens, made) == NOT_OWNED


def test_a_deleted_user_does_not_take_others_along(identity):
    ann, bob = identity.create_user(), identity.create_user()

    identity.delete_user(ann)

    assert identity.get_token(bob, ["voip"]).token


CALLS = {
    "get_token": lambda identity, who: identity.get_token(who, ["voip"]),
    "revoke_tokens": lambda identity, who: identity.revoke_tokens(who),
    "delete_user": lambda identity, who: identity.delete_user(who),
}
NOBODY = {
    "a user of another service": lambda identity: user(),
    "a user who was never made": lambda identity: CommunicationUserIdentifier(
        f"8:acs:{guids(identity.create_user())[0]}_{guids(user())[1]}"
    ),
    "an id that is none": lambda identity: CommunicationUserIdentifier("ann"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("who", NOBODY)
def test_no_call_is_served_for_somebody_who_is_no_user_here(identity, who, call):
    assert refusal(CALLS[call], identity, NOBODY[who](identity)) == NOT_OWNED
