//! A disk as a fixed VHD: the bytes of the disk and a footer of 512 bytes. After "Virtual Hard Disk Image Format
//! Specification", version 1.0, which Microsoft published under its Open Specification Promise.
//!
//! As Azure wants it ("Prepare a Linux VHD for upload"): fixed, and the virtual size a multiple of 1 MiB exactly. Whoever
//! reads the footer goes by its current size; the geometry beside it, of cylinders, heads and sectors, is what the
//! specification computes, which is a little less.

use std::io::{self, Seek, SeekFrom, Write};

use keel_artefact::{Epoch, Sha256};

use super::{
    gpt,
    sparse::{self, Content, Progress, Source},
};

/// Bytes of the footer.
pub const FOOTER: u64 = 512;
/// The virtual size is a multiple of this.
pub const ALIGNMENT: u64 = 1024 * 1024;
/// No VHD is larger: 2040 GiB.
pub const LARGEST: u64 = 2040 << 30;
/// 2000-01-01T00:00:00Z, from which a VHD counts seconds.
pub(crate) const EPOCH_2000: u64 = 946_684_800;

/// Writes `disk` to `out`, which is empty. What the disk lacks to a whole MiB is zeros. `clock` is the footer's time.
pub fn write(
    disk: &mut dyn Source,
    clock: Epoch,
    out: &mut (impl Write + Seek),
    progress: Progress<'_>,
) -> io::Result<()> {
    let size = disk.size().div_ceil(ALIGNMENT).saturating_mul(ALIGNMENT);
    if size > LARGEST {
        let why = format!(
            "a VHD has 2040 GiB at most, and the disk has {} bytes",
            disk.size()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let mut content = Content::new(size);
    sparse::each(disk, progress, |at, bytes| {
        content.add(at, bytes);
        sparse::put(out, at, bytes)
    })?;
    out.seek(SeekFrom::Start(size))?;
    out.write_all(&footer(size, clock, &content.finish()))
}

/// The footer ("Hard Disk Footer Format"); numbers are big-endian.
fn footer(size: u64, clock: Epoch, content: &Sha256) -> [u8; FOOTER as usize] {
    let seconds = u32::try_from(clock.0.saturating_sub(EPOCH_2000)).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(FOOTER as usize);
    bytes.extend(b"conectix");
    bytes.extend(2_u32.to_be_bytes()); // features: the bit that is always set
    bytes.extend(0x0001_0000_u32.to_be_bytes()); // version of the format
    bytes.extend(u64::MAX.to_be_bytes()); // no dynamic header
    bytes.extend(seconds.to_be_bytes());
    // Hyper-V's name and version, since readers (QEMU's among them) tell by the name whether the size or the geometry counts.
    bytes.extend(b"win ");
    bytes.extend(0x000a_0000_u32.to_be_bytes());
    bytes.extend(b"Wi2k");
    bytes.extend(size.to_be_bytes()); // original size
    bytes.extend(size.to_be_bytes()); // current size
    let (cylinders, heads, sectors) = geometry(size / 512);
    bytes.extend(cylinders.to_be_bytes());
    bytes.extend([heads, sectors]);
    bytes.extend(2_u32.to_be_bytes()); // a fixed disk
    bytes.extend([0; 4]); // the checksum, below
    bytes.extend(gpt::uuid(content, "vhd").as_bytes());
    bytes.resize(FOOTER as usize, 0); // no saved state
    let mut footer = [0; FOOTER as usize];
    footer.copy_from_slice(&bytes);
    let sum = checksum(&footer, 64);
    footer[64..68].copy_from_slice(&sum.to_be_bytes());
    footer
}

/// The complement of the sum of all bytes but the four of the checksum, at `place`.
pub(crate) fn checksum(bytes: &[u8], place: usize) -> u32 {
    let all = bytes.iter().enumerate();
    let counted = all.filter(|(at, _)| !(place..place + 4).contains(at));
    !counted.fold(0_u32, |sum, (_, byte)| sum.wrapping_add(u32::from(*byte)))
}

/// Cylinders, heads and sectors per track ("Appendix: CHS Calculation").
fn geometry(sectors: u64) -> (u16, u8, u8) {
    let sectors = sectors.min(65_535 * 16 * 255);
    let (mut heads, mut per_track) = (16, 255);
    if sectors < 65_535 * 16 * 63 {
        per_track = 17;
        heads = (sectors / per_track).div_ceil(1024).max(4);
        if sectors / per_track >= heads * 1024 || heads > 16 {
            (heads, per_track) = (16, 31);
        }
        if sectors / per_track >= heads * 1024 {
            (heads, per_track) = (16, 63);
        }
    }
    let cylinders = sectors / per_track / heads;
    (cylinders as u16, heads as u8, per_track as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometry_follows_the_specification() {
        // Worked by hand from the appendix; the second is what Virtual PC gave disks of 16 GiB.
        for (sectors, expected) in [
            (2048 * 40, (963, 5, 17)),
            (33_554_432, (33_288, 16, 63)),
            (65_535 * 16 * 63, (16_191, 16, 255)),
            (u64::MAX, (65_535, 16, 255)),
        ] {
            assert_eq!(geometry(sectors), expected, "{sectors}");
        }
    }

    #[test]
    fn footer_sums_up_and_knows_its_content() {
        let one = footer(1 << 20, Epoch(EPOCH_2000 + 7), &Sha256::of(b"1"));
        let stored = u32::from_be_bytes([one[64], one[65], one[66], one[67]]);
        assert_eq!(stored, checksum(&one, 64));
        assert_eq!(one[24..28], 7_u32.to_be_bytes());
        assert_eq!(one, footer(1 << 20, Epoch(EPOCH_2000 + 7), &Sha256::of(b"1")));
        let other = footer(1 << 20, Epoch(EPOCH_2000 + 7), &Sha256::of(b"2"));
        assert_ne!(one[68..84], other[68..84]);
        // A clock before 2000 is 2000.
        assert_eq!(footer(1 << 20, Epoch(0), &Sha256::of(b"1"))[24..28], [0; 4]);
    }

    #[test]
    fn the_size_is_a_whole_mebibyte() {
        let mut out = io::Cursor::new(Vec::new());
        let mut disk = sparse::Raw::new(io::Cursor::new(vec![7_u8; 1000]), 1000);
        write(&mut disk, Epoch(0), &mut out, &mut |_| Ok(())).unwrap();
        let out = out.into_inner();
        assert_eq!(out.len() as u64, ALIGNMENT + FOOTER);
        assert_eq!(out[..1001], [&[7_u8; 1000][..], &[0]].concat());
        let mut large = sparse::Raw::new(io::Cursor::new(Vec::new()), LARGEST + 1);
        let error = write(
            &mut large,
            Epoch(0),
            &mut io::Cursor::new(Vec::new()),
            &mut |_| Ok(()),
        );
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
