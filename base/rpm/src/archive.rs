//! Static libraries: `ar` archives of object files.

use object::read::archive::ArchiveFile;

/// One member of a static library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its name (`crtend.o`).
    pub name: &'a [u8],
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// Does a file begin as a static library does (`!<arch>`, or `!<thin>`, whose members lie elsewhere)?
pub fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(b"!<arch>\n") || bytes.starts_with(b"!<thin>\n")
}

/// The members of a static library, without its symbol table; none if the bytes are no readable archive.
pub fn members(bytes: &[u8]) -> Option<Vec<Member<'_>>> {
    let archive = ArchiveFile::parse(bytes).ok()?;
    let mut members = Vec::new();
    for member in archive.members() {
        let member = member.ok()?;
        members.push(Member {
            name: member.name(),
            bytes: if member.is_thin() {
                &[]
            } else {
                member.data(bytes).ok()?
            },
        });
    }
    Some(members)
}
