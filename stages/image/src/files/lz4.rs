//! A block of LZ4 (<https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md>).

/// The first `size` bytes of what `packed` holds; none: it does not hold them.
pub(super) fn unpack(packed: &[u8], size: usize) -> Option<Vec<u8>> {
    run(packed, size, false)
}

/// All that `packed` holds, or the first `most` bytes and one more.
pub(super) fn unpack_all(packed: &[u8], most: usize) -> Option<Vec<u8>> {
    run(packed, most + 1, true)
}

fn run(packed: &[u8], size: usize, to_the_end: bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(size);
    let mut rest = packed;
    loop {
        let token = next(&mut rest)?;
        let literals = length(token >> 4, &mut rest)?;
        let want = literals.min(size - out.len());
        out.extend(rest.get(..want)?);
        if out.len() == size {
            return Some(out);
        }
        rest = rest.get(literals..)?;
        if to_the_end && rest.is_empty() {
            return Some(out);
        }
        let back = usize::from(u16::from_le_bytes([next(&mut rest)?, next(&mut rest)?]));
        let matched = length(token & 15, &mut rest)?.checked_add(4)?;
        let from = out.len().checked_sub(back).filter(|_| back > 0)?;
        let want = matched.min(size - out.len());
        if back >= want {
            out.extend_from_within(from..from + want);
        } else {
            // It may run into what it makes.
            for at in from..from + want {
                out.push(out[at]);
            }
        }
        if out.len() == size {
            return Some(out);
        }
    }
}

fn next(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

fn length(first: u8, bytes: &mut &[u8]) -> Option<usize> {
    let mut length = usize::from(first);
    if first == 15 {
        loop {
            let more = next(bytes)?;
            length = length.checked_add(usize::from(more))?;
            if more != 255 {
                break;
            }
        }
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::{unpack, unpack_all};

    #[test]
    fn literals_and_matches() {
        // "abc", then 5 bytes from 3 back, then "xy".
        let packed = [0x31, b'a', b'b', b'c', 3, 0, 0x20, b'x', b'y'];
        assert_eq!(unpack(&packed, 10).unwrap(), b"abcabcabxy");
        assert_eq!(unpack(&packed, 5).unwrap(), b"abcab");
        assert_eq!(unpack(&packed, 11), None);
        assert_eq!(unpack_all(&packed, 100).unwrap(), b"abcabcabxy");
        assert_eq!(
            unpack_all(&packed, 4).unwrap(),
            b"abcab",
            "one more than was asked for"
        );
        assert_eq!(unpack_all(&packed[..6], 100), None, "a match, and then nothing");
        // A long match of one byte.
        let packed = [0x1f, b'z', 1, 0, 255, 1, 0];
        assert_eq!(unpack(&packed, 276).unwrap(), [b'z'; 276]);
        for wrong in [
            &[0x10][..],
            &[0x10, b'a', 2, 0],
            &[0x10, b'a', 0, 0],
            &[0xf0, 255, 255],
            &[],
        ] {
            assert_eq!(unpack(wrong, 20), None, "{wrong:?}");
        }
    }
}
