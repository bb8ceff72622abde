//! The archive inside a payload: cpio "newc" (`070701`, `070702`), and rpm's own `07070X` for files over 4 GiB.
//!
//! Layout: cpio(5) of FreeBSD, section "New ASCII format"; `lib/cpio.c` of rpm for `07070X`.

use std::io::{self, Read};

use crate::Fault;

/// The longest name that is read: `PATH_MAX`.
const MAX_NAME: usize = 4096;

/// What comes next in the archive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Member {
    /// A named file with its number of bytes.
    Named { name: Vec<u8>, size: u64 },
    /// The file of that number in the header; its size is there too.
    Numbered(u32),
    /// `TRAILER!!!`
    End,
}

/// Reads one member after the other. Between two calls of [`Archive::next`] the content must be taken with
/// [`Archive::content`] and [`Archive::end_content`].
pub(crate) struct Archive<R> {
    inner: R,
    /// Bytes read: everything is aligned to 4 of them.
    position: u64,
}

impl<R: Read> Archive<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, position: 0 }
    }

    /// The header of the next member.
    pub(crate) fn next(&mut self) -> Result<Member, Fault> {
        let mut magic = [0; 6];
        self.fill(&mut magic)?;
        match &magic {
            b"070701" | b"070702" => self.named(),
            b"07070X" => {
                let number = self.number()?;
                self.align()?;
                Ok(Member::Numbered(number))
            }
            _ => Err(Fault::Archive(
                "no cpio magic where a file should begin".to_owned(),
            )),
        }
    }

    fn named(&mut self) -> Result<Member, Fault> {
        // inode, mode, uid, gid, nlink, mtime, size, device (2), special device (2), length of the name, checksum
        let mut fields = [0; 13];
        for field in &mut fields {
            *field = self.number()?;
        }
        let (size, length) = (fields[6], fields[11] as usize);
        if !(2..=MAX_NAME + 2).contains(&length) {
            return Err(Fault::Archive(format!("a file name of {length} bytes")));
        }
        let mut name = vec![0; length];
        self.fill(&mut name)?;
        if name.pop() != Some(0) || name.contains(&0) {
            return Err(Fault::Archive(
                "a file name does not end where it should".to_owned(),
            ));
        }
        self.align()?;
        if name == b"TRAILER!!!" {
            return Ok(Member::End);
        }
        Ok(Member::Named {
            name,
            size: u64::from(size),
        })
    }

    /// A reader of the next `size` bytes.
    pub(crate) fn content(&mut self, size: u64) -> io::Take<&mut R> {
        self.position += size;
        self.inner.by_ref().take(size)
    }

    /// Skips the padding after content that was read to its end.
    pub(crate) fn end_content(&mut self) -> Result<(), Fault> {
        self.align()
    }

    /// Eight hexadecimal digits.
    fn number(&mut self) -> Result<u32, Fault> {
        let mut digits = [0; 8];
        self.fill(&mut digits)?;
        digits.iter().try_fold(0_u32, |number, digit| {
            let value = char::from(*digit).to_digit(16);
            value
                .map(|value| number << 4 | value)
                .ok_or_else(|| Fault::Archive("a field that is no number".to_owned()))
        })
    }

    fn align(&mut self) -> Result<(), Fault> {
        let padding = (4 - self.position % 4) % 4;
        self.fill(&mut [0; 4][..padding as usize])
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        self.position += buffer.len() as u64;
        self.inner.read_exact(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::Archive("it ends early".to_owned()),
            _ => Fault::Archive(error.to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, content: &str) -> Vec<u8> {
        let mut bytes = b"070701".to_vec();
        for field in [
            1,
            0o100_644,
            0,
            0,
            1,
            0,
            content.len(),
            0,
            0,
            0,
            0,
            name.len() + 1,
            0,
        ] {
            bytes.extend(format!("{field:08x}").into_bytes());
        }
        bytes.extend(name.as_bytes());
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(content.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn members_come_one_after_the_other() {
        let bytes = [
            member("./a", "hello"),
            member("./bc", ""),
            member("TRAILER!!!", ""),
        ]
        .concat();
        let mut archive = Archive::new(&bytes[..]);
        let next = archive.next().unwrap();
        assert_eq!(
            next,
            Member::Named {
                name: b"./a".to_vec(),
                size: 5
            }
        );
        let mut text = String::new();
        archive.content(5).read_to_string(&mut text).unwrap();
        archive.end_content().unwrap();
        assert_eq!(text, "hello");
        assert!(matches!(archive.next().unwrap(), Member::Named { size: 0, .. }));
        assert_eq!(archive.next().unwrap(), Member::End);
    }

    #[test]
    fn nonsense_is_an_error() {
        let mut endless = member("./a", "");
        endless[6 + 11 * 8..6 + 12 * 8].copy_from_slice(b"7fffffff");
        for bytes in [&b""[..], b"0707", b"070701zz", b"07070X0000000g", &endless] {
            assert!(Archive::new(bytes).next().is_err(), "{bytes:?}");
        }
    }
}
