//! The command line: global options, the command tree, and the one match that dispatches.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::clock::Clock;
use crate::commands;
use crate::commands::candidates::Candidates;
use crate::commands::help::Help;
use crate::context::{Context, Exit};
use crate::error::Failure;
use crate::expressions;
use crate::jq::Expression;
use crate::output::{ColorChoice, Format, Output, help_width};
use crate::profile;
use crate::settings::{Settings, data_key};
use crate::store::{DataKey, use_key};
use lazily::Lazily;
use negative::with_negative_values;

mod lazily;
mod negative;
mod refusal;

/// Send and manage webhooks: one binary, one SQLite file, no service to run
#[derive(Debug, Parser)]
#[command(name = "hookctl", version, disable_help_subcommand = true, next_help_heading = "Global options")]
#[command(after_long_help = include_str!("cli/reference.txt"))]
pub struct Cli {
    /// The SQLite file, made on first use by commands that write [default: $XDG_DATA_HOME/hookctl/hookctl.db]; or a PostgreSQL
    /// database, postgres://user@host/database
    #[arg(long, value_name = "PATH|URL", env = "HOOKCTL_DB", hide_env_values = true, global = true)]
    db: Option<PathBuf>,
    #[arg(skip)]
    is_database_argument: bool,
    /// Take options that are not given from this section of $XDG_CONFIG_HOME/hookctl/config.toml: db, output, owner (of
    /// webhooks that are created), color, allow_networks, proxy, key_file, outbox
    #[arg(short, long, value_name = "PROFILE", env = "HOOKCTL_PROFILE", hide_env_values = true, global = true, add = Candidates::Profiles)]
    profile: Option<String>,
    /// Format of the data on stdout [default: table]
    #[arg(short, long, value_name = "FORMAT", env = "HOOKCTL_OUTPUT", hide_env_values = true, global = true)]
    output: Option<Format>,
    /// Filter the JSON output by this jq expression: one result a line, strings without quotes
    #[arg(long, value_name = "EXPR", global = true)]
    jq: Option<String>,
    /// When to use colour [default: auto] [env: NO_COLOR, CLICOLOR_FORCE]
    #[arg(long, value_name = "WHEN", global = true)]
    color: Option<ColorChoice>,
    /// No notices and no progress, for cron; errors, rejected lines and the creation of a database are still reported
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Log each attempt on stderr; twice: also claims, look-ups, connections [env: HOOKCTL_LOG, HOOKCTL_LOG_FORMAT]
    #[arg(short, long, action = ArgAction::Count, global = true)]
    verbose: u8,
    /// Refuse every command that writes or shows a secret, and open the file read-only
    #[arg(long, env = "HOOKCTL_READ_ONLY", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new(), global = true)]
    read_only: bool,
    /// Answer yes to the question that destructive commands ask
    #[arg(short, long, global = true)]
    yes: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create, change, test and remove webhooks
    #[command(subcommand)]
    Webhook(Lazily<commands::webhook::Command>),
    Emit(Lazily<commands::emit::Emit>),
    /// Look at events, and send one again
    #[command(subcommand)]
    Event(Lazily<commands::event::Command>),
    /// The catalogue of event types
    #[command(subcommand)]
    EventType(Lazily<commands::event_type::Command>),
    /// Take in events that applications write (transactional outbox)
    #[command(subcommand)]
    Outbox(Lazily<commands::outbox::Command>),
    Drain(Lazily<commands::drain::Drain>),
    /// The delivery log: list, show, retry, cancel
    #[command(subcommand)]
    Delivery(Lazily<commands::delivery::Command>),
    Listen(Lazily<commands::listen::Listen>),
    Replay(Lazily<Box<commands::replay::Replay>>),
    Probe(Lazily<Box<commands::probe::Probe>>),
    Demo(Lazily<commands::demo::Demo>),
    Sign(Lazily<commands::sign::Sign>),
    Verify(Lazily<Box<commands::verify::Verify>>),
    Schemes(Lazily<commands::schemes::Schemes>),
    /// Inspect, check, copy, back up and encrypt the database
    #[command(subcommand)]
    Db(Lazily<commands::db::Command>),
    Status(Lazily<commands::status::Status>),
    Stats(Lazily<commands::stats::Stats>),
    Check(Lazily<commands::check::Check>),
    Metrics(Lazily<commands::metrics::Metrics>),
    Export(Lazily<commands::export::Export>),
    Apply(Lazily<commands::apply::Apply>),
    Completions(Lazily<commands::completions::Completions>),
    Man(Lazily<commands::man::Man>),
    Help(Lazily<commands::help::Help>),
    #[command(hide = true)]
    Complete(Lazily<commands::complete::Complete>),
}

impl Command {
    fn run(self, context: &mut Context) -> Result<Exit> {
        macro_rules! run {
            ($($variant:ident),+; with the tree: $($reader:ident),+) => {
                match self {
                    $(Command::$variant(Lazily(command)) => command.run(context).map(Into::into),)+
                    $(Command::$reader(Lazily(command)) => command.run(context, command_tree()).map(Into::into),)+
                }
            };
        }
        run!(
            Webhook, Emit, Event, EventType, Outbox, Drain, Delivery, Listen, Replay, Probe, Demo, Sign, Verify, Schemes,
            Db, Status, Stats, Check, Metrics, Export, Apply, Completions;
            with the tree: Man, Help, Complete
        )
    }
}

/// Every command with its options, for help, completions and pages; help fits the terminal.
pub fn command_tree() -> clap::Command {
    with_negative_values(lazily::whole(Cli::command)).term_width(help_width())
}

fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let parse = |mut tree: clap::Command| {
        let parsed = tree.try_get_matches_from_mut(arguments);
        // Dropping the tree takes time, and the process ends soon.
        std::mem::forget(tree);
        parsed.and_then(|mut matches| {
            let is_database_argument = matches.value_source("db") == Some(ValueSource::CommandLine);
            Cli::from_arg_matches_mut(&mut matches).map(|cli| Cli { is_database_argument, ..cli })
        })
    };
    match parse(with_negative_values(lazily::for_line(&Cli::command(), arguments))) {
        // Errors and help are written from the whole tree.
        Err(error) if error.kind() != ErrorKind::DisplayVersion => parse(command_tree()),
        parsed => parsed,
    }
}

/// Parses, runs and reports; the exit code.
pub fn run(arguments: Vec<OsString>) -> u8 {
    crate::process::forbid_dumps();
    crate::process::survive_size_limit();
    if arguments.get(1).is_some_and(|argument| argument == expressions::COMMAND) {
        return expressions::serve();
    }
    let parsed = parse(&arguments);
    let settings = Settings::from_environment();
    match (parsed, settings) {
        (Ok(mut cli), Ok(mut settings)) => match cli.prepare(&mut settings) {
            Ok(jq) => cli.run(settings, jq),
            Err(failure) => cli.refused(&settings, &failure),
        },
        (Err(error), settings) => refuse(&error, &arguments, &settings.unwrap_or_default()),
        (Ok(cli), Err(failure)) => cli.refused(&Settings::default(), &failure),
    }
}

impl Cli {
    /// Fills in what the profile says, and reads the expression of --jq, whose data is JSON.
    fn prepare(&mut self, settings: &mut Settings) -> Result<Option<Expression>, Failure> {
        if let Some(name) = &self.profile {
            let profile = profile::read(name, settings.config_file.as_deref(), settings.home.as_deref())?;
            self.db = self.db.take().or_else(|| profile.db.clone());
            self.output = self.output.or(profile.output);
            let is_color_set = settings.no_color || settings.clicolor_force;
            self.color = self.color.or(profile.color.filter(|_| !is_color_set));
            settings.fill_in(profile);
        }
        use_key(data_key(settings.key_file.as_deref()).map(|key| key.map(DataKey::new)));
        let Some(text) = &self.jq else { return Ok(None) };
        let expression = Expression::parse(text).map_err(|error| Failure::option("--jq", error))?;
        if self.output != Some(Format::Jsonl) {
            self.output = Some(Format::Json);
        }
        Ok(Some(expression))
    }

    /// Reports a command line or a setting that is wrong.
    fn refused(&self, settings: &Settings, failure: &Failure) -> u8 {
        let mut out = self.output(settings);
        match self.command {
            Some(Command::Check(_)) => commands::check::refused(&mut out, failure),
            _ => report(&mut out, failure),
        }
    }

    fn run(self, settings: Settings, jq: Option<Expression>) -> u8 {
        let clock = Clock::new(settings.now);
        let mut out = self.output(&settings);
        out.start_log();
        if let Some(expression) = jq {
            out.filter_by(expression);
        }
        let Cli { db, is_database_argument, read_only, yes, command, .. } = self;
        let mut context = Context {
            out,
            settings,
            clock,
            database: db,
            is_database_argument,
            is_read_only: read_only,
            is_yes: yes,
            reported: None,
        };
        let done = match command {
            Some(command) => command.run(&mut context),
            None => Help::overview().run(&mut context, command_tree()).map(Into::into),
        };
        let done = done.and_then(|exit| context.out.flush().map(|()| exit));
        let trips = crate::store::round_trips();
        if trips > 0 {
            context.out.diagnostic(2, &format!("round trips to the database server: {trips}"));
        }
        match done {
            Ok(exit) => exit.code(),
            Err(error) => match Failure::of(&error) {
                Some(failure) => {
                    // What was written before the failure is still owed to the reader.
                    let _ = context.out.flush();
                    report(&mut context.out, &failure)
                }
                None => 0,
            },
        }
    }

    fn output(&self, settings: &Settings) -> Output {
        Output::new(crate::output::Settings {
            format: self.output.unwrap_or_default(),
            color: self.color.unwrap_or_default(),
            no_color: settings.no_color,
            clicolor_force: settings.clicolor_force,
            quiet: self.quiet,
            verbose: self.verbose.max(settings.verbose.unwrap_or_default()),
            logs_json: settings.logs_json,
            clock: Clock::new(settings.now),
        })
    }
}

fn report(out: &mut Output, failure: &Failure) -> u8 {
    out.error(failure);
    failure.kind.exit().code()
}

/// What clap has to say: help and version as they are, errors as one line in the form of all others.
fn refuse(error: &clap::Error, arguments: &[OsString], settings: &Settings) -> u8 {
    let is_json = refusal::wants_json(arguments, settings.output.as_deref());
    let mut out = Output::new(crate::output::Settings {
        format: if is_json { Format::Json } else { Format::Table },
        color: ColorChoice::Auto,
        no_color: settings.no_color,
        clicolor_force: settings.clicolor_force,
        quiet: false,
        // Where the log is JSON, so is this: `-v` may be among the arguments, which were not read.
        verbose: 1,
        logs_json: settings.logs_json,
        clock: Clock::new(settings.now),
    });
    if !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let tree = command_tree();
        let failure = refusal::failure(error, &tree, arguments);
        return match refusal::commands(&tree, arguments).first().map(String::as_str) {
            Some("check") => commands::check::refused(&mut out, &failure),
            _ => report(&mut out, &failure),
        };
    }
    let done = out.bytes(error.render().to_string().as_bytes()).and_then(|()| out.flush());
    match done.as_ref().map_err(Failure::of) {
        Ok(()) | Err(None) => 0,
        Err(Some(failure)) => report(&mut out, &failure),
    }
}
