//! `keel component diff`: what rendering changes, from the pristine folder to the rendered one.

use std::{io, path::Path, sync::Arc, time::Duration};

use keel_config::{Component, Diagnostic};
use keel_spec::{
    macros::text,
    render::place::{self, Difference, How},
};
use serde::Serialize;
use similar::TextDiff;

use crate::{
    args::component::Diff,
    context::Context,
    failure::{Class, Failure},
    rendering::{self, Prepared, Pristine, Rendering},
    report,
};

/// Files larger than this are only named, in bytes.
pub(super) const LARGEST: u64 = 16 << 20;
/// What a file's first bytes tell: text has no zero there, as git sees it.
const BEGINNING: usize = 8000;
/// After this time, a diff is one that is right, but not the shortest.
const PATIENCE: Duration = Duration::from_secs(10);
/// Lines around a change.
const AROUND: usize = 3;

/// What rendering changes of one component.
#[derive(Serialize)]
struct Row {
    component: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    files: Vec<File>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What it changes of one file.
#[derive(Serialize)]
struct File {
    /// Its path in the folder.
    file: String,
    /// What it was called before, if it was called otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    how: How,
    /// No text: there is no diff.
    binary: bool,
    /// With the stand-ins of bytes that are no text.
    #[serde(serialize_with = "readable")]
    diff: String,
}

fn readable<S: serde::Serializer>(diff: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(&text::encode(diff)))
}

/// Prints what rendering would change.
pub fn run(context: &Context<'_>, command: &Diff) -> Result<(), Failure> {
    let project = Arc::new(context.project()?);
    let chosen = rendering::chosen(&project, &command.select)?;
    let scratch = context.store()?.temp_dir("diff")?;
    let rendering = Rendering::new(context, &project, &command.macros, scratch.path())?;
    let results = rendering.each(&chosen, row)?;
    context.interrupt.check()?;
    let (mut rows, mut diagnostics): (Vec<Row>, Vec<Diagnostic>) = (Vec::new(), Vec::new());
    for (result, component) in results.into_iter().zip(&chosen) {
        match result {
            Ok(row) => rows.push(row),
            Err(failure) => {
                let failure = rendering::of(component, "render", failure);
                let texts: Vec<String> = failure.diagnostics.iter().map(ToString::to_string).collect();
                diagnostics.extend(failure.diagnostics);
                rows.push(Row {
                    component: component.name.to_string(),
                    commit: None,
                    files: Vec::new(),
                    error: Some(texts.join("\n")),
                });
            }
        }
    }
    match context.wants_json() {
        true => report::print(context, &rows, |_| String::new())?,
        false => {
            for file in rows.iter().flat_map(|row| &row.files) {
                report::bytes_as_they_are(&file.diff)?;
            }
        }
    }
    if diagnostics.is_empty() {
        return Ok(());
    }
    Err(Failure {
        class: Class::Failed,
        diagnostics,
    })
}

fn row(rendering: &Rendering, component: &Component, pristine: Pristine) -> Result<Row, Failure> {
    let name = component.name.as_str();
    let prepared = rendering.prepare(component, pristine)?;
    let files = files(name, &prepared);
    // What thousands of components leave is much.
    fs_err::remove_dir_all(&prepared.folder)?;
    Ok(Row {
        component: name.to_owned(),
        commit: prepared.pristine.commit,
        files: files?,
        error: None,
    })
}

fn files(name: &str, prepared: &Prepared) -> io::Result<Vec<File>> {
    let (old, new) = (&prepared.pristine.folder, &prepared.folder);
    let (before, after) = (&prepared.pristine.spec, format!("{name}.spec"));
    let is_renamed = *before != after;
    let mut differences = place::differences(old, new)?;
    // git's own files are never rendered; a SPEC with another name is the same file.
    differences.retain(|difference| {
        let is_gits = difference.file.split('/').next() == Some(".git");
        let is_spec = is_renamed && difference.file == *before;
        !(is_gits || is_spec)
    });
    let mut files = Vec::new();
    for Difference { file, how } in differences {
        let is_spec = is_renamed && file == after;
        let was = if is_spec { before } else { &file };
        let how = if is_spec { How::Changed } else { how };
        let (one, other) = match how {
            How::Added => (Some(Vec::new()), read(&new.join(&file))?),
            How::Removed => (read(&old.join(was))?, Some(Vec::new())),
            How::Changed => (read(&old.join(was))?, read(&new.join(&file))?),
        };
        let header = |side: &str, file: &str, is_there: bool| match is_there {
            true => format!("{side}/{name}/{file}"),
            false => "/dev/null".to_owned(),
        };
        let (from, to) = (
            header("a", was, how != How::Added),
            header("b", &file, how != How::Removed),
        );
        let (binary, diff) = match (one, other) {
            (Some(one), Some(other)) => (false, unified(&one, &other, &from, &to)),
            _ => (true, format!("Binary files {from} and {to} differ\n")),
        };
        files.push(File {
            before: is_spec.then(|| before.clone()),
            file,
            how,
            binary,
            diff,
        });
    }
    Ok(files)
}

/// A text: the bytes of a file, or where a link leads. None for what is no text, or too much.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let metadata = path.symlink_metadata()?;
    if metadata.is_symlink() {
        let target = fs_err::read_link(path)?;
        return Ok(Some(target.into_os_string().into_encoded_bytes()));
    }
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Ok(None);
    }
    let bytes = fs_err::read(path)?;
    Ok(is_text(&bytes).then_some(bytes))
}

pub(super) fn is_text(bytes: &[u8]) -> bool {
    !bytes.iter().take(BEGINNING).any(|byte| *byte == 0)
}

pub(super) fn unified(one: &[u8], other: &[u8], from: &str, to: &str) -> String {
    let (one, other) = (text::decode(one), text::decode(other));
    let diff = TextDiff::configure()
        .timeout(PATIENCE)
        .diff_lines(one.as_ref(), other.as_ref());
    let shown = diff
        .unified_diff()
        .context_radius(AROUND)
        .header(from, to)
        .to_string();
    match shown.is_empty() {
        // An empty file came or went, or its name did.
        true => format!("--- {from}\n+++ {to}\n"),
        false => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_survive() {
        let diff = unified(b"a\n\xff\nb\n", b"a\n\xfe\nb", "a/x", "b/x");
        assert_eq!(
            text::encode(&diff).as_ref(),
            b"--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n a\n-\xff\n-b\n+\xfe\n+b\n\\ No newline at end of file\n"
        );
    }
}
