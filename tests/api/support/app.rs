//! A running service, with what a test needs to drive it.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use roomkeeper::app::{self, Listeners, Settings};
use roomkeeper::auth::keys::LiveKeys;
use roomkeeper::clock::Clock;
use roomkeeper::http::budget::BodyBudget;
use roomkeeper::net::Gate;
use roomkeeper::realtime::{Hub, Limits};
use roomkeeper::service::Context;
use roomkeeper::store::pool;
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Answer, KEY, Request, StatusCode, document, postgres};

/// When the clock of a test stands at first.
pub const NOW: &str = "2026-11-21T01:07:52.123456Z";

pub struct TestApp {
    pub address: SocketAddr,
    pub clock: Clock,
    pub ctx: Context,
    /// The database, for what no client can do.
    pub db: PgPool,
    pub keys: LiveKeys,
    pub hub: Arc<Hub>,
    pub bodies: BodyBudget,
    pub database: PgConnectOptions,
    /// Cancelled when the service is about to end.
    pub draining: CancellationToken,
    _stop: DropGuard,
}

/// What a test sets otherwise than usual.
pub struct Setup {
    pub settings: Settings,
    pub max_participants: u32,
    /// `None`: one of its own, in the common cluster.
    pub database: Option<PgConnectOptions>,
    pub room_id_offset: u16,
}

impl Default for Setup {
    fn default() -> Self {
        let settings = Settings {
            access_key: KEY.to_owned(),
            secondary_access_key: None,
            replace_access_key: true, // the template's
            clock_skew: Some(TimeDelta::minutes(15)),
            public_hosts: Vec::new(),
            cors_origins: Vec::new(),
            explain_auth: false,
            basic_auth: true,
            named_rooms: true,
            max_requests: 4_096,
            max_body_memory: 64 * 1024 * 1024,
            max_input_memory: 64 << 20,
            live: Limits {
                connections: 1_000,
                connections_per_client: 100,
                output_memory: 64 << 20,
                rooms_per_connection: 10,
                members_per_room: 10,
                presence_memory: 1 << 28,
                replay_memory: 1 << 28,
                message_size: 65_536,
                rate_per_connection: NonZeroU32::new(50).unwrap(),
                rate_per_room: NonZeroU32::new(50).unwrap(),
                occupancy_interval: Duration::from_secs(1),
            },
            sockets: roomkeeper::net::Limits::default(),
            demo: None,
            demo_for_anyone: false,
        };
        Self { settings, max_participants: 350, database: None, room_id_offset: 0 }
    }
}

impl Setup {
    pub async fn start(self) -> TestApp {
        let database = match self.database {
            Some(database) => database,
            None => postgres::database().await,
        };
        let clock = Clock::standing(NOW.parse().unwrap());
        let ctx = Context::new(pool::pool(database.clone()), clock.clone(), self.max_participants, self.room_id_offset);
        let keys = app::keys::prepare(&ctx, self.settings.keys(), self.settings.named_rooms).await.unwrap();
        let acs = app::acs(keys.clone(), &self.settings);
        let http = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = http.local_addr().unwrap();
        let stop = CancellationToken::new();
        let listeners = Listeners { http, https: None };
        let ably = app::ably(&ctx, keys.clone(), &self.settings);
        let hub = ably.hub();
        let draining = CancellationToken::new();
        let state = app::state(ctx.clone(), &ably, &self.settings, draining.clone());
        let bodies = state.bodies.clone();
        let live = (state.clone(), stop.clone());
        std::thread::spawn(move || app::block_on(app::live(live.0, live.1)));
        let gate = Gate::new(self.settings.sockets.clone());
        let server = app::serve(state, acs, ably, &self.settings, listeners, gate, stop.clone()).unwrap();
        tokio::spawn(server);
        let db = PgPoolOptions::new().max_connections(5).connect_lazy_with(database.clone());
        TestApp { address, clock, ctx, db, keys, hub, bodies, database, draining, _stop: stop.drop_guard() }
    }
}

impl TestApp {
    pub async fn start() -> Self {
        Setup::default().start().await
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// A request whose answer has to be one that openapi.yaml describes.
    pub fn request(&self, method: &str, path: &str) -> Request {
        Request::new(self.address, self.now(), method, path).checked(document::check)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send().await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.request("POST", path).json(&body).send().await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.request("PATCH", path).json(&body).send().await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path).send().await
    }

    /// Makes a room and gives its id.
    pub async fn room(&self, body: Value) -> String {
        let answer = self.post("/rooms", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.body["id"].as_str().unwrap().to_owned()
    }

    /// Makes a room with a roster and gives its id.
    pub async fn room_with(&self, participants: Value) -> String {
        self.room(json!({ "participants": participants })).await
    }

    /// A room's roster, in its order.
    pub async fn roster(&self, room: &str) -> Vec<(String, String)> {
        let answer = self.get(&format!("/rooms/{room}/participants")).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let entries = answer.body["value"].as_array().unwrap();
        entries.iter().map(|p| (text(&p["rawId"]), text(&p["role"]))).collect()
    }

    /// How many rooms there are, over all pages.
    pub async fn count_rooms(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM rooms").fetch_one(&self.db).await.unwrap()
    }
}
