//! SquashFS's metadata: everything but contents, in blocks of two bytes of length and 8 KiB at most when unpacked. A place
//! in them is a block and a byte in it.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
};

use super::super::{
    error::{damaged, unsupported},
    le16, le64, lz4,
    volume::Volume,
};

/// Bytes of an unpacked block of metadata (`SQUASHFS_METADATA_SIZE`).
const METADATA: usize = 8192;
/// How many blocks of metadata are kept unpacked.
const KEPT: usize = 64;
/// The most bytes of a table.
const MOST_TABLE: u64 = 256 << 20;
/// The most memory that a decoder of xz may take.
const MEMORY: u64 = 64 << 20;

/// How blocks are compressed.
#[derive(Clone, Copy)]
pub(super) enum Method {
    Gzip,
    Xz,
    Lz4,
    Zstd,
}

/// A place in metadata.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) block: u64,
    pub(super) offset: usize,
}

impl Place {
    /// A block, from `start`, and in the lower 16 bits a byte in it.
    pub(super) fn of(start: u64, reference: u64) -> io::Result<Self> {
        let block = start.checked_add(reference >> 16);
        Ok(Self {
            block: block.ok_or_else(|| damaged("a place in metadata"))?,
            offset: (reference & 0xffff) as usize,
        })
    }
}

/// The file system, as far as its blocks are concerned.
pub(super) struct Blocks {
    pub(super) volume: Volume,
    method: Method,
    /// Blocks of metadata by where they are: what they hold, and where the next one is.
    kept: BTreeMap<u64, (Vec<u8>, u64)>,
}

impl Blocks {
    pub(super) fn new(volume: Volume, method: Method) -> Self {
        Self {
            volume,
            method,
            kept: BTreeMap::new(),
        }
    }

    /// A table of `count` entries of `width` bytes: where its blocks of metadata are is listed at `at`.
    pub(super) fn table(&mut self, at: u64, count: u64, width: u64) -> io::Result<Vec<u8>> {
        let length = count * width;
        if length == 0 || at == u64::MAX {
            return Ok(Vec::new());
        }
        if length > MOST_TABLE {
            return Err(unsupported(format!(
                "its SquashFS has a table of {length} bytes, and {MOST_TABLE} are the most that is read"
            )));
        }
        // Before there is room for them: each block of metadata has at least three bytes.
        let blocks = length.div_ceil(METADATA as u64);
        if blocks > self.volume.size() / 3 {
            return Err(damaged(
                "a table of its SquashFS has more entries than there is room for",
            ));
        }
        let places = self.volume.vec(at, blocks * 8)?;
        let mut all = Vec::new();
        for place in places.chunks_exact(8) {
            all.extend_from_slice(&self.block(le64(place, 0))?.0);
        }
        match all.len() as u64 >= length {
            true => {
                all.truncate(length as usize);
                Ok(all)
            }
            false => Err(damaged("a table of its SquashFS ends early")),
        }
    }

    /// The block of metadata at `at`, unpacked, and where the next one is.
    fn block(&mut self, at: u64) -> io::Result<&(Vec<u8>, u64)> {
        if !self.kept.contains_key(&at) {
            let size = le16(&self.volume.bytes::<2>(at)?, 0);
            let length = u64::from(size & 0x7fff);
            let packed = self.volume.vec(at + 2, length)?;
            let bytes = match size & 0x8000 {
                0 => self.unpack(&packed, METADATA)?,
                _ => packed,
            };
            if bytes.len() > METADATA {
                return Err(damaged("a block of metadata is too large"));
            }
            if self.kept.len() >= KEPT {
                self.kept.clear();
            }
            self.kept.insert(at, (bytes, at + 2 + length));
        }
        Ok(&self.kept[&at])
    }

    /// What `packed` holds, `most` bytes at most.
    pub(super) fn unpack(&self, packed: &[u8], most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let limit = most as u64 + 1;
        let wrong = |error: io::Error| damaged(format!("a block cannot be unpacked: {error}"));
        match self.method {
            Method::Gzip => {
                let reader = flate2::read::ZlibDecoder::new(packed);
                reader.take(limit).read_to_end(&mut bytes).map_err(wrong)?;
            }
            Method::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(MEMORY, 0)?;
                let reader = liblzma::bufread::XzDecoder::new_stream(packed, stream);
                reader.take(limit).read_to_end(&mut bytes).map_err(wrong)?;
            }
            Method::Lz4 => {
                let found = lz4::unpack_all(packed, most);
                bytes = found.ok_or_else(|| damaged("a block of LZ4 cannot be unpacked"))?;
            }
            Method::Zstd => {
                let reader = zstd::Decoder::with_buffer(packed).map_err(wrong)?.single_frame();
                reader.take(limit).read_to_end(&mut bytes).map_err(wrong)?;
            }
        }
        match bytes.len() <= most {
            true => Ok(bytes),
            false => Err(damaged(format!("a block unpacks to more than {most} bytes"))),
        }
    }

    /// The next `length` bytes of metadata; the place moves on.
    pub(super) fn take(&mut self, place: &mut Place, length: usize) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        while all.len() < length {
            let (offset, want) = (place.offset, length - all.len());
            let (bytes, next) = self.block(place.block)?;
            let there = bytes.get(offset..).unwrap_or_default();
            if there.is_empty() {
                if bytes.is_empty() || offset > bytes.len() {
                    return Err(damaged("metadata of its SquashFS points outside"));
                }
                *place = Place {
                    block: *next,
                    offset: 0,
                };
                continue;
            }
            let taken = there.len().min(want);
            all.extend_from_slice(&there[..taken]);
            place.offset += taken;
        }
        Ok(all)
    }
}
