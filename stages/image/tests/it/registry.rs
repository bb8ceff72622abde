//! Containers to and from registries: Debian's docker-registry, judged by skopeo, and one in memory that does things wrong.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use keel_artefact::{Arch, Interrupt, Sha256, event::Silent};
use keel_config::image::Format;
use keel_image::{
    Built, join,
    layout::Layout,
    registry::{
        Error, Limits, Login, Options, Reference,
        pull::{self, Pulled, Which},
        push::{self, Pushed},
    },
};

use crate::{
    fake::{Answer, Asked, Fake, Manner, State, answer, certificate},
    fixture::{Packages, Place, digests, image, judge},
};

/// The only user of the registry below, and her password.
const USER: (&str, &str) = ("tester", "secret");
/// The password as htpasswd(1) has it.
const HTPASSWD: &str = "tester:$2b$04$W3eQkQlRN8yAc9fkigEE5eJKnm7Rv8in6/.nzPZd1M0HhuX9MatW6\n";

/// Debian's docker-registry with TLS and a password, on a port of its own; ends with the test.
struct Registry {
    child: Child,
    address: String,
    dir: tempfile::TempDir,
}

impl Registry {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = certificate();
        fs::write(dir.path().join("htpasswd"), HTPASSWD).unwrap();
        // What skopeo takes certificates of registries from.
        fs::create_dir(dir.path().join("certs")).unwrap();
        fs::copy(&certificate, dir.path().join("certs/ca.crt")).unwrap();
        let at = dir.path().display();
        let config = format!(
            "version: 0.1\nlog:\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: {at}/data\n\
             auth:\n  htpasswd:\n    realm: test\n    path: {at}/htpasswd\n\
             http:\n  addr: 127.0.0.1:0\n  tls:\n    certificate: {}\n    key: {}\n",
            certificate.display(),
            key.display()
        );
        fs::write(dir.path().join("config.yml"), config).unwrap();
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(dir.path().join("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("docker-registry: {error}; apt-get install docker-registry"));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("it says where it listens").unwrap();
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.split([',', '"']).next().unwrap().to_owned();
            }
        };
        // Drained, so that the registry never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address, dir }
    }

    fn skopeo(&self, arguments: &[&str]) -> String {
        let (user, password) = USER;
        let certs = self.dir.path().join("certs").display().to_string();
        let mut argv = vec!["skopeo", arguments[0]];
        let login = format!("{user}:{password}");
        let options = match arguments[0] {
            "copy" => ["--src-creds", &login, "--src-cert-dir", &certs],
            _ => ["--creds", &login, "--cert-dir", &certs],
        };
        argv.extend(options);
        argv.extend(&arguments[1..]);
        judge("skopeo", &argv)
    }

    fn reference(&self, rest: &str) -> Reference {
        format!("{}/{rest}", self.address).parse().unwrap()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn options(password: &str) -> Options {
    let (user, password) = (USER.0.to_owned(), password.to_owned());
    Options {
        certificates: vec![certificate().0],
        login: Some(Login::Password { user, password }),
        limits: Limits {
            pause: Duration::from_millis(1),
            stall: Duration::from_secs(20),
            ..Limits::default()
        },
        ..Options::default()
    }
}

fn push(layout: &Path, to: &Reference, from: Option<&str>, options: &Options) -> Result<Pushed, Error> {
    let layout = Layout::open(layout).unwrap();
    push::push(&layout, to, from, options, &Silent, &Interrupt::default())
}

fn pull(
    from: &Reference,
    which: Which,
    place: &Place,
    name: &str,
    options: &Options,
) -> Result<Pulled, Error> {
    let dir = place.dir.path().join(name);
    pull::pull(
        from,
        which,
        &dir,
        options,
        &place.store,
        &Silent,
        &Interrupt::default(),
    )
}

/// A container of three packages, one of them large and of this version.
fn build(place: &Place, name: &str, version: u32) -> Built {
    let mut packages = Packages::base();
    // Not to be compressed to nothing: what uploads in parts needs several.
    let install = format!(
        "mkdir -p usr/bin; awk 'BEGIN {{ srand({version}); for (i = 0; i < 40000; i++) print int(rand() * 1e9) }}' > usr/bin/large\n\
         head -c 1500000 /dev/zero >> usr/bin/large"
    );
    packages.add("large", "", &install, "/usr/bin/large");
    place
        .build(
            &image(name, &["tool", "large"], &[Format::Oci, Format::OciArchive]),
            &packages,
        )
        .unwrap()
}

fn file(built: &Built, format: Format) -> PathBuf {
    built.file(format).unwrap()
}

fn identity(built: &Built) -> Sha256 {
    built
        .files
        .iter()
        .find(|file| file.format == "oci")
        .unwrap()
        .sha256
}

#[test]
fn a_registry_gets_what_it_lacks_and_gives_it_back() {
    let (registry, place) = (Registry::start(), Place::new());
    let first = build(&place, "box", 1);
    let to = registry.reference("keel/box");
    let sent = push(&file(&first, Format::Oci), &to, None, &options(USER.1)).unwrap();
    assert_eq!(
        sent.reference,
        format!("{}/keel/box:0.1", registry.address),
        "the layout's tag"
    );
    assert_eq!(sent.digest, identity(&first));
    assert!(sent.sent.len() >= 3 && sent.there.is_empty(), "{sent:?}");
    let name = format!("docker://{}", sent.reference);
    let said: serde_json::Value = serde_json::from_str(&registry.skopeo(&["inspect", &name])).unwrap();
    assert_eq!(said["Digest"], format!("sha256:{}", sent.digest));

    // What skopeo pulls are the same blobs, and what keel pulls, too.
    let by_skopeo = place.dir.path().join("skopeo");
    registry.skopeo(&["copy", &name, &format!("oci:{}:0.1", by_skopeo.display())]);
    let blobs = |layout: &Path| digests(&layout.join("blobs"));
    assert_eq!(blobs(&by_skopeo), blobs(&file(&first, Format::Oci)));
    let pulled = pull(
        &registry.reference("keel/box:0.1"),
        Which::For(Arch::X86_64),
        &place,
        "keel",
        &options(USER.1),
    );
    let pulled = pulled.unwrap();
    assert_eq!(pulled.digest, sent.digest);
    assert_eq!(blobs(&pulled.dir), blobs(&by_skopeo));
    let again = judge(
        "skopeo",
        &["skopeo", "inspect", &format!("oci:{}:0.1", pulled.dir.display())],
    );
    assert!(again.contains(&format!("sha256:{}", sent.digest)), "{again}");

    // In parts, of which the real registry makes the same blobs.
    let mut in_parts = options(USER.1);
    in_parts.limits.chunk = 64 * 1024;
    let parts = registry.reference("keel/parts:1");
    let again = push(&file(&first, Format::OciArchive), &parts, None, &in_parts).unwrap();
    assert_eq!((again.sent.len(), again.digest), (sent.sent.len(), sent.digest));
    let copy = place.dir.path().join("parts");
    registry.skopeo(&[
        "copy",
        &format!("docker://{parts}"),
        &format!("oci:{}:1", copy.display()),
    ]);
    assert_eq!(blobs(&copy), blobs(&by_skopeo));

    // Nothing is sent twice; the archive is the same image.
    let twice = push(&file(&first, Format::OciArchive), &to, None, &options(USER.1)).unwrap();
    assert_eq!(
        (twice.sent.len(), twice.there.len(), twice.bytes),
        (0, sent.sent.len(), 0)
    );

    // An update of a package: its layer, the last one with rpm's database, and the configuration that names them.
    let second = build(&place, "box", 2);
    let update = push(&file(&second, Format::Oci), &to, None, &options(USER.1)).unwrap();
    assert_eq!(update.sent.len(), 3, "{update:?}");
    assert_eq!(update.there.len() + 3, sent.sent.len());

    // Another repository takes over what this one has.
    let other = registry.reference("other/box:new");
    let taken = push(
        &file(&second, Format::Oci),
        &other,
        Some("keel/box"),
        &options(USER.1),
    )
    .unwrap();
    assert_eq!(
        (taken.sent.len(), taken.mounted.len()),
        (0, sent.sent.len()),
        "{taken:?}"
    );
    let said = registry.skopeo(&["inspect", &format!("docker://{}/other/box:new", registry.address)]);
    assert!(said.contains(&format!("sha256:{}", update.digest)), "{said}");
}

#[test]
fn who_may_not_is_told_so() {
    let (registry, place) = (Registry::start(), Place::new());
    let built = build(&place, "box", 1);
    let layout = file(&built, Format::Oci);
    let to = registry.reference("keel/box:1");
    let told = |error: Error| error.to_string();
    let nobody = Options {
        login: None,
        ..options(USER.1)
    };
    for options in [options("wrong"), nobody] {
        let found = told(push(&layout, &to, None, &options).unwrap_err());
        assert!(found.contains("the registry does not allow it (401"), "{found}");
        assert!(!found.contains("wrong") && !found.contains(USER.1), "{found}");
    }
    let untrusted = Options {
        certificates: Vec::new(),
        ..options(USER.1)
    };
    let untrusted = Options {
        limits: Limits {
            tries: 1,
            ..untrusted.limits
        },
        ..untrusted
    };
    let found = told(push(&layout, &to, None, &untrusted).unwrap_err());
    assert!(
        found.contains("cannot be reached") && found.contains("certificate"),
        "{found}"
    );
    let found = told(pull(&to, Which::All, &place, "none", &options(USER.1)).unwrap_err());
    assert!(
        found.contains("cannot pull the manifest") && found.contains("does not have it"),
        "{found}"
    );
    let elsewhere: Reference = "registry.example.org/keel/box".parse().unwrap();
    let plain = Options {
        insecure_http: true,
        ..options(USER.1)
    };
    let found = told(push(&layout, &elsewhere, None, &plain).unwrap_err());
    assert!(
        found.contains("`registry.example.org` is not on this machine"),
        "{found}"
    );
}

/// The layout of `built` as if it were for ARM.
fn for_arm(built: &Built, to: &Path) {
    let from = file(built, Format::Oci);
    judge(
        "coreutils",
        &["cp", "-r", &from.to_string_lossy(), &to.to_string_lossy()],
    );
    let read = |name: &str| fs::read_to_string(to.join(name)).unwrap();
    let blob = |bytes: &str| {
        let digest = Sha256::of(bytes.as_bytes());
        fs::write(to.join(format!("blobs/sha256/{digest}")), bytes).unwrap();
        (format!("sha256:{digest}"), bytes.len())
    };
    let mut index: serde_json::Value = serde_json::from_str(&read("index.json")).unwrap();
    let of = |text: &serde_json::Value| text.as_str().unwrap().replace("sha256:", "blobs/sha256/");
    let mut manifest: serde_json::Value =
        serde_json::from_str(&read(&of(&index["manifests"][0]["digest"]))).unwrap();
    let config = read(&of(&manifest["config"]["digest"])).replace("amd64", "arm64");
    let (digest, size) = blob(&config);
    manifest["config"]["digest"] = digest.into();
    manifest["config"]["size"] = size.into();
    let (digest, size) = blob(&manifest.to_string());
    index["manifests"][0]["digest"] = digest.into();
    index["manifests"][0]["size"] = size.into();
    index["manifests"][0]["platform"]["architecture"] = "arm64".into();
    fs::write(to.join("index.json"), index.to_string()).unwrap();
}

#[test]
fn images_of_two_architectures_are_one() {
    let (registry, place) = (Registry::start(), Place::new());
    let built = build(&place, "box", 1);
    let (intel, arm) = (file(&built, Format::Oci), place.dir.path().join("arm.oci"));
    for_arm(&built, &arm);
    let at = |name: &str| place.dir.path().join(name);
    let joined = join::join(
        &[intel.clone(), arm.clone()],
        &at("both.oci"),
        &Interrupt::default(),
    )
    .unwrap();
    let platforms: Vec<String> = joined.platforms.iter().map(ToString::to_string).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    let archive = join::join(
        &[arm.clone(), file(&built, Format::OciArchive)],
        &at("both.tar"),
        &Interrupt::default(),
    )
    .unwrap();
    assert_eq!(archive.digest, joined.digest, "neither order nor form counts");
    assert_eq!(
        join::join(
            &[intel.clone(), arm.clone()],
            &at("both.oci"),
            &Interrupt::default()
        )
        .unwrap(),
        joined,
        "once more, in its place"
    );

    for (arch, form) in [("amd64", "oci:"), ("arm64", "oci:"), ("arm64", "oci-archive:")] {
        let path = if form == "oci:" {
            at("both.oci")
        } else {
            at("both.tar")
        };
        let name = format!("{form}{}:0.1", path.display());
        let said = judge("skopeo", &["skopeo", "--override-arch", arch, "inspect", &name]);
        assert!(said.contains(&format!("\"Architecture\": \"{arch}\"")), "{said}");
    }

    let to = registry.reference("keel/both:1");
    let pushed = push(&at("both.tar"), &to, None, &options(USER.1)).unwrap();
    assert_eq!(pushed.digest, joined.digest);
    let name = format!("docker://{to}");
    let raw = registry.skopeo(&["inspect", "--raw", &name]);
    assert_eq!(Sha256::of(raw.as_bytes()), joined.digest, "{raw}");
    registry.skopeo(&["copy", "--all", &name, &format!("oci:{}:1", at("copy").display())]);
    let both = pull(&to, Which::All, &place, "all", &options(USER.1)).unwrap();
    assert_eq!(
        digests(&both.dir.join("blobs")),
        digests(&at("both.oci").join("blobs"))
    );
    let one = pull(&to, Which::For(Arch::Aarch64), &place, "one", &options(USER.1)).unwrap();
    let said = judge(
        "skopeo",
        &["skopeo", "inspect", &format!("oci:{}:1", one.dir.display())],
    );
    assert!(said.contains("\"Architecture\": \"arm64\""), "{said}");

    // What does not belong together stays apart, and what is no container is not replaced.
    let other = place
        .build(&image("other", &["tool"], &[Format::Oci]), &Packages::base())
        .unwrap();
    let mine = at("mine");
    fs::create_dir(&mine).unwrap();
    for (layouts, out, wanted) in [
        ([&intel, &intel], at("no"), "it is for linux/amd64, and so is"),
        (
            [&intel, &file(&other, Format::Oci)],
            at("no"),
            "it is `other` 0.1 (0.1), and the first one is `box` 0.1",
        ),
        (
            [&intel, &at("both.oci")],
            at("no"),
            "it holds no image of one architecture",
        ),
        ([&intel, &arm], mine.clone(), "it has no `oci-layout`"),
    ] {
        let found = join::join(&layouts.map(Clone::clone), &out, &Interrupt::default())
            .unwrap_err()
            .to_string();
        assert!(found.contains(wanted), "{found}");
    }
    assert!(mine.is_dir() && !at("no").exists());
}

/// Lets nobody in without a token of its own server, which wants a password.
struct Tokens;

impl Manner for Tokens {
    fn answer(&self, asked: &Asked, _: &mut State) -> Option<Answer> {
        let host = asked.header("host").unwrap_or_default();
        if asked.path.starts_with("/token") {
            return Some(match asked.header("authorization") {
                // tester:secret
                Some("Basic dGVzdGVyOnNlY3JldA==") => answer(200).body(r#"{"token": "good"}"#),
                _ => answer(401),
            });
        }
        let challenge = format!("Bearer realm=\"https://{host}/token\",service=\"fake\"");
        let is_in = asked.header("authorization") == Some("Bearer good");
        (!is_in).then(|| answer(401).header("WWW-Authenticate", challenge))
    }
}

#[test]
fn tokens_are_asked_for_once_and_for_this_repository() {
    let (fake, place) = (Fake::new(Tokens), Place::new());
    let built = build(&place, "box", 1);
    let to: Reference = fake.name("keel/box:1").parse().unwrap();
    push(
        &file(&built, Format::Oci),
        &to,
        Some("other/box"),
        &options(USER.1),
    )
    .unwrap();
    let log = fake.log();
    let tokens: Vec<&Asked> = log
        .iter()
        .filter(|asked| asked.path.starts_with("/token"))
        .collect();
    // Two threads may ask at once.
    assert!((1..=2).contains(&tokens.len()), "{tokens:?}");
    for part in [
        "service=fake",
        "scope=repository%3Akeel%2Fbox%3Apull%2Cpush",
        "scope=repository%3Aother%2Fbox%3Apull",
    ] {
        assert!(tokens[0].path.contains(part), "{}", tokens[0].path);
    }
    let bare = |asked: &&Asked| !asked.path.starts_with("/token") && asked.header("authorization").is_none();
    assert!(
        log.iter().filter(bare).count() <= 2,
        "every other request has the token"
    );
    let found = push(&file(&built, Format::Oci), &to, None, &options("wrong"))
        .unwrap_err()
        .to_string();
    assert!(found.contains("the registry does not allow it (401)"), "{found}");
}

/// Breaks the second part of every upload in the middle, once, and is unwell now and then.
#[derive(Default)]
struct Breaks {
    parts: AtomicUsize,
    heads: AtomicUsize,
}

impl Manner for Breaks {
    fn cut(&self, asked: &Asked) -> Option<usize> {
        (asked.method == "PATCH" && self.parts.fetch_add(1, Ordering::Relaxed) == 1).then_some(1000)
    }

    fn answer(&self, asked: &Asked, _: &mut State) -> Option<Answer> {
        let is_unwell =
            asked.method == "HEAD" && self.heads.fetch_add(1, Ordering::Relaxed).is_multiple_of(3);
        is_unwell.then(|| answer(503))
    }
}

#[test]
fn a_broken_upload_goes_on_where_it_was() {
    let (fake, place) = (Fake::new(Breaks::default()), Place::new());
    let built = build(&place, "box", 1);
    let to: Reference = fake.name("keel/box:1").parse().unwrap();
    let mut options = options(USER.1);
    options.limits.chunk = 64 * 1024;
    let pushed = push(&file(&built, Format::Oci), &to, None, &options).unwrap();
    let state = fake.state.lock().unwrap();
    for digest in &pushed.sent {
        assert_eq!(Sha256::of(&state.blobs[&format!("sha256:{digest}")]), *digest);
    }
    drop(state);
    let log = fake.log();
    let asked_for = log.iter().filter(|asked| asked.is("GET", "/uploads/")).count();
    assert_eq!(asked_for, 1, "the registry is asked how much it has");
    let large = log
        .iter()
        .filter(|asked| asked.method == "PATCH")
        .map(|asked| asked.body.len())
        .sum::<usize>();
    let sizes = pushed
        .sent
        .iter()
        .map(|digest| fake.state.lock().unwrap().blobs[&format!("sha256:{digest}")].len());
    let in_parts: usize = sizes.filter(|size| *size > 64 * 1024).sum();
    assert_eq!(large, in_parts, "no byte is sent twice");
    let after = log.iter().position(|asked| asked.is("GET", "/uploads/")).unwrap();
    let next = log[after..].iter().find(|asked| asked.method == "PATCH").unwrap();
    assert!(
        next.header("content-range").unwrap().starts_with("66536-"),
        "{next:?}"
    );
}

/// Sends everything that is pulled from another address, and breaks off in the middle, once.
struct Elsewhere {
    to: String,
    sends: AtomicUsize,
}

impl Manner for Elsewhere {
    fn answer(&self, asked: &Asked, state: &mut State) -> Option<Answer> {
        if !asked.is("GET", "/blobs/") {
            return None;
        }
        if asked.path.starts_with("/storage") {
            let mut answer = state.answer(asked);
            let is_first = answer.body.len() > 100_000 && self.sends.fetch_add(1, Ordering::Relaxed) == 0;
            answer.breaks_after = is_first.then_some(50_000);
            return Some(answer);
        }
        Some(answer(307).header("Location", format!("{}/storage{}", self.to, asked.path)))
    }
}

#[test]
fn a_broken_download_goes_on_and_nobody_else_gets_the_password() {
    let place = Place::new();
    let built = build(&place, "box", 1);
    // The storage is another server with the same blobs.
    let storage = Fake::new(Elsewhere {
        to: String::new(),
        sends: AtomicUsize::new(0),
    });
    let fake = Fake::new(Basic(Elsewhere {
        to: format!("https://{}", storage.address),
        sends: AtomicUsize::new(0),
    }));
    let to: Reference = fake.name("keel/box:1").parse().unwrap();
    push(&file(&built, Format::Oci), &to, None, &options(USER.1)).unwrap();
    storage.state.lock().unwrap().blobs = fake.state.lock().unwrap().blobs.clone();
    let fresh = Place::new();
    let pulled = pull(&to, Which::All, &fresh, "box", &options(USER.1)).unwrap();
    assert_eq!(pulled.digest, identity(&built));
    let log = storage.log();
    assert!(
        log.iter()
            .any(|asked| asked.header("range") == Some("bytes=50000-")),
        "{:?}",
        log.len()
    );
    assert!(log.iter().all(|asked| asked.header("authorization").is_none()));
    assert!(
        fake.log()
            .iter()
            .any(|asked| asked.header("authorization").is_some())
    );
    let again = pull(&to, Which::All, &fresh, "again", &options(USER.1)).unwrap();
    assert!(again.fetched.is_empty(), "the store has it all");
    assert_eq!(digests(&again.dir), digests(&pulled.dir));
    let found = pull(&to, Which::All, &fresh, "again", &options(USER.1))
        .unwrap_err()
        .to_string();
    assert!(found.ends_with("again is there already"), "{found}");
}

/// Wants a password, and does otherwise what another one does.
struct Basic<M>(M);

impl<M: Manner> Manner for Basic<M> {
    fn answer(&self, asked: &Asked, state: &mut State) -> Option<Answer> {
        match asked.header("authorization") {
            Some("Basic dGVzdGVyOnNlY3JldA==") => self.0.answer(asked, state),
            _ => Some(answer(401).header("WWW-Authenticate", "Basic realm=\"x\"")),
        }
    }
}

/// Answers what the test says.
struct Says(Say);

type Say = Box<dyn Fn(&Asked, &mut State) -> Option<Answer> + Send + Sync>;

impl Manner for Says {
    fn answer(&self, asked: &Asked, state: &mut State) -> Option<Answer> {
        (self.0)(asked, state)
    }
}

#[test]
fn what_a_registry_gives_is_not_believed() {
    const KIND: &str = "application/vnd.oci.image.manifest.v1+json";
    let blob =
        |digest: &str, size: u64| format!("{{\"mediaType\":\"x\",\"digest\":\"{digest}\",\"size\":{size}}}");
    let manifest = |config: &str| format!("{{\"schemaVersion\":2,\"config\":{config},\"layers\":[]}}");
    let hello = format!("sha256:{}", Sha256::of(b"hello"));
    let of_manifest = |text: String| {
        move |asked: &Asked, _: &mut State| {
            let is_blob = asked.path.contains("/blobs/");
            Some(match is_blob {
                true => answer(200).body("HELLO, and more than there should be"),
                false => answer(200).header("Content-Type", KIND).body(text.clone()),
            })
        }
    };
    let redirect =
        |to: &'static str| -> Say { Box::new(move |_, _| Some(answer(307).header("Location", to))) };
    let cases: Vec<(Say, &str)> = vec![
        (
            Box::new(of_manifest(manifest(&blob(&hello, 5)))),
            "it has more than the 5 bytes",
        ),
        (
            Box::new(of_manifest(manifest(&blob(&hello, 36)))),
            "the registry gave other bytes",
        ),
        (
            Box::new(of_manifest(manifest(&blob(&hello, 1 << 50)))),
            "it has more than the 34359738368 bytes",
        ),
        (
            Box::new(of_manifest(manifest(&blob("sha256:../../../etc/passwd", 5)))),
            "its manifest is none",
        ),
        (
            Box::new(of_manifest(" ".repeat(5 << 20))),
            "it has more than the 4194304 bytes",
        ),
        (
            Box::new(of_manifest("{".to_owned())),
            "its manifest is none (line 1, column 1)",
        ),
        (
            Box::new(|_, _| Some(answer(200).header("Content-Type", "text/html"))),
            "what it has is no image",
        ),
        (redirect("http://127.0.0.1/x"), "it is not https"),
        (redirect("file:///etc/passwd"), "leads to `file:///etc/passwd`"),
        (redirect("https://me:you@127.0.0.1/x"), "it carries credentials"),
        (redirect("/v2/round"), "it is one redirect too many"),
        (
            Box::new(|_, _| {
                Some(answer(403).body("{\"errors\":[{\"code\":\"DENIED\",\"message\":\"\\u001b[31m\"}]}"))
            }),
            "does not allow it (403: DENIED)",
        ),
        (
            Box::new(|_, _| {
                Some(answer(401).header("WWW-Authenticate", "Bearer realm=\"http://10.0.0.1/token\""))
            }),
            "it is not https",
        ),
        (Box::new(|_, _| Some(answer(500))), "the registry answered 500"),
    ];
    let place = Place::new();
    for (say, wanted) in cases {
        let fake = Fake::new(Says(say));
        let from: Reference = fake.name("keel/box:1").parse().unwrap();
        let found = pull(&from, Which::All, &place, "bad", &options(USER.1))
            .unwrap_err()
            .to_string();
        assert!(found.contains(wanted), "{wanted}: {found}");
        assert!(!found.contains('\u{1b}'));
        assert!(!place.dir.path().join("bad").exists());
    }
    // A digest that was asked for is the one that comes.
    let fake = Fake::new(Says(Box::new(of_manifest(manifest(&blob(&hello, 5))))));
    let from: Reference = fake.name(&format!("keel/box@{hello}")).parse().unwrap();
    let found = pull(&from, Which::All, &place, "bad", &options(USER.1))
        .unwrap_err()
        .to_string();
    assert!(found.contains("the registry gave other bytes"), "{found}");
}
