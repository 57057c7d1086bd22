//! Whether the memory of the service stays as it is under a load that does not change. Run by `script/bench memory`;
//! prints what is resident each minute. `--minutes N` and `--rate N`, requests a second, for others than usual.

#[path = "../shared/asks.rs"]
mod asks;
#[path = "../shared/exchange.rs"]
mod exchange;
#[path = "../shared/flags.rs"]
mod flags;
#[path = "../shared/machine.rs"]
mod machine;
#[path = "../shared/pace.rs"]
mod pace;
#[path = "../shared/postgres.rs"]
mod postgres;
#[path = "../shared/processes.rs"]
mod processes;
#[path = "../shared/signing.rs"]
mod signing;

use std::time::Duration;

use flags::flag;
use machine::machine;
use postgres::Postgres;
use processes::{Result, Service};
use roomkeeper::store::pool;
use signing::Signer;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

/// Rooms that are asked for and changed.
const ROOMS: i64 = 10_000;
const FIRST_ROOM: i64 = 994_000_000_000_000_000;
const MINUTE: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    let (minutes, rate) = (flag("--minutes", 10)?, flag("--rate", 1_000.0)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::Builder::new().prefix("rkbench").tempdir_in("/tmp")?;
    processes::open_to_all(folder.path())?;
    let postgres = Postgres::start(folder.path())?;
    let service = Service::start(folder.path(), Some(&postgres.url), &[])?;
    runtime.block_on(add_rooms(&postgres.url))?;

    println!("{rate} requests a second: 80% gets, 10% creates, 10% patches; {}\n", machine()?);
    println!("minute   resident MiB   get p99 ms   create p99 ms   patch p99 ms");
    let mut resident = vec![resident_mib(&service)?];
    println!("{:>6} {:>14.1}", 0, resident[0]);
    for minute in 1..=minutes {
        let signer = Signer::new(&service)?; // for this minute alone: it is soon too old
        let paced = pace::pace(service.address, rate, MINUTE, |n| request(&signer, n));
        if paced.failed > 0 {
            return Err(format!("not to be trusted: {} failed", paced.failed).into());
        }
        resident.push(resident_mib(&service)?);
        let [get, create, patch] = ["get", "create", "patch"].map(|name| paced.percentile(name, 0.99));
        println!("{minute:>6} {:>14.1} {get:>12.2} {create:>15.2} {patch:>14.2}", resident[minute]);
    }
    if let [_, _, second, .., last] = resident.as_slice() {
        println!("\ngrowth from minute 2 to the end   {:+.1}%", (last / second - 1.0) * 100.0);
    }
    Ok(())
}

fn request(signer: &Signer, n: usize) -> (&'static str, Vec<u8>) {
    let room = FIRST_ROOM + n as i64 * 7_919 % ROOMS;
    match n % 10 {
        3 => asks::create(signer),
        7 => patch(signer, room, n),
        _ => asks::get(signer, room),
    }
}

/// Of the roster of a room: one participant, another role each time.
fn patch(signer: &Signer, room: i64, n: usize) -> (&'static str, Vec<u8>) {
    let role = ["Presenter", "Attendee", "Consumer"][n % 3];
    let one = format!("8:acs:11111111-2222-3333-4444-555555555555_{}", Uuid::nil());
    let body = format!(r#"{{"participants":{{"{one}":{{"role":"{role}"}}}}}}"#);
    let headers = "Content-Type: application/merge-patch+json\r\n";
    ("patch", signer.request("PATCH", &format!("/rooms/{room}/participants?{}", asks::VERSION), headers, &body))
}

fn resident_mib(service: &Service) -> Result<f64> {
    Ok(service.memory_kib("VmRSS")? as f64 / 1024.0)
}

async fn add_rooms(url: &str) -> Result<()> {
    let mut conn = PgConnection::connect_with(&pool::options_from_url(url)?).await?;
    let sql = "INSERT INTO rooms (resource_id, id, created_at, valid_from, valid_until, pstn_dial_out_enabled,
                                  participant_count, roster_version)
               SELECT r.id, $1 + n, now(), now(), now() + interval '100 days', false, 0, 0
               FROM resources r, generate_series(0, $2 - 1) AS n";
    sqlx::query(sql).bind(FIRST_ROOM).bind(ROOMS).execute(&mut conn).await?;
    sqlx::query("ANALYZE").execute(&mut conn).await?;
    Ok(())
}
