//! The arithmetic of `%if`, `%[…]` and `%{expr:…}`: integers, strings, versions.

use std::{cmp::Ordering, fmt};

use super::version::{compare_versions, is_version};
use super::{Engine, Failed, Severity, expand::macro_end, text};

/// How deep brackets and signs may be nested; an expression of rpm's has no bound, a stack has.
const DEEPEST: u32 = 200;

/// The value of an expression.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Integer(i32),
    Text(String),
    Version(String),
}

impl Value {
    pub fn is_true(&self) -> bool {
        match self {
            Self::Integer(value) => *value != 0,
            Self::Text(text) => !text.is_empty(),
            Self::Version(_) => false,
        }
    }

    fn same_type(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => write!(f, "{value}"),
            Self::Text(text) | Self::Version(text) => f.write_str(text),
        }
    }
}

#[derive(Debug, Clone)]
enum Token {
    End,
    Value(Value),
    Function(String),
    Sign(&'static str),
}

impl Token {
    fn is(&self, sign: &str) -> bool {
        matches!(self, Self::Sign(found) if *found == sign)
    }
}

/// Evaluates `source`. With `expand`, macros in its terms are expanded one by one, and none that does not matter for the
/// result; without, it has been expanded.
pub(super) fn evaluate(engine: &mut Engine, source: &str, expand: bool) -> Result<Value, Failed> {
    let mut parser = Parser {
        engine,
        source,
        at: 0,
        token: Token::End,
        expand,
        discard: false,
        depth: 0,
    };
    parser.next()?;
    let value = parser.ternary()?;
    match parser.token {
        Token::End => Ok(value),
        _ => parser.syntax_error(),
    }
}

struct Parser<'e, 's> {
    engine: &'e mut Engine,
    source: &'s str,
    /// After the token that was read last.
    at: usize,
    token: Token,
    expand: bool,
    /// What is read now has no influence on the result.
    discard: bool,
    depth: u32,
}

type Parsed<T = Value> = Result<T, Failed>;

impl Parser<'_, '_> {
    /// Reports an error, with a mark under `at` if the expression is one line.
    fn error<T>(&mut self, what: &str, at: Option<usize>) -> Parsed<T> {
        let source = self.source;
        self.engine.say(Severity::Error, format!("{what}: {source}"));
        let one_line = source.find('\n').is_none_or(|end| end + 1 == source.len());
        if let Some(at) = at.filter(|_| one_line) {
            let width = at + what.len() + 2;
            self.engine.say(Severity::Error, format!("{:>width$}", "^"));
        }
        Err(Failed)
    }

    fn syntax_error<T>(&mut self) -> Parsed<T> {
        self.error("syntax error in expression", Some(self.at))
    }

    fn byte(&self, at: usize) -> u8 {
        self.source.as_bytes().get(at).copied().unwrap_or(0)
    }

    fn next(&mut self) -> Parsed<()> {
        while text::is_space(self.byte(self.at)) {
            self.at += 1;
        }
        let at = self.at;
        let (first, second) = (self.byte(at), self.byte(at + 1));
        if at >= self.source.len() {
            self.token = Token::End;
            return Ok(());
        }
        let sign = match (first, second) {
            (b'=', b'=') => "==",
            (b'!', b'=') => "!=",
            (b'<', b'=') => "<=",
            (b'>', b'=') => ">=",
            (b'&', b'&') => "&&",
            (b'|', b'|') => "||",
            (b'+', _) => "+",
            (b'-', _) => "-",
            (b'*', _) => "*",
            (b'/', _) => "/",
            (b'(', _) => "(",
            (b')', _) => ")",
            (b'!', _) => "!",
            (b'<', _) => "<",
            (b'>', _) => ">",
            (b'?', _) => "?",
            (b':', _) => ":",
            (b',', _) => ",",
            (b'=', _) => return self.error("syntax error while parsing ==", Some(at + 2)),
            (b'&', _) => return self.error("syntax error while parsing &&", Some(at + 2)),
            (b'|', _) => return self.error("syntax error while parsing ||", Some(at + 2)),
            _ => return self.term(first, second),
        };
        self.at = at + sign.len();
        self.token = Token::Sign(sign);
        Ok(())
    }

    fn term(&mut self, first: u8, second: u8) -> Parsed<()> {
        let at = self.at;
        match (first, second) {
            (b'0'..=b'9', _) => self.integer(),
            (b'%', _) if self.expand => self.integer(),
            (b'"', _) => self.quoted(at + 1, Value::Text),
            (b'v', b'"') => self.quoted(at + 2, Value::Version),
            _ if first.is_ascii_alphabetic() => {
                let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.:".contains(byte);
                let rest = &self.source.as_bytes()[at..];
                let length = rest.iter().take_while(|byte| is_name(byte)).count();
                if self.byte(at + length) == b'(' {
                    self.token = Token::Function(self.source[at..at + length].to_owned());
                    self.at = at + length + 1;
                    return Ok(());
                }
                self.error(
                    "bare words are no longer supported, please use \"...\"",
                    Some(at + 1),
                )
            }
            _ => self.error("parse error in expression", Some(at + 1)),
        }
    }

    /// Walks from `at` over macros, to the first byte outside of them for which `ends` holds.
    fn scan(&self, mut at: usize, ends: impl Fn(u8) -> bool) -> usize {
        let bytes = self.source.as_bytes();
        while at < bytes.len() {
            if bytes[at] == b'%' && self.expand {
                at = match bytes.get(at + 1) {
                    Some(b'%') => at + 2,
                    _ => macro_end(bytes, at + 1).unwrap_or(bytes.len()),
                };
            } else if ends(bytes[at]) {
                break;
            } else {
                at += 1;
            }
        }
        at.min(bytes.len())
    }

    /// A term's text, expanded where that is asked for.
    fn text_of(&mut self, from: usize, to: usize) -> Parsed<String> {
        if self.discard || from == to {
            return Ok(String::new());
        }
        let text = &self.source[from..to];
        match self.expand {
            true => self.engine.expand(text),
            false => Ok(text.to_owned()),
        }
    }

    fn integer(&mut self) -> Parsed<()> {
        let from = self.at;
        let to = self.scan(from, |byte| !byte.is_ascii_digit());
        let text = self.text_of(from, to)?;
        let digits = text.strip_prefix('-').unwrap_or(&text);
        if self.expand && !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let word = text.starts_with(|c: char| c.is_ascii_alphabetic());
            let what = match word {
                true => "macro expansion returned a bare word, please use \"...\"",
                false => "macro expansion did not return an integer",
            };
            let _ = self.error::<()>(what, Some(from + 1));
            self.engine
                .say(Severity::Error, format!("expanded string: {text}"));
            return Err(Failed);
        }
        self.at = to;
        self.token = Token::Value(Value::Integer(integer(&text)));
        Ok(())
    }

    fn quoted(&mut self, from: usize, make: fn(String) -> Value) -> Parsed<()> {
        let to = self.scan(from, |byte| byte == b'"');
        if self.byte(to) != b'"' {
            return self.error("unterminated string in expression", Some(to + 1));
        }
        let text = self.text_of(from, to)?;
        self.at = to + 1;
        let mut value = make(text);
        if let Value::Version(version) = &mut value {
            if self.discard {
                *version = "0".to_owned();
            } else if !is_version(version) {
                return self.error("invalid version", Some(to + 1));
            }
        }
        self.token = Token::Value(value);
        Ok(())
    }

    fn ternary(&mut self) -> Parsed {
        let condition = self.logical()?;
        if !self.token.is("?") {
            return Ok(condition);
        }
        let is_true = condition.is_true();
        let before = self.discard;
        self.discard |= !is_true;
        self.next()?;
        let yes = self.deeper(Self::ternary)?;
        if !self.token.is(":") {
            return self.syntax_error();
        }
        self.discard = before || is_true;
        self.next()?;
        let no = self.deeper(Self::ternary)?;
        self.discard = before;
        self.same_type(&yes, &no)?;
        Ok(if is_true { yes } else { no })
    }

    /// `&&` and `||`, which bind alike and give the value that decided.
    fn logical(&mut self) -> Parsed {
        let mut left = self.relational()?;
        loop {
            let decided = match &self.token {
                token if token.is("&&") => !left.is_true(),
                token if token.is("||") => left.is_true(),
                _ => return Ok(left),
            };
            let before = self.discard;
            self.discard |= decided;
            self.next()?;
            let right = self.relational()?;
            self.discard = before;
            self.same_type(&left, &right)?;
            if !decided {
                left = right;
            }
        }
    }

    fn relational(&mut self) -> Parsed {
        let mut left = self.sum()?;
        loop {
            let holds: fn(Ordering) -> bool = match &self.token {
                Token::Sign("==") => Ordering::is_eq,
                Token::Sign("!=") => Ordering::is_ne,
                Token::Sign("<") => Ordering::is_lt,
                Token::Sign("<=") => Ordering::is_le,
                Token::Sign(">") => Ordering::is_gt,
                Token::Sign(">=") => Ordering::is_ge,
                _ => return Ok(left),
            };
            self.next()?;
            let right = self.sum()?;
            self.same_type(&left, &right)?;
            let ordering = match (&left, &right) {
                // rpm looks at the difference, even where that is too large for an integer.
                (Value::Integer(left), Value::Integer(right)) => left.wrapping_sub(*right).cmp(&0),
                (Value::Text(left), Value::Text(right)) => text::encode(left).cmp(&text::encode(right)),
                (Value::Version(left), Value::Version(right)) => compare_versions(left, right),
                _ => Ordering::Equal,
            };
            left = Value::Integer(holds(ordering).into());
        }
    }

    fn sum(&mut self) -> Parsed {
        let mut left = self.product()?;
        loop {
            let plus = match &self.token {
                Token::Sign("+") => true,
                Token::Sign("-") => false,
                _ => return Ok(left),
            };
            let at = self.at;
            self.next()?;
            let right = self.product()?;
            self.same_type(&left, &right)?;
            left = match (left, right, plus) {
                (Value::Integer(left), Value::Integer(right), true) => {
                    Value::Integer(left.wrapping_add(right))
                }
                (Value::Integer(left), Value::Integer(right), false) => {
                    Value::Integer(left.wrapping_sub(right))
                }
                (Value::Text(left), Value::Text(right), true) => {
                    // Each `+` may double the text: it is paid for like any other text.
                    if !self.engine.pay(left.len() + right.len()) {
                        return Err(Failed);
                    }
                    Value::Text(left + &right)
                }
                (Value::Text(_), ..) => return self.error("- not supported for strings", Some(at)),
                _ => return self.error("+ and - not supported for versions", Some(at)),
            };
        }
    }

    fn product(&mut self) -> Parsed {
        let mut left = self.primary()?;
        loop {
            let times = match &self.token {
                Token::Sign("*") => true,
                Token::Sign("/") => false,
                _ => return Ok(left),
            };
            let at = self.at;
            self.next()?;
            let right = self.primary()?;
            self.same_type(&left, &right)?;
            left = match (left, right) {
                (left @ Value::Integer(_), _) if self.discard => left,
                (Value::Integer(_), Value::Integer(0)) if !times => {
                    return self.error("division by zero", Some(at));
                }
                (Value::Integer(left), Value::Integer(right)) => Value::Integer(match times {
                    true => left.wrapping_mul(right),
                    false => left.wrapping_div(right),
                }),
                (Value::Version(_), _) => {
                    return self.error("* and / not supported for versions", Some(at));
                }
                _ => return self.error("* and / not supported for strings", Some(at)),
            };
        }
    }

    fn primary(&mut self) -> Parsed {
        let at = self.at;
        match std::mem::replace(&mut self.token, Token::End) {
            Token::Value(value) => {
                self.next()?;
                Ok(value)
            }
            Token::Function(name) => self.deeper(|parser| parser.function(&name)),
            Token::Sign("(") => {
                self.next()?;
                let value = self.deeper(Self::ternary)?;
                if !self.token.is(")") {
                    return self.error("unmatched (", Some(at));
                }
                self.next()?;
                Ok(value)
            }
            Token::Sign("-") => {
                self.next()?;
                match self.deeper(Self::primary)? {
                    Value::Integer(value) => Ok(Value::Integer(value.wrapping_neg())),
                    _ => self.error("- only on numbers", Some(at)),
                }
            }
            Token::Sign("!") => {
                self.next()?;
                let value = self.deeper(Self::primary)?;
                Ok(Value::Integer((!value.is_true()).into()))
            }
            Token::End => self.error("unexpected end of expression", Some(self.at)),
            Token::Sign(_) => self.syntax_error(),
        }
    }

    /// `lua:name(arguments)`.
    fn function(&mut self, name: &str) -> Parsed {
        let mut arguments = Vec::new();
        self.next()?;
        while !self.token.is(")") {
            arguments.push(self.ternary()?);
            if self.token.is(")") {
                break;
            }
            if !self.token.is(",") {
                return self.syntax_error();
            }
            self.next()?;
            if self.token.is(")") {
                return self.syntax_error();
            }
        }
        self.next()?;
        let Some(function) = name.strip_prefix("lua:") else {
            return self.error("unsupported funcion", Some(self.at)); // rpm's own spelling
        };
        if self.discard {
            return Ok(Value::Text(String::new()));
        }
        if arguments
            .iter()
            .any(|argument| matches!(argument, Value::Version(_)))
        {
            return self.error("unsupported function argument type", Some(self.at));
        }
        self.engine.lua_function(function, arguments).map(Value::Text)
    }

    fn same_type(&mut self, left: &Value, right: &Value) -> Parsed<()> {
        match left.same_type(right) {
            true => Ok(()),
            false => self.error("types must match", None),
        }
    }

    fn deeper(&mut self, work: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        self.depth += 1;
        if self.depth > DEEPEST {
            return self.error("nested too deeply", Some(self.at));
        }
        let value = work(self);
        self.depth -= 1;
        value
    }
}

/// What C's `atoi` makes of digits: saturating, as glibc's.
fn integer(text: &str) -> i32 {
    text.parse::<i64>()
        .map(|value| value as i32)
        .unwrap_or(if text.starts_with('-') || text.is_empty() {
            0
        } else {
            -1
        })
}
