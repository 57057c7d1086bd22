//! How a participant is named: the raw id of a communication user (acs-rooms.md, section 12).

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::domain::resource::ResourceId;

/// `8:acs:<resource guid>_<user guid>`, in the spelling that it came in: two spellings are two participants.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RawId(String);

/// The text that is no raw id of a communication user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the raw id of a communication user: {0:?}")]
pub struct RawIdError(pub String);

const PREFIX: &str = "8:acs:";
const GUID_LENGTH: usize = 36;

impl RawId {
    /// The id of a user of a resource.
    pub fn new(resource: ResourceId, user: Uuid) -> Self {
        Self(format!("{PREFIX}{resource}_{user}"))
    }

    /// The two guids of the id: whose user it is, and which one. `None` for none that can be made.
    pub fn guids(&self) -> Option<(ResourceId, Uuid)> {
        split(&self.0)
    }

    /// The id as it came.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An id that was stored.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }
}

impl FromStr for RawId {
    type Err = RawIdError;

    fn from_str(text: &str) -> Result<Self, RawIdError> {
        match split(text) {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(RawIdError(text.to_owned())),
        }
    }
}

impl fmt::Display for RawId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn split(text: &str) -> Option<(ResourceId, Uuid)> {
    let (resource, user) = text.strip_prefix(PREFIX)?.split_once('_')?;
    Some((guid(resource)?.into(), guid(user)?))
}

/// A guid in its hyphenated form only: `Uuid` would take braces and plain hex as well.
fn guid(text: &str) -> Option<Uuid> {
    if text.len() == GUID_LENGTH { Uuid::try_parse(text).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const ANN: &str = "8:acs:11111111-2222-3333-4444-555555555555_0000001b-aAbB-1111-2222-333333333333";

    #[test]
    fn a_user_keeps_its_spelling() {
        assert_eq!(ANN.parse::<RawId>().map(|id| id.to_string()).as_deref(), Ok(ANN));
    }

    #[rstest]
    #[case::no_guids("8:acs:nonExistentParticipant")]
    #[case::a_phone("4:+14255550123")]
    #[case::a_teams_user("8:orgid:11111111-2222-3333-4444-555555555555")]
    #[case::one_guid("8:acs:11111111-2222-3333-4444-555555555555")]
    #[case::three_parts("8:acs:11111111-2222-3333-4444-555555555555_0000001b-aaaa-1111-2222-333333333333_x")]
    #[case::plain_hex("8:acs:11111111222233334444555555555555_0000001baaaa11112222333333333333")]
    #[case::braces("8:acs:{1111111122223333444455555555555555}_0000001b-aaaa-1111-2222-333333333333")]
    #[case::blank_before(" 8:acs:11111111-2222-3333-4444-555555555555_0000001b-aaaa-1111-2222-333333333333")]
    #[case::a_nul("8:acs:11111111-2222-3333-4444-555555555555_0000001b-aaaa-1111-2222-33333333333\0")]
    #[case::upper_prefix("8:ACS:11111111-2222-3333-4444-555555555555_0000001b-aaaa-1111-2222-333333333333")]
    #[case::empty("")]
    fn anything_else_is_refused(#[case] text: &str) {
        assert_eq!(text.parse::<RawId>(), Err(RawIdError(text.to_owned())));
    }

    proptest! {
        #[test]
        fn made_ids_are_read_back(resource: u128, user: u128) {
            let (resource, user) = (ResourceId::from(Uuid::from_u128(resource)), Uuid::from_u128(user));
            let id = RawId::new(resource, user);
            prop_assert_eq!(id.as_str().parse::<RawId>(), Ok(id.clone()));
            prop_assert_eq!(id.guids(), Some((resource, user)));
        }

        #[test]
        fn no_text_makes_it_panic(text in "(8:acs:)?[0-9a-f_{}:-]{0,90}|\\PC{0,80}") {
            let _ = text.parse::<RawId>();
        }
    }
}
