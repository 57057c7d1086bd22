//! Rooms and channels over REST: how many are there, and who (ably-chat.md, section 4.4).

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::ThinData;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::Ably;
use super::capability::{Ops, channel_of};
use super::error::ErrorInfo;
use super::pages::Page;
use super::transcode::Json;
use super::{door, render, rest};
use crate::domain::occupancy::Occupancy;
use crate::domain::resource::ResourceId;
use crate::realtime::PresenceItem;

/// `GET /chat/v4/rooms/{room}/occupancy`, and that of earlier versions: zeros for a room that nobody is in.
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
        Ok(details(&channel, ably.hub.occupancy(resource, &place)))
    };
    rest::answer(&req, StatusCode::OK, outcome.await)
}

/// `GET /channels`: the channels that are live, for the holder of a key; their status, or with `by=id` their names.
pub async fn list(req: HttpRequest, ThinData(ably): ThinData<Ably>) -> HttpResponse {
    let outcome = async {
        let credential = rest::credential(&req).await?;
        if !credential.is_key() {
            return Err(ErrorInfo::not_capable("only the holder of a key lists channels"));
        }
        let by_id = match rest::query(&req, "by").as_deref() {
            None | Some("value") => false,
            Some("id") => true,
            Some(_) => return Err(ErrorInfo::malformed("the parameter by is id or value")),
        };
        let page = Page::read(&req)?;
        let prefix = rest::query(&req, "prefix").unwrap_or_default();
        let names = ably.hub.channel_names(credential.resource, &prefix);
        let (names, links) = page.cut(&req, names, |name| name.to_string());
        let details = |name: Arc<str>| {
            if by_id { json!(name) } else { details(&name, ably.hub.occupancy(credential.resource, &name)) }
        };
        Ok((names.into_iter().map(details).collect::<Vec<_>>(), links))
    };
    rest::answer_page(&req, outcome.await)
}

fn details(channel: &str, now: Option<Occupancy>) -> Value {
    let is_active = now.is_some_and(|now| now != Occupancy::default());
    let occupancy = json!({ "metrics": render::metrics(&now.unwrap_or_default()) });
    json!({ "channelId": channel, "status": { "isActive": is_active, "occupancy": occupancy } })
}

/// `GET /channels/{channel}/presence`: who is present, or which members a client or a connection has.
pub async fn members(req: HttpRequest, ThinData(ably): ThinData<Ably>) -> HttpResponse {
    let outcome = async {
        let channel = rest::segment(&req, 1)?;
        let (resource, place) = allowed(&req, &channel, Ops::SUBSCRIBE, "subscribe").await?;
        let (client, connection) = (rest::query(&req, "clientId"), rest::query(&req, "connectionId"));
        let page = Page::read(&req)?;
        let mut members = ably.hub.members(resource, &place);
        members.retain(|member| {
            client.as_deref().is_none_or(|client| *member.client_id == *client)
                && connection.as_ref().is_none_or(|connection| member.connection.to_string() == *connection)
        });
        let key = |member: &Arc<PresenceItem>| format!("{}:{}", member.connection, member.client_id);
        members.sort_by_cached_key(key);
        let (members, links) = page.cut(&req, members, key);
        Ok((render::members(&members), links))
    };
    let outcome: Result<(Vec<u8>, _), ErrorInfo> = outcome.await;
    rest::answer_page(
        &req,
        outcome.as_ref().map(|(members, links)| (Json(members), links.clone())).map_err(Clone::clone),
    )
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
