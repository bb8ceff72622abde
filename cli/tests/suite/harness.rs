//! A copy of the fixture in a temporary folder, and `keel` to run in it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The repository's own folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the cli is in the workspace")
}

/// The store that all tests share.
pub fn cache() -> PathBuf {
    match std::env::var_os("KEEL_TEST_CACHE_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(env!("CARGO_TARGET_TMPDIR")).join("keel-cache"),
    }
}

/// A copy of `tests/fixture`, to be changed at will.
pub struct Fixture {
    dir: tempfile::TempDir,
}

/// How a command ended, as a user sees it.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Fixture {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("keel-fixture-")
            .tempdir()
            .unwrap();
        copy(&root().join("tests/fixture"), dir.path());
        Self { dir }
    }

    /// Its folder, or one in it.
    pub fn path(&self, part: &str) -> PathBuf {
        self.dir.path().join(part)
    }

    /// `keel -C FOLDER ARGUMENTS`, not yet started.
    pub fn command(&self, folder: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keel"));
        command
            .arg("-C")
            .arg(self.path(folder))
            .arg("--cache-dir")
            .arg(cache())
            .args(arguments);
        command
            .env_remove("KEEL_CACHE_DIR")
            .env_remove("KEEL_SIGNING_KEY")
            .env("NO_COLOR", "1");
        command
    }

    /// Runs `keel` in a folder of the fixture.
    pub fn keel_in(&self, folder: &str, arguments: &[&str]) -> Ran {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command(folder, arguments).output().unwrap();
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            text.replace(&self.dir.path().display().to_string(), "[FIXTURE]")
        };
        Ran {
            code: status.code(),
            stdout: text(stdout),
            stderr: text(stderr),
        }
    }

    /// Runs `keel` in the fixture.
    pub fn keel(&self, arguments: &[&str]) -> Ran {
        self.keel_in(".", arguments)
    }
}

impl Ran {
    /// It succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(
            self.code,
            Some(0),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// The errors that it told, without progress.
    pub fn errors(&self) -> String {
        let lines: Vec<&str> = self
            .stderr
            .lines()
            .skip_while(|line| !line.starts_with("error:"))
            .collect();
        lines.join("\n")
    }
}

/// Runs a real tool. One that is missing fails the test: the set-up installs it.
#[track_caller]
pub fn tool(program: &str, arguments: &[&str]) -> Output {
    match Command::new(program).args(arguments).output() {
        Ok(output) => output,
        Err(error) => panic!("cannot run {program}: {error}; `cargo xtask setup test` installs it"),
    }
}

/// What a real tool printed, which must have succeeded.
#[track_caller]
pub fn judge(program: &str, arguments: &[&str]) -> String {
    let output = tool(program, arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {arguments:?} failed:\n{said}\n{errors}"
    );
    said
}

/// What the signed envelope of an image's provenance says.
#[track_caller]
pub fn statement(envelope: &Path) -> serde_json::Value {
    let line = fs_err::read(envelope).unwrap();
    let envelope: serde_json::Value = serde_json::from_slice(&line).unwrap();
    let payload = envelope["payload"].as_str().unwrap();
    let text = judge("sh", &["-c", &format!("printf %s {payload} | base64 -d")]);
    serde_json::from_str(&text).unwrap()
}

/// Runs a shell line in a folder, as somebody whom git knows; gives what it printed.
#[track_caller]
pub fn git(folder: &Path, line: &str) -> String {
    let script = format!(
        "cd '{}'; export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a \
         GIT_COMMITTER_EMAIL=a@example.org GIT_CONFIG_GLOBAL=/dev/null; {line}",
        folder.display()
    );
    let output = tool("sh", &["-ec", &script]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn copy(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() == "out" {
            continue;
        }
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs_err::copy(entry.path(), target).unwrap();
        }
    }
}
