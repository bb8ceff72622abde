//! The packages in rpm's database, without rpm: one table of an SQLite file, which has their headers.
//!
//! Formats: <https://www.sqlite.org/fileformat2.html>; header of packages as in `lib/header.c` of rpm. What is in a write-ahead log is
//! not looked at: an image at rest has none.

use std::{collections::BTreeMap, io};

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

/// The packages in the database with these bytes.
pub(super) fn packages(bytes: &[u8]) -> io::Result<Packages> {
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
    let database = Database { bytes, page, usable };
    // type, name, table, page, text
    let mut root = None;
    let mut budget = bytes.len() / page + 2;
    database.rows(1, DEPTH, &mut budget, &mut |row| {
        let columns = columns(row)?;
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
    let (mut packages, mut count) = (Packages::new(), 0);
    let mut budget = bytes.len() / page + 2;
    database.rows(root, DEPTH, &mut budget, &mut |row| {
        count += 1;
        if count > MOST {
            return Err(damaged("its rpm database has too many packages"));
        }
        if let [_, Column::Bytes(header), ..] = columns(row)?[..] {
            let (name, version) = package(header)?;
            packages.entry(name).or_default().push(version);
        }
        Ok(())
    })?;
    packages.values_mut().for_each(|versions| versions.sort());
    Ok(packages)
}

struct Database<'a> {
    bytes: &'a [u8],
    page: usize,
    /// Bytes of a page that SQLite uses.
    usable: usize,
}

impl Database<'_> {
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
        visit: &mut dyn FnMut(&[u8]) -> io::Result<()>,
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
                13 => visit(&self.row(page, at, budget)?)?,
                _ => return Err(damaged("its rpm database has a page of an odd kind")),
            }
        }
        match kind {
            5 => self.rows(be32(page, start + 8)?, depth - 1, budget, visit),
            _ => Ok(()),
        }
    }

    /// A row, some of which may be on pages of its own.
    fn row(&self, page: &[u8], mut at: usize, budget: &mut usize) -> io::Result<Vec<u8>> {
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
        let mut next = if here < size { be32(page, at + here)? } else { 0 };
        while row.len() < size {
            *budget = budget
                .checked_sub(1)
                .ok_or_else(|| damaged("its rpm database goes round"))?;
            let page = self.page(next)?;
            let want = (size - row.len()).min(self.usable - 4);
            row.extend(&page[4..4 + want]);
            next = be32(page, 0)?;
        }
        Ok(row)
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

/// A package's name and architecture, and its epoch, version and release, by its header.
fn package(header: &[u8]) -> io::Result<(String, String)> {
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
    let mut found: BTreeMap<u32, String> = BTreeMap::new();
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
    Ok((format!("{name}{arch}"), format!("{epoch}{version}-{release}")))
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
