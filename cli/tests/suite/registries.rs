//! Containers joined, and sent to and fetched from a registry of this machine.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
};

use crate::harness::{Fixture, judge};

/// The password `secret` as htpasswd(1) has it.
const HTPASSWD: &str = "tester:$2b$04$W3eQkQlRN8yAc9fkigEE5eJKnm7Rv8in6/.nzPZd1M0HhuX9MatW6\n";

/// Debian's docker-registry without TLS, with a password, on a port of its own; ends with the test.
struct Registry {
    child: Child,
    port: String,
}

impl Registry {
    fn start(fixture: &Fixture) -> Self {
        let at = fixture.path("registry");
        fs_err::create_dir(&at).unwrap();
        fs_err::write(at.join("htpasswd"), HTPASSWD).unwrap();
        let at = at.display();
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {at}/data\n\
             auth:\n  htpasswd:\n    realm: test\n    path: {at}/htpasswd\nhttp:\n  addr: 127.0.0.1:0\n"
        );
        fs_err::write(fixture.path("registry/config.yml"), config).unwrap();
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(fixture.path("registry/config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("docker-registry: {error}; apt-get install docker-registry"));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let port = loop {
            let line = lines.next().expect("it says where it listens").unwrap();
            if let Some((_, rest)) = line.split_once("listening on 127.0.0.1:") {
                break rest.chars().take_while(char::is_ascii_digit).collect();
            }
        };
        // Drained, so that the registry never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An empty container of umoci's.
fn layout(fixture: &Fixture, name: &str, arch: &str) {
    let path = fixture.path(name);
    let path = path.to_str().unwrap();
    let image = format!("{path}:1");
    judge("umoci", &["init", "--layout", path]);
    judge("umoci", &["new", "--image", &image]);
    judge(
        "umoci",
        &[
            "config",
            "--image",
            &image,
            "--architecture",
            arch,
            "--created",
            "2026-01-01T00:00:00Z",
        ],
    );
}

#[test]
fn containers_are_joined_and_go_to_a_registry_and_back() {
    let fixture = Fixture::new();
    let registry = Registry::start(&fixture);
    layout(&fixture, "intel", "amd64");
    layout(&fixture, "arm", "arm64");
    let joined = fixture
        .keel(&["image", "index", "both.oci.tar", "arm", "intel"])
        .ok();
    assert!(
        joined.stdout.contains("linux/amd64, linux/arm64"),
        "{}",
        joined.stdout
    );

    let name = format!("localhost:{}/keel/both", registry.port);
    // tester:secret
    let logins = format!(
        "{{\"auths\": {{\"localhost:{}\": {{\"auth\": \"dGVzdGVyOnNlY3JldA==\"}}}}}}",
        registry.port
    );
    fs_err::write(fixture.path("auth.json"), logins).unwrap();
    let push = ["image", "push", "./both.oci.tar", &name, "--insecure-http"];
    let refused = fixture.keel(&push);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("the registry does not allow it (401"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("hint: log in with `podman login`"),
        "{}",
        refused.stderr
    );
    let with_logins = [&push[..], &["--auth-file", "auth.json", "--output", "json"]].concat();
    let pushed = fixture.keel(&with_logins).ok();
    let pushed: serde_json::Value = serde_json::from_str(&pushed.stdout).unwrap();
    assert_eq!(pushed["reference"], format!("{name}:1"));
    let digest = pushed["digest"].as_str().unwrap();
    assert!(joined.stdout.contains(digest), "{}", joined.stdout);

    // With a password on standard input, by digest.
    let from = format!("{name}@sha256:{digest}");
    let arguments = [
        "image",
        "pull",
        &from,
        "back",
        "--all-platforms",
        "--insecure-http",
    ];
    let arguments = [&arguments[..], &["--username", "tester", "--password-stdin"]].concat();
    let mut child = fixture
        .command(".", &arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"secret\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains(digest));
    assert!(fixture.path("back").join("blobs/sha256").join(digest).is_file());

    for (arguments, wanted) in [
        (
            &["image", "push", "./both.oci.tar", "keel/both"][..],
            "what comes before the first `/` is no host",
        ),
        (
            &[
                "image",
                "push",
                "./both.oci.tar",
                "example.org/both",
                "--insecure-http",
            ],
            "`example.org` is not on this machine: without TLS anybody on the way could read the password",
        ),
        (
            &["image", "push", "./auth.json", &name],
            "auth.json is no container that can be used",
        ),
        (
            &["--offline", "image", "pull", &name, "x"],
            "`--offline` fetches nothing",
        ),
        (
            &["image", "pull", &name, "x", "--username", "tester"],
            "--password-stdin",
        ),
        (
            &["image", "pull", &name, "x", "--auth-file", "typo.json"],
            "typo.json: it is not there",
        ),
        (
            &["image", "index", "registry", "arm"],
            "registry is no container that can be used: it has no `oci-layout`",
        ),
    ] {
        let ran = fixture.keel(arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(wanted), "{arguments:?}: {}", ran.stderr);
    }
}
