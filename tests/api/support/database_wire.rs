//! Between the service and its database: passes bytes on, writes down what is asked, and goes silent if it is told to.

use std::collections::HashMap;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;

/// What is asked before an answer is waited for, statement by statement; nothing, to see that the database is there.
pub type RoundTrip = Vec<String>;

pub struct Wire {
    address: SocketAddr,
    database: String,
    silenced: watch::Sender<bool>,
    trips: Arc<Mutex<Vec<RoundTrip>>>,
}

impl Wire {
    /// Before a database of the common cluster.
    pub async fn to(database: &PgConnectOptions) -> Self {
        let socket = database.get_socket().unwrap().join(".s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, silenced) = (listener.local_addr().unwrap(), watch::Sender::new(false));
        let wire =
            Self { address, database: database.get_database().unwrap().to_owned(), silenced, trips: Arc::default() };
        let (told, trips) = (wire.silenced.clone(), Arc::clone(&wire.trips));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, mut silence) = (UnixStream::connect(&socket).await.unwrap(), told.subscribe());
                let ((questions, mut to_client), (mut answers, to_server)) = (client.into_split(), server.into_split());
                let questions = pass_on(questions, to_server, Arc::clone(&trips));
                silence.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = questions => {}
                        _ = copy(&mut answers, &mut to_client) => {}
                        _ = silence.changed() => std::future::pending().await, // neither data nor an end
                    }
                });
            }
        });
        wire
    }

    /// The database, by way of this.
    pub fn database(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.address.port())
            .ssl_mode(PgSslMode::Disable)
            .username("postgres")
            .database(&self.database)
    }

    /// Every connection there is goes silent, as when a network parts; new ones are let through.
    pub fn silence(&self) {
        self.silenced.send_replace(true);
    }

    /// What was asked since this was asked last.
    pub fn round_trips(&self) -> Vec<RoundTrip> {
        mem::take(&mut *self.trips.lock().unwrap())
    }
}

/// Passes on what a client asks, and writes it down before it is answered.
async fn pass_on(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    trips: Arc<Mutex<Vec<RoundTrip>>>,
) -> io::Result<()> {
    let (mut reader, mut unread) = (Reader::default(), Vec::new());
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let length = client.read(&mut chunk).await?;
        if length == 0 {
            return Ok(());
        }
        unread.extend_from_slice(&chunk[..length]);
        while let Some(trip) = reader.next(&mut unread) {
            trips.lock().unwrap().extend(trip);
        }
        server.write_all(&chunk[..length]).await?;
    }
}

/// Reads the messages of one connection's client, as far as they ask for something.
#[derive(Default)]
struct Reader {
    is_started: bool,
    /// By the name that it was prepared under.
    statements: HashMap<String, String>,
    asked: RoundTrip,
}

impl Reader {
    /// Takes the first message away; `None` until it is there as a whole. With it, what was asked ends.
    fn next(&mut self, unread: &mut Vec<u8>) -> Option<Option<RoundTrip>> {
        let tag = usize::from(self.is_started); // the first message has none
        let length: [u8; 4] = unread.get(tag..tag + 4)?.try_into().unwrap();
        let end = tag + u32::from_be_bytes(length) as usize;
        if unread.len() < end {
            return None;
        }
        let message: Vec<u8> = unread.drain(..end).collect();
        if !mem::replace(&mut self.is_started, true) {
            return Some(None);
        }
        let mut texts = message[5..].split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
        let mut text = || texts.next().unwrap_or_default();
        match message[0] {
            b'P' => {
                let (name, sql) = (text(), text());
                self.asked.push(format!("to prepare: {sql}"));
                self.statements.insert(name, sql);
            }
            b'B' => {
                let (_portal, name) = (text(), text());
                self.asked.push(self.statements[&name].clone());
            }
            b'Q' => self.asked.push(text()),
            _ => {}
        }
        // A simple query is answered by itself, all other messages at the next Sync.
        Some(matches!(message[0], b'Q' | b'S').then(|| mem::take(&mut self.asked)))
    }
}
