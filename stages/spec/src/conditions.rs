//! The build conditions that a SPEC declares.

/// A build condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Its name.
    pub name: String,
    /// Is it on when nobody says anything? None: an expression decides.
    pub default: Option<bool>,
}

/// The conditions that `text` declares (`%bcond`, `%bcond_with`, `%bcond_without`), in the order of their lines, each once.
pub fn conditions(text: &str) -> Vec<Condition> {
    let mut found: Vec<Condition> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let default = match words.next() {
            Some("%bcond_with") => Some(false),
            Some("%bcond_without") => Some(true),
            Some("%bcond") => None,
            _ => continue,
        };
        let Some(name) = words.next() else { continue };
        let default = match (default, words.next()) {
            (None, Some("0")) => Some(false),
            (None, Some("1")) => Some(true),
            (default, _) => default,
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-+.".contains(c);
        if name.chars().all(is_plain) && found.iter().all(|known| known.name != name) {
            let name = name.to_owned();
            found.push(Condition { name, default });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_found_once_with_their_defaults() {
        let text = "%bcond_without tests\n  %bcond_with docs # later\n%bcond gui 1\n%bcond lua %{undefined rhel}\n\
                    %bcond_with tests\n%bcond_with %{odd}\n%bcond_with\n# %bcond_with comment\n";
        let shown: Vec<(String, Option<bool>)> = conditions(text)
            .into_iter()
            .map(|condition| (condition.name, condition.default))
            .collect();
        let expected = [
            ("tests", Some(true)),
            ("docs", Some(false)),
            ("gui", Some(true)),
            ("lua", None),
        ];
        assert_eq!(shown, expected.map(|(name, default)| (name.to_owned(), default)));
    }
}
