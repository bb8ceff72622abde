//! One folder in every form that the tools of others give it: mkfs.erofs, mke2fs, mkfs.vfat, tar, cpio. All lists are the same.

use std::{
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use super::*;

mod extract;
mod iso;
mod squashfs;

fn run(dir: &Path, argv: &[&str]) {
    let command = Command::new(argv[0]).args(&argv[1..]).current_dir(dir).output();
    let output = command.unwrap_or_else(|error| panic!("{}: {error}; it is a judge of this test", argv[0]));
    assert!(
        output.status.success(),
        "{argv:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn noise(length: usize) -> Vec<u8> {
    let mut seed = 7_u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Files of many sizes, of noise and text, links, a pipe, and a folder of more names than a block has room for.
fn folder(dir: &Path) -> PathBuf {
    let root = dir.join("root");
    fs_err::create_dir_all(root.join("usr/bin")).unwrap();
    let text = |length: usize| -> Vec<u8> {
        (0..length / 8 + 1)
            .flat_map(|line| format!("{:07}\n", line * line % 9973).into_bytes())
            .take(length)
            .collect()
    };
    let mixed = [
        text(300_000),
        noise(200_001),
        vec![0; 500_000],
        text(77_777),
        noise(5),
    ]
    .concat();
    for (name, content) in [
        ("empty", Vec::new()),
        ("short", b"hello\n".to_vec()),
        ("block", noise(4096)),
        ("over", text(4097)),
        ("text", text(1_234_567)),
        ("noise", noise(300_000)),
        ("mixed", mixed.clone()),
        ("again", mixed[..400_000].to_vec()),
        ("usr/bin/tool", text(70_000)),
    ] {
        fs_err::write(root.join(name), content).unwrap();
    }
    fs_err::create_dir(root.join("many")).unwrap();
    for number in 0..300 {
        fs_err::write(root.join(format!("many/file-{number}-ü")), text(number * 13)).unwrap();
    }
    fs_err::hard_link(root.join("text"), root.join("usr/text")).unwrap();
    symlink("usr/bin", root.join("bin")).unwrap();
    symlink("/bin/../bin/tool", root.join("link")).unwrap();
    symlink("t".repeat(150), root.join("far")).unwrap();
    symlink("round", root.join("round")).unwrap();
    std::fs::set_permissions(root.join("usr/bin/tool"), std::fs::Permissions::from_mode(0o4755)).unwrap();
    std::fs::set_permissions(root.join("short"), std::fs::Permissions::from_mode(0o640)).unwrap();
    run(&root, &["mkfifo", "pipe"]);
    root
}

fn options(scratch: &Path) -> Options<'_> {
    Options {
        partition: None,
        arch: keel_artefact::Arch::X86_64,
        scratch,
    }
}

fn opened(dir: &Path, image: &str) -> Result<Files, Error> {
    open(&dir.join(image), &options(dir), &Interrupt::default())
}

/// Every name but those that mke2fs adds, with all that every form has: no times, for some have no nanoseconds or none at all.
fn listed(files: &mut Files) -> BTreeMap<String, (String, u32, u32)> {
    let entries = files.names.clone();
    let mut all = BTreeMap::new();
    for (path, entry) in entries {
        let what = match entry.kind {
            Kind::File { id, size } => format!("{size} {}", files.digest(id, size).unwrap()),
            kind => format!("{kind:?}"),
        };
        let mode = if what.starts_with("Symlink") {
            0o777
        } else {
            entry.mode
        };
        if path.as_str() != "/lost+found" && path.as_str() != "/" {
            all.insert(path.to_string(), (what, mode, entry.uid));
        }
    }
    all
}

#[test]
fn every_form_gives_the_same_list() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, root) = (dir.path(), folder(dir.path()));
    run(&root, &["tar", "--format=pax", "-cf", "../image.tar", "."]);
    let wanted = listed(&mut opened(dir, "image.tar").unwrap());
    assert_eq!(wanted.len(), 318);
    let (digest, size) = Sha256::of_file(&root.join("mixed")).unwrap();
    assert_eq!(wanted["/mixed"].0, format!("{size} {digest}"));
    assert_eq!(wanted["/usr/bin/tool"].1, 0o4755);

    run(&root, &["tar", "--format=gnu", "-cf", "../gnu.tar", "."]);
    run(
        dir,
        &["sh", "-c", "gzip -k gnu.tar; zstd -q image.tar; xz -k image.tar"],
    );
    run(
        &root,
        &[
            "sh",
            "-c",
            "find . | cpio --quiet -H newc -o > ../image.cpio; gzip -k ../image.cpio",
        ],
    );
    run(
        dir,
        &[
            "sh",
            "-c",
            "head -c 512 /dev/zero >> image.cpio; cat image.cpio image.cpio.gz > both.cpio",
        ],
    );
    for image in [
        "gnu.tar",
        "gnu.tar.gz",
        "image.tar.zst",
        "image.tar.xz",
        "image.cpio",
        "image.cpio.gz",
        "both.cpio",
    ] {
        let found = opened(dir, image).map(|mut files| listed(&mut files));
        let found = found.unwrap_or_else(|error| panic!("{image}: {error:?}"));
        assert!(found == wanted, "{image}: {}", first(&found, &wanted));
    }

    for arguments in [
        "-t ext4",
        "-t ext4 -b 1024 -O ^64bit",
        "-t ext2",
        "-t ext3 -b 1024",
        "-t ext4 -O metadata_csum,large_dir",
    ] {
        let image = "image.ext";
        let _ = fs_err::remove_file(dir.join(image));
        run(
            dir,
            &["sh", "-c", &format!("mke2fs -q {arguments} -d root {image} 32M")],
        );
        let found = opened(dir, image).map(|mut files| listed(&mut files));
        let found = found.unwrap_or_else(|error| panic!("{arguments}: {error:?}"));
        assert!(found == wanted, "{arguments}: {}", first(&found, &wanted));
    }
    run(
        dir,
        &[
            "sh",
            "-c",
            "mke2fs -q -t ext4 -O inline_data -d root inline.ext 32M",
        ],
    );
    assert!(format!("{:?}", opened(dir, "inline.ext")).contains("inline_data"));
}

#[test]
fn every_kind_of_erofs_gives_the_same_list() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, root) = (dir.path(), folder(dir.path()));
    run(&root, &["tar", "--format=pax", "-cf", "../image.tar", "."]);
    let wanted = listed(&mut opened(dir, "image.tar").unwrap());
    for arguments in [
        "",
        "-Enoinline_data",
        "-Eforce-inode-extended",
        "-Eforce-inode-compact",
        "--chunksize=4096",
        "--chunksize=65536",
        "--chunksize=4096 -Eforce-chunk-indexes",
        "-zlz4",
        "-zlz4 -Elegacy-compress",
        "-zlz4 -Eforce-inode-extended",
        "-zlz4hc,level=9 -C65536",
        "-zlz4hc -C65536 -Eztailpacking",
        "-zlz4 -Eztailpacking",
        "-zlz4 -Elegacy-compress,ztailpacking",
        "-zlz4 -Efragments",
        "-zlz4hc -C65536 -Eall-fragments",
        "-zlz4 -C65536 -Efragments,ztailpacking",
        "-zlz4 -Ededupe",
        "-zlz4 -C65536 -Efragments,dedupe,ztailpacking",
    ] {
        let _ = fs_err::remove_file(dir.join("image.erofs"));
        run(
            dir,
            &[
                "sh",
                "-c",
                &format!("mkfs.erofs --quiet {arguments} image.erofs root"),
            ],
        );
        let found = opened(dir, "image.erofs").map(|mut files| listed(&mut files));
        let found = found.unwrap_or_else(|error| panic!("{arguments}: {error:?}"));
        assert!(found == wanted, "{arguments}: {}", first(&found, &wanted));
    }
}

fn first(
    found: &BTreeMap<String, (String, u32, u32)>,
    wanted: &BTreeMap<String, (String, u32, u32)>,
) -> String {
    let differs = wanted.iter().find(|(path, what)| found.get(*path) != Some(what));
    let extra = found.keys().find(|path| !wanted.contains_key(*path));
    format!(
        "{differs:?} is {:?}, {extra:?}",
        differs.map(|(path, _)| found.get(path))
    )
}

#[test]
fn a_damaged_image_is_an_error_and_has_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, root) = (dir.path(), folder(dir.path()));
    run(
        &root,
        &[
            "tar",
            "--format=pax",
            "-cf",
            "../image.tar",
            "short",
            "link",
            "usr",
        ],
    );
    run(dir, &["sh", "-c", "mke2fs -q -t ext4 -d root/usr image.ext 4M"]);
    run(
        dir,
        &[
            "sh",
            "-c",
            "mkfs.erofs --quiet -zlz4 -C65536 -Efragments,ztailpacking image.erofs root",
        ],
    );
    for image in ["image.tar", "image.ext", "image.erofs"] {
        let whole = fs_err::read(dir.join(image)).unwrap();
        // The structures are at the start, but those of an ext4's inodes.
        refusals(dir, &whole, 400, 8, |part, random| {
            let most = if part < 4 { 8192 } else { whole.len() };
            let place = random % most.min(whole.len());
            // The magic numbers stay.
            (!(1024..1028).contains(&place)).then_some(place)
        });
    }
}

#[test]
fn packed_archives_behind_each_other_have_a_bound() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, root) = (dir.path(), dir.path().join("root"));
    fs_err::create_dir(&root).unwrap();
    fs_err::write(root.join("a"), "content").unwrap();
    run(
        &root,
        &[
            "sh",
            "-c",
            "echo a | cpio --quiet -H newc -o | zstd -q > ../one.zst",
        ],
    );
    let one = fs_err::read(dir.join("one.zst")).unwrap();
    for (count, is_read) in [(3, true), (300, false)] {
        fs_err::write(dir.join("many"), one.repeat(count)).unwrap();
        let found = opened(dir, "many").map(|mut files| {
            let (id, size) = files.file("/a").unwrap();
            files.whole(id, size, 100).unwrap().unwrap()
        });
        match found {
            Ok(content) => assert!(is_read && content == b"content"),
            Err(error) => assert!(!is_read && format!("{error:?}").contains("too many"), "{error:?}"),
        }
    }
}

/// Damages an image in so many rounds, each in so many bytes, where `place` says (of the number of a byte, and a random number), and reads
/// all of what can be opened. How often it cannot.
fn refusals(
    dir: &Path,
    whole: &[u8],
    rounds: usize,
    parts: usize,
    place: impl Fn(usize, usize) -> Option<usize>,
) -> usize {
    let noise = noise(4096);
    let mut refused = 0;
    for round in 0..rounds {
        let mut bytes = whole.to_vec();
        for part in 0..parts {
            let random = &noise[(round * parts + part) % 4000..][..5];
            let number = usize::from(random[0]) << 16 | usize::from(random[1]) << 8 | usize::from(random[2]);
            if let Some(place) = place(part, number) {
                bytes[place] = random[3];
            }
        }
        fs_err::write(dir.join("damaged"), &bytes).unwrap();
        let Ok(mut files) = opened(dir, "damaged") else {
            refused += 1;
            continue;
        };
        for entry in files.names.clone().values() {
            if let Kind::File { id, size } = entry.kind
                && size < 1 << 24
            {
                let _ = files.digest(id, size);
            }
        }
    }
    refused
}

#[test]
fn names_lead_where_they_would_in_the_image() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, root) = (dir.path(), folder(dir.path()));
    run(&root, &["tar", "-cf", "../image.tar", "."]);
    let mut files = opened(dir, "image.tar").unwrap();
    let (id, size) = files.file("/link").unwrap();
    let mut content = Vec::new();
    files.copy(id, size, &mut content).unwrap();
    assert_eq!(content, fs_err::read(root.join("usr/bin/tool")).unwrap());
    assert_eq!(
        files.find("../../bin/./tool", true).unwrap().as_str(),
        "/usr/bin/tool"
    );
    assert!(matches!(files.file("round"), Err(Error::Loop { .. })));
    assert!(matches!(
        files.file("bin"),
        Err(Error::NoFile { what: "a folder", .. })
    ));
    let Err(Error::Missing { nearest, .. }) = files.file("/usr/bin/tol") else {
        panic!();
    };
    assert_eq!(nearest.as_deref(), Some("/usr/bin/tool"));
}

/// What is in the log is newer than the database.
#[test]
fn a_database_of_packages_with_a_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let rpm = dir.join("root/usr/lib/sysimage/rpm");
    fs_err::create_dir_all(&rpm).unwrap();
    run(
        &rpm,
        &[
            "sqlite3",
            "rpmdb.sqlite",
            "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)",
        ],
    );
    let pack = || {
        run(&dir.join("root"), &["tar", "-cf", "../image.tar", "."]);
        opened(dir, "image.tar").unwrap()
    };
    let log = rpm.join("rpmdb.sqlite-wal");
    for content in [None, Some("")] {
        if let Some(content) = content {
            fs_err::write(&log, content).unwrap();
        }
        assert_eq!(
            diff::identities(&mut pack()).unwrap(),
            Some(vec![]),
            "{content:?}"
        );
    }
    fs_err::write(&log, "frames").unwrap();
    let refused = [
        diff::identities(&mut pack()).err(),
        diff::sizes(&mut pack()).err(),
        diff::compare(&mut pack(), &mut pack()).err(),
    ];
    for error in refused {
        let error = error.expect("the log is not looked at").to_string();
        assert!(
            error.contains("image.tar") && error.contains("`/usr/lib/sysimage/rpm/rpmdb.sqlite-wal`"),
            "{error}"
        );
    }
}

#[test]
fn layers_take_away_what_whiteouts_name() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let blobs = dir.join("blobs/sha256");
    fs_err::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8], media_type: &str| {
        let digest = Sha256::of(bytes);
        fs_err::write(blobs.join(digest.to_hex()), bytes).unwrap();
        format!(
            r#"{{"mediaType":"{media_type}","digest":"sha256:{digest}","size":{}}}"#,
            bytes.len()
        )
    };
    let layer = |script: &str| {
        run(
            dir,
            &[
                "sh",
                "-c",
                &format!("rm -rf l && mkdir l && cd l && {script} && tar -czf ../l.tar.gz ."),
            ],
        );
        put(
            &fs_err::read(dir.join("l.tar.gz")).unwrap(),
            "application/vnd.oci.image.layer.v1.tar+gzip",
        )
    };
    let layers = [
        layer(
            "mkdir -p usr/lib a b && echo one > a/one && echo two > a/two && echo x > b/x && ln -s usr/lib lib",
        ),
        layer("mkdir -p a b && touch a/.wh.one b/.wh..wh..opq && echo y > b/y && mkdir lib && rmdir lib"),
        layer("mkdir -p usr/lib && echo z > usr/lib/z && touch .wh.nothing"),
    ];
    let config = put(b"{}", "application/vnd.oci.image.config.v1+json");
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#,
        layers.join(",")
    );
    let manifest = put(manifest.as_bytes(), crate::layout::MANIFEST);
    fs_err::write(
        dir.join("index.json"),
        format!(r#"{{"schemaVersion":2,"manifests":[{manifest}]}}"#),
    )
    .unwrap();
    fs_err::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let files = opened(dir, "").unwrap();
    let names: Vec<_> = files.names.keys().map(RootPath::as_str).collect();
    assert_eq!(
        names,
        [
            "/",
            "/a",
            "/a/two",
            "/b",
            "/b/y",
            "/lib",
            "/usr",
            "/usr/lib",
            "/usr/lib/z"
        ]
    );
    assert_eq!(files.find("/lib/z", true).unwrap().as_str(), "/usr/lib/z");
    run(
        dir,
        &["sh", "-c", "tar -cf image.oci.tar oci-layout index.json blobs"],
    );
    assert_eq!(opened(dir, "image.oci.tar").unwrap().names, files.names);

    // A blob that is not what its name says.
    let first = layers[0].split("sha256:").nth(1).unwrap()[..64].to_owned();
    let mut bytes = fs_err::read(blobs.join(&first)).unwrap();
    bytes[20] ^= 1;
    fs_err::write(blobs.join(&first), bytes).unwrap();
    assert!(format!("{:?}", opened(dir, "")).contains("is damaged"));
}
