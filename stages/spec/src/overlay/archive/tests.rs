use std::path::PathBuf;

use keel_config::Location;

use super::*;

struct Work {
    temp: tempfile::TempDir,
}

impl Work {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        fs_err::create_dir(temp.path().join("in")).unwrap();
        Self { temp }
    }

    fn path(&self) -> PathBuf {
        self.temp.path().join("in")
    }

    fn archive(&self, name: &str, compression: Compression, fill: impl FnOnce(&mut tar::Builder<Vec<u8>>)) {
        let mut builder = tar::Builder::new(Vec::new());
        fill(&mut builder);
        let bytes = builder.into_inner().unwrap();
        let bytes = match compression {
            Compression::None => bytes,
            Compression::Gzip => {
                let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                out.write_all(&bytes).unwrap();
                out.finish().unwrap()
            }
            Compression::Xz => {
                let mut out = liblzma::write::XzEncoder::new(Vec::new(), 1);
                out.write_all(&bytes).unwrap();
                out.finish().unwrap()
            }
            Compression::Zstd => zstd::encode_all(&bytes[..], 1).unwrap(),
        };
        fs_err::write(self.path().join(name), bytes).unwrap();
    }

    fn apply(&self, overlays: &[Overlay]) -> Result<Vec<Repacked>, Error> {
        let folder = Folder::open(&self.path()).unwrap();
        let done = apply(
            &folder,
            &self.temp.path().join("scratch"),
            overlays,
            Semantics::Lines,
        );
        assert!(!self.temp.path().join("scratch").exists());
        let left = fs_err::read_dir(self.path()).unwrap().count();
        assert_eq!(left, 1, "nothing half-made stays");
        done
    }

    fn list(&self, name: &str) -> Vec<(String, u32, u64, String)> {
        let file = fs_err::File::open(self.path().join(name)).unwrap();
        let (file, _) = file.into_parts();
        let mut magic = [0; 6];
        (&file).read_exact(&mut magic).unwrap();
        (&file).rewind().unwrap();
        let reader: Box<dyn io::Read> = match Compression::of(&magic) {
            Compression::None => Box::new(file),
            Compression::Gzip => Box::new(flate2::read::GzDecoder::new(file)),
            Compression::Xz => Box::new(liblzma::read::XzDecoder::new(file)),
            Compression::Zstd => Box::new(zstd::Decoder::new(file).unwrap()),
        };
        let mut archive = tar::Archive::new(reader);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
            let (mode, time) = (header.mode().unwrap(), header.mtime().unwrap());
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let mut text = String::new();
            match entry.link_name_bytes() {
                Some(link) => text = String::from_utf8_lossy(&link).into_owned(),
                None => drop(entry.read_to_string(&mut text).unwrap()),
            }
            (path, mode, time, text)
        });
        entries.collect()
    }
}

fn file(builder: &mut tar::Builder<Vec<u8>>, name: &str, mode: u32, text: &str) {
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(mode);
    header.set_mtime(12345);
    header.set_uid(1000);
    header.set_gid(1000);
    // Names that the crate itself would not write.
    let field = &mut header.as_old_mut().name;
    field[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    builder.append(&header, text.as_bytes()).unwrap();
}

fn special(builder: &mut tar::Builder<Vec<u8>>, name: &str, kind: tar::EntryType, target: &str) {
    let mut header = tar::Header::new_gnu();
    header.set_size(0);
    header.set_mode(0o777);
    header.set_entry_type(kind);
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_cksum();
    builder.append(&header, io::empty()).unwrap();
}

fn overlay(archive: &str, change: Change) -> Overlay {
    Overlay {
        change,
        description: None,
        archive: Some(archive.to_owned()),
        metadata: None,
        defined_at: Location::line("a.toml", 3),
    }
}

fn remove(archive: &str, file: &str) -> Overlay {
    overlay(
        archive,
        Change::FileRemove {
            file: file.to_owned(),
        },
    )
}

fn replace(archive: &str, file: &str, regex: &str) -> Overlay {
    let change = Change::FileSearchReplace {
        file: file.to_owned(),
        regex: regex.to_owned(),
        replacement: "new".to_owned(),
    };
    overlay(archive, change)
}

#[test]
fn archives_are_changed_and_packed_the_same_way_twice() {
    for (name, compression) in [
        ("a.tar", Compression::None),
        ("a.tgz", Compression::Gzip),
        ("a.tar.xz", Compression::Xz),
        ("a.tar.zst", Compression::Zstd),
        // The name lies: what the file begins with counts.
        ("a.txz", Compression::None),
    ] {
        let mut digests = Vec::new();
        for turned in [false, true] {
            let work = Work::new();
            work.archive(name, compression, |builder| {
                let files: [(&str, u32, &str); 3] = [
                    ("p-1/z", 0o755, "z"),
                    ("p-1/sub/a", 0o600, "old old"),
                    ("p-1/gone", 0o644, "g"),
                ];
                let order: Vec<_> = match turned {
                    true => files.iter().rev().collect(),
                    false => files.iter().collect(),
                };
                for (name, mode, text) in order {
                    file(builder, name, *mode, text);
                }
                special(builder, "p-1/link", tar::EntryType::Symlink, "sub/a");
            });
            let done = work
                .apply(&[replace(name, "sub/*", "old"), remove(name, "gone")])
                .unwrap();
            let [one] = done.as_slice() else { panic!() };
            assert_eq!(one.overlays.len(), 2);
            let bytes = fs_err::read(work.path().join(name)).unwrap();
            assert_eq!(one.sha256, hex::encode(Sha256::digest(&bytes)));
            assert_eq!(one.sha512, hex::encode(Sha512::digest(&bytes)));
            assert_eq!(Compression::of(&bytes), compression);
            let listed = work.list(name);
            let expected = [
                ("p-1/", 0o755, ""),
                ("p-1/link", 0o777, "sub/a"),
                ("p-1/sub/", 0o755, ""),
                ("p-1/sub/a", 0o600, "new new"),
                ("p-1/z", 0o755, "z"),
            ];
            let expected = expected.map(|(path, mode, text)| (path.to_owned(), mode, 0, text.to_owned()));
            assert_eq!(listed, expected, "{name}");
            digests.push(one.sha256.clone());
        }
        assert_eq!(digests[0], digests[1]);
    }
}

#[test]
fn several_folders_at_the_top_are_all_of_it() {
    let work = Work::new();
    work.archive("a.tar", Compression::None, |builder| {
        file(builder, "p/a", 0o644, "old");
        file(builder, "q/a", 0o644, "old");
    });
    work.apply(&[replace("a.tar", "q/a", "old")]).unwrap();
    let texts: Vec<String> = work.list("a.tar").into_iter().map(|entry| entry.3).collect();
    assert_eq!(texts, ["", "old", "", "new"]);
}

#[test]
fn what_is_hostile_or_would_be_lost_is_refused() {
    use tar::EntryType as T;
    type Fill<'f> = &'f dyn Fn(&mut tar::Builder<Vec<u8>>);
    let cases: [(&str, Fill<'_>); 10] = [
        ("../x", &|builder| file(builder, "../x", 0o644, "x")),
        ("absolute", &|builder| file(builder, "/tmp/keel-x", 0o644, "x")),
        ("hard link", &|builder| special(builder, "p/h", T::Link, "p/a")),
        ("device", &|builder| special(builder, "p/d", T::Char, "")),
        ("fifo", &|builder| special(builder, "p/f", T::Fifo, "")),
        ("sparse", &|builder| special(builder, "p/f", T::GNUSparse, "")),
        ("absolute link", &|builder| {
            special(builder, "p/l", T::Symlink, "/etc")
        }),
        ("link out", &|builder| {
            special(builder, "p/l", T::Symlink, "../../x")
        }),
        ("below a link", &|builder| {
            special(builder, "p/l", T::Symlink, "sub");
            file(builder, "p/l/x", 0o644, "x");
        }),
        ("below a file", &|builder| {
            file(builder, "p/f", 0o644, "x");
            file(builder, "p/f/x", 0o644, "x");
        }),
    ];
    for (what, fill) in cases {
        let work = Work::new();
        work.archive("a.tar", Compression::None, |builder| {
            file(builder, "p/a", 0o644, "old");
            fill(builder);
        });
        let before = fs_err::read(work.path().join("a.tar")).unwrap();
        let error = work.apply(&[replace("a.tar", "a", "old")]).unwrap_err();
        assert_eq!(error.kind, Kind::Archive, "{what}: {error}");
        assert_eq!(fs_err::read(work.path().join("a.tar")).unwrap(), before, "{what}");
        assert!(!Path::new("/tmp/keel-x").exists());
    }
}

#[test]
fn what_cannot_be_done_is_said() {
    let work = Work::new();
    work.archive("a.tar.gz", Compression::Gzip, |builder| {
        file(builder, "p/a", 0o644, "old")
    });
    let kinds = |overlay| work.apply(&[overlay]).unwrap_err().kind;
    assert_eq!(kinds(remove("a.zip", "a")), Kind::Name);
    assert_eq!(kinds(remove("../a.tar", "a")), Kind::Name);
    assert_eq!(kinds(remove("b.tar.gz", "a")), Kind::Archive);
    assert_eq!(kinds(remove("a.tar.gz", "b")), Kind::NoFile);
    assert_eq!(kinds(replace("a.tar.gz", "a", "none")), Kind::PatternNotFound);
    let lines = Vec::new();
    let file = "a".to_owned();
    assert_eq!(
        kinds(overlay("a.tar.gz", Change::FilePrependLines { file, lines })),
        Kind::NotPossible
    );
    fs_err::write(work.path().join("a.tar.gz"), b"\x1f\x8bnothing").unwrap();
    assert_eq!(kinds(remove("a.tar.gz", "a")), Kind::Archive);
}

#[test]
fn a_bomb_does_not_go_off() {
    let work = Work::new();
    let mut out = zstd::Encoder::new(Vec::new(), 19).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_path("p/zeros").unwrap();
    header.set_size(11 << 30);
    header.set_mode(0o644);
    header.set_cksum();
    out.write_all(header.as_bytes()).unwrap();
    fs_err::write(work.path().join("a.tar.zst"), out.finish().unwrap()).unwrap();
    let error = work.apply(&[remove("a.tar.zst", "*")]).unwrap_err();
    assert!(error.to_string().contains("too large"), "{error}");
}
