//! `keel image extract`, `cat` and `diff`.

use std::{collections::BTreeMap, io, path::Path};

use keel_image::files::{
    self, Error, Extracted, Files, Kind,
    diff::{Changed, Differences, How},
};
use keel_spec::macros::text;
use serde::Serialize;

use crate::{
    args::{self, image::Part},
    commands::diff::{LARGEST, is_text, unified},
    context::Context,
    failure::{Class, Failure},
    report,
};

pub(super) fn extract(context: &Context<'_>, options: &args::Extract) -> Result<(), Failure> {
    let what = format!("cannot take files out of {}", options.image.display());
    let failed = |error: Error| failure(&what, &error);
    let mut files = open(context, &options.image, &options.part)?;
    let chosen = files.chosen(&options.paths).map_err(failed)?;
    let done = match (&options.to, &options.tar) {
        (Some(folder), _) => files::extract(&mut files, &chosen, &context.directory.join(folder)),
        (None, Some(tar)) if tar == Path::new("-") => {
            match files.archive(&chosen, io::stdout().lock()) {
                // Who reads it has read enough.
                Err(Error::Write { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => {
                    return Ok(());
                }
                done => {
                    let done = done.map_err(failed)?;
                    told(&done).lines().for_each(|line| context.terminal.line(line));
                    return Ok(());
                }
            }
        }
        (None, Some(tar)) => files::pack(&mut files, &chosen, &context.directory.join(tar)),
        (None, None) => return Err(Failure::input("say where to: --to DIR or --tar FILE")),
    };
    report::print(context, &done.map_err(failed)?, told)
}

fn told(done: &Extracted) -> String {
    let mut lines = vec![format!(
        "{} names, {} in files",
        done.names,
        report::bytes(done.bytes)
    )];
    if !done.left_out.is_empty() {
        let list = done
            .left_out
            .iter()
            .map(|(what, count)| format!("{what} of {count}"));
        lines.push(format!("  left out: {}", list.collect::<Vec<_>>().join(", ")));
    }
    lines.join("\n")
}

pub(super) fn cat(context: &Context<'_>, options: &args::Cat) -> Result<(), Failure> {
    let what = format!("cannot print a file of {}", options.image.display());
    let mut files = open(context, &options.image, &options.part)?;
    let printed = files.file(&options.path).and_then(|(id, size)| {
        let mut out = io::stdout().lock();
        files.copy(id, size, &mut out)?;
        io::Write::flush(&mut out).map_err(|source| Error::Write {
            what: "standard output".to_owned(),
            source,
        })
    });
    match printed {
        // Who reads it has read enough.
        Err(Error::Write { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(|error| failure(&what, &error)),
    }
}

/// What two images do not have alike.
#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    differences: Differences,
    /// By path: what is different in a file of text.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    contents: BTreeMap<String, String>,
}

pub(super) fn diff(context: &Context<'_>, options: &args::Compare) -> Result<(), Failure> {
    let what = format!(
        "cannot compare {} and {}",
        options.one.display(),
        options.other.display()
    );
    // As diff(1): 1 says that they differ, so nothing else may.
    let failed = |error: Error| Failure {
        class: match error {
            Error::Interrupted(_) => Class::Interrupted,
            _ => Class::Input,
        },
        ..failure(&what, &error)
    };
    let mut one = open(context, &options.one, &options.part)?;
    let mut other = open(context, &options.other, &options.part)?;
    let differences = files::diff::compare(&mut one, &mut other).map_err(failed)?;
    let mut contents = BTreeMap::new();
    if options.contents {
        for file in &differences.files {
            if let Some(text) = of_texts(&mut one, &mut other, file).map_err(failed)? {
                contents.insert(file.path.to_string(), text);
            }
        }
    }
    let row = Row {
        differences,
        contents,
    };
    report::print(context, &row, compared)?;
    match row.differences.is_same() {
        true => Ok(()),
        false => Err(Failure {
            class: Class::Ran(1),
            diagnostics: Vec::new(),
        }),
    }
}

/// How the texts differ, if both are texts.
fn of_texts(one: &mut Files, other: &mut Files, file: &Changed) -> Result<Option<String>, Error> {
    let read = |files: &mut Files| -> Result<Option<Vec<u8>>, Error> {
        match files.entries().get(&file.path).map(|entry| entry.kind.clone()) {
            None => Ok(Some(Vec::new())),
            Some(Kind::File { id, size }) => {
                Ok(files.whole(id, size, LARGEST)?.filter(|bytes| is_text(bytes)))
            }
            Some(_) => Ok(None),
        }
    };
    let is_other = file.how == How::Changed && file.what.iter().all(|aspect| aspect.what != "content");
    if is_other {
        return Ok(None);
    }
    let (Some(before), Some(after)) = (read(one)?, read(other)?) else {
        return Ok(None);
    };
    let header = |side: char, is_there: bool| match is_there {
        true => format!("{side}{}", file.path),
        false => "/dev/null".to_owned(),
    };
    let (from, to) = (
        header('a', file.how != How::Added),
        header('b', file.how != How::Removed),
    );
    Ok(Some(
        String::from_utf8_lossy(&text::encode(&unified(&before, &after, &from, &to))).into_owned(),
    ))
}

fn compared(row: &Row) -> String {
    let differences = &row.differences;
    let mut lines = Vec::new();
    match &differences.packages {
        None => lines.push("packages: at least one of the images does not say which it has".to_owned()),
        Some(packages) if packages.is_empty() => lines.push("packages: the same".to_owned()),
        Some(packages) => {
            lines.push(format!("{} packages differ", packages.len()));
            for package in packages {
                let (before, after) = (package.before.join(", "), package.after.join(", "));
                lines.push(match (before.is_empty(), after.is_empty()) {
                    (true, _) => format!("  + {} {after}", package.name),
                    (_, true) => format!("  - {} {before}", package.name),
                    _ => format!("  ! {} {before} -> {after}", package.name),
                });
            }
        }
    }
    let (before, after) = differences.bytes;
    let count = match differences.files.len() {
        0 => "files: the same".to_owned(),
        count => format!("{count} files differ"),
    };
    lines.push(format!(
        "{count}; {} -> {}",
        report::bytes(before),
        report::bytes(after)
    ));
    for file in &differences.files {
        let size = |size: Option<u64>| {
            size.map(|size| format!(" ({})", report::bytes(size)))
                .unwrap_or_default()
        };
        match file.how {
            How::Added => lines.push(format!("  + {}{}", file.path, size(file.size.1))),
            How::Removed => lines.push(format!("  - {}{}", file.path, size(file.size.0))),
            How::Changed => {
                let what = file.what.iter().map(|aspect| {
                    let short = |text: &str| text.chars().take(24).collect::<String>();
                    match aspect.what.as_str() {
                        "content" => "content".to_owned(),
                        name => format!("{name} {} -> {}", short(&aspect.before), short(&aspect.after)),
                    }
                });
                lines.push(format!(
                    "  ! {}: {}",
                    file.path,
                    what.collect::<Vec<_>>().join(", ")
                ));
            }
        }
        if let Some(text) = row.contents.get(file.path.as_str()) {
            lines.extend(text.lines().map(|line| format!("    {line}")));
        }
    }
    let lines: Vec<String> = lines.iter().map(|line| report::harmless_line(line)).collect();
    lines.join("\n")
}

fn open(context: &Context<'_>, image: &Path, part: &Part) -> Result<Files, Failure> {
    let path = context.directory.join(image);
    let scratch = context.store()?.temp_dir("files")?;
    let options = files::Options {
        partition: part.partition.as_deref(),
        arch: context.arch(),
        // What is there has no name, and stays when the folder goes.
        scratch: scratch.path(),
    };
    files::open(&path, &options, &context.interrupt)
        .map_err(|error| failure(&format!("cannot look into {}", image.display()), &error))
}

fn failure(what: &str, error: &Error) -> Failure {
    let class = match error {
        Error::Write { .. } => Class::Environment,
        _ => Class::Input,
    };
    let failure = Failure::because(class, what, error);
    match error {
        Error::Missing {
            nearest: Some(nearest),
            ..
        } => failure.hint(format!("there is `{nearest}`")),
        Error::Partition { .. } => {
            failure.hint("--partition NUMBER takes another; `keel image inspect` tells them")
        }
        Error::Unmerged { .. } => failure.hint(
            "the system did not close it: `rpm --rebuilddb` in the system merges them, and so does `sqlite3 rpmdb.sqlite 'PRAGMA wal_checkpoint(TRUNCATE)'`",
        ),
        Error::Exists { .. } => failure.hint("take another name, or a folder that is empty"),
        _ => failure,
    }
}
