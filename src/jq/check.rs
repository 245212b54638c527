//! Whether an expression may be stored: it is read, and its parts are looked at one by one.

use jaq_core::load::lex::{Lexer, StrPart};
use jaq_core::load::parse::{BinaryOp, Parser, Pattern, Term};
use jaq_core::path::Part;

use super::allowed::{self, Reason};
use super::parse::{self, DEEPEST, Invalid, Place};

/// Why an expression is not stored, in one line with the position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error("{what} at {place} is not allowed here: {}", reason.why)]
    NotAllowed { what: String, place: Place, reason: Reason },
}

impl Refusal {
    /// What to do instead.
    pub fn hint(&self) -> &'static str {
        match self {
            Refusal::NotAllowed { reason, .. } => reason.hint,
            Refusal::Invalid(Invalid::TooLong(_) | Invalid::TooDeep(_)) => {
                "let the program that emits the event prepare what the expression needs"
            }
            Refusal::Invalid(_) => {
                "`hookctl help shaping` has examples; quote the expression for the shell: '.data.total'"
            }
        }
    }
}

/// Checks an expression that is to be stored.
pub fn check(text: &str) -> Result<(), Refusal> {
    parse::with_large_stack(text, |text| {
        if let Err(refusal) = look(text) {
            return Ok(Err(refusal));
        }
        parse::compile(text).map(|_| Ok(()))
    })?
}

/// What cannot be read is left to the compiler, which says why. Beyond a term it reads what begins with one of three words.
fn look(text: &str) -> Result<(), Refusal> {
    let Ok(tokens) = Lexer::new(text).lex() else { return Ok(()) };
    for word in ["module", "import", "include"] {
        if tokens.first().is_some_and(|token| token.as_str() == word) {
            return Look { text }.refuse(word, tokens[0].as_str());
        }
    }
    match Parser::new(&tokens).parse(Parser::term) {
        Ok(term) => Look { text }.term(&term, 0),
        Err(_) => Ok(()),
    }
}

struct Look<'a> {
    text: &'a str,
}

impl<'a> Look<'a> {
    fn term(&self, term: &Term<&'a str>, depth: usize) -> Result<(), Refusal> {
        if depth > DEEPEST {
            let place = Place::of(self.text, first_text(term).unwrap_or(self.text));
            return Err(Invalid::TooDeep(place).into());
        }
        let inner = |term: &Term<&'a str>| self.term(term, depth + 1);
        match term {
            Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Arr(None) => Ok(()),
            Term::Var(name) => match allowed::reason(name) {
                Some(_) => self.refuse(name, name),
                None => Ok(()),
            },
            Term::Str(format, parts) => {
                format.map_or(Ok(()), |name| self.call(name, 0))?;
                parts.iter().try_for_each(|part| match part {
                    StrPart::Term(term) => inner(term),
                    _ => Ok(()),
                })
            }
            Term::Arr(Some(term)) | Term::Neg(term) => inner(term),
            // What follows a label or an operator is no deeper: a chain of them is as flat as it looks.
            Term::Label(_, term) => self.term(term, depth),
            Term::BinOp(left, operator, right) => {
                if let BinaryOp::Pipe(Some(pattern)) = operator {
                    self.pattern(pattern, depth + 1)?;
                }
                self.term(left, depth)?;
                self.term(right, depth)
            }
            Term::Obj(members) => members.iter().try_for_each(|(key, value)| {
                inner(key)?;
                value.as_ref().map_or(Ok(()), inner)
            }),
            Term::Fold(_, source, pattern, steps) => {
                inner(source)?;
                self.pattern(pattern, depth + 1)?;
                steps.iter().try_for_each(inner)
            }
            Term::TryCatch(body, handler) => {
                inner(body)?;
                handler.as_deref().map_or(Ok(()), inner)
            }
            Term::IfThenElse(branches, last) => {
                branches.iter().try_for_each(|(condition, then)| {
                    inner(condition)?;
                    inner(then)
                })?;
                last.as_deref().map_or(Ok(()), inner)
            }
            Term::Def(definitions, _) => {
                let name = definitions.first().map_or(self.text, |definition| definition.name);
                Err(self.not_allowed(format!("def {name}"), name, allowed::DEFINITION))
            }
            Term::Call(name, arguments) => {
                self.call(name, arguments.len())?;
                arguments.iter().try_for_each(inner)
            }
            Term::Path(head, path) => {
                inner(head)?;
                path.0.iter().try_for_each(|(part, _)| match part {
                    Part::Index(index) => inner(index),
                    Part::Range(from, to) => {
                        from.as_ref().map_or(Ok(()), inner)?;
                        to.as_ref().map_or(Ok(()), inner)
                    }
                })
            }
        }
    }

    fn pattern(&self, pattern: &Pattern<&'a str>, depth: usize) -> Result<(), Refusal> {
        if depth > DEEPEST {
            return Err(Invalid::TooDeep(Place::of(self.text, self.text)).into());
        }
        match pattern {
            Pattern::Var(_) => Ok(()),
            Pattern::Arr(parts) => parts.iter().try_for_each(|part| self.pattern(part, depth + 1)),
            Pattern::Obj(members) => members.iter().try_for_each(|(key, value)| {
                self.term(key, depth + 1)?;
                self.pattern(value, depth + 1)
            }),
        }
    }

    fn call(&self, name: &'a str, arguments: usize) -> Result<(), Refusal> {
        match allowed::is_allowed(name, arguments) {
            true => Ok(()),
            false => self.refuse(&told(name, arguments), name),
        }
    }

    /// Refuses a function with the reason that there is for it; without one it is a function that stored expressions lack.
    fn refuse(&self, what: &str, found: &'a str) -> Result<(), Refusal> {
        if let Some(reason) = allowed::reason(found) {
            return Err(self.not_allowed(what.to_owned(), found, reason));
        }
        let (what, place) = (format!("no filter {what}"), Place::of(self.text, found));
        Err(Invalid::At { what, place }.into())
    }

    fn not_allowed(&self, what: String, found: &str, reason: Reason) -> Refusal {
        Refusal::NotAllowed { what, place: Place::of(self.text, found), reason }
    }
}

fn told(name: &str, arguments: usize) -> String {
    match arguments {
        0 => name.to_owned(),
        count => format!("{name}/{count}"),
    }
}

/// The first word of a term that says where it is.
fn first_text<'a>(term: &Term<&'a str>) -> Option<&'a str> {
    match term {
        Term::Num(text) | Term::Break(text) | Term::Var(text) | Term::Label(text, _) | Term::Call(text, _) => {
            Some(text)
        }
        Term::Fold(text, ..) => Some(text),
        Term::Str(format, parts) => format.or_else(|| {
            parts.iter().find_map(|part| match part {
                StrPart::Str(text) => Some(*text),
                StrPart::Term(term) => first_text(term),
                StrPart::Char(_) => None,
            })
        }),
        Term::Arr(Some(term)) | Term::Neg(term) | Term::TryCatch(term, _) => first_text(term),
        Term::BinOp(left, _, right) => first_text(left).or_else(|| first_text(right)),
        Term::Obj(members) => members.first().and_then(|(key, _)| first_text(key)),
        Term::IfThenElse(branches, _) => branches.first().and_then(|(condition, _)| first_text(condition)),
        Term::Path(head, path) => first_text(head).or_else(|| match path.0.first() {
            Some((Part::Index(index), _)) => first_text(index),
            _ => None,
        }),
        Term::Id | Term::Recurse | Term::Arr(None) | Term::Def(..) => None,
    }
}

#[cfg(test)]
mod tests;
