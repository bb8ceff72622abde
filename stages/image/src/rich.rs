//! Boolean dependencies (<https://rpm-software-management.github.io/rpm/manual/boolean_dependencies.html>): `and`,
//! `or`, `if … else`. `with`, `without` and `unless`, which no package of Keel uses, are refused.

use keel_artefact::{Dependency, Rich};

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

/// Parses any dependency; none for one that cannot be understood.
pub(crate) fn parse(dependency: &Dependency) -> Option<Expr> {
    expr(Rich::of(dependency).ok()?)
}

/// The depth of the tree is bounded by its parser.
fn expr(rich: Rich) -> Option<Expr> {
    let all = |list: Vec<Rich>| list.into_iter().map(expr).collect::<Option<Vec<_>>>();
    let boxed = |rich: Rich| expr(rich).map(Box::new);
    Some(match rich {
        Rich::Simple(dependency) => Expr::Atom(dependency),
        Rich::And(list) => Expr::All(all(list)?),
        Rich::Or(list) => Expr::Any(all(list)?),
        Rich::If(then, condition, otherwise) => Expr::If {
            then: boxed(*then)?,
            condition: boxed(*condition)?,
            otherwise: match otherwise {
                Some(otherwise) => Some(boxed(*otherwise)?),
                None => None,
            },
        },
        Rich::With(_) | Rich::Without(..) | Rich::Unless(..) => return None,
    })
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
