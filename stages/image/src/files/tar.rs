//! The names in a tar archive: ustar, pax, and what GNU tar writes besides.
//!
//! Formats: POSIX.1-2024 `pax`; tar(5) of libarchive. Contents stay where they are.

use std::{fs::File, io, os::unix::fs::FileExt as _};

use keel_artefact::{Interrupt, RootPath};

use super::{
    Entry, Kind, MOST_NAMES, MOST_WORDS,
    archive::{Archive, Attributes, Member, path, target},
    error::{damaged, unsupported},
};

/// The largest header of pax, and the longest name of GNU's.
const LARGEST: u64 = 4 << 20;

/// Is this the first block of a tar archive? Its checksum is right.
pub(crate) fn is_header(block: &[u8]) -> bool {
    let Some(block) = block.get(..512) else {
        return false;
    };
    let blank = |(at, byte): (usize, &u8)| match at {
        148..156 => u64::from(b' '),
        _ => u64::from(*byte),
    };
    let sum: u64 = block.iter().enumerate().map(blank).sum();
    block.iter().any(|byte| *byte != 0) && number(&block[148..156]).is_some_and(|said| said == sum)
}

/// What pax says of the next member, or of all.
#[derive(Default, Clone)]
struct Said {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<i64>,
    xattrs: Attributes,
}

/// The members of the archive in `file`, which becomes one of the files of `archive`.
pub(crate) fn list(
    file: File,
    archive: &mut Archive,
    interrupt: &Interrupt,
) -> io::Result<Vec<(RootPath, Member)>> {
    let end = file.metadata()?.len();
    archive.file(file.try_clone()?);
    let (mut members, mut words, mut at) = (Vec::new(), 0_u64, 0_u64);
    let (mut all, mut said) = (Said::default(), Said::default());
    loop {
        interrupt.check().map_err(io::Error::other)?;
        if at == end {
            break;
        }
        let mut header = [0; 512];
        if at + 512 > end {
            return Err(damaged("the archive ends early"));
        }
        file.read_exact_at(&mut header, at)?;
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        if !is_header(&header) {
            return Err(damaged(format!(
                "no header of tar is at byte {at}, where one should be"
            )));
        }
        at += 512;
        let kind = header[156];
        let is_about_next = matches!(kind, b'x' | b'g' | b'L' | b'K');
        let field = |from, to| {
            number(&header[from..to])
                .ok_or_else(|| damaged(format!("a header of tar has no number at {from}")))
        };
        let size = match (is_about_next, kind) {
            (true, _) => field(124, 136)?,
            (false, b'1'..=b'6') => 0,
            _ => match said.size.or(all.size) {
                Some(size) => size,
                None => field(124, 136)?,
            },
        };
        let next = size
            .checked_next_multiple_of(512)
            .and_then(|size| at.checked_add(size));
        let next = next.filter(|_| at.checked_add(size).is_some_and(|stop| stop <= end));
        let next = next.ok_or_else(|| damaged("the archive ends within a file"))?;
        if is_about_next {
            if size > LARGEST {
                return Err(damaged(format!("a header of tar has {size} bytes")));
            }
            let mut bytes = vec![0; size as usize];
            file.read_exact_at(&mut bytes, at)?;
            let cut = |bytes: &[u8]| bytes.split(|byte| *byte == 0).next().map(<[u8]>::to_vec);
            match kind {
                b'x' => records(&bytes, &mut said)?,
                b'g' => records(&bytes, &mut all)?,
                b'L' => said.path = cut(&bytes),
                _ => said.link = cut(&bytes),
            }
            at = next.min(end);
            continue;
        }
        let now = std::mem::take(&mut said);
        let name = now.path.unwrap_or_else(|| name(&header));
        let place = path(&name)?;
        let link = now.link.unwrap_or_else(|| text(&header[157..257]).to_vec());
        let special =
            || -> io::Result<(u32, u32)> { Ok((narrow(field(329, 337)?)?, narrow(field(337, 345)?)?)) };
        let kind = match kind {
            // Before POSIX, folders were files whose names end so.
            b'0' | 0 if name.ends_with(b"/") => Kind::Dir,
            b'0' | 0 | b'7' => archive.content(at, size),
            b'1' | b'5' => Kind::Dir,
            b'2' => Kind::Symlink(target(&link)?),
            b'3' | b'4' => {
                let (major, minor) = special()?;
                match kind {
                    b'3' => Kind::CharDevice { major, minor },
                    _ => Kind::BlockDevice { major, minor },
                }
            }
            b'6' => Kind::Fifo,
            b'S' => {
                return Err(unsupported(format!(
                    "`{place}` is a file with holes as GNU tar writes them"
                )));
            }
            other => {
                let other = char::from(other).escape_default();
                return Err(unsupported(format!("`{place}` is of the kind `{other}`")));
            }
        };
        let id = |said: Option<u64>, all: Option<u64>, from, to| match said.or(all) {
            Some(id) => narrow(id),
            None => field(from, to).and_then(narrow),
        };
        let entry = Entry {
            kind,
            mode: (field(100, 108)? & 0o7777) as u32,
            uid: id(now.uid, all.uid, 108, 116)?,
            gid: id(now.gid, all.gid, 116, 124)?,
            mtime: match now.mtime.or(all.mtime) {
                Some(time) => time,
                None => i64::try_from(field(136, 148)?).unwrap_or(i64::MAX),
            },
            xattrs: now.xattrs,
        };
        words += (place.as_str().len() + link.len()) as u64;
        words += entry
            .xattrs
            .iter()
            .map(|(name, value)| (name.len() + value.len()) as u64)
            .sum::<u64>();
        if members.len() >= MOST_NAMES || words > MOST_WORDS {
            return Err(damaged(format!(
                "it has more than {MOST_NAMES} names, or too long ones"
            )));
        }
        let member = match header[156] {
            b'1' => Member::Link(path(&link)?),
            _ => Member::Entry(entry),
        };
        members.push((place, member));
        at = next.min(end);
    }
    Ok(members)
}

fn narrow(number: u64) -> io::Result<u32> {
    u32::try_from(number).map_err(|_| damaged(format!("a header of tar has the number {number}")))
}

/// What is before the first zero.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn name(header: &[u8; 512]) -> Vec<u8> {
    let (name, prefix) = (text(&header[..100]), text(&header[345..500]));
    // GNU tar has other things there, and another word.
    match &header[257..263] == b"ustar\0" && !prefix.is_empty() {
        true => [prefix, b"/", name].concat(),
        false => name.to_vec(),
    }
}

/// Octal digits, or, with the highest bit set, the number itself. Nothing is zero; none: it is no number.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] == 0x80 {
        let (high, low) = field.split_at(field.len().saturating_sub(8));
        let is_small = high.iter().all(|byte| *byte & 0x7f == 0);
        let low = if high.is_empty() { &low[1..] } else { low };
        return is_small.then(|| low.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)));
    }
    // A time before 1970.
    if field[0] == 0xff {
        return Some(0);
    }
    let digits: Vec<u8> = field
        .iter()
        .copied()
        .skip_while(|byte| *byte == b' ')
        .take_while(|byte| !matches!(byte, 0 | b' '))
        .collect();
    if digits.iter().any(|digit| !(b'0'..=b'7').contains(digit)) {
        return None;
    }
    Some(
        digits
            .iter()
            .fold(0, |number, digit| number << 3 | u64::from(digit - b'0')),
    )
}

/// `LENGTH KEY=VALUE\n`, one after the other.
fn records(mut bytes: &[u8], said: &mut Said) -> io::Result<()> {
    let wrong = || damaged("a header of pax is none");
    while !bytes.is_empty() && bytes[0] != 0 {
        let blank = bytes
            .iter()
            .take(20)
            .position(|byte| *byte == b' ')
            .ok_or_else(wrong)?;
        let length = std::str::from_utf8(&bytes[..blank])
            .ok()
            .and_then(|text| text.parse::<usize>().ok());
        let length = length
            .filter(|length| *length > blank + 1 && *length <= bytes.len())
            .ok_or_else(wrong)?;
        let (record, rest) = bytes.split_at(length);
        let record = record[blank + 1..].strip_suffix(b"\n").ok_or_else(wrong)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(wrong)?;
        let (key, value) = (String::from_utf8_lossy(&record[..equals]), &record[equals + 1..]);
        let text = || std::str::from_utf8(value).map_err(|_| wrong());
        match key.as_ref() {
            "path" => said.path = Some(value.to_vec()),
            "linkpath" => said.link = Some(value.to_vec()),
            "size" => said.size = Some(text()?.parse().map_err(|_| wrong())?),
            "uid" => said.uid = Some(text()?.parse().map_err(|_| wrong())?),
            "gid" => said.gid = Some(text()?.parse().map_err(|_| wrong())?),
            "mtime" => {
                let whole = text()?.split('.').next().unwrap_or_default();
                said.mtime = Some(whole.parse().map_err(|_| wrong())?);
            }
            key if key.starts_with("GNU.sparse.") => {
                return Err(unsupported("it has a file with holes as GNU tar writes them"));
            }
            key => {
                if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
                    said.xattrs.insert(name.to_owned(), value.to_vec());
                }
            }
        }
        bytes = rest;
    }
    Ok(())
}
