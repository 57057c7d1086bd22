//! What backends ask for most, signed: a get, and a create that is different each time.

use uuid::Uuid;

use crate::signing::Signer;

pub const VERSION: &str = "api-version=2025-03-13";

pub fn get(signer: &Signer, room: i64) -> (&'static str, Vec<u8>) {
    ("get", signer.request("GET", &format!("/rooms/{room}?{VERSION}"), "", ""))
}

/// A room with three participants, that can be asked for again.
pub fn create(signer: &Signer) -> (&'static str, Vec<u8>) {
    let [ann, bob, cid] = [(); 3].map(|()| user());
    let body = format!(r#"{{"participants":{{"{ann}":{{"role":"Presenter"}},"{bob}":{{}},"{cid}":{{}}}}}}"#);
    let headers = format!(
        "Repeatability-Request-ID: {}\r\nRepeatability-First-Sent: {}\r\nContent-Type: application/json\r\n",
        Uuid::new_v4(),
        signer.date
    );
    ("create", signer.request("POST", &format!("/rooms?{VERSION}"), &headers, &body))
}

fn user() -> String {
    format!("8:acs:11111111-2222-3333-4444-555555555555_{}", Uuid::new_v4())
}
