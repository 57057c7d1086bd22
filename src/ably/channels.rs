//! Rooms and channels over REST: how many are there, and who (ably-chat.md, section 4.4).

use actix_web::http::StatusCode;
use actix_web::web::ThinData;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::Ably;
use super::capability::{Ops, channel_of};
use super::error::ErrorInfo;
use super::transcode::Json;
use super::{door, render, rest};
use crate::domain::occupancy::Occupancy;
use crate::domain::resource::ResourceId;

/// `GET /chat/v4/rooms/{room}/occupancy`: zeros for a room that nobody is in.
pub async fn room_occupancy(req: HttpRequest, ThinData(ably): ThinData<Ably>) -> HttpResponse {
    let outcome = async {
        let channel = channel_of(&rest::segment(&req, 3)?);
        let (resource, place) = allowed(&req, &channel, Ops::CHANNEL_METADATA, "channel-metadata").await?;
        let now = ably.hub.occupancy(resource, &place).unwrap_or_default();
        Ok(json!({ "connections": now.connections, "presenceMembers": now.presence_members }))
    };
    rest::answer(&req, StatusCode::OK, outcome.await)
}

/// `GET /channels/{channel}`: its status, with all counts.
pub async fn status(req: HttpRequest, ThinData(ably): ThinData<Ably>) -> HttpResponse {
    let outcome = async {
        let channel = rest::segment(&req, 1)?;
        let (resource, place) = allowed(&req, &channel, Ops::CHANNEL_METADATA, "channel-metadata").await?;
        let now = ably.hub.occupancy(resource, &place);
        let occupancy = json!({ "metrics": render::metrics(&now.unwrap_or_default()) });
        Ok(
            json!({ "channelId": channel, "status": { "isActive": now.is_some_and(|now| now != Occupancy::default()), "occupancy": occupancy } }),
        )
    };
    rest::answer(&req, StatusCode::OK, outcome.await)
}

/// `GET /channels/{channel}/presence`: who is present.
pub async fn members(req: HttpRequest, ThinData(ably): ThinData<Ably>) -> HttpResponse {
    let outcome = async {
        let channel = rest::segment(&req, 1)?;
        let (resource, place) = allowed(&req, &channel, Ops::SUBSCRIBE, "subscribe").await?;
        Ok(render::members(&ably.hub.members(resource, &place)))
    };
    let members: Result<Vec<u8>, ErrorInfo> = outcome.await;
    rest::answer(&req, StatusCode::OK, members.as_deref().map(Json).map_err(Clone::clone))
}

/// `DELETE /channels/{channel}/presence/{clientId}`: a backend makes a client leave. Ours, not the vendor's.
pub async fn evict(req: HttpRequest, ThinData(ably): ThinData<Ably>) -> HttpResponse {
    let outcome = async {
        let (channel, client_id) = (rest::segment(&req, 1)?, rest::segment(&req, 3)?);
        let credential = rest::credential(&req).await?;
        let allowed = door::allowed_on_rest(rest::state(&req)?, &credential, &channel).await?;
        if !credential.is_key() && !allowed.role.is_some_and(|role| role.may().moderate) {
            let told = "only the holder of a key, and who moderates a managed room, makes another one leave";
            return Err(ErrorInfo::not_capable(told));
        }
        Ok(json!({ "members": ably.hub.evict(credential.resource, &allowed.place, &client_id) }))
    };
    rest::answer(&req, StatusCode::OK, outcome.await)
}

/// `GET /time`: milliseconds since 1970, for clients that don't trust their own clock.
pub async fn time(req: HttpRequest, ThinData(state): ThinData<crate::http::State>) -> HttpResponse {
    rest::answer(&req, StatusCode::OK, Ok([state.ctx.clock.now().timestamp_millis()]))
}

/// Whose channel it is, and its own name, if the caller may do what is `needed` there.
async fn allowed(req: &HttpRequest, channel: &str, needed: Ops, name: &str) -> Result<(ResourceId, String), ErrorInfo> {
    let credential = rest::credential(req).await?;
    let allowed = door::allowed_on_rest(rest::state(req)?, &credential, channel).await?;
    if allowed.ops.contains(needed) {
        return Ok((credential.resource, allowed.place));
    }
    Err(ErrorInfo::not_capable(format!("the credential does not allow {name} on this channel")))
}
