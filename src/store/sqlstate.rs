//! Classifies the errors of Postgres by SQLSTATE: retry, temporarily unavailable, or a fault.

/// A lock that is not free in time.
pub const LOCK_NOT_AVAILABLE: &str = "55P03";
/// A statement that was canceled, because it took too long or by an operator.
pub const QUERY_CANCELED: &str = "57014";
/// The role or the server has as many connections as it may.
pub const TOO_MANY_CONNECTIONS: &str = "53300";

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The transaction lost against another one and may be run again.
    Conflict,
    /// A state of the database that passes, by itself or by its operator. The client may try again.
    Passing,
    /// A fault of ours.
    Fault,
}

/// Whole classes, by the two characters that their codes begin with.
const PASSING_CLASSES: [&str; 4] = [
    "08", // connections
    "53", // too few resources: connections, memory, disk
    "57", // a server that starts, stops or cancels what takes too long
    "58", // the system under the server, such as its disk
];

const CONFLICTS: [&str; 2] = [
    "40001", // serialization failure
    "40P01", // deadlock
];

const PASSING: [&str; 12] = [
    "25006", // a server that only reads: demoted, or set so
    "25P03", // a transaction that was idle for too long
    "25P04", // a transaction that took too long
    "28000", // the role may not log in
    "28P01", // its password was changed
    "3D000", // the database is gone
    "40003", // it is not known whether the statement was done
    "42501", // a privilege was revoked
    "42P01", // a table is gone: the database was made anew, and is not migrated yet
    "55000", // an object that is not in the state for it yet
    "55006", // an object in use
    LOCK_NOT_AVAILABLE,
];

/// The class of a SQLSTATE.
pub fn class(code: &str) -> Class {
    if CONFLICTS.contains(&code) {
        return Class::Conflict;
    }
    let is_passing = PASSING.contains(&code) || PASSING_CLASSES.iter().any(|class| code.starts_with(class));
    if is_passing { Class::Passing } else { Class::Fault }
}

/// True for the codes of connections that were refused or ended.
pub fn is_of_connection(code: &str) -> bool {
    code.starts_with("08") || code.starts_with("57P") || code.starts_with("28") || code == TOO_MANY_CONNECTIONS
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::connection_failure("08006", Class::Passing)]
    #[case::too_many_connections("53300", Class::Passing)]
    #[case::disk_full("53100", Class::Passing)]
    #[case::cancelled("57014", Class::Passing)]
    #[case::shutting_down("57P01", Class::Passing)]
    #[case::io_error("58030", Class::Passing)]
    #[case::read_only("25006", Class::Passing)]
    #[case::idle_in_transaction("25P03", Class::Passing)]
    #[case::transaction_timeout("25P04", Class::Passing)]
    #[case::login_refused("28000", Class::Passing)]
    #[case::wrong_password("28P01", Class::Passing)]
    #[case::no_database("3D000", Class::Passing)]
    #[case::no_privilege("42501", Class::Passing)]
    #[case::no_table("42P01", Class::Passing)]
    #[case::not_in_state("55000", Class::Passing)]
    #[case::lock_not_available("55P03", Class::Passing)]
    #[case::serialization("40001", Class::Conflict)]
    #[case::deadlock("40P01", Class::Conflict)]
    #[case::unique_violation("23505", Class::Fault)]
    #[case::check_violation("23514", Class::Fault)]
    #[case::syntax("42601", Class::Fault)]
    #[case::corrupted("XX001", Class::Fault)]
    fn a_code_is_of_a_class(#[case] code: &str, #[case] wanted: Class) {
        assert_eq!(class(code), wanted);
    }
}
