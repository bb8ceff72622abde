//! The packages in rpm's database, and the states of their files, without rpm: one table of an SQLite file, which has their headers.
//!
//! Formats: <https://www.sqlite.org/fileformat2.html>; header of packages as in `lib/header.c` of rpm. A write-ahead log
//! is not read: whoever asks for the database refuses one that has a log with something in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use super::error::{damaged, unsupported};

/// Where the database lies, first to last.
pub(super) const PLACES: [&str; 3] = [
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/var/lib/rpm/rpmdb.sqlite",
    "/usr/share/rpm/rpmdb.sqlite",
];
/// The most packages.
const MOST: usize = 100_000;
/// How deep a tree of pages is.
const DEPTH: usize = 20;

/// Names (with architecture) and versions of all packages; of one name, each version.
pub(super) type Packages = BTreeMap<String, Vec<String>>;

/// The tag of a header that tells the state of each file, a byte each. It comes with the installation, and so lies behind the region that
/// digests and signatures are of.
const STATES: u32 = 1029;
/// The state of a file that was not installed (`RPMFILE_STATE_NOTINSTALLED` in `rpmfiles.h`).
const NOT_INSTALLED: u8 = 2;

/// The packages in the database with these bytes.
pub(super) fn packages(bytes: &[u8]) -> io::Result<Packages> {
    let mut packages = Packages::new();
    each(bytes, &mut |name, version, _| {
        packages.entry(name).or_default().push(version)
    })?;
    packages.values_mut().for_each(|versions| versions.sort());
    Ok(packages)
}

/// How many bytes the files of each package have, by name and architecture, as its header says.
pub(super) fn sizes(bytes: &[u8]) -> io::Result<BTreeMap<String, u64>> {
    let mut sizes = BTreeMap::new();
    each(bytes, &mut |name, _, size| {
        sizes.insert(name, size);
    })?;
    Ok(sizes)
}

/// Name (with architecture), version and size of each package.
fn each(bytes: &[u8], package_is: &mut dyn FnMut(String, String, u64)) -> io::Result<()> {
    Database::new(bytes)?.headers(&mut |row, header| {
        let (name, version, size) = package(&row.bytes[header])?;
        package_is(name, version, size);
        Ok(())
    })
}

/// Says of some files that they were not installed: of each package, named as in [`Packages`], those with these numbers. Nothing else changes,
/// and nothing moves.
pub(crate) fn leave_out(
    bytes: &mut [u8],
    mut files: BTreeMap<(String, String), &BTreeSet<usize>>,
) -> io::Result<()> {
    let mut places = Vec::new();
    Database::new(bytes)?.headers(&mut |row, header| {
        let from = header.start;
        let header = &row.bytes[header];
        let (name, version, _) = package(header)?;
        // An epoch of 0 is none, said or not.
        let version = version.strip_prefix("0:").unwrap_or(&version).to_owned();
        let Some(files) = files.remove(&(name, version)) else {
            return Ok(());
        };
        let (at, count) = states(header)?;
        for file in files {
            let place = if *file < count {
                row.place(from + at + file)
            } else {
                None
            };
            places.push(place.ok_or_else(|| damaged("its rpm database has a package with too few files"))?);
        }
        Ok(())
    })?;
    if let Some((name, version)) = files.into_keys().next() {
        return Err(damaged(format!(
            "its rpm database has no `{name}` of version {version}"
        )));
    }
    for place in places {
        bytes[place] = NOT_INSTALLED;
    }
    Ok(())
}

/// Where a header has the states of its files, and of how many.
fn states(header: &[u8]) -> io::Result<(usize, usize)> {
    let wrong = || damaged("its rpm database has a package without the states of its files");
    let data = (be32(header, 0)? as usize) * 16 + 8;
    let index = header.get(8..data).ok_or_else(wrong)?;
    for entry in index.chunks_exact(16) {
        // Their type is that of characters.
        if be32(entry, 0)? == STATES && be32(entry, 4)? == 1 {
            return Ok((data + be32(entry, 8)? as usize, be32(entry, 12)? as usize));
        }
    }
    Err(wrong())
}

struct Database<'a> {
    bytes: &'a [u8],
    page: usize,
    /// Bytes of a page that SQLite uses.
    usable: usize,
}

/// A row, and where it lies.
struct Row {
    bytes: Vec<u8>,
    /// How much of it lies where in the database, in order.
    parts: Vec<(usize, usize)>,
}

impl Row {
    /// Where in the database this byte of the row is.
    fn place(&self, mut byte: usize) -> Option<usize> {
        for (length, at) in &self.parts {
            match byte.checked_sub(*length) {
                Some(rest) => byte = rest,
                None => return Some(at + byte),
            }
        }
        None
    }
}

impl<'a> Database<'a> {
    fn new(bytes: &'a [u8]) -> io::Result<Self> {
        if !bytes.starts_with(b"SQLite format 3\0") || bytes.len() < 512 {
            return Err(damaged("its rpm database is none of SQLite"));
        }
        let page = match u16::from_be_bytes([bytes[16], bytes[17]]) {
            1 => 65536,
            size => usize::from(size),
        };
        if !page.is_power_of_two() || page < 512 {
            return Err(damaged("its rpm database has pages of an odd size"));
        }
        if be32(bytes, 56)? > 1 {
            return Err(unsupported("its rpm database is not in UTF-8"));
        }
        let usable = page - usize::from(bytes[20]);
        Ok(Self { bytes, page, usable })
    }

    /// Shows the row of each package, and where in it the header is.
    fn headers(
        &self,
        visit: &mut dyn FnMut(&Row, std::ops::Range<usize>) -> io::Result<()>,
    ) -> io::Result<()> {
        // type, name, table, page, text
        let mut root = None;
        let mut budget = self.bytes.len() / self.page + 2;
        self.rows(1, DEPTH, &mut budget, &mut |row| {
            let columns = columns(&row.bytes)?;
            if let [
                Column::Bytes(b"table"),
                Column::Bytes(b"Packages"),
                _,
                Column::Number(page),
                ..,
            ] = columns[..]
            {
                root = u32::try_from(page).ok();
            }
            Ok(())
        })?;
        let root = root.ok_or_else(|| damaged("its rpm database has no packages"))?;
        let mut count = 0;
        let mut budget = self.bytes.len() / self.page + 2;
        self.rows(root, DEPTH, &mut budget, &mut |row| {
            count += 1;
            if count > MOST {
                return Err(damaged("its rpm database has too many packages"));
            }
            // A number, and behind it the header.
            match columns(&row.bytes)?[..] {
                [_, Column::Bytes(header)] => visit(row, row.bytes.len() - header.len()..row.bytes.len()),
                _ => Ok(()),
            }
        })
    }

    fn page(&self, number: u32) -> io::Result<&[u8]> {
        let from = (number as usize)
            .checked_sub(1)
            .and_then(|number| number.checked_mul(self.page));
        let page = from.and_then(|from| self.bytes.get(from..from.checked_add(self.page)?));
        page.ok_or_else(|| damaged(format!("its rpm database has no page {number}")))
    }

    /// Shows each row of the table whose tree has its root at `number`. No page is looked at twice: there are `budget` of them.
    fn rows(
        &self,
        number: u32,
        depth: usize,
        budget: &mut usize,
        visit: &mut dyn FnMut(&Row) -> io::Result<()>,
    ) -> io::Result<()> {
        *budget = budget
            .checked_sub(1)
            .filter(|_| depth > 0)
            .ok_or_else(|| damaged("its rpm database goes round"))?;
        let page = self.page(number)?;
        let start = if number == 1 { 100 } else { 0 };
        let (kind, count) = (page[start], usize::from(be16(page, start + 3)?));
        let pointers = start + if kind == 5 { 12 } else { 8 };
        for index in 0..count {
            let at = usize::from(be16(page, pointers + index * 2)?);
            match kind {
                5 => self.rows(be32(page, at)?, depth - 1, budget, visit)?,
                13 => visit(&self.row(number, at, budget)?)?,
                _ => return Err(damaged("its rpm database has a page of an odd kind")),
            }
        }
        match kind {
            5 => self.rows(be32(page, start + 8)?, depth - 1, budget, visit),
            _ => Ok(()),
        }
    }

    /// A row, some of which may be on pages of its own.
    fn row(&self, number: u32, mut at: usize, budget: &mut usize) -> io::Result<Row> {
        let page = self.page(number)?;
        let place = |number: u32, at: usize| (number as usize - 1) * self.page + at;
        let size = varint(page, &mut at)? as usize;
        varint(page, &mut at)?;
        let (most, least) = (self.usable - 35, (self.usable - 12) * 32 / 255 - 23);
        let here = match size {
            size if size <= most => size,
            size => match least + size.wrapping_sub(least) % (self.usable - 4) {
                here if here <= most => here,
                _ => least,
            },
        };
        let cut = || damaged("its rpm database has a row that is cut off");
        if size > self.bytes.len() {
            return Err(cut());
        }
        let mut row = page.get(at..at + here).ok_or_else(cut)?.to_vec();
        let mut parts = vec![(here, place(number, at))];
        let mut next = if here < size { be32(page, at + here)? } else { 0 };
        while row.len() < size {
            *budget = budget
                .checked_sub(1)
                .ok_or_else(|| damaged("its rpm database goes round"))?;
            let page = self.page(next)?;
            let want = (size - row.len()).min(self.usable - 4);
            row.extend(&page[4..4 + want]);
            parts.push((want, place(next, 4)));
            next = be32(page, 0)?;
        }
        Ok(Row { bytes: row, parts })
    }
}

enum Column<'a> {
    Number(i64),
    Bytes(&'a [u8]),
    Other,
}

fn columns(row: &[u8]) -> io::Result<Vec<Column<'_>>> {
    let mut at = 0;
    let head = varint(row, &mut at)? as usize;
    let (mut columns, mut content) = (Vec::new(), head);
    while at < head {
        let kind = varint(row, &mut at)?;
        let length = match kind {
            0..=4 => kind as usize,
            5 => 6,
            6 | 7 => 8,
            8..=11 => 0,
            kind => usize::try_from((kind - 12) / 2).unwrap_or(usize::MAX),
        };
        let bytes = content.checked_add(length).and_then(|end| row.get(content..end));
        let bytes = bytes.ok_or_else(|| damaged("its rpm database has a row that is cut off"))?;
        content += length;
        columns.push(match kind {
            1..=6 => {
                let first = if bytes[0] & 0x80 != 0 { -1 } else { 0 };
                Column::Number(
                    bytes
                        .iter()
                        .fold(first, |number, byte| number << 8 | i64::from(*byte)),
                )
            }
            8 => Column::Number(0),
            9 => Column::Number(1),
            12.. => Column::Bytes(bytes),
            _ => Column::Other,
        });
    }
    Ok(columns)
}

/// A package's name and architecture, its epoch, version and release, and the size of its files, by its header.
fn package(header: &[u8]) -> io::Result<(String, String, u64)> {
    let wrong = || damaged("its rpm database has a header that is none");
    let (count, size) = (be32(header, 0)? as usize, be32(header, 4)? as usize);
    let data = count
        .checked_mul(16)
        .and_then(|index| index.checked_add(8))
        .ok_or_else(wrong)?;
    let store = data
        .checked_add(size)
        .and_then(|end| header.get(data..end))
        .ok_or_else(wrong)?;
    let (mut found, mut size_of_files): (BTreeMap<u32, String>, u64) = Default::default();
    for entry in header[8..data].chunks_exact(16) {
        let (tag, kind, at) = (be32(entry, 0)?, be32(entry, 4)?, be32(entry, 8)? as usize);
        let text = || {
            store
                .get(at..)
                .and_then(|rest| rest.split(|byte| *byte == 0).next())
        };
        // Name, version, release, epoch, architecture.
        match (tag, kind) {
            (1000 | 1001 | 1002 | 1022, 6) => {
                let text = String::from_utf8_lossy(text().ok_or_else(wrong)?).into_owned();
                found.insert(tag, text);
            }
            // Size of all files, in 32 bits or in 64.
            (1009, 4) => size_of_files = u64::from(be32(store, at)?),
            (5009, 5) => {
                let (high, low) = (be32(store, at)?, be32(store, at.saturating_add(4))?);
                size_of_files = u64::from(high) << 32 | u64::from(low);
            }
            (1003, 4) => drop(found.insert(tag, be32(store, at)?.to_string())),
            _ => {}
        }
    }
    let mut get = |tag| found.remove(&tag);
    let (Some(name), Some(version), Some(release)) = (get(1000), get(1001), get(1002)) else {
        return Err(wrong());
    };
    let epoch = get(1003).map(|epoch| format!("{epoch}:")).unwrap_or_default();
    let arch = get(1022).map(|arch| format!(".{arch}")).unwrap_or_default();
    Ok((
        format!("{name}{arch}"),
        format!("{epoch}{version}-{release}"),
        size_of_files,
    ))
}

/// SQLite's number of up to nine bytes.
fn varint(bytes: &[u8], at: &mut usize) -> io::Result<u64> {
    let mut number = 0;
    for index in 0..9 {
        let byte = *bytes
            .get(*at)
            .ok_or_else(|| damaged("its rpm database has a number that is cut off"))?;
        *at += 1;
        if index == 8 {
            return Ok(number << 8 | u64::from(byte));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok(number)
}

fn be16(bytes: &[u8], at: usize) -> io::Result<u16> {
    let two = bytes.get(at..).and_then(|rest| rest.first_chunk());
    two.map(|two| u16::from_be_bytes(*two))
        .ok_or_else(|| damaged("its rpm database is cut off"))
}

fn be32(bytes: &[u8], at: usize) -> io::Result<u32> {
    let four = bytes.get(at..).and_then(|rest| rest.first_chunk());
    four.map(|four| u32::from_be_bytes(*four))
        .ok_or_else(|| damaged("its rpm database is cut off"))
}
