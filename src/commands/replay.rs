//! `hookctl replay`

mod edit;
mod source;
mod view;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;

use self::edit::{Edits, Prepared, Resigning};
use self::source::Source;
use self::view::{Answered, Planned};
use super::arguments;
use super::reach;
use super::signature_options::SignatureOptions;
use crate::clock::Clock;
use crate::context::{Context, Exit};
use crate::domain::recording::Recording;
use crate::http::Direct;
use crate::jq::Expression;
use crate::signals::Stop;

/// Send recorded requests again
///
/// The requests that `listen --record` wrote are sent in order, byte for byte: each FILE, and the files *.http of
/// each DIR by name. They go to where they were recorded, or to --to. Headers that are masked in a recording are left
/// out. If a recording was edited, its length is corrected, but its signature only with --resign.
///
/// A recording whose body is not JSON cannot be edited with --set: it is refused, and the others go.
#[derive(Args, Debug)]
#[command(
    mut_arg("webhook", |arg| arg.help("Sign with the secrets and schemes of this webhook")),
    mut_arg("url", |arg| arg.help("The URL that is signed, where the scheme signs it (square, hubspot-v3) [default: the webhook's, else where the request goes]")),
    mut_arg("method", |arg| arg.help("The method that is signed, where the scheme signs it (hubspot-v3) [default: the recorded one]")),
    after_help = "Examples:
  hookctl replay requests --dry-run
  hookctl replay requests/000007.http --to http://localhost:3000
  hookctl replay requests --to http://localhost:3000/hooks --resign -w crm
  hookctl replay requests --set '.data.amount = \"0.00\"' \\
      --resign --scheme github --secret-env SECRET
  hookctl replay requests --delay original -o jsonl

Exit status:
  0         every answer was a 2xx; with --dry-run, every request can go
  5         not every answer was a 2xx, or a recording was refused
  130, 143  stopped by Ctrl-C or SIGTERM"
)]
pub struct Replay {
    /// Recordings, and folders of them
    #[arg(value_name = "DIR|FILE", required = true)]
    recordings: Vec<String>,
    /// Where to: with a path exactly that URL, without one the recorded path is kept [default: where it was recorded]
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Edit the JSON body by a jq expression, whose one result is the new body [repeatable]
    #[arg(long, value_name = "JQ", value_parser = Expression::parse)]
    set: Vec<Expression>,
    /// Sign again, with the current time
    #[arg(long)]
    resign: bool,
    #[command(flatten)]
    signature: SignatureOptions,
    /// How long to wait between requests: a duration, or original for the recorded pauses
    #[arg(long, value_name = "original|DURATION", default_value = "0", value_parser = delay)]
    delay: Delay,
    /// Let requests leave this machine
    #[arg(long)]
    allow_remote: bool,
    /// Print what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delay {
    Original,
    Each(Duration),
}

/// How often a wait checks whether it was asked to stop.
const STOP_POLL: Duration = Duration::from_millis(50);

impl Replay {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        let sources = source::find(&self.recordings)?;
        let edits = self.edits(context)?;
        let direct = reach::direct(context, self.allow_remote);
        // All are checked before the first one is sent.
        for source in &sources {
            let recording = source.read()?;
            edits.destination(&source.shown(), &recording, &direct)?;
        }
        let stop = context.stop_on_signals()?;
        let mut sending = Sending {
            edits,
            direct,
            delay: self.delay,
            stop,
            clock: context.clock,
            began: None,
            counts: Counts::default(),
        };
        if self.dry_run {
            let plans = sources.iter().map(|source| sending.plan(source));
            context.out.pages(plans)?;
        } else {
            let answers = sources.iter().map_while(|source| sending.send(source));
            context.out.follow_to_end(answers)?;
        }
        let Counts { good, bad, refused } = sending.counts;
        if !self.dry_run {
            let asked = sources.len();
            context.out.summary(&format!("{asked} recorded: {good} answered 2xx, {bad} not, {refused} refused"));
        }
        Ok(match sending.stop.exit() {
            Some(exit) if good + bad + refused < sources.len() => exit,
            _ if bad + refused == 0 => Exit::DONE,
            _ => Exit::NOT_DELIVERED,
        })
    }

    fn edits(&self, context: &mut Context) -> Result<Edits> {
        let to = self.to.as_deref().map(|url| reach::url("--to", url)).transpose()?;
        if self.resign {
            let resigning = Some(Resigning::new(context, &self.signature)?);
            return Ok(Edits { to, set: self.set.clone(), resigning });
        }
        self.signature.refuse_without("--resign", "sign the requests anew")?;
        if !self.set.is_empty() {
            context.out.notice("the recorded signatures are of the body as it was; --resign signs what is sent");
        }
        Ok(Edits { to, set: self.set.clone(), resigning: None })
    }
}

/// How many recordings had which result.
#[derive(Default)]
struct Counts {
    good: usize,
    bad: usize,
    refused: usize,
}

struct Sending {
    edits: Edits,
    direct: Direct,
    delay: Delay,
    stop: Stop,
    clock: Clock,
    /// When the first was sent, and when it had been received, in milliseconds since 1970.
    began: Option<(Instant, i64)>,
    counts: Counts,
}

impl Sending {
    fn plan(&mut self, source: &Source) -> Result<Planned> {
        let recording = source.read()?;
        let prepared = self.edits.prepare(&source.shown(), recording, &self.direct, self.clock.now())?;
        match &prepared {
            Ok(_) => self.counts.good += 1,
            Err(_) => self.counts.refused += 1,
        }
        Ok(Planned::new(source.shown(), prepared))
    }

    /// `None` once the program was asked to stop.
    fn send(&mut self, source: &Source) -> Option<Result<Answered>> {
        let sent = source.read().map_err(Into::into).and_then(|recording| {
            let received = recording.received.millis();
            match self.wait(received) {
                false => Ok(None),
                true => self.exchange(source, recording).map(Some),
            }
        });
        sent.transpose()
    }

    fn exchange(&mut self, source: &Source, recording: Recording) -> Result<Answered> {
        let prepared = match self.edits.prepare(&source.shown(), recording, &self.direct, self.clock.now())? {
            Ok(prepared) => prepared,
            Err(refused) => {
                self.counts.refused += 1;
                return Ok(Answered::refused(source.shown(), refused));
            }
        };
        let Prepared { url, wire, request, .. } = &prepared;
        let started = Instant::now();
        let answer = self.direct.send(url, wire, &request.method);
        let answered = Answered::new(source.shown(), prepared, answer, started.elapsed());
        match answered.is_good() {
            true => self.counts.good += 1,
            false => self.counts.bad += 1,
        }
        Ok(answered)
    }

    /// Waits until it is time to send a request that was received at `received`; false if the program was asked to stop.
    fn wait(&mut self, received: i64) -> bool {
        let now = Instant::now();
        let due = match (self.began, self.delay) {
            (None, _) => now,
            (Some(_), Delay::Each(pause)) => now + pause,
            (Some((began, first)), Delay::Original) => {
                began + Duration::from_millis(u64::try_from(received - first).unwrap_or(0))
            }
        };
        self.began.get_or_insert((now, received));
        while !self.stop.is_asked() {
            match due.saturating_duration_since(Instant::now()) {
                left if left.is_zero() => return true,
                left => thread::sleep(left.min(STOP_POLL)),
            }
        }
        false
    }
}

fn delay(text: &str) -> Result<Delay, String> {
    match text {
        "original" => Ok(Delay::Original),
        _ => arguments::duration(text).map(Delay::Each).map_err(|error| format!("{error}; or original")),
    }
}
