use std::path::PathBuf;

use keel_artefact::Epoch;

use super::*;
use crate::Kind;

struct Fixture {
    _folder: tempfile::TempDir,
    store: Store,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let _folder = folder;
        Self { _folder, store }
    }

    /// A package of a repository, in the store.
    fn package(&self, name: &str, post: Option<&str>) -> BuiltPackage {
        let mut builder = rpm::PackageBuilder::new(name, "1", "MIT", "noarch", "A package");
        builder.release("1");
        if let Some(post) = post {
            builder.post_install_script(post);
        }
        let mut bytes = Vec::new();
        builder.build().unwrap().write(&mut bytes).unwrap();
        let rpm = self.store.put_bytes(&bytes).unwrap();
        let info = keel_rpm::read(&self.store.object(&rpm).unwrap()).unwrap();
        BuiltPackage {
            nevra: info.nevra,
            component: name.parse().unwrap(),
            kind: Kind::Binary,
            rpm,
            size: bytes.len() as u64,
            epoch: Epoch(0),
            scriptlets: false,
        }
    }

    fn object(&self, package: &BuiltPackage) -> PathBuf {
        self.store.object(&package.rpm).unwrap()
    }

    fn forget(&self, package: &BuiltPackage) {
        fs_err::remove_file(self.object(package)).unwrap();
    }
}

/// As a run has them: it knows nothing yet of scriptlets.
fn components(packages: &[BuiltPackage]) -> Components {
    let mut all = Components::default();
    for package in packages {
        all.insert(package.component.clone(), Arc::new(component(Vec::new())));
    }
    all
}

/// What is noted of these, and which of them were brought for it.
fn noted(fixture: &Fixture, components: &Components, packages: &[BuiltPackage]) -> (Vec<bool>, Vec<String>) {
    let mut packages = packages.to_vec();
    let brought: Mutex<Vec<String>> = Mutex::default();
    let bring = |wanted: &[&BuiltPackage]| {
        let names = wanted.iter().map(|package| package.component.to_string());
        brought.lock().unwrap().extend(names);
        Ok(())
    };
    let foreign = Foreign {
        components,
        bring: &bring,
    };
    foreign
        .note_scriptlets(&fixture.store, &mut packages, &Interrupt::default())
        .unwrap();
    let noted = packages.iter().map(|package| package.scriptlets).collect();
    (noted, brought.into_inner().unwrap())
}

#[test]
fn a_header_is_read_once_for_all_runs() {
    let fixture = Fixture::new();
    let all = [
        fixture.package("plain", None),
        fixture.package("scripted", Some("true")),
    ];
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let first = components(&all);
    let (found, brought) = noted(&fixture, &first, &all[..1]);
    assert_eq!((found, brought), (vec![false], names(&["plain"])));
    // One is known; what is not brought by now is never read again.
    fixture.forget(&all[0]);
    let (found, brought) = noted(&fixture, &first, &all);
    assert_eq!((found, brought), (vec![false, true], names(&["scripted"])));
    fixture.forget(&all[1]);
    assert_eq!(noted(&fixture, &first, &all), (vec![false, true], vec![]));
    // Another run: what the store remembers is enough, to build and to foretell.
    let second = components(&all);
    assert_eq!(noted(&fixture, &second, &all), (vec![false, true], vec![]));
    let mut packages = all.to_vec();
    assert!(
        components(&all)
            .note_scriptlets(&fixture.store, &mut packages, &Interrupt::default())
            .unwrap()
    );
    assert!(!packages[0].scriptlets && packages[1].scriptlets);
}

#[test]
fn within_a_run_the_store_is_asked_once() {
    let fixture = Fixture::new();
    let all = [fixture.package("scripted", Some("true"))];
    let components = components(&all);
    noted(&fixture, &components, &all);
    fixture.store.forget(SCRIPTLETS, &all[0].rpm).unwrap();
    fixture.forget(&all[0]);
    assert_eq!(noted(&fixture, &components, &all), (vec![true], vec![]));
}

#[test]
fn nothing_is_foretold_of_what_nobody_read() {
    let fixture = Fixture::new();
    let all = [fixture.package("scripted", Some("true"))];
    fixture.forget(&all[0]);
    let mut packages = all.to_vec();
    assert!(
        !components(&all)
            .note_scriptlets(&fixture.store, &mut packages, &Interrupt::default())
            .unwrap()
    );
    // What was built here is as it was said to be.
    assert!(
        Components::default()
            .note_scriptlets(&fixture.store, &mut packages, &Interrupt::default())
            .unwrap()
    );
    assert!(!packages[0].scriptlets);
}

#[test]
fn nothing_is_remembered_of_bytes_that_are_not_those_of_the_package() {
    let fixture = Fixture::new();
    let all = [fixture.package("scripted", Some("true"))];
    let other = fixture.package("plain", None);
    let place = fixture.object(&all[0]);
    fs_err::remove_file(&place).unwrap();
    fs_err::copy(fixture.object(&other), &place).unwrap();
    let mut packages = all.to_vec();
    let interrupt = Interrupt::default();
    assert!(
        !components(&all)
            .note_scriptlets(&fixture.store, &mut packages, &interrupt)
            .unwrap(),
        "nothing is known of it"
    );
    assert!(!fixture.store.contains(&all[0].rpm), "it is fetched again");
    let remembered: Option<Remembered> = fixture.store.action(SCRIPTLETS, &all[0].rpm).unwrap();
    assert!(remembered.is_none());
}

/// It may count other parts of a header.
#[test]
fn what_another_version_remembers_is_read_again() {
    let fixture = Fixture::new();
    let all = [fixture.package("scripted", Some("true"))];
    let older = Remembered {
        format: format::Version(0),
        scriptlets: false,
    };
    fixture.store.record(SCRIPTLETS, &all[0].rpm, &older).unwrap();
    assert_eq!(noted(&fixture, &components(&all), &all).0, [true]);
}
