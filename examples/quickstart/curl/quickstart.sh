#!/usr/bin/env bash
# The Rooms quickstart without a client package: two users, a room, its roster. Needs bash 4.2 or newer, curl and openssl.
set -euo pipefail
export LC_ALL=C TZ=UTC0

fail() {
    echo "$1" >&2
    exit "${2:-1}"
}

form='^endpoint=(https?://([^/;]+))/?;accesskey=([^;]+)'
[[ ${COMMUNICATION_CONNECTION_STRING:-} =~ $form ]] ||
    fail "Set COMMUNICATION_CONNECTION_STRING to one of the strings that roomkeeper prints when it starts." 2
endpoint=${BASH_REMATCH[1]} host=${BASH_REMATCH[2]}
key=$(printf %s "${BASH_REMATCH[3]}" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \n')
[ -n "$key" ] || fail "The access key in COMMUNICATION_CONNECTION_STRING is not base64." 2
rooms_version=2025-03-13 identity_version=2023-10-01

# time_at FORMAT SECONDS - the time so many seconds from now.
time_at() { printf "%($1)T" $(($(printf '%(%s)T' -1) + $2)); }

# The key stands on openssl's command line, for a moment: on a machine that others use, sign in another way.
# call METHOD TARGET [BODY] - sends a signed request and leaves what came back in $answer.
call() {
    local method=$1 target=$2 body=${3:-} date hash signature status
    local signed='x-ms-date;host;x-ms-content-sha256' type=application/json
    if [ "$method" = PATCH ]; then type=application/merge-patch+json; fi
    date=$(time_at '%a, %d %b %Y %H:%M:%S GMT' 0)
    hash=$(printf %s "$body" | openssl dgst -sha256 -binary | openssl base64 -A)
    signature=$(printf '%s\n%s\n%s' "$method" "$target" "$date;$host;$hash" |
        openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)
    local request=(--silent --show-error --request "$method" --write-out '\n%{http_code}'
        --header "x-ms-date: $date" --header "x-ms-content-sha256: $hash" --header "Host: $host"
        --header "Authorization: HMAC-SHA256 SignedHeaders=$signed&Signature=$signature")
    if [ -n "$body" ]; then request+=(--header "Content-Type: $type" --data-binary "$body"); fi
    answer=$(curl "${request[@]}" "$endpoint$target") || fail "$method $target got no answer"
    status=${answer##*$'\n'} answer=${answer%$'\n'*}
    [[ $status == 2?? ]] || fail "$method $target was refused with $status: $answer"
}

# field NAME - the first member of that name in the answer, a string. For more than this, use jq.
field() {
    [[ $answer =~ \"$1\":\"([^\"]*)\" ]] && echo "${BASH_REMATCH[1]}"
}

call POST "/identities?api-version=$identity_version" '{"createTokenWithScopes":["voip"]}'
ann=$(field id) expires_on=$(field expiresOn)
call POST "/identities?api-version=$identity_version" '{"createTokenWithScopes":["voip"]}'
bob=$(field id)
echo "made two users; Ann's token lives until $expires_on"

valid_from=$(time_at %FT%TZ 0)
window='{"validFrom":"'$valid_from'","validUntil":"'$(time_at %FT%TZ 3600)'"'
call POST "/rooms?api-version=$rooms_version" "$window"',"participants":{"'"$ann"'":{"role":"Presenter"}}}'
id=$(field id)
room="/rooms/$id?api-version=$rooms_version"
roster="/rooms/$id/participants?api-version=$rooms_version"
echo "made room $id"

call GET "$room"
echo "it is open until $(field validUntil)"

call PATCH "$room" '{"validFrom":"'"$valid_from"'","validUntil":"'"$(time_at %FT%TZ 7200)"'"}'
echo "now it is open until $(field validUntil)"

count=0 next="/rooms?api-version=$rooms_version"
while [ -n "$next" ]; do
    call GET "$next"
    ids=$(grep -o '"id":' <<<"$answer" | grep -c .) || true
    count=$((count + ids))
    next=$(field nextLink) || next=
    next=${next#"$endpoint"}
done
if [ "$count" = 1 ]; then echo "there is 1 room"; else echo "there are $count rooms"; fi

call PATCH "$roster" '{"participants":{"'"$bob"'":{"role":"Consumer"}}}'
call GET "$roster"
grep -o '"rawId":"[^"]*","role":"[^"]*"' <<<"$answer" |
    sed -e "s/.*\"$ann\".*\"role\":\"\(.*\)\"/Ann is \1/" -e "s/.*\"$bob\".*\"role\":\"\(.*\)\"/Bob is \1/"

call PATCH "$roster" '{"participants":{"'"$ann"'":null,"'"$bob"'":null}}'
echo "removed both"

call DELETE "$room"
echo "deleted the room"
