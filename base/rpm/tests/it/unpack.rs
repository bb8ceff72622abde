//! Payloads: every compression, against `rpm2cpio | cpio`.

use std::{
    collections::BTreeMap,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::Command,
};

use keel_rpm::{Error, Fault, Limits, payload, unpack};

use crate::fixture::{EPOCH, Fixture, run, tool};

/// Path → what it is.
fn tree(root: &Path) -> BTreeMap<String, String> {
    fn walk(root: &Path, dir: &Path, tree: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let name = format!("/{}", path.strip_prefix(root).unwrap().display());
            let what = if meta.is_symlink() {
                format!("-> {}", std::fs::read_link(&path).unwrap().display())
            } else if meta.is_dir() {
                walk(root, &path, tree);
                "folder".to_owned()
            } else if meta.is_file() {
                let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
                format!(
                    "{:o} {} links, {text}",
                    meta.permissions().mode() & 0o1777,
                    meta.nlink()
                )
            } else {
                "special".to_owned()
            };
            tree.insert(name, what);
        }
    }
    let mut all = BTreeMap::new();
    walk(root, root, &mut all);
    all
}

#[test]
fn files_come_out_as_cpio_gets_them_out() {
    for payload in [
        "w3.zstdio",
        "w9.gzdio",
        "w9.bzdio",
        "w2.xzdio",
        "w2.lzdio",
        "w.ufdio",
    ] {
        let package = Fixture::get().with_payload(payload);
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        unpack(&package, ours.path()).unwrap();
        let shell = format!(
            "{} '{}' | {} -idm --quiet --no-absolute-filenames",
            tool("rpm2cpio", "rpm2cpio").display(),
            package.display(),
            tool("cpio", "cpio").display(),
        );
        run(Command::new("sh").args(["-c", &shell]).current_dir(theirs.path()));
        assert_eq!(tree(ours.path()), tree(theirs.path()), "{payload}");
    }
}

#[test]
fn modes_and_times_are_those_of_the_package_and_safe() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("new/tree");
    unpack(&Fixture::get().sample(), &target).unwrap();
    for (path, mode) in [
        ("usr/bin/elevated", 0o755),
        ("usr/bin/hello", 0o755),
        ("usr/share/sample", 0o1777),
        ("usr/share/sample/sub", 0o755),
        ("usr/share", 0o755),
        ("etc/sample.conf", 0o644),
    ] {
        let meta = target.join(path).metadata().unwrap();
        assert_eq!(meta.permissions().mode() & 0o7777, mode, "{path}");
        assert_eq!(meta.mtime(), EPOCH as i64, "{path}");
    }
    assert!(!target.join("var/log").exists(), "a ghost is not in the payload");
}

#[test]
fn hard_links_come_after_their_content() {
    let mut order = Vec::new();
    payload::<Error>(&Fixture::get().sample(), &mut |file, content| {
        let mut text = String::new();
        content.read_to_string(&mut text).unwrap();
        if file.path.file_name().starts_with("hard-") {
            order.push((file.path.file_name().to_owned(), text.len()));
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(
        order,
        [
            ("hard-c".into(), 25_000),
            ("hard-a".into(), 0),
            ("hard-b".into(), 0)
        ]
    );
}

#[test]
fn limits_are_kept() {
    for (limits, what) in [
        (
            Limits {
                files: 3,
                bytes: 1 << 20,
            },
            "files",
        ),
        (
            Limits {
                files: 100,
                bytes: 1000,
            },
            "bytes",
        ),
    ] {
        let result =
            keel_rpm::payload::payload_within::<Error>(&Fixture::get().sample(), limits, &mut |_, _| {
                panic!("nothing is told before the limits are checked")
            });
        match result {
            Err(Error::Unsound {
                fault: Fault::Limit { what: found, .. },
                ..
            }) => assert_eq!(found, what),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_callers_error_comes_back() {
    #[derive(Debug)]
    enum Mine {
        Stop,
        Package,
    }
    impl From<Error> for Mine {
        fn from(_: Error) -> Self {
            Self::Package
        }
    }
    let result = payload::<Mine>(&Fixture::get().sample(), &mut |_, _| Err(Mine::Stop));
    assert!(matches!(result, Err(Mine::Stop)));
    let result = payload::<Mine>(Path::new("/nonexistent"), &mut |_, _| Ok(()));
    assert!(matches!(result, Err(Mine::Package)));
}

#[test]
fn a_second_package_cannot_overwrite_the_first() {
    let dir = tempfile::tempdir().unwrap();
    unpack(&Fixture::get().sample(), dir.path()).unwrap();
    let again = unpack(&Fixture::get().sample(), dir.path());
    assert!(
        matches!(
            again,
            Err(Error::Unsound {
                fault: Fault::ThroughLink(_),
                ..
            })
        ),
        "{again:?}"
    );
}
