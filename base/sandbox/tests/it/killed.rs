//! Nothing outlives its caller.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

use crate::{Root, running::alive, sh_in};

/// The caller of [`killing_the_caller_kills_everything`]: a test binary of its own, killed while this runs.
#[test]
#[ignore = "started by killing_the_caller_kills_everything"]
fn caller_to_be_killed() {
    let word = std::env::var("KEEL_TEST_WORD").unwrap();
    let root = Root::new();
    let script = format!("setsid sleep {word} & trap '' TERM INT HUP; echo; sleep {word}");
    sh_in(&root.sandbox(), &script);
}

#[test]
fn killing_the_caller_kills_everything() {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    // Who is killed removes nothing.
    let left = tempfile::tempdir().unwrap();
    fs::set_permissions(left.path(), PermissionsExt::from_mode(0o755)).unwrap();
    for round in 0..6 {
        let word = format!("{}", 200_000 + std::process::id() * 10 + round);
        let mut caller = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "killed::caller_to_be_killed"])
            .env("KEEL_TEST_WORD", &word)
            .env("TMPDIR", left.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Once in full run, then at ever other moments of the set-up.
        let full = Instant::now();
        while round == 0 && !alive(&word) && full.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(round != 0 || alive(&word));
        std::thread::sleep(Duration::from_millis(3 * u64::from(round)));
        caller.kill().unwrap();
        caller.wait().unwrap();
        let killed = Instant::now();
        // One that is just being started has no command line yet: gone is what stays gone for a while.
        let stays_gone = || {
            !(0..20).any(|_| {
                std::thread::sleep(Duration::from_millis(10));
                alive(&word)
            })
        };
        let mut gone = stays_gone();
        while !gone && killed.elapsed() < Duration::from_secs(10) {
            gone = stays_gone();
        }
        assert!(gone, "round {round}: a process outlives its caller");
    }
    assert_eq!(fs::read_to_string("/proc/self/mounts").unwrap(), mounts);
}
