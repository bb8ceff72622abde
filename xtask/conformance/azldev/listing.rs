//! The file filter: what lies in each rendered folder against what Keel's evaluation says that the SPEC asks for.
//!
//! azldev removed what spectool did not list, so a file that is there and not asked for is a difference; so is one that is
//! asked for and neither there nor in `sources`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use keel_artefact::Arch;
use keel_spec::{
    environment::{Environment, Options},
    render::listing::{Evaluator, List as _, file_of},
    world::{self, Facts, Policy, Surroundings},
};

/// How many folders differ. SPECs that the macros at hand do not suffice for are counted, and no difference.
pub fn run(checkout: &str, macros: &str, rpm: &str) -> Result<usize> {
    let checkout = fs::canonicalize(checkout)?;
    let options = Options::open(
        Path::new(macros),
        Path::new(rpm),
        Arch::X86_64.rpm().parse()?,
        None,
    )?;
    let environment = Environment::load(&options)?;
    let surroundings = Surroundings::new(world::Options {
        policy: Policy::Facts,
        facts: Facts::profile("azurelinux-4", Arch::X86_64)?,
        readable: vec![checkout.clone()],
        ..world::Options::default()
    })?;
    let evaluator = Evaluator {
        environment: &environment,
        surroundings: &surroundings,
    };
    let (mut total, mut equal, mut failed, mut unknown, mut more, mut less) = (0, 0, 0, 0, 0, 0);
    for folder in folders(&checkout.join("specs"))? {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let spec = folder.join(format!("{name}.spec"));
        if folder.is_symlink() || !spec.is_file() {
            continue;
        }
        total += 1;
        let Ok(sources) = evaluator.sources(&spec, &fs::read(&spec)?) else {
            failed += 1;
            continue;
        };
        let files: BTreeSet<String> = sources.iter().filter_map(|source| file_of(source)).collect();
        if files.iter().any(|file| file.contains("%{")) {
            unknown += 1;
            continue;
        }
        let listed = fs::read_to_string(folder.join("sources")).unwrap_or_default();
        let top: BTreeSet<&str> = files.iter().filter_map(|file| file.split('/').next()).collect();
        let mut extra = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let file = entry?.file_name().to_string_lossy().into_owned();
            if !top.contains(file.as_str()) && file != "sources" && file != format!("{name}.spec") {
                extra.push(file);
            }
        }
        let is_there = |file: &&String| {
            // A macro that nobody knows, without brackets: no file has such a name.
            file.contains('%') || folder.join(file).exists() || listed.contains(file.as_str())
        };
        let missing: Vec<&String> = files.iter().filter(|file| !is_there(file)).collect();
        match (extra.is_empty(), missing.is_empty()) {
            (true, true) => equal += 1,
            (false, _) => {
                more += 1;
                println!("{name}: not asked for, but there: {}", extra.join(" "));
            }
            (true, false) => {
                less += 1;
                println!("{name}: asked for, and nowhere: {missing:?}");
            }
        }
    }
    println!(
        "file lists: {equal} of {total} equal; {more} have more, {less} less; {failed} cannot be evaluated, {unknown} have unknown names"
    );
    Ok(more + less)
}

fn folders(specs: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for letter in fs::read_dir(specs)? {
        let letter = letter?.path();
        if letter.is_dir() {
            for folder in fs::read_dir(letter)? {
                folders.push(folder?.path());
            }
        }
    }
    folders.sort();
    Ok(folders)
}
