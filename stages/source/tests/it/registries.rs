//! Origins with TLS: URLs, crates, Python distributions, npm packages; commits.

use std::{
    io::{self, Write as _},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use keel_artefact::{Sha256, Sha512, event::Silent};
use keel_source::{Errors, LockChange, Trust};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use crate::{archive::NOW, fixture::Fixture, server::Server};

/// A certificate of 127.0.0.1 that vouches for itself, and the server's side of it.
pub fn certificate() -> (String, Arc<rustls::ServerConfig>) {
    let (certificate, key) = (
        include_str!("data/localhost.pem"),
        include_str!("data/localhost.key.pem"),
    );
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    (certificate.to_owned(), Arc::new(config))
}

pub fn trusting(mut fixture: Fixture, pem: &str) -> Fixture {
    let path = fixture.dir.path().join("ca.pem");
    fs_err::File::create(&path)
        .unwrap()
        .write_all(pem.as_bytes())
        .unwrap();
    fixture.options.certificates = Some(path);
    fixture
}

fn pinned(name: &str, bytes: &[u8], origin: &str) -> String {
    let hash = Sha256::of(bytes);
    unpinned(name, origin).replace(
        "origin =",
        &format!("hash = \"{hash}\"\nhash-type = \"SHA256\"\norigin ="),
    )
}

pub fn unpinned(name: &str, origin: &str) -> String {
    format!("[[components.hello.source-files]]\nfilename = \"{name}\"\norigin = {{ {origin} }}\n")
}

pub fn lock(fixture: &Fixture, name: &str) -> Result<LockChange, Errors> {
    let recipes = [fixture.recipe("1.0", &[name])];
    let trust = Trust {
        keyrings: Vec::new(),
        now: NOW,
    };
    let (project, options) = (fixture.project(), &fixture.options);
    keel_source::lock(
        &project,
        &recipes,
        &fixture.store,
        options,
        &trust,
        &Silent,
        &fixture.interrupt,
    )
}

#[test]
fn urls_with_https() {
    let (pem, config) = certificate();
    let plain = Server::new(|_, answer| answer.ok(b"body"));
    let down = plain.url("/file");
    let server = Server::tls(config, move |request, answer| match request.path.as_str() {
        "/down" => answer.status(302, &format!("Location: {down}\r\n")),
        "/moved" => answer.status(302, "Location: /file\r\n"),
        _ => answer.ok(b"body"),
    });
    let fetch = |url: &str, trust: bool| {
        let fixture = Fixture::new(&pinned(
            "f.tar",
            b"body",
            &format!("type = \"https\", url = \"{url}\""),
        ));
        let fixture = if trust { trusting(fixture, &pem) } else { fixture };
        fixture.fetch(&["f.tar"])
    };
    for path in ["/file", "/moved"] {
        let sets = fetch(&server.url(path), true).unwrap();
        assert_eq!(sets[0].files[0].origin, Some(server.url(path)));
    }
    let text = fetch(&server.url("/file"), false).unwrap_err().to_string();
    assert!(
        text.contains("it cannot be reached: ") && text.contains("ertificate"),
        "{text}"
    );
    let text = fetch(&server.url("/down"), true).unwrap_err().to_string();
    assert!(
        text.contains("it redirects to `http://") && text.contains("another scheme"),
        "{text}"
    );
    assert!(plain.requests().is_empty());
    // Keel's own trees cannot even say it.
    let entry = pinned(
        "f.tar",
        b"body",
        &format!("type = \"https\", url = \"{}\"", plain.url("/file")),
    );
    let refused = keel_config::load(&Fixture::new(&entry).root())
        .unwrap_err()
        .to_string();
    assert!(refused.contains("is neither an `https://` nor"), "{refused}");
    assert!(plain.requests().is_empty());
}

#[test]
fn certificates_that_cannot_be_used_are_told() {
    let fixture = Fixture::new(&pinned(
        "f.tar",
        b"body",
        "type = \"https\", url = \"https://127.0.0.1:1/\"",
    ));
    let text = trusting(fixture, "no certificate")
        .fetch(&["f.tar"])
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("cannot read certificates from") && text.contains("no certificate in it"),
        "{text}"
    );
}

#[test]
fn a_url_is_trusted_on_first_use_and_never_again() {
    let (pem, config) = certificate();
    let body = Arc::new(Mutex::new(b"first".to_vec()));
    let served = Arc::clone(&body);
    let server = Server::tls(config, move |_, answer| answer.ok(&served.lock().unwrap()));
    let origin = format!("type = \"https\", url = \"{}\"", server.url("/f.tar"));
    let fixture = trusting(Fixture::new(&unpinned("f.tar", &origin)), &pem);
    let change = lock(&fixture, "f.tar").unwrap().to_string();
    assert!(
        change.starts_with("+ hello: f.tar (5 bytes") && change.contains("trusted on first use"),
        "{change}"
    );
    *body.lock().unwrap() = b"other".to_vec();
    assert_eq!(lock(&fixture, "f.tar").unwrap().to_string(), "no change\n");
    let store = keel_store::Store::open(&fixture.dir.path().join("empty")).unwrap();
    let fixture = Fixture { store, ..fixture };
    let text = fixture.fetch(&["f.tar"]).unwrap_err().to_string();
    assert!(text.contains("it gave other bytes"), "{text}");
}

#[test]
fn a_thousand_files_arrive_though_one_connection_in_five_is_cut() {
    const FILES: usize = 1000;
    let body = |at: usize| -> Vec<u8> { (0..2000 + at).map(|n| (n * (at + 7) % 251) as u8).collect() };
    let (pem, config) = certificate();
    let connections = AtomicUsize::new(0);
    let cut = Arc::new(AtomicUsize::new(0));
    let cuts = Arc::clone(&cut);
    let server = Server::tls(config, move |request, answer| {
        let at = request.path.trim_matches(|c: char| !c.is_ascii_digit());
        let body = body(at.parse().unwrap());
        if connections.fetch_add(1, Ordering::Relaxed) % 5 != 3 {
            return answer.file(request, &body);
        }
        cuts.fetch_add(1, Ordering::Relaxed);
        // Half of what is asked for, and the connection is gone.
        let from = request.from().unwrap_or(0);
        let half = from + (body.len() - from) / 2;
        let (last, all) = (body.len() - 1, body.len());
        let status = match request.from() {
            None => "200 OK\r\n".to_owned(),
            Some(_) => format!("206 Partial\r\nContent-Range: bytes {from}-{last}/{all}\r\n"),
        };
        answer.raw(format!("HTTP/1.1 {status}Content-Length: {}\r\n\r\n", all - from))?;
        answer.raw(&body[from..half])?;
        Err(io::ErrorKind::ConnectionAborted.into())
    });
    let names: Vec<String> = (0..FILES).map(|at| format!("f{at}.tar")).collect();
    let files = names.iter().enumerate().map(|(at, name)| {
        let origin = format!("type = \"https\", url = \"{}\"", server.url(&format!("/{name}")));
        pinned(name, &body(at), &origin)
    });
    let mut fixture = trusting(Fixture::new(&files.collect::<String>()), &pem);
    fixture.options.jobs = 16;
    let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    let sets = fixture.fetch(&wanted).unwrap();
    assert_eq!(sets[0].files.len(), FILES);
    for file in &sets[0].files {
        let at = file
            .name
            .trim_matches(|c: char| !c.is_ascii_digit())
            .parse()
            .unwrap();
        assert!(
            fixture.store.read(&file.digest).unwrap() == body(at),
            "{}",
            file.name
        );
    }
    let (requests, cut) = (server.requests(), cut.load(Ordering::Relaxed));
    assert!(cut >= FILES / 5, "{cut} connections were cut");
    // What was cut goes on where it was.
    assert_eq!(
        requests.iter().filter(|request| request.from().is_some()).count(),
        cut
    );
    assert!(fixture.partials().is_empty());
}

#[test]
fn a_file_may_be_pinned_by_its_sha512() {
    let (pem, config) = certificate();
    let server = Server::tls(config, move |_, answer| answer.ok(b"abc"));
    let origin = format!("type = \"https\", url = \"{}\"", server.url("/f.tar"));
    let digest = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e\
                  2a9ac94fa54ca49f";
    let pinned = |digest: &str| {
        unpinned("f.tar", &origin).replace(
            "origin =",
            &format!("hash = \"{digest}\"\nhash-type = \"SHA512\"\norigin ="),
        )
    };
    let fixture = trusting(Fixture::new(&pinned(digest)), &pem);
    // Bytes are named by SHA-256: the lock says which.
    let text = fixture.fetch(&["f.tar"]).unwrap_err().to_string();
    assert!(text.contains("keel source lock"), "{text}");
    lock(&fixture, "f.tar").unwrap();
    assert_eq!(lock(&fixture, "f.tar").unwrap().to_string(), "no change\n");
    let sets = fixture.fetch(&["f.tar"]).unwrap();
    assert_eq!(sets[0].files[0].digest, Sha256::of(b"abc"));
    // Another digest: the lock does not fit any more, and what the server has does not, either.
    fixture.configure(&pinned(&digest.replace('d', "e")));
    let text = fixture.fetch(&["f.tar"]).unwrap_err().to_string();
    assert!(
        text.contains("the SHA-512 of `f.tar` differs between the configuration"),
        "{text}"
    );
    let text = lock(&fixture, "f.tar").unwrap_err().to_string();
    assert!(
        text.contains("has not the SHA-512 that is configured") && text.contains("keel.toml:"),
        "{text}"
    );
}

#[test]
fn crates_come_with_the_checksum_of_their_index() {
    let (pem, config) = certificate();
    let digest = Sha256::of(b"crate");
    let base = Arc::new(Mutex::new(String::new()));
    let known = Arc::clone(&base);
    let server = Server::tls(config, move |request, answer| match request.path.as_str() {
        "/index/config.json" => {
            answer.ok(format!("{{\"dl\": \"{}/dl\", \"api\": null}}", known.lock().unwrap()).as_bytes())
        }
        "/index/he/ll/hello" => answer.ok(format!(
            "{{\"name\":\"hello\",\"vers\":\"0.9.0\",\"cksum\":\"{}\"}}\nnonsense\n\
                 {{\"name\":\"hello\",\"vers\":\"1.0.0\",\"cksum\":\"{digest}\",\"deps\":[]}}\n",
            Sha256::of(b"")
        )
        .as_bytes()),
        "/dl/hello/1.0.0/download" => answer.ok(b"crate"),
        _ => answer.status(404, ""),
    });
    *base.lock().unwrap() = server.url("");
    let name = "hello-1.0.0.crate";
    let make = |version: &str| {
        let origin = format!("type = \"crates\", name = \"hello\", version = \"{version}\"");
        trusting(Fixture::new(&unpinned(name, &origin)), &pem)
    };
    let text = lock(&make("1.0.0"), name).unwrap_err().to_string();
    assert!(
        text.contains("no address is known for the registry `crates`"),
        "{text}"
    );
    let with_index = |mut fixture: Fixture| {
        fixture.options.registries.crates = Some(format!("sparse+{}", server.url("/index/")));
        fixture
    };
    let fixture = with_index(make("1.0.0"));
    let change = lock(&fixture, name).unwrap().to_string();
    assert!(change.contains("the registry's checksum"), "{change}");
    let sets = fixture.fetch(&[name]).unwrap();
    assert_eq!(
        (sets[0].files[0].digest, sets[0].files[0].origin.as_deref()),
        (digest, Some("crates:hello:1.0.0"))
    );
    let text = lock(&with_index(make("2.0.0")), name).unwrap_err().to_string();
    assert!(text.contains("is not what cargo's index has there"), "{text}");
    // The index vouches for other bytes than the ones that are served.
    let text = lock(&with_index(make("0.9.0")), name).unwrap_err().to_string();
    assert!(text.contains("no origin gives"), "{text}");
}

#[test]
fn python_distributions_come_with_the_checksum_of_their_index() {
    let (pem, config) = certificate();
    let digest = Sha256::of(b"sdist");
    let base = Arc::new(Mutex::new(String::new()));
    let known = Arc::clone(&base);
    let server = Server::tls(config, move |request, answer| match request.path.as_str() {
        "/simple/hello/" => {
            assert_eq!(
                request.header("accept"),
                Some("application/vnd.pypi.simple.v1+json")
            );
            let file = |url: &str, name: &str| {
                format!(
                    "{{\"filename\":\"{name}\",\"url\":\"{url}/files/{name}\",\"hashes\":{{\"sha256\":\"{digest}\"}}}}"
                )
            };
            let files = [
                file("", "hello-1.0-py3-none-any.whl"),
                // An address may be a relative one.
                file("../..", "hello-1.0.tar.gz"),
                file(&known.lock().unwrap(), "hello-1.1.tar.gz"),
            ];
            answer.ok(format!("{{\"meta\":{{}},\"files\":[{}]}}", files.join(",")).as_bytes())
        }
        "/simple/page/" => answer.ok(b"<html>"),
        "/files/hello-1.0.tar.gz" => answer.ok(b"sdist"),
        _ => answer.status(404, ""),
    });
    *base.lock().unwrap() = server.url("");
    let make = |name: &str, version: &str| {
        let origin = format!("type = \"pypi\", name = \"{name}\", version = \"{version}\"");
        let mut fixture = trusting(Fixture::new(&unpinned("hello-1.0.tar.gz", &origin)), &pem);
        fixture.options.registries.pypi = Some(server.url("/simple"));
        fixture
    };
    let fixture = make("Hello", "1.0");
    lock(&fixture, "hello-1.0.tar.gz").unwrap();
    let sets = fixture.fetch(&["hello-1.0.tar.gz"]).unwrap();
    assert_eq!(
        (sets[0].files[0].digest, sets[0].files[0].origin.as_deref()),
        (digest, Some("pypi:Hello:1.0"))
    );
    for (name, message) in [
        ("page", "is no page of a simple index in JSON"),
        ("none", "it is not there (404)"),
    ] {
        let text = lock(&make(name, "1.0"), "hello-1.0.tar.gz")
            .unwrap_err()
            .to_string();
        assert!(text.contains(message), "{name}: {text}");
    }
}

#[test]
fn npm_packages_come_with_the_integrity_of_their_document() {
    let (pem, config) = certificate();
    let base = Arc::new(Mutex::new(String::new()));
    let known = Arc::clone(&base);
    let server = Server::tls(config, move |request, answer| {
        let integrity = |bytes: &[u8]| {
            let digest = Sha512::of_reader(bytes).unwrap().to_string();
            let byte = |at: usize| u8::from_str_radix(&digest[at..at + 2], 16).unwrap();
            BASE64.encode((0..128).step_by(2).map(byte).collect::<Vec<u8>>())
        };
        let document = |integrity: &str| {
            let url = known.lock().unwrap();
            format!(
                "{{\"dist\": {{\"tarball\": \"{url}/files/hello.tgz\", \"integrity\": \"{integrity}\"}}}}"
            )
        };
        match request.path.as_str() {
            "/hello/1.0.0" | "/@keel%2fhello/1.0.0" => {
                let text = document(&format!("sha1-AAAA sha512-{}", integrity(b"package")));
                answer.ok(text.as_bytes())
            }
            "/hello/1.1.0" => answer.ok(document(&format!("sha512-{}", integrity(b"other"))).as_bytes()),
            "/hello/1.2.0" => answer.ok(document("sha1-AAAA").as_bytes()),
            "/hello/1.3.0" => answer.ok(b"<html>"),
            "/files/hello.tgz" => answer.ok(b"package"),
            _ => answer.status(404, ""),
        }
    });
    *base.lock().unwrap() = server.url("");
    let make = |name: &str, version: &str| {
        let origin = format!("type = \"npm\", name = \"{name}\", version = \"{version}\"");
        let mut fixture = trusting(Fixture::new(&unpinned("hello.tgz", &origin)), &pem);
        fixture.options.registries.npm = Some(server.url("/"));
        fixture
    };
    for name in ["hello", "@keel/hello"] {
        let fixture = make(name, "1.0.0");
        let change = lock(&fixture, "hello.tgz").unwrap().to_string();
        assert!(change.contains("the registry's SHA-512"), "{change}");
        let store = keel_store::Store::open(&fixture.dir.path().join("empty")).unwrap();
        let fixture = Fixture { store, ..fixture };
        let sets = fixture.fetch(&["hello.tgz"]).unwrap();
        assert_eq!(
            (sets[0].files[0].digest, sets[0].files[0].origin.clone()),
            (Sha256::of(b"package"), Some(format!("npm:{name}:1.0.0")))
        );
    }
    for (name, version, message) in [
        ("hello", "1.1.0", "it gave other bytes"),
        ("hello", "1.2.0", "its index has no SHA-512"),
        ("hello", "1.3.0", "is not npm's JSON"),
        ("hello", "2.0.0", "it is not there (404)"),
        ("../hello", "1.0.0", "is no package and version"),
    ] {
        let fixture = make(name, version);
        let text = lock(&fixture, "hello.tgz").unwrap_err().to_string();
        assert!(
            text.contains(message) && text.contains("keel.toml:"),
            "{name} {version}: {text}"
        );
        assert!(!fixture.root().join("keel.lock").exists(), "{name} {version}");
    }
}

#[test]
fn the_files_of_a_commit_are_the_same_archive_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let commit = repository(dir.path(), "echo one > a && git add a && git commit -qm one");
    let make = |commit: &str| {
        let origin = format!(
            "type = \"git\", url = \"file://{}\", commit = \"{commit}\"",
            dir.path().display()
        );
        let mut fixture = Fixture::new(&unpinned("hello-1.0.tar", &origin));
        fixture.options.limits.total = std::time::Duration::from_secs(60);
        fixture
    };
    let digests = [commit.clone(), commit.to_ascii_uppercase()].map(|commit| {
        let fixture = make(&commit);
        lock(&fixture, "hello-1.0.tar").unwrap();
        let store = keel_store::Store::open(&fixture.dir.path().join("empty")).unwrap();
        let fixture = Fixture { store, ..fixture };
        let sets = fixture.fetch(&["hello-1.0.tar"]).unwrap();
        let file = &sets[0].files[0];
        let bytes = fixture.store.read(&file.digest).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("hello-1.0/a\0") && text.contains("one\n"), "{text}");
        fixture.assert_tidy();
        file.digest
    });
    assert_eq!(digests[0], digests[1]);
    let text = lock(&make(&"0".repeat(40)), "hello-1.0.tar")
        .unwrap_err()
        .to_string();
    assert!(text.contains("git:0000") && text.contains("keel.toml:"), "{text}");
    // What was locked from one commit is not given by another.
    let second = repository(dir.path(), "echo two > a && git commit -qam two");
    let origin = |commit: &str| {
        let url = dir.path().display();
        format!("type = \"git\", url = \"file://{url}\", commit = \"{commit}\"")
    };
    let fixture = make(&commit);
    let bytes = {
        lock(&fixture, "hello-1.0.tar").unwrap();
        let set = fixture.fetch(&["hello-1.0.tar"]).unwrap().remove(0);
        fixture.store.read(&set.files[0].digest).unwrap()
    };
    let other = make(&second);
    other.configure(&pinned("hello-1.0.tar", &bytes, &origin(&second)));
    let text = other.fetch(&["hello-1.0.tar"]).unwrap_err().to_string();
    assert!(text.contains("it gave other bytes"), "{text}");
}

/// Runs `line` in a git repository, which is made if it is not there; gives its newest commit.
pub fn repository(folder: &std::path::Path, line: &str) -> String {
    let output = std::process::Command::new("sh")
        .args([
            "-ec",
            &format!("[ -e .git ] || git init -q -b main .\n{line}\ngit rev-parse HEAD"),
        ])
        .current_dir(folder)
        .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")])
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
