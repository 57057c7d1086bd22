//! The public halves of the keys that user tokens are signed with, for whoever checks a token.

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::ThinData;
use jsonwebtoken::jwk::JwkSet;

use super::Acs;

/// A JSON Web Key Set: keys that sign, that will sign soon, and whose tokens have not expired yet.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    operation_id = "SigningKeys_List",
    tag = "Identity",
    responses((status = OK, description = "A JSON Web Key Set.", body = Object, content_type = "application/json")),
)]
pub async fn get(ThinData(acs): ThinData<Acs>) -> HttpResponse {
    let keys = acs.0.keys.current();
    let keys = keys.signers.iter().map(|signer| signer.public().clone()).collect();
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "public, max-age=30")).json(JwkSet { keys })
}
