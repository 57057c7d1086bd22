//! What somebody may do on a channel: by the credential, and in a managed room by its roster and window.

use std::sync::Arc;

use super::auth::{Credential, Denied};
use super::capability::{Ops, room_of};
use super::error::ErrorInfo;
use crate::domain::door::Refused;
use crate::domain::role::Role;
use crate::domain::room_id::RoomId;
use crate::http::{State, doors};
use crate::realtime::{Entry, modes_of};
use crate::service::ServiceError;

/// What is allowed.
pub struct Allowed {
    /// What the credential covers.
    pub asked: Ops,
    /// What remains of it with the role.
    pub ops: Ops,
    pub role: Option<Role>,
    /// To enter a managed room with.
    pub entry: Option<Entry>,
}

/// What `user` may do on a channel now; `None` is nobody in particular.
///
/// # Errors
/// A managed room does not let the user in.
pub async fn allowed(
    state: &State,
    credential: &Credential,
    user: Option<Arc<str>>,
    channel: &str,
) -> Result<Allowed, Denied> {
    let asked = credential.on(channel);
    let name = room_of(channel);
    let Ok(room) = name.parse::<RoomId>() else {
        return Ok(Allowed { asked, ops: asked, role: None, entry: None });
    };
    let refused = |refused: Refused| Denied::Refused(refused.into());
    // What has the form of an id is never a named room, and an id has one spelling.
    if room.to_string() != name {
        return Err(refused(Refused::NoSuchRoom));
    }
    let user = match user {
        _ if credential.is_key() => None,
        Some(user) => Some(user),
        None => return Err(refused(Refused::NotOnRoster)),
    };
    match doors::admit(state, credential.resource, room, user.as_ref()).await {
        Ok(Ok(admitted)) => {
            let ops = admitted.role.map_or(asked, |role| asked & ops_of(role));
            Ok(Allowed { asked, ops, role: admitted.role, entry: Some(admitted.entry) })
        }
        Ok(Err(why)) => Err(refused(why)),
        Err(ServiceError::Unavailable(_)) => Err(Denied::Unavailable),
        Err(error) => {
            tracing::error!(error = ?error, "who may enter can't be read");
            Err(Denied::Unavailable)
        }
    }
}

fn ops_of(role: Role) -> Ops {
    let all = Ops::all().iter().filter(|op| modes_of(role).contains(op.modes()));
    all.fold(Ops::empty(), Ops::union)
}

/// Like [`allowed`], for an answer of REST.
pub async fn allowed_on_rest(state: &State, credential: &Credential, channel: &str) -> Result<Allowed, ErrorInfo> {
    allowed(state, credential, credential.client_id(), channel).await.map_err(|denied| match denied {
        Denied::Refused(error) => error,
        Denied::Unavailable => ErrorInfo::unavailable(),
    })
}
