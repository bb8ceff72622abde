//! Packages made by this machine's rpmbuild, and the judges.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Every kind of file and dependency that a header can hold.
const SPEC: &str = r#"
Name: sample
Epoch: 2
Version: 1.0~rc1
Release: 3.kl1
Summary: A package with one of everything
License: MIT
URL: https://example.org/sample
Vendor: Keel tests
Source0: data.txt
BuildArch: noarch
Requires: (foo if bar)
Requires: virt-c >= 1:2.0-1
Requires(post): later
Provides: virt = 3
Provides: bare
Conflicts: enemy < 2
Obsoletes: old <= 1.9-4
Recommends: friend
Suggests: acquaintance = 7
Supplements: host
Enhances: guest > 0.1
%description
Several lines,
with a ünicode letter.

%package other
Summary: Another one
Requires: sample = %{epoch}:%{version}-%{release}
%description other
Small.

%prep
%build
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/usr/share/sample/sub %{buildroot}/etc %{buildroot}/var/log
echo '#!/bin/sh' >%{buildroot}/usr/bin/hello
chmod 0755 %{buildroot}/usr/bin/hello
cp %{buildroot}/usr/bin/hello %{buildroot}/usr/bin/elevated
cp %{SOURCE0} %{buildroot}/usr/share/sample/data.txt
cp %{SOURCE0} %{buildroot}/usr/share/sample/hard-a
ln %{buildroot}/usr/share/sample/hard-a %{buildroot}/usr/share/sample/hard-b
ln %{buildroot}/usr/share/sample/hard-a %{buildroot}/usr/share/sample/sub/hard-c
ln -s ../../bin/hello %{buildroot}/usr/share/sample/link
ln -s /nowhere %{buildroot}/usr/share/sample/sub/dangling
: >%{buildroot}/usr/share/sample/empty
echo spaces >"%{buildroot}/usr/share/sample/with space"
echo ü >%{buildroot}/usr/share/sample/ünicode
mkfifo %{buildroot}/usr/share/sample/pipe
echo key=value >%{buildroot}/etc/sample.conf
echo other >%{buildroot}/usr/share/other
touch -d 2031-01-01 %{buildroot}/usr/share/sample/data.txt

%post -p /usr/bin/true
%preun
:
%filetriggerin -- /usr/lib/sample
:

%files
%attr(4755,root,root) /usr/bin/elevated
%caps(cap_net_raw=ep) /usr/bin/hello
%dir %attr(1777,root,mail) /usr/share/sample
%dir /usr/share/sample/sub
/usr/share/sample/data.txt
/usr/share/sample/hard-a
/usr/share/sample/hard-b
/usr/share/sample/sub/hard-c
/usr/share/sample/link
/usr/share/sample/sub/dangling
%doc /usr/share/sample/empty
%license "/usr/share/sample/with space"
/usr/share/sample/ünicode
/usr/share/sample/pipe
%config(noreplace) /etc/sample.conf
%ghost /var/log/sample.log
%files other
/usr/share/other
"#;

/// When the fixtures were "built".
pub(crate) const EPOCH: u64 = 1_790_000_000;

/// Packages that all tests share; made once for each process.
pub(crate) struct Fixture {
    dir: tempfile::TempDir,
}

impl Fixture {
    pub(crate) fn get() -> &'static Self {
        static FIXTURE: OnceLock<Fixture> = OnceLock::new();
        FIXTURE.get_or_init(|| {
            // A static is never dropped: what is left lies with what was built, and goes with it.
            let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            for payload in [
                "w3.zstdio",
                "w9.gzdio",
                "w9.bzdio",
                "w2.xzdio",
                "w2.lzdio",
                "w.ufdio",
            ] {
                build(dir.path(), SPEC, payload);
            }
            Self { dir }
        })
    }

    pub(crate) fn sample(&self) -> PathBuf {
        self.with_payload("w3.zstdio")
    }

    pub(crate) fn uncompressed(&self) -> PathBuf {
        self.with_payload("w.ufdio")
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.dir
            .path()
            .join("w3.zstdio/SRPMS/sample-1.0~rc1-3.kl1.src.rpm")
    }

    pub(crate) fn with_payload(&self, payload: &str) -> PathBuf {
        self.dir
            .path()
            .join(payload)
            .join("RPMS/noarch/sample-1.0~rc1-3.kl1.noarch.rpm")
    }
}

/// Builds a SPEC in `dir/payload`.
pub(crate) fn build(dir: &Path, spec: &str, payload: &str) {
    let top = dir.join(payload);
    for folder in ["SOURCES", "SPECS"] {
        std::fs::create_dir_all(top.join(folder)).unwrap();
    }
    std::fs::write(top.join("SOURCES/data.txt"), "data ".repeat(5000)).unwrap();
    std::fs::write(top.join("SPECS/test.spec"), spec).unwrap();
    let define = |name: &str, value: &str| ["--define".to_owned(), format!("{name} {value}")];
    let mut command = Command::new(tool("rpmbuild", "rpm"));
    command
        .args(["-ba", "--nodeps", "--quiet"])
        .args(define("_topdir", top.to_str().unwrap()))
        .args(define("_binary_payload", payload))
        .args(define("_source_payload", payload))
        .args(define("use_source_date_epoch_as_buildtime", "1"))
        .args(define("clamp_mtime_to_source_date_epoch", "1"))
        .args(define("_buildhost", "localhost"))
        .arg(top.join("SPECS/test.spec"))
        .env("SOURCE_DATE_EPOCH", EPOCH.to_string());
    run(&mut command);
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

/// One answer of `rpm -qp`.
pub(crate) fn query(package: &Path, format: &str) -> String {
    run(Command::new(tool("rpm", "rpm"))
        .args(["-qp", "--nosignature", "--qf", format])
        .arg(package))
}
