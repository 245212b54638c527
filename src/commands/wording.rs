//! Numbers and names in sentences.

/// So many names stand in a sentence; more of them are counted.
const MOST_NAMED: usize = 5;

/// `1 delivery`, `3 deliveries`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    }
}

/// The names one after the other; of a long list the first few, and how many more there are.
pub fn listed(names: &[String]) -> String {
    match names.split_at_checked(MOST_NAMED) {
        Some((first, more)) if !more.is_empty() => format!("{} and {} more", first.join(", "), more.len()),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_a_long_list_is_cut() {
        assert_eq!(counted(1, "delivery", "deliveries"), "1 delivery");
        assert_eq!(counted(0, "delivery", "deliveries"), "0 deliveries");
        let names: Vec<String> = (1..=7).map(|number| number.to_string()).collect();
        assert_eq!(listed(&names[..5]), "1, 2, 3, 4, 5");
        assert_eq!(listed(&names), "1, 2, 3, 4, 5 and 2 more");
    }
}
