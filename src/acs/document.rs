//! This protocol's part of `openapi.yaml`: what stands with the handlers, and what holds for all of them.

use serde_json::{Value, json};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Object, Ref, RefOr, Required, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::version::Api;
use super::{error, identities, jwks, participants, rooms};
use crate::http::body;

/// Every operation of the protocol.
#[derive(OpenApi)]
#[openapi(
    paths(
        rooms::create,
        rooms::list,
        rooms::get,
        rooms::update,
        rooms::delete,
        participants::list,
        participants::update,
        identities::create,
        identities::delete,
        identities::issue_access_token,
        identities::revoke_access_tokens,
        jwks::get,
    ),
    components(schemas(error::ErrorBody<'_>, participants::GivenParticipant)),
    tags(
        (name = "Rooms", description = "Managed rooms: their windows and their rosters."),
        (name = "Identity", description = "The users that rosters name, and their tokens."),
    ),
    modifiers(&EveryOperation),
)]
pub struct Document;

struct EveryOperation;

/// The scheme's parts, each a header of its own.
const SIGNED: [(&str, &str, &str); 3] = [
    (
        "HMAC-SHA256",
        "Authorization",
        "`HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=<signature>`. The signature is base64 of \
         HMAC-SHA256, keyed with the base64-decoded access key, over: the method, a line feed, the path with its query, \
         a line feed, then `<x-ms-date>;<host>;<x-ms-content-sha256>`.",
    ),
    (
        "x-ms-date",
        "x-ms-date",
        "When the request was signed, such as `Sat, 21 Nov 2026 01:07:52 GMT`; by default at most 15 minutes from the \
         service's time.",
    ),
    (
        "x-ms-content-sha256",
        "x-ms-content-sha256",
        "Base64 of SHA-256 of the body, as it is sent; also of an empty one.",
    ),
];

/// How any signed operation can be refused: status, code, message, and when.
const REFUSALS: [(&str, &str, &str, &str); 8] = [
    (
        "400",
        "BadRequest",
        "The request could not be understood by the server due to malformed syntax.",
        "What the request names can't be: its api-version, a parameter, or something in its body. Nothing was changed.",
    ),
    (
        "401",
        "Denied",
        "Denied by the resource provider.",
        "The signature is missing, fits no access key of the service, or is dated too far from its time; or the user is \
         not one of the resource (`IdentityNotOwned`).",
    ),
    ("404", "NotFound", "The server cannot find the requested resource.", "There is no such room."),
    (
        "408",
        "RequestTimeout",
        "The body did not arrive in time. Send the request again.",
        "The body did not arrive within 30 seconds.",
    ),
    (
        "413",
        "PayloadTooLarge",
        "The body is larger than 1 MiB, the most that this service reads.",
        "The body is larger than 1 MiB.",
    ),
    (
        "415",
        "UnsupportedMediaType",
        "The Content-Type must be application/json, without a Content-Encoding.",
        "The body is of another media type, or compressed.",
    ),
    (
        "500",
        "InternalServerError",
        "The server failed. The log has the reason, under the x-ms-request-id of this answer.",
        "A fault of the service.",
    ),
    (
        "503",
        "ServiceUnavailable",
        "The service is not available for the moment. Try again.",
        "The database is away, or the service overloaded.",
    ),
];

impl Modify for EveryOperation {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        for (scheme, header, description) in SIGNED {
            let header = ApiKeyValue::with_description(header, description);
            components.add_security_scheme(scheme, SecurityScheme::ApiKey(ApiKey::Header(header)));
        }
        for (status, code, message, description) in REFUSALS {
            let mut refusal = refusal(description, &json!({ "error": { "code": code, "message": message } }));
            add_headers(status, &mut refusal);
            components.responses.insert(code.to_owned(), refusal.into());
        }
        for (path, item) in &mut document.paths.paths {
            for operation in [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten() {
                if path.starts_with("/.well-known") {
                    operation.security = Some(vec![SecurityRequirement::default()]);
                } else {
                    complete(path, operation);
                }
            }
        }
    }
}

/// What every signed operation takes, and how each can be refused.
fn complete(path: &str, operation: &mut Operation) {
    let every_part = SIGNED
        .iter()
        .fold(SecurityRequirement::default(), |parts, (scheme, ..)| parts.add::<_, [String; 0], String>(*scheme, []));
    operation.security = Some(vec![every_part]);

    let parameters = operation.parameters.get_or_insert_default();
    parameters.push(api_version(Api::of(path)).into());
    parameters.push(
        header_parameter("x-ms-client-request-id", "An id of the client's own, which the answer repeats.").into(),
    );

    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response {
            add_headers(status, response);
        }
    }
    // No body at all is an empty object; a token, though, is always for something.
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        let is_optional = !path.ends_with("/:issueAccessToken");
        body.required = Some(if is_optional { Required::False } else { Required::True });
    }
    let (has_body, names_room) = (operation.request_body.is_some(), path.contains("{roomId}"));
    for (status, code, ..) in REFUSALS {
        if (status != "415" || has_body) && (status != "404" || names_room) {
            let refusal = RefOr::Ref(Ref::from_response_name(code));
            operation.responses.responses.entry(status.to_owned()).or_insert(refusal);
        }
    }
}

fn api_version(api: Api) -> utoipa::openapi::path::Parameter {
    let versions: Vec<&str> = api.supported().split(", ").collect();
    let latest = versions.last().copied().unwrap_or_default();
    ParameterBuilder::new()
        .name("api-version")
        .parameter_in(ParameterIn::Query)
        .required(Required::True)
        .description(Some("The version of the API that the client speaks."))
        .schema(Some(Object::builder().schema_type(Type::String).enum_values(Some(versions.clone()))))
        .example(Some(json!(latest)))
        .build()
}

fn header_parameter(name: &str, description: &str) -> utoipa::openapi::path::Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(text()))
        .build()
}

fn refusal(description: &str, example: &Value) -> Response {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("CommunicationErrorResponse")))
        .example(Some(example.clone()))
        .build();
    ResponseBuilder::new().description(description).content("application/json", content).build()
}

/// The headers of every answer, and those of a refusal.
fn add_headers(status: &str, response: &mut Response) {
    let mut add = |name: &str, description: &str, schema: Object| {
        let header = HeaderBuilder::new().description(Some(description)).schema(Some(Schema::Object(schema))).build();
        response.headers.insert(name.to_owned(), header.into());
    };
    add("x-ms-request-id", "The id under which the service logs the request.", text());
    add("x-ms-client-request-id", "The client's own id, if it sent one.", text());
    add("ms-cv", "A correlation vector.", text());
    add("api-supported-versions", "The versions that the service speaks, parted by commas.", text());
    if status.starts_with(['4', '5']) {
        add("x-ms-error-code", "The same as `error.code` in the body.", text());
    }
    if status == "503" {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build();
        add("Retry-After", "When to try again, in seconds.", seconds);
    }
}

fn text() -> Object {
    ObjectBuilder::new().schema_type(Type::String).build()
}

const _: () = assert!(body::LIMIT == 1024 * 1024); // as the texts above say
