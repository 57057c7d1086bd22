//! Users and their tokens (acs-rooms.md, I1 to I4, and section 11).

use actix_web::web::{Bytes, Path, ThinData};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use validator::Validate;

use super::auth::Caller;
use super::body::Unread;
use super::error::{ApiError, Fault};
use super::time::WireTime;
use super::{Acs, body};
use crate::auth::jwt::Token;
use crate::domain::identity::{TokenLifetime, TokenScope};
use crate::domain::raw_id::{RawId, RawIdError};
use crate::domain::resource::ResourceId;
use crate::http::State;
use crate::service;
use crate::service::identities::TokenUser;

/// A user to be made, with a token if scopes are given.
#[derive(Debug, Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct CreateIdentity {
    #[validate(length(min = 1, max = 32))]
    create_token_with_scopes: Option<Vec<String>>,
    expires_in_minutes: Option<i64>,
    #[serde(flatten)]
    _unread: Unread,
}

/// A token to be issued.
#[derive(Debug, Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
struct IssueAccessToken {
    #[validate(required, length(min = 1, max = 32))]
    scopes: Option<Vec<String>>,
    expires_in_minutes: Option<i64>,
    #[serde(flatten)]
    _unread: Unread,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CreatedIdentity {
    identity: IdentityView,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<TokenView>,
}

#[derive(Debug, Serialize)]
struct IdentityView {
    id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TokenView {
    token: String,
    expires_on: WireTime,
}

impl From<Token> for TokenView {
    fn from(token: Token) -> Self {
        Self { token: token.text, expires_on: WireTime(token.expires_on) }
    }
}

const SCOPES: &str = "Scopes";
const CREATE_WITH_SCOPES: &str = "CreateTokenWithScopes";

/// Makes a user.
pub async fn create(
    ThinData(state): ThinData<State>,
    ThinData(acs): ThinData<Acs>,
    caller: Caller,
    req: HttpRequest,
    body: Bytes,
) -> Result<HttpResponse, ApiError> {
    let wanted: CreateIdentity = body::read(&req, &body).map_err(ApiError::into_validation)?;
    let in_bounds = wanted.validate().is_ok();
    let token = match (wanted.create_token_with_scopes, wanted.expires_in_minutes) {
        (None, None) => None,
        (Some(given), minutes) if in_bounds => Some((scopes(&given, CREATE_WITH_SCOPES)?, lifetime(minutes)?)),
        _ => return Err(ApiError::scopes(CREATE_WITH_SCOPES)),
    };
    let (id, user) = service::identities::create(&state.ctx, caller.resource).await?;
    let access_token =
        token.map(|(scopes, lifetime)| issue(&acs, caller.resource, &user, &scopes, lifetime)).transpose()?;
    let created = CreatedIdentity { identity: IdentityView { id: id.to_string() }, access_token };
    Ok(HttpResponse::Created().json(created))
}

/// Issues a token for a user of the resource.
pub async fn issue_access_token(
    ThinData(state): ThinData<State>,
    ThinData(acs): ThinData<Acs>,
    caller: Caller,
    req: HttpRequest,
    id: Path<String>,
    body: Bytes,
) -> Result<HttpResponse, ApiError> {
    let wanted: IssueAccessToken = body::read(&req, &body).map_err(ApiError::into_validation)?;
    wanted.validate().map_err(|_| ApiError::scopes(SCOPES))?;
    let scopes = scopes(&wanted.scopes.unwrap_or_default(), SCOPES)?;
    let lifetime = lifetime(wanted.expires_in_minutes)?;
    let user = service::identities::token_user(&state.ctx, caller.resource, &raw_id(&id)?).await?;
    Ok(HttpResponse::Ok().json(issue(&acs, caller.resource, &user, &scopes, lifetime)?))
}

/// Makes every token void that a user was issued until now.
pub async fn revoke_access_tokens(
    ThinData(state): ThinData<State>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    service::identities::revoke_tokens(&state.ctx, caller.resource, &raw_id(&id)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Deletes a user and makes its tokens void. Again, it changes nothing.
pub async fn delete(
    ThinData(state): ThinData<State>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    service::identities::delete(&state.ctx, caller.resource, &raw_id(&id)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// What is no raw id is nobody's user.
fn raw_id(text: &str) -> Result<RawId, ApiError> {
    text.parse().map_err(|RawIdError(_)| ApiError::IdentityNotOwned)
}

fn scopes(given: &[String], target: &'static str) -> Result<Vec<TokenScope>, ApiError> {
    given.iter().map(|scope| scope.parse()).collect::<Result<_, _>>().map_err(|_| ApiError::scopes(target))
}

fn lifetime(minutes: Option<i64>) -> Result<TokenLifetime, ApiError> {
    Ok(minutes.map(TokenLifetime::from_minutes).transpose()?.unwrap_or_default())
}

fn issue(
    acs: &Acs,
    resource: ResourceId,
    user: &TokenUser,
    scopes: &[TokenScope],
    lifetime: TokenLifetime,
) -> Result<TokenView, Fault> {
    let keys = acs.0.keys.current();
    let signer = keys.signer(resource, user.issued_at).ok_or(Fault::NoSigner)?;
    Ok(signer.issue(user.user, scopes, lifetime, user.issued_at)?.into())
}
