//! How a run ends, and what goes in and comes out.

use std::fs;
use std::time::Duration;
use std::time::Instant;

use keel_artefact::Interrupt;
use keel_sandbox::{Error, Output, Run, Sandbox, Status, Stdin, run};

use crate::{Root, path, said, sh_in};

#[test]
fn ends_are_told() {
    for (script, status) in [
        ("exit 0", Status::Code(0)),
        ("exit 77", Status::Code(77)),
        ("kill -SEGV $$", Status::Signal(11)),
        ("kill -9 $$", Status::Signal(9)),
        // Whoever is left when the command ends dies with it, streams open or not.
        ("sleep 1000 & exit 3", Status::Code(3)),
        ("(setsid sleep 1000 &) ; kill -9 1; exit 4", Status::Code(4)),
    ] {
        assert_eq!(sh_in(&Root::new().sandbox(), script).status, status, "{script}");
    }
    let root = Root::new();
    let missing = run(
        &root.sandbox(),
        Run::captured(["/no/such"]),
        &Interrupt::default(),
    );
    assert!(matches!(missing, Err(Error::Exec { .. })), "{missing:?}");
    let mut sandbox = root.sandbox();
    sandbox.cwd = path("/nowhere");
    let nowhere = run(&sandbox, Run::captured(["true"]), &Interrupt::default()).unwrap_err();
    assert_eq!(
        nowhere.to_string(),
        "cannot set up the sandbox for `true`: enter /nowhere"
    );
    sandbox = Sandbox::new(vec!["/no/such/lower".into()]);
    let lower = run(&sandbox, Run::captured(["true"]), &Interrupt::default()).unwrap_err();
    assert_eq!(
        lower.to_string(),
        "cannot set up the sandbox for `true`: open the folder /no/such/lower"
    );
}

#[test]
fn time_limits_and_interrupts_kill_everything() {
    let marker = format!("{}", 100_000 + std::process::id());
    let mut sandbox = Root::new().sandbox();
    let root = Root::new();
    sandbox.lowers = vec![root.lower()];
    sandbox.limits.wall = Some(Duration::from_millis(500));
    let started = Instant::now();
    let exit = sh_in(
        &sandbox,
        &format!("echo begun; setsid sleep {marker} & trap '' TERM; sleep {marker}; sleep {marker}"),
    );
    assert_eq!((exit.status, said(&exit)), (Status::TimedOut, "begun".to_owned()));
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(!alive(&marker));

    sandbox.limits.wall = None;
    let interrupt = Interrupt::default();
    let later = interrupt.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        later.set();
    });
    let done = run(&sandbox, Run::captured(["sleep", &marker]), &interrupt);
    assert!(matches!(done, Err(Error::Interrupted(_))), "{done:?}");
    thread.join().unwrap();
    assert!(!alive(&marker));
}

/// Is there a process with this word on its command line?
pub(crate) fn alive(word: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|part| part == word.as_bytes())
    })
}

#[test]
fn output_is_neither_lost_nor_hoarded() {
    let root = Root::new();
    let sandbox = root.sandbox();
    let script =
        "yes 0123456789 | head -c 30000000; yes abcdefghij | head -c 30000000 >&2; echo end; echo fin >&2";
    let (mut lines, mut bytes) = (0_u64, 0_u64);
    let mut count = |line: &[u8]| {
        lines += 1;
        bytes += line.len() as u64 + 1;
    };
    let both = Run {
        argv: ["sh", "-c", script].map(Into::into).into(),
        stdin: Stdin::Null,
        stdout: Output::Lines(&mut count),
        stderr: Output::WithStdout,
    };
    assert!(run(&sandbox, both, &Interrupt::default()).unwrap().success());
    assert_eq!(bytes, 60_000_000 + 8);
    assert!(lines > 5_000_000);
    let capped = Run {
        argv: ["sh", "-c", script].map(Into::into).into(),
        stdin: Stdin::Null,
        stdout: Output::Capture { limit: 5 },
        stderr: Output::Tail { limit: 4 },
    };
    let exit = run(&sandbox, capped, &Interrupt::default()).unwrap();
    assert_eq!(
        (&exit.stdout[..], &exit.stderr[..], exit.truncated),
        (&b"01234"[..], &b"fin\n"[..], true)
    );
}

#[test]
fn input_reaches_the_command() {
    let root = Root::new();
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let file = root.folder.path().join("out");
    let copy = Run {
        argv: vec!["cat".into()],
        stdin: Stdin::Bytes(bytes.clone()),
        stdout: Output::File(fs::File::create(&file).unwrap()),
        stderr: Output::Null,
    };
    assert!(
        run(&root.sandbox(), copy, &Interrupt::default())
            .unwrap()
            .success()
    );
    assert!(fs::read(file).unwrap() == bytes);
}

#[test]
fn memory_is_that_of_all_processes_together() {
    let hold = "python3 -c 'import time; x = bytearray(b\"x\") * (80 << 20); time.sleep(2)'";
    let exit = sh_in(&Root::new().sandbox(), &format!("{hold} & {hold} & wait"));
    assert!(exit.success());
    assert!(exit.usage.max_rss < 150 << 20, "{:?}", exit.usage);
    assert!(exit.usage.peak_memory > 160 << 20, "{:?}", exit.usage);
    assert!(exit.usage.peak_memory < 400 << 20, "{:?}", exit.usage);
}

#[test]
fn usage_is_measured_and_limits_hold() {
    let root = Root::new();
    let mut sandbox = root.sandbox();
    let burn = "python3 -c 'import os; x = bytearray(100 << 20)\nwhile os.times().user < 0.2: pass'";
    let exit = sh_in(&sandbox, burn);
    assert!(exit.usage.user >= Duration::from_millis(190), "{:?}", exit.usage);
    assert!(exit.usage.max_rss > 100 << 20, "{:?}", exit.usage);
    assert!(exit.usage.wall >= exit.usage.user / 8);
    sandbox.limits.memory = Some(50 << 20);
    assert!(!sh_in(&sandbox, burn).success());
    sandbox.limits.cpus = Some(1);
    assert_eq!(said(&sh_in(&sandbox, "nproc")), "1");
    sandbox.limits.processes = Some(3);
    assert!(!sh_in(&sandbox, "sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait").success());
    sandbox.limits.file_size = Some(1000);
    assert!(!sh_in(&sandbox, "head -c 2000 /dev/zero > /tmp/x").success());
}
