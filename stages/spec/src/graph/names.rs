//! The capabilities that a requirement names.

/// The names in a requirement: its own, or those of a rich one (`(a or (b and c) if d)`).
///
/// What stands after `if` or `unless` is asked for only at times, so it is not among them.
pub(super) fn names(requirement: &str) -> Vec<&str> {
    if !requirement.starts_with('(') {
        return vec![requirement];
    }
    let (mut names, mut wants_name) = (Vec::new(), true);
    // For each open bracket: was there an `if` or `unless`?
    let mut conditions = Vec::new();
    for token in tokens(requirement) {
        match token {
            "(" => conditions.push(conditions.last().copied().unwrap_or(false)),
            ")" => drop(conditions.pop()),
            "if" | "unless" => {
                if let Some(condition) = conditions.last_mut() {
                    *condition = true;
                }
                wants_name = true;
            }
            "and" | "or" | "with" | "without" | "else" => wants_name = true,
            name if wants_name => {
                if conditions.last() == Some(&false) {
                    names.push(name);
                }
                wants_name = false;
            }
            _ => {}
        }
    }
    names
}

/// Brackets that group, and words; brackets inside a word (`pkgconfig(x)`) are the word's.
fn tokens(text: &str) -> Vec<&str> {
    let (mut tokens, mut rest) = (Vec::new(), text.trim_start());
    while let Some(first) = rest.chars().next() {
        let mut open = 0_usize;
        let end = match first {
            '(' | ')' => 1,
            _ => rest
                .find(|c: char| match c {
                    '(' => {
                        open += 1;
                        false
                    }
                    ')' if open > 0 => {
                        open -= 1;
                        false
                    }
                    ')' => true,
                    c => c.is_ascii_whitespace(),
                })
                .unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(end);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_are_always_asked_for() {
        let cases: [(&str, &[&str]); 7] = [
            ("gcc", &["gcc"]),
            ("pkgconfig(x)", &["pkgconfig(x)"]),
            ("(a or b)", &["a", "b"]),
            (
                "(a >= 1.0 and pkgconfig(b)(64bit) < 2)",
                &["a", "pkgconfig(b)(64bit)"],
            ),
            ("(a if b else c)", &["a"]),
            (
                "((a if x) or (b with (c unless y)) or d-with-e)",
                &["a", "b", "c", "d-with-e"],
            ),
            (
                "(crate(x/default) >= 1 with crate(x/default) < 2~)",
                &["crate(x/default)", "crate(x/default)"],
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(names(text), expected, "{text}");
        }
    }
}
