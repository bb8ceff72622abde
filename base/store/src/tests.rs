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
