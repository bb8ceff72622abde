use std::time::{Duration, SystemTime};

use keel_artefact::{Fingerprint, Sha256};

use super::*;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("cache")).unwrap();
    (dir, store)
}

fn key(text: &str) -> Sha256 {
    Fingerprint::new("test").add("text", text).finish()
}

#[test]
fn objects_come_back_by_digest() {
    let (_dir, store) = store();
    let digest = store.put_bytes(b"hello").unwrap();
    assert_eq!(digest, Sha256::of(b"hello"));
    assert_eq!(store.put_reader(&b"hello"[..]).unwrap(), (digest, 5));
    assert_eq!(store.read(&digest).unwrap(), b"hello");
    assert!(matches!(store.read(&key("absent")), Err(Error::Missing(_))));
}

#[test]
fn a_damaged_object_is_seen_and_can_be_made_again() {
    let (_dir, store) = store();
    let digest = store.put_bytes(b"hello").unwrap();
    let place = store.object(&digest).unwrap();
    fs_err::remove_file(&place).unwrap();
    fs_err::write(&place, b"hellx").unwrap();
    assert!(matches!(store.read(&digest), Err(Error::Damaged { .. })));
    assert!(matches!(store.read(&digest), Err(Error::Missing(_))));
    assert_eq!(store.put_bytes(b"hello").unwrap(), digest);
    fs_err::remove_file(&place).unwrap();
    fs_err::write(&place, b"hellx").unwrap();
    assert!(matches!(store.verify(&digest), Err(Error::Damaged { .. })));
    assert_eq!(store.put_bytes(b"hello").unwrap(), digest);
    store.verify(&digest).unwrap();
}

#[test]
fn nothing_is_collected_while_another_uses_the_store() {
    let (_dir, store) = store();
    let digest = store.put_bytes(b"hello").unwrap();
    let soon = SystemTime::now() + Duration::from_secs(60);
    let other = Store::open(store.dir()).unwrap();
    assert!(matches!(
        other.collect(soon, Duration::ZERO, false),
        Err(Error::InUse(_))
    ));
    assert!(matches!(other.clear(), Err(Error::InUse(_))));
    other.collect(soon, Duration::ZERO, true).unwrap();
    drop(store);
    assert!(other.contains(&digest));
    assert_eq!(
        other.collect(soon, Duration::ZERO, false).unwrap().objects.count,
        1
    );
    assert!(!other.contains(&digest));
}

#[test]
fn a_record_of_another_shape_counts_as_absent() {
    let (_dir, store) = store();
    store.record("build", &key("a"), &vec![1, 2]).unwrap();
    assert_eq!(
        store.action::<Vec<u32>>("build", &key("a")).unwrap(),
        Some(vec![1, 2])
    );
    assert_eq!(store.action::<String>("build", &key("a")).unwrap(), None);
    assert_eq!(store.action::<Vec<u32>>("build", &key("b")).unwrap(), None);
    store.forget("build", &key("a")).unwrap();
    assert_eq!(store.action::<Vec<u32>>("build", &key("a")).unwrap(), None);
}

#[test]
fn a_tree_is_made_once_and_a_failed_one_not_at_all() {
    let (_dir, store) = store();
    let failed = store.tree(&key("t"), |dir| {
        fs_err::write(dir.join("half"), "").unwrap();
        Err(Error::Missing(key("x")))
    });
    assert!(failed.is_err());
    assert_eq!(store.existing_tree(&key("t")), None);
    let make = |dir: &Path| -> Result<(), Error> { Ok(fs_err::write(dir.join("file"), "1")?) };
    let tree = store.tree(&key("t"), make).unwrap();
    let again = store
        .tree(&key("t"), |_| -> Result<(), Error> { panic!("made twice") })
        .unwrap();
    assert_eq!(tree, again);
    assert_eq!(
        fs_err::read_dir(store.dir().join("tmp")).unwrap().count(),
        1,
        "only the guard is left"
    );
}

#[test]
fn temporary_folders_of_dead_owners_are_reaped_and_those_of_living_ones_kept() {
    let (_dir, store) = store();
    let alive = store.temp_dir("alive").unwrap();
    let dead = store.dir().join("tmp/dead-1-1-1");
    fs_err::create_dir_all(dead.join("sub")).unwrap();
    fs_err::write(dead.with_extension("lock"), "").unwrap();
    Store::open(store.dir()).unwrap();
    assert!(alive.path().is_dir());
    assert!(!dead.exists());
}

#[test]
fn collecting_keeps_what_used_results_name() {
    let (_dir, store) = store();
    let used = store.put_bytes(b"used").unwrap();
    let unused = store.put_bytes(b"unused").unwrap();
    store.record("build", &key("a"), &used).unwrap();
    let later = SystemTime::now() + Duration::from_secs(100);
    let nothing = store.collect(later, Duration::from_secs(1000), false).unwrap();
    assert_eq!(nothing, gc::Collected::default());
    let hour = SystemTime::now() - Duration::from_secs(3600);
    for digest in [used, unused] {
        let file = std::fs::File::open(store.object(&digest).unwrap()).unwrap();
        file.set_modified(hour).unwrap();
    }
    let counted = store.collect(later, Duration::from_secs(1000), true).unwrap();
    assert_eq!(counted.objects.count, 1);
    assert!(store.contains(&unused), "a dry run removes nothing");
    store.collect(later, Duration::from_secs(1000), false).unwrap();
    assert!(store.contains(&used) && !store.contains(&unused));
}

#[test]
fn another_format_is_refused() {
    let (_dir, store) = store();
    fs_err::write(store.dir().join("format"), "99\n").unwrap();
    assert!(matches!(Store::open(store.dir()), Err(Error::Format(_))));
}

/// A folder, with more in it than a path can name.
fn deep(folder: &std::path::Path, levels: usize) {
    use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = openat(CWD, folder, flags, Mode::empty()).unwrap();
    for _ in 0..levels {
        mkdirat(&at, "deeper", Mode::RWXU).unwrap();
        at = openat(&at, "deeper", flags, Mode::empty()).unwrap();
    }
    drop(openat(&at, "file", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap());
}

#[test]
fn deep_folders_are_removed() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    // As on most machines: fewer files than levels.
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.current.map(|most| most.min(1024));
    setrlimit(Resource::Nofile, files).unwrap();
    let (_dir, store) = store();
    let folder = store.temp_dir("deep").unwrap();
    deep(folder.path(), 5000);
    std::os::unix::fs::symlink("/etc", folder.path().join("link")).unwrap();
    let place = folder.path().to_owned();
    drop(folder);
    assert!(!place.exists());
    // Of a run that was killed: nobody holds the lock.
    fs_err::create_dir(&place).unwrap();
    fs_err::write(place.with_extension("lock"), "").unwrap();
    deep(&place, 5000);
    let store = Store::open(store.dir()).unwrap();
    assert!(!place.exists() && store.left().is_empty(), "{:?}", store.left());
}

#[test]
fn what_others_write_in_temporary_folders_is_closed() {
    let (_dir, store) = store();
    let mode = |store: &Store| {
        fs_err::metadata(store.dir().join("tmp"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    let closed = if rustix::process::geteuid().is_root() {
        0o700
    } else {
        0o711
    };
    assert_eq!(mode(&store), closed);
    // Of an older Keel.
    fs_err::set_permissions(store.dir().join("tmp"), std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(mode(&Store::open(store.dir()).unwrap()), closed);
}
