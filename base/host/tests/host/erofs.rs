//! File systems by stage0's mkfs.erofs.

use keel_artefact::{Epoch, Interrupt};
use keel_host::mkfs_erofs;

use crate::stage0::prepared;

/// A small archive with everything a root has: folders, files of all sizes, links, owners, times, capabilities.
pub fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |path: &str, kind: tar::EntryType, content: &[u8], link: Option<&str>| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(if kind == tar::EntryType::Directory {
            0o755
        } else {
            0o640
        });
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(1_700_000_000);
        header.set_size(content.len() as u64);
        match link {
            Some(link) => builder.append_link(&mut header, path, link).unwrap(),
            None => builder.append_data(&mut header, path, content).unwrap(),
        }
    };
    add("usr/", tar::EntryType::Directory, b"", None);
    for number in 0..200_u32 {
        let content: Vec<u8> = (0..number * number)
            .flat_map(|word| (word % 509).to_le_bytes())
            .collect();
        add(&format!("usr/{number}"), tar::EntryType::Regular, &content, None);
    }
    add("bin", tar::EntryType::Symlink, b"", Some("usr/bin"));
    add("usr/hard", tar::EntryType::Link, b"", Some("usr/3"));
    builder.into_inner().unwrap()
}

#[test]
fn an_erofs_is_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let tar = folder.path().join("root.tar");
    std::fs::write(&tar, archive()).unwrap();
    for compression in [
        mkfs_erofs::Compression::None,
        mkfs_erofs::Compression::Lz4hc,
        mkfs_erofs::Compression::Zstd,
    ] {
        let make = |name: &str| {
            let image = folder.path().join(name);
            let request = mkfs_erofs::Request {
                archive: &tar,
                image: &image,
                uuid: "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
                label: "keel-root",
                clock: Epoch(1_700_000_000),
                compression,
            };
            mkfs_erofs::make(prepared(), &request, &Interrupt::default()).unwrap();
            mkfs_erofs::check(prepared(), &image, &Interrupt::default()).unwrap();
            std::fs::read(image).unwrap()
        };
        let (one, other) = (make("one"), make("other"));
        println!("{compression:?}: {} bytes", one.len());
        assert!(one == other, "{compression:?} differs");
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        3,
        "nothing is left beside the images"
    );
}
