//! What parametric macros are given: splitting, options, and the macros that arguments are.

use std::sync::Arc;

use super::{
    Behaviour, Engine, Severity,
    expand::Frame,
    table::{Body, Definition},
};

/// What `%{quote:…}` puts around a text that is one argument: ASCII's unit separator.
pub(super) const QUOTE: char = '\x1f';

/// Splits at blanks outside of quotes; a quoted text is an argument even if it is empty.
pub(super) fn split(text: &str, separators: &[char]) -> Vec<String> {
    let (mut words, mut word, mut raw, mut quoted) = (Vec::new(), String::new(), 0, false);
    for c in text.chars() {
        if !quoted && separators.contains(&c) {
            if raw > 0 {
                words.push(std::mem::take(&mut word));
            }
            raw = 0;
            continue;
        }
        raw += 1;
        if c == QUOTE {
            quoted = !quoted;
        } else {
            word.push(c);
        }
    }
    // What a quote that is never closed holds is lost, as in rpm.
    if raw > 0 && !quoted {
        words.push(word);
    }
    words
}

/// Each word in quotes.
pub(super) fn quote(words: &[String], separator: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("{QUOTE}{word}{QUOTE}")).collect();
    quoted.join(separator)
}

/// One option that was given: its letter, and its argument.
pub(super) type Given = (char, Option<String>);

/// The options among `words`, and the words that are none, or the letter of an option that is unknown.
///
/// As glibc's `getopt`: words that are no options may stand between options; `+` at the start of `options` ends options
/// at the first such word, and `--` ends them always. The options `-` mean that nothing is an option.
pub(super) fn options(options: &str, words: &[String]) -> Result<(Vec<Given>, Vec<String>), char> {
    if options == "-" {
        return Ok((Vec::new(), words.to_vec()));
    }
    let in_order = options.starts_with('+');
    let letters = options.trim_start_matches(['+', '-']);
    let (mut given, mut rest) = (Vec::new(), Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            rest.extend(words.by_ref().cloned());
            break;
        }
        let Some(cluster) = word.strip_prefix('-').filter(|cluster| !cluster.is_empty()) else {
            rest.push(word.clone());
            if in_order {
                rest.extend(words.by_ref().cloned());
            }
            continue;
        };
        for (at, letter) in cluster.char_indices() {
            let known = letters.find(letter).filter(|_| letter != ':');
            let Some(known) = known else {
                return Err(letter);
            };
            let wants = &letters[known + letter.len_utf8()..];
            if !wants.starts_with(':') {
                given.push((letter, None));
                continue;
            }
            let attached = &cluster[at + letter.len_utf8()..];
            let argument = match attached.is_empty() {
                false => Some(attached.to_owned()),
                true if wants.starts_with("::") => None,
                true => Some(words.next().ok_or(letter)?.clone()),
            };
            given.push((letter, argument));
            break;
        }
    }
    Ok((given, rest))
}

impl Engine {
    /// Takes the arguments of a macro from `source`, expanded unless `raw`; gives where the text goes on.
    pub(super) fn grab(
        &mut self,
        frame: &mut Frame,
        raw: bool,
        arguments: &mut Vec<String>,
        source: &str,
        (from, to): (usize, usize),
        split_words: bool,
    ) -> usize {
        let text = &source[from..to];
        if raw {
            arguments.push(text.to_owned());
        } else {
            let keep = frame.keep_quotes || split_words;
            let (text, _, _) = self.apart(frame, text, keep);
            match split_words {
                true => arguments.extend(split(&text, &[' ', '\t'])),
                false => arguments.push(text),
            }
        }
        let bytes = source.as_bytes();
        match bytes.get(to) {
            None => to,
            Some(b'\n') if to == 0 || bytes[to - 1] != b'\\' => to,
            Some(_) => to + 1,
        }
    }

    /// Defines what the body of a parametric macro may ask: `%0`, `%1` …, `%#`, `%*`, `%**`, `%-f`, `%{-f*}`.
    pub(super) fn bind(&mut self, frame: &mut Frame, definition: &Arc<Definition>, arguments: Arc<[String]>) {
        frame.level += 1;
        let level = frame.level;
        let words = &arguments[1..];
        let (all, quoted) = match self.behaviour {
            Behaviour::Rpm418 => (words.join(" "), false),
            _ => (quote(words, " "), true),
        };
        self.automatic("0", &definition.name, level, false);
        self.automatic("**", &all, level, quoted);
        let letters = definition.options.as_deref().unwrap_or("");
        match options(letters, words) {
            Err(letter) => {
                let name = &definition.name;
                self.fail(frame, &format!("Unknown option {letter} in {name}({letters})"));
            }
            Ok((given, rest)) => {
                for (letter, argument) in given {
                    let body = match &argument {
                        Some(argument) => format!("-{letter} {argument}"),
                        None => format!("-{letter}"),
                    };
                    self.automatic(&format!("-{letter}"), &body, level, false);
                    if let Some(argument) = argument {
                        self.automatic(&format!("-{letter}*"), &argument, level, false);
                    }
                }
                self.automatic("#", &rest.len().to_string(), level, false);
                for (index, word) in rest.iter().enumerate() {
                    self.automatic(&(index + 1).to_string(), word, level, false);
                }
                self.automatic("*", &rest.join(" "), level, false);
            }
        }
        frame.caller = Some(definition.clone());
        frame.arguments = Some(arguments);
    }

    fn automatic(&mut self, name: &str, text: &str, level: i32, quoted: bool) {
        let mut definition = Definition::new(name, None, Body::Literal(text.into()), level);
        definition.automatic = true;
        definition.quoted = quoted;
        self.table.push(definition);
    }

    /// Takes away what was defined at this frame's level, and says which definitions nobody used.
    pub(super) fn unbind(&mut self, frame: &mut Frame) {
        for name in self.table.scoped(frame.level) {
            let Some(definition) = self.table.get(&name) else {
                continue;
            };
            if !definition.automatic && !definition.is_used() {
                definition.mark_used();
                self.say_here(
                    Severity::Warning,
                    &format!("Macro %{name} defined but not used within scope"),
                );
            }
            loop {
                let before = self.table.pop(&name).map(|before| before.level);
                // rpm 4.18 takes only the newest of several definitions in one scope away.
                let more = before.is_some_and(|level| level >= frame.level);
                if !more || self.behaviour == Behaviour::Rpm418 {
                    break;
                }
            }
        }
        self.table.tidy_scoped();
        frame.level -= 1;
        frame.arguments = None;
        frame.caller = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn options_are_found_between_words() {
        let (given, rest) = options("ab:c", &words("x -a y -bfoo -b bar -- -c")).unwrap();
        let texts: Vec<_> = given
            .iter()
            .map(|(letter, text)| (*letter, text.as_deref()))
            .collect();
        assert_eq!(texts, [('a', None), ('b', Some("foo")), ('b', Some("bar"))]);
        assert_eq!(rest, ["x", "y", "-c"]);
        assert_eq!(options("a", &words("-ab")), Err('b'));
        assert_eq!(options("a:", &words("-a")), Err('a'));
        assert_eq!(options("-", &words("-x y")).unwrap().1, ["-x", "y"]);
    }

    #[test]
    fn words_are_split_outside_of_quotes() {
        let text = "a  \x1fb c\x1f \x1f\x1f\td";
        assert_eq!(split(text, &[' ', '\t']), ["a", "b c", "", "d"]);
        assert_eq!(quote(&words("a b"), " "), "\x1fa\x1f \x1fb\x1f");
    }
}
