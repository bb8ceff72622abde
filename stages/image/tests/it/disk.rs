//! Disks, judged by the programs that check each of their parts.

use std::{fs, path::Path};

use keel_artefact::{Interrupt, Sha256};
use keel_config::{
    Location,
    image::{
        Boot, FileSystem, Format, Partition, Qcow2Compression,
        partition::{PartitionContent, PartitionSize, PartitionType},
    },
};
use keel_image::formats;

use crate::fixture::{Packages, Place, digests, image, is_root_or_says, judge};

const FORMATS: [Format; 4] = [Format::Raw, Format::Qcow2, Format::Vhd, Format::Vhdx];
pub const PACKAGES: [&str; 3] = ["tool", "boot", "kernel"];

/// Part of a file, as a file.
pub fn part(from: &Path, to: &Path, mib: u64, size: u64) {
    let (from, to) = (format!("if={}", from.display()), format!("of={}", to.display()));
    let (skip, count) = (format!("skip={mib}"), format!("count={size}"));
    judge(
        "coreutils",
        &["dd", "bs=1M", "status=none", &from, &to, &skip, &count],
    );
}

/// QEMU finds nothing wrong with `file`, and the same bytes as in `raw`.
fn same_disk(raw: &Path, file: &Path, format: &str) {
    let (raw_name, name) = (raw.to_string_lossy(), file.to_string_lossy());
    if format != "vpc" {
        // QEMU has no check of a VHD.
        judge("qemu-utils", &["qemu-img", "check", "-f", format, &name]);
    }
    let compare = ["qemu-img", "compare", "-f", "raw", "-F", format, &raw_name, &name];
    judge("qemu-utils", &compare);
    let info = judge(
        "qemu-utils",
        &["qemu-img", "info", "--output=json", "-f", format, &name],
    );
    let size = format!("\"virtual-size\": {}", fs::metadata(raw).unwrap().len());
    assert!(info.contains(&size), "{info}");
}

#[test]
fn judges_of_disks_agree() {
    let place = Place::new();
    let built = place
        .build(&image("vm", &PACKAGES, &FORMATS), &Packages::bootable())
        .unwrap();
    let raw = built.file(Format::Raw).unwrap();
    let raw_name = raw.to_string_lossy();

    for (format, theirs) in [
        (Format::Qcow2, "qcow2"),
        (Format::Vhd, "vpc"),
        (Format::Vhdx, "vhdx"),
    ] {
        let file = built.file(format).unwrap();
        same_disk(&raw, &file, theirs);
        let sums = fs::read_to_string(built.dir.join("SHA256SUMS")).unwrap();
        assert!(sums.contains(&format!("  vm.{format}\n")), "{sums}");
    }
    let plain = place.dir.path().join("plain.qcow2");
    let target = formats::Target::Qcow2(Qcow2Compression::None);
    formats::write(&raw, target, &plain, &Interrupt::default()).unwrap();
    same_disk(&raw, &plain, "qcow2");
    let (small, large) = (built.file(Format::Qcow2).unwrap(), plain);
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    assert!(
        size(&small) < size(&large) / 2,
        "{} {}",
        size(&small),
        size(&large)
    );
    let vhd = fs::metadata(built.file(Format::Vhd).unwrap()).unwrap();
    assert_eq!(vhd.len(), (64 << 20) + 512);
    let vhdx = fs::metadata(built.file(Format::Vhdx).unwrap()).unwrap();
    assert!(vhdx.len() < 32 << 20, "zeros are left out: {}", vhdx.len());
    let said = judge("gdisk", &["sgdisk", "-v", &raw_name]);
    assert!(said.contains("No problems found"), "{said}");
    let said = judge("fdisk", &["sfdisk", "--verify", &raw_name]);
    assert!(said.contains("No errors detected"), "{said}");
    let table = judge("fdisk", &["sfdisk", "-d", &raw_name]);
    for text in [
        "start=        2048, size=       81920, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
        "start=       83968, size=       45056, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
        "attrs=\"GUID:60\"",
        "name=\"test\"",
    ] {
        assert!(table.contains(text), "{text} in\n{table}");
    }

    let esp = place.dir.path().join("esp");
    part(&raw, &esp, 1, 40);
    let esp = esp.to_string_lossy();
    let said = judge("dosfstools", &["fsck.fat", "-n", "-v", &esp]);
    assert!(!said.contains("Free cluster summary"), "{said}");
    let list = judge("mtools", &["mdir", "-/", "-b", "-i", &esp, "::"]);
    let names: Vec<&str> = list
        .lines()
        .map(str::trim)
        .filter(|line| !line.ends_with('/'))
        .collect();
    assert_eq!(
        names,
        [
            "::/EFI/BOOT/BOOTX64.EFI",
            "::/EFI/Linux/keel_0.1.efi",
            "::/loader/loader.conf"
        ]
    );

    let uki = place.dir.path().join("uki");
    let uki = uki.to_string_lossy();
    judge(
        "mtools",
        &["mcopy", "-n", "-i", &esp, "::EFI/Linux/keel_0.1.efi", &uki],
    );
    let sections = judge("binutils", &["objdump", "-h", &uki]);
    let order: Vec<usize> = [".text", ".osrel", ".cmdline", ".uname", ".linux"]
        .iter()
        .map(|name| {
            sections
                .find(name)
                .unwrap_or_else(|| panic!("{name} in {sections}"))
        })
        .collect();
    assert!(order.is_sorted(), "{sections}");
    let boot = built.boot.clone().unwrap();
    assert_eq!(boot.release, "6.12.0");
    let line = place.dir.path().join("cmdline");
    let dump = format!("--dump-section=.cmdline={}", line.display());
    judge("binutils", &["objcopy", "-O", "binary", &dump, &uki, "/dev/null"]);
    let line = fs::read_to_string(line).unwrap();
    assert_eq!(line.trim_end_matches('\0'), boot.cmdline);
    let root = table.lines().find(|line| line.contains("4F68BCE3")).unwrap();
    let guid = root
        .split("uuid=")
        .nth(1)
        .unwrap()
        .split(',')
        .next()
        .unwrap()
        .to_lowercase();
    assert_eq!(
        boot.cmdline,
        format!("root=PARTUUID={guid} rootfstype=erofs ro hard=1 console=ttyS0")
    );

    let root = place.dir.path().join("root");
    part(&raw, &root, 41, 22);
    judge("erofs-utils", &["fsck.erofs", &root.to_string_lossy()]);
    if is_root_or_says("the kernel mounts the EROFS and shows the tree") {
        mounted(&place, &root);
    }
}

fn mounted(place: &Place, root: &Path) {
    let at = place.dir.path().join("mnt");
    fs::create_dir(&at).unwrap();
    // In a mount namespace of its own, so that nothing is left whatever happens.
    let script = "mount -t erofs -o ro,loop \"$1\" \"$2\" && cd \"$2\" && cat usr/lib64/data etc/hostname && \
                  stat -c '%a %u %g' usr/share/tool/secret tmp && getcap usr/bin/tool && ls dev proc sys run var >/dev/null";
    let (root, at) = (root.to_string_lossy(), at.to_string_lossy());
    let said = judge(
        "util-linux libcap2-bin",
        &["unshare", "-m", "sh", "-c", script, "sh", &root, &at],
    );
    assert_eq!(
        said,
        "data\ntest\n640 2 5\n1777 0 0\nusr/bin/tool cap_net_raw=ep\n"
    );
}

#[test]
fn two_builds_of_a_disk_are_the_same() {
    let packages = Packages::bootable();
    let mut image = image("vm", &PACKAGES, &FORMATS);
    let (one, other) = (Place::new(), Place::new());
    let first = one.build(&image, &packages).unwrap();
    let second = other.build(&image, &packages).unwrap();
    assert_eq!(digests(&first.dir), digests(&second.dir));
    // And another word for the kernel is another image.
    image.os.kernel_command_line.push("quiet".into());
    let third = other.build(&image, &packages).unwrap();
    let raw = |built: &keel_image::Built| Sha256::of_file(&built.file(Format::Raw).unwrap()).unwrap().0;
    assert_ne!(raw(&first), raw(&third));
}

#[test]
fn a_disk_without_a_loader_starts_the_kernel_image_itself() {
    let place = Place::new();
    let mut image = image("vm", &PACKAGES, &[Format::Raw]);
    let disk = image.disk.as_mut().unwrap();
    (disk.boot, disk.size) = (Boot::Uki, None);
    let built = place.build(&image, &Packages::bootable()).unwrap();
    let raw = built.file(Format::Raw).unwrap();
    let size = fs::metadata(&raw).unwrap().len();
    assert!(size < 48 << 20, "as small as its content allows: {size}");
    judge("gdisk", &["sgdisk", "-v", &raw.to_string_lossy()]);
    let esp = place.dir.path().join("esp");
    part(&raw, &esp, 1, 40);
    let list = judge(
        "mtools",
        &["mdir", "-/", "-b", "-i", &esp.to_string_lossy(), "::"],
    );
    let names: Vec<&str> = list
        .lines()
        .map(str::trim)
        .filter(|line| !line.ends_with('/'))
        .collect();
    assert_eq!(names, ["::/EFI/BOOT/BOOTX64.EFI"]);
}

/// What `debugfs` says of the root.
pub fn debugfs(root: &Path, request: &str) -> String {
    judge("e2fsprogs", &["debugfs", "-R", request, &root.to_string_lossy()])
}

#[test]
fn a_root_that_is_written_to_is_an_ext4_that_grows() {
    let (packages, place, other) = (Packages::bootable(), Place::new(), Place::new());
    let mut image = image("vm", &PACKAGES, &[Format::Raw]);
    let disk = image.disk.as_mut().unwrap();
    (disk.root_fs, disk.size) = (FileSystem::Ext4, Some(200 << 20));
    image.os.hostname = Some("writable".into());
    let built = place.build(&image, &packages).unwrap();
    let again = other.build(&image, &packages).unwrap();
    assert_eq!(digests(&built.dir), digests(&again.dir));

    let raw = built.file(Format::Raw).unwrap();
    let raw_name = raw.to_string_lossy();
    let said = judge("gdisk", &["sgdisk", "-v", &raw_name]);
    assert!(said.contains("No problems found"), "{said}");
    // The whole rest of the disk; it grows (59), and is not read-only (60).
    let table = judge("fdisk", &["sfdisk", "-d", &raw_name]);
    let line = table.lines().find(|line| line.contains("4F68BCE3")).unwrap();
    assert!(
        line.contains("size=      323584") && line.contains("attrs=\"GUID:59\""),
        "{line}"
    );
    let guid = line
        .split("uuid=")
        .nth(1)
        .unwrap()
        .split(',')
        .next()
        .unwrap()
        .to_lowercase();
    let boot = built.boot.clone().unwrap();
    assert_eq!(
        boot.cmdline,
        format!("root=PARTUUID={guid} rootfstype=ext4 rw hard=1 console=ttyS0")
    );

    let root = place.dir.path().join("root");
    part(&raw, &root, 41, 158);
    judge("e2fsprogs", &["e2fsck", "-f", "-n", &root.to_string_lossy()]);
    let fstab = debugfs(&root, "cat /etc/fstab");
    assert!(
        fstab.contains(&format!("PARTUUID={guid} / ext4 defaults,x-systemd.growfs 0 1\n")),
        "{fstab}"
    );
    let secret = debugfs(&root, "stat /usr/share/tool/secret");
    assert!(
        secret.contains("Mode:  0640") && secret.contains("User:     2   Group:     5"),
        "{secret}"
    );
    assert!(debugfs(&root, "stat /usr/bin/tool").contains("security.capability"));
    assert_eq!(
        built.changed["identity"]
            .iter()
            .filter(|path| path.as_str() == "/etc/fstab")
            .count(),
        1
    );
}

#[test]
fn without_a_size_an_ext4_has_room() {
    let place = Place::new();
    let mut image = image("vm", &PACKAGES, &[Format::Raw]);
    let disk = image.disk.as_mut().unwrap();
    (disk.root_fs, disk.size) = (FileSystem::Ext4, None);
    let built = place.build(&image, &Packages::bootable()).unwrap();
    let raw = built.file(Format::Raw).unwrap();
    let mib = fs::metadata(&raw).unwrap().len() >> 20;
    let root = place.dir.path().join("root");
    part(&raw, &root, 41, mib - 42);
    let said = judge("e2fsprogs", &["dumpe2fs", "-h", &root.to_string_lossy()]);
    let free = said
        .lines()
        .find_map(|line| line.strip_prefix("Free blocks:"))
        .unwrap();
    let free: u64 = free.trim().parse().unwrap();
    assert!((64 << 8..80 << 8).contains(&free), "{free} of {mib} MiB");
}

/// A partition of the definition's line `line`.
pub fn partition(
    line: u32,
    label: &str,
    size: PartitionSize,
    on_it: Option<(FileSystem, &str, &str)>,
) -> Partition {
    let content = match on_it {
        None => PartitionContent::Swap,
        Some((filesystem, place, options)) => PartitionContent::Mounted {
            filesystem,
            mount_point: place.parse().unwrap(),
            mount_options: (!options.is_empty()).then(|| options.to_owned()),
        },
    };
    let kind = match &content {
        PartitionContent::Swap => PartitionType::Swap,
        PartitionContent::Mounted { mount_point, .. } => PartitionType::of(mount_point),
    };
    Partition {
        label: label.into(),
        kind,
        size,
        content,
        defined_at: Location::line("vm.image.toml", line),
    }
}

#[test]
fn partitions_have_what_is_below_their_mount_points() {
    let (mut packages, place, other) = (Packages::bootable(), Place::new(), Place::new());
    packages.add("cache", "", "mkdir -p var/cache; echo c > var/cache/c", "/var");
    let mut image = image("vm", &["tool", "boot", "kernel", "cache"], &[Format::Raw]);
    let disk = image.disk.as_mut().unwrap();
    (disk.size, disk.root_size) = (Some(400 << 20), Some(24 << 20));
    disk.root_mount_options = Some("nodev".into());
    disk.partitions = vec![
        partition(
            1,
            "state",
            PartitionSize::Grow,
            Some((FileSystem::Ext4, "/var", "nodev,nosuid")),
        ),
        partition(
            2,
            "tools",
            PartitionSize::Fits,
            Some((FileSystem::Erofs, "/srv/tools", "")),
        ),
        partition(3, "mem", PartitionSize::Bytes(16 << 20), None),
        partition(
            4,
            "logs",
            PartitionSize::Bytes(64 << 20),
            Some((FileSystem::Ext4, "/var/log", "")),
        ),
    ];
    let built = place.build(&image, &packages).unwrap();
    let again = other.build(&image, &packages).unwrap();
    assert_eq!(digests(&built.dir), digests(&again.dir));

    let raw = built.file(Format::Raw).unwrap();
    let raw_name = raw.to_string_lossy();
    let said = judge("gdisk", &["sgdisk", "-v", &raw_name]);
    assert!(said.contains("No problems found"), "{said}");
    let table = judge("fdisk", &["sfdisk", "-d", &raw_name]);
    let value = |line: &str, key: &str| -> String {
        let rest = line.split(&format!("{key}=")).nth(1).unwrap_or_default();
        rest.split(',').next().unwrap().trim().to_owned()
    };
    let rows: Vec<(String, u64, u64, String)> = table
        .lines()
        .filter(|line| line.contains("start="))
        .map(|line| {
            let mib = |key| value(line, key).parse::<u64>().unwrap() / 2048;
            (
                value(line, "name"),
                mib("start"),
                mib("size"),
                value(line, "type"),
            )
        })
        .collect();
    let at = |name: &str| {
        rows.iter()
            .find(|row| row.0 == format!("\"{name}\""))
            .unwrap()
            .clone()
    };
    let order: Vec<&str> = rows.iter().map(|row| row.0.trim_matches('"')).collect();
    assert_eq!(order, ["esp", "tools", "mem", "logs", "test", "state"]);
    assert_eq!(at("test").2, 24);
    assert_eq!(at("mem").3, "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F");
    assert_eq!(at("state").3, "4D21B016-B534-45C2-A9FB-5C16E091FD2D");
    assert_eq!(at("tools").3, "0FC63DAF-8483-4772-8E79-3D69D8477DE4");
    assert_eq!(at("state").1 + at("state").2, 399, "it takes the rest");

    let file = |name: &str| {
        let (_, start, size, _) = at(name);
        let file = place.dir.path().join(name);
        part(&raw, &file, start, size);
        file
    };
    for (name, expected) in [
        ("state", &["lost+found", "cache", "log"][..]),
        ("logs", &["lost+found"]),
    ] {
        let file = file(name);
        judge("e2fsprogs", &["e2fsck", "-f", "-n", &file.to_string_lossy()]);
        let listed = debugfs(&file, "ls -p /");
        let names = listed.lines().filter_map(|line| line.split('/').nth(5));
        let names: Vec<&str> = names.filter(|name| !matches!(*name, "." | "..")).collect();
        assert_eq!(names, expected, "{listed}");
    }
    judge("erofs-utils", &["fsck.erofs", &file("tools").to_string_lossy()]);
    judge("erofs-utils", &["fsck.erofs", &file("test").to_string_lossy()]);
    let swap = judge("util-linux", &["swaplabel", &file("mem").to_string_lossy()]);
    assert!(swap.contains("LABEL: mem"), "{swap}");

    let unpacked = place.dir.path().join("unpacked");
    let extract = format!("--extract={}", unpacked.display());
    judge(
        "erofs-utils",
        &["fsck.erofs", &extract, &file("test").to_string_lossy()],
    );
    let fstab = fs::read_to_string(unpacked.join("etc/fstab")).unwrap();
    let guid = |name: &str| {
        let line = table
            .lines()
            .find(|line| line.contains(&format!("name=\"{name}\"")))
            .unwrap();
        value(line, "uuid").to_lowercase()
    };
    let expected = [
        format!("PARTUUID={} / erofs nodev 0 0", guid("test")),
        format!("PARTUUID={} /srv/tools erofs defaults 0 0", guid("tools")),
        format!(
            "PARTUUID={} /var ext4 nodev,nosuid,x-systemd.growfs 0 2",
            guid("state")
        ),
        format!("PARTUUID={} /var/log ext4 defaults 0 2", guid("logs")),
    ];
    let (swap, mounts): (Vec<&str>, Vec<&str>) = fstab.lines().partition(|line| line.contains(" swap "));
    assert_eq!(mounts, expected);
    assert_eq!(swap, [format!("PARTUUID={} none swap defaults 0 0", guid("mem"))]);
    assert_eq!(fs::read_dir(unpacked.join("srv/tools")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(unpacked.join("var")).unwrap().count(), 0);
}
