//! `rpm --eval` is the judge: generated texts full of macros, with no macros but rpm's own functions.
//!
//! `PROPTEST_CASES=N` tries more of them; each case is a list of texts, and what one defines the next ones see.

mod texts;

use std::{
    cell::Cell,
    ffi::OsStr,
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use keel_spec::macros::{Behaviour, Engine, Limits, World, text};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner},
};

/// Texts that one rpm is asked about, at most.
const TEXTS: usize = 40;
/// Lists of texts.
const CASES: u32 = 120;
/// Stands between answers; no text has it.
const MARK: &str = "@@";
const RPM: &str = "/usr/bin/rpm";
const MISSING: &str = "this test needs rpm: apt-get install rpm";

/// An empty folder, in which commands run that a text may turn out to have.
struct Folder(PathBuf);

impl World for Folder {
    fn shell(&self, command: &[u8]) -> Result<Vec<u8>, String> {
        let text = String::from_utf8_lossy(command).into_owned();
        let output = run(Command::new("/bin/sh").args(["-c", &text]), &self.0);
        Ok(output.map_err(|error| error.to_string())?.stdout)
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn read(&self, _: &str) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn exists(&self, path: &str) -> bool {
        !path.is_empty() && self.0.join(path).exists()
    }

    fn list(&self, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn processors(&self) -> usize {
        1
    }

    fn now(&self) -> i64 {
        0
    }
}

/// Runs a program that finds no other one.
fn run(command: &mut Command, folder: &Path) -> io::Result<Output> {
    command.env_clear().env("PATH", "").env("LC_ALL", "C.UTF-8");
    command.current_dir(folder).output()
}

/// An answer; none if expanding the text failed.
type Answer = Option<String>;

/// What rpm says of texts up to the first one that fails; nothing if it crashes.
fn rpm(texts: &[String], folder: &Path) -> Vec<Answer> {
    let mut command = Command::new(RPM);
    command.args(["--macros", "/dev/null", "--rcfile", "/dev/null"]);
    for text in texts {
        let bytes = text::encode(text);
        command
            .arg("--eval")
            .arg(OsStr::from_bytes(&bytes))
            .args(["--eval", MARK]);
    }
    let output = run(&mut command, folder).expect(MISSING);
    if output.status.code().is_none() {
        return Vec::new();
    }
    let said = text::decode(&output.stdout).into_owned();
    let end = format!("\n{MARK}\n");
    let mut answers: Vec<Answer> = said.split(&end).map(|answer| Some(answer.to_owned())).collect();
    // After the last mark there is nothing, or the place of the text that failed.
    let rest = answers.pop().flatten();
    assert_eq!(rest.as_deref(), Some(""), "{texts:?}");
    if answers.len() < texts.len() {
        assert!(!output.status.success());
        answers.push(None);
    }
    answers
}

fn keel(behaviour: Behaviour, texts: &[String], folder: &Path) -> Vec<Answer> {
    let table = Engine::builtins(behaviour);
    let mut engine = Engine::new(
        table,
        behaviour,
        Arc::new(Folder(folder.to_owned())),
        Limits::default(),
    );
    texts.iter().map(|text| engine.expand(text).ok()).collect()
}

/// The rpm of this machine.
fn behaviour() -> Behaviour {
    let output = Command::new(RPM).arg("--version").output().expect(MISSING);
    let said = String::from_utf8(output.stdout).unwrap();
    let version = said.trim().rsplit(' ').next().unwrap_or_default();
    let two: Vec<&str> = version.split('.').take(2).collect();
    two.join(".").parse().expect("Keel follows this machine's rpm")
}

#[test]
fn generated_texts_are_expanded_as_rpm_does() {
    let behaviour = behaviour();
    let folder = tempfile::tempdir().unwrap();
    // More texts, and other ones each time, with PROPTEST_CASES.
    let mut config = Config {
        failure_persistence: None,
        max_shrink_iters: 4000,
        ..Config::default()
    };
    let mut runner = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => TestRunner::new(config),
        None => {
            config.cases = CASES;
            TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
        }
    };
    let [asked, failed, crashed] = [(); 3].map(|()| Cell::new(0));
    let checked = runner.run(&vec(texts::source(), 1..=TEXTS), |texts| {
        let mut rest = texts.as_slice();
        // A text that fails ends rpm: it is asked about the others anew.
        while !rest.is_empty() {
            let judge = rpm(rest, folder.path());
            if judge.is_empty() {
                crashed.set(crashed.get() + 1);
                break;
            }
            let ours = keel(behaviour, &rest[..judge.len()], folder.path());
            for (index, (ours, judge)) in ours.iter().zip(&judge).enumerate() {
                prop_assert_eq!(ours, judge, "Keel, rpm; after {:?}", &rest[..=index]);
            }
            asked.set(asked.get() + judge.len());
            failed.set(failed.get() + judge.iter().filter(|answer| answer.is_none()).count());
            rest = &rest[judge.len()..];
        }
        Ok(())
    });
    println!(
        "{} texts, of which {} fail; rpm crashed {} times",
        asked.get(),
        failed.get(),
        crashed.get()
    );
    match checked {
        Ok(()) => assert!(crashed.get() * 1000 < asked.get()),
        Err(TestError::Fail(why, _)) => panic!("{why}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}
