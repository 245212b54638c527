//! The view of replayed requests.

use std::time::Duration;

use serde::Serialize;

use super::edit::{Prepared, Refused};
use crate::commands::delivery::request::{Bytes, Pairs};
use crate::commands::listen::view;
use crate::commands::reach;
use crate::domain::recording::{MASKED, is_credential};
use crate::http::{DirectError, RawAnswer};
use crate::output::{Cell, Look, Page, Row, Text};

/// How much of an answer's body is shown, in bytes.
const BODY_SHOWN: usize = 64 * 1024;

/// One request that was sent or could not be.
#[derive(Debug, Serialize)]
pub struct Answered {
    file: String,
    method: String,
    url: String,
    /// Headers that were not recorded, and so not sent.
    left_out: Vec<String>,
    response_status_code: Option<u16>,
    duration_ms: Option<u64>,
    response_body: Option<Bytes>,
    error: Option<String>,
}

impl Answered {
    pub fn new(file: String, sent: Prepared, answer: Result<RawAnswer, DirectError>, took: Duration) -> Answered {
        let (answer, error) = match answer {
            Ok(answer) => (Some(answer), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Answered {
            file,
            url: reach::full_url(&sent.url, &sent.request.target),
            method: sent.request.method,
            left_out: sent.left_out,
            response_status_code: answer.as_ref().map(|answer| answer.status),
            duration_ms: Some(took.as_millis() as u64),
            response_body: answer.map(|mut answer| {
                answer.body.truncate(BODY_SHOWN);
                Bytes(answer.body)
            }),
            error,
        }
    }

    pub fn refused(file: String, refused: Refused) -> Answered {
        Answered {
            file,
            url: reach::full_url(&refused.url, &refused.request.target),
            method: refused.request.method,
            left_out: Vec::new(),
            response_status_code: None,
            duration_ms: None,
            response_body: None,
            error: Some(refused.reason),
        }
    }

    pub fn is_good(&self) -> bool {
        self.response_status_code.is_some_and(|status| (200..300).contains(&status))
    }
}

impl Row for Answered {
    const COLUMNS: &'static [&'static str] = &["file", "request", "answer", "time", "note"];
    const SPARE: &'static [&'static str] = &["time"];

    fn cells(&self, _: &Look) -> Vec<Cell> {
        let answer = match (self.response_status_code, self.duration_ms) {
            (Some(status), _) if self.is_good() => Cell::good(status.to_string()),
            (Some(status), _) => Cell::bad(status.to_string()),
            (None, Some(_)) => Cell::bad("none"),
            (None, None) => Cell::bad("refused"),
        };
        let left_out = (!self.left_out.is_empty()).then(|| format!("without {}", self.left_out.join(", ")));
        vec![
            Cell::plain(&self.file),
            Cell::plain(format!("{} {}", self.method, self.url)),
            answer,
            self.duration_ms.map_or_else(Cell::missing, |millis| Cell::number(format!("{millis} ms"))),
            self.error.clone().or(left_out).map_or_else(Cell::missing, Cell::plain),
        ]
    }
}

/// One request that would be sent.
#[derive(Debug, Serialize)]
pub struct Planned {
    file: String,
    method: String,
    url: String,
    left_out: Vec<String>,
    headers: Pairs,
    body: Bytes,
    error: Option<String>,
}

impl Planned {
    /// Masks recorded credentials and values that schemes sign with.
    pub fn new(file: String, prepared: Result<Prepared, Refused>) -> Planned {
        let (url, mut request, left_out, error) = match prepared {
            Ok(Prepared { url, request, left_out, .. }) => (url, request, left_out, None),
            Err(Refused { url, request, reason }) => (url, request, Vec::new(), Some(reason)),
        };
        request.overwrite(is_credential, MASKED);
        Planned {
            file,
            url: reach::full_url(&url, &request.target),
            headers: view::headers(&request),
            method: request.method,
            left_out,
            body: Bytes(request.body),
            error,
        }
    }
}

impl Page for Planned {
    fn describe(&self, text: &mut Text) {
        text.heading(&format!("{} {}", self.method, self.url));
        text.field("Recorded", self.file.as_str());
        if !self.left_out.is_empty() {
            text.field("Left out", self.left_out.join(", "));
        }
        text.optional("Refused", self.error.as_ref().map(Cell::bad));
        self.headers.describe(text);
        text.blank();
        view::body(text, &self.body.0);
    }
}

impl Row for Planned {
    const COLUMNS: &'static [&'static str] = &["file", "request", "note"];

    fn cells(&self, _: &Look) -> Vec<Cell> {
        let note = self.error.as_deref().map_or_else(Cell::missing, Cell::bad);
        vec![Cell::plain(&self.file), Cell::plain(format!("{} {}", self.method, self.url)), note]
    }
}
