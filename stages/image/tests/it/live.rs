//! Live systems: a medium and what the network gives, judged by the programs that read them.

use std::fs;

use keel_config::{
    Location,
    image::{
        FileSystem, Firmware, Format, Image, Live,
        os::{Content, File, Owner},
    },
};

use crate::fixture::{Packages, Place, digests, image, judge};

const PACKAGES: [&str; 4] = ["tool", "boot", "kernel", "grub"];

/// What a live system needs: something like GRUB for BIOS, and a first process.
fn packages() -> Packages {
    let mut new = Packages::bootable();
    new.add(
        "grub",
        "",
        "mkdir -p usr/lib/grub/i386-pc; yes grub | head -c 40000 > usr/lib/grub/i386-pc/eltorito.img\n\
         yes mbr | head -c 440 > usr/lib/grub/i386-pc/boot_hybrid.img\n\
         head -c 70 /dev/zero >> usr/lib/grub/i386-pc/boot_hybrid.img\n\
         printf '\\125\\252' >> usr/lib/grub/i386-pc/boot_hybrid.img",
        "/usr/lib/grub",
    );
    new.add(
        "start",
        "Requires: base",
        "mkdir -p usr/lib/start; printf '#!/bin/sh\\n' > usr/lib/start/init; chmod 755 usr/lib/start/init",
        "/usr/lib/start",
    );
    new
}

fn live(formats: &[Format], root_fs: FileSystem) -> Image {
    let mut image = image("a.live-one", &PACKAGES, formats);
    image.live = Some(Live {
        root_fs,
        kernel: Some("kernel".parse().unwrap()),
        initrd_packages: vec!["start".parse().unwrap()],
        init: "/usr/lib/start/init".parse().unwrap(),
        kernel_command_line: vec!["it's=$1".into()],
        firmware: vec![Firmware::Uefi, Firmware::Bios],
        additional_files: vec![File {
            content: Content::Text("read this\n".into()),
            destination: "/docs/README".parse().unwrap(),
            permissions: None,
            owner: Owner::default(),
            defined_at: Location::file("test.toml"),
        }],
    });
    image
}

#[test]
fn judges_of_a_medium_agree() {
    let place = Place::new();
    let built = place
        .build(&live(&[Format::Iso], FileSystem::Squashfs), &packages())
        .unwrap();
    let iso = built.file(Format::Iso).unwrap();
    let iso = iso.to_string_lossy();

    let said = judge(
        "xorriso",
        &["xorriso", "-indev", &iso, "-report_el_torito", "plain"],
    );
    for text in [
        "El Torito boot img :   1  BIOS",
        "El Torito boot img :   2  UEFI",
        "grub2-boot-info",
    ] {
        assert!(said.contains(text), "{text} in\n{said}");
    }
    let said = judge("xorriso", &["xorriso", "-indev", &iso, "-pvd_info"]);
    let volume = said
        .lines()
        .find_map(|line| line.strip_prefix("Volume Id    : "))
        .unwrap();
    assert!(
        volume.starts_with("A_LIVE_ONE_") && volume.len() == 19,
        "{volume}"
    );
    let said = judge("gdisk", &["sgdisk", "-v", &iso]);
    assert!(said.contains("No problems found"), "{said}");
    let table = judge("fdisk", &["sfdisk", "-J", &iso]);
    assert!(table.contains("C12A7328-F81F-11D2-BA4B-00A0C93EC93B"), "{table}");

    let out = place.dir.path().join("medium");
    let to = out.to_string_lossy();
    judge(
        "xorriso",
        &["xorriso", "-osirrox", "on", "-indev", &iso, "-extract", "/", &to],
    );
    let text = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert_eq!(text("docs/README"), "read this\n");
    let menu = text("boot/grub/grub.cfg");
    let line = format!("linux /boot/vmlinuz keel.live={volume} console=tty0 hard=1 'it'\\''s=$1'\n");
    assert!(menu.contains(&line), "{line} in\n{menu}");
    let beside = built.boot.as_ref().unwrap();
    assert_eq!(
        beside.cmdline,
        format!("keel.live={volume} console=tty0 hard=1 it's=$1")
    );
    let same =
        |name: &str, file: &str| fs::read(out.join(name)).unwrap() == fs::read(built.dir.join(file)).unwrap();
    assert!(same("boot/vmlinuz", &beside.kernel));
    assert!(same("boot/initrd", beside.initrd.as_ref().unwrap()));

    let root = out.join("live/root.img");
    let listed = judge("squashfs-tools", &["unsquashfs", "-lln", &root.to_string_lossy()]);
    for text in [
        "-rw-r----- 2/5",
        "squashfs-root/usr/share/tool/secret",
        "drwxrwxrwt 0/0",
    ] {
        assert!(listed.contains(text), "{text} in\n{listed}");
    }
    let esp = place.dir.path().join("esp");
    let said = judge(
        "xorriso",
        &[
            "xorriso",
            "-osirrox",
            "on",
            "-indev",
            &iso,
            "-extract_boot_images",
            &esp.to_string_lossy(),
        ],
    );
    let image = fs::read_dir(&esp).unwrap().map(|entry| entry.unwrap().path());
    let image = image
        .into_iter()
        .find(|path| path.to_string_lossy().contains("uefi"));
    let image = image.unwrap_or_else(|| panic!("{said}"));
    judge("dosfstools", &["fsck.fat", "-n", &image.to_string_lossy()]);
    let names = judge(
        "mtools",
        &["mdir", "-b", "-i", &image.to_string_lossy(), "::/EFI/BOOT"],
    );
    assert!(names.contains("BOOTX64.EFI"), "{names}");
}

#[test]
fn what_the_network_gives_has_the_root_in_it() {
    let place = Place::new();
    let built = place
        .build(&live(&[Format::Pxe], FileSystem::Erofs), &packages())
        .unwrap();
    let read = |name: &str| fs::read(built.dir.join(name)).unwrap();
    let script = String::from_utf8(read("a.live-one.ipxe")).unwrap();
    let line = "kernel a.live-one.vmlinuz initrd=a.live-one.pxe.initrd keel.live=initrd console=tty0 hard=1 it's=$1\n\
                initrd a.live-one.pxe.initrd\n";
    assert!(
        script.starts_with("#!ipxe\n") && script.contains(line),
        "{script}"
    );
    let options = keel_image::files::Options {
        partition: None,
        arch: keel_artefact::Arch::X86_64,
        scratch: place.dir.path(),
    };
    let initrd = built.dir.join("a.live-one.pxe.initrd");
    let mut files = keel_image::files::open(&initrd, &options, &Default::default()).unwrap();
    let (id, size) = files.file("/live/root.img").unwrap();
    let root = files.whole(id, size, 1 << 30).unwrap().unwrap();
    let (init, size) = files.file("/init").unwrap();
    assert_eq!(files.whole(init, size, 100).unwrap().unwrap(), b"#!/bin/sh\n");
    let path = place.dir.path().join("root.img");
    fs::write(&path, root).unwrap();
    judge("erofs-utils", &["fsck.erofs", &path.to_string_lossy()]);
    let unified = read("a.live-one.pxe.efi");
    let whole = read("a.live-one.pxe.initrd");
    let is_in = |needle: &[u8]| unified.windows(needle.len()).any(|window| window == needle);
    assert!(is_in(&whole[..64]) && is_in(b"keel.live=initrd "));
    assert!(
        built
            .packages
            .iter()
            .any(|package| package.nevra.name.as_str() == "start")
    );
    assert!(
        files.entries().keys().all(|path| path.file_name() != "tool"),
        "the root's packages are in the root alone"
    );
}

#[test]
fn live_systems_are_the_same_bytes_twice() {
    let make = || {
        let place = Place::new();
        let formats = [Format::Iso, Format::Pxe, Format::Squashfs, Format::Erofs];
        let built = place
            .build(&live(&formats, FileSystem::Erofs), &packages())
            .unwrap();
        // A medium is not a matter of when it is made.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        digests(&built.dir)
    };
    let one = make();
    assert!(one.keys().any(|name| name.ends_with(".iso")), "{one:?}");
    assert_eq!(one, make());
}

#[test]
fn what_a_live_system_lacks_is_told() {
    let place = Place::new();
    let fails = |image: &Image, packages: &Packages| {
        let error = place.build(image, packages).unwrap_err();
        assert!(!place.dir.path().join("images/a.live-one").exists());
        let all = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
        all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    };
    let mut image = live(&[Format::Iso], FileSystem::Erofs);
    image.packages.retain(|name| name.as_str() != "grub");
    let said = fails(&image, &packages());
    assert!(
        said.contains("eltorito.img") && said.contains("grub2-pc"),
        "{said}"
    );
    if let Some(live) = &mut image.live {
        live.firmware = vec![Firmware::Uefi];
    }
    place.build(&image, &packages()).unwrap();
    fs::remove_dir_all(place.dir.path().join("images/a.live-one")).unwrap();
    let mut image = live(&[Format::Pxe], FileSystem::Erofs);
    if let Some(live) = &mut image.live {
        live.init = "/usr/lib/start/other".parse().unwrap();
    }
    let said = fails(&image, &packages());
    assert!(
        said.contains("`/usr/lib/start/other` in its initial RAM disk"),
        "{said}"
    );
    if let Some(live) = &mut image.live {
        live.initrd_packages = vec!["nothing".parse().unwrap()];
    }
    let said = fails(&image, &packages());
    assert!(said.contains("nothing"), "{said}");
}

#[test]
fn a_medium_is_looked_into() {
    let place = Place::new();
    let formats = [Format::Iso, Format::Pxe];
    let definition = live(&formats, FileSystem::Squashfs);
    let built = place.build(&definition, &packages()).unwrap();
    let iso = built.file(Format::Iso).unwrap();
    let found = keel_image::inspect::disk(&iso).unwrap().content;
    let medium = found.file_system.unwrap();
    assert_eq!(medium.kind, "iso9660");
    assert!(medium.label.unwrap().starts_with("A_LIVE_ONE_"));
    assert!(
        found.guid.is_some() && found.unread.is_empty(),
        "{:?}",
        found.unread
    );
    let kernels: Vec<_> = found.kernels.iter().map(|kernel| kernel.path.as_str()).collect();
    assert_eq!(kernels, ["/EFI/BOOT/BOOTX64.EFI"]);
    assert_eq!(
        found.kernels[0].cmdline,
        Some(built.boot.clone().unwrap().cmdline)
    );

    let told = keel_image::inspect::image(&built, place.dir.path(), &Default::default()).unwrap();
    let looked: Vec<_> = told
        .files
        .iter()
        .filter(|file| file.found.is_some())
        .map(|file| file.name.as_str())
        .collect();
    assert_eq!(
        looked,
        ["a.live-one.initrd", "a.live-one.iso", "a.live-one.pxe.initrd"]
    );

    // Its page is of the root, not of the medium.
    let page =
        keel_image::describe::describe(&definition, &built, place.dir.path(), &Default::default()).unwrap();
    let privileged: Vec<_> = page.privileged.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(privileged, ["/usr/bin/tool"]);
}
