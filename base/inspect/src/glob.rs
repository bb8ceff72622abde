//! Patterns of exceptions: `*` and `?` stay within one name of a path, `**` does not.

/// Does `pattern` match all of `text`?
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    // Which prefixes of the text the pattern so far matches: linear in pattern times text, whatever the pattern.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    let mut at = 0;
    while at < pattern.len() {
        let is_star = pattern[at] == '*';
        let crosses = is_star && pattern.get(at + 1) == Some(&'*');
        let mut next = vec![false; text.len() + 1];
        for end in 0..=text.len() {
            next[end] = match pattern[at] {
                '*' => reached[end] || (end > 0 && next[end - 1] && (crosses || text[end - 1] != '/')),
                '?' => end > 0 && reached[end - 1] && text[end - 1] != '/',
                character => end > 0 && reached[end - 1] && text[end - 1] == character,
            };
        }
        reached = next;
        at += if crosses { 2 } else { 1 };
    }
    reached[text.len()]
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_stay_within_a_name() {
        for (pattern, text, is_match) in [
            ("/usr/bin/su", "/usr/bin/su", true),
            ("/usr/bin/su", "/usr/bin/sum", false),
            ("/usr/*/su", "/usr/bin/su", true),
            ("/usr/*", "/usr/bin/su", false),
            ("/usr/**", "/usr/bin/su", true),
            ("/**/su", "/usr/bin/su", true),
            ("/usr/bin/s?", "/usr/bin/su", true),
            ("/usr/bin?su", "/usr/bin/su", false),
            ("*-devel", "zlib-devel", true),
            ("", "", true),
            ("*", "", true),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern, text), is_match, "{pattern} {text}");
        }
        let text = "a".repeat(2000);
        assert!(!matches(&"*a".repeat(200), &format!("{text}b")));
    }
}
