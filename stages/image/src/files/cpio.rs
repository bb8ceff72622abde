//! The names in a cpio archive as RAM disks have them: several, one after the other, any of them compressed.
//!
//! Format: <https://docs.kernel.org/driver-api/early-userspace/buffer-format.html>.

use std::{collections::BTreeMap, fs::File, io, os::unix::fs::FileExt as _, path::Path};

use keel_artefact::{Interrupt, RootPath};

use super::{
    Entry, Kind, MOST_NAMES,
    archive::{Archive, Attributes, Member, path, target},
    error::damaged,
    unpack,
};

/// How often a compressed archive may be in another.
const DEPTH: usize = 4;
/// What a packed archive counts at least: 256 of them are the most.
const PIECE: u64 = unpack::MOST / 256;

pub(crate) fn is_header(bytes: &[u8]) -> bool {
    bytes.starts_with(b"070701") || bytes.starts_with(b"070702")
}

/// All members in `file`, which becomes one of the files of `archive`.
pub(super) fn lay(
    file: File,
    archive: &mut Archive,
    scratch: &Path,
    interrupt: &Interrupt,
) -> io::Result<()> {
    let mut left = unpack::MOST;
    lay_at(file, archive, scratch, interrupt, DEPTH, &mut left)
}

fn lay_at(
    file: File,
    archive: &mut Archive,
    scratch: &Path,
    interrupt: &Interrupt,
    depth: usize,
    left: &mut u64,
) -> io::Result<()> {
    let (end, mut at) = (file.metadata()?.len(), 0);
    archive.file(file.try_clone()?);
    loop {
        // Zeros between two archives.
        let mut head = [0; 8192];
        let have = (end - at).min(head.len() as u64) as usize;
        file.read_exact_at(&mut head[..have], at)?;
        let zeros = head[..have].iter().take_while(|byte| **byte == 0).count();
        at += zeros as u64;
        interrupt.check().map_err(io::Error::other)?;
        let rest = &head[zeros..have];
        if rest.is_empty() && at < end {
            continue;
        }
        match rest {
            [] => return Ok(()),
            rest if is_header(rest) => {
                let (members, next) = list(&file, at, end, archive, interrupt)?;
                archive.lay(members, false)?;
                at = next;
            }
            rest => {
                let method = unpack::method(rest).filter(|_| depth > 0);
                let method = method.ok_or_else(|| damaged(format!("no archive of cpio is at byte {at}")))?;
                if *left == 0 {
                    return Err(damaged("it has too many packed archives, one behind the other"));
                }
                let (inner, next) = unpack::unpack_one(&file, at, method, *left, scratch, interrupt)?;
                // Each piece is a file that stays open: many small ones count, too.
                *left = left.saturating_sub(inner.metadata()?.len().max(PIECE));
                lay_at(inner, archive, scratch, interrupt, depth - 1, left)?;
                // What follows is in this file again.
                archive.file(file.try_clone()?);
                at = next;
            }
        }
    }
}

type Members = Vec<(RootPath, Member)>;

/// The members of one archive, and where it ends.
fn list(
    file: &File,
    mut at: u64,
    end: u64,
    archive: &mut Archive,
    interrupt: &Interrupt,
) -> io::Result<(Members, u64)> {
    let mut members = Members::new();
    // Hard links: the last of them has the content.
    let mut links: BTreeMap<[u64; 3], Vec<usize>> = BTreeMap::new();
    loop {
        interrupt.check().map_err(io::Error::other)?;
        let early = || damaged("an archive of cpio ends early");
        let take = |at: u64, length: u64| -> io::Result<Vec<u8>> {
            let stop = at
                .checked_add(length)
                .filter(|stop| *stop <= end && length <= 8192);
            stop.ok_or_else(early)?;
            let mut bytes = vec![0; length as usize];
            file.read_exact_at(&mut bytes, at)?;
            Ok(bytes)
        };
        let header = take(at, 110)?;
        if !is_header(&header) {
            return Err(damaged(format!(
                "no header of cpio is at byte {at}, where one should be"
            )));
        }
        let mut fields = [0_u64; 13];
        for (field, digits) in fields.iter_mut().zip(header[6..].chunks_exact(8)) {
            let number = std::str::from_utf8(digits)
                .ok()
                .and_then(|text| u64::from_str_radix(text, 16).ok());
            *field = number.ok_or_else(|| damaged("a header of cpio has no number"))?;
        }
        let [
            inode,
            mode,
            uid,
            gid,
            count,
            mtime,
            size,
            major,
            minor,
            special,
            special_minor,
            length,
            _,
        ] = fields;
        let name = take(at + 110, length)?;
        let name = name
            .strip_suffix(&[0])
            .ok_or_else(|| damaged("a name of cpio has no end"))?;
        let from = (at + 110 + length).next_multiple_of(4);
        at = from
            .checked_add(size)
            .filter(|stop| *stop <= end)
            .ok_or_else(early)?;
        at = at.next_multiple_of(4).min(end);
        if name == b"TRAILER!!!" {
            break;
        }
        let device = (special as u32, special_minor as u32);
        let kind = match mode >> 12 & 0o17 {
            0o04 => Kind::Dir,
            0o10 => archive.content(from, size),
            0o12 => Kind::Symlink(target(&take(from, size)?)?),
            _ => Kind::special(mode as u32, device)
                .ok_or_else(|| damaged(format!("a file of cpio has the mode {mode:o}")))?,
        };
        if mode >> 12 & 0o17 == 0o10 && count > 1 {
            links
                .entry([inode, major, minor])
                .or_default()
                .push(members.len());
        }
        let entry = Entry {
            kind,
            mode: (mode & 0o7777) as u32,
            uid: uid as u32,
            gid: gid as u32,
            mtime: mtime as i64,
            xattrs: Attributes::new(),
        };
        members.push((path(name)?, Member::Entry(entry)));
        if members.len() > MOST_NAMES {
            return Err(damaged(format!("it has more than {MOST_NAMES} names")));
        }
    }
    for group in links.values() {
        let content = |index: &usize| match &members[*index].1 {
            Member::Entry(entry) => Some(entry.kind.clone()),
            Member::Link(_) => None,
        };
        let full = group.iter().filter_map(content);
        let Some(full) = full.max_by_key(|kind| matches!(kind, Kind::File { size, .. } if *size > 0)) else {
            continue;
        };
        for index in group {
            if let Member::Entry(entry) = &mut members[*index].1 {
                entry.kind = full.clone();
            }
        }
    }
    Ok((members, at))
}
