//! git as the machine has it, with repositories made here.

use std::sync::Arc;

use super::*;

fn sh(folder: &Path, line: &str) -> String {
    let output = Command::new("sh")
        .args(["-ec", line])
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_DATE"), "2020-01-02T03:04:05Z")))
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "a")))
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_EMAIL"), "a@example.org")))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn git(size: u64, interrupt: &Interrupt) -> Git<'_> {
    Git {
        certificates: None,
        proxy: None,
        time: Duration::from_secs(60),
        size,
        interrupt,
    }
}

#[test]
fn only_without_a_repository_or_commits_is_there_no_history() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree/a");
    fs_err::create_dir_all(&tree).unwrap();
    let interrupt = Interrupt::default();
    let git = git(u64::MAX, &interrupt);
    if repository_of(dir.path()).is_none() {
        assert!(!git.has_commits(&tree).unwrap());
    }
    sh(dir.path(), "git init -q -b main tree");
    assert_eq!(repository_of(&tree), tree.parent());
    assert!(!git.has_commits(&tree).unwrap());
    sh(&tree, "git commit -q --allow-empty -m one");
    assert!(git.has_commits(&tree).unwrap());
    // A repository that git refuses is not the same as none: of another user, or broken.
    if rustix::process::geteuid().is_root() && std::env::var_os("SUDO_UID").is_none() {
        sh(dir.path(), "chown -R 4321 tree");
        let error = git.has_commits(&tree).unwrap_err().to_string();
        assert!(error.contains("dubious ownership"), "{error}");
        sh(dir.path(), "chown -R 0 tree");
    }
    sh(dir.path(), "rm tree/.git/HEAD");
    assert!(git.has_commits(&tree).is_err());
}

#[test]
fn a_commit_is_fetched_and_archived_the_same_twice() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs_err::create_dir(&source).unwrap();
    let first = sh(
        &source,
        "git init -q -b main . && echo '$Format:%H$' > a && echo 'a export-subst\nb export-ignore' > .gitattributes \
         && touch b && git add . && git commit -qm one && git rev-parse HEAD",
    );
    let second = sh(&source, "echo 2 > a && git commit -qam two && git rev-parse HEAD");
    let interrupt = Interrupt::default();
    let git = git(1 << 30, &interrupt);
    let url = format!("file://{}", source.display());
    let archives = ["one", "two"].map(|name| {
        let (repository, tar) = (dir.path().join(name), dir.path().join(format!("{name}.tar")));
        git.fetch(&repository, &url, &first).unwrap();
        git.fetch(&repository, &url, &first).unwrap();
        git.archive(&repository, &first, "p-1/", &tar).unwrap();
        fs_err::read(tar).unwrap()
    });
    assert!(archives[0] == archives[1]);
    let text = String::from_utf8_lossy(&archives[0]).into_owned();
    for part in ["p-1/a\0", "p-1/b\0", "$Format:%H$"] {
        assert!(text.contains(part), "{part}");
    }
    let history = dir.path().join("history");
    assert_eq!(git.fetch_history(&history, &url, "main").unwrap(), second);
    let at = |seconds| git.commit_before(&history, &second, Epoch(seconds)).unwrap();
    assert_eq!(
        (at(1_577_934_245), at(1_000_000_000)),
        (Some(second.clone()), None)
    );
    sh(&source, &format!("git tag v1 {first} && git tag -am two v2"));
    let tags = git.tags(&history, &url).unwrap();
    let tags: Vec<_> = tags.iter().map(|tag| (tag.name.as_str(), &tag.commit)).collect();
    assert_eq!(tags, [("v1", &first), ("v2", &second)]);
    let log = git.log(&source, &["--format=%s"]).unwrap();
    assert_eq!(log, "two\none\n");
    for (url, commit, why) in [
        ("ext::sh -c true", &first, "neither `https://…` nor"),
        ("http://127.0.0.1/x", &first, "neither `https://…` nor"),
        ("https://user@127.0.0.1/x", &first, "neither `https://…` nor"),
        (url.as_str(), &"main".to_owned(), "is not all of a commit's name"),
        (url.as_str(), &"0".repeat(40), "has no commit 000"),
    ] {
        let error = git
            .fetch(&dir.path().join("x"), url, commit)
            .unwrap_err()
            .to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_history_tells_its_commits_and_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs_err::create_dir(&source).unwrap();
    let interrupt = Interrupt::default();
    let git = git(1 << 30, &interrupt);
    sh(&source, "git init -q -b main . && mkdir p && echo one > p/a");
    sh(&source, "git add . && git commit -qm one -m body");
    sh(
        &source,
        "echo two > p/a && head -c 8388608 /dev/zero > p/b && git add . && git commit -qm two",
    );
    let newest = sh(&source, "git rev-parse HEAD");
    let folder = source.join("p");
    let here = git.commits(At::Tree(&folder), &["--", "a"]).unwrap();
    let told: Vec<_> = here
        .iter()
        .map(|one| (one.message.trim(), one.committed))
        .collect();
    assert_eq!(told, [("two", 1_577_934_245), ("one\n\nbody", 1_577_934_245)]);
    assert_eq!(
        (here[0].author.as_str(), here[0].email.as_str()),
        ("a", "a@example.org")
    );

    let bare = dir.path().join("bare");
    git.fetch_whole(&bare, &format!("file://{}", source.display()), &newest)
        .unwrap();
    let all = git
        .commits(At::Bare(&bare), &["--first-parent", &newest])
        .unwrap();
    assert_eq!(all, here);
    let of = |at, path: &str| {
        let names: Vec<String> = all.iter().map(|one| format!("{}:{path}", one.hash)).collect();
        git.blobs(at, &names).unwrap()
    };
    let bytes = |text: &str| Blob::Bytes(Arc::from(text.as_bytes()));
    assert_eq!(of(At::Bare(&bare), "p/a"), [bytes("two\n"), bytes("one\n")]);
    assert_eq!(of(At::Tree(&folder), "./a"), [bytes("two\n"), bytes("one\n")]);
    // It is too large, and before it was not there; a folder is no file.
    assert_eq!(of(At::Tree(&folder), "./b"), [Blob::Large, Blob::Missing]);
    assert_eq!(of(At::Tree(&folder), "p"), [Blob::Missing, Blob::Missing]);
    assert!(git.blobs(At::Bare(&bare), &["a\nb".to_owned()]).is_err());

    let changed = git.changes_in(&folder).unwrap().unwrap();
    let files = |at: usize| {
        changed[at]
            .1
            .iter()
            .map(|(path, became)| (path.as_str(), became.is_some()))
    };
    assert_eq!(
        changed
            .iter()
            .map(|(commit, _)| commit.clone())
            .collect::<Vec<_>>(),
        here
    );
    assert_eq!(files(0).collect::<Vec<_>>(), [("a", true), ("b", true)]);
    assert_eq!(files(1).collect::<Vec<_>>(), [("a", true)]);
    let became: Vec<String> = changed
        .iter()
        .filter_map(|(_, files)| files[0].1.clone())
        .collect();
    assert_eq!(
        git.blobs(At::Tree(&folder), &became).unwrap(),
        of(At::Tree(&folder), "./a")
    );

    assert!(!git.is_changed(&folder).unwrap());
    assert!(git.has_all(&folder).unwrap());
    fs_err::write(folder.join("new"), "git does not know it").unwrap();
    assert!(!git.is_changed(&folder).unwrap());
    assert!(!git.has_all(&folder).unwrap());
    fs_err::remove_file(folder.join("new")).unwrap();
    std::os::unix::fs::symlink("a", folder.join("link")).unwrap();
    sh(&source, "git add p/link && git commit -qm link");
    assert!(git.has_all(&folder).unwrap());
    fs_err::remove_file(folder.join("link")).unwrap();
    std::os::unix::fs::symlink("b", folder.join("link")).unwrap();
    assert!(!git.has_all(&folder).unwrap());
    sh(&source, "git reset -q --hard HEAD~1");
    assert!(git.has_all(&folder).unwrap());
    fs_err::write(folder.join("a"), "three\n").unwrap();
    assert!(git.is_changed(&folder).unwrap());
    fs_err::remove_file(folder.join("a")).unwrap();
    assert!(git.is_changed(&folder).unwrap());

    // A merge of two that both changed the folder: each file has its own history.
    sh(
        &source,
        "git checkout -q . && git checkout -q -b other HEAD~1 && echo x > p/x && git add p/x && git commit -qm x",
    );
    sh(
        &source,
        "git rm -q -r --cached p && git add p/x && git commit -qm gone",
    );
    assert_eq!(
        git.changes_in(&folder).unwrap().unwrap()[0].1,
        [("a".to_owned(), None)]
    );
    sh(
        &source,
        "git checkout -q -f main && git merge -q --no-edit -s ours other",
    );
    sh(&source, "echo y > p/a && git commit -qam y");
    assert!(git.changes_in(&folder).unwrap().is_none());

    assert!(!git.is_shallow(&source).unwrap());
    sh(dir.path(), "git clone -q --depth=1 file://$PWD/source shallow");
    assert!(git.is_shallow(&dir.path().join("shallow")).unwrap());
}
