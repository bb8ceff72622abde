//! Packages that mean harm, and packages that are noise.

use std::path::Path;

use keel_artefact::Epoch;
use keel_rpm::{
    Error, Fault, payload, read,
    sign::{Certificates, Key, verify_package},
    unpack,
};
use proptest::prelude::*;

use crate::fixture::{Fixture, build};

/// Everything that this crate does with a file that it did not make. The result does not matter, that there is one does.
fn exercise(bytes: &[u8], certificates: &Certificates) {
    let dir = tempfile::tempdir().unwrap();
    let package = dir.path().join("p.rpm");
    std::fs::write(&package, bytes).unwrap();
    let _ = read(&package);
    let _ = payload::<Error>(&package, &mut |_, content| {
        let _ = std::io::copy(content, &mut std::io::sink());
        Ok(())
    });
    let _ = unpack(&package, &dir.path().join("inside"));
    let _ = verify_package(&package, certificates);
    let _ = keel_rpm::sign::clear_package(&package, &dir.path().join("copy.rpm"));
    let names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        names
            .iter()
            .all(|name| name == "p.rpm" || name == "inside" || name == "copy.rpm"),
        "written outside: {names:?}"
    );
}

fn certificates() -> Certificates {
    Key::generate("test", Epoch(1_600_000_000))
        .unwrap()
        .certificates(Epoch(1_700_000_000))
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_package_is_an_error_at_worst(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in prop::option::of(any::<prop::sample::Index>()),
        compressed in any::<bool>(),
    ) {
        let fixture = Fixture::get();
        let package = if compressed { fixture.sample() } else { fixture.uncompressed() };
        let mut bytes = std::fs::read(package).unwrap();
        for (index, byte) in flips {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        exercise(&bytes, &certificates());
    }

    /// The same where it hurts most: in the index of a header.
    #[test]
    fn a_damaged_header_is_an_error_at_worst(
        flips in prop::collection::vec((0_usize..6000, any::<u8>()), 1..6),
        signature in any::<bool>(),
    ) {
        let package = Fixture::get().sample();
        let start = read(&package).unwrap().header_range.start as usize;
        let mut bytes = std::fs::read(&package).unwrap();
        for (index, byte) in flips {
            let at = if signature { 96 + index % (start - 96) } else { start + index % (bytes.len() - start) };
            bytes[at] = byte;
        }
        exercise(&bytes, &certificates());
    }

    #[test]
    fn noise_is_no_elf_file(bytes in prop::collection::vec(any::<u8>(), 0..2000), real in any::<bool>(), at in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20)) {
        let mut bytes = bytes;
        if real {
            bytes = std::fs::read("/bin/true").unwrap();
            for (index, byte) in at {
                let at = index.index(if index.index(2) == 0 { 0x400 } else { bytes.len() });
                bytes[at] = byte;
            }
        } else {
            bytes.splice(0..0, *b"\x7fELF\x02\x01\x01");
        }
        let _ = keel_rpm::elf::facts(&bytes);
        let _ = keel_rpm::archive::members(&bytes);
        bytes.splice(0..0, *b"!<arch>\n");
        let _ = keel_rpm::archive::members(&bytes);
    }
}

/// A package whose bytes are changed, text for text of the same length. Its payload is not compressed.
fn changed(dir: &Path, files: &str, from: &[(&str, &str)]) -> std::path::PathBuf {
    let spec = format!(
        "Name: evil\nVersion: 1\nRelease: 1\nSummary: x\nLicense: x\nBuildArch: noarch\n%description\n%install\nmkdir -p %{{buildroot}}/usr/share\ncd %{{buildroot}}/usr/share\n{files}\n%files\n/usr/share/*\n"
    );
    build(dir, &spec, "w.ufdio");
    let package = dir.join("w.ufdio/RPMS/noarch/evil-1-1.noarch.rpm");
    let mut bytes = std::fs::read(&package).unwrap();
    for (from, to) in from {
        assert_eq!(from.len(), to.len());
        let mut found = false;
        for at in 0..bytes.len() - from.len() {
            if bytes[at..].starts_with(from.as_bytes()) {
                bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
                found = true;
            }
        }
        assert!(found, "{from}");
    }
    std::fs::write(&package, bytes).unwrap();
    package
}

fn fault(package: &Path) -> Fault {
    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("inside");
    let result = unpack(package, &inside);
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        usize::from(inside.exists()),
        "written outside"
    );
    match result {
        Err(Error::Unsound { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_link_of_the_package_is_not_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    // "aaaa" is a link to outside; "bbbb/file" becomes "aaaa/file".
    let files = format!(
        "ln -s {} aaaa; mkdir bbbb; echo x >bbbb/file",
        outside.path().display()
    );
    let package = changed(dir.path(), &files, &[("bbbb/", "aaaa/")]);
    assert!(matches!(fault(&package), Fault::ThroughLink(_)));
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn paths_cannot_leave_the_folder() {
    let files = "mkdir -p aa/bb; echo x >aa/bb/file; echo y >after";
    for (from, to) in [
        ("/usr/share/aa/bb/", "/usr/share/../bb/"),
        ("/usr/share/aa/bb/", "/usr/share////bb/"),
        ("/usr/share/", "/usr/../../"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let package = changed(dir.path(), files, &[(from, to)]);
        let fault = fault(&package);
        assert!(matches!(fault, Fault::Path(_)), "{to}: {fault:?}");
    }
    // Only in the payload: the header does not know it.
    let dir = tempfile::tempdir().unwrap();
    let package = changed(dir.path(), files, &[("./usr/share/aa/bb/", "./usr/share/aa/../")]);
    assert!(matches!(fault(&package), Fault::Unexpected(_)));
}

#[test]
fn content_must_be_what_the_header_says() {
    for (from, to) in [("content-a", "content-b"), ("target-a", "target-b")] {
        let dir = tempfile::tempdir().unwrap();
        let package = changed(dir.path(), "printf content-a >file; ln -s target-a link", &[]);
        // Only the last occurrence: that of the payload.
        let mut bytes = std::fs::read(&package).unwrap();
        let at = bytes
            .windows(from.len())
            .rposition(|window| window == from.as_bytes())
            .unwrap();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        std::fs::write(&package, bytes).unwrap();
        assert!(matches!(fault(&package), Fault::Content(_)));
    }
}

#[test]
fn a_short_payload_is_seen() {
    let package = Fixture::get().uncompressed();
    let bytes = std::fs::read(&package).unwrap();
    let start = read(&package).unwrap().header_range.end as usize;
    for keep in [start, start + 50, start + 110, bytes.len() - 200] {
        let dir = tempfile::tempdir().unwrap();
        let short = dir.path().join("short.rpm");
        std::fs::write(&short, &bytes[..keep]).unwrap();
        assert!(matches!(fault(&short), Fault::Archive(_)), "{keep}");
    }
}
