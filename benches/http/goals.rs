//! What is wanted of the service (design, section 7), and whether it is so.

use crate::operation::Operation;

/// How much longer than the bare statement a request takes that comes alone, in microseconds.
pub const ALONE: f64 = 150.0;
/// What the service has resident, in MiB.
pub const RESIDENT: f64 = 50.0;
/// How many times as long a request takes, or as few are answered, with a hundred times as many rooms.
pub const GROWTH: f64 = 1.2;
/// What must not grow with the number of rooms.
pub const FLAT: [Operation; 4] = [Operation::Get, Operation::Create3, Operation::ListFirst, Operation::List200th];

/// The requests that are answered for each transaction of pgbench.
pub fn ratio(operation: Operation, connections: usize) -> Option<f64> {
    match (operation, connections) {
        (Operation::Get, 64) => Some(1.3),
        (Operation::Get, 16) => Some(0.5),
        (Operation::Create3, 64) => Some(2.0),
        (Operation::Create3, 16) => Some(1.5),
        (Operation::Patch1, 64) => Some(2.0),
        (Operation::ListFirst, 64) => Some(0.7),
        (Operation::Mixed, 64) => Some(1.2),
        _ => None,
    }
}

pub fn at_least(figure: f64, goal: f64) -> String {
    judge(goal - figure)
}

pub fn at_most(figure: f64, goal: f64) -> String {
    judge(figure - goal)
}

fn judge(missed: f64) -> String {
    match missed {
        by if by <= 0.0 => "met".to_owned(),
        by if by < 10.0 => format!("missed by {by:.2}"),
        by => format!("missed by {by:.0}"),
    }
}
