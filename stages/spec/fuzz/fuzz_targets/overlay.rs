//! Any overlay on any SPEC: no panic, no hang, and no byte changed but in the lines that it names.
#![no_main]

use keel_config::{
    Location,
    glob::Glob,
    overlay::{Change, Overlay, Semantics},
    re2::Pattern,
};
use keel_spec::overlay::{Document, apply_to_spec};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(4, |byte| *byte == 0);
    let mut next = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (choice, one, other) = (next(), next(), next());
    let spec = parts.next().unwrap_or_default();
    if let Ok(glob) = Glob::new(&one) {
        let _ = glob.fits(&other);
    }
    if let Ok(pattern) = Pattern::new(&one) {
        let _ = pattern.replace(&other, &one);
    }
    let choice = choice.bytes().next().unwrap_or_default();
    let semantics = match choice & 0x80 {
        0 => Semantics::Lines,
        _ => Semantics::Structural,
    };
    let overlay = Overlay {
        change: change(choice & 0x7f, one, other),
        description: None,
        archive: None,
        metadata: None,
        defined_at: Location::line("fuzz.toml", 1),
    };
    let mut document = Document::new(spec);
    assert_eq!(document.bytes(), spec);
    match apply_to_spec(&mut document, "fuzz.spec", &overlay, semantics, 0) {
        Err(error) => {
            let _ = error.to_string();
            assert_eq!(document.bytes(), spec);
        }
        Ok(record) => {
            let after = document.bytes();
            let lines = |bytes: &[u8]| bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            let (old, new): (Vec<Vec<u8>>, Vec<Vec<u8>>) = (lines(spec), lines(&after));
            let (mut undone, mut at) = (Vec::new(), 0);
            for hunk in &record.spec {
                undone.extend_from_slice(&new[at..hunk.new_line - 1].concat());
                undone.extend_from_slice(&old[hunk.line - 1..hunk.line - 1 + hunk.removed].concat());
                at = hunk.new_line - 1 + hunk.added;
            }
            undone.extend_from_slice(&new[at..].concat());
            if !spec.ends_with(b"\n") && undone.len() == spec.len() + 1 {
                undone.pop();
            }
            assert_eq!(undone, spec);
        }
    }
});

fn change(choice: u8, one: String, other: String) -> Change {
    let package = Some(other.clone()).filter(|name| !name.is_empty() && choice & 0x40 != 0);
    let lines: Vec<String> = other.split('\n').map(str::to_owned).collect();
    let (tag, value) = (one.clone(), other.clone());
    match choice % 14 {
        0 => Change::SpecAddTag { package, tag, value },
        1 => Change::SpecInsertTag { package, tag, value },
        2 => Change::SpecSetTag { package, tag, value },
        3 => Change::SpecUpdateTag { package, tag, value },
        4 => Change::SpecRemoveTag {
            package,
            tag,
            value: None,
        },
        5 => Change::SpecPrependLines {
            section: Some(one),
            package,
            lines,
        },
        6 => Change::SpecAppendLines {
            section: Some(one),
            package,
            lines,
        },
        7 => Change::SpecSearchReplace {
            section: None,
            package,
            regex: one,
            replacement: other,
        },
        8 => Change::SpecRemoveSection { section: one, package },
        9 => Change::SpecRemoveSubpackage { package: one },
        10 => Change::PatchRemove { file: one },
        11 => Change::SpecSetMacro { name: one, value },
        12 => Change::SpecSetBcond {
            name: one,
            value: choice & 0x20 != 0,
        },
        _ => Change::SpecReplaceSection {
            section: one,
            package,
            lines,
        },
    }
}
