//! Rendered SPECs before and after overlays.
//!
//! The older one without what azldev put in front of it is the pristine SPEC. What rpmautospec made (its block, and
//! `%changelog`) is compared nowhere.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result};
use keel_config::{BuildOptions, Component, Project, overlay::Semantics};
use keel_spec::{
    overlay::{self, Document},
    render::{self, Request, macros_file, release},
};

use super::git::Git;

struct Pair {
    component: String,
    input: String,
    expected: String,
    result: String,
}

/// How many pairs that azldev's rules explain come out otherwise.
pub fn run(git: &Git, project: &Project, file: &str, show: Option<&str>) -> Result<usize> {
    let table = fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
    let pairs = table.lines().skip(1).filter_map(pair);
    let (mut equal, mut failed, mut unexplained, mut total) = (0, 0, 0, 0);
    for pair in pairs {
        total += 1;
        let name = &pair.component;
        let component = super::component(project, name)?;
        let pristine = pristine(&git.show(&pair.input)?);
        let expected = comparable(&git.show(&pair.expected)?);
        let counts = matches!(pair.result.as_str(), "exact" | "release+1");
        let rendered = render(component, &pristine);
        let told = match rendered {
            Ok(bytes) if comparable(&bytes) == expected => {
                equal += 1;
                if counts {
                    continue;
                }
                "equal".to_owned()
            }
            Ok(bytes) => {
                if show == Some(name) {
                    print_difference(&comparable(&bytes), &expected);
                }
                difference(&comparable(&bytes), &expected)
            }
            Err(error) => format!("{error:#}"),
        };
        if counts {
            failed += 1;
        } else {
            unexplained += 1;
        }
        println!("{name} ({}): {told}", pair.result);
    }
    println!(
        "pairs: {equal} of {total} equal; {failed} of those that should be are not; {unexplained} are known to differ"
    );
    Ok(failed)
}

fn pair(line: &str) -> Option<Pair> {
    let fields: Vec<&str> = line.split('\t').collect();
    Some(Pair {
        component: (*fields.first()?).to_owned(),
        input: (*fields.get(5)?).to_owned(),
        expected: (*fields.get(6)?).to_owned(),
        result: (*fields.get(7)?).to_owned(),
    })
}

/// The macros that a component is built with.
pub fn macros(build: &BuildOptions) -> macros_file::Options<'_> {
    static NOTHING: BTreeMap<String, String> = BTreeMap::new();
    macros_file::Options {
        with: &build.with,
        without: &build.without,
        defines: &build.defines,
        undefines: &build.undefines,
        upstream: &NOTHING,
    }
}

fn render(component: &Component, pristine: &[u8]) -> Result<Vec<u8>> {
    let name = component.name.as_str();
    let check = &component.build.check;
    let mut document = Document::new(pristine);
    let request = Request {
        name,
        input: Path::new(""),
        spec: "",
        overlays: &component.overlays,
        semantics: Semantics::Lines,
        macros: macros(&component.build),
        skip_check: check.skip_reason.as_deref().filter(|_| check.skip),
        calculation: component.release,
        changes: 1,
        free_source_number: false,
        always_header: true,
        source_files: &[],
        with_archives: false,
        history: None,
        skip_file_filter: true,
        list: None,
    };
    let shown = format!("{name}.spec");
    let overlays = render::overlays(&request, &document)?;
    for (by, overlay) in overlays.iter().enumerate() {
        if overlay::changes_spec(&overlay.change) {
            overlay::apply_to_spec(&mut document, &shown, overlay, Semantics::Lines, by)?;
        }
    }
    release::set(
        &mut document,
        &shown,
        component.release,
        request.changes,
        overlays.len(),
    )?;
    Ok(document.bytes())
}

/// Without rpmautospec's block and azldev's header.
fn pristine(bytes: &[u8]) -> Vec<u8> {
    let rest = without_block(bytes);
    let header = b"# This spec file has been modified by azldev";
    match rest.starts_with(header) {
        true => {
            let lines = rest.split_inclusive(|byte| *byte == b'\n').skip(3);
            lines.collect::<Vec<_>>().concat()
        }
        false => rest.to_vec(),
    }
}

fn without_block(bytes: &[u8]) -> &[u8] {
    let end = b"## END: Set by rpmautospec\n\n";
    match bytes.starts_with(b"## START: Set by rpmautospec\n") {
        true => match bytes.windows(end.len()).position(|window| window == end) {
            Some(at) => &bytes[at + end.len()..],
            None => bytes,
        },
        false => bytes,
    }
}

/// What is compared: all between rpmautospec's block and `%changelog`.
fn comparable(bytes: &[u8]) -> Vec<u8> {
    let lines = without_block(bytes).split_inclusive(|byte| *byte == b'\n');
    lines
        .take_while(|line| !line.starts_with(b"%changelog"))
        .collect::<Vec<_>>()
        .concat()
}

fn difference(ours: &[u8], theirs: &[u8]) -> String {
    let (ours, theirs) = (String::from_utf8_lossy(ours), String::from_utf8_lossy(theirs));
    let mut pairs = ours.lines().zip(theirs.lines()).enumerate();
    match pairs.find(|(_, (ours, theirs))| ours != theirs) {
        Some((index, (ours, theirs))) => format!("line {}: `{ours}` should be `{theirs}`", index + 1),
        None => "one has more lines".to_owned(),
    }
}

fn print_difference(ours: &[u8], theirs: &[u8]) {
    let (ours, theirs) = (String::from_utf8_lossy(ours), String::from_utf8_lossy(theirs));
    for (ours, theirs) in ours.lines().zip(theirs.lines()) {
        if ours != theirs {
            println!("- {theirs}\n+ {ours}");
        }
    }
}
