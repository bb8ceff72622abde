//! `sources`: the digests of the files that are kept elsewhere, one a line: `SHA512 (f) = h`, or, once, `h  f` with MD5.
//! Rules R50 to R56.

use std::{collections::BTreeMap, io};

/// One of `source-files`, as far as this file is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name.
    pub filename: String,
    /// The algorithm as the file names it (`SHA512`), and the digest in hexadecimal.
    pub hash: Option<(String, String)>,
    /// It takes the place of a line that is there.
    pub replace_upstream: bool,
    /// It is what an archive becomes by overlays.
    pub by_overlay: bool,
}

/// What is wrong with the file, or with what should be added to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A line that is none.
    #[error("line {line} of `sources` is neither `TYPE (FILE) = HASH` nor `HASH  FILE`: {text}")]
    Line {
        /// From 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// A file has two lines.
    #[error("lines {first} and {second} of `sources` are both about `{file}`")]
    Twice {
        /// Its name.
        file: String,
        /// From 1.
        first: usize,
        /// From 1.
        second: usize,
    },
    /// A source file's name is that of a line, and it does not say that it replaces it.
    #[error(
        "`sources` has a line for `{file}` already; say `replace-upstream = true`, and why, or use another name"
    )]
    Collision {
        /// Its name.
        file: String,
    },
    /// A source file says that it replaces a line, and there is none.
    #[error("`sources` has no line for `{file}` that could be replaced")]
    NothingToReplace {
        /// Its name.
        file: String,
    },
    /// A source file has no digest.
    #[error("source file `{file}` has no `hash`")]
    NoHash {
        /// Its name.
        file: String,
    },
    /// A name that is a path.
    #[error("`{file}` is no name of a source file")]
    Name {
        /// The name.
        file: String,
    },
    /// Archives that overlays changed have no line.
    #[error("overlays changed archives that `sources` has no line for: {}", .files.join(", "))]
    Unlisted {
        /// Their names.
        files: Vec<String>,
    },
    /// An archive became something else than the configuration says.
    #[error(
        "overlays made `{file}` something else than its `hash` says\n  stated:   {stated}\n  computed: {computed}"
    )]
    OtherHash {
        /// Its name.
        file: String,
        /// What the configuration says.
        stated: String,
        /// What it is.
        computed: String,
    },
    /// A changed archive cannot be read again.
    #[error("cannot take the digest of `{file}`: {cause}")]
    Unreadable {
        /// Its name.
        file: String,
        /// Why.
        cause: String,
    },
}

struct Line<'t> {
    raw: &'t str,
    entry: Option<Entry<'t>>,
}

struct Entry<'t> {
    file: &'t str,
    algorithm: &'t str,
    hash: &'t str,
}

/// A line of the file, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed<'t> {
    /// The file's name. Anything may stand there.
    pub file: &'t str,
    /// The algorithm, in upper case.
    pub algorithm: &'t str,
    /// The digest in hexadecimal, of any length.
    pub hash: &'t str,
}

/// The files that a text lists, in their order.
pub fn listed(text: &str) -> Result<Vec<Listed<'_>>, Error> {
    let lines = parse(text)?;
    Ok(lines
        .into_iter()
        .filter_map(|line| line.entry)
        .map(
            |Entry {
                 file,
                 algorithm,
                 hash,
             }| Listed {
                file,
                algorithm,
                hash,
            },
        )
        .collect())
}

/// The digest of a changed archive by the name of an algorithm, in hexadecimal.
pub type Digest<'a> = &'a dyn Fn(&str, &str) -> io::Result<String>;

/// The file with source files merged in and changed archives' digests renewed. Lines that neither is about stay as they
/// are; each has its end.
pub fn merged(
    text: &str,
    files: &[SourceFile],
    changed: &[String],
    digest: Digest<'_>,
) -> Result<String, Error> {
    let lines = parse(text)?;
    let mut renewed: BTreeMap<&str, String> = renewed(&lines, files, changed, digest)?;
    let mut added = Vec::new();
    for file in files {
        if !is_name(&file.filename) {
            return Err(Error::Name {
                file: file.filename.clone(),
            });
        }
        let there = lines
            .iter()
            .flat_map(|line| &line.entry)
            .any(|entry| entry.file == file.filename);
        let name = || file.filename.clone();
        match (there, file.replace_upstream) {
            (true, false) => return Err(Error::Collision { file: name() }),
            (false, true) => return Err(Error::NothingToReplace { file: name() }),
            _ => {}
        }
        let Some((algorithm, hash)) = &file.hash else {
            return Err(Error::NoHash { file: name() });
        };
        let line = line(algorithm, &file.filename, hash);
        match there {
            true => drop(renewed.insert(&file.filename, line)),
            false => added.push(line),
        }
    }
    let mut out = String::new();
    for line in &lines {
        let renewed = line.entry.as_ref().and_then(|entry| renewed.get(entry.file));
        out.push_str(renewed.map_or(line.raw, String::as_str));
        out.push('\n');
    }
    for line in added {
        out.push_str(&line);
        out.push('\n');
    }
    Ok(out)
}

/// A line.
pub fn line(algorithm: &str, file: &str, hash: &str) -> String {
    format!("{algorithm} ({file}) = {hash}")
}

fn renewed<'l>(
    lines: &'l [Line<'_>],
    files: &[SourceFile],
    changed: &[String],
    digest: Digest<'_>,
) -> Result<BTreeMap<&'l str, String>, Error> {
    let mut renewed = BTreeMap::new();
    let entries = lines.iter().flat_map(|line| &line.entry);
    for entry in entries.filter(|entry| changed.iter().any(|name| name == entry.file)) {
        let stated = files
            .iter()
            .find(|file| file.by_overlay && file.filename == entry.file);
        let stated = stated.and_then(|file| file.hash.as_ref());
        let algorithm = stated.map_or(entry.algorithm, |(algorithm, _)| algorithm.as_str());
        let computed = digest(entry.file, algorithm).map_err(|error| Error::Unreadable {
            file: entry.file.to_owned(),
            cause: error.to_string(),
        })?;
        if let Some((_, hash)) = stated
            && !hash.eq_ignore_ascii_case(&computed)
        {
            return Err(Error::OtherHash {
                file: entry.file.to_owned(),
                stated: format!("{algorithm} {hash}"),
                computed: format!("{algorithm} {computed}"),
            });
        }
        renewed.insert(entry.file, line(algorithm, entry.file, &computed));
    }
    let missing = changed.iter().filter(|name| !renewed.contains_key(name.as_str()));
    let mut missing: Vec<String> = missing.cloned().collect();
    missing.sort();
    match missing.is_empty() {
        true => Ok(renewed),
        false => Err(Error::Unlisted { files: missing }),
    }
}

fn parse(text: &str) -> Result<Vec<Line<'_>>, Error> {
    let mut lines = Vec::new();
    let mut seen = BTreeMap::new();
    let ended = text.strip_suffix('\n').unwrap_or(text);
    for (index, raw) in ended.split('\n').enumerate().filter(|_| !text.is_empty()) {
        let trimmed = raw.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            lines.push(Line { raw, entry: None });
            continue;
        }
        let Some(entry) = entry(trimmed) else {
            return Err(Error::Line {
                line: index + 1,
                text: trimmed.to_owned(),
            });
        };
        if let Some(first) = seen.insert(entry.file, index + 1) {
            return Err(Error::Twice {
                file: entry.file.to_owned(),
                first,
                second: index + 1,
            });
        }
        lines.push(Line {
            raw,
            entry: Some(entry),
        });
    }
    Ok(lines)
}

fn entry(line: &str) -> Option<Entry<'_>> {
    let is_hash = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let modern = || {
        let (algorithm, rest) = line.split_once(char::is_whitespace)?;
        let named = !algorithm.is_empty()
            && algorithm
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        let (file, rest) = rest.trim_start().strip_prefix('(')?.split_once(')')?;
        let rest = rest
            .strip_prefix(char::is_whitespace)?
            .trim_start()
            .strip_prefix('=')?;
        let hash = rest.strip_prefix(char::is_whitespace)?.trim_start();
        (named && !file.is_empty() && is_hash(hash)).then_some(Entry {
            file,
            algorithm,
            hash,
        })
    };
    let legacy = || {
        let mut words = line.split_whitespace();
        let (hash, file) = (words.next()?, words.next()?);
        (is_hash(hash) && words.next().is_none()).then_some(Entry {
            file,
            algorithm: "MD5",
            hash,
        })
    };
    modern().or_else(legacy)
}

fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\\', '\0'])
}
