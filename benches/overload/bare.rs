//! What the cheapest refusal costs: a handler of actix-web that answers 503 and does nothing else, in a process of its
//! own.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};

use crate::cpu::Stat;
use crate::load::Load;
use crate::processes::{Process, Result};

/// The argument by which this program is the server.
pub const ARGUMENT: &str = "--bare";
const RATE: f64 = 5_000.0;
const SPAN: Duration = Duration::from_secs(4);
const BODY: &str = r#"{"error":{"code":"ServiceUnavailable","message":"Try again."}}"#;

/// Answers until it is ended.
pub fn serve() -> Result<()> {
    actix_web::rt::System::new().block_on(async {
        let refuse = async || {
            HttpResponse::ServiceUnavailable()
                .insert_header(("Retry-After", "1"))
                .content_type("application/json")
                .body(BODY)
        };
        let server = HttpServer::new(move || App::new().default_service(web::to(refuse))).workers(1);
        let server = server.bind("127.0.0.1:0")?;
        println!("{}", server.addrs()[0]);
        std::io::stdout().flush()?;
        Ok(server.run().await?)
    })
}

/// The part of a core that a refusal takes, in seconds for each.
pub async fn price(requests: &[Vec<u8>]) -> Result<f64> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(ARGUMENT).stdout(Stdio::piped());
    let (process, address) = Process::start(command)?;
    let mut load = Load::connect(address.parse()?, 100, &requests[0]).await?;
    let stat = format!("/proc/{}/stat", process.id());
    let before = Stat::read(&stat)?.own;
    let outcome = load.offer(RATE, SPAN, requests).await;
    let took = Stat::read(&stat)?.own - before;
    Ok(took.as_secs_f64() / outcome.refused.len() as f64)
}
