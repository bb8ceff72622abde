//! `keel source update`: newer versions of every kind of origin.

use std::sync::{Arc, Mutex};

use keel_artefact::{Sha256, event::Silent};
use keel_source::{
    Errors, Lock, Trust,
    updating::{Change, Update, Updates, edit},
};

use crate::{
    archive::{Archive, NOW},
    fixture::Fixture,
    registries::{certificate, lock, repository, trusting, unpinned},
    server::Server,
};

fn update(fixture: &Fixture, trust: &Trust, sources: &[&str]) -> Result<Updates, Errors> {
    let recipes = [fixture.recipe("1.0", sources)];
    keel_source::update(
        &fixture.project(),
        &recipes,
        &fixture.store,
        &fixture.options,
        trust,
        &Silent,
        &fixture.interrupt,
    )
}

fn one(fixture: &Fixture, name: &str) -> Update {
    let trust = Trust {
        keyrings: Vec::new(),
        now: NOW,
    };
    let mut updates = update(fixture, &trust, &[name]).unwrap();
    assert!(updates.failures.is_none(), "{:?}", updates.failures);
    updates.files.remove(0)
}

fn text(fixture: &Fixture) -> String {
    fs_err::read_to_string(fixture.root().join("keel.toml")).unwrap()
}

/// A server of all registries, whose newest version is the one that is set.
fn registries(pem: &str, config: Arc<rustls::ServerConfig>) -> (Server, impl Fn(Fixture) -> Fixture) {
    let base = Arc::new(Mutex::new(String::new()));
    let known = Arc::clone(&base);
    let server = Server::tls(config, move |request, answer| {
        let base = known.lock().unwrap().clone();
        let sdist = |version: &str, more: &str| {
            let digest = Sha256::of(version.as_bytes());
            format!(
                "{{\"filename\": \"hello-{version}.tar.gz\", \"url\": \"{base}/file/{version}\", {more}\
                 \"hashes\": {{\"sha256\": \"{digest}\"}}}}"
            )
        };
        let line = |version: &str, more: &str| {
            let digest = Sha256::of(version.as_bytes());
            format!("{{\"name\": \"hello\", \"vers\": \"{version}\", {more}\"cksum\": \"{digest}\"}}\n")
        };
        let body = match request.path.as_str() {
            "/crates/config.json" => format!("{{\"dl\": \"{base}/file/{{crate}}/{{version}}\"}}"),
            "/crates/he/ll/hello" => {
                line("1.9.0", "")
                    + &line("1.10.0", "\"yanked\": false, ")
                    + &line("1.11.0", "\"yanked\": true, ")
                    + &line("2.0.0-x.1", "")
                    + &line("9\\u001b", "")
            }
            "/pypi/hello/" => {
                let files = [
                    sdist("1.9.0", ""),
                    sdist("1.10.0", "\"yanked\": false, "),
                    sdist("1.11.0", "\"yanked\": \"broken\", "),
                    sdist("2.0.0rc1", ""),
                ];
                format!("{{\"files\": [{}]}}", files.join(","))
            }
            "/npm/hello" => {
                assert!(request.header("accept").unwrap().contains("npm.install-v1"));
                "{\"dist-tags\": {\"latest\": \"1.10.0\", \"next\": \"2.0.0\"}, \"versions\": {}}".to_owned()
            }
            path => match path.strip_prefix("/file/") {
                Some(path) => path.trim_start_matches("hello/").to_owned(),
                None => return answer.status(404, ""),
            },
        };
        answer.ok(body.as_bytes())
    });
    *base.lock().unwrap() = server.url("");
    let (pem, url) = (pem.to_owned(), server.url(""));
    let make = move |fixture: Fixture| {
        let mut fixture = trusting(fixture, &pem);
        fixture.options.registries.crates = Some(format!("{url}/crates"));
        fixture.options.registries.pypi = Some(format!("{url}/pypi"));
        fixture.options.registries.npm = Some(format!("{url}/npm"));
        fixture
    };
    (server, make)
}

#[test]
fn a_version_that_stands_in_toml_alone_is_written_and_pinned() {
    let (pem, config) = certificate();
    let (_server, make) = registries(&pem, config);
    for (kind, version) in [("crates", "1.9.0"), ("pypi", "1.9.0")] {
        let origin = format!("# kept\n  type = '{kind}', name = \"hello\",\tversion = '{version}'   ");
        let origin = origin.replace("# kept\n  ", "");
        let entry = unpinned("vendored.tar.gz", &origin) + "# kept, too\n";
        let fixture = make(Fixture::new(&entry));
        lock(&fixture, "vendored.tar.gz").unwrap();
        let found = one(&fixture, "vendored.tar.gz");
        assert_eq!(
            (
                found.now.as_deref(),
                found.newest.as_deref(),
                found.origin.as_str()
            ),
            (
                Some("1.9.0"),
                Some("1.10.0"),
                format!("{kind}:hello:1.9.0").as_str()
            )
        );
        let before = text(&fixture);
        // Two components may inherit the same entry.
        let written = edit(&fixture.project(), &[found.clone(), found]).unwrap();
        assert_eq!(text(&fixture), before.replace("'1.9.0'", "\"1.10.0\""));
        // What was pinned is not what is configured now.
        let told = fixture.fetch(&["vendored.tar.gz"]).unwrap_err().to_string();
        assert!(told.contains("the origin of `vendored.tar.gz` differs"), "{told}");
        let change = lock(&fixture, "vendored.tar.gz").unwrap().to_string();
        assert!(change.starts_with("~ hello: vendored.tar.gz"), "{change}");
        let entries = Lock::read(&fixture.root().join("keel.lock")).unwrap().files;
        let entry = entries.values().next().unwrap();
        assert_eq!((entries.len(), entry.digest), (1, Sha256::of(b"1.10.0")));
        let found = one(&fixture, "vendored.tar.gz");
        assert_eq!((found.newest, found.change), (None, Change::Nothing));
        written.undo().unwrap();
        assert_eq!(text(&fixture), before);
    }
}

#[test]
fn a_version_that_stands_elsewhere_is_told() {
    let (pem, config) = certificate();
    let (_server, make) = registries(&pem, config);
    let hash = format!(
        "hash = \"{}\"\nhash-type = \"SHA256\"\norigin =",
        Sha256::of(b"x")
    );
    for (name, kind, has_hash, message) in [
        (
            "hello-1.9.0.crate",
            "crates",
            false,
            "set the SPEC's version, and at keel.toml:",
        ),
        ("hello.tgz", "npm", true, "take `hash` and `size` away"),
    ] {
        let origin = format!("type = \"{kind}\", name = \"hello\", version = \"1.9.0\"");
        let mut entry = unpinned(name, &origin);
        if has_hash {
            entry = entry.replace("origin =", &hash);
        }
        let fixture = make(Fixture::new(&entry));
        if !has_hash {
            lock(&fixture, name).unwrap();
        }
        let found = one(&fixture, name);
        assert_eq!(found.newest.as_deref(), Some("1.10.0"));
        assert!(
            matches!(&found.change, Change::Person(text) if text.contains(message)),
            "{found:?}"
        );
        let before = text(&fixture);
        let _ = edit(&fixture.project(), &[found]).unwrap();
        assert_eq!(text(&fixture), before);
    }
}

#[test]
fn origins_that_do_not_answer_are_told_and_others_are_not_hidden() {
    let (pem, config) = certificate();
    let (_server, make) = registries(&pem, config);
    let hash = format!(
        "hash = \"{}\"\nhash-type = \"SHA256\"\norigin =",
        Sha256::of(b"x")
    );
    let npm = |file: &str, name: &str| {
        unpinned(
            file,
            &format!("type = \"npm\", name = \"{name}\", version = \"1\""),
        )
    };
    let entries = npm("a.tgz", "hello")
        + &npm("b.tgz", "absent")
        + &unpinned("c.tar", "type = \"https\", url = \"https://x.invalid/c\"");
    let fixture = make(Fixture::new(&entries.replace("origin =", &hash)));
    let trust = Trust {
        keyrings: Vec::new(),
        now: NOW,
    };
    let updates = update(&fixture, &trust, &["a.tgz", "b.tgz", "c.tar"]).unwrap();
    let names: Vec<_> = updates.files.iter().map(|update| update.name.as_str()).collect();
    assert_eq!(names, ["a.tgz", "c.tar"]);
    assert!(matches!(&updates.files[1].change, Change::Unknown(why) if why.contains("cannot be asked")));
    let told = updates.failures.unwrap().to_string();
    assert!(
        told.contains("no origin tells whether there is a newer `b.tgz`")
            && told.contains("npm:absent:1: it is not there (404)")
            && told.contains("keel.toml:"),
        "{told}"
    );
}

#[test]
fn the_newest_tag_of_a_repository() {
    let dir = tempfile::tempdir().unwrap();
    let first = repository(
        dir.path(),
        "echo one > a && git add a && git commit -qm one && git tag v1.9 && git tag other-7",
    );
    let second = repository(
        dir.path(),
        "git commit -q --allow-empty -m two && git tag -am two v1.10 && git tag v1.11-rc1 && git tag x-9",
    );
    let third = repository(dir.path(), "git commit -q --allow-empty -m three");
    let make = |file: &str, commit: &str| {
        let url = dir.path().display();
        let origin = format!("type = \"git\", url = \"file://{url}\", commit = \"{commit}\"");
        let mut fixture = Fixture::new(&unpinned(file, &origin));
        fixture.options.limits.total = std::time::Duration::from_secs(60);
        lock(&fixture, file).unwrap();
        fixture
    };
    let fixture = make("hello.tar", &first.to_ascii_uppercase());
    // `other-7` is of the same commit, and none of the `v` tags.
    let found = one(&fixture, "hello.tar");
    assert_eq!(found.newest, None);
    repository(dir.path(), "git tag -d other-7");
    let found = one(&fixture, "hello.tar");
    assert_eq!(
        (found.now.as_deref(), found.newest.as_deref()),
        (Some("v1.9"), Some("v1.10"))
    );
    let _ = edit(&fixture.project(), &[found]).unwrap();
    assert!(text(&fixture).contains(&format!("commit = \"{second}\"")));
    lock(&fixture, "hello.tar").unwrap();
    assert_eq!(one(&fixture, "hello.tar").change, Change::Nothing);
    let found = one(&make("hello-1.9.tar", &first), "hello-1.9.tar");
    assert!(
        matches!(&found.change, Change::Person(text) if text.contains("`filename`")),
        "{found:?}"
    );
    let found = one(&make("hello.tar", &third), "hello.tar");
    assert!(
        matches!(&found.change, Change::Unknown(why) if why.contains("none of its tags; the newest of them is `x-9`")),
        "{found:?}"
    );
    fixture.assert_tidy();
}

#[test]
fn debians_newest_is_by_its_signed_index() {
    const NAME: &str = "hello_1.0.orig.tar.gz";
    let mut archive = Archive::new();
    archive.add(
        "1.0-1",
        &[(NAME, b"one"), ("hello_1.0-1.debian.tar.xz", b"debian")],
        true,
        "",
    );
    archive.add("2.0-1", &[("hello_2.0.orig.tar.xz", b"two")], true, "");
    archive.add(
        "3.0-1",
        &[("hello_3.0.orig.tar.xz", b"three")],
        true,
        "Extra-Source-Only: yes\n",
    );
    let server = archive.serve();
    let entry = crate::fixture::debian(NAME, b"one")
        + &crate::fixture::debian("hello_1.0-1.debian.tar.xz", b"debian");
    let fixture = Fixture::new(&entry).with_mirrors(&[server.url("")]);
    let trust = archive.trust(&fixture);
    let sources = [NAME, "hello_1.0-1.debian.tar.xz"];
    let updates = update(&fixture, &trust, &sources).unwrap();
    assert!(updates.failures.is_none());
    let [debian, orig] = updates.files.as_slice() else {
        panic!("{updates:?}")
    };
    assert_eq!(
        (debian.now.as_deref(), &debian.change),
        (Some("1.0-1"), &Change::Nothing)
    );
    assert_eq!(
        (orig.now.as_deref(), orig.newest.as_deref()),
        (Some("1.0"), Some("2.0"))
    );
    assert!(
        matches!(&orig.change, Change::Person(text) if text.contains("version to 2.0") && text.contains("hello_2.0.orig.tar.xz")),
        "{orig:?}"
    );
    // A suite that is not trusted: its files are told together, by the suite.
    let nobody = Trust {
        keyrings: Vec::new(),
        now: NOW,
    };
    let updates = update(&fixture, &nobody, &sources).unwrap();
    assert!(updates.files.is_empty());
    assert_eq!(updates.failures.unwrap().iter().count(), 1);
}
