//! What somebody may do on a channel: by the credential, and in a managed room by its roster and window.

use std::sync::Arc;

use super::auth::{Credential, Denied};
use super::capability::{Ops, split};
use super::error::ErrorInfo;
use crate::domain::role::Role;
use crate::domain::room_options::RoomOptions;
use crate::http::State;
use crate::http::doors::{self, Admitted};
use crate::realtime::{Entry, Grant, Who};
use crate::service::ServiceError;

/// What is allowed.
pub struct Allowed {
    /// What the credential covers.
    pub asked: Ops,
    /// What remains of it with the role.
    pub ops: Ops,
    pub role: Option<Role>,
    pub who: Who,
    /// What the room has for them, of what they ask for.
    pub grant: Grant,
    /// The channel's own name: a room that has a name is known by that.
    pub place: String,
    pub entry: Entry,
}

/// What `user` may do on a channel now; `None` is nobody in particular.
///
/// # Errors
/// The room does not let the user in.
pub async fn allowed(
    state: &State,
    credential: &Credential,
    user: Option<Arc<str>>,
    channel: &str,
) -> Result<Allowed, Denied> {
    check_name(channel).map_err(Denied::Refused)?;
    let asked = credential.on(channel);
    let who = match user {
        _ if credential.is_key() => Who::Backend,
        Some(user) => Who::User(user),
        None => Who::Nobody,
    };
    let (called, suffix) = split(channel);
    match doors::admit(state, credential.resource, called, &who).await {
        Ok(Ok(Admitted { role, grant, entry })) => {
            let ops = role.map_or(asked, |role| asked & ops_of(role));
            let name = entry.managed.as_ref().and_then(|read| read.name.as_ref());
            let place = name.map_or_else(|| channel.to_owned(), |name| format!("{name}{suffix}"));
            Ok(Allowed { asked, ops, role, who, grant, place, entry })
        }
        Ok(Err(why)) => Err(Denied::Refused(why.into())),
        Err(ServiceError::Unavailable(_) | ServiceError::Overloaded) => Err(Denied::Unavailable),
        Err(error) => {
            tracing::error!(%error, "who may enter can't be read");
            Err(Denied::Refused(ErrorInfo::fault()))
        }
    }
}

/// The longest name of a channel, in bytes.
const LONGEST_NAME: usize = 2048;

/// Section 3.5: names that no channel has.
fn check_name(channel: &str) -> Result<(), ErrorInfo> {
    let begins_badly = channel.starts_with(['[', ':', ',']) || channel.starts_with(char::is_whitespace);
    let is_bad = channel.is_empty() || channel.len() > LONGEST_NAME || channel.contains(char::is_control);
    let told = "a channel's name has 1 to 2048 bytes without control characters, and does not begin with [, :, a \
                comma or a blank";
    if is_bad || begins_badly { Err(ErrorInfo::new(40010, 400, told)) } else { Ok(()) }
}

fn ops_of(role: Role) -> Ops {
    let modes = Grant::of(Some(role), &RoomOptions::default()).modes;
    let all = Ops::all().iter().filter(|op| modes.contains(op.modes()));
    all.fold(Ops::empty(), Ops::union)
}

/// Like [`allowed`], for an answer of REST.
pub async fn allowed_on_rest(state: &State, credential: &Credential, channel: &str) -> Result<Allowed, ErrorInfo> {
    allowed(state, credential, credential.client_id(), channel).await.map_err(Denied::into_error)
}
