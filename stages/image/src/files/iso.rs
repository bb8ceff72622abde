//! Files of ISO 9660 with Rock Ridge, as media have them: real names, modes, owners, links.
//!
//! ISO 9660 by ECMA-119, System Use Sharing Protocol by SUSP 1.12, Rock Ridge by RRIP 1.12. Without Rock Ridge names are those of ISO
//! 9660, and all is root's. Not read: Joliet, files in several extents that are not behind each other, interleaved ones.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use super::{
    Contents, Entry, Kind, Names, archive,
    error::{damaged, unsupported},
    inodes::Inodes,
    le32,
    volume::Volume,
};

/// Bytes of a sector.
const SECTOR: u64 = 2048;
/// The first volume descriptor.
const DESCRIPTORS: u64 = 16;
/// So many of them at most.
const MOST_DESCRIPTORS: u64 = 64;
/// The largest folder.
const LARGEST: u64 = 64 << 20;
/// How often what belongs to a name goes on elsewhere.
const MOST_CONTINUED: usize = 32;

struct Iso {
    volume: Volume,
    /// Bytes of system use before its fields (`SP`); none: there is no Rock Ridge.
    skip: Option<usize>,
    /// Sizes of files by where they are.
    sizes: BTreeMap<u64, u64>,
}

/// All names of the medium.
pub(super) fn list(mut volume: Volume) -> io::Result<(Names, Box<dyn Contents>)> {
    let mut found = None;
    for number in 0..MOST_DESCRIPTORS {
        let at = (DESCRIPTORS + number) * SECTOR;
        let head = volume.bytes::<7>(at)?;
        match (&head[1..6], head[0]) {
            (b"CD001", 1) => {
                found = Some(at);
                break;
            }
            (b"CD001", 255) => break,
            (b"CD001", _) => {}
            _ => return Err(damaged("the volume descriptors of its ISO 9660")),
        }
    }
    let at = found.ok_or_else(|| damaged("its ISO 9660 has no primary volume descriptor"))?;
    let root = volume.bytes::<34>(at + 156)?;
    let mut system = Iso {
        volume,
        skip: None,
        sizes: BTreeMap::new(),
    };
    // The first record of the root tells whether there is more than ISO 9660.
    let place = u64::from(le32(&root, 2)) * SECTOR;
    let first = system.record(place)?;
    let own = system_use(&first);
    system.skip = match own {
        [b'S', b'P', 7, 1, 0xbe, 0xef, skip, ..] => Some(usize::from(*skip)),
        _ => None,
    };
    let names = system.names(Number::Root(place))?;
    Ok((names, Box::new(system)))
}

/// Where the record of a name is; of the root, where its content is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Number {
    Root(u64),
    At(u64),
}

/// What a record and its system use say.
struct Inode {
    is_folder: bool,
    at: u64,
    size: u64,
    mode: u32,
    owner: (u32, u32),
    device: (u32, u32),
    mtime: i64,
    target: Option<Vec<u8>>,
    /// A folder that was moved away, and the place of one.
    moved: Option<u64>,
}

/// What is behind a record's identifier.
fn system_use(record: &[u8]) -> &[u8] {
    let name = usize::from(record[32]);
    // To an even length, with the 33 bytes before it.
    record.get(33 + name + (name + 1) % 2..).unwrap_or_default()
}

impl Iso {
    fn record(&mut self, at: u64) -> io::Result<Vec<u8>> {
        let length = u64::from(self.volume.bytes::<1>(at)?[0]);
        let record = self.volume.vec(at, length)?;
        match length >= 34 && usize::from(record[32]) + 33 <= record.len() {
            true => Ok(record),
            false => Err(damaged("a record of a folder")),
        }
    }

    /// The fields of a record's system use, wherever they are: signature and content.
    fn fields(&mut self, record: &[u8], is_root: bool) -> io::Result<Vec<([u8; 2], Vec<u8>)>> {
        let Some(skip) = self.skip else {
            return Ok(Vec::new());
        };
        let own = system_use(record);
        let mut area = own
            .get(if is_root { 0 } else { skip }..)
            .unwrap_or_default()
            .to_vec();
        let mut all = Vec::new();
        for _ in 0..MOST_CONTINUED {
            let (mut rest, mut next) = (&area[..], None);
            while let [one, other, length, _, ..] = *rest {
                let Some(field) = rest.get(..usize::from(length)).filter(|field| field.len() >= 4) else {
                    break;
                };
                match &[one, other] {
                    b"CE" if field.len() >= 28 => {
                        let at = u64::from(le32(field, 4)) * SECTOR + u64::from(le32(field, 12));
                        next = Some((at, u64::from(le32(field, 20))));
                    }
                    b"ST" => break,
                    _ => all.push(([one, other], field[4..].to_vec())),
                }
                rest = &rest[usize::from(length)..];
            }
            match next {
                Some((at, length)) if length <= SECTOR => area = self.volume.vec(at, length)?,
                Some(_) => return Err(damaged("what goes on elsewhere is too long")),
                None => return Ok(all),
            }
        }
        Err(damaged("what belongs to a name goes on without an end"))
    }

    fn read(&mut self, record: &[u8], is_root: bool) -> io::Result<Inode> {
        let flags = record[25];
        if record[26] != 0 || record[27] != 0 {
            return Err(unsupported("its ISO 9660 has interleaved files"));
        }
        let is_folder = flags & 2 != 0;
        let mut inode = Inode {
            is_folder,
            at: (u64::from(le32(record, 2)) + u64::from(record[1])) * SECTOR,
            size: u64::from(le32(record, 10)),
            mode: if is_folder { 0o040_755 } else { 0o100_444 },
            owner: (0, 0),
            device: (0, 0),
            mtime: time(&record[18..25]),
            target: None,
            moved: None,
        };
        let mut target = Target::default();
        for (name, field) in self.fields(record, is_root)? {
            match &name {
                b"PX" if field.len() >= 32 => {
                    inode.mode = le32(&field, 0);
                    inode.owner = (le32(&field, 16), le32(&field, 24));
                }
                b"PN" if field.len() >= 16 => inode.device = (le32(&field, 0), le32(&field, 8)),
                b"SL" => target.add(&field)?,
                // Of the times, the second is that of the last change of the content.
                b"TF" if field.first().is_some_and(|flags| flags & 0x82 == 2) => {
                    let from = 1 + 7 * usize::from(field[0] & 1);
                    if let Some(bytes) = field.get(from..from + 7) {
                        inode.mtime = time(bytes);
                    }
                }
                b"CL" if field.len() >= 4 => inode.moved = Some(u64::from(le32(&field, 0)) * SECTOR),
                _ => {}
            }
        }
        inode.target = target.done();
        Ok(inode)
    }
}

/// A symbolic link, in components (`SL`).
#[derive(Default)]
struct Target {
    text: Vec<u8>,
    is_there: bool,
    /// The last component goes on.
    goes_on: bool,
}

impl Target {
    fn add(&mut self, field: &[u8]) -> io::Result<()> {
        self.is_there = true;
        let mut rest = field.get(1..).unwrap_or_default();
        while let [flags, length, ..] = *rest {
            let bytes = rest.get(2..2 + usize::from(length));
            let bytes = bytes.ok_or_else(|| damaged("a symbolic link"))?;
            if !self.text.is_empty() && !self.text.ends_with(b"/") && !self.goes_on {
                self.text.push(b'/');
            }
            match flags & 0xe {
                2 => self.text.push(b'.'),
                4 => self.text.extend(b".."),
                8 => self.text.push(b'/'),
                _ => self.text.extend(bytes),
            }
            self.goes_on = flags & 1 != 0;
            rest = &rest[2 + usize::from(length)..];
        }
        Ok(())
    }

    fn done(self) -> Option<Vec<u8>> {
        self.is_there.then_some(self.text)
    }
}

/// Seven bytes: years since 1900, month, day, hour, minute, second, quarters of an hour east of Greenwich.
fn time(bytes: &[u8]) -> i64 {
    let (year, month, day) = (
        1900 + i64::from(bytes[0]),
        i64::from(bytes[1]),
        i64::from(bytes[2]),
    );
    // Days of the Gregorian calendar, of years that begin in March.
    let shifted = year - i64::from(month <= 2);
    let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let seconds = i64::from(bytes[3]) * 3600 + i64::from(bytes[4]) * 60 + i64::from(bytes[5]);
    days * 86_400 + seconds - i64::from(bytes[6] as i8) * 900
}

impl Inodes for Iso {
    type Number = Number;
    type Inode = Inode;

    fn inode(&mut self, number: Number) -> io::Result<Inode> {
        match number {
            Number::Root(place) => {
                let record = self.record(place)?;
                self.read(&record, true)
            }
            Number::At(place) => {
                let record = self.record(place)?;
                let mut inode = self.read(&record, false)?;
                if let Some(at) = inode.moved {
                    // The folder's own record, `.`, says what it is.
                    let record = self.record(at)?;
                    inode = self.read(&record, false)?;
                }
                // A file of 4 GiB and more has a record for each part; they are one behind the other.
                let (mut next, mut flags) = (place + u64::from(record[0]), record[25]);
                while flags & 0x80 != 0 {
                    let more = self.record(next)?;
                    let at = u64::from(le32(&more, 2)) * SECTOR;
                    if at != inode.at + inode.size || inode.size % SECTOR != 0 {
                        return Err(unsupported("its ISO 9660 has a file in several places"));
                    }
                    inode.size += u64::from(le32(&more, 10));
                    (next, flags) = (next + u64::from(more[0]), more[25]);
                }
                Ok(inode)
            }
        }
    }

    fn entry(&mut self, _: Number, inode: &Inode) -> io::Result<Entry> {
        let kind = match (&inode.target, inode.is_folder) {
            (Some(target), _) => Kind::Symlink(archive::target(target)?),
            (None, true) => Kind::Dir,
            (None, false) => match Kind::special(inode.mode, inode.device) {
                Some(kind) => kind,
                None => {
                    // What is empty has no place of its own.
                    let id = if inode.size == 0 { 0 } else { inode.at };
                    let known = self.sizes.entry(id).or_insert(inode.size);
                    if *known != inode.size {
                        return Err(unsupported("its ISO 9660 has files that overlap"));
                    }
                    Kind::File { id, size: inode.size }
                }
            },
        };
        Ok(Entry {
            kind,
            mode: inode.mode & 0o7777,
            uid: inode.owner.0,
            gid: inode.owner.1,
            mtime: inode.mtime,
            xattrs: BTreeMap::new(),
        })
    }

    fn folder(&mut self, _: Number, inode: &Inode) -> io::Result<Vec<(Vec<u8>, Number)>> {
        if inode.size > LARGEST {
            return Err(damaged(format!("a folder has {} bytes", inode.size)));
        }
        let (mut names, mut at, end) = (Vec::new(), inode.at, inode.at + inode.size);
        let mut is_more = false;
        while at < end {
            if self.volume.bytes::<1>(at)?[0] == 0 {
                // No record reaches over the end of a sector.
                at = (at / SECTOR + 1) * SECTOR;
                continue;
            }
            let record = self.record(at)?;
            let here = at;
            at += record.len() as u64;
            let was_more = std::mem::replace(&mut is_more, record[25] & 0x80 != 0);
            let identifier = &record[33..33 + usize::from(record[32])];
            if was_more || matches!(identifier, [0] | [1]) {
                continue;
            }
            let fields = self.fields(&record, false)?;
            // What was moved is where it was, too.
            if fields.iter().any(|(name, _)| name == b"RE") {
                continue;
            }
            let mut name: Vec<u8> = Vec::new();
            for (_, field) in fields.iter().filter(|(name, _)| name == b"NM") {
                name.extend(field.get(1..).unwrap_or_default());
            }
            if name.is_empty() {
                let plain = identifier.split(|byte| *byte == b';').next().unwrap_or_default();
                name = plain.strip_suffix(b".").unwrap_or(plain).to_vec();
            }
            names.push((name, Number::At(here)));
        }
        Ok(names)
    }
}

impl Contents for Iso {
    fn copy(&mut self, id: u64, size: u64, out: &mut dyn Write) -> io::Result<()> {
        self.volume.copy(id, size, out)
    }
}
