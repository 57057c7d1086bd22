//! Users and their tokens (acs-rooms.md, I1 to I4, and section 11).

use actix_web::web::{Bytes, Path, ThinData};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
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
use crate::http::{State, doors};
use crate::service;
use crate::service::identities::TokenUser;

/// A user to be made, with a token if scopes are given.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(
    as = CommunicationIdentityCreateRequest,
    examples(json!({ "createTokenWithScopes": ["voip", "chat"], "expiresInMinutes": 60 })),
)]
#[serde(rename_all = "camelCase")]
#[serde(expecting = "a JSON object")]
pub struct CreateIdentity {
    /// What the token is to be good for; without it, there is none.
    #[schema(value_type = Option<Vec<TokenScope>>, min_items = 1, max_items = 32)]
    #[validate(length(min = 1, max = 32))]
    create_token_with_scopes: Option<Vec<String>>,
    /// How long the token is to live; a day, if it is not given.
    #[schema(minimum = 60, maximum = 1440)]
    #[serde(default, deserialize_with = "body::whole_number")]
    expires_in_minutes: Option<i64>,
    #[schema(ignore)]
    #[serde(flatten)]
    _unread: Unread,
}

/// A token to be issued.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(as = CommunicationIdentityAccessTokenRequest, examples(json!({ "scopes": ["voip"], "expiresInMinutes": 60 })))]
#[serde(rename_all = "camelCase")]
#[serde(expecting = "a JSON object")]
pub struct IssueAccessToken {
    /// What the token is to be good for.
    #[schema(required, value_type = Vec<TokenScope>, min_items = 1, max_items = 32)]
    #[validate(required, length(min = 1, max = 32))]
    scopes: Option<Vec<String>>,
    /// How long it is to live; a day, if it is not given.
    #[schema(minimum = 60, maximum = 1440)]
    #[serde(default, deserialize_with = "body::whole_number")]
    expires_in_minutes: Option<i64>,
    #[schema(ignore)]
    #[serde(flatten)]
    _unread: Unread,
}

/// A user that was made, with a token if one was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CommunicationIdentityAccessTokenResult)]
#[serde(rename_all = "camelCase")]
pub struct CreatedIdentity {
    identity: IdentityView,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<TokenView>,
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CommunicationIdentity)]
pub struct IdentityView {
    /// The raw id, by which rosters name the user.
    #[schema(value_type = RawId)]
    id: String,
}

/// A user's token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CommunicationIdentityAccessToken)]
#[serde(rename_all = "camelCase")]
pub struct TokenView {
    /// A JWT (RS256), whose key is in `/.well-known/jwks.json`.
    #[schema(examples("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"))]
    token: String,
    /// When the token is over.
    expires_on: WireTime,
}

impl From<Token> for TokenView {
    fn from(token: Token) -> Self {
        Self { token: token.text, expires_on: WireTime(token.expires_on) }
    }
}

const SCOPES: &str = "Scopes";
const CREATE_WITH_SCOPES: &str = "CreateTokenWithScopes";

/// Makes a user, with a token if scopes are given.
#[utoipa::path(
    post,
    path = "/identities",
    operation_id = "CommunicationIdentity_Create",
    tag = "Identity",
    request_body(content = CreateIdentity, content_type = "application/json"),
    responses((status = CREATED, description = "The user is there.", body = CreatedIdentity)),
)]
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
        (None, minutes) => {
            lifetime(minutes)?; // of no token, and wrong all the same
            None
        }
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
#[utoipa::path(
    post,
    path = "/identities/{id}/:issueAccessToken",
    operation_id = "CommunicationIdentity_IssueAccessToken",
    tag = "Identity",
    params(("id" = RawId, Path, description = "The user's raw id.")),
    request_body(content = IssueAccessToken, content_type = "application/json"),
    responses((status = OK, description = "A new token; earlier ones stay good.", body = TokenView)),
)]
pub async fn issue_access_token(
    ThinData(state): ThinData<State>,
    ThinData(acs): ThinData<Acs>,
    caller: Caller,
    req: HttpRequest,
    id: Path<String>,
    body: Bytes,
) -> Result<HttpResponse, ApiError> {
    let wanted: IssueAccessToken = body::read(&req, &body).map_err(ApiError::into_validation)?;
    if wanted.scopes.as_ref().is_none_or(Vec::is_empty) {
        return Err(ApiError::no_scopes());
    }
    wanted.validate().map_err(|_| ApiError::scopes(SCOPES))?;
    let scopes = scopes(&wanted.scopes.unwrap_or_default(), SCOPES)?;
    let lifetime = lifetime(wanted.expires_in_minutes)?;
    let user = service::identities::token_user(&state.ctx, caller.resource, &raw_id(&id)?).await?;
    Ok(HttpResponse::Ok().json(issue(&acs, caller.resource, &user, &scopes, lifetime)?))
}

/// Makes every token void that a user was issued until now.
#[utoipa::path(
    post,
    path = "/identities/{id}/:revokeAccessTokens",
    operation_id = "CommunicationIdentity_RevokeAccessTokens",
    tag = "Identity",
    params(("id" = RawId, Path, description = "The user's raw id.")),
    responses((status = NO_CONTENT, description = "Tokens issued until now are void.")),
)]
pub async fn revoke_access_tokens(
    ThinData(state): ThinData<State>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = raw_id(&id)?;
    service::identities::revoke_tokens(&state.ctx, caller.resource, &id).await?;
    doors::revoked(&state, &id).await;
    Ok(HttpResponse::NoContent().finish())
}

/// Deletes a user and makes its tokens void. Again, it changes nothing.
#[utoipa::path(
    delete,
    path = "/identities/{id}",
    operation_id = "CommunicationIdentity_Delete",
    tag = "Identity",
    params(("id" = RawId, Path, description = "The user's raw id.")),
    responses((status = NO_CONTENT, description = "The user is gone.")),
)]
pub async fn delete(
    ThinData(state): ThinData<State>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = raw_id(&id)?;
    service::identities::delete(&state.ctx, caller.resource, &id).await?;
    doors::revoked(&state, &id).await;
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
    Ok(signer.issue(user.user, scopes, lifetime, user.issued_at, user.revocations)?.into())
}
