//! `hookctl sign`

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::arguments::{LONGEST_BODY, Moment, read_input};
use super::signature_options::{self, SignatureOptions};
use crate::context::Context;
use crate::domain::signature::{Message, Scheme};
use crate::domain::{event, members};
use crate::error::Failure;
use crate::output::{Page, Text};

/// Print the headers that sign a request
///
/// The body is read from FILE, or from stdin, and signed byte for byte. The headers come as `Name: value` lines, ready for
/// `curl -H @-`. With -w and without --scheme they are those of all the webhook's schemes, as a delivery would carry them,
/// during a rotation with the signatures of both secrets; with a bare secret the scheme is timetracker unless --scheme
/// names another.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl sign --scheme github --secret-env SECRET body.json
  hookctl sign -w crm body.json |
      curl -H @- --data-binary @body.json https://crm.example/hooks
  hookctl sign --scheme stripe --secret-file key.txt \\
      --timestamp 1700000000 -o json < body.json
  hookctl sign --scheme hmac --algorithm sha512 --encoding base64 \\
      --header X-Sig --secret-env SECRET body.json")]
pub struct Sign {
    /// The body; stdin when absent or -
    #[arg(value_name = "FILE")]
    file: Option<String>,
    #[command(flatten)]
    options: SignatureOptions,
    /// The message id, where the scheme has one (standard, svix) [default: a new one]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The time of signing, where the scheme has one: a time, seconds or milliseconds since 1970, or 2h for two hours ago
    /// [default: now]
    #[arg(long, value_name = "TIME", value_parser = signature_options::time, allow_negative_numbers = true)]
    timestamp: Option<Moment>,
}

impl Sign {
    pub fn run(self, context: &mut Context) -> Result<()> {
        if let Some(id) = &self.id {
            event::check_id(id).map_err(|error| Failure::option("--id", error))?;
        }
        let file = self.file.as_deref().unwrap_or("-");
        if file == "-" && self.options.reads_stdin() {
            return Err(signature_options::stdin_twice("--secret-stdin", "the secret", "the body").into());
        }
        let keyed = self.options.resolve(context)?;
        let missing = |what: fn(&Scheme) -> bool| keyed.schemes.iter().find(|scheme| what(scheme));
        if let (Some(scheme), None) = (missing(Scheme::needs_url), &keyed.url) {
            return Err(Failure::option("--url", format!("scheme {} signs the URL; give it", scheme.name)).into());
        }
        if let (Some(scheme), None) = (missing(Scheme::needs_method), &keyed.method) {
            return Err(Failure::option("--method", format!("scheme {} signs the method; give it", scheme.name)).into());
        }
        let signers = keyed.signers()?;
        let body = read_input("FILE", file, LONGEST_BODY)?;
        let now = context.now();
        let id = match &self.id {
            Some(id) => id.clone(),
            None => event::new_id(now, context.random()?.next_u128()),
        };
        let message = Message {
            id: &id,
            timestamp: self.timestamp.map_or(now, |moment| moment.resolve(now)),
            url: keyed.url.as_deref().unwrap_or_default(),
            method: keyed.method.as_deref().unwrap_or_default(),
            body: &body,
        };
        let headers = signers.iter().flat_map(|signer| signer.headers(&message));
        context.out.page(&SignView {
            scheme: keyed.schemes[0].name,
            schemes: keyed.schemes.iter().map(|scheme| scheme.name).collect(),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).collect(),
        })
    }
}

#[derive(Debug, Serialize)]
struct SignView {
    scheme: &'static str,
    schemes: Vec<&'static str>,
    #[serde(with = "members")]
    headers: Vec<(String, String)>,
}

impl Page for SignView {
    fn describe(&self, text: &mut Text) {
        for (name, value) in &self.headers {
            text.line(format!("{name}: {value}"));
        }
    }
}
