//! The frame of a package file: lead, signature header, header, payload. Checked here before the `rpm` crate sees it.
//!
//! The rules are those of rpm's own `hdrblobInit` (lib/header.c): bounded counts, every entry inside the data, offsets
//! ascending, strings terminated. What passes cannot make a reader index out of bounds.

use std::{io::Read, ops::Range};

use crate::Fault;

const LEAD: u64 = 96;
const INTRO: u64 = 16;
const ENTRY: usize = 16;
/// rpm allows 256 MiB; the header of a package with 200 000 files has about 30.
const MAX_DATA: u32 = 128 << 20;
const MAX_ENTRIES: u32 = 0xffff;
/// Tags of the regions that a header may begin with: `HEADERIMAGE`, `HEADERSIGNATURES`, `HEADERIMMUTABLE`.
const REGIONS: Range<u32> = 61..64;

/// A package whose frame is sound, up to where its payload begins.
pub(crate) struct Frame {
    /// Everything before the payload, byte for byte.
    pub(crate) bytes: Vec<u8>,
    /// Where the header lies.
    pub(crate) header: Range<u64>,
    /// The same, decoded.
    pub(crate) metadata: rpm::PackageMetadata,
}

impl Frame {
    /// Reads the frame from the start of a file of `size` bytes, and leaves `reader` at the payload.
    pub(crate) fn read(reader: &mut impl Read, size: u64) -> Result<Self, Fault> {
        let mut bytes = Vec::new();
        take(reader, &mut bytes, LEAD, size)?;
        if bytes[..4] != [0xed, 0xab, 0xee, 0xdb] || !matches!(bytes[4], 3 | 4) {
            return Err(Fault::NoLead);
        }
        read_header(reader, &mut bytes, size, "signature header")?;
        let padding = (8 - bytes.len() as u64 % 8) % 8;
        take(reader, &mut bytes, padding, size)?;
        let start = bytes.len();
        read_header(reader, &mut bytes, size, "header")?;
        let metadata = rpm::PackageMetadata::parse(&mut &bytes[..])?;
        Ok(Self {
            header: start as u64..bytes.len() as u64,
            bytes,
            metadata,
        })
    }

    /// The bytes that a signature covers.
    pub(crate) fn header_bytes(&self) -> &[u8] {
        &self.bytes[self.header.start as usize..self.header.end as usize]
    }
}

/// Appends the next `count` bytes. The file's size bounds what is allocated.
fn take(reader: &mut impl Read, bytes: &mut Vec<u8>, count: u64, size: u64) -> Result<(), Fault> {
    if bytes.len() as u64 + count > size {
        return Err(Fault::Io(std::io::ErrorKind::UnexpectedEof.into()));
    }
    let start = bytes.len();
    bytes.resize(start + count as usize, 0);
    reader.read_exact(&mut bytes[start..])?;
    Ok(())
}

fn read_header(
    reader: &mut impl Read,
    bytes: &mut Vec<u8>,
    size: u64,
    header: &'static str,
) -> Result<(), Fault> {
    let broken = |why: String| Fault::Frame { header, why };
    let start = bytes.len();
    take(reader, bytes, INTRO, size)?;
    let intro = &bytes[start..];
    if intro[..8] != [0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0] {
        return Err(broken("no header magic".to_owned()));
    }
    let (entries, data) = (be32(intro, 8), be32(intro, 12));
    if entries == 0 || entries > MAX_ENTRIES || data > MAX_DATA {
        return Err(broken(format!("{entries} entries and {data} bytes of data")));
    }
    let body = bytes.len();
    take(reader, bytes, entries as u64 * ENTRY as u64 + data as u64, size)?;
    let (index, store) = bytes[body..].split_at(entries as usize * ENTRY);
    check(index, store).map_err(broken)
}

/// Every entry lies inside the data, in ascending order, and ends where its type says.
fn check(index: &[u8], store: &[u8]) -> Result<(), String> {
    let mut end = 0;
    for (number, entry) in index.chunks_exact(ENTRY).enumerate() {
        let (tag, kind, offset, count) = (be32(entry, 0), be32(entry, 4), be32(entry, 8), be32(entry, 12));
        let bad = |why: &str| format!("tag {tag} (entry {number}): {why}");
        let data = usize::try_from(offset)
            .ok()
            .and_then(|offset| store.get(offset..))
            .ok_or_else(|| bad("its offset lies outside the data"))?;
        let width = match kind {
            1 | 2 | 7 => 1,
            3 => 2,
            4 => 4,
            5 => 8,
            6 | 8 | 9 => 0,
            _ => return Err(bad("unknown type")),
        };
        if count == 0 || (kind == 6 && count != 1) {
            return Err(bad("wrong number of items"));
        }
        if number == 0 && REGIONS.contains(&tag) {
            if kind != 7 || count as usize != ENTRY || data.len() < ENTRY {
                return Err(bad("not a region"));
            }
            continue;
        }
        if (offset as usize) < end {
            return Err(bad("it overlaps the entry before it"));
        }
        let length = match width {
            0 => strings(data, count).ok_or_else(|| bad("a string does not end"))?,
            width => {
                if !(offset as usize).is_multiple_of(width) {
                    return Err(bad("it is not aligned"));
                }
                let length = width as u64 * u64::from(count);
                if length > data.len() as u64 {
                    return Err(bad("its items lie outside the data"));
                }
                length as usize
            }
        };
        end = offset as usize + length;
    }
    Ok(())
}

/// The length of `count` terminated strings.
fn strings(data: &[u8], count: u32) -> Option<usize> {
    let mut at = 0;
    for _ in 0..count {
        at += data[at..].iter().position(|byte| *byte == 0)? + 1;
    }
    Some(at)
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(tag: u32, kind: u32, offset: u32, count: u32) -> Vec<u8> {
        [tag, kind, offset, count]
            .iter()
            .flat_map(|n| n.to_be_bytes())
            .collect()
    }

    #[test]
    fn an_entry_outside_the_data_is_refused() {
        let store = b"name\0\0\0\0\0\0\0\x01";
        for (index, sound) in [
            (entry(1000, 6, 0, 1), true),
            (entry(1000, 8, 0, 2), true),
            (entry(1003, 4, 8, 1), true),
            (entry(1003, 4, 8, 2), false),
            (entry(1003, 4, 9, 1), false),
            (entry(1003, 5, 0, u32::MAX), false),
            (entry(1000, 6, 11, 1), false),
            (entry(1000, 6, 13, 1), false),
            (entry(1000, 6, 0x8000_0000, 1), false),
            (entry(1000, 6, 0, 2), false),
            (entry(1000, 6, 0, 0), false),
            (entry(1000, 10, 0, 1), false),
            (entry(1000, 0, 0, 1), false),
            ([entry(1000, 6, 0, 1), entry(1001, 6, 3, 1)].concat(), false),
        ] {
            assert_eq!(
                check(&index, store).is_ok(),
                sound,
                "{index:?}: {:?}",
                check(&index, store)
            );
        }
    }
}
