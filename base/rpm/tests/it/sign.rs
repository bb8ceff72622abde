//! Signatures: rpmkeys and gpg judge ours, we judge theirs.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use keel_artefact::Epoch;
use keel_rpm::{
    Error, read,
    sign::{self, Certificates, Key, clear_package, sign_package, verify_package},
};

use crate::fixture::{EPOCH, Fixture, build, run, tool};

const CREATED: Epoch = Epoch(1_700_000_000);
const NOW: Epoch = Epoch(1_795_000_000);
const TIME: Epoch = Epoch(EPOCH);

fn key() -> Key {
    Key::generate("Keel test key <test@localhost>", CREATED).unwrap()
}

/// Does rpm accept the package when it knows only this certificate?
fn rpm_accepts(package: &Path, certificate: &str) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key.asc");
    std::fs::write(&file, certificate).unwrap();
    let rpmkeys = || {
        let mut command = Command::new(tool("rpmkeys", "rpm"));
        command.arg("--dbpath").arg(dir.path().join("db"));
        command
    };
    run(rpmkeys().arg("--import").arg(&file));
    let mut check = rpmkeys();
    check
        .args(["--checksig", "--verbose", "--define", "_pkgverify_level all"])
        .arg(package);
    let output = check.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() && text.contains("Header V4") && text.contains("Signature") {
        Ok(())
    } else {
        Err(text)
    }
}

/// A home for gpg that goes away with it.
struct Gpg {
    home: tempfile::TempDir,
}

impl Gpg {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        Self { home }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(tool("gpg", "gpg gpg-agent"));
        command.env("GNUPGHOME", self.home.path()).args([
            "--batch",
            "--quiet",
            "--no-tty",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
        ]);
        command
    }

    fn key(&self, id: &str, algorithm: &str, usage: &str, expires: &str, time: &str) {
        let mut command = self.command();
        command.args([
            "--faked-system-time",
            time,
            "--quick-generate-key",
            id,
            algorithm,
            usage,
            expires,
        ]);
        run(&mut command);
    }

    fn secret(&self, id: &str) -> String {
        run(self.command().args(["--armor", "--export-secret-keys", id]))
    }

    fn public(&self, id: &str) -> String {
        run(self.command().args(["--armor", "--export", id]))
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf")
            .env("GNUPGHOME", self.home.path())
            .args(["--kill", "all"])
            .output();
    }
}

fn signed(key: &Key, dir: &Path, name: &str) -> PathBuf {
    let output = dir.join(name);
    sign_package(&Fixture::get().sample(), &output, key, TIME).unwrap();
    output
}

#[test]
fn rpm_accepts_what_we_sign() {
    let dir = tempfile::tempdir().unwrap();
    let key = key();
    for input in [
        Fixture::get().sample(),
        Fixture::get().source(),
        Fixture::get().with_payload("w9.gzdio"),
    ] {
        let output = dir.path().join("signed.rpm");
        sign_package(&input, &output, &key, TIME).unwrap();
        rpm_accepts(&output, &key.certificate().unwrap()).unwrap();
        let found = verify_package(&output, &key.certificates(NOW).unwrap()).unwrap();
        assert_eq!(found.by, key.fingerprint());
        assert_eq!(found.digest, keel_artefact::Sha256::of_file(&output).unwrap().0);
        assert_eq!(found.info.nevra, read(&input).unwrap().nevra);
        assert!(rpm_accepts(&output, &self::key().certificate().unwrap()).is_err());
        std::fs::remove_file(output).unwrap();
    }
}

#[test]
fn signing_is_deterministic_and_replaces() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (key(), key());
    let first = signed(&one, dir.path(), "first.rpm");
    let again = signed(&one, dir.path(), "again.rpm");
    assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(again).unwrap());
    // Signed over another key's signature: the same as signed anew.
    let foreign = signed(&other, dir.path(), "foreign.rpm");
    let back = dir.path().join("back.rpm");
    sign_package(&foreign, &back, &one, TIME).unwrap();
    assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(&back).unwrap());
    let (bare, bare_again) = (dir.path().join("bare.rpm"), dir.path().join("bare2.rpm"));
    clear_package(&first, &bare).unwrap();
    clear_package(&Fixture::get().sample(), &bare_again).unwrap();
    assert_eq!(std::fs::read(bare).unwrap(), std::fs::read(bare_again).unwrap());
}

#[test]
fn a_signature_is_never_older_than_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let key = Key::generate("young", Epoch(EPOCH + 1000)).unwrap();
    let package = signed(&key, dir.path(), "p.rpm");
    verify_package(&package, &key.certificates(NOW).unwrap()).unwrap();
    let gpg = Gpg::new();
    verify_with_gpg(
        &gpg,
        &key,
        b"text",
        &key.sign_detached(b"text", Epoch(5)).unwrap(),
    )
    .unwrap();
}

#[test]
fn every_flipped_byte_of_header_and_payload_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let key = key();
    let certificates = key.certificates(NOW).unwrap();
    let package = signed(&key, dir.path(), "p.rpm");
    let bytes = std::fs::read(&package).unwrap();
    let start = read(&package).unwrap().header_range.start as usize;
    for at in (start..bytes.len()).step_by(7) {
        let mut bad = bytes.clone();
        bad[at] ^= 0x10;
        std::fs::write(&package, bad).unwrap();
        assert!(verify_package(&package, &certificates).is_err(), "byte {at}");
    }
    std::fs::write(&package, [&bytes[..], b"x"].concat()).unwrap();
    assert!(verify_package(&package, &certificates).is_err(), "a byte more");
}

#[test]
fn unsigned_and_foreign_packages_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let certificates = key().certificates(NOW).unwrap();
    let unsigned = verify_package(&Fixture::get().sample(), &certificates);
    assert!(
        matches!(unsigned, Err(Error::Sign(sign::Error::Unsigned(_)))),
        "{unsigned:?}"
    );
    let foreign = verify_package(&signed(&key(), dir.path(), "p.rpm"), &certificates);
    assert!(
        matches!(foreign, Err(Error::Sign(sign::Error::Foreign { .. }))),
        "{foreign:?}"
    );
}

fn verify_with_gpg(gpg: &Gpg, key: &Key, data: &[u8], signature: &str) -> Result<(), String> {
    let path = |name: &str| gpg.home.path().join(name);
    std::fs::write(path("data"), data).unwrap();
    std::fs::write(path("data.asc"), signature).unwrap();
    std::fs::write(path("key.asc"), key.certificate().unwrap()).unwrap();
    run(gpg.command().arg("--import").arg(path("key.asc")));
    let output = gpg
        .command()
        .args(["--status-fd", "1", "--verify"])
        .arg(path("data.asc"))
        .arg(path("data"))
        .output()
        .unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() && text.contains("GOODSIG") {
        Ok(())
    } else {
        Err(text)
    }
}

#[test]
fn gpg_accepts_our_detached_signatures() {
    let (gpg, key) = (Gpg::new(), key());
    let signature = key.sign_detached(b"<repomd/>\n", TIME).unwrap();
    verify_with_gpg(&gpg, &key, b"<repomd/>\n", &signature).unwrap();
    assert!(verify_with_gpg(&gpg, &key, b"<repomd/>", &signature).is_err());
    let certificates = key.certificates(NOW).unwrap();
    assert_eq!(
        certificates
            .verify_detached(b"<repomd/>\n", &signature, "it")
            .unwrap(),
        key.fingerprint()
    );
    let bad = certificates.verify_detached(b"<repomd/>", &signature, "it");
    assert!(matches!(bad, Err(sign::Error::Bad { .. })), "{bad:?}");
    for text in [
        "",
        "-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n",
        "noise",
    ] {
        assert!(certificates.verify_detached(b"", text, "it").is_err());
    }
}

#[test]
fn a_key_file_is_private_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret.asc");
    let key = key();
    key.save(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    let back = Key::load(&path, NOW).unwrap();
    assert_eq!((back.fingerprint(), back.created()), (key.fingerprint(), CREATED));
    assert_eq!(
        back.sign_detached(b"x", TIME).unwrap(),
        key.sign_detached(b"x", TIME).unwrap()
    );
    assert!(key.save(&path).is_err(), "an existing key is never overwritten");
    assert!(!format!("{key:?}").contains("secret"));
    assert!(matches!(
        Key::parse(&key.certificate().unwrap(), "it", NOW),
        Err(sign::Error::Key { .. })
    ));
}

#[test]
fn keys_of_gpg_sign_too() {
    let dir = tempfile::tempdir().unwrap();
    let gpg = Gpg::new();
    gpg.key("rsa@test", "rsa3072", "sign", "0", "20240101T000000");
    gpg.key("sub@test", "ed25519", "cert", "0", "20240101T000000");
    let listing = run(gpg.command().args(["--with-colons", "--list-keys", "sub@test"]));
    let fingerprint = listing
        .lines()
        .find_map(|line| line.strip_prefix("fpr:::::::::"))
        .unwrap()
        .trim_end_matches(':')
        .to_owned();
    run(gpg.command().args([
        "--faked-system-time",
        "20240102T000000",
        "--quick-add-key",
        &fingerprint,
        "ed25519",
        "sign",
        "0",
    ]));
    for id in ["rsa@test", "sub@test"] {
        let key = Key::parse(&gpg.secret(id), id, NOW).unwrap();
        let package = signed(&key, dir.path(), id);
        rpm_accepts(&package, &gpg.public(id)).unwrap();
        let found =
            verify_package(&package, &Certificates::parse(&gpg.public(id), id, NOW).unwrap()).unwrap();
        assert_eq!(found.by, key.fingerprint());
    }
}

#[test]
fn expired_and_revoked_keys_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let gpg = Gpg::new();
    // 2024-01-01 and 90 days.
    gpg.key("short@test", "ed25519", "sign", "90d", "20240101T000000");
    let (then, later) = (Epoch(1_704_500_000), NOW);
    let key = Key::parse(&gpg.secret("short@test"), "it", then).unwrap();
    let expired = Key::parse(&gpg.secret("short@test"), "it", later);
    assert!(
        matches!(expired, Err(sign::Error::Unusable { .. })),
        "{expired:?}"
    );
    let expired = Certificates::parse(&gpg.public("short@test"), "it", later);
    assert!(
        matches!(expired, Err(sign::Error::Unusable { .. })),
        "{expired:?}"
    );

    let certificates = Certificates::parse(&gpg.public("short@test"), "it", then).unwrap();
    let package = dir.path().join("good.rpm");
    sign_package(&Fixture::get().sample(), &package, &key, then).unwrap();
    verify_package(&package, &certificates).unwrap();
    let late = signed(&key, dir.path(), "late.rpm");
    let late = verify_package(&late, &certificates);
    assert!(
        matches!(late, Err(Error::Sign(sign::Error::Unacceptable { .. }))),
        "{late:?}"
    );

    let listing = run(gpg.command().args(["--with-colons", "--list-keys", "short@test"]));
    let fingerprint = listing
        .lines()
        .find_map(|line| line.strip_prefix("fpr:::::::::"))
        .unwrap()
        .trim_end_matches(':')
        .to_owned();
    let revocation = gpg
        .home
        .path()
        .join(format!("openpgp-revocs.d/{fingerprint}.rev"));
    let text = std::fs::read_to_string(revocation)
        .unwrap()
        .replace(":-----BEGIN", "-----BEGIN");
    let file = dir.path().join("rev.asc");
    std::fs::write(&file, text).unwrap();
    run(gpg.command().arg("--import").arg(&file));
    let revoked = Certificates::parse(&gpg.public("short@test"), "it", then);
    assert!(
        matches!(revoked, Err(sign::Error::Unusable { .. })),
        "{revoked:?}"
    );
}

#[test]
fn we_accept_what_rpmsign_signs() {
    let dir = tempfile::tempdir().unwrap();
    let gpg = Gpg::new();
    gpg.key("signer@test", "ed25519", "sign", "0", "20240101T000000");
    let package = dir.path().join("p.rpm");
    std::fs::copy(Fixture::get().sample(), &package).unwrap();
    run(Command::new(tool("rpmsign", "rpm"))
        .env("GNUPGHOME", gpg.home.path())
        .args(["--addsign", "--define", "_gpg_name signer@test"])
        .args(["--define", &format!("__gpg {}", tool("gpg", "gpg").display())])
        .arg(&package));
    verify_package(
        &package,
        &Certificates::parse(&gpg.public("signer@test"), "it", Epoch(4_000_000_000)).unwrap(),
    )
    .unwrap();
}

#[test]
fn a_package_of_the_old_format_needs_a_payload_digest() {
    // Without the digest of the payload in the header, a signature of the header says nothing about the files.
    let dir = tempfile::tempdir().unwrap();
    build(
        dir.path(),
        "Name: t\nVersion: 1\nRelease: 1\nSummary: x\nLicense: x\nBuildArch: noarch\n%description\n%files\n",
        "w.ufdio",
    );
    let package = dir.path().join("w.ufdio/RPMS/noarch/t-1-1.noarch.rpm");
    let mut bytes = std::fs::read(&package).unwrap();
    let start = read(&package).unwrap().header_range.start as usize;
    // The tag of PAYLOADSHA256 (5092) becomes an unknown one.
    let at = start
        + bytes[start..]
            .windows(4)
            .position(|window| window == 5092_u32.to_be_bytes())
            .unwrap();
    bytes[at..at + 4].copy_from_slice(&5198_u32.to_be_bytes());
    std::fs::write(&package, bytes).unwrap();
    assert!(verify_package(&package, &key().certificates(NOW).unwrap()).is_err());
}
