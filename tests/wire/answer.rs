//! An answer, read from the wire.

use actix_web::http::StatusCode;
use serde_json::Value;

#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: Vec<(String, String)>,
    /// Null for none.
    pub body: Value,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn read(wire: &[u8]) -> Self {
        let end = wire.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or_else(|| panic!("no answer: {wire:?}"));
        let head = std::str::from_utf8(&wire[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse::<StatusCode>().unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let bytes = wire[end + 4..].to_vec();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap_or(Value::Null) };
        Self { status, headers, body, bytes }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Status, code and message of a refusal, whose shape is checked on the way.
    pub fn error(&self) -> (u16, &str, &str) {
        let error = &self.body["error"];
        let code = error["code"].as_str().unwrap_or_else(|| panic!("no error body: {self:?}"));
        assert_eq!(self.header("x-ms-error-code"), Some(code));
        assert!(self.header("content-type").is_some_and(|kind| kind.starts_with("application/json")));
        (self.status.as_u16(), code, error["message"].as_str().unwrap())
    }

    /// The details of a refusal as pairs of target and message.
    pub fn details(&self) -> Vec<(&str, &str)> {
        let details = self.body["error"]["details"].as_array().map_or(&[][..], Vec::as_slice);
        details
            .iter()
            .map(|detail| {
                assert_eq!(detail["code"], "BadArgument");
                (detail["target"].as_str().unwrap(), detail["message"].as_str().unwrap())
            })
            .collect()
    }
}
