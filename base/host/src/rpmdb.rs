//! rpm's database of a set of packages, made by the real `rpm` without installing anything (rpm(8), `--justdb`), or by
//! installing them for real; and questions to one.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use keel_artefact::{Epoch, Interrupt};
use keel_sandbox::{Beneath, Sandbox, User};
use keel_store::Store;

use crate::{Error, Program, scratch::bind, stage0::Stage0};

/// The folder of the database in a root.
pub const FOLDER: &str = "/usr/lib/sysimage/rpm";

/// Where a root lies that is not the sandbox's own.
const ELSEWHERE: &str = "/tmp/root";

/// The database's one file.
const FILE: &str = "rpmdb.sqlite";

/// Bytes of the largest database that is read. A root of 5000 packages has a tenth of it.
const MOST: u64 = 1 << 30;

/// The files of the database (by name; to lie in [`FOLDER`]) for these package files, installed at `clock`.
///
/// The same packages give the same bytes: they are entered in the order of their file names, rpm takes install times
/// from `SOURCE_DATE_EPOCH`, and the file is left in SQLite's rollback mode, so that a read-only root can be asked.
pub fn make(
    stage0: &Stage0,
    store: &Store,
    packages: &[PathBuf],
    clock: Epoch,
    interrupt: &Interrupt,
) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let scratch = store.temp_dir("rpmdb")?;
    let root = scratch.path().join("root");
    fs_err::create_dir_all(root.join(&FOLDER[1..]))?;
    keel_sandbox::hand_over(&root)?;
    let mut sandbox = sandbox_over(stage0, &root, true);
    lend(&mut sandbox, packages, &scratch.path().join("packages"), clock)?;
    if packages.is_empty() {
        Program::Rpm.run_in(&sandbox, &arguments(ELSEWHERE, &["--initdb"]), interrupt)?;
    } else {
        let quiet = [
            "--justdb",
            "--noscripts",
            "--notriggers",
            "--noorder",
            // The payload is not looked at, and need not be read for its digest.
            "--nodigest",
        ];
        let install = installing(ELSEWHERE, &quiet, packages.len());
        Program::Rpm.run_in(&sandbox, &install, interrupt)?;
    }
    keel_sandbox::take_back(&root)?;
    read(&Beneath::open(&root)?)
}

/// What a transaction gave.
#[derive(Debug)]
pub struct Transaction {
    /// The files of the database, as [`make`] gives them. They are in the root no more.
    pub database: BTreeMap<String, Vec<u8>>,
    /// What rpm warned of: a `%post` that failed, among other things.
    pub warnings: Vec<String>,
}

/// Installs these package files into the root of `sandbox` in one transaction of rpm's, with their scriptlets and triggers. What it
/// changes is in the sandbox's `upper`, which must be there. Nobody there can own files but one user, and the users that packages declare are not added.
///
/// What rpm itself takes for an error (a `%pre` that fails) is one; what it warns of is a warning. Nothing is resolved: a set is
/// installed whole, whoever provides the rest.
pub fn install(
    mut sandbox: Sandbox,
    store: &Store,
    packages: &[PathBuf],
    clock: Epoch,
    interrupt: &Interrupt,
) -> Result<Transaction, Error> {
    let upper = sandbox.upper.clone().ok_or_else(|| Error::Request {
        program: Program::Rpm.name(),
        why: "there is no folder for what it changes".to_owned(),
    })?;
    let scratch = store.temp_dir("transaction")?;
    lend(&mut sandbox, packages, &scratch.path().join("packages"), clock)?;
    sandbox.user = User::Root;
    sandbox.ignore_owners = true;
    let exit = Program::Rpm.run_in(&sandbox, &installing("/", &[], packages.len()), interrupt)?;
    keel_sandbox::take_back(&upper)?;
    // Scriptlets may have put links there that lead out of it.
    let upper = Beneath::open(&upper)?;
    let database = read(&upper)?;
    upper.remove(Path::new(&FOLDER[1..]))?;
    let said = String::from_utf8_lossy(&exit.stderr).into_owned();
    let is_warning = |line: &&str| line.starts_with("warning:") || line.starts_with("error:");
    let warnings = said.lines().filter(is_warning).map(str::to_owned).collect();
    Ok(Transaction { database, warnings })
}

/// Puts package files into the sandbox, in the order of their names, by way of the folder `inputs`; and the clock.
fn lend(sandbox: &mut Sandbox, packages: &[PathBuf], inputs: &Path, clock: Epoch) -> Result<(), Error> {
    fs_err::create_dir_all(inputs)?;
    let mut packages: Vec<&PathBuf> = packages.iter().collect();
    packages.sort_by_key(|path| path.file_name().map(ToOwned::to_owned));
    for (number, package) in packages.into_iter().enumerate() {
        let input = inputs.join(format!("{number:05}.rpm"));
        if fs_err::hard_link(package, &input).is_err() {
            fs_err::copy(package, &input)?;
        }
    }
    // Whatever the caller's umask is: whoever runs in the sandbox reads them.
    keel_sandbox::hand_over_alone(&[inputs.to_owned()])?;
    sandbox.binds.push(bind(inputs, "/tmp/packages", false));
    let clock = clock.0.to_string();
    sandbox.env.insert("SOURCE_DATE_EPOCH".to_owned(), clock);
    Ok(())
}

/// rpm's arguments that install what [`lend`] put there.
fn installing(root: &str, more: &[&str], count: usize) -> Vec<String> {
    let mut install = arguments(root, more);
    let always = [
        "--nodeps",
        "--noplugins",
        "--nosignature",
        "--ignoreos",
        "--ignorearch",
        "--ignoresize",
        "--nocontexts",
        "--nocaps",
        // Else rpm would add the users that packages declare.
        "--define=__systemd_sysusers /bin/true",
        "-i",
    ];
    install.extend(always.map(str::to_owned));
    install.extend((0..count).map(|number| format!("/tmp/packages/{number:05}.rpm")));
    install
}

/// The files of the database in a root.
fn read(root: &Beneath) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let unexpected = |why: String| Error::Unexpected {
        program: Program::Rpm.name(),
        why,
    };
    let file = |name: &str| {
        let read = root.read(&Path::new(&FOLDER[1..]).join(name), MOST);
        read.map_err(|error| unexpected(format!("the database cannot be read: {error}")))
    };
    if file(&format!("{FILE}-wal"))?.is_some_and(|log| !log.is_empty()) {
        return Err(unexpected(
            "the database has a write-ahead log that is not empty".to_owned(),
        ));
    }
    let mut bytes = file(FILE)?.ok_or_else(|| {
        unexpected(format!(
            "there is no {FOLDER}/{FILE}: it was moved away, or is behind a link"
        ))
    })?;
    if !bytes.starts_with(b"SQLite format 3\0") || bytes.len() < 100 {
        return Err(unexpected(format!("{FILE} is no SQLite database")));
    }
    // The write and read versions of the format: 2 is write-ahead logging, 1 is not
    // (https://www.sqlite.org/fileformat.html, "File format version numbers"). The log is empty: nothing is lost. rpm
    // itself goes back to 2 when it first writes.
    bytes[18] = 1;
    bytes[19] = 1;
    Ok(BTreeMap::from([(FILE.to_owned(), bytes)]))
}

/// `NAME-[EPOCH:]VERSION-RELEASE.ARCH` of each package in the database of the root in `root`, sorted.
pub fn query_all(stage0: &Stage0, root: &Path, interrupt: &Interrupt) -> Result<Vec<String>, Error> {
    let sandbox = sandbox_over(stage0, root, false);
    let exit = Program::Rpm.run_in(
        &sandbox,
        &arguments(ELSEWHERE, &["-qa", "--qf", "%{NEVRA}\\n"]),
        interrupt,
    )?;
    let mut names: Vec<String> = String::from_utf8_lossy(&exit.stdout)
        .lines()
        .map(str::to_owned)
        .collect();
    names.sort();
    Ok(names)
}

/// What `rpm -Va` finds to differ between the database of the root and its files; empty if all agree. Owners are not
/// compared: files that an ordinary user unpacked are all that user's. Nor are times and capabilities.
pub fn verify_all(stage0: &Stage0, root: &Path, interrupt: &Interrupt) -> Result<Vec<String>, Error> {
    let sandbox = sandbox_over(stage0, root, false);
    let verify = [
        "-Va",
        "--nodeps",
        "--noscripts",
        "--nouser",
        "--nogroup",
        "--nomtime",
        "--nocaps",
        "--nordev",
    ];
    let argv = arguments(ELSEWHERE, &verify);
    let said = match Program::Rpm.run_in(&sandbox, &argv, interrupt) {
        Ok(exit) => exit.stdout,
        // rpm's code says only that something differs; what differs is in its output.
        Err(Error::Failed { last, .. }) => return Ok(last),
        Err(error) => return Err(error),
    };
    Ok(String::from_utf8_lossy(&said)
        .lines()
        .map(str::to_owned)
        .collect())
}

/// rpm's arguments for a root, after which those of the action follow.
fn arguments(root: &str, action: &[&str]) -> Vec<String> {
    let root = ["--root", root, "--dbpath", FOLDER, "--define=_db_backend sqlite"];
    root.iter().chain(action).map(|word| (*word).to_owned()).collect()
}

fn sandbox_over(stage0: &Stage0, root: &Path, writable: bool) -> Sandbox {
    let mut sandbox = stage0.sandbox();
    sandbox.user = User::Root;
    sandbox.binds.push(bind(root, ELSEWHERE, writable));
    sandbox
}
