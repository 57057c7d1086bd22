//! Why a WebSocket is closed (docs/live-connections.md, Close codes).

use rstest::rstest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::support::*;

async fn connected(app: &TestApp) -> Socket {
    let mut socket = Socket::connect(app, &format!("{LIVE_KEY}&clientId=ann")).await;
    assert_eq!(socket.next().await["action"], 4);
    socket
}

#[rstest]
#[case::normal(1000)]
#[case::a_page_that_is_left(1001)]
#[case::of_the_application(4321)]
#[tokio::test]
async fn a_client_that_closes_hears_its_own_code(#[case] code: u16) {
    let app = TestApp::start().await;
    let mut ann = connected(&app).await;

    ann.close(Some(CloseFrame { code: CloseCode::from(code), reason: "".into() })).await;

    assert_eq!(ann.close_code().await, Some(code));
}

#[tokio::test]
async fn an_orderly_end_is_normal() {
    let app = TestApp::start().await;
    let mut ann = connected(&app).await;

    ann.send(json!({ "action": 7 })).await;

    assert_eq!((ann.next().await["action"].as_u64(), ann.close_code().await), (Some(8), Some(1000)));
}

#[tokio::test]
async fn a_service_that_stops_goes_away() {
    let app = TestApp::start().await;
    let mut ann = connected(&app).await;

    app.hub.stop();

    assert_eq!((kind(&ann.next().await), ann.close_code().await), ((6, 50003), Some(1001)));
}

/// A frame with the FIN bit, masked by zeros.
fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0x80 | opcode, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

#[rstest]
#[case::no_mask(vec![0x81, 0x02, b'{', b'}'], 1002)]
#[case::no_such_opcode(masked(3, b"x"), 1002)]
#[case::a_ping_that_is_too_long([&[0x89, 0xfe, 0, 200, 0, 0, 0, 0][..], &[0; 200]].concat(), 1002)]
#[case::a_text_that_is_none(masked(1, b"\xff\xfe"), 1007)]
#[case::no_frame(masked(1, b"nonsense"), 1007)]
#[case::too_large([&[0x81, 0xff, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0][..], &vec![b'x'; 9 << 16]].concat(), 1009)]
#[tokio::test]
async fn what_breaks_the_protocol_is_closed_with_the_reason(#[case] bytes: Vec<u8>, #[case] code: u16) {
    let app = TestApp::start().await;
    let mut ann = connected(&app).await;

    ann.send_bytes(&bytes).await;

    assert_eq!(ann.close_code().await, Some(code));
}

#[tokio::test]
async fn a_refused_credential_is_closed_by_policy() {
    let app = TestApp::start().await;
    let mut eve = Socket::connect(&app, "key=dev.primary:wrong").await;

    assert_eq!((kind(&eve.next().await), eve.close_code().await), ((9, 40101), Some(1008)));
}

#[tokio::test]
async fn a_service_that_can_not_tell_now_asks_to_come_again() {
    let app = TestApp::start().await;
    let (_, token) = user_token(&app).await;
    app.ctx.db.close(); // as good as away
    let mut ann = Socket::connect(&app, &format!("access_token={token}")).await;

    assert_eq!((kind(&ann.next().await), ann.close_code().await), ((6, 50003), Some(1013)));
}
