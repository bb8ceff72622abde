//! Whether a run that is stopped in the middle loses or spoils anything: builds that are killed ([`kills`]), images
//! ([`image_kills`]), disks that are full ([`full_disk`]).
//!
//! What is built, but for images, are 20 tiny packages without architecture, in four layers; then they are published. `--store` names a store
//! that has stage0 for the test fixture: it is copied, never written.

pub mod full_disk;
pub mod image_kills;
pub mod kills;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::options::Options;

const PACKAGES: usize = 20;
/// Packages of a layer; each needs one of the layer before.
const LAYER: usize = 5;

/// A tree to build, a store to build in, and the program.
struct Bench {
    keel: PathBuf,
    dir: PathBuf,
}

impl Bench {
    /// In `dir`, with a copy of the store.
    fn lay_out(keel: &Path, store: &Path, dir: &Path) -> Result<Self> {
        let bench = Self {
            keel: fs::canonicalize(keel).with_context(|| format!("there is no {}", keel.display()))?,
            dir: dir.to_owned(),
        };
        copy(store, &bench.store())?;
        write_tree(&bench.tree())?;
        bench.new_round(0)?;
        Ok(bench)
    }

    fn tree(&self) -> PathBuf {
        self.dir.join("tree")
    }

    fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    fn events(&self) -> PathBuf {
        self.dir.join("events")
    }

    fn repository(&self) -> PathBuf {
        self.tree().join("out/repo/x86_64")
    }

    /// Nothing that was built before counts: another macro is another fingerprint, of the same packages.
    fn new_round(&self, round: usize) -> Result<()> {
        let out = self.tree().join("out");
        if out.exists() {
            fs::remove_dir_all(out)?;
        }
        let macros = include_str!("../../../tests/fixture/macros.fixture");
        fs::write(
            self.tree().join("macros.fixture"),
            format!("{macros}\n%round {round}\n"),
        )?;
        Ok(())
    }

    /// `keel … ARGUMENTS`, not yet started; what it says goes nowhere.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.keel);
        command
            .arg("-C")
            .arg(self.tree())
            .arg("--cache-dir")
            .arg(self.store());
        command.arg("--events").arg(self.events()).args(arguments);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Runs it to its end, and keeps what it says.
    fn run(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.output().context("cannot run keel")
    }

    /// Runs it; it must do what it should.
    fn finish(&self, arguments: &[&str]) -> Result<()> {
        let output = self.run(arguments)?;
        match output.status.success() {
            true => Ok(()),
            false => bail!(
                "{arguments:?} fails:\n{}",
                String::from_utf8_lossy(&output.stderr)
            ),
        }
    }

    /// The components whose builds ended with this outcome in the last run. Every line must be whole.
    fn ended(&self, outcome: &str) -> Result<BTreeSet<String>> {
        let text = fs::read_to_string(self.events())?;
        ensure!(
            text.is_empty() || text.ends_with('\n'),
            "the last event is no whole line"
        );
        let mut found = BTreeSet::new();
        for line in text.lines() {
            let event: Value = serde_json::from_str(line).with_context(|| format!("no event: {line}"))?;
            if event["event"] == "finished" && event["kind"] == "build" && event["outcome"] == outcome {
                found.extend(event["name"].as_str().map(str::to_owned));
            }
        }
        Ok(found)
    }

    /// What is published: each file and its digest.
    fn published(&self) -> Result<BTreeMap<PathBuf, String>> {
        let mut files = BTreeMap::new();
        digests(&self.repository(), &self.repository(), &mut files)?;
        ensure!(files.len() > PACKAGES, "only {} files are published", files.len());
        Ok(files)
    }
}

/// From `--keel` and `--store`.
fn programs(options: &mut Options) -> Result<(PathBuf, PathBuf)> {
    let keel = options
        .value("--keel")?
        .unwrap_or_else(|| "target/debug/keel".to_owned());
    Ok((keel.into(), options.required("--store")?.into()))
}

/// A folder, as it is, under a name that is free.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    ensure!(
        copied.context("cannot run cp")?.success(),
        "cannot copy {}",
        from.display()
    );
    Ok(())
}

fn digests(base: &Path, folder: &Path, files: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            digests(base, &path, files)?;
        } else {
            let digest = Sha256::digest(fs::read(&path)?);
            files.insert(path.strip_prefix(base)?.to_owned(), format!("{digest:x}"));
        }
    }
    Ok(())
}

fn write_tree(tree: &Path) -> Result<()> {
    fs::create_dir_all(tree.join("specs"))?;
    let mut project = "includes = [\"settings.toml\"]\n\n[project]\ndescription = \"Tiny packages\"\noutput-dir = \"out\"\n\
                       default-distro = { name = \"fixture\", version = \"1\" }\n"
        .to_owned();
    for number in 0..PACKAGES {
        let name = format!("tiny{number:02}");
        let need = match number.checked_sub(LAYER) {
            Some(other) => format!("BuildRequires:  tiny{other:02}\n"),
            None => String::new(),
        };
        let spec = format!(
            "Name:           {name}\nVersion:        1\nRelease:        1%{{?dist}}\nSummary:        Tiny\nLicense:        MIT\n\
             BuildArch:      noarch\n{need}\n%description\nTiny.\n\n%prep\n\n%build\n\n%install\n\
             install -d %{{buildroot}}%{{_datadir}}\necho {name} > %{{buildroot}}%{{_datadir}}/{name}\n\n\
             %files\n%{{_datadir}}/{name}\n\n%changelog\n* Thu Jan 01 2026 Keel Linux <keel@keel-linux.org> - 1-1\n- First.\n"
        );
        fs::write(tree.join(format!("specs/{name}.spec")), spec)?;
        project.push_str(&format!(
            "\n[components.{name}]\nspec = {{ type = \"local\", path = \"specs/{name}.spec\" }}\n"
        ));
    }
    fs::write(tree.join("keel.toml"), project)?;
    let settings = include_str!("../../../tests/fixture/settings.toml");
    fs::write(tree.join("settings.toml"), settings)?;
    Ok(())
}
