//! What is measured.

use clap::ValueEnum;
use clap::builder::PossibleValue;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Get,
    ListFirst,
    List200th,
    Update,
    Patch1,
    Patch50,
    Create0,
    Create3,
    Create50,
    /// 80 % get, 10 % create with three participants, 10 % patch of one.
    Mixed,
    Delete,
}

impl Operation {
    /// Those that only read come first, so that they read what was filled in.
    pub const ALL: [Self; 11] = [
        Self::Get,
        Self::ListFirst,
        Self::List200th,
        Self::Update,
        Self::Patch1,
        Self::Patch50,
        Self::Create0,
        Self::Create3,
        Self::Create50,
        Self::Mixed,
        Self::Delete,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::ListFirst => "list-first",
            Self::List200th => "list-200th",
            Self::Update => "update",
            Self::Patch1 => "patch-1",
            Self::Patch50 => "patch-50",
            Self::Create0 => "create-0",
            Self::Create3 => "create-3",
            Self::Create50 => "create-50",
            Self::Mixed => "mixed",
            Self::Delete => "delete",
        }
    }

    /// Its files in `benches/pgbench`, as pgbench is told of them: with a weight behind an @.
    pub fn files(self) -> &'static [&'static str] {
        match self {
            Self::Get => &["get.sql"],
            Self::ListFirst | Self::List200th => &["list.sql"],
            Self::Update => &["update.sql"],
            Self::Patch1 | Self::Patch50 => &["patch.sql"],
            Self::Create0 | Self::Create3 | Self::Create50 => &["create.sql"],
            Self::Mixed => &["get.sql@8", "create.sql@1", "patch.sql@1"],
            Self::Delete => &["delete.sql"],
        }
    }

    /// True if a request that is sent again is not the same work.
    pub fn writes(self) -> bool {
        !matches!(self, Self::Get | Self::ListFirst | Self::List200th)
    }

    /// The participants of a room that it makes.
    pub fn roster(self) -> usize {
        match self {
            Self::Create0 => 0,
            Self::Create50 => 50,
            _ => 3,
        }
    }

    /// The participants that a patch of it names.
    pub fn patched(self) -> usize {
        if self == Self::Patch50 { 50 } else { 1 }
    }

    /// The groups of users of which a patch names one. A roster with the members of all groups, besides those that it
    /// had, is below the limit of 350: so no patch is refused, however often a room's turn comes. Most patches add whom
    /// they name, as a room has few turns in a run; the others change a role.
    pub fn last_group(self) -> u32 {
        if self == Self::Patch50 { 105 } else { 399 }
    }
}

impl ValueEnum for Operation {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}
