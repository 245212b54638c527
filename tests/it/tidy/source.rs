//! A source file with only its code left.

use super::Finding;

/// The code of one file: comments, texts and test modules are blank, and every line is where it was.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path from the project's folder, with slashes.
    pub path: String,
    /// How many lines the file has.
    pub length: usize,
    code: String,
}

impl Source {
    /// Reads the text of a file.
    pub fn new(path: &str, text: &str) -> Source {
        let code = without_test_modules(&without_comments_and_texts(text));
        Source { path: path.to_owned(), length: text.lines().count(), code }
    }

    /// The lines of code, numbered from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.code.lines())
    }

    /// A break of a rule on that line.
    pub fn finding(&self, line: usize, rule: String) -> Finding {
        Finding { path: self.path.clone(), line, rule }
    }

    /// The modules at the root of the crate that the code names, through `crate::`, `super::` or a group of either.
    pub fn crate_modules(&self) -> Vec<(usize, String)> {
        let paths = self.module_paths(|_| false).into_iter();
        let mut modules: Vec<(usize, String)> =
            paths.filter_map(|named| named.path.into_iter().next().map(|first| (named.line, first))).collect();
        modules.dedup();
        modules
    }

    /// Every path that the code names by `crate`, `self`, `super` or a module below this one, from the crate's root;
    /// `is_module` knows the modules that are files.
    pub fn module_paths(&self, is_module: impl Fn(&[&str]) -> bool) -> Vec<Named> {
        let tokens = tokens(&self.code);
        let module = self.module();
        let mut found = Vec::new();
        for (at, token) in tokens.iter().enumerate() {
            let is_first = at == 0 || tokens[at - 1].text != "::";
            if !is_first || text(&tokens, at + 1) != "::" {
                continue;
            }
            let mut base: Vec<&str> = module.clone();
            let mut next = at + 2;
            match token.text {
                "crate" => base.clear(),
                "self" => {}
                "super" => {
                    base.pop();
                    while text(&tokens, next) == "super" {
                        base.pop();
                        next += 2;
                    }
                }
                name => {
                    base.push(name);
                    if !is_module(&base) {
                        continue;
                    }
                }
            }
            let before = |count: usize| at.checked_sub(count).map_or("", |before| text(&tokens, before));
            let is_exported = before(1) == "use" && matches!(before(2), "pub" | ")");
            let base = base.into_iter().map(str::to_owned).collect();
            let mut paths = Vec::new();
            paths_below(&tokens, &mut next, base, &mut paths);
            found.extend(paths.into_iter().map(|(line, path)| Named { line, path, is_exported }));
        }
        found
    }

    /// Whether the code has the name more than once.
    pub fn repeats(&self, name: &str) -> bool {
        tokens(&self.code).iter().filter(|token| token.text == name).count() > 1
    }

    /// The module that the file is: `src/store/events.rs` is `["store", "events"]`.
    pub fn module(&self) -> Vec<&str> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let path = path.trim_end_matches("/mod");
        if matches!(path, "main" | "lib") { Vec::new() } else { path.split('/').collect() }
    }
}

/// A path that a file names.
pub struct Named {
    pub line: usize,
    /// From the crate's root.
    pub path: Vec<String>,
    /// By `pub use`: others find it under this module, and it is theirs.
    pub is_exported: bool,
}

/// A name, a `::`, or a single other character.
struct Token<'a> {
    line: usize,
    text: &'a str,
}

fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (line, mut rest) in (1..).zip(code.lines()) {
        rest = rest.trim_start();
        while let Some(first) = rest.chars().next() {
            let name = rest.find(|letter| !is_name(letter)).unwrap_or(rest.len());
            let length = match name {
                0 if rest.starts_with("::") => 2,
                0 => first.len_utf8(),
                length => length,
            };
            tokens.push(Token { line, text: &rest[..length] });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

fn text<'a>(tokens: &[Token<'a>], at: usize) -> &'a str {
    tokens.get(at).map_or("", |token| token.text)
}

/// The path that goes on at a token, or each path of the group in braces that begins there.
fn paths_below(tokens: &[Token<'_>], at: &mut usize, base: Vec<String>, found: &mut Vec<(usize, Vec<String>)>) {
    let Some(token) = tokens.get(*at) else { return };
    *at += 1;
    if token.text != "{" {
        let mut path = base;
        path.extend(token.text.starts_with(is_name).then(|| token.text.to_owned()).filter(|name| name != "self"));
        if text(tokens, *at) == "::" {
            *at += 1;
            paths_below(tokens, at, path, found);
        } else {
            found.push((token.line, path));
        }
        return;
    }
    while !matches!(text(tokens, *at), "" | "}") {
        if is_name(text(tokens, *at).chars().next().unwrap_or(' ')) && text(tokens, *at) != "as" {
            paths_below(tokens, at, base.clone(), found);
        }
        // To the next of the group: past `as other`, `*` and the comma.
        while !matches!(text(tokens, *at), "" | "," | "}") {
            *at += 1;
        }
        *at += usize::from(text(tokens, *at) == ",");
    }
    *at += 1;
}

fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Blanks comments, string and character literals.
fn without_comments_and_texts(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_name = code.chars().next_back().is_some_and(is_name);
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            '\'' => character(rest),
            'r' | 'b' | 'c' if !after_name => raw_string(rest),
            _ => 0,
        };
        if length == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.extend(rest[..length].chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
        }
    }
    code
}

/// The length of the block comment, with those within it, that the text begins with.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of the string literal that the text begins with.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the character literal that the text begins with; 0 for a lifetime.
fn character(text: &str) -> usize {
    let inside = &text[1..];
    match inside.chars().next() {
        // The closing quote is not the escaped one.
        Some('\\') => inside[2..].find('\'').map_or(0, |end| end + 4),
        Some(letter) if inside[letter.len_utf8()..].starts_with('\'') => letter.len_utf8() + 2,
        _ => 0,
    }
}

/// The length of the raw string literal that the text begins with; 0 when it is something else.
fn raw_string(text: &str) -> usize {
    let after_prefix = text.trim_start_matches(['b', 'c']);
    if text.len() - after_prefix.len() > 1 {
        return 0;
    }
    let Some(after_r) = after_prefix.strip_prefix('r') else { return 0 };
    let inside = after_r.trim_start_matches('#');
    let hashes = after_r.len() - inside.len();
    if !inside.starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let start = text.len() - inside.len() + 1;
    text[start..].find(&end).map_or(text.len(), |found| start + found + end.len())
}

/// Blanks every item under `#[cfg(test)]`.
fn without_test_modules(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = rest.find(MARK) {
        let end = start + item(&rest[start..]);
        kept.push_str(&rest[..start]);
        kept.extend(rest[start..end].chars().filter(|letter| *letter == '\n'));
        rest = &rest[end..];
    }
    kept + rest
}

/// The length of an item: to its semicolon, or to the end of its braces.
fn item(code: &str) -> usize {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return at + 1,
            b'}' => depth -= 1,
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

#[test]
fn only_code_is_left_and_lines_stay() {
    let text = concat!(
        "//! doc\n",
        "use a::b; // tail\n",
        "/* one /* two */ still */ fn f<'a>(x: &'a str) {\n",
        "    let s = \"text \\\" // more\\\\\";\n",
        "    let c = ['\"', '\\'', '\\u{1F600}', b'x'];\n",
        "    let r = r#\"raw \" text\"#; let for_r = br\"x\";\n",
        "}\n",
        "#[cfg(test)]\n",
        "mod tests {\n",
        "    fn g() { let s = \"}\"; }\n",
        "}\n",
        "#[cfg(test)]\n",
        "mod more_tests;\n",
        "fn h() {}\n",
    );
    let source = Source::new("src/a.rs", text);
    let lines: Vec<_> = source.lines().map(|(_, line)| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines,
        [
            "",
            "use a::b;",
            "fn f<'a>(x: &'a str) {",
            "let s = ;",
            "let c = [ , , , b ];",
            "let r = ; let for_r = ;",
            "}",
            "",
            "",
            "",
            "",
            "",
            "",
            "fn h() {}"
        ]
    );
    assert_eq!(source.length, 14);
}
