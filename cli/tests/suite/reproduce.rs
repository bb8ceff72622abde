//! `keel reproduce`: what surroundings may reach is found.

use std::{fs, os::unix::fs::MetadataExt as _};

use crate::harness::{Fixture, Ran};

/// The fixture with a package that holds what a command says.
fn holding(command: &str) -> (Fixture, Ran) {
    let fixture = Fixture::new();
    let spec = fixture.path("specs/hello/hello.spec");
    let text = fs::read_to_string(&spec).unwrap();
    let text = text.replace(
        "%build\n",
        &format!(
            "%build\nmkdir order; for i in $(seq 40); do touch order/$i; done\n({command}) > said.txt\n"
        ),
    );
    let text = text.replace("%files\n", "%files\n%doc said.txt\n");
    fs::write(&spec, text).unwrap();
    let ran = fixture.keel(&["reproduce", "hello", "--output", "json"]);
    (fixture, ran)
}

#[test]
fn what_is_the_same_everywhere_is_reproduced() {
    let (_fixture, ran) = holding("echo the same; ls order; umask >/dev/null");
    let ran = ran.ok();
    let rows: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(rows[0]["component"], "hello");
    assert_eq!(rows[0]["same"], true, "{}", ran.stdout);
    // Where it works at all: root, the program, FUSE.
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let fuse = fs::File::options().read(true).write(true).open("/dev/fuse");
    let disorderfs = is_root && fuse.is_ok() && fs::exists("/usr/bin/disorderfs").unwrap();
    if disorderfs {
        assert_eq!(rows[0]["order"], "disorderfs", "{}", ran.stdout);
        assert!(
            ran.stderr.contains("the order of entries in folders: disorderfs"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn what_depends_on_the_surroundings_is_found() {
    for command in [
        "date +%Y",
        "hostname",
        "echo $USER",
        "echo $LC_ALL",
        "date +%Z",
        "nproc",
        // In the order of the folder, not of the names.
        "find order -type f",
    ] {
        let (fixture, ran) = holding(command);
        let rows: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
        assert_eq!(
            (ran.code, &rows[0]["same"]),
            (Some(1), &false.into()),
            "{command}: {}{}",
            ran.stdout,
            ran.stderr
        );
        let differ = rows[0]["differ"].as_array().unwrap();
        assert!(
            differ.iter().any(|name| name == "hello-1.0-1.fx1.x86_64.rpm"),
            "{command}: {differ:?}"
        );
        for side in ["first", "second"] {
            let kept = fixture.path(&format!("out/differs/hello/{side}/hello-1.0-1.fx1.x86_64.rpm"));
            assert!(kept.is_file(), "{command}");
        }
    }
}
