//! Helpers for messages: counts, lists of names, sizes.

/// `1 delivery`, `3 deliveries`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    }
}

/// At most `most` names, separated by commas, and how many more there are.
pub fn listed(names: &[String], most: usize) -> String {
    match names.split_at_checked(most) {
        Some((first, rest)) if !rest.is_empty() => format!("{} {}", first.join(", "), more(rest.len())),
        _ => names.join(", "),
    }
}

/// The last line of a list that was cut.
pub fn more(left_out: usize) -> String {
    format!("and {left_out} more")
}

/// A number of bytes: `12.3 MiB`.
pub fn size(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["bytes", "KiB", "MiB", "GiB"] {
        if size < 1024.0 {
            return if unit == "bytes" { format!("{bytes} bytes") } else { format!("{size:.1} {unit}") };
        }
        size /= 1024.0;
    }
    format!("{size:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_a_long_list_is_cut() {
        assert_eq!(counted(1, "delivery", "deliveries"), "1 delivery");
        assert_eq!(counted(0, "delivery", "deliveries"), "0 deliveries");
        let names: Vec<String> = (1..=7).map(|number| number.to_string()).collect();
        assert_eq!(listed(&names[..5], 5), "1, 2, 3, 4, 5");
        assert_eq!(listed(&names, 5), "1, 2, 3, 4, 5 and 2 more");
    }

    #[test]
    fn sizes_read_well() {
        let sizes = [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (12_897_484, "12.3 MiB")];
        for (bytes, text) in sizes {
            assert_eq!(size(bytes), text);
        }
    }
}
