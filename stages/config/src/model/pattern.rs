//! What a string may be.

use keel_artefact::PackageName;

use crate::{includes, size};

/// A kind of string.
pub(crate) struct Pattern {
    /// What the reference calls it.
    pub(crate) word: &'static str,
    /// What the schema calls it, if it can: a regular expression of ECMA-262.
    pub(crate) regex: &'static str,
    /// It counts from the folder of the file that says it.
    pub(crate) is_path: bool,
    /// What is wrong with a string of key `.0`, if something is.
    pub(crate) wrong: fn(&str, &str) -> Option<String>,
    /// What files or repositories come from: azldev takes what Keel does not fetch from.
    pub(crate) fetched: Option<Fetched>,
}

/// Which addresses Keel fetches from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// `https://`.
    Https,
    /// `https://`, or a file of this machine (`file:///`).
    HttpsOrFile,
}

impl std::fmt::Debug for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word)
    }
}

macro_rules! patterns {
    ($($name:ident = $word:literal, $regex:literal, $wrong:expr;)*) => {$(
        pub(crate) static $name: Pattern = Pattern {
            word: $word,
            regex: $regex,
            is_path: matches!($word.as_bytes(), b"path" | b"path or pattern" | b"path or URL"),
            wrong: $wrong,
            fetched: match $word.as_bytes() {
                b"https address" => Some(Fetched::Https),
                b"address" => Some(Fetched::HttpsOrFile),
                _ => None,
            },
        };
    )*};
}

patterns! {
    ANY = "string", "", |_, _| None;
    LINE = "string", "^[^\\r\\n]*$", |key, text| {
        let breaks = |c| matches!(c, '\r' | '\n' | '\0' | '\u{2028}' | '\u{2029}');
        text.contains(breaks).then(|| format!("`{key}` is one line"))
    };
    PATH = "path", "", |key, text| text.contains('\0').then(|| format!("`{key}` has a NUL byte"));
    GLOB = "path or pattern", "", |key, text| {
        match text.trim() {
            "" => Some(format!("an entry of `{key}` is empty")),
            _ => includes::no_pattern(text),
        }
    };
    FILE_NAME = "file name", "^[^/\\\\\\s]+$", |_, text| {
        (!is_plain_name(text)).then(|| format!("`{text}` is not a plain file name"))
    };
    RELATIVE = "pattern of names", "", |key, text| wrong_inside(key, text);
    URL = "URL", "^https?://[^\\s]+$", |_, text| {
        (!is_url(text)).then(|| format!("`{text}` is not an `https://` (or `http://`) URL"))
    };
    DOWNLOAD = "https address", "^https?://[^\\s]+$", |_, text| {
        (!is_url(text)).then(|| format!("`{text}` is not an `https://` (or `http://`) URL"))
    };
    ADDRESS = "address", "", |_, _| None;
    ORIGIN_URL = "URL", "^(https://|file:///)[^\\s]+$", |_, text| not_fetched(text, Fetched::HttpsOrFile);
    GPG_KEY = "path or URL", "^((https?|file)://\\S+|[^\\s:]\\S*)$", |_, text| wrong_gpg_key(text);
    REPOSITORY = "name", "^[A-Za-z0-9][A-Za-z0-9_.:-]*$", |_, text| {
        (!is_repository(text)).then(|| format!("`{text}` cannot be the name of a repository: use letters, digits and `_.:-`, starting with a letter or digit"))
    };
    SUBPATH = "relative path", "^[^/\\s]", |key, text| {
        let plain = text.split('/').all(|part| !matches!(part, "" | "." | ".."));
        (!plain || text.contains([' ', '\\'])).then(|| format!("`{key}` is a relative path without `.`, `..` and spaces"))
    };
    COMMIT = "commit", "^[0-9a-fA-F]{7,40}$", |_, text| {
        (!is_hex(text) || !(7..=40).contains(&text.len()))
            .then(|| format!("`{text}` is not a commit: 7 to 40 hexadecimal digits"))
    };
    WHOLE_COMMIT = "commit", "^[0-9a-fA-F]{40}$", |key, text| {
        (!is_hex(text) || text.len() != 40)
            .then(|| format!("`{key}` must be a whole commit of 40 hexadecimal digits, for names move"))
    };
    FULL_COMMIT = "commit", "^([0-9a-fA-F]{40}|[0-9a-fA-F]{64})$", |_, text| {
        (!is_hex(text) || !matches!(text.len(), 40 | 64))
            .then(|| format!("`{text}` is not all of a commit's name: 40 or 64 hexadecimal digits"))
    };
    INSTANT = "time", "", |_, text| {
        (!is_instant(text)).then(|| format!("`{text}` is not a time such as `2026-02-24T00:00:00Z` (RFC 3339)"))
    };
    CHANNEL = "channel", "^[^/\\\\]+$", |_, text| {
        (matches!(text, "." | "..") || text.contains(['/', '\\']))
            .then(|| format!("`{text}` cannot be the name of a channel: no `/`, `\\`, `.` or `..`"))
    };
    DEBIAN_PACKAGE = "Debian package", "^[a-z0-9][a-z0-9+.-]+$", |_, text| {
        // Debian Policy 5.6.7
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
        let is_name = text.len() >= 2 && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(legal);
        (!is_name).then(|| format!("`{text}` is not the name of a Debian package"))
    };
    CAPABILITY = "capability", "^\\S+$", |_, text| {
        (text.is_empty() || text.contains(char::is_whitespace))
            .then(|| format!("`{text}` is not the name of a capability"))
    };
    PACKAGE = "package name", "", |_, text| text.parse::<PackageName>().err().map(|error| error.to_string());
    HOST_NAME = "host name", "", |_, text| (!is_host_name(text)).then(|| format!("`{text}` is not a host name"));
    LABEL = "label", "^[A-Za-z0-9._-]{1,36}$", |key, text| {
        // What fits a GPT partition's name and needs no quoting.
        let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        (!(1..=36).contains(&text.len()) || !text.chars().all(legal))
            .then(|| format!("`{key}` has 1 to 36 letters, digits or `._-`"))
    };
    SIZE = "size", "^[0-9]+[KMGT]?$", |key, text| match size::parse(text) {
        Ok(bytes) if bytes > 0 && bytes % (1 << 20) == 0 => None,
        Ok(_) => Some(format!("`{key}` must be a multiple of 1M, and not 0")),
        Err(error) => Some(error.to_string()),
    };
    SIZE_OR_GROW = "size or `\"grow\"`", "^([0-9]+[KMGT]?|grow)$", |key, text| match text {
        "grow" => None,
        _ => (SIZE.wrong)(key, text),
    };
    MOUNT_OPTIONS = "mount options", "^[A-Za-z0-9_.:=@%+/,-]+$", |key, text| {
        // What stands in fstab(5) without quoting.
        let legal = |c: char| c.is_ascii_alphanumeric() || "_.:=@%+/,-".contains(c);
        (text.is_empty() || !text.chars().all(legal))
            .then(|| format!("`{key}` are words as in `nodev,nosuid`, separated by commas"))
    };
    SCRIPT = "name", "^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$", |key, text| {
        let legal = |c: char| c.is_ascii_alphanumeric() || " ._-".contains(c);
        let is_name = text.len() <= 64 && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(legal);
        (!is_name).then(|| format!("`{key}` has 1 to 64 letters, digits, blanks or `._-`, and starts with a letter or digit"))
    };
    INTERPRETER = "program", "^/?[^\\s]+$", |_, text| {
        let is_path = text.starts_with('/') && text.parse::<keel_artefact::RootPath>().is_ok();
        (!is_path && !is_plain_name(text)).then(|| format!("`{text}` is neither an absolute path nor the name of a program"))
    };
    ROOT_PATH = "absolute path", "^/", |_, text| {
        text.parse::<keel_artefact::RootPath>().err().map(|error| error.to_string())
    };
    WORD = "word", "", |key, text| {
        (text.is_empty() || text.contains(char::is_control))
            .then(|| format!("a word of `{key}` is empty or has control characters"))
    };
    ACCOUNT = "name", "^[A-Za-z_][A-Za-z0-9_.-]{0,30}$", |_, text| {
        let legal = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        (!starts || text.len() > 31 || !text.chars().all(legal)).then(|| {
            format!("`{text}` cannot be the name of a user or group: a letter or `_`, then at most 30 letters, digits and `_-.`")
        })
    };
    OWNER = "name or number", "^([A-Za-z_][A-Za-z0-9_.-]{0,30}|[0-9]+)$", |key, text| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number {
            text.parse::<u32>().is_err().then(|| format!("`{key}` is no number that a user or group can have"))
        } else {
            (ACCOUNT.wrong)(key, text)
        }
    };
    // What is wrong with one is told without showing it.
    PASSWORD = "hash or `\"locked\"`", "^(locked|\\$(5|6|7|2[aby]|y|gy)\\$.+)$", |_, _| None;
    KEY_LINE = "public key", "", |key, text| crate::ssh::wrong(key, text);
    UNIT = "unit", "^[A-Za-z0-9:_.\\\\@-]+$", |_, text| {
        let legal = |c: char| c.is_ascii_alphanumeric() || ":_.\\@-".contains(c);
        // systemd.unit(5): the prefix of valid characters, 255 at most.
        (text.is_empty() || text.len() > 240 || text.starts_with(['.', '@']) || !text.chars().all(legal))
            .then(|| format!("`{text}` is not the name of a unit"))
    };
    MODULE = "module", "^[A-Za-z0-9_-]+$", |_, text| {
        let legal = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        (text.is_empty() || text.len() > 55 || !text.chars().all(legal))
            .then(|| format!("`{text}` is not the name of a module of the kernel"))
    };
    PARAMETER = "string", "^[^\\s\"#]+$", |_, text| {
        let breaks = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '#' | '\\');
        (text.is_empty() || text.contains(breaks))
            .then(|| format!("`{text}` cannot be the value of a module's parameter: no blanks, quotes, `#` and `\\`"))
    };
    PERMISSIONS = "octal digits", "^[0-7]{1,4}$", |key, text| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match u32::from_str_radix(text, 8).ok().filter(|_| is_number) {
            Some(bits) if bits > 0o7777 => Some(format!("`{key}` is `7777` at most")),
            Some(_) if text.len() <= 4 => None,
            _ => Some(format!("`{key}` is written in up to four octal digits: `\"0644\"`")),
        }
    };
    POOL = "path in the pool", "^pool/", |_, text| {
        let parts_are_plain = text.split('/').all(|part| !matches!(part, "" | "." | ".."));
        (!text.starts_with("pool/") || !parts_are_plain)
            .then(|| format!("`{text}` is not a path in Debian's archive (`pool/…`, without `..`)"))
    };
    SPEC_FILE = "path", "\\.spec$", |_, text| {
        (!text.ends_with(".spec")).then(|| format!("`{text}` is not the name of a SPEC: it must end in `.spec`"))
    };
    CONDITION = "build condition", "^[A-Za-z0-9_+.-]+$", |_, text| {
        let legal = |c: char| c.is_ascii_alphanumeric() || "_-+.".contains(c);
        (!text.chars().all(legal)).then(|| format!("`{text}` is not the name of a build condition"))
    };
    MACRO = "macro", "^[A-Za-z_][A-Za-z0-9_]{2,}$", |_, text| {
        (!is_macro_name(text)).then(|| format!("`{text}` is not the name of a macro"))
    };
    ARCHIVE = "file name", "", |_, text| {
        let ends = [".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.zst", ".tzst"];
        (!is_plain_name(text) || !ends.iter().any(|end| text.ends_with(end)))
            .then(|| format!("`{text}` is not the name of an archive that overlays can change ({})", ends.join(", ")))
    };
}

/// One name in one folder, of characters that every tool takes.
pub(crate) fn is_plain_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && !name.starts_with('-')
        && name.len() <= 255
        && !name.contains(['/', '\\'])
        && !name.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// rpm's rule: at least three characters, the first a letter or `_` (`rpm-macros(7)`).
pub(crate) fn is_macro_name(name: &str) -> bool {
    name.len() >= 3
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// What is wrong with a path, or a pattern of paths, in the folder of the SPEC.
fn wrong_inside(key: &str, text: &str) -> Option<String> {
    if text.trim().is_empty() {
        Some(format!("`{key}` names no file"))
    } else if text.starts_with('/') {
        Some(format!(
            "`{key}` is relative to the SPEC's folder, and `{text}` is absolute"
        ))
    } else if text.contains('\0') || text.split('/').any(|part| matches!(part, "" | "." | "..")) {
        Some(format!(
            "`{key}` stays in the SPEC's folder: `{text}` has an empty part, `.` or `..`"
        ))
    } else {
        None
    }
}

/// Why Keel does not fetch from an address, if it does not.
pub(crate) fn not_fetched(text: &str, which: Fetched) -> Option<String> {
    let is_plain = !text.chars().any(|c| c.is_control() || c.is_whitespace());
    let host = text
        .strip_prefix("https://")
        .and_then(|rest| rest.split(['/', '?', '#']).next());
    let is_https = host.is_some_and(|host| !host.is_empty());
    let is_file = which == Fetched::HttpsOrFile && text.starts_with("file:///");
    if host.is_some_and(|host| host.contains('@')) {
        return Some(
            "an address has no user and no password in it: files of a tree are read by many".to_owned(),
        );
    }
    (!is_plain || !(is_https || is_file)).then(|| match which {
        Fetched::Https => format!("`{text}` is not an `https://` address"),
        Fetched::HttpsOrFile => format!("`{text}` is neither an `https://` nor a `file:///` address"),
    })
}

fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let plain = !text.chars().any(|c| c.is_control() || c.is_whitespace());
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/')) && plain
}

fn wrong_gpg_key(text: &str) -> Option<String> {
    let plain = !text.chars().any(|c| c.is_control() || c.is_whitespace());
    let fits = match text.split_once("://") {
        Some(("http" | "https", rest)) => !rest.is_empty() && !rest.starts_with('/'),
        Some(("file", rest)) => rest.starts_with('/'),
        Some(_) => false,
        None => !text.contains(':'),
    };
    (!plain || !fits)
        .then(|| format!("`{text}` is neither a path nor a URL (`https://`, `http://`, `file:///`) of a key"))
}

fn is_repository(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.:-".contains(c))
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// RFC 3339, by its form.
fn is_instant(text: &str) -> bool {
    let Some((date, time)) = text.split_once(['T', 't', ' ']) else {
        return false;
    };
    let numbers = |text: &str, separator, widths: [usize; 3]| {
        let parts: Vec<&str> = text.split(separator).collect();
        parts.len() == 3
            && (parts.iter().zip(widths))
                .all(|(part, width)| part.len() == width && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let zone = time.find(['Z', 'z', '+', '-']);
    let Some((clock, zone)) = zone.and_then(|at| time.split_at_checked(at)) else {
        return false;
    };
    let clock = clock.split('.').next().unwrap_or("");
    let is_zone = matches!(zone, "Z" | "z") || {
        let hours = zone.get(1..).and_then(|zone| zone.split_once(':'));
        hours.is_some_and(|(h, m)| {
            h.len() == 2 && m.len() == 2 && h.chars().chain(m.chars()).all(|c| c.is_ascii_digit())
        })
    };
    numbers(date, '-', [4, 2, 2]) && numbers(clock, ':', [2, 2, 2]) && is_zone
}

/// RFC 1123, one label or several.
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 64 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_and_refuse() {
        let cases: [(&Pattern, &[&str], &[&str]); 12] = [
            (
                &FILE_NAME,
                &["a", "a-1.tar.gz"],
                &["", "..", "a/b", "a\\b", "-a", "a b"],
            ),
            (
                &URL,
                &["https://a", "http://a/b"],
                &["ftp://a", "https:///a", "https://a b", "a"],
            ),
            (
                &COMMIT,
                &["0123abC", "0123456789012345678901234567890123456789"],
                &["012345", "012345x"],
            ),
            (
                &WHOLE_COMMIT,
                &["0123456789012345678901234567890123456789"],
                &["main", "0123456"],
            ),
            (
                &FULL_COMMIT,
                &[
                    "0123456789012345678901234567890123456789",
                    "0123456789abcdefABCDEF01234567890123456789abcdefABCDEF0123456789",
                ],
                &["main", "0123456", "01234567890123456789012345678901234567890"],
            ),
            (
                &ORIGIN_URL,
                &["https://a", "https://a/b?c@d", "file:///srv/a.git"],
                &[
                    "http://a/b",
                    "ftp://a",
                    "file://a",
                    "ssh://a/b",
                    "file:///a b",
                    "https://u:p@a/b",
                    "https:///a",
                ],
            ),
            (
                &RELATIVE,
                &["a", "d/*.c", "**/*", "a..b"],
                &["", " ", "/a", "../a", "a/../b", "a//b", "./a", "a\0"],
            ),
            (
                &INSTANT,
                &[
                    "2026-02-24T00:00:00-08:00",
                    "2026-02-24T00:00:00Z",
                    "2026-02-24T00:00:00.5Z",
                ],
                &[
                    "2026-02-24",
                    "yesterday",
                    "2026-02-24T00:00:00",
                    "2026-2-24T00:00:00Z",
                    "T-",
                    "é-é-éTé:é:éZ",
                ],
            ),
            (&CHANNEL, &["rpm-base", "none"], &[".", "..", "a/b", "a\\b"]),
            (
                &REPOSITORY,
                &["azl4.0-base", "a:b_c"],
                &["", "-a", "a b", "a/b", "é"],
            ),
            (
                &GPG_KEY,
                &["keys/a.asc", "file:///a", "https://h/k"],
                &["ftp://a", "file://a", "a b", "C:k"],
            ),
            (
                &ARCHIVE,
                &["a.tar", "a.tgz", "a.tar.zst"],
                &["a.zip", "a.tar.bz2", "b/a.tar"],
            ),
        ];
        for (pattern, good, bad) in cases {
            for text in good {
                assert_eq!((pattern.wrong)("k", text), None, "{text}");
            }
            for text in bad {
                assert!((pattern.wrong)("k", text).is_some(), "{text}");
            }
        }
    }
}
