//! What must not become an image, and what the user is told.

use std::fs;

use keel_artefact::Sha256;
use keel_config::image::{FileSystem, Format, partition::PartitionSize};

use crate::disk::partition;
use crate::fixture::{Packages, Place, image, message, path};

/// The message of a build that must fail, and leave nothing.
fn refused(packages: &Packages, names: &[&str], formats: &[Format]) -> String {
    let place = Place::new();
    let error = place.build(&image("bad", names, formats), packages).unwrap_err();
    let left = fs::read_dir(place.out())
        .map(|entries| entries.count())
        .unwrap_or(0);
    assert_eq!(left, 0, "nothing half-made is left");
    message(&error)
}

#[test]
fn packages_that_do_not_fit_are_named() {
    let mut packages = Packages::base();
    packages.add(
        "thief",
        "",
        "mkdir -p usr/share/tool; echo other > usr/share/tool/secret",
        "/usr/share/tool/secret",
    );
    packages.add("folder", "", "mkdir -p usr/bin/tool", "/usr/bin/tool");
    packages.add("ghost", "", "touch x", "%attr(-,nobody,root) /x");
    packages.add("script", "", "", "\n%post -p /bin/sh\ntrue\n");
    packages.add(
        "lonely",
        "Requires: libnothing.so.1()(64bit)\nRequires: tool >= 9",
        "",
        "",
    );
    packages.add(
        "number",
        "",
        "mkdir -p usr/lib/sysusers.d; echo 'u loose -' > usr/lib/sysusers.d/n.conf",
        "/usr/lib/sysusers.d/n.conf",
    );
    for (names, expected) in [
        (
            &["tool", "thief"][..],
            "`thief-1-1.noarch` and `tool-1-1.noarch` both have `/usr/share/tool/secret`, and their contents differ",
        ),
        (
            &["tool", "folder"],
            "both have `/usr/bin/tool`, and it is a folder in one and a file in the other",
        ),
        (
            &["base", "ghost"],
            "package `ghost`: `/x` belongs to user `nobody`, which no sysusers.d file of the image declares",
        ),
        (&["script"], "package `script-1-1.noarch` has scriptlets"),
        (
            &["lonely"],
            "`lonely-1-1.noarch` requires `libnothing.so.1()(64bit)`, which no package of the repository provides",
        ),
        (
            &["lonely"],
            "requires `tool >= 9`, which no package of the repository provides (the newest there is `tool-1-1.noarch`)",
        ),
        (
            &["number"],
            "`/usr/lib/sysusers.d/n.conf` line 1: `loose` has no fixed number",
        ),
        (&["nothing"], "the image requires `nothing`"),
    ] {
        let found = refused(&packages, names, &[Format::Oci]);
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn a_disk_that_is_too_small_says_what_is_large() {
    let packages = Packages::bootable();
    let place = Place::new();
    let mut small = image("vm", &["tool", "boot", "kernel"], &[Format::Raw]);
    small.disk.as_mut().unwrap().size = Some(42 << 20);
    let found = message(&place.build(&small, &packages).unwrap_err());
    assert!(
        found.contains("image `vm` does not fit: the disk needs 43 of 42 MiB, 1 MiB are missing"),
        "{found}"
    );
    assert!(found.contains("kernel-1-1.noarch 3 MiB"), "{found}");
    small.disk.as_mut().unwrap().esp_size = 3 << 20;
    let found = message(&place.build(&small, &packages).unwrap_err());
    assert!(
        found.contains("the EFI system partition needs 4 of 3 MiB, 1 MiB are missing. "),
        "{found}"
    );
    assert!(found.contains("EFI/Linux/keel_0.1.efi has 3 MiB"), "{found}");
}

#[test]
fn an_ext4_that_has_no_room_says_how_much_is_missing() {
    let (packages, place) = (Packages::bootable(), Place::new());
    let mut small = image("vm", &["tool", "boot", "kernel"], &[Format::Raw]);
    let disk = small.disk.as_mut().unwrap();
    (disk.root_fs, disk.size) = (FileSystem::Ext4, Some(50 << 20));
    let found = message(&place.build(&small, &packages).unwrap_err());
    let needs: u64 = (found.split("the disk needs ").nth(1))
        .and_then(|rest| rest.split(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("{found}"));
    let missing = format!("needs {needs} of 50 MiB, {} MiB are missing. ", needs - 50);
    assert!(found.contains(&missing) && found.contains("the root "), "{found}");
    // With so much more, it is made.
    small.disk.as_mut().unwrap().size = Some(needs << 20);
    place.build(&small, &packages).unwrap();
}

#[test]
fn partitions_that_do_not_fit_are_named() {
    let packages = Packages::bootable();
    let ext4 = |place| Some((FileSystem::Ext4, place, ""));
    for (partitions, expected) in [
        (
            vec![partition(7, "small", PartitionSize::Bytes(1 << 20), ext4("/var"))],
            &["partition `small` needs ", " of 1 MiB, ", "Raise its `size`"][..],
        ),
        (
            vec![partition(
                7,
                "large",
                PartitionSize::Bytes(300 << 20),
                ext4("/var"),
            )],
            &[
                "the disk needs 343 of 64 MiB, 279 MiB are missing. ",
                "partition `large` 300 MiB",
            ],
        ),
        (
            vec![
                partition(7, "linked", PartitionSize::Fits, ext4("/bin/x")),
                partition(9, "file", PartitionSize::Fits, ext4("/usr/lib/os-release")),
            ],
            &[
                "partition `linked` cannot be mounted at `/bin/x`: a symbolic link leads from it to `/usr/bin/x`\n  vm.image.toml:7",
                "partition `file` cannot be mounted at `/usr/lib/os-release`: it is a file\n  vm.image.toml:9",
            ],
        ),
    ] {
        let place = Place::new();
        let mut vm = image("vm", &["tool", "boot", "kernel"], &[Format::Raw]);
        vm.disk.as_mut().unwrap().partitions = partitions;
        let found = message(&place.build(&vm, &packages).unwrap_err());
        for expected in expected {
            assert!(found.contains(expected), "{expected}\n{found}");
        }
    }
    let mut vm = image("vm", &["tool", "boot", "kernel"], &[Format::Raw]);
    let disk = vm.disk.as_mut().unwrap();
    disk.size = Some(8 << 40);
    disk.partitions = vec![partition(7, "huge", PartitionSize::Grow, ext4("/var"))];
    let found = message(&Place::new().build(&vm, &packages).unwrap_err());
    assert!(found.contains("partition `huge` has 819"), "{found}");
    assert!(found.contains("an ext4 of Keel's less than 4096"), "{found}");
}

#[test]
fn a_disk_needs_a_kernel_and_a_stub() {
    let packages = Packages::bootable();
    for (names, expected) in [
        (&["tool", "boot"][..], "has no kernel of package `kernel`"),
        (
            &["tool", "kernel"],
            "has no `/usr/lib/systemd/boot/efi/linuxx64.efi.stub`: add the package",
        ),
    ] {
        let found = refused(&packages, names, &[Format::Raw]);
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn nothing_borrowed_leaves() {
    let mut packages = Packages::base();
    packages.add(
        "borrowed",
        "AutoReqProv: no",
        "mkdir -p usr/bin; cp /bin/true usr/bin/true",
        "/usr/bin/true",
    );
    let mut place = Place::new();
    place.tools.foreign.digests.insert(
        Sha256::of_file(&fs::canonicalize("/bin/true").unwrap())
            .unwrap()
            .0,
    );
    let image = image("box", &["base", "borrowed"], &[Format::Oci]);
    let found = message(&place.build(&image, &packages).unwrap_err());
    let at = path("/usr/bin/true");
    assert!(
        found.contains(&format!(
            "`{at}` (borrowed-1-1.noarch): it is a file of stage0, byte for byte"
        )),
        "{found}"
    );
    assert!(
        found.contains("it needs `libc.so.6`, which is not in the image"),
        "{found}"
    );
    assert!(
        found.contains("its loader `/lib64/ld-linux-x86-64.so.2` is not in the image"),
        "{found}"
    );
}

#[test]
fn a_package_that_changed_since_is_refused() {
    let packages = Packages::base();
    let file = &packages.all[1].file;
    let mut bytes = fs::read(file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(file, bytes).unwrap();
    let found = refused(&packages, &["tool"], &[Format::Oci]);
    assert!(
        found.contains("the file is not the one that the repository lists"),
        "{found}"
    );
}

#[test]
fn a_file_system_that_lost_a_file_is_refused() {
    let mut place = Place::new();
    place.tools.damaged = Some("usr/lib64/data");
    let image = image("vm", &["tool", "boot", "kernel"], &[Format::Raw]);
    let found = message(&place.build(&image, &Packages::bootable()).unwrap_err());
    assert!(
        found.contains("mkfs.erofs wrote `/usr/lib64/data` wrongly"),
        "{found}"
    );
    let mut image = image;
    let disk = image.disk.as_mut().unwrap();
    (disk.root_fs, disk.size) = (FileSystem::Ext4, Some(200 << 20));
    let found = message(&place.build(&image, &Packages::bootable()).unwrap_err());
    assert!(
        found.contains("mke2fs wrote `/usr/lib64/data` wrongly (its content); image `vm` is not made"),
        "{found}"
    );
}
