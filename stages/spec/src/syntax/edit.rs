//! Edits: replaced spans of a text, and what can go wrong with them.

use serde::Serialize;

use super::{Span, Tree};

/// Some bytes of the text, replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edit {
    /// Which bytes; none to insert.
    pub span: Span,
    /// What is there afterwards.
    pub text: String,
}

impl Edit {
    /// `text` instead of what is at `span`.
    pub fn replace(span: Span, text: impl Into<String>) -> Self {
        Self {
            span,
            text: text.into(),
        }
    }

    /// `text` before the byte at `offset`.
    pub fn insert(offset: usize, text: impl Into<String>) -> Self {
        Self::replace(Span::new(offset, offset), text)
    }

    /// Nothing instead of what is at `span`.
    pub fn remove(span: Span) -> Self {
        Self::replace(span, "")
    }
}

/// Why an edit cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Two edits want the same bytes.
    #[error("two edits overlap in line {line}")]
    Overlap {
        /// From 1.
        line: u32,
    },
    /// An edit is about bytes that are not there, or parts a character.
    #[error("an edit of bytes {start} to {end} does not fit the text")]
    NotInText {
        /// The span's.
        start: usize,
        /// The span's.
        end: usize,
    },
    /// There is no such package.
    #[error("there is no package `{package}`")]
    NoPackage {
        /// As it was asked for.
        package: String,
    },
    /// There is no such tag.
    #[error("there is no tag `{tag}`{}", with_value(.value.as_deref()))]
    NoTag {
        /// As it was asked for.
        tag: String,
        /// The value that was asked for with it.
        value: Option<String>,
    },
    /// The preamble is no section that can be added or removed.
    #[error("the preamble can be neither added nor removed")]
    Preamble,
    /// A part of what should go is in another condition than the rest.
    #[error(
        "line {line} is in another condition than the section that it ends (its `%if` starts or ends in between)"
    )]
    Straddles {
        /// From 1.
        line: u32,
    },
}

fn with_value(value: Option<&str>) -> String {
    value.map_or_else(String::new, |value| format!(" with the value `{value}`"))
}

/// `text` with all edits made. Their spans are those of `text`; inserts at one place keep their order.
pub fn apply(text: &str, edits: impl IntoIterator<Item = Edit>) -> Result<String, Error> {
    let mut edits: Vec<Edit> = edits.into_iter().collect();
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for edit in &edits {
        let Span { start, end } = edit.span;
        if start > end || !text.is_char_boundary(start) || !text.is_char_boundary(end) {
            return Err(Error::NotInText { start, end });
        }
        if start < at {
            let line = Tree::parse(text).position(start).line;
            return Err(Error::Overlap { line });
        }
        out.push_str(&text[at..start]);
        out.push_str(&edit.text);
        at = end;
    }
    out.push_str(&text[at..]);
    Ok(out)
}
