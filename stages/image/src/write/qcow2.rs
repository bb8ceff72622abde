//! A disk in QEMU's format, version 3 (docs/interop/qcow2.txt of QEMU), each cluster compressed with Zstandard or none.
//!
//! Layout, in clusters of 64 KiB: header; data, with each L2 table after the data that it points to; L1 table; refcount
//! blocks, refcount table. A cluster of zeros is not stored: it reads as zeros because no backing file lies behind.
//! Compressed clusters lie one behind the other, and several share a cluster of the file; what does not get smaller is
//! stored as it is.
//!
//! Each cluster is compressed by itself, in parallel, and placed in the disk's order: the bytes do not depend on the number
//! of threads.

use std::io::{self, Seek, SeekFrom, Write};

use keel_artefact::{Interrupt, Interrupted, parallel};
use keel_config::image::Qcow2Compression as Compression;

use super::sparse::{self, Progress, Source};

const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// Entries of eight bytes in a cluster.
const ENTRIES: u64 = CLUSTER / 8;
/// Counts of two bytes in a cluster.
const COUNTS: u64 = CLUSTER / 2;
/// Bit 63: the refcount of what is pointed to is one.
const COPIED: u64 = 1 << 63;
/// Bit 62: compressed.
pub(crate) const COMPRESSED: u64 = 1 << 62;
/// Sectors of compressed data, but one, are counted from this bit on, above the place of its first byte.
const SECTORS_SHIFT: u32 = 62 - (CLUSTER_BITS - 8);
/// Unit in which the length of compressed data is known.
const SECTOR: u64 = 512;
/// Incompatible features, bit 3: the header says how clusters are compressed.
pub(crate) const COMPRESSION_TYPE: u64 = 1 << 3;
/// Level 9 makes a root file system an eighth smaller, in four times the time.
const LEVEL: i32 = 3;
/// Clusters that one thread compresses before it takes the next.
const GROUP: usize = 16;
/// Clusters that are read before they are compressed: 16 MiB.
const BATCH: usize = 256;

/// Writes `disk` to `out`, which is empty. What the disk lacks to a whole sector is zeros.
pub fn write(
    disk: &mut dyn Source,
    compression: Compression,
    out: &mut (impl Write + Seek),
    progress: Progress<'_>,
) -> io::Result<()> {
    write_in_batches(disk, compression, BATCH, out, progress)
}

fn write_in_batches(
    disk: &mut dyn Source,
    compression: Compression,
    size_of_batch: usize,
    out: &mut (impl Write + Seek),
    progress: Progress<'_>,
) -> io::Result<()> {
    let size = disk.size().div_ceil(SECTOR).saturating_mul(SECTOR);
    let mut image = Image::new(size, out);
    let mut batch = Vec::with_capacity(size_of_batch);
    sparse::each(disk, progress, |at, bytes| {
        let mut cluster = bytes.to_vec();
        cluster.resize(CLUSTER as usize, 0);
        batch.push((at / CLUSTER, cluster));
        if batch.len() == size_of_batch {
            image.add(&batch, compression)?;
            batch.clear();
        }
        Ok(())
    })?;
    image.add(&batch, compression)?;
    image.finish(size, compression)
}

/// Clusters in the shorter of two forms: compressed, or none if that is not shorter.
fn compressed(clusters: &[(u64, Vec<u8>)]) -> io::Result<Vec<Option<Vec<u8>>>> {
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    let compress = |(_, cluster): &(u64, Vec<u8>)| {
        let bytes = compressor.compress(cluster)?;
        Ok(((bytes.len() as u64) < CLUSTER - SECTOR).then_some(bytes))
    };
    clusters.iter().map(compress).collect()
}

/// What is written so far.
struct Image<'a, W> {
    out: &'a mut W,
    /// The cluster after the last that is in use.
    next: u64,
    /// The byte after the last compressed one.
    packed: u64,
    /// How much each cluster is pointed to.
    counts: Vec<u16>,
    l1: Vec<u64>,
    /// The L2 table that is being filled, and its number.
    l2: Option<(u64, Vec<u64>)>,
}

impl<'a, W: Write + Seek> Image<'a, W> {
    fn new(size: u64, out: &'a mut W) -> Self {
        let tables = size.div_ceil(CLUSTER).div_ceil(ENTRIES).max(1);
        Self {
            out,
            next: 1,
            packed: 0,
            counts: vec![1],
            l1: vec![0; tables as usize],
            l2: None,
        }
    }

    /// Adds clusters of the disk, in order.
    fn add(&mut self, clusters: &[(u64, Vec<u8>)], compression: Compression) -> io::Result<()> {
        let groups: Vec<&[(u64, Vec<u8>)]> = clusters.chunks(GROUP).collect();
        let short: Vec<Option<Vec<u8>>> = match compression {
            Compression::None => vec![None; clusters.len()],
            Compression::Zstd => parallel::map(&groups, &Interrupt::default(), |group| {
                compressed(group).map_err(Failed)
            })
            .map_err(|Failed(error)| error)?
            .concat(),
        };
        for ((number, cluster), short) in clusters.iter().zip(short) {
            let entry = match short {
                Some(bytes) => self.pack(&bytes)?,
                None => self.whole(cluster)? | COPIED,
            };
            self.point(*number, entry)?;
        }
        Ok(())
    }

    /// Takes whole clusters for these bytes; gives where they are.
    fn whole(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let at = self.take((bytes.len() as u64).div_ceil(CLUSTER));
        self.out.seek(SeekFrom::Start(at))?;
        self.out.write_all(bytes)?;
        Ok(at)
    }

    fn take(&mut self, clusters: u64) -> u64 {
        let at = self.next * CLUSTER;
        self.next += clusters;
        self.counts.resize(self.next as usize, 1);
        at
    }

    /// Puts compressed bytes behind the last ones; gives the entry that points to them.
    fn pack(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let length = bytes.len() as u64;
        let room = self.packed.next_multiple_of(CLUSTER) - self.packed;
        let end_is_free = self.packed.next_multiple_of(CLUSTER) == self.next * CLUSTER;
        let mut fresh = None;
        if length > room {
            let at = self.take(1);
            fresh = Some(at);
            if room == 0 || !end_is_free {
                self.packed = at;
            }
        }
        let (start, end) = (self.packed, self.packed + length);
        for cluster in start / CLUSTER..=(end - 1) / CLUSTER {
            let count = &mut self.counts[cluster as usize];
            // A cluster is taken with a count of one, which its first user has.
            *count += u16::from(fresh != Some(cluster * CLUSTER));
        }
        self.out.seek(SeekFrom::Start(start))?;
        self.out.write_all(bytes)?;
        self.packed = end;
        let sectors = (end - 1) / SECTOR - start / SECTOR;
        Ok(COMPRESSED | (sectors << SECTORS_SHIFT) | start)
    }

    /// Makes cluster `number` of the disk point to `entry`.
    fn point(&mut self, number: u64, entry: u64) -> io::Result<()> {
        let table = number / ENTRIES;
        if self.l2.as_ref().is_none_or(|(open, _)| *open != table) {
            self.close()?;
            self.l2 = Some((table, vec![0; ENTRIES as usize]));
        }
        if let Some((_, entries)) = &mut self.l2 {
            entries[(number % ENTRIES) as usize] = entry;
        }
        Ok(())
    }

    /// Writes the L2 table that is being filled.
    fn close(&mut self) -> io::Result<()> {
        if let Some((table, entries)) = self.l2.take() {
            self.l1[table as usize] = self.whole(&big_endian(&entries))? | COPIED;
        }
        Ok(())
    }

    fn finish(mut self, size: u64, compression: Compression) -> io::Result<()> {
        self.close()?;
        let l1 = big_endian(&self.l1);
        let l1_at = self.whole(&l1)?;
        let (table, blocks) = refcount_clusters(self.next);
        let first = self.take(blocks);
        let table_at = self.take(table);
        let mut counts: Vec<u8> = self.counts.iter().flat_map(|count| count.to_be_bytes()).collect();
        counts.resize((blocks * CLUSTER) as usize, 0);
        let places: Vec<u64> = (0..blocks).map(|block| first + block * CLUSTER).collect();
        let mut places = big_endian(&places);
        places.resize((table * CLUSTER) as usize, 0);
        for (at, bytes) in [
            (first, counts),
            (table_at, places),
            (0, header(size, &self.l1, l1_at, table_at, table, compression)),
        ] {
            self.out.seek(SeekFrom::Start(at))?;
            self.out.write_all(&bytes)?;
        }
        // The last cluster of a table may be written in part.
        sparse::extend(self.out, self.next * CLUSTER)
    }
}

/// An error of a thread; none is interrupted, since whoever reads the disk is.
struct Failed(io::Error);

impl From<Interrupted> for Failed {
    fn from(interrupted: Interrupted) -> Self {
        Self(io::Error::other(interrupted))
    }
}

/// Clusters of the refcount table and of the blocks it points to, which count themselves too.
fn refcount_clusters(fixed: u64) -> (u64, u64) {
    let (mut table, mut blocks) = (1, 1);
    loop {
        let need = (fixed + table + blocks).div_ceil(COUNTS);
        let need_table = need.div_ceil(ENTRIES);
        if need <= blocks && need_table <= table {
            return (table, blocks);
        }
        (table, blocks) = (table.max(need_table), blocks.max(need));
    }
}

fn header(size: u64, l1: &[u64], l1_at: u64, table_at: u64, table: u64, compression: Compression) -> Vec<u8> {
    let (features, kind) = match compression {
        Compression::None => (0, 0),
        Compression::Zstd => (COMPRESSION_TYPE, 1),
    };
    let mut bytes = Vec::with_capacity(CLUSTER as usize);
    bytes.extend(b"QFI\xfb");
    for word in [3_u32, 0, 0, 0, CLUSTER_BITS] {
        bytes.extend(word.to_be_bytes()); // version; backing file's offset (8), size; cluster bits
    }
    bytes.extend(size.to_be_bytes());
    bytes.extend(0_u32.to_be_bytes()); // no encryption
    bytes.extend((l1.len() as u32).to_be_bytes());
    bytes.extend(l1_at.to_be_bytes());
    bytes.extend(table_at.to_be_bytes());
    bytes.extend((table as u32).to_be_bytes());
    bytes.extend([0; 4 + 8]); // no snapshots
    bytes.extend(features.to_be_bytes());
    bytes.extend([0; 2 * 8]); // compatible and auto-clear features
    bytes.extend(4_u32.to_be_bytes()); // refcounts of 2^4 bits
    bytes.extend(112_u32.to_be_bytes()); // length of the header
    bytes.extend([kind, 0, 0, 0, 0, 0, 0, 0]); // compression type, padding
    bytes.resize(CLUSTER as usize, 0); // the zeros after the header end the list of extensions
    bytes
}

fn big_endian(entries: &[u64]) -> Vec<u8> {
    entries.iter().flat_map(|entry| entry.to_be_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refcounts_cover_themselves() {
        for fixed in [1, COUNTS - 2, COUNTS - 1, COUNTS, 40 * COUNTS, COUNTS * ENTRIES] {
            let (table, blocks) = refcount_clusters(fixed);
            assert!(blocks * COUNTS >= fixed + table + blocks);
            assert!(table * ENTRIES >= blocks);
        }
    }

    /// Text, noise, zeros, and a last cluster that is cut off.
    fn disk() -> Vec<u8> {
        let mut seed = 1_u64;
        let mut noise = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 56) as u8
        };
        let mut disk = vec![0; 200 * CLUSTER as usize + 700];
        for (number, cluster) in disk.chunks_mut(CLUSTER as usize).enumerate() {
            match number % 5 {
                0 | 3 => cluster.fill_with(|| b'a' + noise() % 4),
                1 => cluster.fill_with(&mut noise),
                2 => cluster.fill(b'x'),
                _ => {}
            }
        }
        disk
    }

    fn written(compression: Compression, batch: usize) -> Vec<u8> {
        let (disk, mut out) = (disk(), io::Cursor::new(Vec::new()));
        let size = disk.len() as u64;
        let mut disk = sparse::Raw::new(io::Cursor::new(disk), size);
        write_in_batches(&mut disk, compression, batch, &mut out, &mut |_| Ok(())).unwrap();
        out.into_inner()
    }

    #[test]
    fn threads_leave_no_trace() {
        // A batch of one cluster is compressed by one thread, in the order of the disk.
        let alone = written(Compression::Zstd, 1);
        assert!(alone == written(Compression::Zstd, BATCH));
        assert!(alone == written(Compression::Zstd, 3 * GROUP + 1));
        assert!(alone.len() < written(Compression::None, BATCH).len() * 2 / 3);
        assert_eq!(alone.len() as u64 % CLUSTER, 0);
    }
}
