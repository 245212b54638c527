//! Renders Markdown for a terminal: headings, code, emphasis and tables. Lines are not wrapped: guides are narrow.

use console::measure_text_width;

use super::color::Meaning;

pub fn render(markdown: &str, color: bool) -> String {
    let mut rendered = String::with_capacity(markdown.len());
    let mut lines = markdown.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            for code in lines.by_ref().take_while(|line| !line.starts_with("```")) {
                let code = format!("    {}", Meaning::Good.paint(code, color));
                rendered += code.trim_end();
                rendered.push('\n');
            }
            continue;
        }
        if line.starts_with('|') {
            let mut rows = vec![cells(line, color)];
            while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
                rows.push(cells(row, color));
            }
            rendered += &table(&rows, color);
            continue;
        }
        let title = line.trim_start_matches('#');
        match title.strip_prefix(' ').filter(|_| title.len() < line.len()) {
            Some(title) => rendered += &Meaning::Heading.paint(&spans(title, false), color),
            None => rendered += &spans(line, color),
        }
        rendered.push('\n');
    }
    rendered
}

/// `code`, **strong** words and links, without their marks.
fn spans(line: &str, color: bool) -> String {
    let mut parts = line.split('`');
    let mut text = unmarked(parts.next().unwrap_or_default(), color);
    while let Some(code) = parts.next() {
        match parts.next() {
            Some(after) => text += &(Meaning::Id.paint(code, color) + &unmarked(after, color)),
            // An opening mark without a closing one is ordinary text.
            None => text += &format!("`{}", unmarked(code, color)),
        }
    }
    text
}

fn unmarked(text: &str, color: bool) -> String {
    let mut shown = String::new();
    for (index, part) in text.split("**").enumerate() {
        let part = link_texts(part);
        shown += &if index % 2 == 1 { Meaning::Heading.paint(&part, color) } else { part };
    }
    shown
}

/// `[text](address)` as its text, with the address if it is a web address.
fn link_texts(text: &str) -> String {
    let Some((before, rest)) = text.split_once('[') else { return text.to_owned() };
    let link = rest.split_once("](").and_then(|(label, rest)| Some((label, rest.split_once(')')?)));
    match link {
        Some((label, (address, after))) if address.starts_with("http") => {
            format!("{before}{label} ({address}){}", link_texts(after))
        }
        Some((label, (_, after))) => format!("{before}{label}{}", link_texts(after)),
        None => format!("{before}[{}", link_texts(rest)),
    }
}

fn cells(line: &str, color: bool) -> Vec<String> {
    line.trim().trim_matches('|').split(" | ").map(|cell| spans(cell.trim(), color)).collect()
}

/// The rows of a table, aligned; the second one is the line of dashes.
fn table(rows: &[Vec<String>], color: bool) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().enumerate().filter(|(index, _)| *index != 1).filter_map(|(_, row)| row.get(column));
        cells.map(|cell| measure_text_width(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate().filter(|(index, _)| *index != 1) {
        let padded = row.iter().zip(&widths).map(|(cell, width)| {
            let blanks = " ".repeat(width.saturating_sub(measure_text_width(cell)));
            let cell = if index == 0 { Meaning::Heading.paint(cell, color) } else { cell.clone() };
            cell + &blanks
        });
        text += padded.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_taken_away_and_tables_aligned() {
        let markdown = "# Title\n\nUse `emit` and **not** [this](other.md), [that](https://a.example).\n\n\
                        ```sh\nhookctl drain\n\n  # `kept`\n```\n\n| a | long name |\n| --- | --- |\n| `x` | 1 |\n| yy | 2 |\n";
        let plain = "Title\n\nUse emit and not this, that (https://a.example).\n\n\
                     \x20   hookctl drain\n\n      # `kept`\n\na   long name\nx   1\nyy  2\n";
        assert_eq!(render(markdown, false), plain);
        let colored = render(markdown, true);
        assert!(
            colored.starts_with("\u{1b}[1mTitle\u{1b}[0m\n") && colored.contains("\u{1b}[36memit\u{1b}[0m"),
            "{colored}"
        );
        assert_eq!(console::strip_ansi_codes(&colored), plain);
        assert_eq!(render("a ` b [c] d\n", false), "a ` b [c] d\n");
    }
}
