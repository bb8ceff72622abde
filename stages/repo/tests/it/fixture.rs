//! A few packages, a store that holds them, and a key.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use keel_artefact::{Arch, Epoch, Interrupt, event::Silent};
use keel_build::{BuiltPackage, Kind, Packages};
use keel_repo::{Repository, create};
use keel_rpm::sign::{Certificates, Key};
use keel_store::Store;

pub(crate) const EPOCH: u64 = 1_790_000_000;
pub(crate) const NOW: Epoch = Epoch(1_795_000_000);

/// Packages that need each other, with odd names, texts and files.
const SPECS: [&str; 3] = [
    r#"
Name: kr-base
Version: 1.0
Release: 1
Summary: <Base> & "friends"
License: MIT
URL: https://example.org/?a=1&b=2
Vendor: Keel tests
BuildArch: noarch
Provides: virt(base) = 2:3-4
Provides: /usr/libexec/promised
Obsoletes: kr-old < 3
Conflicts: kr-enemy = 1
%description
Lines with <brackets>, an ünicode letter
and a quote ".
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/usr/share/kr-base "%{buildroot}/usr/share/kr & co" %{buildroot}/etc %{buildroot}/usr/lib
echo one >%{buildroot}/usr/bin/kr-base
echo two >%{buildroot}/etc/kr-base.conf
echo three >"%{buildroot}/usr/share/kr & co/ü <1>.txt"
ln -s ../bin/kr-base %{buildroot}/usr/lib/kr-link
%files
%attr(755,root,root) /usr/bin/kr-base
%dir /usr/share/kr-base
"/usr/share/kr & co"
/usr/lib/kr-link
%config(noreplace) /etc/kr-base.conf
%ghost /etc/kr-ghost
%changelog
* Mon Jan 05 2026 A Person <a@example.org> - 1.0-1
- First & <last>
* Sun Jan 04 2026 B Person <b@example.org> - 0.9-1
- Earlier
"#,
    r#"
Name: kr+app
Epoch: 1
Version: 2.0~rc1^git5
Release: 3.kl1
Summary: Needs the base
License: MIT AND BSD-3-Clause
BuildArch: noarch
Requires: kr-base >= 1.0
Requires: virt(base) >= 2:3
Requires(pre): kr-base
Requires: /usr/bin/kr-base
Requires: (kr-base if kr-other)
Recommends: kr-friend
Suggests: kr-acquaintance = 7
Supplements: kr-host
Enhances: kr-guest > 0:0.1
%description
App.
%package debuginfo
Summary: Debugging information
%description debuginfo
Debug.
%install
mkdir -p %{buildroot}/usr/share/kr-app %{buildroot}/usr/lib/debug
for i in 1 2 3 4 5 6 7 8 9; do echo $i >%{buildroot}/usr/share/kr-app/$i; done
echo x >%{buildroot}/usr/lib/debug/kr-app.debug
%files
/usr/share/kr-app
%files debuginfo
/usr/lib/debug/kr-app.debug
"#,
    r#"
Name: Upper
Version: 3
Release: 1
Summary: An empty one
License: MIT
BuildArch: noarch
%description
%files
"#,
];

/// The packages of [`SPECS`], built once for each process.
fn packages() -> &'static Path {
    static DIR: OnceLock<tempfile::TempDir> = OnceLock::new();
    let dir = DIR.get_or_init(|| {
        // A static is never dropped: what is left lies with what was built, and goes with it.
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for spec in SPECS {
            let path = dir.path().join("test.spec");
            std::fs::write(&path, spec).unwrap();
            let define = |name: &str, value: &str| ["--define".to_owned(), format!("{name} {value}")];
            let mut command = Command::new(tool("rpmbuild", "rpm"));
            command
                .args(["-ba", "--nodeps", "--quiet"])
                .args(define("_topdir", dir.path().to_str().unwrap()))
                .args(define("_rpmdir", dir.path().join("RPMS").to_str().unwrap()))
                .args(define("use_source_date_epoch_as_buildtime", "1"))
                .args(define("clamp_mtime_to_source_date_epoch", "1"))
                .args(define("_buildhost", "localhost"))
                .arg(&path)
                .env("SOURCE_DATE_EPOCH", EPOCH.to_string());
            run(&mut command);
        }
        dir
    });
    dir.path()
}

/// Everything that a test needs.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) packages: Packages,
    pub(crate) key: Key,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let mut built = Vec::new();
        for folder in ["RPMS/noarch", "SRPMS"] {
            for entry in std::fs::read_dir(packages().join(folder)).unwrap() {
                built.push(put(&store, &entry.unwrap().path()));
            }
        }
        assert_eq!(built.len(), 7);
        let packages = Packages::new(Arch::X86_64, built, Vec::new());
        // The same key in every test of a process, so that runs can be compared.
        static KEY: OnceLock<Key> = OnceLock::new();
        let key =
            KEY.get_or_init(|| Key::generate("Keel tests <test@localhost>", Epoch(1_700_000_000)).unwrap());
        Self {
            dir,
            store,
            packages,
            key: key.clone(),
        }
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.dir.path().join("repo/x86_64")
    }

    pub(crate) fn certificates(&self) -> Certificates {
        self.key.certificates(NOW).unwrap()
    }

    pub(crate) fn create(&self) -> Repository {
        create(
            &self.packages,
            &self.store,
            Some(&self.key),
            &self.out(),
            &Silent,
            &Interrupt::default(),
        )
        .unwrap()
    }
}

/// A package file as a build leaves it.
pub(crate) fn put(store: &Store, path: &Path) -> BuiltPackage {
    let info = keel_rpm::read(path).unwrap();
    BuiltPackage {
        component: "test".parse().unwrap(),
        kind: match () {
            () if info.is_source() => Kind::Source,
            () if info.nevra.name.as_str().ends_with("-debuginfo") => Kind::Debug,
            () => Kind::Binary,
        },
        rpm: store.put_file(path).unwrap(),
        size: info.file_size,
        epoch: info.build_time,
        nevra: info.nevra,
        scriptlets: false,
    }
}

/// Every file below a folder: path and content.
pub(crate) fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                all.insert(
                    path.strip_prefix(dir).unwrap().to_owned(),
                    std::fs::read(&path).unwrap(),
                );
            }
        }
    }
    all
}

/// The one file in `dir` whose name ends so.
pub(crate) fn ending(dir: &Path, end: &str) -> PathBuf {
    let paths = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<_> = paths
        .filter(|path| path.to_str().unwrap().ends_with(end))
        .collect();
    assert_eq!(found.len(), 1, "{end} in {dir:?}: {found:?}");
    found[0].clone()
}

/// Changes one byte in the middle of a file.
pub(crate) fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// A tool that must be there: its absence is a failure, not a skip.
pub(crate) fn tool(name: &str, package: &str) -> PathBuf {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("this test needs `{name}`: apt-get install {package}"))
}

/// Runs a command that must succeed, and returns what it said.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}
