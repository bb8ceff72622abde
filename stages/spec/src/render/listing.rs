//! What a SPEC asks for and says: its files, its version. Rules R63 and R70 to R72.

use std::{path::Path, sync::Arc};

use keel_config::{Diagnostic, Location};

use crate::{
    environment::Environment,
    eval::{self, Evaluated},
    macros::{Engine, Limits, level, text},
    messages,
    render::autospec::{Version, versions},
    world::{Layered, Surroundings},
};

/// Tells which sources and patches a SPEC names, as its tags say them, macros expanded.
pub trait List {
    /// The values of all `Source` and `Patch` tags, or all that is wrong with the SPEC. `path` is the SPEC's, and its folder
    /// that of its sources.
    fn sources(&self, path: &Path, spec: &[u8]) -> Result<Vec<String>, Vec<Diagnostic>>;

    /// What a SPEC says of its version, and asks of `%autorelease`; none if it cannot be evaluated.
    fn version(&self, path: &Path, spec: &[u8]) -> Option<Version>;
}

/// Keel's own evaluator. The surroundings must let it read the folder in which SPECs are rendered.
pub struct Evaluator<'e> {
    /// Macros.
    pub environment: &'e Environment,
    /// What macros may ask.
    pub surroundings: &'e Arc<Surroundings>,
}

impl Evaluator<'_> {
    /// What a SPEC says, or all that is wrong with it. `path` is the SPEC's, and its folder that of its sources.
    pub fn evaluate(&self, path: &Path, spec: &[u8]) -> Result<Evaluated, Vec<Diagnostic>> {
        let outcome = self.evaluate_in(&mut self.engine(path), path, spec);
        if let Some(evaluated) = outcome.evaluated {
            return Ok(evaluated);
        }
        let shown = path.to_string_lossy();
        let source = text::decode(spec);
        let buildable = |arch: &str| self.environment.machine_score(arch) > 0;
        // Once more, for all that is wrong and not the first thing alone.
        let outcome = eval::evaluate_past_errors(&mut self.engine(path), &shown, &source, &buildable);
        let told = messages::Source::new(&shown, path, &source, &outcome.files);
        let errors = told.errors(&outcome.messages);
        match errors.is_empty() {
            true => Err(vec![
                Diagnostic::new("it cannot be evaluated, and no reason is given").at(Location::file(path)),
            ]),
            false => Err(errors),
        }
    }

    fn evaluate_in(&self, engine: &mut Engine, path: &Path, spec: &[u8]) -> eval::Outcome {
        let buildable = |arch: &str| self.environment.machine_score(arch) > 0;
        eval::evaluate(engine, &path.to_string_lossy(), &text::decode(spec), &buildable)
    }

    fn engine(&self, path: &Path) -> Engine {
        let world = Arc::new(Layered {
            tree: self.environment.tree.clone(),
            rest: self.surroundings.of_spec(&path.to_string_lossy()),
        });
        let (table, behaviour) = (self.environment.table.clone(), self.environment.behaviour);
        let mut engine = Engine::new(table, behaviour, world, Limits::default());
        let folder = path.parent().unwrap_or(Path::new("/")).to_string_lossy();
        engine.push("_sourcedir", None, &folder, level::CMDLINE);
        engine
    }
}

impl List for Evaluator<'_> {
    fn sources(&self, path: &Path, spec: &[u8]) -> Result<Vec<String>, Vec<Diagnostic>> {
        let evaluated = self.evaluate(path, spec)?;
        Ok(evaluated.sources.into_iter().map(|source| source.full).collect())
    }

    fn version(&self, path: &Path, spec: &[u8]) -> Option<Version> {
        let read = |spec: &[u8]| {
            let mut engine = self.engine(path);
            engine.push(
                "autorelease",
                Some(versions::OPTIONS),
                versions::BODY,
                level::CMDLINE,
            );
            engine.push("autochangelog", None, "%{nil}", level::CMDLINE);
            let source = self.evaluate_in(&mut engine, path, spec).evaluated?.source;
            Some(Version::of(source.epoch, &source.version, &source.release))
        };
        // What comes after the preamble says nothing of it, and may need what is not there.
        read(before_prep(spec)).or_else(|| read(spec))
    }
}

/// The lines of a SPEC before its `%prep`.
fn before_prep(spec: &[u8]) -> &[u8] {
    let mut at = 0;
    for line in spec.split_inclusive(|byte| *byte == b'\n') {
        if line.trim_ascii() == b"%prep" {
            break;
        }
        at += line.len();
    }
    &spec[..at]
}

/// The file that a source is, relative to its SPEC's folder: of an address, the last part of its path, or what follows
/// `#/`. None for what is no file there.
pub fn file_of(source: &str) -> Option<String> {
    let source = source.trim();
    let name = match address(source) {
        Some((path, fragment)) => {
            let named = fragment.filter(|text| text.starts_with('/') || text.starts_with("./"));
            base(&named.unwrap_or(path)).to_owned()
        }
        None => cleaned(source)?,
    };
    (!matches!(name.as_str(), "" | "." | "/")).then_some(name)
}

/// Path and fragment of an address with a scheme and a host. What holds a `%` that escapes nothing (a macro that nobody
/// knows) is none.
fn address(source: &str) -> Option<(String, Option<String>)> {
    let (scheme, rest) = source.split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    let (rest, fragment) = match rest.split_once('#') {
        Some((rest, fragment)) => (rest, Some(unescaped(fragment)?)),
        None => (rest, None),
    };
    let rest = rest.split('?').next().unwrap_or_default();
    let (host, _) = rest.split_once('/').unwrap_or((rest, ""));
    let path = unescaped(&rest[host.len()..])?;
    (is_scheme && !host.is_empty() && !host.contains('%')).then_some((path, fragment))
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let digit = |at: usize| char::from(*rest.get(at)?).to_digit(16);
        bytes.push(u8::try_from(digit(0)? * 16 + digit(1)?).ok()?);
        rest = &rest[2..];
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn base(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// A relative path without `.` and `..` in it; none if it leads out.
fn cleaned(path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_files() {
        for (source, file) in [
            ("a.tar.gz", Some("a.tar.gz")),
            ("patches/fix.patch", Some("patches/fix.patch")),
            ("./x/../a", Some("a")),
            ("https://x.org/p/a-1.tar.gz", Some("a-1.tar.gz")),
            ("https://x.org/p/a?b=c", Some("a")),
            ("https://x.org/v1.tar.gz#/a-1.tar.gz", Some("a-1.tar.gz")),
            ("https://x.org/v1.tar.gz#./a.asc", Some("a.asc")),
            ("https://x.org/a#anchor", Some("a")),
            ("https://x.org/a%20b.tar", Some("a b.tar")),
            (
                "https://x.org/%{branch}/a.tar",
                Some("https:/x.org/%{branch}/a.tar"),
            ),
            ("https://x.org", None),
            ("../a", None),
            ("/etc/passwd", None),
            (".", None),
        ] {
            assert_eq!(file_of(source).as_deref(), file, "{source}");
        }
    }
}
