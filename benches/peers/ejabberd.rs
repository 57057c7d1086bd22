//! ejabberd: an XMPP server, whose rooms can be managed by HTTP, on Mnesia.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::connection::{Connection, json_request};
use crate::group::{Group, free_address};
use crate::peer::{Operation, Peer};
use crate::processes::Result;
use crate::rooms::place;

pub const NOTES: &str = "\
    `mod_http_api`; no credential, the loopback is trusted. Create: `create_room_with_opts`, persistent, with nobody \
    in it: this version takes no affiliations there, they would be three requests more. Get: `get_room_options`. \
    List: n/a, as `muc_online_rooms` knows no pages and gives all. Patch: `set_room_affiliation`. A room is a process \
    in memory, and a record of Mnesia, whose log is written after the answer, and synced now and then. Creates are \
    not remembered.";

const SERVICE: &str = "conference.localhost";
/// No more than the rooms and their API.
const CONFIG: &str = r#"hosts: [localhost]
loglevel: warning
listen:
  - port: PORT
    ip: 127.0.0.1
    backlog: 128
    module: ejabberd_http
    request_handlers:
      /api: mod_http_api
api_permissions:
  bench:
    from: mod_http_api
    who: { access: { allow: { ip: 127.0.0.1/8 } } }
    what: "*"
modules:
  mod_muc: {}
  mod_muc_admin: {}
"#;

pub async fn start(installed: &Path, folder: &Path, rooms: u32) -> Result<Peer> {
    let (libraries, version) = libraries(&installed.join("root")).ok_or("not installed")?;
    let address = free_address()?;
    fs::write(folder.join("ejabberd.yml"), CONFIG.replace("PORT", &address.port().to_string()))?;
    let mut command = erlang(&installed.join("root/usr/lib/erlang"))?;
    command.env("ERL_LIBS", &libraries).env("LD_LIBRARY_PATH", &libraries).env("HOME", folder);
    command
        .env("EJABBERD_CONFIG_PATH", folder.join("ejabberd.yml"))
        .env("EJABBERD_LOG_PATH", folder.join("ejabberd.log"));
    command.args(["-noinput", "+K", "true", "+P", "250000", "-mnesia", "dir"]);
    command.arg(format!("{:?}", folder.join("mnesia"))).args(["-s", "ejabberd"]).stdout(Stdio::null());

    let mut group = Group::start(&mut command, folder)?;
    group.reached(address).await?;
    let mut connection = Connection::open(address).await?;
    for n in 0..rooms {
        connection.ask("POST", "/api/create_room_with_opts", "", &room(&name(n as usize))).await?;
    }
    Ok(Peer {
        version,
        address,
        service: group.id(),
        database: None,
        requests: Box::new(move |operation, count| {
            (0..count).map(|n| request(address, operation, place(n, rooms))).collect()
        }),
        _runs: Box::new(group),
    })
}

/// Where the packages have it, and its version: `usr/lib/x86_64-linux-gnu/ejabberd-23.01`, on another machine another.
fn libraries(root: &Path) -> Option<(PathBuf, String)> {
    let inside = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    inside(&root.join("usr/lib")).flat_map(|folder| inside(&folder).collect::<Vec<_>>()).find_map(|path| {
        let version = path.file_name()?.to_str()?.strip_prefix("ejabberd-")?.to_owned();
        path.join("ebin").exists().then(|| Some((path.parent()?.to_owned(), version)))?
    })
}

/// Its own program, as `erl` would start it: that one knows no other folder than the system's. Without a name, it is
/// no node, needs no `epmd`, and leaves none behind.
fn erlang(root: &Path) -> Result<Command> {
    let mut entries = fs::read_dir(root)?.flatten().map(|entry| entry.path());
    let runtime = entries.find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("erts-")));
    let programs = runtime.ok_or("not installed")?.join("bin");
    let mut command = Command::new(programs.join("erlexec"));
    command.env("ROOTDIR", root).env("BINDIR", programs).env("EMU", "beam").env("PROGNAME", "erl");
    Ok(command)
}

/// One of the rooms that there are.
fn name(n: usize) -> String {
    format!("room-{n}")
}

fn room(name: &str) -> Value {
    let options = [json!({ "name": "persistent", "value": "true" })];
    json!({ "name": name, "service": SERVICE, "host": "localhost", "options": options })
}

fn request(address: SocketAddr, operation: Operation, place: usize) -> Option<Vec<u8>> {
    let name = name(place);
    let (command, body) = match operation {
        Operation::Get => ("get_room_options", json!({ "name": name, "service": SERVICE })),
        Operation::List => return None,
        Operation::Create => ("create_room_with_opts", room(&Uuid::new_v4().to_string())),
        Operation::Patch => {
            let jid = format!("{}@localhost", Uuid::new_v4());
            ("set_room_affiliation", json!({ "name": name, "service": SERVICE, "jid": jid, "affiliation": "member" }))
        }
    };
    Some(json_request(address, "POST", &format!("/api/{command}"), "", &body.to_string()))
}
