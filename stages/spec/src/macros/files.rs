//! Macro files: their reading.
//!
//! A definition begins with a `%` that is the first in its line, and goes on over a line that ends in a backslash or
//! leaves a bracket of a macro open (`%{`, `%(`, `%[`). Every other line means nothing, whatever it ends in. A body of
//! any length is read whole; rpm cuts it at 16 KiB.

use std::{borrow::Cow, sync::Arc};

use super::{
    Behaviour, Engine, Failed, Table, level,
    text::{self, Open},
};

impl Engine {
    /// An engine that only makes definitions: it has no world, so it must not expand.
    pub(crate) fn for_loading(table: Table, behaviour: Behaviour) -> Self {
        Self {
            table,
            behaviour,
            ..Self::default()
        }
    }

    /// The macros, when the engine is needed no more.
    pub(crate) fn into_table(self) -> Table {
        self.table
    }

    /// Makes the definitions of a macro file, which messages call `name`; gives how many failed.
    pub fn load_text(&mut self, name: &str, text: &str) -> usize {
        let name: Arc<str> = name.into();
        let before = self.set_place(None);
        let mut failed = 0;
        for (line, definition) in (Definitions { rest: text, line: 0 }) {
            self.set_place(Some((name.clone(), line)));
            if self.define(&definition, level::MACROFILES).is_err() {
                failed += 1;
            }
        }
        self.set_place(before);
        failed
    }

    /// `%{load:PATH}`: fails when the file cannot be read or a definition in it fails; the caller says that it did.
    pub(super) fn load(&mut self, path: &str) -> Result<(), Failed> {
        let bytes = self.world().read(path).map_err(|_| Failed)?;
        match self.load_text(path, &text::decode(&bytes)) {
            0 => Ok(()),
            _ => Err(Failed),
        }
    }
}

/// The definitions of a macro file without their `%`, each with the number of its last line.
struct Definitions<'t> {
    rest: &'t str,
    line: u32,
}

impl<'t> Definitions<'t> {
    /// The next line with its end.
    fn line(&mut self) -> &'t str {
        let length = self.rest.find('\n').map_or(self.rest.len(), |end| end + 1);
        let (line, rest) = self.rest.split_at(length);
        self.rest = rest;
        self.line += 1;
        line
    }
}

impl<'t> Iterator for Definitions<'t> {
    type Item = (u32, Cow<'t, str>);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let start = self.rest;
            let mut line = self.line();
            let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
            if line.as_bytes().get(blanks) != Some(&b'%') {
                continue;
            }
            let mut open = Open::default();
            let complete = loop {
                open.scan(line.as_bytes());
                // Two backslashes at the end go on as well: rpm looks at the last byte only.
                if !without_end(line).ends_with('\\') && !open.brackets() {
                    break true;
                }
                if self.rest.is_empty() {
                    break false;
                }
                line = self.line();
            };
            // Only the last line loses its end, though it may be nothing but that.
            let end = if complete {
                line.len() - without_end(line).len()
            } else {
                0
            };
            let text = &start[blanks + 1..start.len() - self.rest.len() - end];
            return Some((self.line, unix(text)));
        }
        None
    }
}

fn without_end(line: &str) -> &str {
    line.trim_end_matches(['\n', '\r'])
}

/// `\r\n` as `\n`.
fn unix(text: &str) -> Cow<'_, str> {
    match text.contains("\r\n") {
        true => Cow::Owned(text.split('\n').map(without_end).collect::<Vec<_>>().join("\n")),
        false => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(text: &str) -> (Engine, usize) {
        let mut engine = Engine::for_loading(Table::default(), Behaviour::Rpm420);
        let failed = engine.load_text("macros.test", text);
        (engine, failed)
    }

    fn body(text: &str, name: &str) -> Option<String> {
        let (engine, _) = loaded(text);
        engine.table().get(name).map(|found| found.text().to_owned())
    }

    #[test]
    fn lines_are_joined_as_rpm_joins_them() {
        let cases = [
            ("%aa one\n%bb two\n", Some("one"), Some("two")),
            ("  \t%aa  one  \n%bb two", Some("one"), Some("two")),
            ("%aa one\\\n two\n%bb 2\n", Some("one\n two"), Some("2")),
            ("%aa one\\\r\n two\r\n%bb 2\r\n", Some("one\n two"), Some("2")),
            ("%aa %{x:\n y\n}\n%bb 2\n", Some("%{x:\n y\n}"), Some("2")),
            ("%aa %(echo\n)\n%bb %[1\n]\n", Some("%(echo\n)"), None),
            // A line that is no definition is skipped alone.
            ("# c \\\n%aa 1\ntext %{\n%bb 2\n", Some("1"), Some("2")),
            ("%aa x%%{\n%bb 2\n", Some("x%%{"), Some("2")),
            ("%aa one\\\n\n%bb two\n", Some("one"), Some("two")),
            // The last line needs no end; one that should go on is taken as it is.
            ("%aa 1\\\n", Some("1"), None),
            ("%aa() %1 %2\n", Some("%1 %2"), None),
        ];
        for (text, aa, bb) in cases {
            assert_eq!(body(text, "aa").as_deref(), aa, "{text:?}");
            assert_eq!(body(text, "bb").as_deref(), bb, "{text:?}");
        }
    }

    #[test]
    fn a_long_body_is_whole() {
        let text = format!("%long {}end\n", "x\\\n".repeat(40_000));
        assert_eq!(body(&text, "long").map(|body| body.len()), Some(80_003));
    }

    #[test]
    fn failures_are_counted_and_name_the_line() {
        let (mut engine, failed) = loaded("%good 1\n\n%2bad\\\n x\n%empty\n%other 2\n");
        assert_eq!(failed, 2);
        let said = engine.take_messages();
        assert!(said[0].text.starts_with("macros.test: line 4: "), "{said:?}");
        assert!(said[1].text.starts_with("macros.test: line 5: "), "{said:?}");
        assert!(engine.is_defined("good") && engine.is_defined("other"));
    }
}
