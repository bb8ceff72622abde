//! The files of archives, one over the other.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt as _,
};

use keel_artefact::{Interrupt, RootPath};

use super::{Contents, Entry, Kind, Listing, Names, error::damaged, resolve, under};

/// Before the name of what is taken away (OCI image specification, "Whiteouts").
const WHITEOUT: &str = ".wh.";
/// Everything of the layers below is taken away of this folder.
const OPAQUE: &str = ".wh..wh..opq";

/// The files of what was read so far.
pub(crate) struct Archive {
    names: Names,
    places: Places,
    interrupt: Interrupt,
}

/// Where the contents are: the number of the file, the first byte, how many.
struct Places {
    files: Vec<File>,
    places: Vec<(usize, u64)>,
    interrupt: Interrupt,
}

/// What an archive has of one name.
pub(crate) enum Member {
    /// This.
    Entry(Entry),
    /// The same file as that name.
    Link(RootPath),
}

impl Archive {
    pub(crate) fn new(interrupt: &Interrupt) -> Self {
        Self {
            names: Names::from([(RootPath::root(), Entry::folder())]),
            places: Places {
                files: Vec::new(),
                places: Vec::new(),
                interrupt: interrupt.clone(),
            },
            interrupt: interrupt.clone(),
        }
    }

    /// A file that contents lie in from now on.
    pub(super) fn file(&mut self, file: File) {
        self.places.files.push(file);
    }

    /// The content that begins at byte `at` of the last file.
    pub(super) fn content(&mut self, at: u64, size: u64) -> Kind {
        self.places.places.push((self.places.files.len() - 1, at));
        let id = self.places.places.len() as u64 - 1;
        Kind::File { id, size }
    }

    /// The first byte of a content in its file.
    pub(crate) fn place(&self, id: u64) -> Option<u64> {
        let place = usize::try_from(id).ok().and_then(|id| self.places.places.get(id));
        place.map(|(_, at)| *at)
    }

    /// Puts a layer over what is there; `whiteouts`: names may say what is taken away.
    pub(super) fn lay(&mut self, members: Vec<(RootPath, Member)>, whiteouts: bool) -> io::Result<()> {
        if whiteouts {
            for (path, _) in &members {
                self.interrupt.check().map_err(io::Error::other)?;
                self.take_away(path);
            }
        }
        for (path, member) in members {
            self.interrupt.check().map_err(io::Error::other)?;
            if !(whiteouts && path.file_name().starts_with(WHITEOUT)) {
                self.put(&path, member)?;
            }
        }
        Ok(())
    }

    fn take_away(&mut self, path: &RootPath) {
        let (Some(name), Some(folder)) = (path.file_name().strip_prefix(WHITEOUT), path.parent()) else {
            return;
        };
        let Some(folder) = resolve(&self.names, folder.as_str(), true) else {
            return;
        };
        if path.file_name() == OPAQUE {
            self.clear(&folder);
        } else if let Ok(path) = folder.join(name) {
            self.clear(&path);
            self.names.remove(&path);
        }
    }

    fn clear(&mut self, folder: &RootPath) {
        let all: Vec<RootPath> = under(&self.names, folder).cloned().collect();
        for path in all {
            self.names.remove(&path);
        }
    }

    /// As an unpacker would: links on the way are followed, inside the image.
    fn real(&self, path: &RootPath) -> io::Result<RootPath> {
        resolve(&self.names, path.as_str(), false)
            .ok_or_else(|| damaged(format!("`{path}` runs through symbolic links that go round")))
    }

    fn put(&mut self, path: &RootPath, member: Member) -> io::Result<()> {
        let path = self.real(path)?;
        let entry = match member {
            Member::Entry(entry) => entry,
            Member::Link(to) => {
                let known = self.names.get(&self.real(&to)?);
                let known = known.filter(|entry| entry.kind != Kind::Dir);
                known
                    .cloned()
                    .ok_or_else(|| damaged(format!("`{path}` is a link to `{to}`, which is not there")))?
            }
        };
        let mut above = path.parent();
        while let Some(folder) = above.take() {
            match self.names.get(&folder) {
                None => {
                    above = folder.parent();
                    self.names.insert(folder, Entry::folder());
                }
                Some(Entry { kind: Kind::Dir, .. }) => {}
                Some(_) => return Err(damaged(format!("`{path}` is in `{folder}`, which is no folder"))),
            }
        }
        if entry.kind != Kind::Dir {
            if path == RootPath::root() {
                return Err(damaged("its root is no folder"));
            }
            self.clear(&path);
        }
        self.names.insert(path, entry);
        Ok(())
    }

    /// All names, and their contents.
    pub(super) fn done(self) -> io::Result<(Names, Box<dyn Contents>)> {
        let mut listing = Listing::default();
        for (path, entry) in self.names {
            listing.add(path, entry)?;
        }
        Ok((listing.names, Box::new(self.places)))
    }
}

impl Contents for Places {
    fn copy(&mut self, id: u64, size: u64, out: &mut dyn Write) -> io::Result<()> {
        let place = usize::try_from(id).ok().and_then(|id| self.places.get(id));
        let (file, mut at) = *place.ok_or_else(|| damaged("a file without content"))?;
        let (mut buffer, mut left) = (vec![0; size.min(1 << 18) as usize], size);
        while left > 0 {
            self.interrupt.check().map_err(io::Error::other)?;
            let want = left.min(buffer.len() as u64) as usize;
            self.files[file].read_exact_at(&mut buffer[..want], at)?;
            out.write_all(&buffer[..want])?;
            at += want as u64;
            left -= want as u64;
        }
        Ok(())
    }
}

/// The path that an archive means with a name: `./a`, `a/`, `/a`. It does not lead out of the image.
pub(super) fn path(name: &[u8]) -> io::Result<RootPath> {
    let mut path = RootPath::root();
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                let name = String::from_utf8_lossy(name);
                return Err(damaged(format!("`{}` may lead out of it", name.escape_debug())));
            }
            part => path = Listing::path(&path, part)?,
        }
        if path.as_str().len() > 4096 {
            return Err(damaged("a name in it is longer than 4096 bytes"));
        }
    }
    Ok(path)
}

/// Where a symbolic link leads.
pub(super) fn target(bytes: &[u8]) -> io::Result<String> {
    let text = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| !text.is_empty() && !text.contains('\0'));
    let text = text.filter(|text| text.len() <= 4096);
    text.map(str::to_owned)
        .ok_or_else(|| damaged("a symbolic link in it leads nowhere that can be told"))
}

/// Attributes, of which each has one value.
pub(super) type Attributes = BTreeMap<String, Vec<u8>>;
