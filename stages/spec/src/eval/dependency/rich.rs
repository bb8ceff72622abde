//! Rich dependencies: `(a and b)`, `(a if b else c)` …

use super::{Kind, check, is_separator, sense, skip, trim_start};

/// How deep brackets may be nested.
const DEEPEST: usize = 100;

const OPERATORS: [&str; 7] = ["and", "or", "if", "unless", "else", "with", "without"];

/// What is not allowed around a part, for what stands in it.
#[derive(Clone, Copy, Default)]
struct Bans {
    with: bool,
    and: bool,
    or: bool,
}

/// Reads one rich dependency at the start of `text`; gives it in rpm's spacing, and what is after it.
pub fn parse(text: &str, kind: Kind) -> Result<(String, &str), String> {
    let mut parser = Parser {
        rest: text,
        made: String::new(),
        depth: 0,
    };
    let bans = parser.bracket()?;
    let around = match kind {
        Kind::Conflicts | Kind::Supplements | Kind::Enhances => "or",
        _ => "and",
    };
    permitted(around, bans)?;
    Ok((parser.made, parser.rest))
}

struct Parser<'t> {
    rest: &'t str,
    made: String,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn word(&mut self) -> &'t str {
        // A bracket that the word itself opened belongs to it: `perl(Foo)`.
        let mut open = 0_u32;
        let end = self.rest.bytes().position(|byte| {
            match byte {
                b'(' => open += 1,
                b')' if open == 0 => return true,
                b')' => open -= 1,
                _ => {}
            }
            is_separator(byte)
        });
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        word
    }

    fn bracket(&mut self) -> Result<Bans, String> {
        let whole = self.rest;
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("Rich dependency is nested too deeply".to_owned());
        }
        self.rest = &self.rest[1..];
        self.made.push('(');
        let mut bans = Bans::default();
        let (mut first, mut chain, mut last) = ("", "", "");
        loop {
            self.rest = skip(self.rest);
            if self.rest.starts_with(')') {
                return Err(match chain {
                    "" => "Empty rich dependency",
                    _ => "Missing argument to rich dependency op",
                }
                .to_owned());
            }
            if self.rest.starts_with('(') {
                let mut inner = self.bracket()?;
                if matches!(last, "if" | "unless") {
                    (inner.and, inner.or) = (false, false);
                }
                bans.with |= inner.with;
                bans.and |= inner.and;
                bans.or |= inner.or;
            } else {
                self.simple()?;
            }
            self.rest = skip(self.rest);
            if self.rest.is_empty() {
                return Err(format!("Unterminated rich dependency: {whole}"));
            }
            if self.rest.starts_with(')') {
                break;
            }
            last = self.operator()?;
            if first.is_empty() {
                first = last;
            }
            if last == "else" && matches!(chain, "if" | "unless") {
                chain = "";
            }
            if !chain.is_empty() && last != chain {
                return Err("Cannot chain different ops".to_owned());
            }
            if !chain.is_empty() && !matches!(last, "and" | "or" | "with") {
                return Err("Can only chain and/or/with ops".to_owned());
            }
            self.made += &format!(" {last} ");
            chain = last;
        }
        permitted(first, bans)?;
        bans.or |= first == "if";
        bans.and |= first == "unless";
        if matches!(last, "and" | "or") {
            (bans.and, bans.or) = (false, false);
        }
        bans.with |= !matches!(last, "" | "with" | "without" | "or");
        self.rest = &self.rest[1..];
        self.made.push(')');
        self.depth -= 1;
        Ok(bans)
    }

    fn simple(&mut self) -> Result<(), String> {
        let name = self.word();
        if name.is_empty() {
            return Err("Name required".to_owned());
        }
        self.made += name;
        self.rest = skip(self.rest);
        let before = self.rest;
        let operator = self.word();
        let Some(bits) = sense(operator) else {
            self.rest = before;
            return check(name, None).map(drop);
        };
        self.rest = skip(self.rest);
        let evr = self.word();
        if evr.is_empty() {
            return Err("Version required".to_owned());
        }
        let dependency = super::Dependency {
            name: String::new(),
            evr: String::new(),
            flags: bits,
        };
        self.made += &format!(" {} {evr}", dependency.operator());
        check(name, Some(evr)).map(drop)
    }

    fn operator(&mut self) -> Result<&'static str, String> {
        let rest = trim_start(self.rest);
        let end = rest
            .bytes()
            .position(|byte| super::is_space(byte) || byte == b')')
            .unwrap_or(rest.len());
        let found = OPERATORS.iter().find(|operator| **operator == &rest[..end]);
        self.rest = &rest[end..];
        found
            .copied()
            .ok_or_else(|| format!("Unknown rich dependency op '{}'", &rest[..end]))
    }
}

fn permitted(operator: &str, bans: Bans) -> Result<(), String> {
    let why = match operator {
        "with" | "without" if bans.with => "Illegal ops in with/without",
        "and" | "if" if bans.and => "Illegal context for 'unless', please use 'or' instead",
        "or" | "unless" if bans.or => "Illegal context for 'if', please use 'and' instead",
        _ => return Ok(()),
    };
    Err(why.to_owned())
}
