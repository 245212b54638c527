//! Help as it is shown: paragraphs fit the place, and examples stay lines that can be copied.

/// Wraps paragraphs and the texts below options. Lists and examples, which are set in by two blanks, stay as they are.
pub fn wrapped(help: &str, width: usize) -> String {
    let mut text = String::with_capacity(help.len() + help.len() / 16);
    for line in help.lines() {
        let indent = line.len() - line.trim_start().len();
        if (1..10).contains(&indent) {
            text.push_str(line);
        } else {
            wrap_line(line.trim(), indent, width, &mut text);
        }
        text.push('\n');
    }
    text
}

fn wrap_line(line: &str, indent: usize, width: usize, text: &mut String) {
    let mut column = 0;
    for word in line.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            text.push('\n');
            column = 0;
        }
        match column {
            0 => text.extend(std::iter::repeat_n(' ', indent)),
            _ => text.push(' '),
        }
        text.push_str(word);
        column = if column == 0 { indent } else { column + 1 } + length;
    }
    let kept = text.trim_end_matches(' ').len();
    text.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_wrapped_and_examples_are_not() {
        let help = "Sixteen letters.\n\n          four five\n          \nExamples:\n  hookctl one two three\n";
        let shown = "Sixteen\nletters.\n\n          four\n          five\n\nExamples:\n  hookctl one two three\n";
        assert_eq!(wrapped(help, 15), shown);
        assert_eq!(wrapped("averylongword b\n", 3), "averylongword\nb\n");
    }
}
