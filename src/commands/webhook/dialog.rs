//! The dialog of `webhook create`: asks for missing values, and shows the command that needs no questions.

use anyhow::Result;

use super::addresses;
use super::change::Change;
use super::signing::{default_schemes, secrets_for};
use crate::commands::secret_source::SecretSource;
use crate::context::Context;
use crate::domain::secret::{MASKED, Secret};
use crate::domain::signature::{Scheme, schemes};
use crate::domain::target_url;
use crate::domain::webhook::{Settings, masked};
use crate::error::{Failure, Kind};
use crate::output::Prompt;
use crate::store::EventTypeRow;

const EVENT_TYPES: &str = "Event types";
const SIGNATURE: &str = "Signature scheme";

/// The values of the command line, to be completed.
pub struct Draft {
    pub name: Option<String>,
    pub change: Change,
    /// `--no-secret`.
    pub is_unsigned: bool,
}

/// Asks for missing values. Answers are checked like options; given values are checked before the first question.
pub fn ask(mut draft: Draft, secret: &SecretSource, context: &mut Context, prompt: &Prompt) -> Result<Draft> {
    let mut settings = Settings::default();
    draft.change.apply(&mut settings)?;
    let secret = secret.read()?;
    let mut answers = Vec::new();
    let mut asked_name = None;
    if let Some(name) = &draft.name {
        free_name(context, name)?;
    } else {
        let name = prompt.text("Name", |text| free_name(context, text))?;
        asked_name = Some(name.clone());
        draft.name = Some(name);
    }
    ask_for_url(&mut draft, &mut answers, context, &mut settings, prompt)?;
    if draft.change.events.is_none() {
        let events = event_types(context, prompt)?;
        answers.extend(["-e".to_owned(), events.join(",")]);
        draft.change.events = Some(events);
    }
    if draft.change.signature_schemes.is_none() && !draft.is_unsigned && !settings.shape.is_chat() {
        let arguments = signature(prompt, &settings, secret)?;
        match arguments.as_slice() {
            [_, scheme] => draft.change.signature_schemes = Some(vec![scheme.clone()]),
            [_] => draft.is_unsigned = true,
            _ => {}
        }
        answers.extend(arguments);
    }
    prompt.line("The same without questions:")?;
    prompt.line(&format!("  {}", command_line(asked_name, answers)))?;
    if !context.is_yes && !prompt.confirm("Create it?", true)? {
        return Err(Failure::invalid("not done: the answer was no").into());
    }
    Ok(draft)
}

fn free_name(context: &mut Context, text: &str) -> Result<String> {
    Settings::default().set_name(text)?;
    match context.store_to_read()?.find_webhook(text)? {
        Some(_) => Err(Failure::new(Kind::Conflict, format!("NAME: there is a webhook '{text}' already")).into()),
        None => Ok(text.to_owned()),
    }
}

/// Asks for the URL if none was given, and whether to allow a private address.
fn ask_for_url(
    draft: &mut Draft,
    answers: &mut Vec<String>,
    context: &Context,
    settings: &mut Settings,
    prompt: &Prompt,
) -> Result<()> {
    let is_given = draft.change.has_url();
    let show = if settings.shape.is_chat() { masked_url } else { str::to_owned };
    loop {
        let (url, is_private) = match is_given {
            true => reachable_url(context, settings, &settings.url)?,
            false => prompt.text_shown("URL", show, |text| reachable_url(context, settings, text))?,
        };
        if is_private {
            if !prompt.confirm("It leads to a private address. Allow private addresses for this webhook?", false)? {
                if is_given {
                    settings.set_url(&url)?;
                    addresses::check(context, settings)?;
                }
                continue;
            }
            answers.push("--allow-private".to_owned());
            draft.change.allow_private = Some(true);
            settings.addresses.allow_private = true;
        }
        if !is_given {
            // The URL of a chat is a credential, which must not be an argument.
            answers.extend(match settings.shape.is_chat() {
                true => ["--secret-url-file".to_owned(), "FILE".to_owned()],
                false => ["--url".to_owned(), url.clone()],
            });
            draft.change.url = Some(url);
        }
        return Ok(());
    }
}

fn masked_url(url: &str) -> String {
    target_url::parse(url).map_or_else(|_| MASKED.to_owned(), |url| masked::secret_url(&url))
}

/// A URL that may be called, and whether this needs --allow-private.
fn reachable_url(context: &Context, settings: &Settings, text: &str) -> Result<(String, bool)> {
    let mut settings = settings.clone();
    settings.set_url(text)?;
    settings.check()?;
    let Err(refused) = addresses::check(context, &settings) else { return Ok((text.to_owned(), false)) };
    settings.addresses.allow_private = true;
    match addresses::check(context, &settings) {
        Ok(()) => Ok((text.to_owned(), true)),
        Err(_) => Err(refused.into()),
    }
}

/// Checked patterns without duplicates.
fn checked_patterns(patterns: &[String]) -> Result<Vec<String>> {
    let mut settings = Settings::default();
    settings.set_events(patterns)?;
    Ok(settings.events)
}

fn event_types(context: &mut Context, prompt: &Prompt) -> Result<Vec<String>> {
    let mut known = context.store_to_read()?.event_types()?;
    // The user's own first; the sort is stable.
    known.sort_by_key(|known| known.is_builtin);
    let width = known.iter().map(|known| known.name.chars().count()).max().unwrap_or(0);
    let line = |name: &str, description: &str| format!("{name:width$}  {description}");
    let mut choices = vec![line("*", "Every event, of any type")];
    choices.extend(known.iter().map(|EventTypeRow { name, description, .. }| line(name, description)));
    let chosen = prompt.choose_some("Event types (space marks, enter goes on)", &choices)?;
    if chosen.first() == Some(&0) {
        prompt.keep(EVENT_TYPES, "*")?;
        return Ok(vec!["*".to_owned()]);
    }
    let mut events: Vec<String> = chosen.into_iter().map(|index| known[index - 1].name.clone()).collect();
    let mut label = "Event types or patterns, such as invoice.*,task.created";
    if !events.is_empty() {
        prompt.keep(EVENT_TYPES, &events.join(", "))?;
        label = "More, such as invoice.* (enter for none)";
    }
    let more = prompt.text(label, |text| match text {
        "" if !events.is_empty() => Ok(Vec::new()),
        text => {
            let patterns: Vec<String> = text.split(',').map(|pattern| pattern.trim().to_owned()).collect();
            checked_patterns(&[events.as_slice(), &patterns].concat())?;
            Ok(patterns)
        }
    })?;
    events.extend(more);
    checked_patterns(&events)
}

/// The chosen scheme as arguments; `given` is a secret that was given.
fn signature(prompt: &Prompt, settings: &Settings, given: Option<Secret>) -> Result<Vec<String>> {
    let fits = |scheme: &&Scheme| {
        let signature_schemes = vec![scheme.name.to_owned()];
        let given = given.clone().map(|secret| (secret, None));
        secrets_for(&signature_schemes, given, &[], "--signature").is_ok()
            && Settings { signature_schemes, ..settings.clone() }.check().is_ok()
    };
    let line = |name: &str, title: &str| format!("{name:<12} {title}");
    let usual = default_schemes(given.as_ref()).join(", ");
    // Each choice with its arguments.
    let mut choices = vec![(format!("{usual} (the default)"), vec![])];
    for scheme in schemes::ALL.iter().filter(fits) {
        choices.push((line(scheme.name, scheme.title), vec!["--signature", scheme.name]));
    }
    if given.is_none() {
        choices.push((line("none", "Requests are not signed"), vec!["--no-secret"]));
    }
    let lines: Vec<String> = choices.iter().map(|(line, _)| line.clone()).collect();
    let (line, arguments) = choices.swap_remove(prompt.choose_one(SIGNATURE, &lines)?);
    prompt.keep(SIGNATURE, &line)?;
    Ok(arguments.into_iter().map(str::to_owned).collect())
}

/// The command line with the answers added as arguments, quoted for a shell.
fn command_line(name: Option<String>, options: Vec<String>) -> String {
    let mut words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let end_of_options = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let rest = words.split_off(end_of_options);
    match name {
        // It would be parsed as an option.
        Some(name) if name.starts_with('-') => words.extend(options.into_iter().chain(["--".to_owned(), name])),
        name => words.extend(name.into_iter().chain(options).chain(rest)),
    }
    format!("hookctl {}", shell_words::join(words))
}
