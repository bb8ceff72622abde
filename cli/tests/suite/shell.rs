//! `keel shell`: into the root of a build that failed, and into a new one.

use std::{fs, io::Write as _, process::Stdio, time::Duration};

use crate::harness::{Fixture, judge};

/// The fixture with a program whose build fails half-way.
fn failed() -> Fixture {
    let fixture = Fixture::new();
    let spec = fixture.path("specs/hello/hello.spec");
    let text = fs::read_to_string(&spec).unwrap();
    fs::write(&spec, text.replace("%build\n", "%build\ntouch half-way\nfalse\n")).unwrap();
    fixture
}

#[test]
fn a_shell_goes_where_a_build_failed() {
    let fixture = failed();
    let told = fixture.keel(&["build", "hello"]);
    assert_eq!(told.code, Some(1));
    assert!(
        told.stderr.contains("`keel build --keep-root hello`"),
        "{}",
        told.stderr
    );
    let told = fixture.keel(&["build", "--keep-root", "hello"]);
    assert!(
        told.stderr.contains("`keel shell hello` goes there"),
        "{}",
        told.stderr
    );
    let look =
        "find /build/BUILD -name half-way | wc -l; id -u; test -w /usr || echo read-only; ls /build/SOURCES";
    let found = fixture.keel(&["shell", "hello", "--", "sh", "-c", look]).ok();
    assert_eq!(found.stdout, "1\n1000\nread-only\nhello.c\n");
    assert!(found.stderr.contains("failed, in %build"), "{}", found.stderr);
    assert!(!found.stderr.contains("older"), "{}", found.stderr);
    // Another failure, whose root is not kept: what is there is older, and says so.
    let spec = fixture.path("specs/hello/hello.spec");
    let text = fs::read_to_string(&spec).unwrap();
    fs::write(&spec, text.replace("touch half-way\n", "touch half-way other\n")).unwrap();
    assert_eq!(fixture.keel(&["build", "hello"]).code, Some(1));
    let older = fixture.keel(&["shell", "hello", "--", "true"]).ok();
    assert!(
        older
            .stderr
            .contains("this is where an older build of `hello` failed, in %build, on 2"),
        "{}",
        older.stderr
    );
    fs::write(&spec, text).unwrap();
    assert_eq!(fixture.keel(&["build", "hello"]).code, Some(1));
    // What is done there stays until the next build.
    fixture
        .keel(&["shell", "hello", "--", "touch", "/build/mark"])
        .ok();
    fixture
        .keel(&["shell", "hello", "--", "test", "-e", "/build/mark"])
        .ok();
    let other = fixture
        .keel(&["shell", "--fresh", "hello", "--", "ls", "/build/BUILD"])
        .ok();
    assert_eq!(other.stdout, "");
    // Mended, nothing is kept.
    let spec = fixture.path("specs/hello/hello.spec");
    let text = fs::read_to_string(&spec).unwrap();
    fs::write(&spec, text.replace("touch half-way\nfalse\n", "")).unwrap();
    fixture.keel(&["build", "hello"]).ok();
    let mended = fixture.keel(&["shell", "hello", "--", "test", "-e", "/build/mark"]);
    assert_eq!(mended.code, Some(1));
    assert!(!mended.stderr.contains("failed, in"), "{}", mended.stderr);
}

#[test]
fn what_would_build_it_builds_it() {
    let fixture = Fixture::new();
    let mut child = fixture
        .command(".", &["shell", "hello"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let script = "sh -c \"$BUILD\" >/dev/null 2>&1 && ls /build/RPMS/*/*.rpm\n";
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("/hello-1.0-1.fx1.x86_64.rpm"),
        "{said}"
    );
}

#[test]
fn a_shell_ends_with_the_code_of_what_ran_in_it() {
    let fixture = Fixture::new();
    for (line, code) in [("exit 42", 42), ("kill -TERM $$", 128 + 15), ("true", 0)] {
        let ran = fixture.keel(&["shell", "hello", "--", "sh", "-c", line]);
        assert_eq!(ran.code, Some(code), "{line}: {}", ran.stderr);
    }
}

/// What is typed while the command only writes waits, and what it says goes on; the window has the caller's size, then and later.
#[test]
fn a_paste_into_a_command_that_only_writes_does_not_hang() {
    let fixture = Fixture::new();
    fixture.keel(&["shell", "hello", "--", "true"]).ok();
    let line = "stty -icanon; stty size; sleep 6; stty size; seq 1000000 1040000; echo all-\\\"\\\"said";
    let keel = format!(
        "{:?}",
        fixture.command(".", &["shell", "hello", "--", "sh", "-c", "LINE"])
    )
    .replace('"', "'");
    let keel = keel
        .split_once("'/")
        .map(|(_, rest)| format!("'/{rest}"))
        .unwrap();
    let keel = keel.replace("LINE", line);
    let script = fixture.path("paste.sh");
    let resize = "(sleep 4; stty -F /dev/tty rows 31 cols 91) & ";
    let paste = "sleep 1; head -c 300000 /dev/zero | tr '\\0' x; sleep 12";
    fs::write(
        &script,
        format!("({paste}) | script -qec \"stty rows 30 cols 90; {resize} {keel}\" /dev/null"),
    )
    .unwrap();
    let said = judge("timeout", &["60", "sh", script.to_str().unwrap()]);
    for part in ["30 90", "31 91", "all-said"] {
        assert!(
            said.contains(part),
            "{part}: {}",
            &said[said.len().saturating_sub(600)..]
        );
    }
}

/// On a terminal of its own: Ctrl-C ends what runs in the shell, not the shell, and nothing is left.
#[test]
fn a_shell_has_a_terminal() {
    let fixture = Fixture::new();
    fixture.keel(&["shell", "hello", "--", "true"]).ok();
    let keel = format!("{:?}", fixture.command(".", &["shell", "hello"])).replace('"', "'");
    let keel = keel
        .split_once("'/")
        .map(|(_, rest)| format!("'/{rest}"))
        .unwrap();
    let script = fixture.path("type.sh");
    let typed = "sleep 2; echo 'test -t 0 && echo has-\"\"one'; sleep 1; echo 'sleep 4321'; sleep 1; printf '\\003'; sleep 1; echo 'echo still-\"\"here; exit 3'; sleep 2";
    fs::write(
        &script,
        format!("({typed}) | script -qec \"{keel}\" /dev/null || true"),
    )
    .unwrap();
    let said = judge("timeout", &["60", "sh", script.to_str().unwrap()]);
    assert!(said.contains("has-one") && said.contains("still-here"), "{said}");
    assert!(said.contains("exit code 3"), "{said}");
    std::thread::sleep(Duration::from_millis(100));
    let left = judge("sh", &["-c", "ps -eo args | grep -c '^sleep 4321' || true"]);
    assert_eq!(left.trim(), "0");
}
