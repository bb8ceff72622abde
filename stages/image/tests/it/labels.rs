//! Labels of SELinux, in every file that has any.

use std::path::Path;

use keel_config::{
    Location,
    image::{
        FileSystem, Format,
        os::{Selinux, SelinuxMode},
    },
};
use keel_image::{files, selinux::ATTRIBUTE};

use crate::{
    disk::{PACKAGES, debugfs, part},
    fixture::{Packages, Place, digests, image, judge, path},
};

const LINES: &str = "/.* u:r:default:s0\\n/ -d u:r:root:s0\\n/usr(/.*)? u:r:usr:s0\\n/usr/bin/.* -- u:r:bin:s0\\n/usr/bin -l u:r:link:s0\\n/tmp <<none>>\\n";

fn with_policy() -> Packages {
    let mut packages = Packages::bootable();
    packages.add(
        "policy",
        "",
        &format!(
            "mkdir -p etc/selinux/strict/contexts/files; cd etc/selinux; printf '{LINES}' > strict/contexts/files/file_contexts\n\
             printf '/bin /usr/bin\\n' > strict/contexts/files/file_contexts.subs_dist\n\
             printf 'SELINUXTYPE=strict\\nSELINUX=permissive\\n' > config"
        ),
        "/etc/selinux",
    );
    packages
}

fn open(image: &Path, scratch: &Path) -> files::Files {
    let options = files::Options {
        partition: None,
        arch: keel_artefact::Arch::X86_64,
        scratch,
    };
    files::open(image, &options, &Default::default()).unwrap()
}

/// The label of a path in an image.
fn label(files: &files::Files, at: &str) -> Option<String> {
    let label = files.entries()[&path(at)].xattrs.get(ATTRIBUTE)?;
    Some(String::from_utf8(label.clone()).unwrap())
}

#[test]
fn every_file_that_has_labels_has_the_policys() {
    let (packages, place, other) = (with_policy(), Place::new(), Place::new());
    let with = [PACKAGES.as_slice(), &["policy"]].concat();
    let formats = [
        Format::Oci,
        Format::OciArchive,
        Format::Tar,
        Format::Wsl,
        Format::Erofs,
        Format::Raw,
    ];
    let mut image = image("vm", &with, &formats);
    image.disk.as_mut().unwrap().root_fs = FileSystem::Ext4;
    image.os.selinux = Some(Selinux {
        mode: SelinuxMode::Enforcing,
        policy: None,
        defined_at: Location::line("vm.image.toml", 3),
    });
    let built = place.build(&image, &packages).unwrap();
    let again = other.build(&image, &packages).unwrap();
    assert_eq!(digests(&built.dir), digests(&again.dir));
    let labels = built.selinux.as_ref().unwrap();
    assert_eq!((labels.policy.as_str(), labels.unlabelled), ("strict", 1));
    assert!(labels.labelled > 50, "{labels:?}");
    assert_eq!(
        built.changed["selinux"].first().unwrap().as_str(),
        "/etc/selinux/config"
    );

    let root = place.dir.path().join("root");
    let raw = built.file(Format::Raw).unwrap();
    let table = judge("fdisk", &["sfdisk", "-d", &raw.to_string_lossy()]);
    let line = table.lines().find(|line| line.contains("4F68BCE3")).unwrap();
    let sectors: u64 = line
        .split("size=")
        .nth(1)
        .unwrap()
        .split(',')
        .next()
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    part(&raw, &root, 41, sectors / 2048);
    judge("e2fsprogs", &["e2fsck", "-f", "-n", &root.to_string_lossy()]);
    for (at, wanted) in [
        ("/", Some("u:r:root:s0\0")),
        ("/etc", Some("u:r:default:s0\0")),
        ("/usr", Some("u:r:usr:s0\0")),
        ("/usr/bin/tool", Some("u:r:bin:s0\0")),
        ("/usr/share/tool/ünï", Some("u:r:usr:s0\0")),
        ("/bin", Some("u:r:link:s0\0")),
        ("/tmp", None),
    ] {
        for format in [Format::Tar, Format::Erofs] {
            let files = open(&built.file(format).unwrap(), place.dir.path());
            assert_eq!(label(&files, at).as_deref(), wanted, "{at} in {format}");
        }
        // Another reader than Keel's own, which the ext4 was compared with.
        let said = debugfs(&root, &format!("ea_get \"{at}\" {ATTRIBUTE}"));
        let wanted = wanted.map(|label| label.replace('\0', "\\000"));
        assert_eq!(
            said.contains(&format!("= \"{}\"", wanted.clone().unwrap_or_default())),
            wanted.is_some(),
            "{at}: {said}"
        );
    }
    for format in [Format::Oci, Format::OciArchive, Format::Wsl] {
        let files = open(&built.file(format).unwrap(), place.dir.path());
        let entries = files.entries();
        assert!(
            entries
                .values()
                .all(|entry| !entry.xattrs.contains_key(ATTRIBUTE)),
            "{format}"
        );
        let capabilities = entries[&path("/usr/bin/tool")]
            .xattrs
            .contains_key("security.capability");
        assert!(capabilities, "other attributes stay in {format}");
    }
}

#[test]
fn an_image_without_what_it_asks_for_is_not_made() {
    let place = Place::new();
    let mut image = image("vm", &PACKAGES, &[Format::Raw]);
    image.os.selinux = Some(Selinux {
        mode: SelinuxMode::Enforcing,
        policy: None,
        defined_at: Location::line("vm.image.toml", 3),
    });
    let told = place
        .build(&image, &Packages::bootable())
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("vm.image.toml:3") && told.contains("no package of the image has a policy of SELinux"),
        "{told}"
    );
    assert!(!place.out().join("vm").exists());
}
