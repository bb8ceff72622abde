//! Reads the project file and what it includes, as deep as includes go.
//!
//! Patterns are those of [`glob`]; a name that starts with a dot is only matched
//! by a pattern that does so too (editors leave such files), and one that ends in `.image.toml` or `.overlay.toml` (an image
//! definition, a file of overlays: other tables name them) likewise. Matches are read in the order of their paths. A pattern
//! without a match is fine, a plain path without a file is not. A file is read once, however often it is included.

use std::{
    collections::BTreeSet,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use crate::{
    Diagnostic, diagnostic,
    glob::{self, Step},
    table::{Problems, Table, Text},
    tree::{self, Place, Source, Sources, Value},
};

/// A file beyond this size is no configuration.
const MOST_BYTES: u64 = 16 << 20;

/// All files of a tree, in reading order: a file, then what it includes.
pub(crate) fn read(
    root: &Path,
    main: &Path,
    tree: usize,
    sources: &Sources,
    problems: &Problems,
) -> Vec<Value> {
    let mut reading = Reading {
        root,
        tree,
        sources,
        problems,
        documents: Vec::new(),
        seen: BTreeSet::new(),
        stack: Vec::new(),
    };
    match read_text(main) {
        Ok(text) => reading.file(main.to_owned(), text),
        Err(why) => problems.push(unreadable(root, main, &why)),
    }
    reading.documents
}

/// A single file that another one, of tree `tree`, names; what is wrong with it is reported.
pub(crate) fn document(
    root: &Path,
    tree: usize,
    sources: &Sources,
    problems: &Problems,
    path: &Path,
) -> Option<Value> {
    match read_text(path) {
        Ok(text) => parse(root, tree, sources, problems, path.to_owned(), text),
        Err(why) => {
            problems.push(unreadable(root, path, &why));
            None
        }
    }
}

fn parse(
    root: &Path,
    tree: usize,
    sources: &Sources,
    problems: &Problems,
    path: PathBuf,
    text: String,
) -> Option<Value> {
    let shown = diagnostic::shown(root, &path);
    let file = sources.add(Source::new(path, shown, text, tree));
    match tree::parse(sources, file) {
        Ok(value) => Some(value),
        Err(wrong) => {
            problems.extend(wrong);
            None
        }
    }
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

struct Reading<'p> {
    root: &'p Path,
    tree: usize,
    sources: &'p Sources,
    problems: &'p Problems,
    documents: Vec<Value>,
    seen: BTreeSet<PathBuf>,
    stack: Vec<PathBuf>,
}

impl Reading<'_> {
    fn file(&mut self, path: PathBuf, text: String) {
        self.seen.insert(path.clone());
        let parsed = parse(
            self.root,
            self.tree,
            self.sources,
            self.problems,
            path.clone(),
            text,
        );
        let Some(value) = parsed else { return };
        self.documents.push(value.clone());
        self.stack.push(path);
        // Wrong types are reported when the file is held against the model.
        let quiet = Problems::default();
        if let Some(table) = Table::new(self.sources, &quiet, String::new(), value.at, &value) {
            for pattern in table.strings("includes") {
                self.include(pattern);
            }
        }
        self.stack.pop();
    }

    fn include(&mut self, pattern: Text<'_>) {
        if pattern.value.trim().is_empty() {
            return; // The model says so.
        }
        let matches = match glob::is_pattern(pattern.value) {
            false => Ok(vec![self.sources.resolve(pattern.at, pattern.value)]),
            true => expand(&self.sources.folder(pattern.at), pattern.value, &OWN_FORMS),
        };
        let matches = match matches {
            Ok(matches) => matches,
            Err(error) => {
                self.problems.push(not_expanded(self.sources, pattern, &error));
                return;
            }
        };
        for path in matches {
            if self.stack.contains(&path) {
                self.problems.push(self.cycle(pattern.at, &path));
            } else if !self.seen.contains(&path) {
                match read_text(&path) {
                    Ok(text) => self.file(path, text),
                    Err(why) => {
                        let shown = diagnostic::shown(self.root, &path);
                        let message = format!("cannot include `{}`", shown.display());
                        self.problems
                            .push(self.sources.wrong(pattern.at, message).cause(why));
                    }
                }
            }
        }
    }

    fn cycle(&self, at: Place, back_to: &Path) -> Diagnostic {
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
        self.sources.wrong(at, message)
    }
}

/// Files of other forms, which other tables name; a pattern of `includes` that does not name them so passes them by.
const OWN_FORMS: [&str; 2] = [".image.toml", ".overlay.toml"];

/// The files below `folder`, whose own name is taken as it is, that a relative pattern matches (or that an absolute one does),
/// sorted; those that end in `but` only if the pattern does, too.
pub(crate) fn expand(folder: &Path, pattern: &str, but: &[&str]) -> std::io::Result<Vec<PathBuf>> {
    let ways = glob::steps(pattern)
        .map_err(|error| std::io::Error::new(ErrorKind::InvalidInput, error.to_string()))?;
    let mut search = Search {
        but,
        found: BTreeSet::new(),
        seen: 0,
    };
    for way in ways {
        let mut start = match pattern.starts_with('/') {
            true => PathBuf::from("/"),
            false => folder.to_owned(),
        };
        let mut steps: Vec<Step> = Vec::new();
        for step in way {
            match &step {
                Step::Name(name) if name == "." => {}
                Step::Name(name) if name == ".." => match steps.pop() {
                    Some(_) => {}
                    None => drop(start.pop()),
                },
                Step::Folders if matches!(steps.last(), Some(Step::Folders)) => {}
                _ => steps.push(step),
            }
        }
        search.descend(&start, &steps)?;
    }
    Ok(search.found.into_iter().collect())
}

/// That the files of a pattern cannot be told; of one that is none, in the words of the strict check, so that it is told once.
pub(crate) fn not_expanded(sources: &Sources, pattern: Text<'_>, error: &std::io::Error) -> Diagnostic {
    if let Some(message) = no_pattern(pattern.value) {
        return sources.wrong(pattern.at, message);
    }
    let message = format!("cannot look for files of `{}`", pattern.value);
    sources.wrong(pattern.at, message).caused_by(error)
}

/// Why a text is no pattern, if it is none.
pub(crate) fn no_pattern(text: &str) -> Option<String> {
    let error = glob::steps(text).err()?;
    Some(format!("`{text}` is no pattern of files: {error}"))
}

/// A pattern that has to look at more names than this was not meant so (`/**`).
const MOST_NAMES: usize = 200_000;

struct Search<'b> {
    but: &'b [&'b str],
    found: BTreeSet<PathBuf>,
    seen: usize,
}

impl Search<'_> {
    fn descend(&mut self, folder: &Path, steps: &[Step]) -> std::io::Result<()> {
        let Some((step, rest)) = steps.split_first() else {
            return Ok(());
        };
        if let Step::Name(name) = step {
            let next = folder.join(name);
            if !rest.is_empty() {
                return self.descend(&next, rest);
            }
            if next.is_file() {
                self.found.insert(next);
            }
            return Ok(());
        }
        let any_depth = matches!(step, Step::Folders);
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
            if !self.fits(step, name) {
                continue;
            }
            let path = entry.path();
            if any_depth {
                // A link to a folder is not followed: it may lead back up.
                if entry.file_type()?.is_dir() {
                    self.descend(&path, steps)?;
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

    /// May the step lead to this name? What is hidden, and what has a form of its own, is passed by unless it is asked for so.
    fn fits(&self, step: &Step, name: &str) -> bool {
        let written = match step {
            Step::Fitting { written, .. } => written.as_str(),
            _ => "",
        };
        let is_passed_by = name.starts_with('.') && !written.starts_with('.')
            || (self.but.iter()).any(|end| name.ends_with(end) && !written.ends_with(end));
        !is_passed_by
            && match step {
                Step::Fitting { glob, .. } => glob.fits(name),
                Step::Name(own) => own == name,
                Step::Folders => true,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names() {
        let fits = |pattern: &str, name: &str| {
            let ways = glob::steps(pattern).unwrap();
            let search = Search {
                but: &OWN_FORMS,
                found: BTreeSet::new(),
                seen: 0,
            };
            ways.iter().any(|way| search.fits(&way[0], name))
        };
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
            ("a*a", "a", false),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[!a-c]*", "dx", true),
            ("[]]", "]", true),
            (r"\[ab", "[ab", true),
            ("{a,b}.toml", "b.toml", true),
            ("{a,b}.toml", "c.toml", false),
            ("*[0-9].toml", "x1.toml", true),
            ("[-a]", "-", true),
            ("*.toml", "a.overlay.toml", false),
        ] {
            assert_eq!(fits(pattern, name), matched, "{pattern} {name}");
        }
        assert!(!fits(&"*a".repeat(50), &"a".repeat(20)));
        assert!(expand(Path::new("/"), "[ab", &[]).is_err());
    }

    #[test]
    fn two_stars_match_any_depth_and_no_links() {
        let dir = tempfile::tempdir().unwrap();
        // A project may lie in a folder whose name is like a pattern.
        let root = dir.path().join("t[1x]");
        fs_err::create_dir_all(dir.path().join("tx/a")).unwrap();
        fs_err::write(dir.path().join("tx/a/wrong.toml"), "").unwrap();
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
            let files = expand(&root, pattern, &OWN_FORMS).unwrap();
            let relative = |path: &PathBuf| path.strip_prefix(&root).unwrap().display().to_string();
            files.iter().map(relative).collect()
        };
        assert_eq!(found("**/*.toml"), ["a/b/x.toml", "a/x.toml", "x.toml"]);
        assert_eq!(found("*/*.toml"), ["a/x.toml"]);
        assert_eq!(found("a/**"), ["a/b/x.toml", "a/b/y.txt", "a/x.toml"]);
        assert_eq!(found("none/*.toml"), Vec::<String>::new());
        assert_eq!(found("**/b/*.toml"), ["a/b/x.toml"]);
        assert_eq!(found("../t[1x]/a/../*.toml"), Vec::<String>::new());
        assert_eq!(found("a/../*.toml"), ["x.toml"]);
        assert_eq!(found(&"**/".repeat(200)), found("**"));
        assert_eq!(found("{a/b/x,x}.toml"), ["a/b/x.toml", "x.toml"]);
        assert_eq!(found("{a,a/b}/*.toml"), ["a/b/x.toml", "a/x.toml"]);
        assert_eq!(found(&format!("{}x.toml", "**/".repeat(200))), found("**/x.toml"));
    }
}
