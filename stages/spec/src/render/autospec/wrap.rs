//! Filling lines as Python's `textwrap` does, in which rpmautospec writes its entries: 75 characters wide, further lines two
//! characters in.

const WIDTH: usize = 75;
const INDENT: &str = "  ";

/// `text` in lines.
pub(super) fn filled(text: &str) -> String {
    let text: String = expanded(text);
    let mut pieces: Vec<Vec<char>> = pieces(&text.chars().collect::<Vec<char>>());
    pieces.reverse();
    let mut lines: Vec<String> = Vec::new();
    while let Some(piece) = pieces.last() {
        if !lines.is_empty() && is_space(piece) {
            pieces.pop();
            continue;
        }
        let indent = if lines.is_empty() { "" } else { INDENT };
        let width = WIDTH - indent.len();
        let mut line: Vec<Vec<char>> = Vec::new();
        let mut length = 0;
        while let Some(piece) = pieces.pop_if(|piece| length + piece.len() <= width) {
            length += piece.len();
            line.push(piece);
        }
        if let Some(long) = pieces.last_mut().filter(|piece| piece.len() > width) {
            let left = width - length;
            let end = cut(long, left.max(1));
            let rest = long.split_off(end);
            line.push(std::mem::replace(long, rest));
        }
        while line.last().is_some_and(|piece| is_space(piece)) {
            line.pop();
        }
        if !line.is_empty() {
            lines.push(format!("{indent}{}", line.concat().iter().collect::<String>()));
        }
    }
    lines.join("\n")
}

/// How much of a long word goes into `left` characters: up to a hyphen, if there is one after something else.
fn cut(word: &[char], left: usize) -> usize {
    let hyphen = word[..left.min(word.len())].iter().rposition(|c| *c == '-');
    match hyphen {
        Some(at) if at > 0 && word.len() > left && word[..at].iter().any(|c| *c != '-') => at + 1,
        _ => left,
    }
}

/// Tabs become spaces up to the next multiple of eight; other white space, one space each.
fn expanded(text: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for c in text.chars() {
        match c {
            '\t' => {
                let width = 8 - column % 8;
                out.push_str(&" ".repeat(width));
                column += width;
            }
            '\n' | '\r' | '\u{b}' | '\u{c}' => {
                out.push(' ');
                column = if matches!(c, '\n' | '\r') { 0 } else { column + 1 };
            }
            c => {
                out.push(c);
                column += 1;
            }
        }
    }
    out
}

/// Words, what is between them, and parts of words that have hyphens.
fn pieces(text: &[char]) -> Vec<Vec<char>> {
    let mut pieces: Vec<Vec<char>> = Vec::new();
    let mut start = 0;
    for at in 1..=text.len() {
        if at == text.len() || ends_before(text, start, at) {
            pieces.push(text[start..at].to_vec());
            start = at;
        }
    }
    pieces
}

fn ends_before(text: &[char], start: usize, at: usize) -> bool {
    let space = |c: char| c == ' ';
    if space(text[at - 1]) != space(text[at]) {
        return true;
    }
    if space(text[at]) {
        return false;
    }
    let is_letter = |index: Option<usize>| {
        let c = index.and_then(|index| text.get(index).copied());
        c.is_some_and(|c| c == '_' || c.is_alphabetic())
    };
    let is_word = |c: char| c == '_' || c.is_alphanumeric();
    // Dashes between words are a piece of their own.
    let joins = |c: char| is_word(c) || matches!(c, '!' | '"' | '\'' | '&' | '.' | ',' | '?');
    let dashes = |from: usize| text[from..].iter().take_while(|c| **c == '-').count();
    if text[at] == '-' && text[at - 1] != '-' {
        let count = dashes(at);
        return count >= 2 && joins(text[at - 1]) && text.get(at + count).is_some_and(|c| is_word(*c));
    }
    if text[at - 1] != '-' {
        return false;
    }
    let run = text[start..at].iter().rev().take_while(|c| **c == '-').count();
    if run >= 2 && start + run == at && start > 0 {
        return is_word(text[at]) && joins(text[start - 1]);
    }
    // A hyphen after two letters, or after a letter, a hyphen and a letter; and before two letters.
    let back = |count: usize| at.checked_sub(count);
    let after = (is_letter(back(2)) && is_letter(back(3)))
        || (is_letter(back(2)) && back(3).is_some_and(|index| text[index] == '-') && is_letter(back(4)));
    let next = at + usize::from(text.get(at + 1) == Some(&'-'));
    after && is_letter(Some(at)) && is_letter(Some(next + 1))
}

fn is_space(piece: &[char]) -> bool {
    piece.iter().all(|c| *c == ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_filled_as_python_does() {
        // Expected texts are those of Python 3.12's textwrap.
        let word = "x".repeat(40);
        assert_eq!(filled(&format!("- {word} {word}")), format!("- {word}\n  {word}"));
        assert_eq!(filled("- short"), "- short");
        let long = "y".repeat(100);
        assert_eq!(
            filled(&format!("- {long}")),
            format!("- {}\n  {}", &long[..73], &long[73..])
        );
        let hyphens =
            "- Rebuilt for the new well-known soname-of-something that is quite-long enough-to-wrap here";
        assert_eq!(
            filled(hyphens),
            "- Rebuilt for the new well-known soname-of-something that is quite-long\n  enough-to-wrap here"
        );
        let short = "- and all packages should use the BuildRequires of the mariadb-connector-c-devel";
        assert_eq!(
            filled(short),
            "- and all packages should use the BuildRequires of the mariadb-connector-c-\n  devel"
        );
    }
}
