//! One command after another in one sandbox.

use std::time::{Duration, Instant};

use keel_artefact::Interrupt;
use keel_sandbox::{Error, Exit, Run, Sandbox, Session, State, Status};

use crate::{Root, running::alive, said};

fn start(sandbox: &Sandbox) -> Session {
    Session::start(sandbox, &Interrupt::default()).unwrap()
}

fn sh(session: &mut Session, script: &str) -> Exit {
    let wall = Some(Duration::from_secs(20));
    session
        .run(Run::captured(["sh", "-c", script]), wall, &Interrupt::default())
        .unwrap()
}

#[test]
fn commands_share_a_sandbox_and_what_they_leave_in_it() {
    let root = Root::new();
    let mut session = start(&root.sandbox());
    for (script, status, output, state) in [
        (
            "echo one; echo two >&2; exit 3",
            Status::Code(3),
            "one",
            State::Untouched,
        ),
        ("kill -9 $$", Status::Signal(9), "", State::Untouched),
        (
            "read line || echo nothing to read",
            Status::Code(0),
            "nothing to read",
            State::Untouched,
        ),
        ("touch /tmp/x && rm /tmp/x", Status::Code(0), "", State::Untouched),
        ("chmod 700 /tmp", Status::Code(0), "", State::Touched),
        (
            "chmod 1777 /tmp; echo kept > /var/tmp/file",
            Status::Code(0),
            "",
            State::Touched,
        ),
        ("cat /var/tmp/file", Status::Code(0), "kept", State::Touched),
        (
            "rm /var/tmp/file; touch /etc/x 2>/dev/null || echo read-only",
            Status::Code(0),
            "read-only",
            State::Untouched,
        ),
    ] {
        let exit = sh(&mut session, script);
        assert_eq!(
            (exit.status, said(&exit).as_str(), session.state()),
            (status, output, state),
            "{script}"
        );
    }
    let exit = sh(&mut session, "echo out; echo err >&2");
    assert_eq!((exit.stdout, exit.stderr), (b"out\n".to_vec(), b"err\n".to_vec()));
    let missing = session.run(Run::captured(["/no/such"]), None, &Interrupt::default());
    assert!(matches!(missing, Err(Error::Exec { .. })), "{missing:?}");
    assert_eq!(said(&sh(&mut session, "echo still here")), "still here");
}

#[test]
fn processes_end_with_their_command() {
    let root = Root::new();
    let marker = format!("{}", 300_000 + std::process::id());
    let mut session = start(&root.sandbox());
    // Whoever still writes is waited for; whoever does not is killed.
    let exit = sh(
        &mut session,
        &format!("(sleep 0.3; echo late) & setsid sleep {marker} >/dev/null 2>&1 & echo now"),
    );
    assert_eq!(said(&exit), "now\nlate");
    assert!(!alive(&marker));
    for hostile in [
        "kill -9 -1",
        "kill -9 1; kill -STOP 1; echo alive",
        ": > /proc/1/fd/0; cat /proc/1/environ",
    ] {
        sh(&mut session, hostile);
        assert_eq!(
            said(&sh(&mut session, "echo fine; ls /proc | grep -c '^[0-9]*$'"))
                .lines()
                .next(),
            Some("fine")
        );
    }
}

#[test]
fn time_limits_and_the_end_of_a_session_kill_everything() {
    let root = Root::new();
    let marker = format!("{}", 400_000 + std::process::id());
    let mut session = start(&root.sandbox());
    let started = Instant::now();
    let script = format!("echo begun; setsid sleep {marker} & sleep {marker}");
    let limit = Some(Duration::from_millis(300));
    let exit = session
        .run(Run::captured(["sh", "-c", &script]), limit, &Interrupt::default())
        .unwrap();
    assert_eq!(
        (exit.status, said(&exit), session.state()),
        (Status::TimedOut, "begun".to_owned(), State::Over)
    );
    assert!(started.elapsed() < Duration::from_secs(5) && !alive(&marker));
    let after = session.run(Run::captured(["true"]), None, &Interrupt::default());
    assert!(matches!(after, Err(Error::Killed { .. })), "{after:?}");

    let interrupt = Interrupt::default();
    let mut session = start(&root.sandbox());
    let later = interrupt.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        later.set();
    });
    let done = session.run(Run::captured(["sleep", &marker]), None, &interrupt);
    assert!(
        matches!(done, Err(Error::Interrupted(_))) && !alive(&marker),
        "{done:?}"
    );
    thread.join().unwrap();
}

#[test]
fn folders_in_memory_have_a_size() {
    let root = Root::new();
    let mut sandbox = root.sandbox();
    sandbox.limits.tmpfs = Some(1 << 20);
    let mut session = start(&sandbox);
    for folder in ["/tmp", "/dev/shm"] {
        let script = format!(
            "head -c 900K /dev/zero > {folder}/a && ! head -c 200K /dev/zero > {folder}/b && echo full"
        );
        assert_eq!(said(&sh(&mut session, &script)), "full");
        let script =
            format!("cd {folder} && rm a b && for i in $(seq 1000); do true > $i || break; done; ls | wc -l");
        let count: u32 = said(&sh(&mut session, &script)).parse().unwrap();
        assert!((200..400).contains(&count), "{count}");
    }
}

#[test]
fn a_sandbox_that_cannot_be_made_says_why() {
    let error = Session::start(
        &Sandbox::new(vec!["/no/such/lower".into()]),
        &Interrupt::default(),
    );
    let error = error.err().unwrap().to_string();
    assert_eq!(
        error,
        "cannot set up the sandbox for `a session`: open the folder /no/such/lower"
    );
}

#[test]
fn a_command_in_a_session_takes_about_its_own_time() {
    let root = Root::new();
    let started = Instant::now();
    let mut session = start(&root.sandbox());
    let made = started.elapsed();
    let started = Instant::now();
    for _ in 0..50 {
        sh(&mut session, "echo");
    }
    let each = started.elapsed() / 50;
    println!("a session is made in {made:?}; `sh -c echo` in it takes {each:?}");
    assert!(each < Duration::from_millis(200));
}
