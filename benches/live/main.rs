//! What 5,000 clients in live rooms cost, and how soon they are told. Run by `script/bench live`; prints one table.

mod client;
#[path = "../shared/cpu.rs"]
mod cpu;
#[path = "../shared/exchange.rs"]
mod exchange;
#[path = "../shared/machine.rs"]
mod machine;
mod occupancy;
#[path = "../shared/processes.rs"]
mod processes;
#[path = "../shared/socket.rs"]
mod socket;
#[path = "../shared/starts.rs"]
mod starts;
#[path = "../shared/table.rs"]
mod table;
mod usage;

use std::future::Future;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use client::{Client, Heard};
use futures_util::future::try_join_all;
use machine::machine;
use processes::{Result, Service};
use starts::starts;
use table::{Delays, row};
use tokio::task::LocalSet;
use tokio::time::sleep;
use usage::Memory;

const ROOMS: usize = 50;
/// Clients in each room.
const MEMBERS: usize = 100;
const CLIENTS: usize = ROOMS * MEMBERS;
/// So many connect at a time.
const LANES: usize = 64;
/// So many times a member leaves and enters again.
const ROUNDS: usize = 200;
/// Between two changes of a room, which takes 50 a second.
const PAUSE: Duration = Duration::from_millis(40);
/// So many of each room break off at once.
const DROPPED: usize = 20;
const IDLE: Duration = Duration::from_secs(60);
/// For what is still under way before memory is read.
const SETTLE: Duration = Duration::from_secs(2);

fn main() -> Result<()> {
    roomkeeper::cli::open_files::raise()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::Builder::new().prefix("rkbench").tempdir_in("/tmp")?;
    processes::open_to_all(folder.path())?;
    runtime.block_on(LocalSet::new().run_until(measure(folder.path())))
}

async fn measure(folder: &Path) -> Result<()> {
    println!("{CLIENTS} clients, each in one of {ROOMS} rooms and present there; {}\n", machine()?);
    table::head();

    let ready = starts(folder, 5)?;
    row("start to ready on a folder that is there", ready, "s", None);
    let mut alone = changes_in_a_room_alone(folder).await?;

    let service = Service::start(folder, None, &[])?;
    sleep(SETTLE).await;
    let before = Memory::of(&service)?;
    row("resident, idle", before.resident as f64 / 1024.0, "MiB", Some(60.0));

    let heard = Rc::new(Heard::default());
    let mut rooms: Vec<Vec<Client>> = Vec::new();
    let used = usage::cpu(&service)?;
    let connected = timed(async {
        rooms = connect(&service, ROOMS, &heard).await?;
        Ok(())
    });
    let connected = connected.await?;
    let per_connect = (usage::cpu(&service)? - used).as_secs_f64() / CLIENTS as f64;
    sleep(SETTLE).await;
    let after_connecting = Memory::of(&service)?;

    let attached = timed(async {
        clients(&rooms).for_each(Client::attach);
        heard.until(|heard| heard.attached.get(), CLIENTS).await
    });
    let attached = attached.await?;
    let used = usage::cpu(&service)?;
    let entered = timed(async {
        clients(&rooms).for_each(Client::enter);
        heard.until(|heard| heard.acknowledged.get(), CLIENTS).await?;
        heard.until(|heard| heard.presence.get(), CLIENTS * MEMBERS).await
    });
    let entered = entered.await?;
    let per_told = (usage::cpu(&service)? - used).as_secs_f64() / (CLIENTS * MEMBERS) as f64;
    sleep(SETTLE).await;
    let after_entering = Memory::of(&service)?;

    row("all connect", connected.as_secs_f64(), "s", None);
    row("  CPU of the service for one", per_connect * 1e6, "us", None);
    row("all attach", attached.as_secs_f64(), "s", None);
    row("all enter, and everyone is told of everyone in its room", entered.as_secs_f64(), "s", None);
    row("  CPU of the service for one that is told of one", per_told * 1e6, "us", None);
    per_connection("memory of a connection", before, after_connecting);
    per_connection("  attached and present", before, after_entering);

    let used = usage::cpu(&service)?;
    sleep(IDLE).await;
    let idle = (usage::cpu(&service)? - used).as_secs_f64() * 60.0 / IDLE.as_secs_f64();
    per_connection("  and idle for a minute", before, Memory::of(&service)?);
    let thousands = CLIENTS as f64 / 1000.0;
    row("CPU of 1,000 idle connections for a minute", idle / thousands, "s", None);

    alone.print(&format!("one of {MEMBERS} leaves or enters, to the last that is told"), "ms", Some(50.0));
    let mut among = changes(&rooms[0], &heard).await?;
    among.print(&format!("  among {} that are idle elsewhere", CLIENTS - MEMBERS), "ms", Some(50.0));
    per_connection("memory of a connection, after that", before, Memory::of(&service)?);

    let broke_off = Instant::now();
    rooms.iter_mut().for_each(|room| room.truncate(MEMBERS - DROPPED));
    let left = (MEMBERS - DROPPED) as u64;
    let names = || (0..ROOMS).map(room_name);
    let gone = occupancy::until(&service, names(), "connections", left, Duration::from_secs(10)).await?;
    let what = format!("{} break off, {DROPPED} of each room", DROPPED * ROOMS);
    row(&format!("{what}: connections are exact"), (gone - broke_off).as_secs_f64(), "s", Some(1.0));
    let gone = occupancy::until(&service, names(), "presenceMembers", left, Duration::from_secs(30)).await?;
    row("  members are exact, after their 15 s", (gone - broke_off).as_secs_f64(), "s", None);
    heard.until(|_| 0, 0).await?;
    part(rooms).await;
    Ok(())
}

/// Lets all clients go before the service is ended, which waits for them.
async fn part(rooms: Vec<Vec<Client>>) {
    drop(rooms);
    sleep(SETTLE).await;
}

fn per_connection(what: &str, before: Memory, now: Memory) {
    let each = |before: u64, now: u64| now.saturating_sub(before) as f64 / CLIENTS as f64;
    let (resident, anonymous) = (each(before.resident, now.resident), each(before.anonymous, now.anonymous));
    row(&format!("{what} ({anonymous:.1} anonymous)"), resident, "KiB", Some(15.0));
}

async fn timed(work: impl Future<Output = Result<()>>) -> Result<Duration> {
    let began = Instant::now();
    work.await?;
    Ok(began.elapsed())
}

fn room_name(number: usize) -> String {
    format!("bench-{number}")
}

/// Connects so many rooms' clients, some at a time.
async fn connect(service: &Service, rooms: usize, heard: &Rc<Heard>) -> Result<Vec<Vec<Client>>> {
    let lane = async |lane: usize| {
        let mut connected = Vec::new();
        for number in (lane..rooms * MEMBERS).step_by(LANES) {
            let room = room_name(number % rooms);
            connected.push((number % rooms, Client::connect(service, &format!("c{number}"), &room, heard).await?));
        }
        Ok::<_, Box<dyn std::error::Error>>(connected)
    };
    let mut by_room: Vec<Vec<Client>> = (0..rooms).map(|_| Vec::new()).collect();
    for (room, client) in try_join_all((0..LANES).map(lane)).await?.into_iter().flatten() {
        by_room[room].push(client);
    }
    Ok(by_room)
}

fn clients(rooms: &[Vec<Client>]) -> impl Iterator<Item = &Client> {
    rooms.iter().flatten()
}

/// One room, and nobody else on the service.
async fn changes_in_a_room_alone(folder: &Path) -> Result<Delays> {
    let service = Service::start(folder, None, &[])?;
    let heard = Rc::new(Heard::default());
    let rooms = connect(&service, 1, &heard).await?;
    clients(&rooms).for_each(Client::attach);
    heard.until(|heard| heard.attached.get(), MEMBERS).await?;
    clients(&rooms).for_each(Client::enter);
    heard.until(|heard| heard.presence.get(), MEMBERS * MEMBERS).await?;
    let delays = changes(&rooms[0], &heard).await?;
    part(rooms).await;
    Ok(delays)
}

/// Members of a room leave and enter again, one after the other; how long it takes until everyone there is told of each,
/// in milliseconds.
async fn changes(room: &[Client], heard: &Heard) -> Result<Delays> {
    sleep(SETTLE).await;
    let mut delays = Vec::new();
    for client in room.iter().cycle().take(ROUNDS) {
        for change in [Client::leave, Client::enter] {
            heard.watch(client.next_change());
            let sent = Instant::now();
            change(client);
            heard.until(|heard| heard.watched.get(), room.len()).await?;
            let last = heard.last.get().ok_or("nobody was told")?;
            delays.push((last - sent).as_secs_f64() * 1000.0);
            sleep(PAUSE).await;
        }
    }
    Ok(Delays(delays))
}
