//! A disk in QEMU's format, version 3 (docs/interop/qcow2.txt of QEMU), uncompressed: the root file system and the
//! kernel inside are compressed already.
//!
//! Layout, in clusters of 64 KiB: header, refcount table, refcount blocks, L1 table, L2 tables, data. A cluster of
//! zeros is not stored: it reads as zeros because no backing file lies behind.

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::sparse::{fill, is_zero};

const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// Entries of eight bytes in a cluster.
const ENTRIES: u64 = CLUSTER / 8;
/// Counts of two bytes in a cluster.
const COUNTS: u64 = CLUSTER / 2;
/// Bit 63: the refcount of what is pointed to is one.
const COPIED: u64 = 1 << 63;

/// Writes the `size` bytes of `disk` as qcow2 to `out`.
pub fn write(disk: &mut (impl Read + Seek), size: u64, out: &mut (impl Write + Seek)) -> io::Result<()> {
    let used = used_clusters(disk, size)?;
    let clusters = size.div_ceil(CLUSTER);
    let tables: Vec<u64> = (0..clusters.div_ceil(ENTRIES))
        .filter(|table| {
            used[(table * ENTRIES) as usize..]
                .iter()
                .take(ENTRIES as usize)
                .any(|used| *used)
        })
        .collect();
    let data = used.iter().filter(|used| **used).count() as u64;
    let l1_entries = clusters.div_ceil(ENTRIES).max(1);
    let l1_clusters = (l1_entries * 8).div_ceil(CLUSTER);
    let fixed = 1 + l1_clusters + tables.len() as u64 + data;
    let (refcount_table, blocks) = refcount_clusters(fixed);
    let l1_at = 1 + refcount_table + blocks;
    let l2_at = l1_at + l1_clusters;
    let data_at = l2_at + tables.len() as u64;
    let total = data_at + data;

    out.seek(SeekFrom::Start(0))?;
    out.write_all(&header(size, l1_entries, l1_at, refcount_table))?;
    let table: Vec<u64> = (0..blocks)
        .map(|block| (1 + refcount_table + block) * CLUSTER)
        .collect();
    table_at(out, 1, &table)?;
    for block in 0..blocks {
        let counts: Vec<u8> = (block * COUNTS..(block + 1) * COUNTS)
            .flat_map(|cluster| u16::from(cluster < total).to_be_bytes())
            .collect();
        out.seek(SeekFrom::Start((1 + refcount_table + block) * CLUSTER))?;
        out.write_all(&counts)?;
    }
    let mut l1 = vec![0; l1_entries as usize];
    for (at, table) in (l2_at..).zip(&tables) {
        l1[*table as usize] = (at * CLUSTER) | COPIED;
    }
    table_at(out, l1_at, &l1)?;
    let mut next = data_at;
    for (at, table) in (l2_at..).zip(&tables) {
        let entries: Vec<u64> = used[(table * ENTRIES) as usize..]
            .iter()
            .take(ENTRIES as usize)
            .map(|used| {
                let entry = if *used { (next * CLUSTER) | COPIED } else { 0 };
                next += u64::from(*used);
                entry
            })
            .collect();
        table_at(out, at, &entries)?;
    }
    let mut buffer = vec![0; CLUSTER as usize];
    let stored = (0_u64..).zip(&used).filter(|(_, used)| **used);
    for (at, (cluster, _)) in (data_at..).zip(stored) {
        disk.seek(SeekFrom::Start(cluster * CLUSTER))?;
        buffer.fill(0);
        fill(disk, &mut buffer)?;
        out.seek(SeekFrom::Start(at * CLUSTER))?;
        out.write_all(&buffer)?;
    }
    Ok(())
}

/// Which clusters of the disk hold anything but zeros.
fn used_clusters(disk: &mut (impl Read + Seek), size: u64) -> io::Result<Vec<bool>> {
    let mut buffer = vec![0; CLUSTER as usize];
    let mut used = Vec::new();
    disk.seek(SeekFrom::Start(0))?;
    let mut left = size;
    while left > 0 {
        let want = CLUSTER.min(left) as usize;
        if fill(disk, &mut buffer[..want])? < want {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        used.push(!is_zero(&buffer[..want]));
        left -= want as u64;
    }
    Ok(used)
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

fn header(size: u64, l1_entries: u64, l1_at: u64, refcount_table: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(CLUSTER as usize);
    bytes.extend(b"QFI\xfb");
    for word in [3_u32, 0, 0, 0, CLUSTER_BITS] {
        bytes.extend(word.to_be_bytes()); // version; backing file's offset (8), size; cluster bits
    }
    bytes.extend(size.to_be_bytes());
    bytes.extend(0_u32.to_be_bytes()); // no encryption
    bytes.extend((l1_entries as u32).to_be_bytes());
    bytes.extend((l1_at * CLUSTER).to_be_bytes());
    bytes.extend(CLUSTER.to_be_bytes()); // the refcount table comes right after the header
    bytes.extend((refcount_table as u32).to_be_bytes());
    bytes.extend([0; 4 + 8]); // no snapshots
    bytes.extend([0; 3 * 8]); // no features
    bytes.extend(4_u32.to_be_bytes()); // refcounts of 2^4 bits
    bytes.extend(112_u32.to_be_bytes()); // length of the header
    bytes.extend([0; 8]); // compression type, padding
    bytes.resize(CLUSTER as usize, 0); // the zeros after the header end the list of extensions
    bytes
}

fn table_at(out: &mut (impl Write + Seek), cluster: u64, entries: &[u64]) -> io::Result<()> {
    let mut bytes: Vec<u8> = entries.iter().flat_map(|entry| entry.to_be_bytes()).collect();
    bytes.resize(
        bytes
            .len()
            .next_multiple_of(CLUSTER as usize)
            .max(CLUSTER as usize),
        0,
    );
    out.seek(SeekFrom::Start(cluster * CLUSTER))?;
    out.write_all(&bytes)
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
}
