//! `keel source update`, from a repository of the test's own.

use crate::harness::{Fixture, git};

#[test]
fn a_newer_tag_is_told_written_and_pinned() {
    let fixture = Fixture::new();
    let project = "broken/missing-source";
    let (folder, repository) = (fixture.path(project), fixture.path("repository"));
    fs_err::create_dir(&repository).unwrap();
    let make =
        "git init -q . && echo 1 > a && git add a && git commit -qm 1 && git tag v1.9 && git rev-parse HEAD";
    let first = git(&repository, make);
    let (toml, spec) = (folder.join("keel.toml"), folder.join("lacking.spec"));
    let text = fs_err::read_to_string(&spec).unwrap();
    fs_err::write(&spec, text.replace("nowhere-1.tar.gz", "nowhere.tar")).unwrap();
    let text = fs_err::read_to_string(&toml).unwrap()
        + &format!(
            "[[components.lacking.source-files]]\nfilename = \"nowhere.tar\"\n\
             origin = {{ type = \"git\", url = \"file://{}\", commit = \"{first}\" }} # kept\n",
            repository.display()
        );
    fs_err::write(&toml, &text).unwrap();
    fixture.keel_in(project, &["source", "lock"]).ok();
    let ran = fixture
        .keel_in(project, &["source", "update", "--check-only"])
        .ok();
    assert_eq!(ran.stdout, "");

    let second = git(
        &repository,
        "echo 2 > a && git commit -qam 2 && git tag v1.10 && git rev-parse HEAD",
    );
    let lock = fs_err::read(folder.join("keel.lock")).unwrap();
    let ran = fixture.keel_in(project, &["source", "update", "--check-only"]);
    assert_eq!(
        (ran.code, ran.errors().as_str()),
        (Some(1), "error: 1 pinned files have newer versions")
    );
    let lines: Vec<Vec<&str>> = ran
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[1][..4], ["lacking", "nowhere.tar", "v1.9", "v1.10"]);
    assert_eq!(fs_err::read_to_string(&toml).unwrap(), text);
    assert_eq!(fs_err::read(folder.join("keel.lock")).unwrap(), lock);

    let ran = fixture
        .keel_in(project, &["source", "update", "lacking", "--output", "json"])
        .ok();
    let form = ["\"now\": \"v1.9\"", "\"newest\": \"v1.10\"", "\"line\": 11"];
    assert!(
        form.iter().all(|part| ran.stdout.contains(part)),
        "{}",
        ran.stdout
    );
    assert_eq!(
        fs_err::read_to_string(&toml).unwrap(),
        text.replace(&first, &second)
    );
    fixture
        .keel_in(project, &["source", "update", "--check-only"])
        .ok();
    fixture.keel_in(project, &["--offline", "source", "fetch"]).ok();

    let ran = fixture.keel_in(project, &["--offline", "source", "update"]);
    assert!(
        ran.errors()
            .contains("no origin tells whether there is a newer `nowhere.tar`")
            && ran.errors().contains("not asked: --offline"),
        "{}",
        ran.errors()
    );
}
