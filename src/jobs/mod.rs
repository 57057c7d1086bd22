//! Work that the service does by itself: loops around ticks that tests, and commands, can take alone.

pub mod clocks;
pub mod outages;
pub mod sweeper;
