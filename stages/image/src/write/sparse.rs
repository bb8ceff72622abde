//! Files with holes: what is all zero takes no space on the host's disk.

use std::io::{self, Read, Seek, SeekFrom, Write};

/// Unit of a hole.
const BLOCK: usize = 64 * 1024;

/// Copies `from` to `file` at `offset`, which reads as zeros so far, leaving out what is all zero.
/// Returns the number of bytes read.
pub fn copy(mut from: impl Read, file: &mut (impl Write + Seek), offset: u64) -> io::Result<u64> {
    let mut block = vec![0; BLOCK];
    let mut at = offset;
    loop {
        let n = fill(&mut from, &mut block)?;
        if n == 0 {
            return Ok(at - offset);
        }
        for part in block[..n].chunks(4096) {
            if !is_zero(part) {
                file.seek(SeekFrom::Start(at))?;
                file.write_all(part)?;
            }
            at += part.len() as u64;
        }
    }
}

/// Reads until the buffer is full or there is no more.
pub(crate) fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut have = 0;
    while have < buffer.len() {
        match from.read(&mut buffer[have..]) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}

/// Nothing but zeros?
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    let (head, rest) = bytes.split_at(bytes.len() % 16);
    head.iter().all(|byte| *byte == 0) && rest.chunks_exact(16).all(|word| word == [0; 16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_left_out_and_the_rest_arrives() {
        let mut data = vec![0_u8; 300_000];
        data[5000] = 1;
        data[299_999] = 2;
        let mut out = io::Cursor::new(vec![0; 1000]);
        assert_eq!(copy(&data[..], &mut out, 1000).unwrap(), 300_000);
        let out = out.into_inner();
        assert_eq!(&out[1000..], &data[..]);
        assert!(is_zero(&[0; 33]));
        assert!(!is_zero(&[0, 0, 1]));
    }
}
