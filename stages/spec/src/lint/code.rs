//! Looking at lines: the macros and words in them.

use crate::syntax::Span;

/// A macro as it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Use<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// From `%` to the end of the name.
    pub(super) span: Span,
}

/// The macros that are used in `text`, which starts at `offset`: `%name`, `%{name…`, `%{?name…`; nested ones too, but not
/// `%%name`, `%1`, `%(…)`.
pub(super) fn macros(text: &str, offset: usize) -> impl Iterator<Item = Use<'_>> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            at += text.get(at..)?.find('%')?;
            let percent = at;
            at += 1;
            if bytes.get(at) == Some(&b'%') {
                at += 1;
                continue;
            }
            while matches!(bytes.get(at), Some(b'{' | b'?' | b'!')) {
                at += 1;
            }
            let start = at;
            while bytes
                .get(at)
                .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            {
                at += 1;
            }
            if at > start && !bytes[start].is_ascii_digit() {
                let span = Span::new(offset + percent, offset + at);
                let name = &text[start..at];
                return Some(Use { name, span });
            }
        }
    })
}

/// Words that white space divides, with their places; `text` starts at `offset`.
pub(super) fn words(text: &str, offset: usize) -> impl Iterator<Item = (&str, Span)> {
    let bounds = move |word: &str| {
        // Both are parts of one text.
        let start = offset + (word.as_ptr() as usize - text.as_ptr() as usize);
        Span::new(start, start + word.len())
    };
    text.split_ascii_whitespace()
        .map(move |word| (word, bounds(word)))
}

/// The lines of the file that `text` has, without their ends, and where they start.
pub(super) fn physical(text: &str, offset: usize) -> impl Iterator<Item = (&str, usize)> {
    let mut start = offset;
    text.split_inclusive('\n').map(move |line| {
        let at = start;
        start += line.len();
        (line.trim_end_matches(['\n', '\r']), at)
    })
}

/// A line of a shell script without its comment.
pub(super) fn without_comment(line: &str) -> &str {
    let bytes = line.as_bytes();
    let starts = |at: &usize| {
        bytes[*at] == b'#'
            && at
                .checked_sub(1)
                .is_none_or(|before| bytes[before].is_ascii_whitespace())
    };
    let end = (0..bytes.len()).find(starts);
    &line[..end.unwrap_or(line.len())]
}

/// Does a word at the end of `text` say `path`?
fn is_path(text: &str, path: &str) -> bool {
    let before = text.strip_suffix(path).map(|before| before.bytes().next_back());
    before.is_some_and(|before| before.is_none_or(|byte| byte.is_ascii_whitespace() || byte == b'"'))
}

/// Where a shell could take `program` in `text` for the name of a program.
pub(super) fn programs(text: &str, program: &str) -> impl Iterator<Item = usize> {
    let begins = move |at: usize| {
        let before = text[..at].bytes().next_back();
        let apart = before.is_none_or(|byte| byte.is_ascii_whitespace() || b"|&;(`\"'!".contains(&byte));
        apart
            || ["/bin/", "/usr/bin/"]
                .iter()
                .any(|path| is_path(&text[..at], path))
    };
    let ends = move |at: usize| {
        text[at..]
            .bytes()
            .next()
            .is_none_or(|byte| byte.is_ascii_whitespace())
    };
    let length = program.len();
    (text.match_indices(program).map(|(at, _)| at)).filter(move |at| begins(*at) && ends(at + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macros_are_found_wherever_they_stand() {
        let text = "a %foo %%bar %{?with_x:%{!y}} %1 %(echo %z) %{lua:}%";
        let names: Vec<&str> = macros(text, 0).map(|used| used.name).collect();
        assert_eq!(names, ["foo", "with_x", "y", "z", "lua"]);
        let spans: Vec<&str> = macros(text, 0).map(|used| used.span.of(text)).collect();
        assert_eq!(spans, ["%foo", "%{?with_x", "%{!y", "%z", "%{lua"]);
    }

    #[test]
    fn comments_end_commands() {
        for (line, expected) in [("a # b", "a "), ("a#b", "a#b"), ("# b", ""), ("", "")] {
            assert_eq!(without_comment(line), expected);
        }
    }

    #[test]
    fn programs_are_words() {
        let text = "xegrep egrep-x egrep y|egrep z; /bin/egrep s/egrep/ egreps `egrep";
        assert_eq!(programs(text, "egrep").collect::<Vec<_>>(), [15, 23, 37, 60]);
    }
}
