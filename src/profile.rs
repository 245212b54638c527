//! Profiles: sections of `config.toml` that stand in for options and variables that were not given.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use ipnet::IpNet;
use serde::Deserialize;
use toml::Spanned;

use crate::domain::event_type::nearest;
use crate::domain::network::parse_networks;
use crate::domain::outbox_sources::sources;
use crate::domain::owner::Owner;
use crate::domain::proxy::ProxyLogin;
use crate::error::{Failure, Kind};
use crate::output::{ColorChoice, Format};

/// What a profile says; environment and options win.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    pub db: Option<PathBuf>,
    pub output: Option<Format>,
    pub owner: Option<Owner>,
    pub color: Option<ColorChoice>,
    pub networks: Option<Vec<IpNet>>,
    pub proxy: Option<ProxyLogin>,
    pub key_file: Option<PathBuf>,
    pub outboxes: Option<Vec<PathBuf>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    db: Option<Spanned<String>>,
    output: Option<Spanned<String>>,
    owner: Option<Spanned<String>>,
    color: Option<Spanned<String>>,
    allow_networks: Option<Spanned<Several>>,
    proxy: Option<Spanned<String>>,
    key_file: Option<Spanned<String>>,
    outbox: Option<Several>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a list, or a text with commas")]
enum Several {
    Text(String),
    List(Vec<String>),
}

/// A file is for people to write: no longer than this, in bytes.
const LONGEST: usize = 1024 * 1024;

/// Reads a profile of that file; `home` is what `~/` stands for.
pub fn read(name: &str, file: Option<&Path>, home: Option<&Path>) -> Result<Profile, Failure> {
    let Some(file) = file else {
        return Err(Failure::option("--profile", "no place for config.toml: neither XDG_CONFIG_HOME nor HOME is set"));
    };
    let failed = |error: std::io::Error| {
        Failure::option("--profile", format!("cannot read {}: {error}", file.display())).hint(format!(
            "a profile is a section of that file: [{name}], and in it db, output, owner, color, allow_networks, proxy, key_file, outbox"
        ))
    };
    let text = std::fs::read_to_string(file).map_err(failed)?;
    if text.len() > LONGEST {
        return Err(Failure::option("--profile", format!("{} has more than {LONGEST} bytes", file.display())));
    }
    parse(name, &text, home).map_err(|wrong| match wrong {
        Wrong::At { offset, reason } => {
            let line = text[..offset.min(text.len())].matches('\n').count() + 1;
            Failure::invalid(format!("{}:{line}: {reason}", file.display()))
        }
        Wrong::NoSuch { known } => {
            let failure = Failure::new(Kind::Invalid, format!("--profile: no profile '{name}' in {}", file.display()));
            match nearest(name, known.iter().map(String::as_str)) {
                Some(near) => failure.hint(format!("did you mean '{near}'?")),
                None => failure.hint(format!("it has {}", known.join(", "))),
            }
        }
    })
}

/// The names of the profiles in a file, for completion.
pub fn names(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    toml::from_str::<BTreeMap<String, toml::Value>>(&text).map(|all| all.into_keys().collect()).unwrap_or_default()
}

#[derive(Debug, PartialEq)]
enum Wrong {
    /// In bytes from the beginning of the file.
    At {
        offset: usize,
        reason: String,
    },
    NoSuch {
        known: Vec<String>,
    },
}

fn parse(name: &str, text: &str, home: Option<&Path>) -> Result<Profile, Wrong> {
    let sections = toml::from_str::<BTreeMap<String, Section>>(text);
    let mut sections = sections.map_err(|error| Wrong::At {
        offset: error.span().map_or(0, |span| span.start),
        reason: error.message().trim_end().replace('\n', " "),
    })?;
    let Some(section) = sections.remove(name) else {
        return Err(Wrong::NoSuch { known: sections.into_keys().collect() });
    };
    Ok(Profile {
        db: section.db.map(|db| in_home(db.get_ref(), home)),
        output: read_value("output", section.output, choice::<Format>)?,
        color: read_value("color", section.color, choice::<ColorChoice>)?,
        owner: read_value("owner", section.owner, |text| text.parse::<Owner>().map_err(|error| error.to_string()))?,
        proxy: read_value("proxy", section.proxy, |text| match text {
            "none" => Ok(None),
            url => ProxyLogin::parse(url).map(Some).map_err(|error| error.to_string()),
        })?
        .flatten(),
        networks: section.allow_networks.map(networks).transpose()?,
        key_file: section.key_file.map(|file| in_home(file.get_ref(), home)),
        outboxes: section.outbox.map(|outboxes| outboxes.list().iter().map(|source| in_home(source, home)).collect()),
    })
}

fn choice<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, true).map_err(|_| {
        let values = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let names: Vec<String> = values.map(|value| value.get_name().to_owned()).collect();
        format!("no such value '{text}'; use {}", names.join(", "))
    })
}

fn read_value<T>(
    key: &str,
    value: Option<Spanned<String>>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Wrong> {
    let Some(value) = value else { return Ok(None) };
    let wrong = |error| Wrong::At { offset: value.span().start, reason: format!("{key}: {error}") };
    read(value.get_ref()).map(Some).map_err(wrong)
}

impl Several {
    fn list(self) -> Vec<String> {
        match self {
            Several::Text(text) => sources(&text),
            Several::List(list) => list,
        }
    }
}

fn networks(value: Spanned<Several>) -> Result<Vec<IpNet>, Wrong> {
    let offset = value.span().start;
    let text = match value.into_inner() {
        Several::Text(text) => text,
        Several::List(list) => list.join(","),
    };
    parse_networks(&text).map_err(|error| Wrong::At { offset, reason: format!("allow_networks: {error}") })
}

/// `~/` is the home folder, as in a shell.
fn in_home(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~/"), home) {
        (Some(below), Some(home)) => home.join(below),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "[work]\ndb = \"~/work.db\"\noutput = \"json\"\nowner = \"acme\"\ncolor = \"never\"\n\
                        allow_networks = [\"10.0.0.0/8\", \"127.0.0.1/32\"]\n\n[home]\nallow_networks = \"::1/128\"\n";

    #[test]
    fn a_profile_holds_what_its_section_says() {
        let work = parse("work", FILE, Some(Path::new("/h"))).unwrap();
        assert_eq!(work.db.as_deref(), Some(Path::new("/h/work.db")));
        assert_eq!((work.output, work.color), (Some(Format::Json), Some(ColorChoice::Never)));
        assert_eq!((work.owner, work.networks.map(|all| all.len())), (Some(Owner::Named("acme".to_owned())), Some(2)));
        let home = parse("home", FILE, None).unwrap();
        assert_eq!((home.db, home.networks.map(|all| all.len())), (None, Some(1)));
        let known = vec!["home".to_owned(), "work".to_owned()];
        assert_eq!(parse("x", FILE, None).unwrap_err(), Wrong::NoSuch { known });
    }

    #[test]
    fn what_is_wrong_is_found_where_it_stands() {
        for (line, told) in [
            ("databse = \"x\"", "unknown field `databse`"),
            ("output = \"xml\"", "output: no such value 'xml'; use table, json, jsonl, csv"),
            ("owner = \" \"", "owner: an owner is blank"),
            ("color = 7", "invalid type: integer `7`"),
            ("allow_networks = [\"10.0.0.0/40\"]", "allow_networks: "),
            ("proxy = \"ftp://p\"", "proxy: "),
            ("db = ", "string values must be quoted"),
        ] {
            let text = format!("[a]\nowner = \"x\"\n\n[b]\n{line}\n");
            let Err(Wrong::At { offset, reason }) = parse("b", &text, None) else { panic!("{line}") };
            assert_eq!(text[..offset].matches('\n').count() + 1, 5, "{line}: {reason}");
            assert!(reason.contains(told), "{reason}");
        }
    }
}
