//! The public halves of the keys that user tokens are signed with, for whoever checks a token.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::ThinData;
use jsonwebtoken::jwk::Jwk;
use serde::Serialize;
use serde_json::json;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::Acs;

/// A JSON Web Key Set (RFC 7517).
#[derive(Serialize)]
pub struct KeySet {
    keys: Vec<Jwk>,
}

/// One key of the set, in the document.
pub struct Key;

impl PartialSchema for Key {
    fn schema() -> RefOr<Schema> {
        let text = |description: &str, example: &str| {
            let text = ObjectBuilder::new().schema_type(Type::String).description(Some(description));
            text.examples([json!(example)])
        };
        let fixed = |value: &'static str| ObjectBuilder::new().schema_type(Type::String).enum_values(Some([value]));
        let key = ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("A public RSA key (RFC 7517)."))
            .property("kty", fixed("RSA"))
            .property("use", fixed("sig"))
            .property("alg", fixed("RS256"))
            .property("kid", text("Which key it is; a token's header has the same.", "6f0c0a520a3c4f7c"))
            .property(
                "n",
                text("The modulus, in base64url.", "t6Q8PWSi1dkJj9hTP8hNYFlvadM7DflW9mWepOJhJ66w7nyoK1gPNqFMSQRy"),
            )
            .property("e", text("The exponent, in base64url.", "AQAB"));
        ["kty", "use", "alg", "kid", "n", "e"].into_iter().fold(key, |key, name| key.required(name)).into()
    }
}

impl ToSchema for Key {
    fn name() -> Cow<'static, str> {
        "JsonWebKey".into()
    }
}

impl PartialSchema for KeySet {
    fn schema() -> RefOr<Schema> {
        let keys = ArrayBuilder::new().items(Ref::from_schema_name(Key::name()));
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("A JSON Web Key Set (RFC 7517)."))
            .property("keys", keys)
            .required("keys")
            .into()
    }
}

impl ToSchema for KeySet {
    fn name() -> Cow<'static, str> {
        "JsonWebKeySet".into()
    }
}

/// A JSON Web Key Set: keys that sign, that will sign soon, and whose tokens have not expired yet.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    operation_id = "SigningKeys_List",
    tag = "Identity",
    responses((
        status = OK,
        description = "A JSON Web Key Set.",
        body = KeySet,
        content_type = "application/json",
        headers(("Cache-Control" = String, description = "`public, max-age=30`")),
    )),
)]
pub async fn get(ThinData(acs): ThinData<Acs>) -> HttpResponse {
    let keys = acs.0.keys.current();
    let keys = keys.signers.iter().map(|signer| signer.public().clone()).collect();
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "public, max-age=30")).json(KeySet { keys })
}
