//! The rules of rooms: no I/O, no clock of its own, no framework.

pub mod door;
pub mod identity;
pub mod issue;
pub mod occupancy;
pub mod raw_id;
pub mod resource;
pub mod role;
pub mod room;
pub mod room_id;
pub mod room_name;
pub mod room_options;
pub mod roster;
pub mod validity;
