//! The steps of the tour and their texts.

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::scene::{Scene, Step};
use crate::domain::time::Timestamp;
use crate::output::{Cell, Meaning, Page, Text};
use crate::signals::Stop;

const EVENT: &str = "invoice-42-paid";
/// How far the clock is moved for the retry, in milliseconds: beyond the first delay of 60 s with jitter.
const LATER_MS: i64 = 120_000;

#[derive(Debug, Serialize)]
pub struct Tour {
    pub steps: Vec<Step>,
}

impl Page for Tour {
    fn describe(&self, text: &mut Text) {
        for (index, step) in self.steps.iter().enumerate() {
            if let Some(title) = step.title {
                if index > 0 {
                    text.blank();
                }
                text.heading(&format!("# {title}"));
            }
            text.line(Cell::new(format!("$ {}", step.command), Meaning::Id));
            text.block(&step.output);
        }
    }
}

/// Runs the parts in order, until the end or a signal.
pub fn play(scene: &mut Scene, now: Timestamp, stop: &Stop) -> Result<()> {
    let parts: [fn(&mut Scene, Timestamp) -> Result<()>; 5] =
        [receive_and_create, emit, fail_and_wait, retry, read_the_log];
    for part in parts {
        if stop.is_asked() {
            break;
        }
        match part(scene, now) {
            // Ctrl-C also reaches the running command, which then fails.
            Err(_) if stop.is_asked() => break,
            done => done?,
        }
    }
    Ok(())
}

fn receive_and_create(scene: &mut Scene, _: Timestamp) -> Result<()> {
    scene.part("Two receivers on this machine; the first one fails once");
    scene.enter();
    let crm = scene.listen(&["listen", "--respond", "500,200", "--count", "2"], "crm.log")?;
    let audit = scene.listen(&["listen", "--count", "1"], "audit.log")?;
    scene.part("A webhook for each: who wants which events");
    scene.run(&["webhook", "create", "crm", "--url", &crm, "-e", "invoice.*,payment.*", "--allow-private"], 0)?;
    scene.run(&["webhook", "create", "audit", "--url", &audit, "-e", "*", "--allow-private"], 0)?;
    scene.run(&["webhook", "list"], 0)?;
    Ok(())
}

fn emit(scene: &mut Scene, _: Timestamp) -> Result<()> {
    scene.part("Something happened: it is stored, signed and sent to both");
    let data = r#"{"amount":"12.50","currency":"EUR"}"#;
    scene.run(&["emit", "invoice.paid", "--event-id", EVENT, "--entity", "invoice:42", "--data", data], 0)?;
    Ok(())
}

fn fail_and_wait(scene: &mut Scene, _: Timestamp) -> Result<()> {
    scene.part("What failed waits for its retry; nothing is due yet");
    scene.run(&["delivery", "list", "--status", "retrying"], 0)?;
    scene.run(&["drain"], 0)?;
    Ok(())
}

fn retry(scene: &mut Scene, now: Timestamp) -> Result<()> {
    scene.part("Two minutes later");
    scene.move_clock(now.plus_millis(LATER_MS));
    scene.run(&["drain"], 0)?;
    scene.part("What the receiver saw: the same event twice, each time with a fresh standard signature");
    let log = scene.show_log("crm.log")?;
    let signature = log.lines().rev().find_map(|line| line.strip_prefix("x-webhook-signature: "));
    let signature = signature.context("the tour broke off: the request is not signed")?.to_owned();
    scene.part("The receiver's side: is this request ours?");
    scene.run_into(&["event", "show", EVENT, "--payload"], "body.json")?;
    let verify = ["verify", "-w", "crm", "--scheme", "timetracker", "--signature", &signature];
    scene.run(&[&verify[..], &["body.json"]].concat(), 0)?;
    Ok(())
}

fn read_the_log(scene: &mut Scene, _: Timestamp) -> Result<()> {
    scene.part("The log: every delivery, and every attempt with its answer");
    scene.run(&["delivery", "list"], 0)?;
    scene.run(&["delivery", "show", "1"], 0)?;
    Ok(())
}
