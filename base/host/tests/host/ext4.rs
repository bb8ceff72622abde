//! File systems by stage0's mke2fs and debugfs.

use std::{
    collections::BTreeMap,
    os::unix::fs::{MetadataExt as _, PermissionsExt},
    path::Path,
    process::Command,
};

use keel_artefact::{Epoch, Interrupt, Sha256};
use keel_host::mkfs_ext4::{self, Attribute};
use keel_sandbox::{Bind, Run};

use crate::stage0::{STAGE0, prepared};

const CLOCK: u64 = 1_750_000_000;

/// An archive with everything that a root may have.
fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add =
        |path: &str, kind: tar::EntryType, content: &[u8], owner: u64, mode: u32, pax: &[(&str, &[u8])]| {
            let times = [("atime", &b"1700000000"[..]), ("ctime", b"1700000000")];
            let pax: Vec<_> = times.iter().chain(pax).copied().collect();
            builder.append_pax_extensions(pax).unwrap();
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(kind);
            header.set_mode(mode);
            header.set_uid(owner);
            header.set_gid(owner + 1);
            header.set_mtime(1_700_000_000);
            let link = matches!(kind, tar::EntryType::Symlink | tar::EntryType::Link);
            header.set_size(if link { 0 } else { content.len() as u64 });
            if matches!(kind, tar::EntryType::Char | tar::EntryType::Block) {
                header.set_device_major(8).unwrap();
                header.set_device_minor(300).unwrap();
            }
            if link {
                let target = std::str::from_utf8(content).unwrap();
                builder.append_link(&mut header, path, target).unwrap();
            } else {
                builder.append_data(&mut header, path, content).unwrap();
            }
        };
    use tar::EntryType as T;
    add("./", T::Directory, b"", 0, 0o755, &[]);
    add("usr/", T::Directory, b"", 3, 0o1775, &[]);
    for number in 0..300_u32 {
        let content: Vec<u8> = (0..number * number)
            .flat_map(|word| (word % 509).to_le_bytes())
            .collect();
        add(&format!("usr/{number}"), T::Regular, &content, 70_000, 0o640, &[]);
    }
    let capability = [(
        "SCHILY.xattr.security.capability",
        &b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0"[..],
    )];
    add("usr/ping", T::Regular, b"#!", 0, 0o4755, &capability);
    add("usr/hard", T::Link, b"usr/ping", 0, 0o4755, &[]);
    add("usr/a \"b\"", T::Regular, b"x", 0, 0o644, &[]);
    add("bin", T::Symlink, b"usr/bin", 5, 0o777, &[]);
    add("disk", T::Block, b"", 6, 0o660, &[]);
    add("null", T::Char, b"", 0, 0o666, &[]);
    add("pipe", T::Fifo, b"", 0, 0o600, &[]);
    builder.into_inner().unwrap()
}

/// What a test's line with the image's digest begins with.
const SUM: &str = "the image is ";

/// An ordinary user, who has no subordinate ids, makes the same bytes. Needs root to become one.
#[test]
fn an_ordinary_user_makes_the_same_bytes() {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        println!("not root: the other test has just run as an ordinary user");
        return;
    }
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o1777)).unwrap();
    let binary = folder.path().join("test");
    // By another process: one that other tests start here while the file is written would keep it open, and nobody could
    // execute it.
    let copied = Command::new("cp")
        .arg(std::env::current_exe().unwrap())
        .arg(&binary)
        .status();
    assert!(copied.unwrap().success());
    let test = "ext4::an_ext4_is_the_same_each_time_and_holds_everything";
    let sum = |command: &mut Command| {
        let output = command.args(["--exact", test, "--nocapture"]).output();
        let output = output.expect("setpriv is missing: apt install util-linux");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let sum = text
            .lines()
            .find_map(|line| line.split_once(SUM))
            .map(|(_, sum)| sum.to_owned());
        sum.unwrap_or_else(|| panic!("{text}"))
    };
    let stage0 = prepared().tools.parent().unwrap();
    let mut other = Command::new("setpriv");
    other
        .args(["--reuid", "1001", "--regid", "1001", "--clear-groups"])
        .arg(&binary)
        .env("TMPDIR", folder.path())
        .env(STAGE0, stage0)
        .current_dir("/");
    assert_eq!(sum(&mut other), sum(Command::new(&binary).env(STAGE0, stage0)));
}

const LABEL: &[u8] = b"system_u:object_r:bin_t:s0\0";

fn make(tar: &Path, image: &Path) -> Result<(), keel_host::Error> {
    let labelled = |path| Attribute {
        path,
        name: "security.selinux",
        value: LABEL,
    };
    let request = mkfs_ext4::Request {
        archive: tar,
        attributes: &[
            labelled("/"),
            labelled("/bin"),
            labelled("/null"),
            labelled("/usr/a \"b\""),
            labelled("/usr/ping"),
            Attribute {
                path: "/usr/7",
                name: "user.long",
                value: &[7; 3000],
            },
        ],
        image,
        size: 256 << 20,
        inodes: 2000,
        journal_mib: 16,
        uuid: "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
        hash_seed: "2b4e28ba-2fa1-11d2-883f-0016d3cca427",
        label: "keel-root",
        clock: Epoch(CLOCK),
    };
    mkfs_ext4::make(prepared(), &request, &Interrupt::default())
}

/// What a program of stage0 says of the image.
fn ask(image: &Path, argv: &[&str]) -> String {
    let mut sandbox = prepared().sandbox();
    sandbox.binds = vec![Bind {
        host: image.to_owned(),
        guest: "/tmp/image".parse().unwrap(),
        writable: false,
    }];
    let exit = keel_sandbox::run(
        &sandbox,
        Run::captured(argv.iter().copied()),
        &Interrupt::default(),
    )
    .unwrap();
    assert!(exit.success(), "{argv:?}");
    String::from_utf8_lossy(&exit.stdout).into_owned()
}

#[test]
fn an_ext4_is_the_same_each_time_and_holds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let tar = folder.path().join("root.tar");
    std::fs::write(&tar, archive()).unwrap();
    let images = ["one", "other"].map(|name| folder.path().join(name));
    for image in &images {
        make(&tar, image).unwrap();
        mkfs_ext4::check(prepared(), image, &Interrupt::default()).unwrap();
    }
    let [one, other] = images;
    assert!(
        std::fs::read(&one).unwrap() == std::fs::read(other).unwrap(),
        "two runs differ"
    );
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 3, "nothing is left beside the images");
    // For the same test as another user.
    println!("{SUM}{}", Sha256::of_file(&one).unwrap().0);

    let said = ask(&one, &["dumpe2fs", "-h", "/tmp/image"]);
    let fields: BTreeMap<&str, &str> = said
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key, value.trim()))
        .collect();
    for (key, value) in [
        ("Filesystem volume name", "keel-root"),
        ("Filesystem UUID", "1b4e28ba-2fa1-11d2-883f-0016d3cca427"),
        ("Directory Hash Seed", "2b4e28ba-2fa1-11d2-883f-0016d3cca427"),
        ("Filesystem created", "Sun Jun 15 15:06:40 2025"),
        ("Last write time", "Sun Jun 15 15:06:40 2025"),
        ("Filesystem state", "clean"),
        ("Checksum type", "crc32c"),
        // With the two that are in use, descriptors for 4 TiB.
        ("Reserved GDT blocks", "511"),
    ] {
        assert_eq!(fields.get(key), Some(&value), "{key}\n{said}");
    }
    for feature in ["64bit", "metadata_csum", "resize_inode", "has_journal", "extent"] {
        let all = fields["Filesystem features"].split(' ');
        assert!(all.into_iter().any(|found| found == feature), "{feature}\n{said}");
    }
    let whole = ask(&one, &["dumpe2fs", "/tmp/image"]);
    assert!(
        !whole.contains("ITABLE_UNINIT") || whole.contains("ITABLE_ZEROED"),
        "{whole}"
    );

    for (path, expected) in [
        ("/", &["Mode:  0755", "security.selinux (27)"][..]),
        ("/usr", &["Mode:  01775", "User:     3   Group:     4"]),
        (
            "/usr/299",
            &["Mode:  0640", "User: 70000   Group: 70001", "Size: 357604"],
        ),
        (
            "/usr/ping",
            &[
                "Mode:  04755",
                "Links: 2",
                "security.capability (20)",
                "security.selinux (27)",
            ],
        ),
        ("\"/usr/a \"\"b\"\"\"", &["Size: 1", "security.selinux (27)"]),
        ("/usr/7", &["user.long (3000)"]),
        ("/bin", &["Type: symlink", "\"usr/bin\"", "security.selinux (27)"]),
        ("/disk", &["Type: block special", "08:300", "Mode:  0660"]),
        ("/null", &["Type: character special", "Mode:  0666"]),
        ("/pipe", &["Type: FIFO"]),
    ] {
        let said = ask(&one, &["debugfs", "-R", &format!("stat {path}"), "/tmp/image"]);
        for text in expected
            .iter()
            .chain(&["ctime: 0x6553f100", "atime: 0x6553f100", "mtime: 0x6553f100"])
        {
            assert!(said.contains(text), "{path}: {text}\n{said}");
        }
    }
    let content = ask(&one, &["debugfs", "-R", "cat /usr/hard", "/tmp/image"]);
    assert_eq!(content, "#!");
}

#[test]
fn what_is_wrong_with_an_ext4_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let tar = folder.path().join("root.tar");
    std::fs::write(&tar, archive()).unwrap();
    let image = folder.path().join("image");
    let request = mkfs_ext4::Request {
        archive: &tar,
        attributes: &[],
        image: &image,
        size: 64 << 20,
        inodes: 2000,
        journal_mib: 4,
        uuid: "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
        hash_seed: "2b4e28ba-2fa1-11d2-883f-0016d3cca427",
        label: "",
        clock: Epoch(CLOCK),
    };
    let fails = |request: &mkfs_ext4::Request<'_>| {
        let error = mkfs_ext4::make(prepared(), request, &Interrupt::default()).unwrap_err();
        assert!(!image.exists());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        error.to_string()
    };
    let attributes = |path, value| {
        [Attribute {
            path,
            name: "user.x",
            value,
        }]
    };
    let small = mkfs_ext4::Request {
        size: 12 << 20,
        ..request
    };
    assert!(fails(&small).contains("mke2fs"), "{}", fails(&small));
    let nowhere = mkfs_ext4::Request {
        attributes: &attributes("/nowhere", b"x"),
        ..request
    };
    assert!(
        fails(&nowhere).contains("/nowhere: File not found"),
        "{}",
        fails(&nowhere)
    );
    let large = mkfs_ext4::Request {
        attributes: &attributes("/usr", &[1; 5000]),
        ..request
    };
    assert!(fails(&large).contains("Insufficient space"), "{}", fails(&large));
    let lines = mkfs_ext4::Request {
        attributes: &attributes("/a\nb", b"x"),
        ..request
    };
    assert!(fails(&lines).contains("more than one line"), "{}", fails(&lines));
    let label = mkfs_ext4::Request {
        label: "seventeen letters",
        ..request
    };
    assert!(
        fails(&label).contains("longer than 16 bytes"),
        "{}",
        fails(&label)
    );
}
