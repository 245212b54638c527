//! Forwarding of `listen`.

use crate::commands::reach;
use crate::context::Context;
use crate::domain::message::Message;
use crate::error::Failure;
use crate::receiver::{PassOn, PassedOn};

/// Forwards requests to exactly that URL; `port` is that of the listener itself.
pub fn to(context: &Context, url: &str, allow_remote: bool, port: u16) -> Result<Box<PassOn>, Failure> {
    let url = reach::url("--forward-to", url)?;
    let direct = reach::direct(context, allow_remote);
    let is_this_machine = reach::is_this_machine(&direct, "--forward-to", &url)?;
    if is_this_machine && url.port_or_known_default() == Some(port) {
        return Err(Failure::option("--forward-to", "this is the address of the listener itself"));
    }
    Ok(Box::new(move |request: &Message| {
        let mut request = Message { target: reach::path(&url), ..request.clone() };
        // Receivers on this machine get the original header; other servers select the site by it.
        if !is_this_machine {
            request.set("Host", &reach::authority(&url));
        }
        let bytes = request.wire().map_err(|error| error.to_string())?;
        let answer = direct.send(&url, &bytes, &request.method).map_err(|error| error.to_string())?;
        Ok(PassedOn { status: answer.status, answer: answer.bytes, ends: answer.ends })
    }))
}
