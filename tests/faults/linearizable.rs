//! A room as a sequential object, and whether a history of it is linearizable.

use std::collections::BTreeMap;
use std::time::Instant;

use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History};
use todc_utils::specifications::Specification;

/// An operation on a room. Users are numbered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    Create,
    Get,
    Update {
        flag: bool,
    },
    /// Adds a user with a role, or removes it.
    Patch {
        user: usize,
        role: Option<&'static str>,
    },
    Roster,
    Delete,
}

/// The answer to an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Flag(bool),
    Roster(BTreeMap<usize, String>),
    NotFound,
    /// No answer: it may or may not have happened, at any time since.
    Unknown,
}

/// An operation with its outcome, and when it was sent and answered.
#[derive(Debug, Clone)]
pub struct Record {
    pub operation: Operation,
    pub outcome: Outcome,
    pub sent: Instant,
    pub answered: Instant,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Room {
    flag: bool,
    roster: BTreeMap<usize, String>,
}

struct RoomSpecification;

impl Specification for RoomSpecification {
    type State = Option<Room>;
    type Operation = (Operation, Outcome);

    fn init() -> Self::State {
        None
    }

    fn apply((operation, outcome): &Self::Operation, state: &Self::State) -> (bool, Self::State) {
        let Some(room) = state else {
            return match operation {
                Operation::Create => (true, Some(Room::default())),
                _ => (matches!(outcome, Outcome::NotFound | Outcome::Unknown), None),
            };
        };
        let mut next = room.clone();
        let wanted = match operation {
            Operation::Create => return (false, state.clone()),
            Operation::Get => Outcome::Flag(room.flag),
            Operation::Roster => Outcome::Roster(room.roster.clone()),
            Operation::Update { flag } => {
                next.flag = *flag;
                Outcome::Flag(*flag)
            }
            Operation::Patch { user, role } => {
                match role {
                    Some(role) => drop(next.roster.insert(*user, (*role).to_owned())),
                    None => drop(next.roster.remove(user)),
                }
                Outcome::Done
            }
            Operation::Delete => return (matches!(outcome, Outcome::Done | Outcome::Unknown), None),
        };
        (*outcome == wanted || *outcome == Outcome::Unknown, Some(next))
    }
}

/// Whether the operations could have been done one after the other, each between its request and its answer.
pub fn is_linearizable(records: &[Record]) -> bool {
    let mut actions = Vec::new();
    for (n, Record { operation, outcome, sent, answered }) in records.iter().enumerate() {
        let done = (operation.clone(), outcome.clone());
        // A call comes before an answer of the same instant. An operation without an answer is open until the end.
        let is_open = *outcome == Outcome::Unknown;
        actions.push(((false, *sent, 0), n, Action::Call(done.clone())));
        actions.push(((is_open, *answered, 1), n, Action::Response(done)));
    }
    actions.sort_by_key(|(when, ..)| *when);
    let actions = actions.into_iter().map(|(_, n, action)| (n, action)).collect();
    WGLChecker::<RoomSpecification>::is_linearizable(History::from_actions(actions))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn records(all: &[(Operation, Outcome, u64, u64)]) -> Vec<Record> {
        let zero = Instant::now();
        let at = |ms| zero + Duration::from_millis(ms);
        let record = |(operation, outcome, sent, answered): &(Operation, Outcome, u64, u64)| Record {
            operation: operation.clone(),
            outcome: outcome.clone(),
            sent: at(*sent),
            answered: at(*answered),
        };
        all.iter().map(record).collect()
    }

    const CREATE: (Operation, Outcome, u64, u64) = (Operation::Create, Outcome::Done, 0, 1);

    #[test]
    fn a_read_that_misses_an_acknowledged_write_is_caught() {
        let update = (Operation::Update { flag: true }, Outcome::Flag(true), 2, 5);
        let during = (Operation::Get, Outcome::Flag(false), 4, 9);
        let after = (Operation::Get, Outcome::Flag(false), 6, 9);
        assert!(is_linearizable(&records(&[CREATE, update.clone(), during])));
        assert!(!is_linearizable(&records(&[CREATE, update, after])));
    }

    #[test]
    fn a_write_without_an_answer_may_have_happened_once_at_any_time() {
        let update = (Operation::Update { flag: true }, Outcome::Unknown, 2, 3);
        let get = |flag, sent| (Operation::Get, Outcome::Flag(flag), sent, sent + 1);
        assert!(is_linearizable(&records(&[CREATE, update.clone(), get(false, 10), get(true, 20)])));
        assert!(is_linearizable(&records(&[CREATE, update.clone(), get(false, 10), get(false, 20)])));
        assert!(!is_linearizable(&records(&[CREATE, update, get(true, 10), get(false, 20)])));
    }

    #[test]
    fn a_deleted_room_does_not_come_back() {
        let delete = (Operation::Delete, Outcome::Done, 2, 3);
        let found = (Operation::Get, Outcome::Flag(false), 4, 5);
        let gone = (Operation::Get, Outcome::NotFound, 4, 5);
        assert!(is_linearizable(&records(&[CREATE, delete.clone(), gone])));
        assert!(!is_linearizable(&records(&[CREATE, delete, found])));
    }
}
