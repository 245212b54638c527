//! Reading an expression, and saying where it is wrong.

use std::{fmt, thread};

use jaq_core::compile::Undefined;
use jaq_core::data::JustLut;
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, Filter};
use jaq_json::Val;

/// The longest expression, in bytes, so that reading one cannot exhaust the stack.
pub const LONGEST: usize = 16 * 1024;

/// The deepest nesting of an expression.
pub const DEEPEST: usize = 100;

/// The library reads and runs by recursion, and the longest expression can need this much. Only what is used takes memory.
const STACK_BYTES: usize = 256 * 1024 * 1024;

/// What jq has and the library has not.
const FORMATS: &str = r#"
def row_of(f; $format):
    if isarray | not then error("\(type) cannot be formatted as \($format), only an array can") end
    | map(if isstring then f elif . == null then "" elif isarray or isobject then
        error("\(type) is not valid in a row of \($format)") else tojson end);
def @csv: row_of("\"" + gsub("\""; "\"\"") + "\""; "csv") | join(",");
def @tsv: row_of(gsub("\\\\"; "\\\\") | gsub("\t"; "\\t") | gsub("\n"; "\\n") | gsub("\r"; "\\r"); "tsv") | join("\t");
"#;

/// Why a text is not an expression, in one line with the position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("a jq expression has at most {LONGEST} bytes; this one has {0}")]
    TooLong(usize),
    #[error("a jq expression has at most {DEEPEST} levels, and goes deeper at {0}")]
    TooDeep(Place),
    #[error("there is no memory for its stack")]
    NoMemory,
    #[error("not a jq expression: {what} at {place}")]
    At { what: String, place: Place },
}

/// Line and column, both from 1; the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    line: usize,
    column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            1 => write!(f, "column {}", self.column),
            line => write!(f, "line {line}, column {}", self.column),
        }
    }
}

impl Place {
    /// Where `found`, a part of `text`, begins; the end of the text for anything else.
    pub fn of(text: &str, found: &str) -> Place {
        Place::at(text, (found.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize))
    }

    fn at(text: &str, offset: usize) -> Place {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Place { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

pub fn large_stack() -> thread::Builder {
    thread::Builder::new().name("jq".to_owned()).stack_size(STACK_BYTES)
}

/// What `read` makes of the text of an expression, on a stack that is large enough for any that has the bounds.
pub fn with_large_stack<T: Send>(
    text: &str,
    read: impl FnOnce(&str) -> Result<T, Invalid> + Send,
) -> Result<T, Invalid> {
    check_bounds(text)?;
    thread::scope(|scope| {
        let reading = large_stack().spawn_scoped(scope, || read(text)).map_err(|_| Invalid::NoMemory)?;
        reading.join().map_err(|_| at(text, "it cannot be understood", text))?
    })
}

/// Whether reading a text can end well.
pub fn check_bounds(text: &str) -> Result<(), Invalid> {
    if text.len() > LONGEST {
        return Err(Invalid::TooLong(text.len()));
    }
    too_deep_bracket(text).map_or(Ok(()), |offset| Err(Invalid::TooDeep(Place::at(text, offset))))
}

pub fn compile(text: &str) -> Result<Filter<JustLut<Val>>, Invalid> {
    let formats = load::parse(FORMATS, |parser| parser.defs()).unwrap_or_default();
    let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).chain(formats);
    let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let arena = Arena::default();
    // The errors of other files than the expression would be the library's own; it has none.
    let modules = Loader::new(definitions).load(&arena, File { code: text, path: () }).map_err(|errors| {
        errors.into_iter().next().map_or_else(|| at(text, "nothing", ""), |(_, error)| unread(text, error))
    })?;
    Compiler::default().with_funs(functions).compile(modules).map_err(|errors| {
        let (name, kind) = errors.into_iter().flat_map(|(_, errors)| errors).next().unwrap_or((text, Undefined::Mod));
        let what = match kind {
            Undefined::Filter(arity @ 1..) => format!("no filter {name}/{arity}"),
            kind => format!("no {} {name}", kind.as_str()),
        };
        at(text, what, name)
    })
}

fn unread(text: &str, error: load::Error<&str>) -> Invalid {
    let (what, found) = match error {
        load::Error::Io(errors) => errors.first().map(|(path, _)| ("modules cannot be loaded".to_owned(), *path)),
        load::Error::Lex(errors) => {
            errors.first().map(|(wanted, found)| (format!("expected {}", wanted.as_str()), *found))
        }
        load::Error::Parse(errors) => {
            errors.first().map(|(wanted, found)| (format!("expected {}", wanted.as_str()), *found))
        }
    }
    .unwrap_or_else(|| ("it cannot be read".to_owned(), ""));
    at(text, what, found)
}

fn at(text: &str, what: impl Into<String>, found: &str) -> Invalid {
    Invalid::At { what: what.into(), place: Place::of(text, found) }
}

/// The first bracket that is nested too deep. Those in strings count, where they are rare.
fn too_deep_bracket(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    text.bytes().position(|byte| {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > DEEPEST
    })
}
