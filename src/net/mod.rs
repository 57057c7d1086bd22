//! Connections of clients as sockets: counted, timed in each of their phases, and closed; and WebSockets on them.

mod connection;
mod gate;
mod stream;
mod supervise;
mod turns;
pub mod web_socket;

pub use connection::{Body, Connection};
pub use gate::{Gate, Limits, MAX_UNKNOWN, Slot};
pub use stream::Stream;
pub use supervise::Supervised;
pub use turns::Turns;
