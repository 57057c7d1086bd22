//! Who a client is: a key or a token, and the client id that it speaks for (ably-chat.md, section 2).

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};

use super::capability::{Capability, Ops, room_of};
use super::error::ErrorInfo;
use crate::auth::client_token::{self, ClientToken, Holder};
use crate::auth::hmac;
use crate::auth::keys::Keys;
use crate::domain::issue::Issue;
use crate::domain::resource::ResourceId;
use crate::http::State;
use crate::realtime::{Identity, LONGEST_CLIENT_ID, Owner};
use crate::service::{self, ServiceError};

/// What a client shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presented {
    /// `<name>:<secret>`.
    Key(String),
    Token(String),
    /// More than one of them, of which none is taken: who looked at the request before may have taken another.
    Several,
}

/// Why a client is not let in.
#[derive(Debug)]
pub enum Denied {
    Refused(ErrorInfo),
    /// Nobody can say now; trying again helps.
    Unavailable,
    /// Not now, for a reason of the client's own.
    Later(ErrorInfo),
}

impl Denied {
    /// What the client is told.
    pub fn into_error(self) -> ErrorInfo {
        match self {
            Self::Refused(error) | Self::Later(error) => error,
            Self::Unavailable => ErrorInfo::unavailable(),
        }
    }
}

/// What a client may do, and for how long.
#[derive(Debug, Clone)]
pub struct Credential {
    pub resource: ResourceId,
    client: For,
    capability: Capability,
    /// A key's holder is a backend, and may go everywhere.
    is_key: bool,
    pub expires_at: Option<DateTime<Utc>>,
    /// The issue of a token that can be revoked; `None` for a key.
    pub issue: Option<Issue>,
    claims: BTreeMap<String, String>,
    /// The token, as a digest: of one that names no client, connections are counted by it.
    token: Option<[u8; 32]>,
}

/// Whom a credential is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum For {
    Nobody,
    Anyone,
    Client(String),
}

/// Judges what a client shows. `on_connection` is false for a call of REST (section 2.6).
///
/// # Errors
/// It is no credential of this service, or not any more.
pub async fn judge(
    state: &State,
    keys: &Keys,
    presented: &Presented,
    on_connection: bool,
) -> Result<Credential, Denied> {
    match presented {
        Presented::Key(key) => of_key(keys, key).map_err(Denied::Refused),
        Presented::Token(token) => {
            let now = state.ctx.clock.now();
            let verified = client_token::verify(keys, token, now);
            let verified = verified.map_err(|error| Denied::Refused(ErrorInfo::token(error, on_connection)))?;
            let credential = of_token(state, verified, now).await?;
            Ok(Credential { token: Some(hmac::digest(token.as_bytes())), ..credential })
        }
        Presented::Several => {
            let told = "show one credential: the request has several keys or tokens, in its query or its headers";
            Err(Denied::Refused(ErrorInfo::malformed_credential(told)))
        }
    }
}

fn of_key(keys: &Keys, text: &str) -> Result<Credential, ErrorInfo> {
    let told = "write a key as <name>:<secret>, such as dev.primary:<access key>";
    let (name, secret) = text.split_once(':').ok_or_else(|| ErrorInfo::malformed_credential(told))?;
    // In a query, `+` may have been read as a blank; a key has none.
    let secret = secret.replace(' ', "+");
    let key = keys.access.find(name).filter(|key| key.is_text(&secret)).ok_or_else(ErrorInfo::bad_key)?;
    Ok(Credential {
        resource: key.resource,
        client: For::Anyone,
        capability: Capability::all(),
        is_key: true,
        expires_at: None,
        issue: None,
        claims: BTreeMap::new(),
        token: None,
    })
}

async fn of_token(state: &State, token: ClientToken, now: DateTime<Utc>) -> Result<Credential, Denied> {
    let end = token.expires_after(now).ok_or_else(|| Denied::Refused(ErrorInfo::token_expired()));
    let ClientToken { resource, holder, .. } = token;
    let credential = |client, capability, claims, end| Credential {
        resource,
        client,
        capability,
        is_key: false,
        expires_at: Some(end),
        issue: None,
        claims,
        token: None,
    };
    match holder {
        Holder::Client { client_id, capability, claims } => {
            let client = match client_id {
                None => For::Nobody,
                Some(id) if id == "*" => For::Anyone,
                Some(id) => {
                    check_client_id(&id).map_err(Denied::Refused)?;
                    For::Client(id)
                }
            };
            let capability = capability.map_or(Ok(Capability::all()), |text| Capability::read(&text));
            Ok(credential(client, capability.map_err(Denied::Refused)?, claims, end?))
        }
        Holder::User { id, user, issue } => {
            let end = end?; // before the database is asked
            match service::identities::token_stands(&state.ctx, resource, user, issue).await {
                Ok(true) => {}
                Ok(false) => return Err(Denied::Refused(ErrorInfo::token_revoked())),
                Err(ServiceError::Unavailable(_) | ServiceError::Overloaded) => return Err(Denied::Unavailable),
                Err(error) => {
                    tracing::error!(%error, "a user's token can't be judged");
                    return Err(Denied::Unavailable);
                }
            }
            let credential = credential(For::Client(id.to_string()), Capability::all(), BTreeMap::new(), end);
            Ok(Credential { issue: Some(issue), ..credential })
        }
    }
}

/// Refuses a client's id that is too long, or that the database has no text for.
pub fn check_client_id(id: &str) -> Result<(), ErrorInfo> {
    if id.len() <= LONGEST_CLIENT_ID && !id.contains('\0') {
        return Ok(());
    }
    let told = format!("a client id has at most {LONGEST_CLIENT_ID} bytes, and none of them is zero");
    Err(ErrorInfo::new(40012, 400, told))
}

impl Credential {
    /// Whose a connection is that asks to speak for `asked` (section 2.4).
    ///
    /// # Errors
    /// The credential is for another, or for nobody.
    pub fn owner(&self, asked: Option<&str>) -> Result<Owner, ErrorInfo> {
        let asked = asked.filter(|asked| !asked.is_empty());
        let identity = match (&self.client, asked) {
            (For::Anyone, None | Some("*")) => Identity::Anyone,
            (For::Anyone, Some(asked)) => Identity::Client(Arc::from(asked)),
            (For::Nobody, None) => Identity::Anonymous,
            (For::Client(id), asked) if asked.is_none_or(|asked| asked == id) => Identity::Client(Arc::from(&**id)),
            (For::Nobody | For::Client(_), _) => return Err(ErrorInfo::other_client()),
        };
        Ok(Owner { resource: self.resource, identity })
    }

    /// What its capability covers on a channel; of a managed room, the roster decides besides.
    pub fn on(&self, channel: &str) -> Ops {
        self.capability.on(channel)
    }

    /// The client that it is for, if it is for one.
    pub fn client_id(&self) -> Option<Arc<str>> {
        match &self.client {
            For::Client(id) => Some(Arc::from(&**id)),
            For::Nobody | For::Anyone => None,
        }
    }

    /// Whose connections are counted together with this one's: the client's, or those of a token that may be anybody, or
    /// is nobody. None for a backend.
    pub fn holder(&self) -> Option<Arc<str>> {
        match (&self.client, self.token) {
            (_, None) => None,
            (For::Client(id), _) => Some(format!("client {id}").into()),
            (For::Nobody | For::Anyone, Some(digest)) => Some(format!("token {}", STANDARD.encode(digest)).into()),
        }
    }

    /// True for a key's holder: a backend.
    pub fn is_key(&self) -> bool {
        self.is_key
    }

    /// What the token says of its holder in a channel's room (section 4.9).
    pub fn claim(&self, channel: &str) -> Option<&str> {
        self.claims.get(room_of(channel)).map(String::as_str)
    }
}

/// What an Authorization header shows. A token is base64 once more, or a JWT as it is.
pub fn from_header(header: &str) -> Result<Presented, ErrorInfo> {
    let told = "the Authorization header is neither `Basic` with a key, nor `Bearer` with a token, in base64";
    let malformed = || ErrorInfo::malformed_credential(told);
    let (scheme, rest) = header.split_once(' ').ok_or_else(malformed)?;
    let rest = rest.trim();
    let decoded = || STANDARD.decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    if scheme.eq_ignore_ascii_case("basic") {
        decoded().map(Presented::Key).ok_or_else(malformed)
    } else if scheme.eq_ignore_ascii_case("bearer") {
        let is_jwt = rest.split('.').count() == 3 && !rest.contains(char::is_whitespace);
        let token = if is_jwt { Some(rest.to_owned()) } else { decoded() };
        token.map(Presented::Token).ok_or_else(malformed)
    } else {
        Err(malformed())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn credential(client: For) -> Credential {
        Credential {
            resource: uuid::Uuid::nil().into(),
            client,
            capability: Capability::all(),
            is_key: false,
            expires_at: None,
            issue: None,
            claims: BTreeMap::new(),
            token: None,
        }
    }

    fn client(id: &str) -> Result<Identity, u32> {
        Ok(Identity::Client(id.into()))
    }

    #[rstest]
    #[case::a_key(For::Anyone, None, Ok(Identity::Anyone))]
    #[case::a_key_for_one(For::Anyone, Some("x"), client("x"))]
    #[case::anonymous(For::Nobody, None, Ok(Identity::Anonymous))]
    #[case::anonymous_who_names_itself(For::Nobody, Some("x"), Err(40102))]
    #[case::one(For::Client("x".into()), None, client("x"))]
    #[case::the_same(For::Client("x".into()), Some("x"), client("x"))]
    #[case::another(For::Client("x".into()), Some("y"), Err(40102))]
    fn a_connection_speaks_for_whom_its_credential_is(
        #[case] of: For,
        #[case] asked: Option<&str>,
        #[case] wanted: Result<Identity, u32>,
    ) {
        let owner = credential(of).owner(asked);
        assert_eq!(owner.map(|owner| owner.identity).map_err(|error| error.code), wanted);
    }

    #[rstest]
    #[case("Basic YTpi", Ok(Presented::Key("a:b".into())))]
    #[case("bearer YS5iLmM=", Ok(Presented::Token("a.b.c".into())))]
    #[case("Bearer a.b.c", Ok(Presented::Token("a.b.c".into())))]
    #[case("Bearer ?", Err(40005))]
    #[case::more_behind_it("Bearer a.b.c d", Err(40005))]
    #[case::two("Bearer a.b.c, Bearer d.e.f", Err(40005))]
    #[case::more_behind_a_key("Basic YTpi YTpi", Err(40005))]
    #[case("HMAC-SHA256 x", Err(40005))]
    #[case("", Err(40005))]
    fn a_header_shows_a_key_or_a_token(#[case] header: &str, #[case] wanted: Result<Presented, u32>) {
        assert_eq!(from_header(header).map_err(|error| error.code), wanted);
    }
}
