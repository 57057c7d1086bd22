//! Sockets of attackers.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, sleep_until};

use crate::processes::Result;
use crate::target::Target;

/// Beyond its deadline, a socket is given so long.
pub const GRACE: Duration = Duration::from_secs(2);
/// Of a socket that is not read: the system would take megabytes for each.
const LITTLE: u32 = 4096;

/// Between two sockets, so that the service has read the beginning of one before the next: of those that it knows
/// nothing of it keeps 256.
const APART: Duration = Duration::from_millis(1);

/// Connects `count` sockets, and writes `beginning` to each.
pub async fn dial(address: SocketAddr, count: usize, beginning: &[u8]) -> Result<Vec<TcpStream>> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(LITTLE)?;
        let mut stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        stream.write_all(beginning).await?;
        sockets.push(stream);
        sleep(APART).await;
    }
    Ok(sockets)
}

/// Writes bytes to each socket, `every` so often, until then; gives how many writes there were. One that takes no more
/// is left out.
pub async fn trickle(sockets: &[TcpStream], bytes: &[u8], every: Duration, until: Instant) -> usize {
    let (mut writes, mut next) = (0, Instant::now());
    while next < until {
        sleep_until(next).await;
        writes += sockets.iter().filter(|socket| socket.try_write(bytes).is_ok()).count();
        next += every;
    }
    sleep_until(until).await;
    writes
}

/// The ports of sockets on this side.
pub fn ports<'s>(sockets: impl IntoIterator<Item = &'s TcpStream>) -> io::Result<HashSet<u16>> {
    sockets.into_iter().map(|socket| Ok(socket.local_addr()?.port())).collect()
}

/// How many of these ports' sockets the service holds, as /proc has it: to read from them would change what they do.
pub fn held(target: &Target<'_>, ports: &HashSet<u16>) -> Result<usize> {
    let table = fs::read_to_string("/proc/net/tcp")?;
    let port = |address: &str| u16::from_str_radix(address.rsplit(':').next().unwrap_or(""), 16).ok();
    let of_service = [target.address.port(), target.https.port()];
    let is_held = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, remote, .., inode] = fields.get(..10).unwrap_or(&[]) else { return false };
        let (local, remote) = (port(local), port(remote));
        // Without an inode, it is the system alone that still knows it.
        *inode != "0"
            && local.is_some_and(|port| of_service.contains(&port))
            && remote.is_some_and(|port| ports.contains(&port))
    };
    Ok(table.lines().filter(is_held).count())
}
