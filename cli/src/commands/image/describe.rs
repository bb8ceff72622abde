//! `keel image describe`: a page for each finished image, written or compared.

use std::{collections::BTreeMap, path::Path};

use keel_artefact::ImageName;
use keel_image::describe::{Page, describe};

use crate::{
    args,
    commands::diff::unified,
    context::Context,
    failure::{Class, Failure},
    report, terminal,
};

/// The page that lists the others.
const INDEX: &str = "README.md";
/// Where begins what a test found, and what it measured.
const LISTENS: &str = "\n## What listens\n";
const MEASURED: &str = "\n## Measured\n";

pub(super) fn run(context: &Context<'_>, options: &args::image::Describe) -> Result<(), Failure> {
    let project = context.project()?;
    let is_all = options.images.is_empty();
    let names: Vec<ImageName> = match is_all {
        true => project.images.keys().cloned().collect(),
        false => options.images.clone(),
    };
    let mut pages = Vec::new();
    for image in crate::pipeline::images(&project, &names)? {
        let name = &image.name;
        let built = keel_image::existing(&project, &image).map_err(|error| {
            Failure::because(Class::Input, format!("image `{name}` is not built"), &error)
                .hint(format!("keel image build {name}"))
        })?;
        let scratch = context.store()?.temp_dir("files")?;
        let page = describe(&image, &built, scratch.path(), &context.interrupt);
        let text = format!("cannot describe image `{name}`");
        pages.push(page.map_err(|error| Failure::because(Class::Failed, text, &error))?);
    }
    let Some(to) = &options.to else {
        return report::print(context, &pages, |pages| {
            pages.iter().map(markdown).collect::<Vec<_>>().join("\n")
        });
    };
    let mut files: BTreeMap<String, String> = (pages
        .iter()
        .map(|page| (format!("{}.md", page.image), markdown(page))))
    .collect();
    if is_all {
        files.insert(INDEX.to_owned(), index(&pages));
    }
    let folder = context.directory.join(to);
    if options.check {
        return check(context, &pages, &files, &folder, is_all);
    }
    fs_err::create_dir_all(&folder)?;
    for (name, text) in &files {
        fs_err::write(folder.join(name), text)?;
    }
    report::print(context, &pages, |_| {
        let count = files.len();
        format!("{count} pages in {}", to.display())
    })
}

/// Holds the pages that are there against what they should be. What was measured is another figure each time.
fn check(
    context: &Context<'_>,
    pages: &[Page],
    files: &BTreeMap<String, String>,
    folder: &Path,
    is_all: bool,
) -> Result<(), Failure> {
    let mut wrong = Vec::new();
    for (name, text) in files {
        let there = match fs_err::read_to_string(folder.join(name)) {
            Ok(there) => there,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error.into()),
        };
        let page = pages.iter().find(|page| format!("{}.md", page.image) == *name);
        let is_tested = page.is_none_or(|page| page.listening.is_some());
        let (there, should) = (compared(&there, is_tested), compared(text, is_tested));
        if there != should {
            wrong.push(unified(
                there.as_bytes(),
                should.as_bytes(),
                &format!("there/{name}"),
                &format!("built/{name}"),
            ));
        }
    }
    if is_all {
        for entry in fs_err::read_dir(folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".md") && !files.contains_key(&name) {
                wrong.push(format!("{name}: there is no such image\n"));
            }
        }
    }
    report::print(context, &wrong, |wrong| report::harmless(&wrong.concat()))?;
    match wrong.len() {
        0 => Ok(()),
        count => {
            let pages = if count == 1 {
                "1 page is"
            } else {
                &format!("{count} pages are")
            };
            let failure = Failure::new(Class::Failed, format!("{pages} not what the images are"));
            Err(failure.hint("write them anew: the same command without `--check`"))
        }
    }
}

fn compared(text: &str, is_tested: bool) -> &str {
    let end = text.find(MEASURED).unwrap_or(text.len());
    match text[..end].find(LISTENS) {
        Some(end) if !is_tested => &text[..end],
        _ => &text[..end],
    }
}

const MADE: &str = "<!-- Made by `keel image describe`; do not edit. -->\n";

fn index(pages: &[Page]) -> String {
    let mut text = format!(
        "{MADE}\n# Images\n\n| image | what | formats | packages | installed |\n|---|---|---|---|---|\n"
    );
    for page in pages {
        let formats: Vec<&str> = images(page).map(|file| file.format.as_str()).collect();
        text.push_str(&format!(
            "| [`{0}`]({0}.md) | {1} | {2} | {3} | {4} |\n",
            page.image,
            cell(&page.description),
            formats.join(", "),
            page.packages.len(),
            report::bytes(page.installed)
        ));
    }
    text
}

/// Its files without documents.
fn images(page: &Page) -> impl Iterator<Item = &keel_image::manifest::File> {
    let is_image = |format: &str| !matches!(format, "lock" | "spdx" | "cyclonedx" | "kernel" | "initrd");
    page.files.iter().filter(move |file| is_image(&file.format))
}

fn markdown(page: &Page) -> String {
    let mut text = format!("{MADE}\n# `{}`\n\n{}\n", page.image, page.description);
    if let Some(purpose) = &page.purpose {
        text.push_str(&format!("\n{}\n", report::harmless(purpose.trim())));
    }
    text.push_str(&format!(
        "\n- version {} for {}\n- installed: {}\n",
        page.version,
        page.arch,
        report::bytes(page.installed)
    ));
    if let Some(cmdline) = &page.cmdline {
        text.push_str(&format!("- kernel command line: `{}`\n", cell(cmdline)));
    }
    let row = |file: &keel_image::manifest::File| {
        format!(
            "| `{}` | {} | {} |\n",
            file.name,
            file.format,
            report::bytes(file.size)
        )
    };
    text.push_str("\n## Files\n\n| file | format | size |\n|---|---|---|\n");
    text.extend(page.files.iter().map(row));
    let list = |text: &mut String, title: &str, rows: Vec<String>| {
        text.push_str(&format!("\n## {title}\n\n"));
        match rows.is_empty() {
            true => text.push_str("None.\n"),
            false => text.extend(rows.iter().map(|row| format!("- {row}\n"))),
        }
    };
    let privileged = page
        .privileged
        .iter()
        .map(|one| format!("`{}`: {}", cell(&one.path), one.what.join(", ")));
    list(
        &mut text,
        "Set-user-ID, set-group-ID and capabilities",
        privileged.collect(),
    );
    let logins = page
        .logins
        .iter()
        .map(|one| format!("`{}`, by {}", cell(&one.user), one.with.join(" and ")));
    list(&mut text, "Who can log in", logins.collect());
    let units = page.enabled.iter().map(|unit| format!("`{}`", cell(unit)));
    list(&mut text, "Enabled units", units.collect());
    text.push_str("\n## Packages\n\n| package | size of its files |\n|---|---|\n");
    for package in &page.packages {
        let size = package.size.map_or_else(|| "?".to_owned(), report::bytes);
        text.push_str(&format!("| `{}` | {size} |\n", package.nevra));
    }
    if let Some(listening) = &page.listening {
        list(
            &mut text,
            "What listens",
            listening
                .iter()
                .map(|socket| format!("`{}`", cell(socket)))
                .collect(),
        );
    }
    if !page.tests.is_empty() {
        text.push_str(MEASURED);
        text.push_str("\n| started | on | ready | with firmware | memory in use |\n|---|---|---|---|---|\n");
        for test in &page.tests {
            let on = if test.kvm {
                "QEMU, KVM where there is one"
            } else {
                "QEMU, emulated (TCG)"
            };
            text.push_str(&format!(
                "| {} | {on}, {} processors | {} | {} | {} of {} |\n",
                test.mode,
                test.cpus,
                terminal::readable(test.ready),
                terminal::readable(test.wall),
                report::bytes(test.memory_used),
                report::bytes(test.memory_total)
            ));
        }
    }
    text
}

/// In a cell of a table, or in a line: without what would end it.
fn cell(text: &str) -> String {
    report::harmless_line(text).replace('|', "\\|").replace('`', "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_is_not_compared_and_what_listens_only_if_it_is_known() {
        let text = format!("a\n{LISTENS}\n- `tcp [::]:22`\n{MEASURED}\n7\n");
        assert_eq!(compared(&text, true), format!("a\n{LISTENS}\n- `tcp [::]:22`\n"));
        assert_eq!(compared(&text, false), "a\n");
        assert_eq!(compared("a\n", true), "a\n");
        assert_eq!(cell("a|b\n`\u{1b}"), "a\\|b\u{fffd}'\u{fffd}");
    }
}
