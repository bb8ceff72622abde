//! A unified kernel image: sections appended to systemd's EFI stub.
//!
//! Formats: PE/COFF (Microsoft's specification, §2–4), Unified Kernel Image
//! (<https://uapi-group.org/specifications/specs/unified_kernel_image/>), the loader's checks in edk2's
//! `BasePeCoff.c` and in systemd's `pe.c`. Nothing is signed here.

use keel_artefact::RootPath;
use object::{
    LittleEndian as LE,
    read::pe::{ImageNtHeaders as _, ImageOptionalHeader as _, PeFile64},
};

use crate::Error;

/// A section to be.
#[derive(Debug)]
pub struct Section<'a> {
    /// Its name with the dot, eight bytes at most.
    pub name: &'static str,
    /// Its content.
    pub bytes: &'a [u8],
}

/// Readable, initialised data.
const DATA: u32 = object::pe::IMAGE_SCN_CNT_INITIALIZED_DATA | object::pe::IMAGE_SCN_MEM_READ;
/// Code, which `.linux` is.
const CODE: u32 =
    object::pe::IMAGE_SCN_CNT_CODE | object::pe::IMAGE_SCN_MEM_EXECUTE | object::pe::IMAGE_SCN_MEM_READ;
/// Bytes of a section's header.
const HEADER: usize = 40;

/// Offsets in the optional header of PE32+.
mod optional {
    pub(super) const SIZE_OF_IMAGE: usize = 56;
    pub(super) const CHECKSUM: usize = 64;
}

/// The stub with the sections appended, in the order given. `.linux` is the last: the stub may use the memory after
/// it, up to the size that the kernel's own PE header states.
pub fn write(stub_path: &RootPath, stub: &[u8], sections: &[Section<'_>]) -> Result<Vec<u8>, Error> {
    let wrong = |why: String| Error::Pe {
        path: stub_path.clone(),
        why,
    };
    let pe = PeFile64::parse(stub).map_err(|error| wrong(error.to_string()))?;
    let headers = pe.nt_headers().optional_header();
    let section_alignment = headers.section_alignment();
    let file_alignment = headers.file_alignment();
    if !section_alignment.is_power_of_two() || !file_alignment.is_power_of_two() || file_alignment < 512 {
        return Err(wrong(format!(
            "alignments {section_alignment} and {file_alignment}"
        )));
    }
    let certificates = pe
        .data_directories()
        .get(object::pe::IMAGE_DIRECTORY_ENTRY_SECURITY);
    if certificates.is_some_and(|table| table.size.get(LE) != 0) {
        return Err(wrong(
            "it is signed; a signature does not survive new sections".into(),
        ));
    }
    let nt = pe.dos_header().nt_headers_offset() as usize;
    let table = pe.section_table();
    let optional = nt + 24;
    let table_at = optional + usize::from(pe.nt_headers().file_header().size_of_optional_header.get(LE));
    let room = (headers.size_of_headers() as usize).saturating_sub(table_at) / HEADER;
    if room < table.len() + sections.len() {
        let (have, want) = (table.len(), sections.len());
        return Err(wrong(format!(
            "room for {room} section headers, {have} taken, {want} to be added"
        )));
    }
    let mut end = 0;
    for section in table.iter() {
        let size = section.virtual_size.get(LE).max(section.size_of_raw_data.get(LE));
        end = end.max(section.virtual_address.get(LE).saturating_add(size));
    }
    let too_large = || wrong("it would have more than 4 GiB".into());
    let align = |value: u32, to: u32| value.checked_next_multiple_of(to).ok_or_else(too_large);

    let mut image = stub.to_vec();
    for (number, section) in (table.len()..).zip(sections) {
        if table
            .iter()
            .any(|have| have.raw_name() == section.name.as_bytes())
        {
            return Err(wrong(format!("it has a section `{}` already", section.name)));
        }
        let size = u32::try_from(section.bytes.len()).map_err(|_| too_large())?;
        let linux = section.name == ".linux";
        let virtual_size = if linux {
            size.max(size_of_image(section.bytes).unwrap_or(0))
        } else {
            size
        };
        let address = align(end, section_alignment)?;
        end = address.checked_add(virtual_size).ok_or_else(too_large)?;
        let raw_at = align(
            u32::try_from(image.len()).map_err(|_| too_large())?,
            file_alignment,
        )?;
        let raw_size = align(size, file_alignment)?;
        image.resize(raw_at as usize, 0);
        image.extend_from_slice(section.bytes);
        image.resize(raw_at as usize + raw_size as usize, 0);

        let at = table_at + number * HEADER;
        let header = &mut image[at..at + HEADER];
        header.fill(0);
        header[..section.name.len()].copy_from_slice(section.name.as_bytes());
        put(header, 8, virtual_size);
        put(header, 12, address);
        put(header, 16, raw_size);
        put(header, 20, raw_at);
        put(header, 36, if linux { CODE } else { DATA });
    }
    let count = u16::try_from(table.len() + sections.len()).map_err(|_| wrong("too many sections".into()))?;
    image[nt + 6..nt + 8].copy_from_slice(&count.to_le_bytes());
    let size = align(end, section_alignment)?;
    put(&mut image, optional + optional::SIZE_OF_IMAGE, size);
    put(&mut image, optional + optional::CHECKSUM, 0);
    Ok(image)
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// How much memory a PE file takes once loaded.
fn size_of_image(bytes: &[u8]) -> Option<u32> {
    let pe = PeFile64::parse(bytes).ok()?;
    Some(pe.nt_headers().optional_header().size_of_image())
}

/// The release that an x86 kernel says it has (`uname -r`): boot protocol 2.00, field `kernel_version` at 0x20e
/// (Documentation/arch/x86/boot.rst of Linux).
pub fn kernel_release(kernel: &[u8]) -> Option<String> {
    if kernel.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let at = usize::from(u16::from_le_bytes(kernel.get(0x20e..0x210)?.try_into().ok()?)) + 0x200;
    let text = kernel.get(at..)?.split(|byte| *byte == 0).next()?;
    let text = std::str::from_utf8(text.get(..text.len().min(256))?).ok()?;
    text.split(' ')
        .next()
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_stub_is_no_panic() {
        let path: RootPath = "/stub".parse().unwrap();
        for bytes in [&b""[..], b"MZ", &[0; 4096], b"MZ\0\0\0\0\0\0\0\0\0\0\0\0\0\0"] {
            assert!(write(&path, bytes, &[]).is_err());
            assert_eq!(kernel_release(bytes), None);
        }
    }
}
