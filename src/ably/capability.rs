//! What a credential may do, and where (ably-chat.md, section 2.5).

use bitflags::bitflags;

use super::error::ErrorInfo;
use crate::auth::members::Members;
use crate::realtime::Modes;

bitflags! {
    /// Operations on a channel.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Ops: u8 {
        const PUBLISH = 1;
        const SUBSCRIBE = 1 << 1;
        const PRESENCE = 1 << 2;
        const ANNOTATION_PUBLISH = 1 << 3;
        const ANNOTATION_SUBSCRIBE = 1 << 4;
        const CHANNEL_METADATA = 1 << 5;
        /// One that is not asked for yet, but counts as something.
        const OTHER = 1 << 6;
    }
}

/// Operations by pattern of channel names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability(Vec<(String, Ops)>);

/// What makes a room's name the name of its channel.
const CHAT: &str = "::$chat";

/// The room that a channel belongs to; other channels are rooms of their own name.
pub fn room_of(channel: &str) -> &str {
    split(channel).0
}

/// A channel's name as that of its room, and what comes behind it.
pub fn split(channel: &str) -> (&str, &str) {
    channel.split_at(channel.strip_suffix(CHAT).unwrap_or(channel).len())
}

/// The channel of a room.
pub fn channel_of(room: &str) -> String {
    format!("{room}{CHAT}")
}

impl Capability {
    /// Everything, everywhere: a key's.
    pub fn all() -> Self {
        Self(vec![("*".to_owned(), Ops::all())])
    }

    /// Reads the JSON text of a token's claim: `{"<pattern>": ["<operation>", …]}`.
    pub fn read(text: &str) -> Result<Self, ErrorInfo> {
        let told = "the capability is not a JSON object of lists of operations, each name once, as {\"lobby\":[\"subscribe\"]}";
        let read = || {
            let ops = |words: Vec<String>| words.iter().map(|word| op(word)).fold(Ops::empty(), Ops::union);
            let entry = |(pattern, words)| Some((pattern, ops(serde_json::from_value(words).ok()?)));
            Members::read(text.as_bytes())?.into_iter().map(entry).collect::<Option<_>>()
        };
        read().map(Self).ok_or_else(|| ErrorInfo::new(40003, 400, told))
    }

    /// True if it allows nothing anywhere.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, ops)| ops.is_empty())
    }

    /// What is allowed on a channel: by its name, or by its room's.
    pub fn on(&self, channel: &str) -> Ops {
        let room = room_of(channel);
        let covers = |pattern: &str| matches(pattern, channel) || matches(pattern, room);
        self.0.iter().filter(|(pattern, _)| covers(pattern)).fold(Ops::empty(), |ops, (_, more)| ops | *more)
    }
}

impl Ops {
    /// The modes that they cover.
    pub fn modes(self) -> Modes {
        let covers = [
            (Self::PUBLISH, Modes::PUBLISH),
            (Self::SUBSCRIBE, Modes::SUBSCRIBE | Modes::PRESENCE_SUBSCRIBE),
            (Self::PRESENCE, Modes::PRESENCE),
            (Self::ANNOTATION_PUBLISH, Modes::ANNOTATION_PUBLISH),
            (Self::ANNOTATION_SUBSCRIBE, Modes::ANNOTATION_SUBSCRIBE),
        ];
        covers.iter().filter(|(op, _)| self.contains(*op)).fold(Modes::empty(), |modes, (_, more)| modes | *more)
    }
}

fn op(word: &str) -> Ops {
    match word {
        "*" => Ops::all(),
        "publish" => Ops::PUBLISH,
        "subscribe" => Ops::SUBSCRIBE,
        "presence" => Ops::PRESENCE,
        "annotation-publish" => Ops::ANNOTATION_PUBLISH,
        "annotation-subscribe" => Ops::ANNOTATION_SUBSCRIBE,
        "channel-metadata" => Ops::CHANNEL_METADATA,
        _ => Ops::OTHER,
    }
}

/// Segments between `:`; `*` is any one of them, and at the end one or more.
fn matches(pattern: &str, name: &str) -> bool {
    if pattern.starts_with('[') {
        return pattern == "[*]*";
    }
    let mut name = name.split(':');
    let mut pattern = pattern.split(':').peekable();
    while let Some(wanted) = pattern.next() {
        let Some(segment) = name.next() else { return false };
        if wanted == "*" && pattern.peek().is_none() {
            return true;
        }
        if wanted != "*" && wanted != segment {
            return false;
        }
    }
    name.next().is_none()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::the_room(r#"{"lobby":["subscribe"]}"#, "lobby::$chat", true)]
    #[case::the_channel(r#"{"lobby::$chat":["subscribe"]}"#, "lobby::$chat", true)]
    #[case::another(r#"{"lobby":["subscribe"]}"#, "lobby2::$chat", false)]
    #[case::any(r#"{"*":["subscribe"]}"#, "a:b:c::$chat", true)]
    #[case::a_namespace(r#"{"shop:*":["subscribe"]}"#, "shop:1:2::$chat", true)]
    #[case::one_segment(r#"{"shop:*:x":["subscribe"]}"#, "shop:1:x::$chat", true)]
    #[case::one_segment_only(r#"{"shop:*:x":["subscribe"]}"#, "shop:1:2:x::$chat", false)]
    #[case::a_literal_star(r#"{"lob*":["subscribe"]}"#, "lobby::$chat", false)]
    #[case::everything(r#"{"[*]*":["subscribe"]}"#, "lobby::$chat", true)]
    #[case::what_is_no_channel(r#"{"[queue]*":["subscribe"]}"#, "lobby::$chat", false)]
    #[case::all_operations(r#"{"lobby":["*"]}"#, "lobby::$chat", true)]
    #[case::another_operation(r#"{"lobby":["publish"]}"#, "lobby::$chat", false)]
    fn a_pattern_covers_the_names_it_should(#[case] capability: &str, #[case] channel: &str, #[case] covered: bool) {
        let capability = Capability::read(capability).expect("a capability");
        assert_eq!(capability.on(channel).contains(Ops::SUBSCRIBE), covered);
    }

    #[rstest]
    #[case("")]
    #[case("[]")]
    #[case(r#"{"lobby":"*"}"#)]
    #[case(r#"{"lobby":[7]}"#)]
    #[case::channel_twice(r#"{"lobby":["subscribe"],"lobby":["*"]}"#)]
    fn what_is_no_capability_is_refused(#[case] text: &str) {
        assert_eq!(Capability::read(text).map_err(|error| error.code), Err(40003));
    }

    #[test]
    fn patterns_add_up() {
        let capability = Capability::read(r#"{"*":["subscribe"],"lobby":["publish"]}"#).expect("a capability");
        assert_eq!(capability.on("lobby").modes(), Modes::PUBLISH | Modes::SUBSCRIBE | Modes::PRESENCE_SUBSCRIBE);
    }
}
