//! The guides: files of docs/ that `hookctl help GUIDE` shows.

pub struct Guide {
    pub name: &'static str,
    pub about: &'static str,
    pub text: &'static str,
}

/// Each of them is the file of its name in docs/.
macro_rules! guides {
    ($($name:literal: $about:literal;)*) => {
        pub const GUIDES: &[Guide] =
            &[$(Guide { name: $name, about: $about, text: include_str!(concat!("../../../docs/", $name, ".md")) }),*];
    };
}

guides! {
    "receiving": "Receivers in Python, Node, Go, Rust and shell";
    "developing": "From nothing to a verified receiver in ten minutes, and in CI";
    "outbox": "Transactional outbox: emit in an application's transaction";
    "shaping": "Filters, transforms, owners, chat messages, order, schemas";
    "secrets": "Where secrets are kept, and how to rotate them without loss";
    "egress": "Proxies, client certificates, private certificate authorities";
    "troubleshooting": "When deliveries fail: causes, and catching up after an outage";
    "monitoring": "Running the drain, checks, metrics, alert rules and reports";
    "backup": "Backup, restore and retention";
    "postgres": "Several machines on one PostgreSQL database";
    "timetracker": "Moving from TimeTracker's webhooks";
    "reference": "Exit codes, environment, statuses, error types, keys of files";
}

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
