//! The changes that bring the database to the state in the file.

use std::collections::HashSet;

use anyhow::Result;

use super::step::{SecretStep, Step};
use crate::commands::catalogue::warn_of_slips;
use crate::commands::configuration::entry::{Configuration, EventTypeEntry};
use crate::commands::configuration::place::Place;
use crate::commands::event_type::contract::Contract;
use crate::commands::webhook::addresses;
use crate::commands::webhook::missed::Missed;
use crate::commands::wording::{counted, listed};
use crate::context::Context;
use crate::domain::event_type::{self, check_description};
use crate::domain::secret::Secret;
use crate::domain::webhook::{DISABLED_BY_HAND, Field};
use crate::error::{Failure, Kind};
use crate::store::{DeliveryFilter, EventTypeRow, Store, WebhookFilter};

/// What happens to webhooks and event types that are not in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    Kept,
    Deleted,
}

#[derive(Debug, Default)]
pub struct Plan {
    /// The webhooks of the file, in its order.
    pub steps: Vec<Step>,
    /// The event types of the file, in its order.
    pub event_types: Vec<EventTypeStep>,
    pub deleted_webhooks: Vec<Doomed>,
    pub deleted_event_types: Vec<String>,
}

#[derive(Debug)]
pub struct EventTypeStep {
    /// Its row in the catalogue, if it has one.
    pub before: Option<EventTypeRow>,
    pub after: EventTypeRow,
}

impl EventTypeStep {
    pub fn is_empty(&self) -> bool {
        self.before.as_ref() == Some(&self.after)
    }
}

#[derive(Debug)]
pub struct Doomed {
    id: i64,
    version: i64,
    pub name: String,
    /// How many deliveries are deleted with it.
    pub deliveries: u64,
}

impl Plan {
    /// Compares a file with the database. Errors name the entry and its key.
    pub fn make(context: &Context, store: &Store, file: &Configuration, rest: Rest) -> Result<Plan> {
        let mut plan = Plan::default();
        let mut names = HashSet::new();
        for entry in file.webhooks.iter().flatten() {
            if !names.insert(entry.name.as_str()) {
                return Err(Failure::option("FILE", format!("the webhook '{}' is there twice", entry.name)).into());
            }
            plan.steps.push(Step::plan(context, store, entry)?);
        }
        plan.check_addresses(context, file)?;
        if rest == Rest::Deleted && file.webhooks.is_some() {
            plan.deleted_webhooks = doomed_webhooks(store, &names)?;
        }
        let known = store.event_types()?;
        let mut names = HashSet::new();
        for (index, entry) in file.event_types.iter().flatten().enumerate() {
            if !names.insert(entry.name.as_str()) {
                return Err(Failure::option("FILE", format!("the event type '{}' is there twice", entry.name)).into());
            }
            plan.event_types.push(event_type_step(&known, index, entry)?);
        }
        if rest == Rest::Deleted && file.event_types.is_some() {
            let own = known.iter().filter(|row| !row.is_builtin && !names.contains(row.name.as_str()));
            plan.deleted_event_types = own.map(|row| row.name.clone()).collect();
        }
        Ok(plan)
    }

    /// Checks the addresses of new and changed webhooks.
    fn check_addresses(&self, context: &Context, file: &Configuration) -> Result<(), Failure> {
        let entries = self.steps.iter().zip(file.webhooks.iter().flatten());
        let changed: Vec<_> = entries.filter(|(step, _)| !step.differences.is_empty()).collect();
        let settings: Vec<_> = changed.iter().map(|(step, _)| &step.settings).collect();
        match addresses::check_all(context, &settings).pop() {
            Some((index, invalid)) => Err(changed[index].1.place.invalid(invalid)),
            None => Ok(()),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.steps.iter().all(Step::is_empty)
            && self.event_types.iter().all(EventTypeStep::is_empty)
            && self.deleted_webhooks.is_empty()
            && self.deleted_event_types.is_empty()
    }

    /// The question to ask before anything is deleted; `None` if nothing is.
    pub fn question(&self) -> Option<String> {
        let webhooks = self.deleted_webhooks.iter().map(|doomed| format!("the webhook '{}'", doomed.name));
        let types = self.deleted_event_types.iter().map(|name| format!("the event type '{name}'"));
        let named: Vec<String> = types.chain(webhooks).collect();
        let deliveries: u64 = self.deleted_webhooks.iter().map(|doomed| doomed.deliveries).sum();
        let with = match self.deleted_webhooks.is_empty() {
            true => String::new(),
            false => format!(" with {}", counted(deliveries, "delivery", "deliveries")),
        };
        (!named.is_empty()).then(|| format!("Delete {}{with}?", listed(&named, 5)))
    }

    /// Carries the plan out in one transaction. An error if a webhook was changed since the plan was made.
    pub fn carry_out(&self, context: &Context, store: &Store) -> Result<()> {
        store.transaction(|| {
            for event_type in self.event_types.iter().filter(|step| !step.is_empty()) {
                store.save_event_type(&event_type.after)?;
            }
            for name in &self.deleted_event_types {
                store.remove_event_type(name)?;
            }
            for doomed in &self.deleted_webhooks {
                check_unchanged(store, doomed.id, doomed.version, &doomed.name)?;
                store.delete_webhook(doomed.id)?;
            }
            for step in self.steps.iter().filter(|step| !step.is_empty()) {
                carry_out(context, store, step)?;
            }
            Ok(())
        })
    }

    /// The missed events of webhooks that the plan made active again, by name.
    pub fn count_missed(&self, store: &Store) -> Result<Vec<(&str, Missed)>> {
        let enabled = self.steps.iter().filter(|step| step.is_active);
        let enabled = enabled.filter_map(|step| step.existing.as_ref().filter(|webhook| !webhook.health.is_active));
        enabled.map(|webhook| Ok((webhook.settings.name.as_str(), Missed::count(store, webhook)?))).collect()
    }

    /// The generated secrets, each with the name of its webhook and its key in the file.
    pub fn new_secrets(&self) -> Vec<(&str, Field, &Secret)> {
        self.steps.iter().flat_map(Step::generated).collect()
    }

    pub fn warn_of_slips(&self, context: &mut Context, store: &Store) -> Result<()> {
        let changed = self.steps.iter().filter(|step| !step.is_empty());
        warn_of_slips(context, store, changed.flat_map(|step| &step.settings.events))
    }
}

fn carry_out(context: &Context, store: &Store, step: &Step) -> Result<()> {
    let now = context.now();
    let id = match &step.existing {
        None => store.insert_webhook(&step.settings, step.is_active, context.settings.user.as_deref(), now)?,
        Some(webhook) => {
            check_unchanged(store, webhook.id, webhook.version, &step.settings.name)?;
            store.update_webhook(webhook.id, &step.settings, now)?;
            match (webhook.health.is_active, step.is_active) {
                (false, true) => store.enable_webhook(webhook.id, now)?,
                (true, false) => store.disable_webhook(webhook.id, DISABLED_BY_HAND, now)?,
                (false, false) | (true, true) => {}
            }
            webhook.id
        }
    };
    for secret in &step.secrets {
        match secret {
            SecretStep::Set(secret, source, _) => store.set_secret(id, secret, source.as_ref(), now, None)?,
            SecretStep::Generate(secret) => store.set_secret(id, secret, None, now, None)?,
            SecretStep::Keep(kinds) => store.keep_secrets(id, kinds, now)?,
        }
    }
    Ok(())
}

fn check_unchanged(store: &Store, id: i64, version: i64, name: &str) -> Result<()> {
    match store.webhook(id)? {
        Some(webhook) if webhook.version == version => Ok(()),
        _ => Err(Failure::new(Kind::Conflict, format!("the webhook '{name}' was changed meanwhile; nothing was done"))
            .hint("run the command again")
            .into()),
    }
}

fn doomed_webhooks(store: &Store, named: &HashSet<&str>) -> Result<Vec<Doomed>> {
    let mut doomed = Vec::new();
    for webhook in store.webhooks(&WebhookFilter::default())? {
        if named.contains(webhook.settings.name.as_str()) {
            continue;
        }
        let filter = DeliveryFilter { webhooks: vec![webhook.id], ..DeliveryFilter::default() };
        let deliveries = store.count_deliveries_by_webhook(&filter)?.iter().map(|(_, count)| count).sum();
        doomed.push(Doomed { id: webhook.id, version: webhook.version, name: webhook.settings.name, deliveries });
    }
    Ok(doomed)
}

fn event_type_step(known: &[EventTypeRow], index: usize, entry: &EventTypeEntry) -> Result<EventTypeStep, Failure> {
    let place = Place::new("event_types", index, &entry.name);
    event_type::check(&entry.name).map_err(|error| place.refuse("name", error))?;
    check_description(&entry.description)
        .map_err(|error| place.refuse("description", format!("the description {error}")))?;
    let before = known.iter().find(|row| row.name == entry.name);
    if before.is_some_and(|row| row.is_builtin && row.description != entry.description) {
        return Err(place.refuse("name", "the event type is built in; its description cannot be changed"));
    }
    let (schema, example) = (entry.schema(), entry.example());
    let contract = Contract { schema: schema.as_deref(), example: example.as_deref() };
    contract.check().map_err(|wrong| place.refuse(wrong.field, wrong.reason))?;
    let is_builtin = before.is_some_and(|row| row.is_builtin);
    let (name, description) = (entry.name.clone(), entry.description.clone());
    Ok(EventTypeStep {
        before: before.cloned(),
        after: EventTypeRow { name, description, is_builtin, schema, example },
    })
}
