//! Packages made by this machine's rpmbuild and gcc.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use keel_artefact::Interrupt;
use keel_inspect::{Finding, Findings, Package, facts};

/// When the fixtures were "built".
const EPOCH: &str = "1790000000";

/// Builds a SPEC; gives all packages, source and debugging information too, sorted by file name.
pub fn build(spec: &str) -> Vec<Package> {
    packages(&files(spec).1)
}

/// The same as files, in a folder that goes with the first value.
pub fn files(spec: &str) -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("test.spec");
    std::fs::write(&file, spec).unwrap();
    let define = |name: &str, value: &str| ["--define".to_owned(), format!("{name} {value}")];
    let output = Command::new("rpmbuild")
        .args(["-ba", "--nodeps", "--quiet"])
        .args(define("_topdir", dir.path().to_str().unwrap()))
        .args(define("use_source_date_epoch_as_buildtime", "1"))
        .args(define("clamp_mtime_to_source_date_epoch", "1"))
        .args(define("_buildhost", "localhost"))
        .args(define("_build_id_links", "none"))
        .arg(&file)
        .env("SOURCE_DATE_EPOCH", EPOCH)
        .output()
        .expect("this test needs `rpmbuild`: apt-get install rpm");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let mut files = facts::find(dir.path()).unwrap();
    files.sort_by_key(|file| file.file_name().map(ToOwned::to_owned));
    (dir, files)
}

/// Reads package files.
pub fn packages(files: &[PathBuf]) -> Vec<Package> {
    let all = facts::all(files, None, &Interrupt::default()).unwrap();
    all.into_iter().map(Package::foreign).collect()
}

/// A SPEC with a main package: name, further tags, `%install`, `%files` and what follows.
pub fn spec(name: &str, tags: &str, install: &str, files: &str) -> String {
    format!(
        "Name: {name}\nVersion: 1\nRelease: 1\nSummary: A test\nLicense: MIT\nURL: https://example.org/\n{tags}\n\
         %description\nA test.\n%prep\n%build\n%install\nmkdir -p %{{buildroot}}/usr/bin %{{buildroot}}/usr/lib64\n\
         cd %{{buildroot}}\n{install}\n%files\n{files}\n"
    )
}

/// Which rule found something where: `rule package path`.
pub fn found(findings: &Findings) -> Vec<String> {
    let text = |finding: &Finding| {
        let path = finding.path.as_deref().unwrap_or("-");
        format!("{} {} {path}", finding.rule, finding.package)
    };
    findings.0.iter().map(text).collect()
}

/// What single-package and component rules find.
pub fn check(packages: &[Package]) -> Findings {
    let policy = keel_inspect::Policy::default();
    keel_inspect::component(
        &packages.iter().collect::<Vec<_>>(),
        &policy,
        true,
        &Interrupt::default(),
    )
    .unwrap()
}

/// Compiles a program or library into the build root with these flags.
pub fn gcc(path: &str, flags: &str) -> String {
    format!("printf '%s' '{PROGRAM}' > %{{_builddir}}/t.c; gcc -w %{{_builddir}}/t.c -o .{path} {flags}\n")
}

/// A program that has something to harden.
const PROGRAM: &str = r#"#include <stdio.h>
int data[4] = {1}; int main(int n, char **v) { char b[64]; sprintf(b, "%%s", v[n]); printf("%%s", b); return 0; }"#;

/// Flags under which no rule about hardening finds anything.
pub const HARD: &str = "-O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-all -fcf-protection -fPIE -pie \
                        -Wl,-z,relro,-z,now,-z,noexecstack,-z,ibt,-z,shstk -Wl,--build-id=sha1 -s";

/// The package that users install, to be changed.
pub fn binary<'p>(packages: &'p mut [Package], name: &str) -> &'p mut facts::Facts {
    let is_it =
        |package: &&mut Package| package.name() == name && package.facts.kind() == keel_inspect::Kind::Binary;
    std::sync::Arc::make_mut(&mut packages.iter_mut().find(is_it).unwrap().facts)
}

/// The workspace's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}
