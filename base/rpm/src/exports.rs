//! The dynamic symbols that an ELF file offers to others: its binary interface, as far as names, versions and sizes tell it.
//!
//! Sources: the gABI (symbol table), and "ELF Symbol Versioning" (`.gnu.version`, `.gnu.version_d`) of the LSB.

use object::{
    Endianness,
    elf::{self, FileHeader32, FileHeader64},
    read::elf::{ElfFile, FileHeader, Sym as _},
};
use serde::{Deserialize, Serialize};

/// What a symbol is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Code (an indirect function, too).
    Function,
    /// Data.
    Object,
    /// Data of each thread.
    ThreadLocal,
    /// Not said.
    Other,
}

/// One symbol that others may bind to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// Its version (`GLIBC_2.34`), if the library has versions.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    /// What it is.
    pub kind: Kind,
    /// Its bytes; part of the interface for data only, which programs may copy into themselves.
    pub size: u64,
}

impl Export {
    /// `name@version`, as `nm -D` writes it.
    pub fn identity(&self) -> String {
        match &self.version {
            Some(version) => format!("{}@{version}", self.name),
            None => self.name.clone(),
        }
    }
}

/// Names and versions longer than this are no names of symbols (those of C++ templates have been seen beyond 4 KiB).
const LONGEST_NAME: usize = 64 << 10;

/// Exports of one file, at most.
const MOST: usize = 1_000_000;

/// Bytes of all names and versions of one file, at most: names may overlap in the file, so its size does not bound them.
const MOST_BYTES: usize = 64 << 20;

/// The exports of an ELF file, sorted by name and version, each once; empty for what is no ELF file or has no section headers.
/// None if there are more, or longer ones, than any library has.
pub fn exports(bytes: &[u8]) -> Option<Vec<Export>> {
    let mut found = match object::FileKind::parse(bytes) {
        Ok(object::FileKind::Elf64) => match ElfFile::<FileHeader64<Endianness>>::parse(bytes) {
            Ok(file) => read(&file, bytes)?,
            Err(_) => Vec::new(),
        },
        Ok(object::FileKind::Elf32) => match ElfFile::<FileHeader32<Endianness>>::parse(bytes) {
            Ok(file) => read(&file, bytes)?,
            Err(_) => Vec::new(),
        },
        _ => Vec::new(),
    };
    found.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    found.dedup_by(|one, other| one.name == other.name && one.version == other.version);
    Some(found)
}

/// None beyond the bounds.
fn read<Elf: FileHeader<Endian = Endianness>>(file: &ElfFile<'_, Elf>, bytes: &[u8]) -> Option<Vec<Export>> {
    let endian = file.endian();
    let Ok(versions) = file.elf_section_table().versions(endian, bytes) else {
        return Some(Vec::new());
    };
    let table = file.elf_dynamic_symbol_table();
    let (mut exports, mut total) = (Vec::new(), 0);
    for (index, symbol) in table.enumerate() {
        let is_offered = matches!(
            symbol.st_bind(),
            elf::STB_GLOBAL | elf::STB_WEAK | elf::STB_GNU_UNIQUE
        ) && matches!(symbol.st_visibility(), elf::STV_DEFAULT | elf::STV_PROTECTED)
            && !matches!(symbol.st_shndx(endian), elf::SHN_UNDEF);
        if !is_offered {
            continue;
        }
        let Some(name) = symbol
            .name(endian, table.strings())
            .ok()
            .filter(|name| !name.is_empty())
        else {
            continue;
        };
        let version = versions.as_ref().and_then(|versions| {
            let found = versions.version_index(endian, index);
            versions.version(found).ok()?.map(|version| version.name())
        });
        // A version has a symbol of its own, which has no version.
        let version = version.filter(|version| *version != name);
        let longest = name.len().max(version.map_or(0, <[u8]>::len));
        total += name.len() + version.map_or(0, <[u8]>::len);
        if longest > LONGEST_NAME || total > MOST_BYTES || exports.len() == MOST {
            return None;
        }
        exports.push(Export {
            name: lossy(name),
            version: version.map(lossy),
            kind: match symbol.st_type() {
                elf::STT_FUNC | elf::STT_GNU_IFUNC => Kind::Function,
                elf::STT_OBJECT | elf::STT_COMMON => Kind::Object,
                elf::STT_TLS => Kind::ThreadLocal,
                _ => Kind::Other,
            },
            size: symbol.st_size(endian).into(),
        });
    }
    Some(exports)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
