//! The sandbox against the real kernel, over a root that is the host's `/usr` and nothing else.
//!
//! Run by root, everything is run once more as an ordinary user ([`again_as_an_ordinary_user`]).

#![allow(clippy::unwrap_used, clippy::print_stdout)] // tests

mod escapes;
mod inside;
mod killed;
mod roots;
mod running;
mod session;

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use keel_artefact::{Interrupt, RootPath};
use keel_sandbox::{Bind, Exit, Run, Sandbox, User, hand_over, run};

fn path(text: &str) -> RootPath {
    text.parse().unwrap()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A root with merged /usr, and the host's /usr bound into it.
struct Root {
    folder: tempfile::TempDir,
}

impl Root {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let lower = folder.path().join("lower");
        fs::create_dir_all(lower.join("etc")).unwrap();
        fs::create_dir_all(lower.join("usr")).unwrap();
        for link in ["bin", "sbin", "lib", "lib64"] {
            symlink(format!("usr/{link}"), lower.join(link)).unwrap();
        }
        fs::write(
            lower.join("etc/passwd"),
            "root:x:0:0::/:/bin/sh\nbuilder:x:1000:1000::/:/bin/sh\n",
        )
        .unwrap();
        hand_over(&lower).unwrap();
        Self { folder }
    }

    fn lower(&self) -> PathBuf {
        self.folder.path().join("lower")
    }

    /// A folder that the sandbox's user owns.
    fn handed_over(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        fs::create_dir(&folder).unwrap();
        hand_over(&folder).unwrap();
        folder
    }

    fn sandbox(&self) -> Sandbox {
        let mut sandbox = Sandbox::new(vec![self.lower()]);
        sandbox.binds.push(Bind {
            host: "/usr".into(),
            guest: path("/usr"),
            writable: false,
        });
        sandbox
    }
}

fn sh_in(sandbox: &Sandbox, script: &str) -> Exit {
    run(
        sandbox,
        Run::captured(["sh", "-c", script]),
        &Interrupt::default(),
    )
    .unwrap()
}

/// What a script prints in a new root, with errors, trimmed.
fn sh(script: &str) -> String {
    said(&sh_in(&Root::new().sandbox(), &format!("exec 2>&1; {script}")))
}

fn said(exit: &Exit) -> String {
    String::from_utf8_lossy(&exit.stdout).trim().to_owned()
}

fn user(user: User) -> (Root, Sandbox) {
    let root = Root::new();
    let mut sandbox = root.sandbox();
    sandbox.user = user;
    (root, sandbox)
}

#[test]
fn a_sandbox_starts_in_milliseconds() {
    let root = Root::new();
    let sandbox = root.sandbox();
    let mut times: Vec<Duration> = (0..10)
        .map(|_| {
            let started = Instant::now();
            assert!(
                run(&sandbox, Run::captured(["true"]), &Interrupt::default())
                    .unwrap()
                    .success()
            );
            started.elapsed()
        })
        .collect();
    times.sort();
    println!(
        "sandbox start to end: median {:?}, slowest {:?}",
        times[5], times[9]
    );
    assert!(times[5] < Duration::from_secs(1), "{times:?}");
}

/// Everything above, once more, by a user without any privilege. Needs root to become one.
#[test]
fn again_as_an_ordinary_user() {
    if !is_root() {
        println!("not root: the other tests have just run as an ordinary user");
        return;
    }
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o1777)).unwrap();
    let binary = folder.path().join("test");
    // By another process: one that other tests start here while the file is written would keep it open, and nobody could execute it.
    let copied = Command::new("cp")
        .arg(std::env::current_exe().unwrap())
        .arg(&binary)
        .status();
    assert!(copied.unwrap().success());
    let output = Command::new("setpriv")
        .args(["--reuid", "1001", "--regid", "1001", "--clear-groups"])
        .arg(&binary)
        .env("TMPDIR", folder.path())
        .current_dir("/")
        .output()
        .expect("setpriv is missing: apt install util-linux");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    println!("{}", String::from_utf8_lossy(&output.stdout));
}
