//! One folder in every form that the tools of others give it: mkfs.erofs, mke2fs, mkfs.vfat, tar, cpio. All lists are the same.

use std::{
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use super::*;

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
    let noise = noise(4096);
    for image in ["image.tar", "image.ext", "image.erofs"] {
        let whole = fs_err::read(dir.join(image)).unwrap();
        // The structures are at the start, but those of an ext4's inodes.
        for round in 0..400 {
            let mut bytes = whole.clone();
            for part in 0..8 {
                let random = &noise[(round * 8 + part) % 4000..][..5];
                let place =
                    usize::from(random[0]) << 16 | usize::from(random[1]) << 8 | usize::from(random[2]);
                let most = if part < 4 { 8192 } else { bytes.len() };
                let place = place % most.min(bytes.len());
                // The magic numbers stay.
                if !(1024..1028).contains(&place) {
                    bytes[place] = random[3];
                }
            }
            fs_err::write(dir.join("damaged"), &bytes).unwrap();
            let Ok(mut files) = opened(dir, "damaged") else {
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
    }
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

#[test]
fn nothing_is_written_outside_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut bytes = Vec::new();
    let entry = |bytes: &mut Vec<u8>, path: &str, what: crate::write::tar::What<'_>| {
        let member = crate::write::tar::Member {
            path: &path.parse().unwrap(),
            what,
            size: 0,
            mode: 0o644,
            owner: (0, 0),
            mtime: 1,
            xattrs: &BTreeMap::new(),
            all_times: false,
        };
        member.write(bytes).unwrap();
    };
    use crate::write::tar::What;
    let outside = dir.join("outside");
    fs_err::create_dir(&outside).unwrap();
    entry(&mut bytes, "/out", What::Symlink(outside.to_str().unwrap()));
    entry(&mut bytes, "/up", What::Symlink("../outside"));
    // Through the links: they lead to places within the image.
    entry(&mut bytes, "/out/one", What::File);
    entry(&mut bytes, "/up/two", What::File);
    entry(&mut bytes, "/null", What::CharDevice(1, 3));
    fs_err::write(dir.join("image.tar"), &bytes).unwrap();
    let mut files = opened(dir, "image.tar").unwrap();
    let chosen = files.chosen(&[]).unwrap();
    let to = dir.join("to");
    let done = extract(&mut files, &chosen, &to).unwrap();
    assert_eq!(done.left_out["devices"], 1);
    assert_eq!(fs_err::read_dir(&outside).unwrap().count(), 0);
    assert!(
        to.join("outside/two").is_file()
            && outside
                .as_path()
                .strip_prefix("/")
                .is_ok_and(|at| to.join(at).join("one").is_file())
    );
    assert!(matches!(
        extract(&mut files, &chosen, &to),
        Err(Error::Exists { .. })
    ));

    for name in ["../outside/x", "a/../../outside/x"] {
        let mut header = bytes[..512].to_vec();
        header[..100].fill(0);
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[148..156].fill(b' ');
        let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        fs_err::write(dir.join("bad.tar"), &header).unwrap();
        assert!(format!("{:?}", opened(dir, "bad.tar")).contains("may lead out of it"));
    }
}

#[test]
fn a_folder_and_an_archive_of_an_image_are_the_image() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, root) = (dir.path(), folder(dir.path()));
    run(dir, &["sh", "-c", "mkfs.erofs --quiet -zlz4 image.erofs root"]);
    let mut files = opened(dir, "image.erofs").unwrap();
    let chosen = files.chosen(&[]).unwrap();
    let done = extract(&mut files, &chosen, &dir.join("to")).unwrap();
    assert_eq!(done.names, files.names.len() as u64 - 1);
    assert_eq!(done.left_out["set-user-id and set-group-id bits"], 1);
    run(
        dir,
        &["diff", "-r", "--no-dereference", "--exclude=pipe", "root", "to"],
    );
    let same = |path: &str| {
        let mode = |root: &Path| std::fs::metadata(root.join(path)).unwrap().permissions().mode();
        assert_eq!(mode(&root), mode(&dir.join("to")), "{path}");
    };
    ["short", "usr", "many"].into_iter().for_each(same);

    let out = fs_err::File::create(dir.join("out.tar")).unwrap();
    files.archive(&chosen, out).unwrap();
    let (mut again, mut first) = (
        opened(dir, "out.tar").unwrap(),
        opened(dir, "image.erofs").unwrap(),
    );
    let found = diff::compare(&mut first, &mut again).unwrap();
    assert!(found.is_same(), "{found:?}");
    run(
        dir,
        &[
            "sh",
            "-c",
            "mkdir by-tar && tar -C by-tar -xpf out.tar && diff -r --no-dereference --exclude=pipe root by-tar",
        ],
    );

    let mut few = opened(dir, "image.erofs").unwrap();
    let some = few.chosen(&["usr/bin".to_owned()]).unwrap();
    let names: Vec<_> = some.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(names, ["/", "/usr", "/usr/bin", "/usr/bin/tool"]);

    fs_err::write(root.join("short"), "HELLO\n").unwrap();
    fs_err::remove_file(root.join("block")).unwrap();
    run(
        &root,
        &["tar", "-cf", "../other.tar", "--mode=a+rX", "--owner=5", "."],
    );
    let found = diff::compare(&mut few, &mut opened(dir, "other.tar").unwrap()).unwrap();
    let change = |path: &str| {
        found
            .files
            .iter()
            .find(|file| file.path.as_str() == path)
            .unwrap()
    };
    assert_eq!(change("/block").how, diff::How::Removed);
    let what: Vec<_> = change("/short")
        .what
        .iter()
        .map(|aspect| aspect.what.as_str())
        .collect();
    assert_eq!(what, ["content", "mode", "owner"]);
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
