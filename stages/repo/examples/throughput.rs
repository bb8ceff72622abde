//! Packages per second, beside createrepo_c in the same run: `cargo run --release -p keel-repo --example throughput`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use keel_artefact::{Arch, Epoch, Interrupt, event::Silent};
use keel_build::{BuiltPackage, Kind, Packages};
use keel_repo::{create, open, verify};
use keel_rpm::sign::Key;
use keel_store::Store;

const COUNT: usize = 400;
const BUILT: u32 = 1_790_000_000;

/// 60 files, 26 requirements, 20 changes: an average package.
fn package(number: usize, dir: &Path) {
    let config = rpm::BuildConfig::v4()
        .compression(rpm::CompressionType::Zstd)
        .source_date(BUILT);
    let mut builder =
        rpm::PackageBuilder::new(&format!("package{number}"), "1.0", "MIT", "noarch", "A package");
    builder
        .using_config(config)
        .release("1")
        .description("A package that is like others.");
    for file in 0..60 {
        let path = format!("/usr/share/package{number}/folder{}/file{file}", file % 7);
        let content = format!("{number} {file} ").repeat(40);
        builder
            .with_file_contents(content, rpm::FileOptions::new(path))
            .unwrap();
    }
    for other in 0..26 {
        builder.requires(rpm::Dependency::greater_eq(
            format!("library{other}"),
            format!("1.{other}"),
        ));
    }
    for change in 0..20 {
        builder.add_changelog_entry(
            format!("Somebody <s@example.org> - 1.{change}"),
            "- A change",
            BUILT - change * 86_400,
        );
    }
    builder
        .build()
        .unwrap()
        .write_file(dir.join(format!("package{number}-1.0-1.noarch.rpm")))
        .unwrap();
}

fn told(what: &str, elapsed: Duration) {
    println!(
        "{what:44} {:7.3} s {:8.0} packages/s",
        elapsed.as_secs_f64(),
        COUNT as f64 / elapsed.as_secs_f64()
    );
}

fn timed<R>(what: &str, work: impl FnOnce() -> R) -> R {
    let started = Instant::now();
    let result = work();
    told(what, started.elapsed());
    result
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let (rpms, out) = (dir.path().join("rpms"), dir.path().join("repo"));
    std::fs::create_dir(&rpms).unwrap();
    (0..COUNT).for_each(|number| package(number, &rpms));
    let store = Store::open(&dir.path().join("store")).unwrap();
    let built = std::fs::read_dir(&rpms).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let info = keel_rpm::read(&path).unwrap();
        BuiltPackage {
            component: "test".parse().unwrap(),
            kind: Kind::Binary,
            rpm: store.put_file(&path).unwrap(),
            size: info.file_size,
            epoch: info.build_time,
            nevra: info.nevra,
            scriptlets: false,
        }
    });
    let packages = Packages::new(Arch::X86_64, built.collect(), Vec::new());
    let key = Key::generate("Throughput", Epoch(1_700_000_000)).unwrap();
    let (interrupt, certificates) = (
        Interrupt::default(),
        key.certificates(Epoch(1_795_000_000)).unwrap(),
    );
    let make = || create(&packages, &store, Some(&key), &out, &Silent, &interrupt).unwrap();
    timed("create: sign, copy, describe", make);
    timed("create again: nothing changed", make);
    std::fs::remove_dir_all(&out).unwrap();
    timed("create anew: signed copies in the store", make);
    timed("open: every signature and digest", || {
        open(&out, Some(&certificates), &interrupt).unwrap()
    });
    let report = timed("verify: metadata made anew as well", || {
        verify(&out, Some(&certificates), &Silent, &interrupt).unwrap()
    });
    assert!(report.is_good(), "{report:?}");
    let unsigned = dir.path().join("unsigned");
    timed("create without a key", || {
        create(&packages, &store, None, &unsigned, &Silent, &interrupt).unwrap()
    });
    for workers in ["1", "2"] {
        timed(
            &format!("createrepo_c, {workers} workers (describe only)"),
            || {
                let mut command = Command::new("createrepo_c");
                let status = command
                    .args(["--quiet", "--no-database", "--workers", workers])
                    .arg(&rpms)
                    .status()
                    .unwrap();
                assert!(status.success());
            },
        );
    }
}
