//! Sockets: each phase of a connection has a deadline, and what a client may hold is bounded (docs/limits.md).

use std::time::{Duration, Instant};

use roomkeeper::app::Settings;
use roomkeeper::net::Limits;
use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::*;

const PROBE: &[u8] = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";

async fn dial(app: &TestApp) -> TcpStream {
    TcpStream::connect(app.address).await.unwrap()
}

async fn limited(sockets: Limits) -> TestApp {
    let settings = Settings { sockets, ..Setup::default().settings };
    Setup { settings, ..Setup::default() }.start().await
}

/// Reads one answer, as far as its length says.
async fn answer(socket: &mut TcpStream) -> String {
    let (mut text, mut byte) = (String::new(), [0]);
    let read = async {
        while !text.ends_with("\r\n\r\n") && socket.read(&mut byte).await.unwrap_or(0) > 0 {
            text.push(char::from(byte[0]));
        }
        let length = text.to_lowercase().split("content-length: ").nth(1).and_then(|l| l.lines().next()?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        let _ = socket.read_exact(&mut body).await;
    };
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("an answer in time");
    text
}

/// How long it takes until the other side is gone; what it sends is thrown away.
async fn closed(socket: &mut TcpStream) -> Duration {
    let began = Instant::now();
    let mut bytes = [0; 4096];
    let gone = async { while socket.read(&mut bytes).await.is_ok_and(|read| read > 0) {} };
    tokio::time::timeout(Duration::from_secs(45), gone).await.expect("an end in time");
    began.elapsed()
}

#[tokio::test]
async fn who_sends_no_head_is_gone_after_two_seconds() {
    let app = TestApp::start().await;
    for beginning in [&b""[..], b"GET /health/live HTTP/1.1\r\nHost: lo"] {
        let mut socket = dial(&app).await;
        socket.write_all(beginning).await.unwrap();

        let took = closed(&mut socket).await;

        assert!((1_500..4_000).contains(&took.as_millis()), "took {took:?}");
    }
}

#[tokio::test]
async fn half_a_head_of_the_second_request_is_given_ten_seconds_also_a_byte_at_a_time() {
    let app = TestApp::start().await;
    let (mut half, slow) = (dial(&app).await, dial(&app).await);
    half.write_all(PROBE).await.unwrap();
    assert!(answer(&mut half).await.contains("200 OK"));
    half.write_all(b"GET /health/live HT").await.unwrap();

    let (mut read, mut write) = slow.into_split();
    let trickle = tokio::spawn(async move {
        write.write_all(PROBE).await.unwrap();
        while write.write_all(b"G").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    let (took, _) = tokio::join!(closed(&mut half), async {
        let mut bytes = [0; 4096];
        while read.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
    });
    tokio::time::timeout(Duration::from_secs(5), trickle).await.expect("it was cut, too").unwrap();

    assert!((9_000..15_000).contains(&took.as_millis()), "took {took:?}");
}

#[tokio::test]
async fn who_goes_on_with_a_body_that_was_refused_is_cut() {
    let app = TestApp::start().await;
    let (mut read, mut write) = dial(&app).await.into_split();
    write.write_all(b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    let began = Instant::now();
    let chunks = tokio::spawn(async move {
        while write.write_all(b"1\r\nx\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let mut bytes = [0; 4096];
    while read.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
    tokio::time::timeout(Duration::from_secs(15), chunks).await.expect("it was cut").unwrap();

    assert!(began.elapsed() < Duration::from_secs(12), "took {:?}", began.elapsed());
}

#[rstest]
#[case::that_fits(15_000, "200 OK")]
#[case::that_is_too_large(17_000, "431 ")]
#[tokio::test]
async fn a_head_has_sixteen_kibibytes(#[case] length: usize, #[case] status: &str) {
    let app = TestApp::start().await;
    let mut socket = dial(&app).await;
    let head = format!("GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "x".repeat(length));
    let _ = socket.write_all(head.as_bytes()).await;

    let answer = answer(&mut socket).await;

    assert!(answer.contains(status), "{answer}");
}

#[tokio::test]
async fn requests_that_come_without_waiting_are_answered_in_turn() {
    let app = TestApp::start().await;
    let mut socket = dial(&app).await;
    socket.write_all(&PROBE.repeat(20)).await.unwrap();

    for _ in 0..20 {
        assert!(answer(&mut socket).await.contains("200 OK"));
    }
}

#[tokio::test]
async fn a_crowd_that_says_nothing_keeps_no_probe_out() {
    let app = limited(Limits { sockets: 4, unknown: 8, ..Limits::default() }).await;
    // One that has to make room at once may not even see that it was connected.
    let dialled = futures_util::future::join_all((0..100).map(|_| TcpStream::connect(app.address))).await;
    let mut silent: Vec<TcpStream> = dialled.into_iter().flatten().collect();
    // All but the last of them have to make room.
    let most = silent.len() - 10;
    futures_util::future::join_all(silent.iter_mut().take(most).map(closed)).await;

    let mut probe = dial(&app).await;
    probe.write_all(PROBE).await.unwrap();

    assert!(answer(&mut probe).await.contains("200 OK"));
}

#[tokio::test]
async fn when_all_places_are_taken_a_probe_is_answered_and_its_socket_closed() {
    let app = limited(Limits { sockets: 2, unknown: 8, ..Limits::default() }).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut socket = dial(&app).await;
        socket.write_all(PROBE).await.unwrap();
        assert!(answer(&mut socket).await.contains("200 OK"));
        held.push(socket);
    }

    let mut probe = dial(&app).await;
    probe.write_all(PROBE).await.unwrap();
    let answered = answer(&mut probe).await.to_lowercase();

    assert!(answered.contains("200 ok") && answered.contains("connection: close"), "{answered}");
    assert!(closed(&mut probe).await < Duration::from_secs(2));
    let refused = Socket::from(&app, LIVE_KEY, None).await.err();
    assert_eq!(refused, Some(503), "a WebSocket would hold a place");
}

#[tokio::test]
async fn a_frame_that_claims_more_than_it_may_is_refused_by_its_header() {
    let app = TestApp::start().await;
    let mut ann = Socket::connect(&app, &format!("{LIVE_KEY}&clientId=ann")).await;
    assert_eq!(ann.next().await["action"], 4);

    ann.send_bytes(&[0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]).await;

    assert_eq!(ann.close_code().await, Some(1009));
}

#[rstest]
#[case::another_path("GET", "/rooms")]
#[case::another_method("POST", "/")]
#[case::a_tunnel("CONNECT", "evil.example:443")]
#[tokio::test]
async fn nothing_but_a_web_socket_at_the_root_is_upgraded(#[case] method: &str, #[case] target: &str) {
    let app = TestApp::start().await;
    let mut socket = dial(&app).await;
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();

    let answer = answer(&mut socket).await;

    assert!(answer.contains("400 Bad Request"), "{answer}");
    assert!(closed(&mut socket).await < Duration::from_secs(3));
}

#[tokio::test]
async fn answers_that_nobody_reads_are_made_one_at_a_time() {
    let app = TestApp::start().await;
    let mut socket = dial(&app).await;
    let document = b"GET /openapi.yaml HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(300);
    socket.write_all(&document).await.unwrap();

    let began = Instant::now();
    let mut bytes = vec![0; 1 << 16];
    let mut read = 0;
    while read < 85_000 * 300 && began.elapsed() < Duration::from_secs(20) {
        read += socket.read(&mut bytes).await.unwrap();
    }

    assert!(read >= 85_000 * 300, "all are answered once they are read: {read}");
}

#[tokio::test]
async fn a_body_and_what_follows_it_in_one_piece_are_told_apart() {
    let app = TestApp::start().await;
    let bodies: [&[u8]; 3] = [
        b"Content-Length: 2\r\n\r\n{}",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"Content-Length: 0\r\n\r\n",
    ];
    for body in bodies {
        let mut socket = dial(&app).await;
        let head = b"POST /keys/dev.primary/requestToken HTTP/1.1\r\nHost: localhost\r\n";
        let all = [b"\r\n", &[&head[..], body, PROBE].concat()[..]].concat();
        socket.write_all(&all).await.unwrap();

        let refused = answer(&mut socket).await;
        assert!(refused.contains(" 400 "), "{refused}");
        let probed = answer(&mut socket).await;
        assert!(probed.contains("200 OK"), "{probed}");
    }
}

#[tokio::test]
async fn a_head_that_comes_a_byte_at_a_time_is_read() {
    let app = TestApp::start().await;
    let mut socket = dial(&app).await;
    socket.set_nodelay(true).unwrap();
    for _ in 0..2 {
        for byte in PROBE {
            socket.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert!(answer(&mut socket).await.contains("200 OK"));
    }
}
