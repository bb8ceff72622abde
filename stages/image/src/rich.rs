//! Boolean dependencies (<https://rpm-software-management.github.io/rpm/manual/boolean_dependencies.html>): `and`,
//! `or`, `if … else`. `with`, `without` and `unless`, which no package of Keel uses, are refused.

use keel_artefact::Dependency;

/// A requirement as a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expr {
    Atom(Dependency),
    All(Vec<Expr>),
    Any(Vec<Expr>),
    If {
        then: Box<Expr>,
        condition: Box<Expr>,
        otherwise: Option<Box<Expr>>,
    },
}

/// How deep parentheses may go.
const DEPTH: usize = 16;

/// Parses any dependency; none for one that cannot be understood.
pub(crate) fn parse(dependency: &Dependency) -> Option<Expr> {
    if !dependency.is_rich() {
        return Some(Expr::Atom(dependency.clone()));
    }
    let mut words = words(&dependency.name);
    words.reverse();
    let expr = group(&mut words, 0)?;
    words.is_empty().then_some(expr)
}

/// Splits at spaces and at parentheses that group; `libz.so.1()(64bit)` stays one word.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut open = 0;
    for c in text.chars() {
        match c {
            '(' if word.is_empty() => words.push("(".to_owned()),
            '(' => {
                open += 1;
                word.push(c);
            }
            ')' if open > 0 => {
                open -= 1;
                word.push(c);
            }
            ')' | ' ' => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                if c == ')' {
                    words.push(")".to_owned());
                }
            }
            _ => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// `( A )`, `( A op B op C )`.
fn group(words: &mut Vec<String>, depth: usize) -> Option<Expr> {
    if depth > DEPTH || words.pop()? != "(" {
        return None;
    }
    let mut list = vec![operand(words, depth)?];
    let mut operator: Option<String> = None;
    loop {
        let word = words.pop()?;
        if word == ")" {
            break;
        }
        let chained = match (&operator, word.as_str()) {
            (None, "and" | "or" | "if") => true,
            (Some(first), word) => (first == word && word != "if") || (first == "if" && word == "else"),
            _ => false,
        };
        if !chained {
            return None;
        }
        operator.get_or_insert(word);
        list.push(operand(words, depth)?);
    }
    match operator.as_deref() {
        None => list.pop(),
        Some("and") => Some(Expr::All(list)),
        Some("or") => Some(Expr::Any(list)),
        _ => {
            let mut parts = list.into_iter().map(Box::new);
            let (then, condition) = (parts.next()?, parts.next()?);
            let otherwise = parts.next();
            parts.next().is_none().then_some(Expr::If {
                then,
                condition,
                otherwise,
            })
        }
    }
}

fn operand(words: &mut Vec<String>, depth: usize) -> Option<Expr> {
    if words.last()? == "(" {
        return group(words, depth + 1);
    }
    let name = words.pop()?;
    let is_operator = words.last().is_some_and(|word| word.starts_with(['<', '>', '=']));
    let text = match is_operator {
        true => format!("{name} {} {}", words.pop()?, words.pop()?),
        false => name,
    };
    text.parse().ok().map(Expr::Atom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(expr: &Expr) -> String {
        let list = |list: &[Expr], word: &str| list.iter().map(show).collect::<Vec<_>>().join(word);
        match expr {
            Expr::Atom(dependency) => dependency.to_string(),
            Expr::All(all) => format!("[{}]", list(all, " & ")),
            Expr::Any(any) => format!("[{}]", list(any, " | ")),
            Expr::If {
                then,
                condition,
                otherwise,
            } => {
                let otherwise = otherwise
                    .as_deref()
                    .map_or(String::new(), |expr| format!(" : {}", show(expr)));
                format!("[{} ? {}{otherwise}]", show(condition), show(then))
            }
        }
    }

    #[test]
    fn expressions() {
        for (text, shown) in [
            ("a", Some("a")),
            ("(a or b >= 2)", Some("[a | b >= 2]")),
            ("(a and (b or c) and d)", Some("[a & [b | c] & d]")),
            ("(a if b else c)", Some("[b ? a : c]")),
            (
                "(libz.so.1()(64bit) if pkgconfig(z) > 1)",
                Some("[pkgconfig(z) > 1 ? libz.so.1()(64bit)]"),
            ),
            ("(a with b)", None),
            ("(a or b and c)", None),
            ("(a or", None),
            ("(a or b) c", None),
            ("(", None),
            ("()", None),
            ("(((((((((((((((((((((((((((((a", None),
        ] {
            let dependency = text.parse().unwrap();
            assert_eq!(parse(&dependency).as_ref().map(show).as_deref(), shown, "{text}");
        }
    }
}
