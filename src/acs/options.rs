//! The options of a room on the wire, in the groups and by the names that clients of live rooms know.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body;
use super::error::{ApiError, Detail};
use crate::domain::room_options::{ReactionType, RoomOptions};

/// What is fixed for everyone who enters a room. What is not given is left to each client.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = RoomOptions)]
#[serde(deny_unknown_fields)]
#[serde(expecting = "a JSON object")]
pub struct GivenOptions {
    typing: Option<Typing>,
    presence: Option<Events>,
    occupancy: Option<Events>,
    messages: Option<Messages>,
}

/// A room's options as they go out: those that are fixed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FixedRoomOptions)]
pub struct OptionsView {
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    typing: Option<Typing>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    presence: Option<Events>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    occupancy: Option<Events>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Messages>,
}

/// Options of typing indicators.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = TypingOptions)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[serde(expecting = "a JSON object")]
pub struct Typing {
    /// How often at most a client says that somebody types, in milliseconds. Kept for clients to go by.
    #[schema(nullable = false, value_type = Option<u32>, minimum = 1, maximum = 86_400_000)]
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "body::whole_number")]
    heartbeat_throttle_ms: Option<i64>,
}

/// Options of presence, and of occupancy.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = EventOptions)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[serde(expecting = "a JSON object")]
pub struct Events {
    /// False: nobody gets them, whatever it asks for.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    enable_events: Option<bool>,
}

/// Options of messages.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = MessageOptions)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[serde(expecting = "a JSON object")]
pub struct Messages {
    /// False: nobody gets each reaction to a message, whatever it asks for.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_message_reactions: Option<bool>,
    /// What a reaction is, where a client does not say. Kept for clients to go by.
    #[schema(nullable = false, value_type = Option<ReactionType>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    default_message_reaction_type: Option<String>,
}

/// A day: nobody types longer.
const LONGEST_THROTTLE_MS: u32 = 86_400_000;

impl GivenOptions {
    /// The options that are fixed.
    ///
    /// # Errors
    /// One of them can't be.
    pub fn read(self) -> Result<RoomOptions, ApiError> {
        let wrong = |member: &'static str, told: &'static str| {
            ApiError::Malformed(vec![Detail::new(format!("$.options.{member}"), told)])
        };
        let throttle = self.typing.and_then(|typing| typing.heartbeat_throttle_ms).map(|ms| {
            let ms = u32::try_from(ms).ok().filter(|ms| (1..=LONGEST_THROTTLE_MS).contains(ms));
            ms.ok_or_else(|| wrong("typing.heartbeatThrottleMs", "Milliseconds, from 1 to 86400000."))
        });
        let typing_throttle_ms = throttle.transpose()?;
        let (raw_message_reactions, default) = self
            .messages
            .map_or((None, None), |messages| (messages.raw_message_reactions, messages.default_message_reaction_type));
        let default_reaction = default.map(|text| text.parse()).transpose().map_err(|_| {
            wrong("messages.defaultMessageReactionType", "The types of reactions are: unique, distinct, multiple.")
        })?;
        Ok(RoomOptions {
            typing_throttle_ms,
            presence_events: self.presence.and_then(|presence| presence.enable_events),
            occupancy_events: self.occupancy.and_then(|occupancy| occupancy.enable_events),
            raw_message_reactions,
            default_reaction,
        })
    }
}

impl From<&RoomOptions> for OptionsView {
    fn from(options: &RoomOptions) -> Self {
        let events = |enabled: Option<bool>| enabled.map(|enabled| Events { enable_events: Some(enabled) });
        let (raw_message_reactions, default) = (options.raw_message_reactions, options.default_reaction);
        let default_message_reaction_type = default.map(|kind| kind.as_str().to_owned());
        let has_messages = raw_message_reactions.is_some() || default.is_some();
        Self {
            typing: options.typing_throttle_ms.map(|ms| Typing { heartbeat_throttle_ms: Some(ms.into()) }),
            presence: events(options.presence_events),
            occupancy: events(options.occupancy_events),
            messages: has_messages.then_some(Messages { raw_message_reactions, default_message_reaction_type }),
        }
    }
}
