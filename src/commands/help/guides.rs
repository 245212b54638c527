//! The guides: files of docs/ that `hookctl help GUIDE` shows.

pub struct Guide {
    pub name: &'static str,
    pub about: &'static str,
    pub text: &'static str,
}

pub const GUIDES: &[Guide] = &[
    Guide {
        name: "receiving",
        about: "Receivers in Python, Node, Go, Rust and shell",
        text: include_str!("../../../docs/receiving.md"),
    },
    Guide {
        name: "developing",
        about: "From nothing to a verified receiver in ten minutes, and in CI",
        text: include_str!("../../../docs/developing.md"),
    },
    Guide {
        name: "outbox",
        about: "Transactional outbox: emit in an application's transaction",
        text: include_str!("../../../docs/outbox.md"),
    },
    Guide {
        name: "shaping",
        about: "Filters, transforms, owners, chat messages, order, schemas",
        text: include_str!("../../../docs/shaping.md"),
    },
    Guide {
        name: "secrets",
        about: "Where secrets are kept, and how to rotate them without loss",
        text: include_str!("../../../docs/secrets.md"),
    },
    Guide {
        name: "egress",
        about: "Proxies, client certificates, private certificate authorities",
        text: include_str!("../../../docs/egress.md"),
    },
    Guide {
        name: "troubleshooting",
        about: "When deliveries fail: causes, and catching up after an outage",
        text: include_str!("../../../docs/troubleshooting.md"),
    },
    Guide {
        name: "monitoring",
        about: "Running the drain, checks, metrics, alert rules and reports",
        text: include_str!("../../../docs/monitoring.md"),
    },
    Guide { name: "backup", about: "Backup, restore and retention", text: include_str!("../../../docs/backup.md") },
    Guide {
        name: "postgres",
        about: "Several machines on one PostgreSQL database",
        text: include_str!("../../../docs/postgres.md"),
    },
    Guide {
        name: "timetracker",
        about: "Moving from TimeTracker's webhooks",
        text: include_str!("../../../docs/timetracker.md"),
    },
    Guide {
        name: "reference",
        about: "Exit codes, environment, statuses, error types, keys of files",
        text: include_str!("../../../docs/reference.md"),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_and_the_changelog_name_every_guide() {
        let part = |text: &'static str, from: &str| {
            text.split_once(from).and_then(|(_, rest)| rest.split("\n- ").next()).expect("the list is there")
        };
        let lists = [
            part(include_str!("../../../README.md"), "\n- Guides: "),
            part(include_str!("../../../CHANGELOG.md"), "\n- **Guides**: "),
        ];
        for Guide { name, .. } in GUIDES {
            for list in lists {
                assert!(
                    list.contains(&format!("`{name}`"))
                        || list.contains(&format!("`help {name}`"))
                        || list.contains(&format!("`hookctl help {name}`")),
                    "{name} is not in:\n{list}"
                );
            }
        }
    }
}
