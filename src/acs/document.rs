//! This protocol's part of `openapi.yaml`: what stands with the handlers, and what holds for all of them.

use serde_json::{Value, json};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ContentBuilder, Object, Ref, RefOr, Required, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi, ToSchema as _};

use super::error::ErrorBody;
use super::refusals::{self, Refusal};
use super::version::Api;
use super::{error, identities, jwks, named_rooms, names, occupancy, participants, rooms};
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
        named_rooms::put,
        named_rooms::get,
        occupancy::get,
        identities::create,
        identities::delete,
        identities::issue_access_token,
        identities::revoke_access_tokens,
        jwks::get,
    ),
    components(schemas(error::ErrorBody<'_>, participants::GivenParticipant, jwks::Key)),
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
         a line feed, then `<x-ms-date>;<host>;<x-ms-content-sha256>`.\n\nOn the page at `/docs`, enter the access key here and \
         leave the two others empty: the page signs.",
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

/// The scheme by which the key itself is sent.
const BASIC: &str = "AccessKey";

impl Modify for EveryOperation {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        for (scheme, header, description) in SIGNED {
            let header = ApiKeyValue::with_description(header, description);
            components.add_security_scheme(scheme, SecurityScheme::ApiKey(ApiKey::Header(header)));
        }
        let basic = HttpBuilder::new().scheme(HttpAuthScheme::Basic).description(Some(
            "The name of an access key, `primary` or `secondary`, and the key itself: over https, or from the machine \
             of the service.",
        ));
        components.add_security_scheme(BASIC, SecurityScheme::Http(basic.build()));
        names::add(components);
        components.schemas.values_mut().for_each(describe_beside);
        let refusals = refusals::all();
        for refusal in &refusals {
            components.responses.insert(refusal.name.to_owned(), response(refusal).into());
        }
        for (path, item) in &mut document.paths.paths {
            for operation in
                [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten()
            {
                if path.starts_with("/.well-known") {
                    for refusal in refusals.iter().filter(|refusal| refusal.name == "Forbidden") {
                        let named = RefOr::Ref(Ref::from_response_name(refusal.name));
                        operation.responses.responses.insert(refusal.status(), named);
                    }
                    add_headers_to_all(operation);
                    operation.security = Some(vec![SecurityRequirement::default()]);
                } else {
                    complete(path, operation, &refusals);
                }
            }
        }
    }
}

/// What every signed operation takes, and how each can be refused.
fn complete(path: &str, operation: &mut Operation, refusals: &[Refusal]) {
    let every_part = SIGNED
        .iter()
        .fold(SecurityRequirement::default(), |parts, (scheme, ..)| parts.add::<_, [String; 0], String>(*scheme, []));
    let basic = SecurityRequirement::new::<_, [String; 0], String>(BASIC, []);
    operation.security = Some(vec![every_part, basic]);

    let parameters = operation.parameters.get_or_insert_default();
    parameters.iter_mut().for_each(absent_is_not_null);
    let is_repeatable = parameters
        .iter()
        .any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.name == "Repeatability-Request-ID"));
    parameters.push(api_version(Api::of(path)).into());
    parameters.push(
        header_parameter("x-ms-client-request-id", "An id of the client's own, which the answer repeats.").into(),
    );

    add_headers_to_all(operation);
    // No body at all is an empty object; a token, though, is always for something.
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        let is_optional = !path.ends_with("/:issueAccessToken");
        body.required = Some(if is_optional { Required::False } else { Required::True });
    }
    let operation_id = operation.operation_id.as_deref();
    let makes_named = operation_id == Some("Rooms_GetOrCreateByName");
    let (has_body, names_room) =
        (operation.request_body.is_some(), path.starts_with("/rooms/{") || path.contains("/by-name/") && !makes_named);
    for refusal in refusals {
        let can_be = match refusal.name {
            "UnsupportedMediaType" => has_body,
            "NotFound" => names_room,
            "PreconditionFailed" => is_repeatable,
            "Conflict" => makes_named,
            _ => true,
        };
        if can_be {
            let named = RefOr::Ref(Ref::from_response_name(refusal.name));
            operation.responses.responses.insert(refusal.status(), named);
        }
    }
}

fn api_version(api: Api) -> utoipa::openapi::path::Parameter {
    let latest = api.supported().split(", ").last().unwrap_or_default();
    ParameterBuilder::new()
        .name("api-version")
        .parameter_in(ParameterIn::Query)
        .required(Required::True)
        .description(Some("The version of the API that the client speaks."))
        .schema(Some(Ref::from_schema_name(names::versions(api))))
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

/// What a client leaves out is absent: a query or a header knows no null.
fn absent_is_not_null(parameter: &mut RefOr<Parameter>) {
    if let RefOr::T(Parameter { schema: Some(RefOr::T(Schema::Object(schema))), .. }) = parameter
        && let SchemaType::Array(types) = &schema.schema_type
        && let Some(kind) = types.iter().find(|kind| **kind != Type::Null)
    {
        schema.schema_type = SchemaType::Type(kind.clone());
    }
}

/// Moves what a member says of itself from beside a `$ref`, where many readers overlook it, to the member.
fn describe_beside(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::Object(object)) = schema else { return };
    for member in object.properties.values_mut() {
        let RefOr::T(Schema::OneOf(member)) = member else { continue };
        for item in &mut member.items {
            if let RefOr::Ref(item) = item
                && !item.description.is_empty()
            {
                member.description = Some(std::mem::take(&mut item.description));
            }
        }
    }
}

fn response(refusal: &Refusal) -> Response {
    let examples = refusal.examples.iter().map(|(name, error)| {
        let value = serde_json::to_value(error.body()).unwrap_or_default(); // texts alone: it can be written
        (*name, ExampleBuilder::new().summary(error.to_string()).value(Some(value)).build())
    });
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(ErrorBody::name())))
        .examples_from_iter(examples)
        .build();
    let mut response = ResponseBuilder::new().description(refusal.when).content("application/json", content).build();
    add_headers(&mut response);
    let code = refusal.examples.first().map(|(_, error)| error.code());
    let header = header("The same as `error.code` in the body.", text(), json!(code));
    response.headers.insert("x-ms-error-code".to_owned(), required(header).into());
    if refusal.status() == "503" {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build();
        let header = self::header("When to try again, in seconds.", seconds, json!(1));
        response.headers.insert("Retry-After".to_owned(), required(header).into());
    }
    response
}

fn add_headers_to_all(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            add_headers(response);
        }
    }
}

/// The headers of every answer; all but the client's own id are always there.
fn add_headers(response: &mut Response) {
    for header in response.headers.values_mut() {
        if let RefOr::T(header) = header {
            *header = required(header.clone());
        }
    }
    let id = "4b7c5d3e-0d5a-4c39-8a51-6b0a2f6d6a3e";
    let versions = "The versions that the service speaks, parted by commas.";
    let mut add = |name: &str, header: Header| response.headers.insert(name.to_owned(), header.into());
    add("x-ms-request-id", required(header("The id under which the service logs the request.", text(), json!(id))));
    add("x-ms-client-request-id", header("The client's own id, if it sent one.", text(), json!("my-request-1")));
    add("ms-cv", required(header("A correlation vector.", text(), json!("8c1V2n0sT0m3Qf0q1y9d7A.0"))));
    add("api-supported-versions", required(header(versions, text(), json!("2024-04-15, 2025-03-13"))));
}

fn header(description: &str, schema: Object, example: Value) -> Header {
    let header = HeaderBuilder::new().description(Some(description));
    header.schema(Some(Schema::Object(schema))).example(Some(example)).build()
}

/// utoipa's headers have no field for it.
fn required(mut header: Header) -> Header {
    header.extensions = Some(Extensions::from_iter([("required", true)]));
    header
}

fn text() -> Object {
    ObjectBuilder::new().schema_type(Type::String).build()
}

const _: () = assert!(body::LIMIT == 1024 * 1024); // as the texts above say
