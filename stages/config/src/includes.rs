//! Reads the project file and what it includes, as deep as includes go.
//!
//! Patterns: `*`, `?` within a name, `**` for any number of folders; a name that starts with a dot is only matched
//! by a pattern that does so too (editors leave such files), and one that ends in `.image.toml` (an image definition, which
//! `[images.NAME]` names) likewise. Matches are read in the order of their paths. A pattern
//! without a match is fine, a plain path without a file is not. A file is read once, however often it is included.

use std::{
    collections::BTreeSet,
    io::ErrorKind,
    ops::Range,
    path::{Path, PathBuf},
};

use toml::de::DeTable;

use crate::{
    Diagnostic, diagnostic,
    table::{Problems, Source, Table},
};

/// A file beyond this size is no configuration.
const MOST_BYTES: u64 = 16 << 20;

/// All files, in reading order: a file, then what it includes.
pub(crate) fn read(root: &Path, main: &Path, problems: &Problems) -> Vec<Source> {
    let mut reading = Reading {
        root,
        problems,
        sources: Vec::new(),
        seen: BTreeSet::new(),
        stack: Vec::new(),
    };
    match read_text(main) {
        Ok(text) => reading.file(main.to_owned(), text),
        Err(why) => problems.push(unreadable(root, main, &why)),
    }
    reading.sources
}

/// A file's text; the reason why not, otherwise.
pub(crate) fn read_text(path: &Path) -> Result<String, String> {
    let metadata = fs_err::metadata(path).map_err(|error| reason(&error))?;
    if !metadata.is_file() {
        return Err("not a file".to_owned());
    }
    if metadata.len() > MOST_BYTES {
        return Err(format!(
            "{} bytes are too many for a configuration file",
            metadata.len()
        ));
    }
    let bytes = fs_err::read(path).map_err(|error| reason(&error))?;
    String::from_utf8(bytes)
        .map_err(|error| format!("not UTF-8 at byte {}", error.utf8_error().valid_up_to()))
}

/// Without the path, which the message has.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "no such file".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

pub(crate) fn unreadable(root: &Path, path: &Path, why: &str) -> Diagnostic {
    Diagnostic::new(format!(
        "cannot read `{}`",
        diagnostic::shown(root, path).display()
    ))
    .cause(why)
}

/// The tables of a file; its syntax errors are reported.
pub(crate) fn parse<'a>(source: &'a Source, problems: &Problems) -> Option<DeTable<'a>> {
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        problems.push(source.wrong(&span, format!("not valid TOML: {}", error.message())));
    }
    errors.is_empty().then(|| table.into_inner())
}

struct Reading<'p> {
    root: &'p Path,
    problems: &'p Problems,
    sources: Vec<Source>,
    seen: BTreeSet<PathBuf>,
    stack: Vec<PathBuf>,
}

impl Reading<'_> {
    fn file(&mut self, path: PathBuf, text: String) {
        let shown = diagnostic::shown(self.root, &path);
        let source = Source {
            path: path.clone(),
            shown,
            text,
        };
        self.seen.insert(path.clone());
        let Some(includes) = self.includes(&source) else {
            return;
        };
        let at = self.sources.len();
        self.sources.push(source);
        self.stack.push(path);
        for (pattern, span) in includes {
            self.include(at, &pattern, &span);
        }
        self.stack.pop();
    }

    /// The patterns of a file; none if it is not valid TOML.
    fn includes(&self, source: &Source) -> Option<Vec<(String, Range<usize>)>> {
        let tables = parse(source, self.problems)?;
        // Wrong types are reported when the file's other keys are read.
        let quiet = Problems::default();
        let strings = Table::root(source, &quiet, &tables).strings("includes");
        Some(strings.into_iter().map(|text| (text.value, text.span)).collect())
    }

    fn include(&mut self, from: usize, pattern: &str, span: &Range<usize>) {
        let source = &self.sources[from];
        if pattern.trim().is_empty() {
            self.problems
                .push(source.wrong(span, "an entry of `includes` is empty"));
            return;
        }
        let target = source.resolve(pattern);
        let literal = !is_pattern(pattern);
        let matches = if literal {
            Ok(vec![target.clone()])
        } else {
            expand(&target)
        };
        let matches = match matches {
            Ok(matches) => matches,
            Err(error) => {
                let message = format!("cannot look for files of `{pattern}`");
                self.problems.push(source.wrong(span, message).caused_by(&error));
                return;
            }
        };
        for path in matches {
            if self.stack.contains(&path) {
                self.problems.push(self.cycle(from, span, &path));
            } else if !self.seen.contains(&path) {
                match read_text(&path) {
                    Ok(text) => self.file(path, text),
                    Err(why) => {
                        let shown = diagnostic::shown(self.root, &path);
                        let message = format!("cannot include `{}`", shown.display());
                        self.problems
                            .push(self.sources[from].wrong(span, message).cause(why));
                    }
                }
            }
        }
    }

    fn cycle(&self, from: usize, span: &Range<usize>, back_to: &Path) -> Diagnostic {
        let start = self.stack.iter().position(|path| path == back_to).unwrap_or(0);
        let mut way: Vec<String> = (self.stack[start..].iter().map(PathBuf::as_path))
            .chain([back_to])
            .map(|path| diagnostic::shown(self.root, path).display().to_string())
            .collect();
        way.dedup();
        let message = if way.len() == 1 {
            format!("`{}` includes itself", way[0])
        } else {
            format!("these files include each other: {}", way.join(" → "))
        };
        self.sources[from].wrong(span, message)
    }
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// The files that an absolute pattern matches, sorted.
pub(crate) fn expand(pattern: &Path) -> std::io::Result<Vec<PathBuf>> {
    let parts: Vec<String> = (pattern.components().skip(1))
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    let mut parts = parts;
    parts.dedup_by(|next, part| next == "**" && part == "**");
    let mut search = Search {
        found: BTreeSet::new(),
        seen: 0,
    };
    search.descend(Path::new("/"), &parts)?;
    Ok(search.found.into_iter().collect())
}

/// A pattern that has to look at more names than this was not meant so (`/**`).
const MOST_NAMES: usize = 200_000;

struct Search {
    found: BTreeSet<PathBuf>,
    seen: usize,
}

impl Search {
    fn descend(&mut self, folder: &Path, parts: &[String]) -> std::io::Result<()> {
        let Some((part, rest)) = parts.split_first() else {
            return Ok(());
        };
        if !is_pattern(part) {
            let next = folder.join(part);
            return if !rest.is_empty() {
                self.descend(&next, rest)
            } else {
                if next.is_file() {
                    self.found.insert(next);
                }
                Ok(())
            };
        }
        let any_depth = part == "**";
        if any_depth {
            self.descend(folder, rest)?;
        }
        let entries = match fs_err::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            self.seen += 1;
            if self.seen > MOST_NAMES {
                let text = format!("the pattern leads to more than {MOST_NAMES} files and folders");
                return Err(std::io::Error::other(text));
            }
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if !matches(part, name) {
                continue;
            }
            let path = entry.path();
            if any_depth {
                // A link to a folder is not followed: it may lead back up.
                if entry.file_type()?.is_dir() {
                    self.descend(&path, parts)?;
                } else if rest.is_empty() && path.is_file() {
                    self.found.insert(path);
                }
            } else if !rest.is_empty() {
                if path.is_dir() {
                    self.descend(&path, rest)?;
                }
            } else if path.is_file() {
                self.found.insert(path);
            }
        }
        Ok(())
    }
}

/// Does a pattern of `*` and `?` match a name? Linear but for the last star, so no pattern takes long.
fn matches(pattern: &str, name: &str) -> bool {
    let definition = ".image.toml";
    if name.starts_with('.') && !pattern.starts_with('.')
        || name.ends_with(definition) && !pattern.ends_with(definition)
    {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n, mut retry) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    p = star + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names() {
        for (pattern, name, matched) in [
            ("*.toml", "a.toml", true),
            ("*.toml", "a.tom", false),
            ("*.toml", ".a.toml", false),
            (".*.toml", ".a.toml", true),
            ("*.toml", "a.image.toml", false),
            ("*.image.toml", "a.image.toml", true),
            ("a?c*", "abcdef", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("*", "", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, name), matched, "{pattern} {name}");
        }
        assert!(!matches(&"*a".repeat(50), &"a".repeat(30_000)[..20]));
    }

    #[test]
    fn two_stars_match_any_depth_and_no_links() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs_err::create_dir_all(root.join("a/b/.hidden")).unwrap();
        for file in [
            "x.toml",
            "a/x.toml",
            "a/b/x.toml",
            "a/b/y.txt",
            "a/b/.hidden/x.toml",
        ] {
            fs_err::write(root.join(file), "").unwrap();
        }
        std::os::unix::fs::symlink("..", root.join("a/up")).unwrap();
        let found = |pattern: &str| -> Vec<String> {
            let files = expand(&root.join(pattern)).unwrap();
            let relative = |path: &PathBuf| path.strip_prefix(root).unwrap().display().to_string();
            files.iter().map(relative).collect()
        };
        assert_eq!(found("**/*.toml"), ["a/b/x.toml", "a/x.toml", "x.toml"]);
        assert_eq!(found("*/*.toml"), ["a/x.toml"]);
        assert_eq!(found("a/**"), ["a/b/x.toml", "a/b/y.txt", "a/x.toml"]);
        assert_eq!(found("none/*.toml"), Vec::<String>::new());
        assert_eq!(found("**/b/*.toml"), ["a/b/x.toml"]);
        assert_eq!(found(&"**/".repeat(200)), found("**"));
        assert_eq!(found(&format!("{}x.toml", "**/".repeat(200))), found("**/x.toml"));
    }
}
