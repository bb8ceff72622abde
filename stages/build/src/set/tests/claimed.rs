//! Who makes the layer of a set with scriptlets. No stage0 is asked for: what rpm would have made is put there.

use std::thread;

use super::*;

/// A stage0 that nothing can run in.
fn none() -> Stage0 {
    let digest = Sha256::of(b"stage0");
    let manifest = serde_json::json!({
        "format": 1, "digest": digest, "suite": "trixie", "arch": "x86_64", "packages": [], "files": [],
    });
    Stage0 {
        digest,
        arch: keel_artefact::Arch::X86_64,
        tools: PathBuf::new(),
        libc_dev: PathBuf::new(),
        libc: PathBuf::new(),
        fix: PathBuf::new(),
        fix_bootstrap: PathBuf::new(),
        manifest: serde_json::from_value(manifest).unwrap(),
        is_elsewhere: false,
    }
}

fn foreign(scriptlets: bool) -> BuiltPackage {
    BuiltPackage {
        scriptlets,
        component: "foreign".parse().unwrap(),
        nevra: "foreign-1-1.noarch".parse().unwrap(),
        kind: crate::Kind::Binary,
        rpm: Sha256::of(b"foreign"),
        size: 1,
        epoch: Epoch(0),
    }
}

fn set(packages: &[BuiltPackage]) -> Set<'_> {
    Set {
        packages,
        layers: &[],
        borrowed: &[],
        has_libc: false,
        bootstrap_libc: true,
    }
}

/// What a transaction leaves in the store.
fn install(folder: &Path) -> Result<(), Error> {
    fs_err::create_dir(folder.join(LAYER))?;
    fs_err::create_dir(folder.join(INSTALLED))?;
    write(&folder.join(INSTALLED).join("made"), b"by another")?;
    Changes::of(
        &folder.join(INSTALLED),
        &[],
        BTreeMap::new(),
        Vec::new(),
        &Interrupt::default(),
    )?
    .write(&folder.join(RECORD))
}

#[test]
fn who_waits_for_a_transaction_uses_it() {
    let (dir, stage0) = (tempfile::tempdir().unwrap(), none());
    let store = Store::open(dir.path()).unwrap();
    let (told, hears) = Told::new();
    let fixture = Fixture::of(&store, &stage0, &told);
    let packages = [foreign(true)];
    let set = set(&packages);
    let key = set.key(&stage0.digest);
    let held = store.claim(&key, &fixture.interrupt, &mut |_| ()).unwrap();
    let made = thread::scope(|scope| {
        let held = held; // Let go of if this fails: the other thread would wait for ever.
        let waits = scope.spawn(|| set.layer(&fixture.shop()).unwrap());
        let text = hears.recv_timeout(LONG).unwrap();
        assert_eq!(
            text,
            "another job installs the same foreign packages: waiting for it"
        );
        store.tree(&key, install).unwrap();
        drop(held);
        waits.join().unwrap()
    });
    let (installed, changes) = made.installed.unwrap();
    assert_eq!(fs_err::read(installed.join("made")).unwrap(), b"by another");
    assert!(changes.added.contains("made"), "{changes:?}");
    // It is there: nobody asks who made it.
    let _held = store.claim(&key, &fixture.interrupt, &mut |_| ()).unwrap();
    set.layer(&fixture.shop()).unwrap();
}

#[test]
fn who_waits_for_a_transaction_may_stop() {
    let (dir, stage0) = (tempfile::tempdir().unwrap(), none());
    let store = Store::open(dir.path()).unwrap();
    let (told, hears) = Told::new();
    let fixture = Fixture::of(&store, &stage0, &told);
    let packages = [foreign(true)];
    let set = set(&packages);
    let held = (store.claim(&set.key(&stage0.digest), &Interrupt::default(), &mut |_| ())).unwrap();
    let stopped = thread::scope(|scope| {
        let _held = held; // Let go of if this fails: the other thread would wait for ever.
        let waits = scope.spawn(|| set.layer(&fixture.shop()).map(|_| ()));
        hears.recv_timeout(LONG).unwrap();
        fixture.interrupt.set();
        waits.join().unwrap()
    });
    assert!(matches!(stopped, Err(Error::Interrupted(_))), "{stopped:?}");
}

/// Of these, two are the same however often they are made.
#[test]
fn a_set_without_scriptlets_is_not_waited_for() {
    let (dir, stage0) = (tempfile::tempdir().unwrap(), none());
    let store = Store::open(dir.path()).unwrap();
    let fixture = Fixture::of(&store, &stage0, &Silent);
    let packages = [foreign(false)];
    let set = set(&packages);
    let _held = (store.claim(&set.key(&stage0.digest), &Interrupt::default(), &mut |_| ())).unwrap();
    let error = set.layer(&fixture.shop()).map(|_| ()).unwrap_err();
    assert!(
        matches!(error, Error::Store(keel_store::Error::Missing(_))),
        "it goes on to what it is made of: {error}"
    );
}
