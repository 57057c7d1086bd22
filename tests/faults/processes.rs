//! Instances that are killed, stopped and started again.

use std::net::{SocketAddr, TcpListener};

use nix::sys::signal::Signal;
use tokio::task::spawn_blocking;

use crate::service::{DataDir, Service, command};

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// An instance with a port of its own, which it keeps over restarts.
pub struct Instance {
    folder: DataDir,
    url: String,
    ahead: Option<&'static str>,
    pub address: SocketAddr,
    service: Option<Service>,
}

impl Instance {
    pub async fn start(url: &str) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (url, ahead) = (url.to_owned(), None);
        let mut instance = Self { folder: DataDir::new(), url, address, ahead, service: None };
        instance.start_again().await;
        instance
    }

    /// One whose clock is ahead, by a span as libfaketime reads it.
    pub async fn start_ahead(url: &str, span: &'static str) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (url, ahead) = (url.to_owned(), Some(span));
        let mut instance = Self { folder: DataDir::new(), url, address, ahead, service: None };
        instance.start_again().await;
        instance
    }

    pub async fn start_again(&mut self) {
        let (address, drain) = (self.address.to_string(), "1s");
        let args = ["--database-url", &self.url, "--listen", &address, "--drain", drain, "--log", "error"];
        let mut command = command(self.folder.path(), &args);
        if let Some(ahead) = self.ahead {
            let library = format!("/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1", std::env::consts::ARCH);
            command.env("LD_PRELOAD", library).env("FAKETIME", ahead).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        self.service = Some(spawn_blocking(move || Service::spawn(command)).await.unwrap());
    }

    /// Ends it without a chance to do anything about it.
    pub async fn kill(&mut self) {
        if let Some(service) = self.service.take() {
            spawn_blocking(move || service.kill()).await.unwrap();
        }
    }

    /// Ends it as operators do, and gives what it logged.
    pub async fn stop(&mut self) -> String {
        let Some(service) = self.service.take() else { return String::new() };
        let ended = spawn_blocking(move || service.stop()).await.unwrap();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        ended.stderr
    }

    pub fn signal(&self, signal: Signal) {
        if let Some(service) = &self.service {
            service.signal(signal);
        }
    }
}
