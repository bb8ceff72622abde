//! Boolean dependencies (<https://rpm-software-management.github.io/rpm/manual/boolean_dependencies.html>), as trees.
//!
//! Input: the text of any dependency. Output: a [`Rich`]. The text is read once from left to right; parentheses go
//! [`Rich::DEPTH`] deep and a text names at most [`Rich::OPERANDS`] dependencies, so no text takes long or overflows a stack.

use std::fmt;

use crate::Dependency;

/// A dependency as a tree; a plain one is a leaf.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Rich {
    /// A capability.
    Simple(Dependency),
    /// `(A and B and …)`: all of them.
    And(Vec<Rich>),
    /// `(A or B or …)`: one of them.
    Or(Vec<Rich>),
    /// `(A with B with …)`: one package that provides all of them.
    With(Vec<Rich>),
    /// `(A without B)`: a package that provides `A` and does not provide `B`.
    Without(Box<Rich>, Box<Rich>),
    /// `(A if B)`, `(A if B else C)`.
    If(Box<Rich>, Box<Rich>, Option<Box<Rich>>),
    /// `(A unless B)`, `(A unless B else C)`.
    Unless(Box<Rich>, Box<Rich>, Option<Box<Rich>>),
}

/// A text is no dependency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a dependency: {why}")]
pub struct ParseError {
    /// The text, cut where it is long.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Rich {
    /// How deep parentheses may go.
    pub const DEPTH: usize = 32;
    /// How many capabilities one expression may name.
    pub const OPERANDS: usize = 4096;

    /// Reads a dependency: boolean in parentheses, plain without.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let fail = |why| ParseError {
            text: text.chars().take(200).collect(),
            why,
        };
        if !text.trim_start().starts_with('(') {
            return (text.parse().map(Self::Simple))
                .map_err(|_| fail("a name, or a name, an operator and a version"));
        }
        let mut reader = Reader {
            words: Words { rest: text },
            operands: 0,
        };
        let open = reader.words.next();
        debug_assert_eq!(open, Some("("));
        let tree = reader.group(0).map_err(fail)?;
        match reader.words.next() {
            None => Ok(tree),
            Some(_) => Err(fail("something follows the last parenthesis")),
        }
    }

    /// Of a dependency as packages have it.
    pub fn of(dependency: &Dependency) -> Result<Self, ParseError> {
        match dependency.is_rich() {
            true => Self::parse(&dependency.name),
            false => Ok(Self::Simple(dependency.clone())),
        }
    }

    /// The same expression of other capabilities: what `each` makes of those that it has.
    #[must_use]
    pub fn map(&self, each: &dyn Fn(&Dependency) -> Dependency) -> Self {
        let list = |list: &[Self]| list.iter().map(|item| item.map(each)).collect();
        let boxed = |rich: &Self| Box::new(rich.map(each));
        let maybe = |rich: &Option<Box<Self>>| rich.as_deref().map(boxed);
        match self {
            Self::Simple(dependency) => Self::Simple(each(dependency)),
            Self::And(items) => Self::And(list(items)),
            Self::Or(items) => Self::Or(list(items)),
            Self::With(items) => Self::With(list(items)),
            Self::Without(one, other) => Self::Without(boxed(one), boxed(other)),
            Self::If(then, condition, otherwise) => Self::If(boxed(then), boxed(condition), maybe(otherwise)),
            Self::Unless(then, condition, otherwise) => {
                Self::Unless(boxed(then), boxed(condition), maybe(otherwise))
            }
        }
    }

    /// Calls `each` with every capability named in it, from left to right.
    pub fn leaves<'a>(&'a self, each: &mut dyn FnMut(&'a Dependency)) {
        match self {
            Self::Simple(dependency) => each(dependency),
            Self::And(list) | Self::Or(list) | Self::With(list) => {
                for item in list {
                    item.leaves(each);
                }
            }
            Self::Without(one, other) => {
                one.leaves(each);
                other.leaves(each);
            }
            Self::If(then, condition, otherwise) | Self::Unless(then, condition, otherwise) => {
                then.leaves(each);
                condition.leaves(each);
                if let Some(otherwise) = otherwise {
                    otherwise.leaves(each);
                }
            }
        }
    }
}

impl fmt::Display for Rich {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, list: &[Self], word: &str| {
            for (i, item) in list.iter().enumerate() {
                write!(f, "{}{item}", if i == 0 { "(" } else { word })?;
            }
            f.write_str(")")
        };
        match self {
            Self::Simple(dependency) => write!(f, "{dependency}"),
            Self::And(items) => list(f, items, " and "),
            Self::Or(items) => list(f, items, " or "),
            Self::With(items) => list(f, items, " with "),
            Self::Without(one, other) => write!(f, "({one} without {other})"),
            Self::If(then, condition, None) => write!(f, "({then} if {condition})"),
            Self::If(then, condition, Some(other)) => write!(f, "({then} if {condition} else {other})"),
            Self::Unless(then, condition, None) => write!(f, "({then} unless {condition})"),
            Self::Unless(then, condition, Some(other)) => {
                write!(f, "({then} unless {condition} else {other})")
            }
        }
    }
}

/// Words: a parenthesis that groups, or what stands between spaces. `libz.so.1()(64bit)` is one word.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        let first = *self.rest.as_bytes().first()?;
        let mut open = 0;
        let end = match first {
            b'(' | b')' => 1,
            _ => (self.rest.bytes())
                .position(|byte| match byte {
                    b' ' | b'\t' => true,
                    b'(' => {
                        open += 1;
                        false
                    }
                    b')' if open > 0 => {
                        open -= 1;
                        false
                    }
                    b')' => true,
                    _ => false,
                })
                .unwrap_or(self.rest.len()),
        };
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(word)
    }
}

struct Reader<'a> {
    words: Words<'a>,
    operands: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a str> {
        Words {
            rest: self.words.rest,
        }
        .next()
    }

    /// What follows `(`, with its `)`.
    fn group(&mut self, depth: usize) -> Result<Rich, &'static str> {
        if depth >= Rich::DEPTH {
            return Err("parentheses go too deep");
        }
        let mut list = vec![self.operand(depth)?];
        let mut operator = "";
        let mut has_else = false;
        loop {
            match self.words.next().ok_or("a parenthesis is not closed")? {
                ")" => break,
                word @ ("and" | "or" | "with" | "without" | "if" | "unless") if operator.is_empty() => {
                    operator = word
                }
                word @ ("and" | "or" | "with") if operator == word => {}
                "else" if matches!(operator, "if" | "unless") && !has_else => has_else = true,
                "and" | "or" | "with" | "without" | "if" | "unless" | "else" => {
                    return Err("different operators need parentheses of their own");
                }
                _ => return Err("an operator is expected: and, or, with, without, if, unless"),
            }
            list.push(self.operand(depth)?);
        }
        build(operator, list)
    }

    fn operand(&mut self, depth: usize) -> Result<Rich, &'static str> {
        self.operands += 1;
        if self.operands > Rich::OPERANDS {
            return Err("too many operands");
        }
        let name = match self.words.next().ok_or("an operand is missing")? {
            "(" => return self.group(depth + 1),
            ")" => return Err("an operand is missing"),
            name => name,
        };
        let text = match self.peek() {
            Some(operator) if operator.starts_with(['<', '>', '=']) => {
                self.words.next();
                let version = self.words.next().ok_or("a version is missing")?;
                format!("{name} {operator} {version}")
            }
            _ => name.to_owned(),
        };
        text.parse()
            .map(Rich::Simple)
            .map_err(|_| "an operand is no dependency")
    }
}

fn build(operator: &str, list: Vec<Rich>) -> Result<Rich, &'static str> {
    let only_sets = |list: &[Rich]| {
        (list.iter()).all(|item| {
            matches!(
                item,
                Rich::Simple(_) | Rich::With(_) | Rich::Without(..) | Rich::Or(_)
            )
        })
    };
    if matches!(operator, "with" | "without") && !only_sets(&list) {
        return Err("`with` and `without` speak of one package: no `and`, `if` or `unless` inside");
    }
    let mut parts = list.into_iter();
    Ok(match operator {
        "and" => Rich::And(parts.collect()),
        "or" => Rich::Or(parts.collect()),
        "with" => Rich::With(parts.collect()),
        _ => {
            let mut part = || parts.next().map(Box::new);
            let first = part().ok_or("an operand is missing")?;
            match (operator, part(), part()) {
                ("", None, _) => *first,
                ("without", Some(other), None) => Rich::Without(first, other),
                ("if", Some(condition), otherwise) => Rich::If(first, condition, otherwise),
                ("unless", Some(condition), otherwise) => Rich::Unless(first, condition, otherwise),
                _ => return Err("an operator is expected"),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_dependency() {
        for text in [
            "a",
            "a >= 2:1.0-3",
            "(a or b >= 2)",
            "(a and (b or c) and d)",
            "(a if b else c)",
            "(a unless b)",
            "(a unless (b and c) else d)",
            "(a with b < 2 with c)",
            "(a without b)",
            "(libz.so.1()(64bit) if pkgconfig(z) > 1)",
            "((a with b) or (c without d))",
        ] {
            assert_eq!(Rich::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Rich::parse("(a)").unwrap().to_string(), "a");
        assert_eq!(Rich::parse(" ( a  or\tb )").unwrap().to_string(), "(a or b)");
    }

    #[test]
    fn what_is_none() {
        for text in [
            "",
            "(",
            "()",
            "(a",
            "(a or",
            "(a or)",
            "(a or b",
            "(a or b) c",
            "(a or b and c)",
            "(a without b without c)",
            "(a if b if c)",
            "(a if b else c else d)",
            "(a b)",
            "(a >=)",
            "(a >= )",
            "((a and b) with c)",
            "(a else b)",
        ] {
            assert!(Rich::parse(text).is_err(), "{text}");
        }
        let deep = "(".repeat(100_000) + "a";
        assert_eq!(Rich::parse(&deep).unwrap_err().why, "parentheses go too deep");
        let long = format!("(a{})", " or a".repeat(100_000));
        assert_eq!(Rich::parse(&long).unwrap_err().why, "too many operands");
    }
}
