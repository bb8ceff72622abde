//! `keel spec syntax`: the shape of SPECs, and the proof that nothing of them is lost.

use std::io;

use keel_artefact::Sha256;
use keel_spec::{
    macros::text,
    parallel,
    syntax::{Outline, Tree},
};
use serde::Serialize;

use super::files::File;
use crate::{
    context::Context,
    failure::{Class, Failure},
    report,
};

/// One line of JSON.
#[derive(Serialize)]
struct Shown<'a> {
    spec: &'a str,
    /// Of what the tree prints.
    sha256: Sha256,
    #[serde(flatten)]
    outline: Outline<'a>,
}

/// A file's outline, and whether its tree prints the file.
struct Answer {
    text: String,
    is_same: bool,
}

/// Shows the outlines of files.
pub fn syntax(context: &Context<'_>, files: &[File], jobs: usize) -> Result<(), Failure> {
    let mut other = Vec::new();
    let (as_json, headed) = (context.wants_json(), files.len() > 1);
    let read_files = files.to_owned();
    parallel::each(
        files.len(),
        &parallel::How::new(jobs, &context.interrupt),
        move |index| read(&read_files[index], as_json, headed),
        |index| Err(io::Error::other(format!("{} takes too long", files[index].shown))),
        |index, answer: io::Result<Answer>| {
            let answer = answer?;
            if !answer.is_same {
                other.push(files[index].shown.as_str());
            }
            match as_json {
                true => report::line(&answer.text),
                false => report::bytes_as_they_are(&answer.text),
            }
        },
    )?;
    context.interrupt.check()?;
    match other.as_slice() {
        [] => Ok(()),
        [first, ..] => Err(Failure::new(
            Class::Bug,
            format!(
                "{} of {} files are not printed back as they are: {first}",
                other.len(),
                files.len()
            ),
        )
        .hint("please report it with that file")),
    }
}

fn read(file: &File, as_json: bool, headed: bool) -> io::Result<Answer> {
    let bytes = fs_err::read(&file.path)?;
    let source = text::decode(&bytes);
    let tree = Tree::parse(&source);
    let printed = tree.print();
    let printed = text::encode(&printed);
    let outline = Outline::of(&tree);
    let text = match as_json {
        true => serde_json::to_string(&Shown {
            spec: &file.shown,
            sha256: Sha256::of(&printed),
            outline,
        })?,
        false if headed => format!("{}\n{outline}", file.shown),
        false => outline.to_string(),
    };
    Ok(Answer {
        text,
        is_same: *printed == *bytes,
    })
}
