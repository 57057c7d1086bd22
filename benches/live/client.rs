//! A client of a live room, with little work for whoever measures: frames by hand, and only looked at by their beginning.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::processes::{Result, Service};
use crate::socket;

/// A connection; dropped, it breaks off without a word, as when a cable is pulled.
pub struct Client {
    /// The beginning of the frame that tells of its next change of presence.
    id: String,
    channel: String,
    next: Cell<u64>,
    orders: mpsc::UnboundedSender<String>,
}

/// What all clients were told so far.
#[derive(Default)]
pub struct Heard {
    pub attached: Cell<usize>,
    pub acknowledged: Cell<usize>,
    pub presence: Cell<usize>,
    /// Frames that tell of the change that is watched, and when the last of them came.
    pub watched: Cell<usize>,
    pub last: Cell<Option<Instant>>,
    watch: RefCell<String>,
    /// What must not be: refusals, and connections that the service ended.
    pub wrong: RefCell<Vec<String>>,
}

/// How long anything may take before a run is given up.
const PATIENCE: Duration = Duration::from_secs(120);

impl Client {
    /// Connects, and waits to be told that it is.
    pub async fn connect(service: &Service, name: &str, room: &str, heard: &Rc<Heard>) -> Result<Self> {
        let key: String = form_urlencoded::byte_serialize(service.says("ablyKey")?.as_bytes()).collect();
        let (socket, first) = socket::connect(service, &format!("key={key}&clientId={name}")).await?;
        let id = first["connectionId"].as_str().ok_or_else(|| format!("not connected: {first}"))?.to_owned();
        let (orders, taken) = mpsc::unbounded_channel();
        spawn_local(drive(socket, taken, Rc::clone(heard)));
        Ok(Self { id, channel: format!("{room}::$chat"), next: Cell::new(0), orders })
    }

    /// Goes into its room as `@ably/chat` does, with presence and occupancy.
    pub fn attach(&self) {
        let channel = &self.channel;
        let frame =
            format!(r#"{{"action":10,"channel":"{channel}","flags":3080192,"params":{{"occupancy":"metrics"}}}}"#);
        let _ = self.orders.send(frame);
    }

    pub fn enter(&self) {
        self.present(2);
    }

    pub fn leave(&self) {
        self.present(3);
    }

    /// What everyone's frame begins with that tells of this client's next change.
    pub fn next_change(&self) -> String {
        format!(r#"{{"action":14,"id":"{}:{}","#, self.id, self.next.get())
    }

    fn present(&self, action: u32) {
        let (channel, serial) = (&self.channel, self.next.replace(self.next.get() + 1));
        let presence = format!(r#"[{{"action":{action},"data":"{{\"status\":\"online\"}}","encoding":"json"}}]"#);
        let frame = format!(r#"{{"action":14,"channel":"{channel}","presence":{presence},"msgSerial":{serial}}}"#);
        let _ = self.orders.send(frame);
    }
}

/// Sends what is ordered and counts what comes, until nobody orders any more.
async fn drive(mut socket: WebSocketStream<TcpStream>, mut orders: mpsc::UnboundedReceiver<String>, heard: Rc<Heard>) {
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(frame) => {
                    if let Err(error) = socket.send(Message::text(frame)).await {
                        return heard.wrong(error.to_string());
                    }
                }
                None => return,
            },
            frame = socket.next() => match frame {
                Some(Ok(Message::Text(text))) => heard.hear(&text),
                Some(Ok(_)) => {} // a ping, whose answer goes out by itself
                ended => return heard.wrong(format!("ended: {ended:?}")),
            },
        }
    }
}

impl Heard {
    /// From now on, counts who is told of a frame that begins so.
    pub fn watch(&self, beginning: String) {
        self.watched.set(0);
        self.last.set(None);
        *self.watch.borrow_mut() = beginning;
    }

    /// Waits until so many are counted.
    pub async fn until(&self, count: impl Fn(&Self) -> usize, wanted: usize) -> Result<()> {
        let reached = async {
            while count(self) < wanted && self.wrong.borrow().is_empty() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let in_time = timeout(PATIENCE, reached).await.is_ok();
        match self.wrong.borrow().first() {
            Some(wrong) => Err(format!("not to be trusted: {wrong}").into()),
            None if !in_time => Err(format!("{} of {wanted} after {PATIENCE:?}", count(self)).into()),
            None => Ok(()),
        }
    }

    fn hear(&self, text: &str) {
        let add = |count: &Cell<usize>| count.set(count.get() + 1);
        let action = text.strip_prefix(r#"{"action":"#).and_then(|rest| rest.split(',').next()).unwrap_or("");
        match action {
            "14" => {
                add(&self.presence);
                if text.starts_with(&*self.watch.borrow()) {
                    self.last.set(Some(Instant::now()));
                    add(&self.watched);
                }
            }
            "1" => add(&self.acknowledged),
            "11" => add(&self.attached),
            "15" | "16" => {}
            _ => self.wrong(text.to_owned()),
        }
    }

    fn wrong(&self, told: String) {
        self.wrong.borrow_mut().push(told);
    }
}
