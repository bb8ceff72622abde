//! Overlays on every SPEC of a folder: bytes that they are not about stay.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use keel_config::{
    Location,
    overlay::{Change, Overlay, Semantics},
};
use keel_spec::{
    overlay::{Document, Hunk, apply_to_spec},
    render::autospec,
};

use super::changelog;

/// How many SPECs an overlay changed where it should not.
pub fn run(folder: &str) -> Result<usize> {
    let mut specs = Vec::new();
    find(Path::new(folder), &mut specs)?;
    specs.sort();
    let probes = probes();
    let mut counts = vec![[0_usize; 2]; probes.len()];
    let (mut failed, mut blocks, mut entries) = (0, [0_usize; 2], 0);
    for path in &specs {
        let bytes = fs::read(path)?;
        for (index, overlay) in probes.iter().enumerate() {
            for (mode, semantics) in [Semantics::Lines, Semantics::Structural].into_iter().enumerate() {
                let mut document = Document::new(&bytes);
                let Ok(record) = apply_to_spec(&mut document, "spec", overlay, semantics, 0) else {
                    continue;
                };
                counts[index][mode] += 1;
                if undone(&bytes, &document.bytes(), &record.spec, semantics) != bytes {
                    failed += 1;
                    println!(
                        "{}: {} ({semantics:?}) changes other bytes",
                        path.display(),
                        record.overlay
                    );
                }
            }
        }
        entries += changelog::equal(&String::from_utf8_lossy(&bytes));
        if let Some(equal) = block(&bytes) {
            blocks[usize::from(equal)] += 1;
            if !equal {
                println!("{}: its block of settings is made otherwise", path.display());
            }
        }
    }
    println!(
        "{folder}: {} SPECs; {failed} times other bytes changed",
        specs.len()
    );
    for (overlay, [lines, structural]) in probes.iter().zip(counts) {
        let kind = keel_spec::overlay::kind_of(&overlay.change);
        println!("  {kind:22} applied line by line {lines}, over the tree {structural}");
    }
    println!(
        "  blocks of rpmautospec's settings: {} of {} equal",
        blocks[1],
        blocks[0] + blocks[1]
    );
    println!("  entries of generated changelogs that come out the same: {entries}");
    Ok(failed + blocks[0])
}

fn find(folder: &Path, out: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            find(&path, out)?;
        } else if path.extension().is_some_and(|extension| extension == "spec") {
            out.push(path);
        }
    }
    Ok(())
}

fn probes() -> Vec<Overlay> {
    let text = |text: &str| text.to_owned();
    let lines = vec![text("# probe"), text("probe %{name}"), String::new()];
    let (tag, value) = (text("Source9998"), text("probe"));
    let changes = [
        Change::SpecInsertTag {
            package: None,
            tag: tag.clone(),
            value: value.clone(),
        },
        Change::SpecAddTag {
            package: None,
            tag,
            value: value.clone(),
        },
        Change::SpecUpdateTag {
            package: None,
            tag: text("release"),
            value,
        },
        Change::SpecRemoveTag {
            package: None,
            tag: text("License"),
            value: None,
        },
        Change::SpecPrependLines {
            section: Some(text("%description")),
            package: None,
            lines: lines.clone(),
        },
        Change::SpecAppendLines {
            section: Some(text("%prep")),
            package: None,
            lines: lines.clone(),
        },
        Change::SpecSearchReplace {
            section: None,
            package: None,
            regex: text(r"%\{version\}"),
            replacement: text("1"),
        },
        Change::SpecRemoveSection {
            section: text("%files"),
            package: None,
        },
        Change::SpecReplaceSection {
            section: text("%build"),
            package: None,
            lines,
        },
    ];
    let overlay = |change| Overlay {
        change,
        description: None,
        archive: None,
        metadata: None,
        defined_at: Location::file(""),
    };
    changes.into_iter().map(overlay).collect()
}

/// The SPEC as it would be if only the lines that the overlay names were taken back.
fn undone(before: &[u8], after: &[u8], hunks: &[Hunk], semantics: Semantics) -> Vec<u8> {
    let old: Vec<&[u8]> = before.split_inclusive(|byte| *byte == b'\n').collect();
    let new: Vec<&[u8]> = after.split_inclusive(|byte| *byte == b'\n').collect();
    let mut out: Vec<&[u8]> = Vec::new();
    let mut at = 0;
    for hunk in hunks {
        let start = hunk.new_line - 1;
        out.extend(&new[at..start]);
        out.extend(&old[hunk.line - 1..hunk.line - 1 + hunk.removed]);
        at = start + hunk.added;
    }
    out.extend(&new[at..]);
    let mut out = out.concat();
    // Line by line, the last line gets an end.
    if semantics == Semantics::Lines && !before.ends_with(b"\n") && out.len() == before.len() + 1 {
        out.pop();
    }
    out
}

/// Whether the block of settings that a SPEC has comes out again; none if it has none.
fn block(bytes: &[u8]) -> Option<bool> {
    let text = String::from_utf8_lossy(bytes);
    let end = "## END: Set by rpmautospec\n";
    let length = text.find(end)? + end.len();
    let block = text
        .get(..length)
        .filter(|block| block.starts_with("## START: Set by rpmautospec"))?;
    let between = |start: &str, end: &str| {
        let rest = block.split_once(start)?.1;
        Some(rest.split_once(end)?.0)
    };
    let program = between("(rpmautospec version ", ")")?;
    let number = between("release_number = ", ";").and_then(|number| number.parse().ok());
    let changelog = between("## RPMAUTOSPEC: ", "\n")?.contains("autochangelog");
    Some(autospec::settings(program, number, changelog) == block)
}
