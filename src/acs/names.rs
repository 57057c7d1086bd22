//! What `openapi.yaml` names once and refers to: ids, roles, scopes, and the versions of both APIs.

use std::borrow::Cow;

use serde_json::json;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Components, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::version::Api;
use crate::domain::identity::TokenScope;
use crate::domain::raw_id::RawId;
use crate::domain::role::Role;
use crate::domain::room_id::RoomId;
use crate::domain::room_name::RoomName;
use crate::domain::room_options::ReactionType;

/// As [`RawId`] reads it.
const RAW_ID: &str = "^8:acs:[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\
                      _[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$";

impl PartialSchema for RoomId {
    fn schema() -> RefOr<Schema> {
        text("A room's id. Those made here have 18 digits.", "^[0-9]{16,18}$", "994059547015701969")
    }
}

impl ToSchema for RoomId {
    fn name() -> Cow<'static, str> {
        "RoomId".into()
    }
}

impl PartialSchema for RoomName {
    fn schema() -> RefOr<Schema> {
        let described = "What a backend calls a room: 1 to 1024 bytes, without control characters. Not: what has the \
                         form of an id, what ends with `::$chat` or begins with `[`, `:`, a comma or a blank, and the \
                         words `participants`, `occupancy`, `.` and `..`.";
        text(described, "^[^\\u0000-\\u001f\\[:,\\s][^\\u0000-\\u001f]*$", "kitchen")
    }
}

impl ToSchema for RoomName {
    fn name() -> Cow<'static, str> {
        "RoomName".into()
    }
}

impl PartialSchema for ReactionType {
    fn schema() -> RefOr<Schema> {
        one_of("How reactions to a message are counted.", ReactionType::ALL.map(ReactionType::as_str)).into()
    }
}

impl ToSchema for ReactionType {
    fn name() -> Cow<'static, str> {
        "ReactionType".into()
    }
}

impl PartialSchema for RawId {
    fn schema() -> RefOr<Schema> {
        let ann = "8:acs:11111111-2222-3333-4444-555555555555_00000026-0000-1111-2222-333333333333";
        text("What names a communication user: `8:acs:`, and two guids.", RAW_ID, ann)
    }
}

impl ToSchema for RawId {
    fn name() -> Cow<'static, str> {
        "RawId".into()
    }
}

impl PartialSchema for Role {
    fn schema() -> RefOr<Schema> {
        one_of("What a participant may be in a room.", Role::ALL.map(Role::as_str)).into()
    }
}

impl ToSchema for Role {
    fn name() -> Cow<'static, str> {
        "ParticipantRole".into()
    }
}

impl PartialSchema for TokenScope {
    fn schema() -> RefOr<Schema> {
        one_of("What a user token is good for.", TokenScope::ALL.map(TokenScope::as_str)).into()
    }
}

impl ToSchema for TokenScope {
    fn name() -> Cow<'static, str> {
        "TokenScope".into()
    }
}

/// What a roster's members are called.
pub fn raw_id_pattern() -> Object {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(RAW_ID)).build()
}

/// The name of an API's versions in the document.
pub fn versions(api: Api) -> &'static str {
    match api {
        Api::Rooms => "RoomsApiVersion",
        Api::Identity => "IdentityApiVersion",
    }
}

/// Puts in what no body refers to.
pub fn add(components: &mut Components) {
    for api in [Api::Rooms, Api::Identity] {
        let mut schema = one_of("A version of the API, by its date.", api.supported().split(", "));
        if let Schema::Object(object) = &mut schema {
            // Generators would make names of dates by rules of their own, such as one that Go does not export.
            let names: Vec<String> = api.supported().split(", ").map(variant).collect();
            object.extensions = Some(Extensions::from_iter([("x-enum-varnames", json!(names))]));
        }
        components.schemas.insert(versions(api).to_owned(), schema.into());
    }
    let ids =
        [(RoomId::name(), RoomId::schema()), (RoomName::name(), RoomName::schema()), (RawId::name(), RawId::schema())];
    for (name, schema) in ids {
        components.schemas.insert(name.into_owned(), schema);
    }
}

/// `V2025_02_28_Preview`, of `2025-02-28-preview`.
fn variant(version: &str) -> String {
    format!("V{}", version.replace("-preview", "-Preview").replace('-', "_"))
}

fn text(description: &str, pattern: &str, example: &str) -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String).description(Some(description));
    text.pattern(Some(pattern)).examples([json!(example)]).into()
}

fn one_of(description: &str, names: impl IntoIterator<Item = &'static str>) -> Schema {
    let text = ObjectBuilder::new().schema_type(Type::String).description(Some(description));
    text.enum_values(Some(names)).into()
}
