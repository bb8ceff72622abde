//! Files of FAT, read by the crate `fatfs`. It has no owners and no modes: all is root's, and read by everybody.

use std::{
    collections::BTreeMap,
    io::{self, Read as _, Write},
};

use fatfs::{Dir, FileSystem, FsOptions};
use keel_artefact::{Interrupt, RootPath};

use super::{
    Contents, Entry, Kind, Listing, MOST_NAMES, Names,
    error::damaged,
    volume::{Cursor, Volume},
};

/// How deep a folder may lie: paths of FAT have 260 characters.
const DEPTH: usize = 130;

struct Fat {
    system: FileSystem<Cursor>,
    paths: Vec<RootPath>,
    interrupt: Interrupt,
}

/// All names of the file system.
pub(super) fn list(volume: Volume) -> io::Result<(Names, Box<dyn Contents>)> {
    let interrupt = volume.interrupt.clone();
    let size = volume.size();
    let system = FileSystem::new(Cursor { volume, at: 0 }, FsOptions::new())?;
    let (mut listing, mut paths) = (Listing::default(), Vec::new());
    let root = system.root_dir();
    listing.add(RootPath::root(), entry(Kind::Dir, 0))?;
    below(
        &root,
        &RootPath::root(),
        0,
        size,
        &mut listing,
        &mut paths,
        &interrupt,
    )?;
    drop(root);
    let names = listing.names;
    let contents = Fat {
        system,
        paths,
        interrupt,
    };
    Ok((names, Box::new(contents)))
}

fn below(
    folder: &Dir<'_, Cursor>,
    path: &RootPath,
    depth: usize,
    size: u64,
    listing: &mut Listing,
    paths: &mut Vec<RootPath>,
    interrupt: &Interrupt,
) -> io::Result<()> {
    if depth > DEPTH {
        return Err(damaged(format!(
            "folder `{path}` lies too deep: its folders go round"
        )));
    }
    let mut count = 0;
    for found in folder.iter() {
        interrupt.check().map_err(io::Error::other)?;
        let found = found?;
        let name = found.file_name();
        count += 1;
        // A folder whose chain of clusters goes round has no end.
        if count > MOST_NAMES || count as u64 > size / 32 {
            return Err(damaged(format!("folder `{path}` has no end")));
        }
        if name == "." || name == ".." {
            continue;
        }
        let at = Listing::path(path, name.as_bytes())?;
        let mtime = time(found.modified());
        if found.is_dir() {
            listing.add(at.clone(), entry(Kind::Dir, mtime))?;
            below(&found.to_dir(), &at, depth + 1, size, listing, paths, interrupt)?;
            continue;
        }
        let id = paths.len() as u64;
        paths.push(at.clone());
        listing.add(
            at,
            entry(
                Kind::File {
                    id,
                    size: found.len(),
                },
                mtime,
            ),
        )?;
    }
    Ok(())
}

fn entry(kind: Kind, mtime: i64) -> Entry {
    Entry {
        mode: if kind == Kind::Dir { 0o755 } else { 0o644 },
        kind,
        uid: 0,
        gid: 0,
        mtime,
        xattrs: BTreeMap::new(),
    }
}

/// Seconds since 1970 of a time without a zone, taken for UTC. Days by the civil calendar, counted from March.
fn time(time: fatfs::DateTime) -> i64 {
    let (year, month, day) = (
        i64::from(time.date.year),
        i64::from(time.date.month),
        i64::from(time.date.day),
    );
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return 0;
    }
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    let of_day = i64::from(time.time.hour) * 3600 + i64::from(time.time.min) * 60 + i64::from(time.time.sec);
    days * 86_400 + of_day
}

impl Contents for Fat {
    fn copy(&mut self, id: u64, size: u64, out: &mut dyn Write) -> io::Result<()> {
        let path = usize::try_from(id).ok().and_then(|id| self.paths.get(id));
        let path = path.ok_or_else(|| damaged("a file without content"))?;
        let mut file = self.system.root_dir().open_file(path.relative())?;
        let (mut buffer, mut left) = (vec![0; 1 << 16], size);
        while left > 0 {
            self.interrupt.check().map_err(io::Error::other)?;
            let n = file.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            out.write_all(&buffer[..n])?;
            left = left.saturating_sub(n as u64);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted() {
        let at = |year, month, day| {
            time(fatfs::DateTime {
                date: fatfs::Date { year, month, day },
                time: fatfs::Time {
                    hour: 1,
                    min: 2,
                    sec: 4,
                    millis: 0,
                },
            })
        };
        assert_eq!(at(1980, 1, 1), 315_532_800 + 3724);
        assert_eq!(at(2024, 2, 29), 1_709_164_800 + 3724);
        assert_eq!(at(2024, 3, 1), 1_709_251_200 + 3724);
        assert_eq!(at(2026, 0, 1), 0);
    }
}
