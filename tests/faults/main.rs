//! Faults of the database, of processes and of operators, under load: nothing that was acknowledged is lost, nothing is
//! done twice, and answers are linearizable. `script/faults` runs all and prints a table; the short form is a part of
//! `script/test`.

mod database;
#[path = "../../benches/overload/disk.rs"]
mod disk;
mod faults;
mod histories;
mod ledger;
mod linearizable;
mod processes;
#[path = "../process/service.rs"]
#[allow(dead_code)]
mod service;
#[allow(unused_imports)]
#[path = "../wire/mod.rs"]
mod wire;
