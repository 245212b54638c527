//! Builds WHERE clauses.

use super::dialect::Dialect;
use super::value::Value;
use crate::domain::owner::Owner;

/// Conditions joined by AND, and the statement's parameters so far.
#[derive(Debug)]
pub struct Conditions<'a> {
    dialect: Dialect,
    text: String,
    values: Vec<Value<'a>>,
}

impl<'a> Conditions<'a> {
    /// No conditions; `values` are the parameters before the clause.
    pub fn after(dialect: Dialect, values: Vec<Value<'a>>) -> Conditions<'a> {
        Conditions { dialect, text: String::new(), values }
    }

    pub fn add(&mut self, condition: &str) {
        self.text += if self.text.is_empty() { "WHERE " } else { " AND " };
        self.text += condition;
    }

    /// Adds a parameter and returns its name.
    pub fn bind(&mut self, value: impl Into<Value<'a>>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// Adds `left` and the value; `left` ends in an operator: `d.id <`. Does nothing without a value.
    pub fn compare(&mut self, left: &str, value: Option<impl Into<Value<'a>>>) {
        if let Some(value) = value {
            let right = self.bind(value);
            self.add(&format!("{left} {right}"));
        }
    }

    /// One owner, or no owner; any if not given.
    pub fn owner(&mut self, column: &str, owner: Option<&'a Owner>) {
        match owner {
            Some(Owner::Named(name)) => self.compare(&format!("{column} ="), Some(name.as_str())),
            Some(Owner::Nobody) => self.add(&format!("{column} IS NULL")),
            None => {}
        }
    }

    /// One of a short list, spelled so that an index is used; any if the list is empty.
    pub fn one_of<T>(&mut self, column: &str, list: &'a [T])
    where
        &'a T: Into<Value<'a>>,
    {
        if !list.is_empty() {
            let names: Vec<String> = list.iter().map(|value| self.bind(value)).collect();
            self.add(&format!("{column} IN ({})", names.join(", ")));
        }
    }

    /// An event type or pattern; any if not given.
    pub fn event_type(&mut self, column: &str, pattern: Option<&'a str>) {
        match pattern {
            Some(pattern) if pattern.contains('*') => {
                let parameter = self.bind(self.dialect.pattern(pattern));
                self.add(&self.dialect.matches(column, &parameter));
            }
            exact => self.compare(&format!("{column} ="), exact),
        }
    }

    /// The statement that counts the rows of `select`, up to `most`.
    pub fn count(self, select: &str, most: Option<u64>) -> (String, Vec<Value<'a>>) {
        let (rows, values) = self.query(select, "", most);
        (format!("SELECT count(*) FROM ({rows}) AS found"), values)
    }

    /// The statement `select … WHERE … end LIMIT limit`, and its parameters.
    pub fn query(mut self, select: &str, end: &str, limit: Option<u64>) -> (String, Vec<Value<'a>>) {
        let mut sql = format!("{select} {} {end}", self.text);
        if let Some(limit) = limit {
            sql += &format!(" LIMIT {}", self.bind(limit as i64));
        }
        (sql, self.values)
    }
}
