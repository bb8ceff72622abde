//! Commands that are run.

use std::{fs, time::Instant};

use super::{Fixture, ask};
use crate::macros::World as _;

fn marker(kind: &str) -> String {
    format!("{kind}-{}", std::process::id())
}

/// Is there a process with this word on its command line?
fn alive(word: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(word)
    })
}

#[test]
fn the_sandbox_shows_programs_and_no_secrets() {
    let fixture = Fixture::host();
    let world = fixture.world();
    // Programs are named by their paths, so that our own shell does not answer.
    for (command, output) in [
        (
            "/bin/cat /etc/shadow /etc/ssh/* /root/.ssh/* /root/.bashrc $$ 2>/dev/null | wc -c",
            "0",
        ),
        ("wc -l < /etc/passwd", "3"),
        (
            "find /root /home /mnt /srv /run /opt -mindepth 1 2>/dev/null | wc -l",
            "0",
        ),
        ("cat /proc/1/environ /proc/1/mem $$ 2>/dev/null | wc -c", "0"),
        ("ls /proc/1/fd /proc/1/root/ $$ 2>/dev/null | wc -l", "0"),
        ("id -u; id -g; hostname", "1000\n1000\nkeel"),
        (
            "(: <>/dev/tcp/1.1.1.1/53) 2>/dev/null && echo reached || echo none",
            "none",
        ),
        (
            "ls /sys/class/net 2>/dev/null; tail -n +3 /proc/net/dev | wc -l",
            "1",
        ),
        (
            "rm -rf --no-preserve-root /usr/bin /etc 2>/dev/null; ls -d /usr/bin/env /etc/passwd",
            "/etc/passwd\n/usr/bin/env",
        ),
        (
            "touch /usr/x /etc/x /x /proc/sys/kernel/hostname 2>/dev/null; ls /usr/x /etc/x /x 2>/dev/null | wc -l",
            "0",
        ),
        (
            "mount -t tmpfs none /tmp 2>/dev/null || echo $?; unshare -Ur true 2>/dev/null || echo $?",
            "32\n1",
        ),
        ("seq 1; kill -9 -1; seq 2", "1\n1\n2"),
        ("kill -9 1; kill -STOP 1; seq 1", "1"),
        (
            "env | grep -v -e ^_= -e ^PWD= -e ^SHLVL= | sort",
            "HOME=/root\nLANG=C.UTF-8\nPATH=/usr/bin:/usr/sbin:/bin:/sbin\nTZ=UTC",
        ),
        (
            "head -c 100M /dev/zero > /build/BUILD/x 2>/dev/null; stat -c %s /build/BUILD/x",
            "67108864",
        ),
        ("stat -c %s /build/BUILD/x", "67108864"),
    ] {
        assert_eq!(ask(&world, command), output, "{command}");
    }
    let skeleton: Vec<_> = fs::read_dir(fixture.path("cache"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(skeleton, ["host-root-1"]);
    let sources: Vec<_> = fs::read_dir(fixture.path("sources")).unwrap().collect();
    assert_eq!(sources.len(), 1);
}

#[test]
fn hostile_commands_end_and_leave_nothing() {
    let fixture = Fixture::host();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let surroundings = fixture.surroundings();
    let world = surroundings.of_spec("hostile");
    let marker = marker("hostile");
    for (command, why) in [
        (
            format!("echo {marker} $$; b(){{ b|b& }};b"),
            Some("it takes longer than 5.0 s"),
        ),
        (
            format!("setsid sleep 1000 & trap '' TERM; sleep 1000 # {marker}"),
            Some("it takes longer than 5.0 s"),
        ),
        (format!("yes {marker}"), Some("it takes longer than 5.0 s")),
        (format!("(setsid sleep 1000 >/dev/null 2>&1 &) # {marker}"), None),
        (
            format!("[ $(head -c 1000M /dev/zero | tail -n 1 | wc -c) = 0 ] || echo enough; : {marker}"),
            None,
        ),
    ] {
        let started = Instant::now();
        let answer = world.shell(command.as_bytes());
        println!("{:?} {command}", started.elapsed());
        assert!(started.elapsed().as_secs_f32() < 6.5, "{command}");
        let failed = answer.is_err();
        match (why, answer) {
            (Some(why), answer) => assert!(answer.unwrap_err().ends_with(why), "{command}"),
            (None, Ok(output)) => assert!(output.is_empty(), "{command}"),
            // On a machine that does much else the time ends before the memory does.
            (None, Err(error)) => assert!(
                command.contains("/dev/zero") && error.ends_with("it takes longer than 5.0 s"),
                "{error}"
            ),
        }
        assert!(!alive(&marker), "{command}");
        // Who asks again, and another SPEC, is not made to wait.
        let started = Instant::now();
        assert_eq!(
            surroundings.of_spec("b").shell(command.as_bytes()).is_err(),
            failed
        );
        assert!(why.is_none() || started.elapsed().as_millis() < 100, "{command}");
        assert_eq!(ask(&world, "seq 1"), "1");
    }
    drop((world, surroundings));
    assert_eq!(fs::read_to_string("/proc/self/mounts").unwrap(), mounts);
}

#[test]
fn a_spec_has_a_budget_of_time() {
    let fixture = Fixture::host();
    let world = fixture.world();
    let started = Instant::now();
    let answers: Vec<String> = (0..1000)
        .map(|number| ask(&world, &format!("sleep 1000 # {number}")))
        .collect();
    assert!(started.elapsed().as_secs() <= 31, "{:?}", started.elapsed());
    assert!(answers[0].ends_with("it takes longer than 5.0 s"));
    assert!(answers[999].ends_with("the commands of this SPEC take longer than 30 s"));
}

#[test]
fn what_a_spec_writes_is_its_own() {
    let fixture = Fixture::host();
    let surroundings = fixture.surroundings();
    let (one, other) = (surroundings.of_spec("one"), surroundings.of_spec("other"));
    let look = "cat /build/BUILD/list /tmp/list 2>/dev/null; ls /build/BUILD";
    assert_eq!(ask(&one, look), "");
    assert_eq!(
        ask(
            &one,
            "mkdir -p /build/BUILD/x; echo a > /build/BUILD/list; echo b > /tmp/list"
        ),
        ""
    );
    assert_eq!(ask(&one, look), "a\nb\nlist\nx");
    assert_eq!(ask(&one, "echo c >> /tmp/list"), "");
    assert_eq!(ask(&one, look), "a\nb\nc\nlist\nx");
    assert_eq!(ask(&other, look), "");
    assert_eq!(ask(&other, "echo c >> /tmp/list"), "");
    assert_eq!(ask(&other, look), "c");
    assert_eq!(ask(&surroundings.of_spec("third"), look), "");
    assert!(!one.exists("/tmp/list") && one.read("/build/BUILD/list").is_err());
    // It loses what it wrote with a command that takes too long, and then nothing is guessed.
    assert!(ask(&one, "sleep 1000").ends_with("5.0 s"));
    assert_eq!(ask(&one, look), "");
}

#[test]
fn threads_get_the_same_answers() {
    let fixture = Fixture::host();
    let surroundings = fixture.surroundings();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let surroundings = &surroundings;
            scope.spawn(move || {
                let world = surroundings.of_spec(&format!("spec-{thread}"));
                for number in 0..20 {
                    let own = format!("touch /tmp/{thread}; ls /tmp | wc -l");
                    assert_eq!(ask(&world, &format!("seq {number} | wc -l")), number.to_string());
                    assert_eq!(ask(&world, &own), "1");
                }
            });
        }
    });
}

/// Not a test of speed: the numbers are for people.
#[test]
fn times() {
    let fixture = Fixture::host();
    let surroundings = fixture.surroundings();
    let world = surroundings.of_spec("a");
    let time = |count: u32, what: &dyn Fn(u32)| {
        let started = Instant::now();
        (0..count).for_each(what);
        started.elapsed() / count
    };
    let first = time(1, &|_| drop(ask(&world, "seq 1")));
    let run = time(50, &|number| {
        drop(ask(&world, &format!("seq {number} >/dev/null")))
    });
    let memo = time(1000, &|_| drop(ask(&world, "seq 1")));
    let own = time(1000, &|number| {
        drop(ask(&world, &format!("echo 1.2.{number} | cut -d. -f1-2")))
    });
    let fact = time(1000, &|number| {
        drop(ask(
            &world,
            &format!("eval \"`perl -V:version`\"; echo $version {number}"),
        ))
    });
    let file = time(1000, &|_| assert!(world.exists("/usr/lib/os-release")));
    println!(
        "first {first:?}, in the same sandbox {run:?}, memo {memo:?}, own shell {own:?}, fact {fact:?}, exists {file:?}"
    );
}
