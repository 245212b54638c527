//! What the receiver saw.

use std::time::Instant;

use serde_json::Value;

/// One request, as it came.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its place among all requests, from 1.
    pub number: usize,
    /// When its last byte had come.
    pub at: Instant,
    /// The same by the machine's clock, in milliseconds since 1970.
    pub at_millis: i64,
    /// Which connection it came on, from 1.
    pub connection: usize,
    /// Its place among the requests of its connection, from 1.
    pub on_connection: usize,
    /// The method.
    pub method: String,
    /// The request target: path and query.
    pub path: String,
    /// Name and value of each header field, in the order and spelling of the sender.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
    /// The status code that the script answers with, if it answers with one.
    pub status: Option<u16>,
}

impl Recorded {
    /// The value of the header field of that name, in any case; it must be there at most once and be UTF-8.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = self.header_values(name);
        assert!(values.len() < 2, "{name} came {} times: {:?}", values.len(), self.headers);
        values.first().map(|value| std::str::from_utf8(value).unwrap())
    }

    /// The values of every header field of that name, in any case.
    pub fn header_values(&self, name: &str) -> Vec<&[u8]> {
        let same = |(known, _): &&(String, Vec<u8>)| known.eq_ignore_ascii_case(name);
        self.headers.iter().filter(same).map(|(_, value)| value.as_slice()).collect()
    }

    /// The body as text.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON: {error}: {self:?}"))
    }
}
