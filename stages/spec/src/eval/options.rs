//! Words and options of section lines, as popt reads them.

/// Splits at white space; quotes of both kinds hold words together, a backslash hides what follows it.
pub(super) fn words(line: &str) -> Result<Vec<String>, &'static str> {
    let (mut words, mut word, mut open) = (Vec::new(), None::<String>, None::<char>);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (open, c) {
            (Some(quote), c) if c == quote => open = None,
            (Some(quote), '\\') => {
                let Some(next) = chars.next() else {
                    return Err("error in parameter quoting");
                };
                let word = word.get_or_insert_default();
                if next != quote {
                    word.push('\\');
                }
                word.push(next);
            }
            (None, '"' | '\'') => {
                open = Some(c);
                word.get_or_insert_default();
            }
            (None, '\\') => {
                let Some(next) = chars.next() else {
                    return Err("error in parameter quoting");
                };
                word.get_or_insert_default().push(next);
            }
            (None, c) if u8::try_from(c).is_ok_and(crate::macros::text::is_space) => {
                words.extend(word.take().filter(|word| !word.is_empty()));
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if open.is_some() {
        return Err("error in parameter quoting");
    }
    words.extend(word.filter(|word| !word.is_empty()));
    match words.is_empty() {
        true => Err("(0) opt"),
        false => Ok(words),
    }
}

/// What stands on a section's line.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// Letters in their order, with arguments.
    pub options: Vec<(char, Option<String>)>,
    /// What is no option.
    pub rest: Vec<String>,
}

impl Given {
    /// The last argument of this option.
    pub fn argument(&self, letter: char) -> Option<&str> {
        let mut given = self.options.iter().rev();
        given.find(|(found, _)| *found == letter)?.1.as_deref()
    }

    /// Was this option given?
    pub fn has(&self, letter: char) -> bool {
        self.options.iter().any(|(found, _)| *found == letter)
    }
}

/// Reads options: `letters` as getopt's, a colon after those with an argument. The error is the bad option.
pub(super) fn options(words: &[String], letters: &str) -> Result<Given, String> {
    let mut given = Given::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            given.rest.extend(words.by_ref().cloned());
            break;
        }
        let Some(cluster) = word.strip_prefix('-').filter(|cluster| !cluster.is_empty()) else {
            given.rest.push(word.clone());
            continue;
        };
        for (at, letter) in cluster.char_indices() {
            let Some(known) = letters.find(letter).filter(|_| letter != ':' && letter != '-') else {
                return Err(word.clone());
            };
            if !letters[known + 1..].starts_with(':') {
                given.options.push((letter, None));
                continue;
            }
            let attached = cluster[at + letter.len_utf8()..].trim_start_matches('=');
            let argument = match attached.is_empty() {
                true => words.next().cloned().ok_or_else(|| word.clone())?,
                false => attached.to_owned(),
            };
            given.options.push((letter, Some(argument)));
            break;
        }
    }
    Ok(given)
}

/// An unsigned number, as C's `strtoul` with base 10 reads all of a text.
pub(super) fn number(text: &str) -> Option<u32> {
    let digits = crate::macros::text::trim_start(text);
    let digits = digits.strip_prefix('+').unwrap_or(digits);
    match digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => digits.parse().ok(),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_options() {
        let found = words("%post -n 'a b' -p\"/bin/sh -e\" c\\ d").unwrap();
        assert_eq!(found, ["%post", "-n", "a b", "-p/bin/sh -e", "c d"]);
        let given = options(&found[1..], "n:p:f:e").unwrap();
        assert_eq!(given.argument('n'), Some("a b"));
        assert_eq!(given.argument('p'), Some("/bin/sh -e"));
        assert_eq!(given.rest, ["c d"]);
        assert_eq!(options(&["-x".to_owned()], "n:").unwrap_err(), "-x");
        assert!(words("a 'b").is_err());
        assert_eq!((number("007"), number("-1"), number("1a")), (Some(7), None, None));
    }
}
