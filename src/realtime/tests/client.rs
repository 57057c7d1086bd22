//! A client as the SDK is one, which keeps what it is told.

use super::*;

/// A client, as the SDK is one: it keeps what it was told, and resumes.
pub struct Client {
    pub name: String,
    pub session: Option<Session>,
    pub key: Option<String>,
    pub serial: u64,
    pub views: BTreeMap<String, View>,
}

/// What a client knows of a room.
#[derive(Default)]
pub struct View {
    pub since: String,
    pub modes: Option<Modes>,
    pub members: BTreeSet<(ConnectionId, String)>,
    /// Those not seen in a snapshot so far.
    pub stale: Option<BTreeSet<(ConnectionId, String)>>,
    pub listens: bool,
    pub occupancy: Option<Occupancy>,
    pub texts: Vec<String>,
    pub discontinuities: usize,
}

impl Client {
    pub fn new(n: usize) -> Self {
        let views = CHANNELS.iter().map(|name| ((*name).to_owned(), View::default())).collect();
        Self { name: format!("c{n}"), session: None, key: None, serial: 0, views }
    }

    pub fn connect(&mut self, hub: &Arc<Hub>) {
        if self.session.is_some() {
            return;
        }
        let owner = Owner { resource: resource(), identity: Identity::Client(self.name.as_str().into()) };
        let place = hub.place().expect("a place");
        let opened = hub.open(place, owner, Some(self.name.as_str().into()), self.key.as_deref(), None, true);
        let (session, refused) = opened.unwrap_or_else(|full| panic!("{full:?}"));
        if refused.is_some() || self.key.is_none() {
            self.serial = 0;
        }
        self.key = Some(session.key());
        self.session = Some(session);
        // The SDK attaches anew wherever it was.
        let was: Vec<(String, Modes)> = self.views.iter().filter_map(|(n, v)| Some((n.clone(), v.modes?))).collect();
        for (channel, modes) in was {
            self.attach(&channel, modes);
        }
    }

    pub fn attach(&mut self, channel: &str, modes: Modes) {
        let Some(session) = &self.session else { return };
        let since = self.views[channel].since.clone();
        let since = Some(&*since).filter(|since| !since.is_empty());
        let entry = Entry { called: channel.into(), turn: session.hub.turn(resource(), channel), managed: None };
        let (who, place) = (&Who::Backend, channel);
        let attach =
            Attach { channel, place, modes, asked: modes, occupancy: true, since, who, entry: &entry, found: None };
        assert!(matches!(session.attach(attach), Ok(Attaching::Done { .. })));
        self.listen();
    }

    pub fn presence(&mut self, channel: &str, action: PresenceAction) -> Option<Answer> {
        let session = self.session.as_ref()?;
        let item = NewPresence { id: None, client_id: None, action, payload: Payload::default() };
        let answer = session.presence(self.serial, channel, vec![item], None);
        self.serial += 1;
        Some(answer)
    }

    pub fn publish(&mut self, channel: &str, text: &str) -> Option<Answer> {
        let session = self.session.as_ref()?;
        let payload = Payload { data: Some(Data::Text(text.into())), ..Payload::default() };
        let message = NewMessage { client_id: None, name: None, payload, is_ephemeral: false };
        let answer = session.publish(self.serial, channel, vec![message], None);
        self.serial += 1;
        Some(answer)
    }

    pub fn detach(&mut self, channel: &str) {
        self.listen();
        if let Some(session) = &self.session {
            session.detach(channel);
            self.views.insert(channel.to_owned(), View::default());
        }
    }

    pub fn close(&mut self) {
        if let Some(session) = self.session.take() {
            session.close();
            *self = Self { serial: 0, ..Self::new(self.name[1..].parse().expect("a number")) };
        }
    }

    /// Takes in all that it was told.
    pub fn listen(&mut self) {
        let Some(session) = &self.session else { return };
        while let Some(batch) = session.outbox().next().now_or_never() {
            match batch {
                Batch::Ordered(batch) => {
                    for tell in batch {
                        let Tell::Shared(heard) = tell else { continue };
                        self.views.get_mut(&**heard.channel()).expect("a channel").hear(&heard.told.event);
                    }
                }
                Batch::Occupancy(updates) => {
                    for heard in updates {
                        let Event::Occupancy { now, .. } = heard.told.event else { continue };
                        self.views.get_mut(&**heard.channel()).expect("a channel").occupancy = Some(now);
                    }
                }
                Batch::End(why) => panic!("parted from: {why:?}"),
            }
        }
    }
}

impl View {
    pub fn hear(&mut self, event: &Event) {
        match event {
            Event::Attached(attached) => {
                if self.modes.is_some() && !attached.resumed {
                    self.discontinuities += 1;
                }
                self.modes = Some(attached.modes);
                self.listens = attached.occupancy;
                self.since.clone_from(&attached.serial);
                self.stale = attached.has_presence.then(|| self.members.clone());
                if !attached.has_presence {
                    self.members.clear();
                }
            }
            Event::Messages { serial, messages, .. } => {
                if let Some(serial) = serial {
                    assert!(*serial > self.since, "in order");
                    self.since.clone_from(serial);
                }
                for message in messages {
                    let Some(Data::Text(text)) = &message.payload.data else { continue };
                    self.texts.push(text.to_string());
                }
            }
            Event::Presence { serial, items, .. } => {
                assert!(*serial > self.since, "in order");
                self.since.clone_from(serial);
                for item in items {
                    self.take(item);
                }
            }
            Event::Sync { cursor, items } => {
                for item in items {
                    self.take(item);
                }
                if cursor.ends_with(':') {
                    for gone in self.stale.take().expect("a snapshot was announced") {
                        self.members.remove(&gone);
                    }
                }
            }
            Event::Ejected(_) => *self = Self::default(),
            Event::Occupancy { .. } => unreachable!("it comes apart"),
        }
    }

    pub fn take(&mut self, item: &PresenceItem) {
        let who = (item.connection, item.client_id.to_string());
        if let Some(stale) = &mut self.stale {
            stale.remove(&who);
        }
        match item.action {
            PresenceAction::Leave => self.members.remove(&who),
            _ => self.members.insert(who),
        };
    }
}
