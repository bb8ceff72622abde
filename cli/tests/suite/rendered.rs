//! What is built of other distributions' SPECs is what rendering gives now.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use crate::harness::{Fixture, Ran, git, judge};

const SPEC: &str = "\
Name: greet
Version: 1
Release: 1%{?dist}
Summary: s
License: MIT
BuildArch: noarch
Source0: hello.txt
%description
d
%prep
%install
install -D -m644 %{SOURCE0} %{buildroot}%{_datadir}/greet/hello.txt
%files
%{_datadir}/greet
%changelog
* Thu Jan 01 2026 A B <a@b.test> - 1-1
- New.
";

/// The fixture with a component whose SPEC is in a repository of git; gives the commit, which no other test has.
fn fixture(message: &str) -> (Fixture, String) {
    let fixture = Fixture::new();
    let rpms = fixture.path("rpms/greet.git");
    fs::create_dir_all(&rpms).unwrap();
    fs::write(rpms.join("greet.spec"), SPEC).unwrap();
    fs::write(rpms.join("hello.txt"), "hello\n").unwrap();
    let commit = git(
        &rpms,
        &format!("git init -q -b f1 . && git add . && git commit -qm '{message}' && git rev-parse HEAD"),
    );
    say(&fixture, &commit, "");
    (fixture, commit)
}

fn say(fixture: &Fixture, commit: &str, more: &str) {
    let text = format!(
        "[distros.up]\ndist-git-base-uri = \"file://{}\"\n[distros.up.versions.1]\nrelease-ver = \"1\"\ndist-git-branch = \"f1\"\n\
         [components.greet]\nspec = {{ type = \"upstream\", upstream-distro = {{ name = \"up\", version = \"1\" }}, \
         upstream-commit = \"{commit}\" }}\nbuild = {{ bootstrap-libc = true, borrowed-libc = true }}\n{more}",
        fixture.path("rpms/$pkg.git").display()
    );
    fs::write(fixture.path("components/greet.toml"), text).unwrap();
}

#[track_caller]
fn is_stale(ran: &Ran, what: &str) {
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    let errors = ran.errors();
    for part in [
        "the rendered folder of `greet` is not what rendering gives now",
        "components/greet.toml:6:13: it is specs/g/greet",
        what,
        "hint: `keel component render greet` writes it anew",
    ] {
        assert!(errors.contains(part), "{part}:\n{errors}");
    }
}

/// Rules R87 and R88.
#[test]
fn what_is_built_is_what_rendering_gives_now() {
    let (fixture, commit) = fixture("one");
    let fetch = || fixture.keel(&["source", "fetch", "greet"]);
    let missing = fetch();
    assert_eq!(missing.code, Some(2), "{}", missing.stderr);
    assert!(
        missing.errors().contains("must be rendered"),
        "{}",
        missing.stderr
    );
    let render = || fixture.keel(&["component", "render", "greet"]).ok();
    render();
    fixture.keel(&["build", "greet"]).ok();

    // By hand.
    let spec = fixture.path("specs/g/greet/greet.spec");
    fs::write(&spec, SPEC.replace("Summary: s", "Summary: mine")).unwrap();
    fs::write(fixture.path("specs/g/greet/new"), "").unwrap();
    for command in [
        &["plan", "greet"][..],
        &["build", "greet"],
        &["source", "srpm", "greet"],
        &["check"],
    ] {
        let ran = fixture.keel(command);
        is_stale(&ran, "specs/g/greet/greet.spec is another one");
        is_stale(&ran, "specs/g/greet/new should not be there");
    }
    // What does not need it does not ask.
    fixture.keel(&["plan", "zlib"]).ok();
    render();
    fetch().ok();

    // By an overlay that nobody has rendered yet, and by what it copies.
    fs::write(fixture.path("components/more.txt"), "1\n").unwrap();
    let overlay =
        "[[components.greet.overlays]]\ntype = \"patch-add\"\nsource = \"more.txt\"\nfile = \"more.patch\"\n";
    say(&fixture, &commit, overlay);
    is_stale(&fetch(), "specs/g/greet/more.patch is missing");
    render();
    fetch().ok();
    fs::write(fixture.path("components/more.txt"), "2\n").unwrap();
    is_stale(&fetch(), "specs/g/greet/more.patch is another one");
    render();
    fetch().ok();

    // By another commit.
    let rpms = fixture.path("rpms/greet.git");
    fs::write(rpms.join("hello.txt"), "bonjour\n").unwrap();
    let newer = git(&rpms, "git commit -qam two && git rev-parse HEAD");
    say(&fixture, &newer, overlay);
    is_stale(&fetch(), "specs/g/greet/hello.txt is another one");
    // Back again: the store knows what that gave, and asks nobody.
    say(&fixture, &commit, overlay);
    fs::rename(&rpms, fixture.path("rpms/gone")).unwrap();
    fetch().ok();
}

/// Rule R89.
#[test]
fn what_cannot_be_compared_is_told_once() {
    let (fixture, _) = fixture("the only one");
    let folder = fixture.path("specs/g/greet");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("greet.spec"), SPEC).unwrap();
    fs::write(folder.join("hello.txt"), "hello\n").unwrap();
    for command in [&["plan", "greet", "--offline"][..], &["check"]] {
        let ran = fixture.keel(command).ok();
        let told = ran.stderr.matches("1 rendered folders were not checked").count();
        assert_eq!(told, 1, "{}", ran.stderr);
    }
    fs::rename(fixture.path("rpms"), fixture.path("gone")).unwrap();
    let ran = fixture.keel(&["source", "fetch", "greet"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(
        ran.errors()
            .contains("cannot check the rendered folder of `greet`"),
        "{}",
        ran.stderr
    );
    fs::rename(fixture.path("gone"), fixture.path("rpms")).unwrap();
    // A plan fetches nothing; what does finds that it was right.
    let ran = fixture.keel(&["plan", "greet"]).ok();
    assert!(ran.stderr.contains("not checked"), "{}", ran.stderr);
    let ran = fixture.keel(&["source", "fetch", "greet"]).ok();
    assert!(!ran.stderr.contains("not checked"), "{}", ran.stderr);
    // Once that is known, it is known without a network, too.
    fs::write(folder.join("hello.txt"), "other\n").unwrap();
    is_stale(
        &fixture.keel(&["plan", "greet", "--offline"]),
        "hello.txt is another one",
    );
}

/// Rule R90.
#[test]
fn two_runs_do_not_render_into_one_folder_at_once() {
    let (fixture, _) = fixture("locked");
    let specs = fixture.path("specs");
    let held = fs::File::open(&specs).unwrap();
    held.lock().unwrap();
    let start = |arguments: &[&str]| {
        let mut command = fixture.command(".", arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    // This test has the folder: one run waits for it until Ctrl-C, two others until it is free.
    let mut interrupted = start(&["component", "render", "greet"]);
    let waiting = [
        start(&["component", "render", "greet"]),
        start(&["component", "render", "--all"]),
    ];
    let mut said = String::new();
    let mut stderr = BufReader::new(interrupted.stderr.take().unwrap());
    while !said.contains("waiting for it") {
        assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "{said}");
    }
    assert!(said.contains("renders into"), "{said}");
    assert!(!specs.join("g").exists());
    judge("kill", &["-INT", &interrupted.id().to_string()]);
    assert_eq!(interrupted.wait().unwrap().code(), Some(130), "{said}");
    let whom = format!("(process {})", std::process::id());
    assert!(
        said.contains(&whom) || !said.contains("(process"),
        "{whom}:\n{said}"
    );
    drop(held);
    for run in waiting {
        let ended = run.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success(), "{said}");
    }
    assert_eq!(
        fs::read_to_string(specs.join("g/greet/hello.txt")).unwrap(),
        "hello\n"
    );
    let left = fs::read_dir(specs.join("g")).unwrap().count();
    assert_eq!(left, 1, "nothing unfinished is left");
}
