//! `hookctl db init`

use std::path::Path;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::files;
use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::new_file::folder_of;
use crate::output::{Page, Text};
use crate::store::foreign_entry;

/// Make the database, and say who may use it
///
/// Commands that write make the database when it is not there, for its owner alone. With --group every member of the
/// group can use it: the application's user emits, another drains. The folder gets the mode 2770, the files 0660; it
/// must hold nothing but the database. Members read the secrets, so choose them well. Repeating it changes nothing.
/// On a server the schema `hookctl` belongs to the role that made it, and no other can read it; --owner-role makes
/// another role its owner. With --grant a role of an application may call `hookctl.emit` in SQL, and can read
/// nothing.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl db init
  hookctl --db shared/hookctl.db db init --group $(id -gn)
  hookctl --db postgres://admin@db.example/hooks db init --owner-role hookctl
  hookctl --db postgres://hookctl@db.example/hooks db init --grant shop")]
pub struct Init {
    /// Share the database with this group: its name or number
    #[arg(long, value_name = "GROUP", conflicts_with = "owner_role")]
    group: Option<String>,
    /// On a server: the role that the schema and its tables are to belong to
    #[arg(long, value_name = "ROLE")]
    owner_role: Option<String>,
    /// On a server: a role that may call hookctl.emit, and nothing else [repeatable]
    #[arg(long, value_name = "ROLE", conflicts_with = "group")]
    grant: Vec<String>,
}

#[derive(Debug, Serialize)]
struct InitView {
    #[serde(rename = "path")]
    place: String,
    group: Option<String>,
    mode: Option<String>,
    folder_mode: Option<String>,
    owner_role: Option<String>,
    granted: Vec<String>,
}

impl Page for InitView {
    fn describe(&self, text: &mut Text) {
        text.field("Database", &self.place);
        text.optional("Owner", self.owner_role.as_ref());
        if !self.granted.is_empty() {
            text.field("May emit", self.granted.join(", "));
        }
        text.field("Group", self.group.clone());
        text.field("Mode", self.mode.clone());
        text.field("Folder's mode", self.folder_mode.clone());
    }
}

impl Init {
    pub fn run(self, context: &mut Context) -> Result<()> {
        let place = context.place()?;
        let group = self.group.as_deref().map(group_id).transpose()?;
        if let Some(group) = group {
            let Some(path) = place.file() else {
                return Err(Failure::option("--group", "a group shares a file, and the database is on a server").into());
            };
            check_folder(path)?;
            drop(context.store_to_write()?);
            share(path, group)?;
        } else if self.owner_role.is_some() && place.file().is_some() {
            return Err(Failure::option("--owner-role", "a file has no roles; --group shares it").into());
        } else if !self.grant.is_empty() && place.file().is_some() {
            return Err(Failure::option("--grant", "a file has no roles; `hookctl outbox init` makes an outbox").into());
        } else {
            let store = context.store_to_write()?;
            self.owner_role.as_deref().map_or(Ok(()), |role| store.give_to(role))?;
            self.grant.iter().try_for_each(|role| store.grant_emit(role))?;
        }
        let mode = place.file().and_then(files::mode);
        let folder_mode = place.file().and_then(|path| files::mode(folder_of(path)));
        let Init { group, owner_role, grant: granted } = self;
        context.out.page(&InitView { place: place.to_string(), group, mode, folder_mode, owner_role, granted })
    }
}

/// Refuses a folder with other files, which the group would get access to.
fn check_folder(path: &Path) -> Result<(), Failure> {
    let folder = folder_of(path).display();
    match foreign_entry(path) {
        Ok(Some(entry)) => {
            let reason = format!("the folder {folder} holds more than the database: {}", entry.display());
            Err(Failure::option("--group", reason).hint("put the database into a folder of its own, with --db"))
        }
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::new(Kind::Failed, format!("cannot read the folder {folder}: {error}")))
        }
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn share(path: &Path, group: u32) -> Result<(), Failure> {
    crate::store::share_with_group(path, group).map_err(|error| {
        Failure::new(Kind::Failed, format!("cannot give {} to the group {group}: {error}", path.display()))
            .hint("the owner of the files can, as a member of the group, or root")
    })
}

#[cfg(not(unix))]
fn share(_: &Path, _: u32) -> Result<(), Failure> {
    Err(Failure::option("--group", "files have no groups on this system"))
}

/// The id of a group given by name or number.
fn group_id(group: &str) -> Result<u32, Failure> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let unknown = || Failure::option("--group", format!("no group '{group}'")).hint("make it with `groupadd --system`");
    if group.is_empty() || group.starts_with('-') || group.contains([':', '\n', '\0']) {
        return Err(unknown());
    }
    let number = |lines: &str| {
        let fields = lines.lines().map(|line| line.split(':').collect::<Vec<_>>());
        fields.into_iter().find(|fields| fields[0] == group).and_then(|fields| fields.get(2)?.parse().ok())
    };
    let local = std::fs::read_to_string("/etc/group").ok().and_then(|lines| number(&lines));
    // getent also asks directory services.
    let asked = || std::process::Command::new("getent").args(["group", group]).output().ok();
    local.or_else(|| number(&String::from_utf8(asked()?.stdout).ok()?)).ok_or_else(unknown)
}
