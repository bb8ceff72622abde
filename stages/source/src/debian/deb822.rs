//! Paragraphs of fields (deb822(5)): every index and configuration of Debian's archive has this form.
//!
//! Read as a stream, paragraph by paragraph, within limits: an index of any size costs the memory of one paragraph.

use std::io::{self, BufRead, Read as _};

/// The longest line that is read, in bytes.
const MAX_LINE: u64 = 1 << 20;
/// The biggest paragraph that is read, in bytes (the digests of `InRelease` are about 140 KB).
const MAX_PARAGRAPH: usize = 16 << 20;

/// One paragraph: fields in the order given. Values keep the line breaks between their lines, without the leading
/// blank that marks a continuation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paragraph(Vec<(String, String)>);

impl Paragraph {
    /// The value of a field, whose name is compared without regard to case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// A field that holds a list of words.
    pub fn words(&self, name: &str) -> impl Iterator<Item = &str> {
        self.get(name).unwrap_or_default().split_whitespace()
    }

    /// A field that holds one record a line, each of words.
    pub fn records(&self, name: &str) -> impl Iterator<Item = Vec<&str>> {
        let lines = self.get(name).unwrap_or_default().lines();
        lines
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|words| !words.is_empty())
    }

    /// All fields.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A text is not made of such paragraphs.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// A line is neither a field nor the continuation of one.
    #[error("line {line}: neither `Field: value` nor a continuation")]
    Line {
        /// From 1.
        line: u64,
    },
    /// A line is not UTF-8.
    #[error("line {line}: not UTF-8")]
    Encoding {
        /// From 1.
        line: u64,
    },
    /// A line or paragraph is bigger than anything sensible.
    #[error("line {line}: the line or its paragraph is too long")]
    TooLong {
        /// From 1.
        line: u64,
    },
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The paragraphs that a reader gives. Comment lines (`#`) are left out.
#[derive(Debug)]
pub struct Paragraphs<R> {
    reader: R,
    line: u64,
    ended: bool,
}

impl<R: BufRead> Paragraphs<R> {
    /// Reads from `reader`.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            line: 0,
            ended: false,
        }
    }

    fn paragraph(&mut self) -> Result<Option<Paragraph>, ParseError> {
        let mut paragraph = Paragraph::default();
        let mut size = 0;
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let read = (&mut self.reader).take(MAX_LINE).read_until(b'\n', &mut bytes)?;
            if read == 0 {
                self.ended = true;
                return Ok((!paragraph.is_empty()).then_some(paragraph));
            }
            self.line += 1;
            let line = self.line;
            size += read;
            if read as u64 == MAX_LINE || size > MAX_PARAGRAPH {
                return Err(ParseError::TooLong { line });
            }
            let text = std::str::from_utf8(&bytes)
                .map_err(|_| ParseError::Encoding { line })?
                .trim_end();
            if text.starts_with('#') {
                continue;
            }
            if text.is_empty() {
                if paragraph.is_empty() {
                    continue;
                }
                return Ok(Some(paragraph));
            }
            if text.starts_with([' ', '\t']) {
                let (_, value) = paragraph.0.last_mut().ok_or(ParseError::Line { line })?;
                value.push('\n');
                value.push_str(text.trim_start());
            } else {
                let (name, value) = text.split_once(':').ok_or(ParseError::Line { line })?;
                if name.is_empty() || name.contains(char::is_whitespace) {
                    return Err(ParseError::Line { line });
                }
                paragraph.0.push((name.to_owned(), value.trim_start().to_owned()));
            }
        }
    }
}

impl<R: BufRead> Iterator for Paragraphs<R> {
    type Item = Result<Paragraph, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.paragraph().transpose();
        self.ended |= matches!(next, Some(Err(_)) | None);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &[u8]) -> Result<Vec<Paragraph>, ParseError> {
        Paragraphs::new(text).collect()
    }

    #[test]
    fn fields_continuations_and_comments() {
        let text = "\n\n# note\nPackage: a\nFiles:\n x 1\n\ty 2\n# in between\n z 3\nEmpty:\n\n\nPackage:b\n";
        let paragraphs = parse(text.as_bytes()).unwrap();
        assert_eq!(paragraphs.len(), 2);
        assert_eq!(paragraphs[0].get("package"), Some("a"));
        let records: Vec<_> = paragraphs[0].records("Files").collect();
        assert_eq!(records, [["x", "1"], ["y", "2"], ["z", "3"]]);
        assert_eq!(paragraphs[0].get("Empty"), Some(""));
        assert_eq!(paragraphs[1].get("Package"), Some("b"));
        assert_eq!(paragraphs[1].get("Files"), None);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, message) in [
            (&b" x\n"[..], "line 1: neither `Field: value` nor a continuation"),
            (
                b"A: 1\nnonsense\n",
                "line 2: neither `Field: value` nor a continuation",
            ),
            (
                b"A: 1\n: x\n",
                "line 2: neither `Field: value` nor a continuation",
            ),
            (b"A: \xff\n", "line 1: not UTF-8"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), message);
        }
        let long = vec![b'a'; MAX_LINE as usize + 5];
        assert!(matches!(parse(&long), Err(ParseError::TooLong { line: 1 })));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_nearly_right_text_makes_it_panic(text in "([A-Za-z-]{0,5}:?[ \t]?[a-z#:]{0,5}\n?){0,20}") {
            let _ = parse(text.as_bytes());
        }
    }
}
