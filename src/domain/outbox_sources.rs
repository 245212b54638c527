//! Several outboxes in one text.

/// The sources that a text names, between commas. A comma between the hosts of a URL separates nothing.
pub fn sources(text: &str) -> Vec<String> {
    let mut sources: Vec<String> = Vec::new();
    for part in text.split(',') {
        let is_among_hosts = |last: &String| last.split_once("://").is_some_and(|(_, rest)| !rest.contains(['/', '?']));
        match sources.last_mut().filter(|last| is_among_hosts(last)) {
            Some(last) => *last = format!("{last},{part}"),
            None => sources.push(part.trim().to_owned()),
        }
    }
    sources.retain(|source| !source.is_empty());
    sources
}

#[cfg(test)]
mod tests {
    use super::sources;

    #[test]
    fn sources_are_separated_by_commas_but_not_the_hosts_of_one() {
        let read = |text: &str| sources(text).join(" | ");
        assert_eq!(read("app.db"), "app.db");
        assert_eq!(
            read("app.db, postgres://a@h1,h2:5433/shop,/var/b.db,"),
            "app.db | postgres://a@h1,h2:5433/shop | /var/b.db"
        );
        assert_eq!(read(""), "");
    }
}
