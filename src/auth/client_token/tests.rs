//! Tokens as any client could write them, member by member; docs/credentials.md names these tests.

use std::sync::OnceLock;

use chrono::TimeDelta;
use jsonwebtoken::crypto::sign;
use rstest::rstest;

use super::*;
use crate::auth::jwt::{Signer, generate};

const SECRET: &str = "bWFkZS11cC1rZXk=";
/// 2026-11-21T01:07:52Z.
const NOW: i64 = 1_795_223_272;
const RESOURCE: &str = "11111111-2222-3333-4444-555555555555";
const USER: &str = "11111111-2222-3333-4444-555555555555_00000026-0000-1111-2222-0000000000aa";

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(NOW, 0).unwrap()
}

/// The id and the private half of the signing key; to make one takes its time.
fn signing_key() -> &'static (String, String) {
    static KEY: OnceLock<(String, String)> = OnceLock::new();
    KEY.get_or_init(|| generate().unwrap())
}

fn keys() -> Keys {
    let resource: ResourceId = RESOURCE.parse::<Uuid>().unwrap().into();
    let access = AccessKey::new(resource, "dev.primary".to_owned(), SECRET).into_iter().collect();
    let (kid, pem) = signing_key();
    Keys { access, signers: vec![Signer::new(resource, kid, pem, now()).unwrap()] }
}

fn part(members: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{{{members}}}"))
}

fn signed(header: &str, claims: &str, key: &EncodingKey, algorithm: Algorithm) -> String {
    let text = format!("{}.{}", part(header), part(claims));
    format!("{text}.{}", sign(text.as_bytes(), key, algorithm).unwrap())
}

/// Members of the header and the claims as they are written, signed with the access key.
fn of_key(header: &str, claims: &str) -> Result<ClientToken, TokenError> {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    verify(&keys(), &signed(header, claims, &key, Algorithm::HS256), now())
}

/// The claims of a user's token, with these in place of those of the same name.
fn of_user(changed: &[(&str, &str)]) -> Result<ClientToken, TokenError> {
    let (kid, pem) = signing_key();
    let mut claims: BTreeMap<&str, String> = BTreeMap::from([
        ("exp", (NOW + 3600).to_string()),
        ("iatMs", format!("{NOW}000")),
        ("skypeid", format!("\"acs:{USER}\"")),
        ("resourceId", format!("\"{RESOURCE}\"")),
        ("acsScope", "\"chat\"".to_owned()),
    ]);
    for (name, value) in changed {
        claims.insert(name, (*value).to_owned());
    }
    let written: Vec<String> = claims
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    let key = EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
    let header = format!(r#""alg":"RS256","kid":"{kid}""#);
    verify(&keys(), &signed(&header, &written.join(","), &key, Algorithm::RS256), now())
}

fn named(error: TokenError) -> &'static str {
    match error {
        TokenError::Malformed => "malformed",
        TokenError::Header { name, .. } | TokenError::Claim { name, .. } => name,
        TokenError::UnknownKey => "unknown key",
        TokenError::Signature => "signature",
        TokenError::Audience => "other audience",
        TokenError::NotYet => "not yet",
        TokenError::Scope => "scope",
    }
}

fn refusal(read: Result<ClientToken, TokenError>) -> Option<&'static str> {
    read.err().map(named)
}

#[rstest]
#[case::alg_hs256(r#""alg":"HS256","kid":"dev.primary""#, None)]
#[case::alg_none(r#""alg":"none","kid":"dev.primary""#, Some("alg"))]
#[case::alg_of_another_case(r#""alg":"hs256","kid":"dev.primary""#, Some("alg"))]
#[case::alg_hs512(r#""alg":"HS512","kid":"dev.primary""#, Some("alg"))]
#[case::alg_rs256_of_an_access_key(r#""alg":"RS256","kid":"dev.primary""#, Some("alg"))]
#[case::alg_missing(r#""kid":"dev.primary""#, Some("alg"))]
#[case::alg_no_text(r#""alg":["HS256"],"kid":"dev.primary""#, Some("alg"))]
#[case::kid_missing(r#""alg":"HS256""#, Some("kid"))]
#[case::kid_no_text(r#""alg":"HS256","kid":7"#, Some("kid"))]
#[case::kid_unknown(r#""alg":"HS256","kid":"dev.nobodys""#, Some("unknown key"))]
fn a_header_names_its_key_and_that_keys_algorithm(#[case] header: &str, #[case] wanted: Option<&str>) {
    assert_eq!(refusal(of_key(header, r#""exp":1"#)), wanted);
}

#[rstest]
#[case::typ_jwt(r#""typ":"JWT""#, None)]
#[case::typ_of_another_case(r#""typ":"jwt""#, None)]
#[case::typ_media_type(r#""typ":"application/JWT""#, None)]
#[case::typ_other(r#""typ":"at+jwt""#, Some("typ"))]
#[case::typ_null(r#""typ":null"#, Some("typ"))]
#[case::cty_jwt(r#""cty":"JWT""#, Some("cty"))]
#[case::cty_media_type(r#""cty":"application/jwt""#, Some("cty"))]
#[case::cty_no_text(r#""cty":7"#, Some("cty"))]
#[case::cty_other(r#""cty":"json""#, None)]
#[case::crit_unknown(r#""crit":["x"],"x":1"#, Some("crit"))]
#[case::crit_b64(r#""crit":["b64"],"b64":true"#, Some("crit"))]
#[case::crit_empty(r#""crit":[]"#, Some("crit"))]
#[case::crit_null(r#""crit":null"#, Some("crit"))]
#[case::b64(r#""b64":false"#, None)]
#[case::enc(r#""enc":"A128GCM""#, Some("enc"))]
#[case::zip(r#""zip":"DEF""#, Some("zip"))]
#[case::jku(r#""jku":"https://evil.example/jwks.json""#, None)]
#[case::jwk(r#""jwk":{"kty":"oct","k":"c2VjcmV0"}"#, None)]
#[case::x5u(r#""x5u":"https://evil.example/cert""#, None)]
#[case::x5c(r#""x5c":["MIIB"]"#, None)]
#[case::x5t(r#""x5t":"x","x5t#S256":"x""#, None)]
#[case::unknown(r#""nobody":"knows""#, None)]
#[case::kid_twice(r#""kid":"dev.primary""#, Some("malformed"))]
#[case::unknown_twice(r#""nobody":1,"nobody":2"#, Some("malformed"))]
#[case::twice_by_an_escape(r#""k\u0069d":"dev.primary""#, Some("malformed"))]
fn a_header_parameter_is_honoured_or_does_not_matter(#[case] parameter: &str, #[case] wanted: Option<&str>) {
    let header = format!(r#""alg":"HS256","kid":"dev.primary",{parameter}"#);
    assert_eq!(refusal(of_key(&header, r#""exp":1"#)), wanted);
}

#[rstest]
#[case::jwk(r#""jwk":{"kty":"oct","k":"b3RoZXI"}"#)]
#[case::jku(r#""jku":"https://evil.example/jwks.json""#)]
fn a_key_that_a_token_brings_does_not_open_anything(#[case] parameter: &str) {
    let header = format!(r#""alg":"HS256","kid":"dev.primary",{parameter}"#);
    let token = signed(&header, r#""exp":1"#, &EncodingKey::from_secret(b"other"), Algorithm::HS256);
    assert_eq!(verify(&keys(), &token, now()), Err(TokenError::Signature));
}

#[rstest]
#[case::fraction(r#""exp":1795223272.5"#, None)]
#[case::exponent(r#""exp":1.7952232725e9"#, None)]
#[case::the_last_second(r#""exp":253402300799"#, None)]
#[case::beyond(r#""exp":253402300800"#, Some("exp"))]
#[case::huge(r#""exp":1e300"#, Some("exp"))]
#[case::no_double(r#""exp":1e999"#, Some("malformed"))]
#[case::text(r#""exp":"1795223273""#, Some("exp"))]
#[case::null(r#""exp":null"#, Some("exp"))]
#[case::missing(r#""iat":1"#, Some("exp"))]
#[case::twice(r#""exp":1,"exp":2"#, Some("malformed"))]
fn a_token_has_an_end(#[case] claims: &str, #[case] wanted: Option<&str>) {
    assert_eq!(refusal(of_key(r#""alg":"HS256","kid":"dev.primary""#, claims)), wanted);
}

#[rstest]
#[case::before("1795223271.9", false)]
#[case::at_the_end("1795223272", false)]
#[case::a_moment_later("1795223272.001", true)]
#[case::below_zero("-1", false)]
fn a_token_ends_at_its_exp(#[case] exp: &str, #[case] is_good: bool) {
    let token = of_key(r#""alg":"HS256","kid":"dev.primary""#, &format!("\"exp\":{exp}")).unwrap();
    assert_eq!(token.expires_after(now()).is_some(), is_good);
}

#[rstest]
#[case::nbf_now(r#""nbf":1795223272"#, None)]
#[case::nbf_within_the_leeway(r#""nbf":1795223302"#, None)]
#[case::nbf_beyond_the_leeway(r#""nbf":1795223302.5"#, Some("not yet"))]
#[case::nbf_text(r#""nbf":"1""#, Some("nbf"))]
#[case::nbf_huge(r#""nbf":1e300"#, Some("nbf"))]
#[case::iat(r#""iat":1795223272.25"#, None)]
#[case::iat_to_come(r#""iat":1795309672"#, None)]
#[case::iat_text(r#""iat":"1795223272""#, Some("iat"))]
#[case::iat_null(r#""iat":null"#, Some("iat"))]
#[case::iss(r#""iss":"https://app.example""#, None)]
#[case::iss_no_text(r#""iss":7"#, Some("iss"))]
#[case::sub(r#""sub":"ann""#, None)]
#[case::sub_no_text(r#""sub":["ann"]"#, Some("sub"))]
#[case::jti(r#""jti":"1""#, None)]
#[case::jti_no_text(r#""jti":null"#, Some("jti"))]
#[case::aud_key(r#""aud":"dev.primary""#, None)]
#[case::aud_app(r#""aud":"dev""#, None)]
#[case::aud_resource(r#""aud":"11111111-2222-3333-4444-555555555555""#, None)]
#[case::aud_one_of_several(r#""aud":["https://other.example","dev"]"#, None)]
#[case::aud_other(r#""aud":"https://other.example""#, Some("other audience"))]
#[case::aud_another_key(r#""aud":"dev.secondary""#, Some("other audience"))]
#[case::aud_of_another_case(r#""aud":"Dev""#, Some("other audience"))]
#[case::aud_nobody(r#""aud":[]"#, Some("other audience"))]
#[case::aud_no_text(r#""aud":["dev",7]"#, Some("aud"))]
#[case::aud_null(r#""aud":null"#, Some("aud"))]
#[case::unknown(r#""nobody":"knows""#, None)]
#[case::unknown_twice(r#""nobody":1,"nobody":2"#, Some("malformed"))]
#[case::client_id(r#""x-ably-clientId":"ann""#, None)]
#[case::client_id_null(r#""x-ably-clientId":null"#, None)]
#[case::client_id_no_text(r#""x-ably-clientId":7"#, Some("x-ably-clientId"))]
#[case::client_id_empty(r#""x-ably-clientId":"""#, Some("x-ably-clientId"))]
#[case::client_id_twice(r#""x-ably-clientId":"ann","x-ably-clientId":"bob""#, Some("malformed"))]
#[case::capability_no_text(r#""x-ably-capability":{"*":["*"]}"#, Some("x-ably-capability"))]
#[case::room_claim_no_text(r#""ably.room.lobby":7"#, Some("ably.room.<room>"))]
#[case::room_claim_null(r#""ably.room.lobby":null"#, None)]
#[case::ably_limits(r#""ably.limits.publish.perAttachment.maxRate":1"#, None)]
#[case::ably_channel(r#""ably.channel.lobby":7"#, None)]
#[case::other_x_ably(r#""x-ably-other":[]"#, None)]
fn a_claim_is_honoured_or_does_not_matter(#[case] claim: &str, #[case] wanted: Option<&str>) {
    let claims = format!(r#""exp":1795226872,{claim}"#);
    assert_eq!(refusal(of_key(r#""alg":"HS256","kid":"dev.primary""#, &claims)), wanted);
}

#[rstest]
#[case::usual("acsScope", "\"chat\"", None)]
#[case::several_scopes("acsScope", "\"voip,chat\"", None)]
#[case::scope_voip("acsScope", "\"voip\"", Some("scope"))]
#[case::scope_chat_join("acsScope", "\"chat.join\"", Some("scope"))]
#[case::scope_chat_join_limited("acsScope", "\"chat.join.limited,voip.join\"", Some("scope"))]
#[case::scope_missing("acsScope", "", Some("scope"))]
#[case::scope_no_text("acsScope", "[\"chat\"]", Some("acsScope"))]
#[case::resource_missing("resourceId", "", None)]
#[case::resource_another("resourceId", "\"11111111-2222-3333-4444-555555555556\"", Some("resourceId"))]
#[case::resource_no_text("resourceId", "7", Some("resourceId"))]
#[case::user_missing("skypeid", "", Some("skypeid"))]
#[case::user_no_id("skypeid", "\"ann\"", Some("skypeid"))]
#[case::user_of_another_resource(
    "skypeid",
    "\"acs:11111111-2222-3333-4444-555555555556_00000026-0000-1111-2222-0000000000aa\"",
    Some("skypeid")
)]
#[case::issue_missing("iatMs", "", Some("iatMs"))]
#[case::issue_text("iatMs", "\"1795223272000\"", Some("iatMs"))]
#[case::revocations_number("revocations", "3", None)]
#[case::revocations_text("revocations", "\"3\"", Some("revocations"))]
#[case::iat_text("iat", "\"1795223272\"", Some("iat"))]
#[case::end_missing("exp", "", Some("exp"))]
#[case::audience_own("aud", "\"11111111-2222-3333-4444-555555555555\"", None)]
#[case::audience_other("aud", "\"dev\"", Some("other audience"))]
#[case::not_yet("nbf", "1795223303", Some("not yet"))]
fn a_claim_of_a_user_is_honoured(#[case] name: &str, #[case] value: &str, #[case] wanted: Option<&str>) {
    assert_eq!(refusal(of_user(&[(name, value)])), wanted);
}

#[rstest]
#[case::two_parts("a.b")]
#[case::five_parts("a.b.c.d.e")]
#[case::empty("")]
#[case::no_base64("?.?.?")]
#[case::no_json("YQ.YQ.YQ")]
#[case::a_list("W10.W10.YQ")]
fn what_is_no_token_is_refused(#[case] token: &str) {
    assert_eq!(verify(&keys(), token, now()), Err(TokenError::Malformed));
}

#[test]
fn what_the_service_issues_it_reads() {
    let keys = keys();
    let key = keys.access.find("dev.primary").unwrap();
    let (capability, end) = (r#"{"*":["*"]}"#, now() + TimeDelta::milliseconds(1_500));
    let issued = Issue { client_id: Some("ann"), capability, issued_at: now(), expires_at: end };

    let read = verify(&keys, &issue(key, issued).unwrap(), now()).unwrap();

    assert_eq!(read.expires_after(now()), Some(end));
    let (client_id, capability) = (Some("ann".to_owned()), Some(capability.to_owned()));
    assert_eq!(read.holder, Holder::Client { client_id, capability, claims: BTreeMap::new() });
}
