//! The guides: files of docs/ that `hookctl help GUIDE` shows.

pub struct Guide {
    pub name: &'static str,
    pub about: &'static str,
    pub text: &'static str,
}

pub const GUIDES: &[Guide] = &[
    Guide {
        name: "receiving",
        about: "Receivers in Python, Node, Go, Rust and shell, signatures checked",
        text: include_str!("../../../docs/receiving.md"),
    },
    Guide {
        name: "developing",
        about: "From nothing to a verified receiver in ten minutes, and in CI",
        text: include_str!("../../../docs/developing.md"),
    },
    Guide {
        name: "outbox",
        about: "Emitting in the transaction of an application",
        text: include_str!("../../../docs/outbox.md"),
    },
    Guide {
        name: "shaping",
        about: "Filters, transforms, messages for chats, order, schemas",
        text: include_str!("../../../docs/shaping.md"),
    },
    Guide {
        name: "secrets",
        about: "Where secrets are, and how to change one at no loss",
        text: include_str!("../../../docs/secrets.md"),
    },
    Guide {
        name: "egress",
        about: "Proxies, client certificates, and whom TLS trusts",
        text: include_str!("../../../docs/egress.md"),
    },
    Guide {
        name: "monitoring",
        about: "Checks, metrics, alert rules and reports",
        text: include_str!("../../../docs/monitoring.md"),
    },
    Guide {
        name: "backup",
        about: "Copies of the database, and how to put one back",
        text: include_str!("../../../docs/backup.md"),
    },
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
