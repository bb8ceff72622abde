//! Generated SPECs: an overlay leaves every byte alone that it is not about.

use keel_config::{
    Location,
    overlay::{Change, Overlay, Semantics},
};
use keel_spec::{
    overlay::{Document, apply_to_spec},
    syntax::round_trips,
};
use proptest::{collection::vec, prelude::*, sample::select};

fn line() -> impl Strategy<Value = Vec<u8>> {
    let words: &[&[u8]] = &[
        b"Name: a",
        b"Source0: x",
        b"  Patch1: y",
        b"# Patch: c",
        b"Requires(post): sh",
        b"%package devel",
        b"%package -n z",
        b"%files",
        b"%files devel",
        b"  %build",
        b"%changelog",
        b"%patchlist",
        b"%if 1",
        b"%else",
        b"%endif",
        b"%global x \\",
        b"%{?x:",
        b"}",
        b"text \xff\xfe",
        b"text\r",
        b"",
        b"\xf4\x8f\xbf\xa4",
        b"%bcond_with q",
        b"make %{version}",
    ];
    select(words).prop_map(<[u8]>::to_vec)
}

fn change() -> impl Strategy<Value = Change> {
    let package = || select(&[None, Some("devel"), Some("z")][..]).prop_map(|name| name.map(str::to_owned));
    let section = || select(&["%files", "%build", "%changelog", "%package"][..]).prop_map(str::to_owned);
    let tag = || select(&["Name", "Source0", "patch1", "Epoch"][..]).prop_map(str::to_owned);
    let value = || "[a-z]{1,3}";
    let lines = || vec("[a-z %]{0,4}", 1..3);
    prop_oneof![
        (package(), tag(), value()).prop_map(|(package, tag, value)| Change::SpecAddTag {
            package,
            tag,
            value
        }),
        (package(), tag(), value()).prop_map(|(package, tag, value)| Change::SpecInsertTag {
            package,
            tag,
            value
        }),
        (package(), tag(), value()).prop_map(|(package, tag, value)| Change::SpecSetTag {
            package,
            tag,
            value
        }),
        (package(), tag(), value()).prop_map(|(package, tag, value)| Change::SpecUpdateTag {
            package,
            tag,
            value
        }),
        (package(), tag()).prop_map(|(package, tag)| Change::SpecRemoveTag {
            package,
            tag,
            value: None
        }),
        (section(), package(), lines()).prop_map(|(section, package, lines)| Change::SpecPrependLines {
            section: Some(section),
            package,
            lines
        }),
        (section(), package(), lines()).prop_map(|(section, package, lines)| Change::SpecAppendLines {
            section: Some(section),
            package,
            lines
        }),
        (select(&["e", "^.", "[^a]$", r"\w+"][..]), value()).prop_map(|(regex, replacement)| {
            Change::SpecSearchReplace {
                section: None,
                package: None,
                regex: regex.to_owned(),
                replacement,
            }
        }),
        (section(), package()).prop_map(|(section, package)| Change::SpecRemoveSection { section, package }),
        Just(Change::SpecRemoveSubpackage {
            package: "devel".to_owned()
        }),
        (section(), package(), lines()).prop_map(|(section, package, lines)| Change::SpecReplaceSection {
            section,
            package,
            lines
        }),
        value().prop_map(|value| Change::SpecSetMacro {
            name: "x".to_owned(),
            value
        }),
        any::<bool>().prop_map(|value| Change::SpecSetBcond {
            name: "q".to_owned(),
            value
        }),
    ]
}

fn lines_of(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn other_bytes_stay(
        lines in vec(line(), 0..24),
        ended in any::<bool>(),
        change in change(),
        structural in any::<bool>(),
    ) {
        let mut spec = lines.join(&b'\n');
        if ended && !spec.is_empty() {
            spec.push(b'\n');
        }
        let overlay = Overlay {
            change,
            description: None,
            archive: None,
            metadata: None,
            defined_at: Location::file(""),
        };
        let semantics = if structural { Semantics::Structural } else { Semantics::Lines };
        let mut document = Document::new(&spec);
        prop_assert_eq!(&document.bytes(), &spec);
        prop_assert!(round_trips(&spec));
        let Ok(record) = apply_to_spec(&mut document, "a.spec", &overlay, semantics, 0) else {
            prop_assert_eq!(document.bytes(), spec);
            return Ok(());
        };
        let after = document.bytes();
        prop_assert!(round_trips(&after));
        let (old, new) = (lines_of(&spec), lines_of(&after));
        let (mut out, mut at): (Vec<&[u8]>, usize) = (Vec::new(), 0);
        for hunk in &record.spec {
            out.extend(&new[at..hunk.new_line - 1]);
            out.extend(&old[hunk.line - 1..hunk.line - 1 + hunk.removed]);
            at = hunk.new_line - 1 + hunk.added;
        }
        out.extend(&new[at..]);
        let mut undone = out.concat();
        if !spec.ends_with(b"\n") && undone.len() == spec.len() + 1 {
            undone.pop();
        }
        prop_assert_eq!(undone, spec);
    }
}
