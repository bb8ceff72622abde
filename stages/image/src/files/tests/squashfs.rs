//! SquashFS as mksquashfs makes it.

use super::*;

fn made(dir: &Path, arguments: &str) {
    let _ = fs_err::remove_file(dir.join("image.squashfs"));
    let line = format!("mksquashfs root image.squashfs -quiet -no-progress -noappend {arguments}");
    run(dir, &["sh", "-c", &line]);
}

#[test]
fn every_kind_of_squashfs_gives_the_same_list() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, root) = (dir.path(), folder(dir.path()));
    run(&root, &["tar", "--format=pax", "-cf", "../image.tar", "."]);
    let mut archive = opened(dir, "image.tar").unwrap();
    let wanted = listed(&mut archive);
    for arguments in [
        "-comp gzip",
        "-comp xz",
        "-comp lz4",
        "-comp lz4 -Xhc",
        "-comp zstd",
        "-comp zstd -Xcompression-level 9 -b 1M",
        "-comp gzip -b 4096",
        "-comp zstd -no-fragments",
        "-comp zstd -always-use-fragments",
        "-noI -noD -noF -noX",
        "-no-sparse -no-duplicates",
    ] {
        made(dir, arguments);
        let mut files =
            opened(dir, "image.squashfs").unwrap_or_else(|error| panic!("{arguments}: {error:?}"));
        let found = listed(&mut files);
        assert!(found == wanted, "{arguments}: {}", first(&found, &wanted));
        let mtime = |files: &Files| files.names[&"/text".parse().unwrap()].mtime;
        assert_eq!(mtime(&files), mtime(&archive));
        assert_eq!(
            files.file("/text").unwrap(),
            files.file("/usr/text").unwrap(),
            "one file with two names"
        );
    }
    made(dir, "-comp lzo");
    assert!(format!("{:?}", opened(dir, "image.squashfs")).contains("lzo"));
}

#[test]
fn attributes_of_a_squashfs_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, root) = (dir.path(), dir.path().join("root"));
    fs_err::create_dir(&root).unwrap();
    let script = "import os\nfor i in range(40):\n  open(f'f{i}', 'w').close()\n  os.setxattr(f'f{i}', 'user.name', b'x' * i)\n  \
                  os.setxattr(f'f{i}', 'user.same', b'y' * 500)\n  os.chown(f'f{i}', os.getuid(), os.getgid())\n";
    run(&root, &["python3", "-c", script]);
    made(dir, "-comp zstd -xattrs");
    let files = opened(dir, "image.squashfs").unwrap();
    for number in 0..40 {
        let entry = &files.names[&format!("/f{number}").parse().unwrap()];
        let expected = [("user.name", vec![b'x'; number]), ("user.same", vec![b'y'; 500])];
        let expected = expected.map(|(name, value)| (name.to_owned(), value));
        assert_eq!(entry.xattrs, BTreeMap::from(expected), "{number}");
    }
}

#[test]
fn a_damaged_squashfs_is_an_error_and_has_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, _) = (dir.path(), folder(dir.path()));
    for arguments in ["-comp zstd", "-comp lz4", "-noI -noF -noX -comp xz"] {
        made(dir, arguments);
        let whole = fs_err::read(dir.join("image.squashfs")).unwrap();
        // Its structures are at the end, but the superblock.
        let refused = refusals(dir, &whole, 300, 6, |part, random| {
            Some(match part {
                0 => 4 + random % 92,
                1..4 => whole.len() - 1 - random % 12_000.min(whole.len()),
                _ => 96 + random % (whole.len() - 96),
            })
        });
        assert!(refused > 100, "{arguments}: {refused}");
    }
}

#[test]
fn a_table_of_a_squashfs_has_a_bound() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, _) = (dir.path(), folder(dir.path()));
    made(dir, "-comp zstd");
    let mut bytes = fs_err::read(dir.join("image.squashfs")).unwrap();
    // As many fragments as the field has room for: 64 GiB of them.
    bytes[16..20].copy_from_slice(&[0xff; 4]);
    // Room for where their blocks of metadata are, all in the same place.
    bytes.resize(200 << 20, 0);
    fs_err::write(dir.join("image.squashfs"), bytes).unwrap();
    let error = format!("{:?}", opened(dir, "image.squashfs").unwrap_err());
    assert!(error.contains("a table of"), "{error}");
}
