//! What an ELF file needs, offers, and how it is hardened.
//!
//! Sources: the gABI (dynamic section, program headers), elf(5), the x86-64 psABI (`GNU_PROPERTY_X86_FEATURE_1`).

use object::{
    Endianness,
    elf::{self, FileHeader32, FileHeader64},
    read::elf::{
        Dyn as _, ElfFile, FileHeader, NoteIterator, ProgramHeader as _, SectionHeader as _, Sym as _,
    },
};
use serde::{Deserialize, Serialize};

/// How much of the relocations is read-only once the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relro {
    /// Nothing.
    None,
    /// All but the procedure linkage table.
    Partial,
    /// Everything (with immediate binding).
    Full,
}

/// What kind of ELF file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An object file (`.o`, kernel module).
    Relocatable,
    /// A program at fixed addresses.
    Executable,
    /// A program that can lie anywhere (PIE).
    Pie,
    /// A shared library.
    Shared,
    /// A core dump or something else.
    Other,
}

/// Facts about one ELF file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElfFacts {
    /// Program, library or object.
    pub kind: Kind,
    /// `e_machine`: 62 is x86-64, 183 is AArch64.
    pub machine: u16,
    /// 64-bit?
    pub is_64: bool,
    /// Libraries that it needs (`DT_NEEDED`).
    pub needed: Vec<String>,
    /// Its own name as a library (`DT_SONAME`).
    pub soname: Option<String>,
    /// The loader it asks for (`PT_INTERP`).
    pub interpreter: Option<String>,
    /// Build identity (`NT_GNU_BUILD_ID`), in hexadecimal digits.
    pub build_id: Option<String>,
    /// `DT_RPATH`.
    pub rpath: Option<String>,
    /// `DT_RUNPATH`.
    pub runpath: Option<String>,
    /// Runs without a loader and libraries (a program without `PT_INTERP` and `DT_NEEDED`).
    pub is_static: bool,
    /// Binds all symbols at start (`DF_BIND_NOW`, `DF_1_NOW`).
    pub bind_now: bool,
    /// Read-only relocations.
    pub relro: Relro,
    /// Asks for an executable stack: `PT_GNU_STACK` says so, or is missing.
    pub executable_stack: bool,
    /// Has a segment both writable and executable.
    pub writable_code: bool,
    /// Relocations in the text (`DT_TEXTREL`).
    pub text_relocations: bool,
    /// Uses the stack protector.
    pub stack_protector: bool,
    /// Calls checked functions of `_FORTIFY_SOURCE` (`__memcpy_chk`).
    pub fortified: bool,
    /// Calls a function that `_FORTIFY_SOURCE=2` replaces wherever it is called (`printf`), unchecked.
    pub unfortified: bool,
    /// Bytes of executable sections.
    pub code_size: u64,
    /// Marked for indirect branch tracking and shadow stack (x86), or branch target identification and pointer
    /// authentication (AArch64).
    pub control_flow: [bool; 2],
    /// Holds a symbol table (is not stripped).
    pub has_symbols: bool,
    /// Holds debugging information.
    pub has_debug_info: bool,
    /// Holds what only a link-time optimiser of GCC reads (`.gnu.lto_*`), or is an object with nothing else in it.
    pub has_lto: bool,
    /// File of its debugging information (`.gnu_debuglink`).
    pub debug_link: Option<String>,
}

impl ElfFacts {
    /// Does it lack the mark for IBT and shadow stacks (x86-64), or BTI (AArch64)? Other processors have none.
    pub fn lacks_control_flow(&self) -> bool {
        let [branches, stack] = self.control_flow;
        match self.machine {
            elf::EM_X86_64 => !branches || !stack,
            elf::EM_AARCH64 => !branches,
            _ => false,
        }
    }
}

/// Does a file begin as ELF files do?
pub fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

/// The facts about an ELF file; none if the bytes are not one that can be read.
pub fn facts(bytes: &[u8]) -> Option<ElfFacts> {
    match object::FileKind::parse(bytes).ok()? {
        object::FileKind::Elf64 => read(ElfFile::<FileHeader64<Endianness>>::parse(bytes).ok()?, bytes),
        object::FileKind::Elf32 => read(ElfFile::<FileHeader32<Endianness>>::parse(bytes).ok()?, bytes),
        _ => None,
    }
}

fn read<Elf: FileHeader<Endian = Endianness>>(file: ElfFile<'_, Elf>, bytes: &[u8]) -> Option<ElfFacts> {
    let endian = file.endian();
    let header = file.elf_header();
    let mut facts = ElfFacts {
        kind: Kind::Other,
        machine: header.e_machine(endian),
        is_64: header.is_class_64(),
        needed: Vec::new(),
        soname: None,
        interpreter: None,
        build_id: None,
        rpath: None,
        runpath: None,
        is_static: false,
        bind_now: false,
        relro: Relro::None,
        executable_stack: true,
        writable_code: false,
        text_relocations: false,
        stack_protector: false,
        fortified: false,
        unfortified: false,
        code_size: 0,
        control_flow: [false; 2],
        has_symbols: false,
        has_debug_info: false,
        has_lto: false,
        debug_link: None,
    };
    segments(&file, bytes, &mut facts);
    let flags_1 = dynamic(&file, bytes, &mut facts)?;
    sections(&file, bytes, &mut facts);
    symbols(&file, &mut facts)?;
    facts.kind = match header.e_type(endian) {
        elf::ET_REL => Kind::Relocatable,
        elf::ET_EXEC => Kind::Executable,
        elf::ET_DYN
            if flags_1 & elf::DF_1_PIE != 0 || (facts.interpreter.is_some() && facts.soname.is_none()) =>
        {
            Kind::Pie
        }
        elf::ET_DYN => Kind::Shared,
        _ => Kind::Other,
    };
    if facts.kind == Kind::Relocatable {
        facts.executable_stack = false;
    }
    facts.is_static = matches!(facts.kind, Kind::Executable | Kind::Pie)
        && facts.interpreter.is_none()
        && facts.needed.is_empty();
    if facts.relro == Relro::Partial && facts.bind_now {
        facts.relro = Relro::Full;
    }
    Some(facts)
}

/// Flags of segments; and, where section headers are gone, what the loader itself would read. (Files of separate
/// debugging information keep the segments of the program they belong to, but not the bytes: sections come first.)
fn segments<Elf: FileHeader<Endian = Endianness>>(
    file: &ElfFile<'_, Elf>,
    bytes: &[u8],
    facts: &mut ElfFacts,
) {
    let endian = file.endian();
    let bare = file.elf_section_table().is_empty();
    for segment in file.elf_program_headers() {
        let flags = segment.p_flags(endian);
        match segment.p_type(endian) {
            elf::PT_GNU_STACK => facts.executable_stack = flags & elf::PF_X != 0,
            elf::PT_GNU_RELRO => facts.relro = Relro::Partial,
            elf::PT_LOAD if flags & elf::PF_W != 0 && flags & elf::PF_X != 0 => facts.writable_code = true,
            elf::PT_INTERP if bare => {
                facts.interpreter = segment.interpreter(endian, bytes).ok().flatten().map(lossy);
            }
            elf::PT_NOTE if bare => {
                if let Ok(Some(notes)) = segment.notes(endian, bytes) {
                    note(endian, notes, facts);
                }
            }
            _ => {}
        }
    }
}

fn note<Elf: FileHeader<Endian = Endianness>>(
    endian: Endianness,
    mut notes: NoteIterator<'_, Elf>,
    facts: &mut ElfFacts,
) {
    while let Ok(Some(note)) = notes.next() {
        if note.name() != elf::ELF_NOTE_GNU {
            continue;
        }
        match note.n_type(endian) {
            elf::NT_GNU_BUILD_ID => facts.build_id = Some(hex::encode(note.desc())),
            elf::NT_GNU_PROPERTY_TYPE_0 => {
                let Some(mut properties) = note.gnu_properties(endian) else {
                    continue;
                };
                while let Ok(Some(property)) = properties.next() {
                    // GNU_PROPERTY_X86_FEATURE_1_AND, GNU_PROPERTY_AARCH64_FEATURE_1_AND: bits 0 and 1 of both.
                    if matches!(property.pr_type(), 0xc000_0002 | 0xc000_0000)
                        && let Ok(bits) = property.data_u32(endian)
                    {
                        facts.control_flow = [bits & 1 != 0, bits & 2 != 0];
                    }
                }
            }
            _ => {}
        }
    }
}

/// A text of the dynamic section is cut here: the longest path.
const LONGEST_TEXT: usize = 4 << 10;

/// Libraries that one file needs, at most.
const MOST_NEEDED: usize = 10_000;

/// Returns `DT_FLAGS_1`; none if a file needs more libraries than any does.
fn dynamic<Elf: FileHeader<Endian = Endianness>>(
    file: &ElfFile<'_, Elf>,
    bytes: &[u8],
    facts: &mut ElfFacts,
) -> Option<u32> {
    let Some((entries, strings)) = dynamic_entries(file, bytes) else {
        return Some(0);
    };
    let endian = file.endian();
    let mut flags_1 = 0;
    for entry in entries {
        let value: u64 = entry.d_val(endian).into();
        let text = || {
            let rest = strings.get(usize::try_from(value).ok()?..)?;
            let start = &rest[..rest.len().min(LONGEST_TEXT)];
            start.split(|byte| *byte == 0).next().map(lossy)
        };
        match entry.d_tag(endian).into() {
            elf::DT_NULL => break,
            elf::DT_NEEDED if facts.needed.len() == MOST_NEEDED => return None,
            elf::DT_NEEDED => facts.needed.extend(text()),
            elf::DT_SONAME => facts.soname = text(),
            elf::DT_RPATH => facts.rpath = text(),
            elf::DT_RUNPATH => facts.runpath = text(),
            elf::DT_TEXTREL => facts.text_relocations = true,
            elf::DT_BIND_NOW => facts.bind_now = true,
            elf::DT_FLAGS => {
                facts.bind_now |= value & u64::from(elf::DF_BIND_NOW) != 0;
                facts.text_relocations |= value & u64::from(elf::DF_TEXTREL) != 0;
            }
            elf::DT_FLAGS_1 => {
                flags_1 = value as u32;
                facts.bind_now |= value & u64::from(elf::DF_1_NOW) != 0;
            }
            _ => {}
        }
    }
    Some(flags_1)
}

/// The dynamic entries and their strings.
fn dynamic_entries<'a, Elf: FileHeader<Endian = Endianness>>(
    file: &ElfFile<'a, Elf>,
    bytes: &'a [u8],
) -> Option<(&'a [Elf::Dyn], &'a [u8])> {
    let endian = file.endian();
    let sections = file.elf_section_table();
    if !sections.is_empty() {
        let (entries, strings) = sections.dynamic(endian, bytes).ok()??;
        return Some((entries, sections.section(strings).ok()?.data(endian, bytes).ok()?));
    }
    let segments = file.elf_program_headers();
    let entries = segments
        .iter()
        .find_map(|segment| segment.dynamic(endian, bytes).ok()?)?;
    let value = |tag| -> Option<u64> {
        let entry = entries.iter().find(|entry| entry.d_tag(endian).into() == tag)?;
        Some(entry.d_val(endian).into())
    };
    let (start, size) = (value(elf::DT_STRTAB)?, value(elf::DT_STRSZ)?);
    let strings = segments
        .iter()
        .find_map(|segment| segment.data_range(endian, bytes, start, size).ok()?)?;
    Some((entries, strings))
}

fn sections<Elf: FileHeader<Endian = Endianness>>(
    file: &ElfFile<'_, Elf>,
    bytes: &[u8],
    facts: &mut ElfFacts,
) {
    let endian = file.endian();
    let sections = file.elf_section_table();
    for section in sections.iter() {
        let kind = section.sh_type(endian);
        facts.has_symbols |= kind == elf::SHT_SYMTAB;
        let flags: u64 = section.sh_flags(endian).into();
        if flags & u64::from(elf::SHF_EXECINSTR) != 0 && kind == elf::SHT_PROGBITS {
            facts.code_size = facts.code_size.saturating_add(section.sh_size(endian).into());
        }
        let text = || {
            let data = section.data(endian, bytes).ok()?;
            data.split(|byte| *byte == 0)
                .next()
                .filter(|text| !text.is_empty())
                .map(lossy)
        };
        match sections.section_name(endian, section).unwrap_or_default() {
            b".debug_info" | b".zdebug_info" => facts.has_debug_info = true,
            b".gnu_debuglink" => facts.debug_link = text(),
            name if name.starts_with(b".gnu.lto_") => facts.has_lto = true,
            b".interp" if kind == elf::SHT_PROGBITS => facts.interpreter = text(),
            _ if kind == elf::SHT_NOTE => {
                if let Ok(Some(notes)) = section.notes(endian, bytes) {
                    note(endian, notes, facts);
                }
            }
            _ => {}
        }
    }
}

/// What glibc's `bits/stdio2.h` and `bits/syslog.h` replace whatever the arguments are. (`memcpy` is replaced only where the
/// compiler knows the size, so a call of it proves nothing.)
const ALWAYS_CHECKED: [&[u8]; 7] = [
    b"printf",
    b"fprintf",
    b"vprintf",
    b"vfprintf",
    b"dprintf",
    b"asprintf",
    b"vasprintf",
];

/// Names in the dynamic symbol table, or in the full one of static programs and objects. None if there is too much to
/// look through: names may overlap, so the size of the file does not bound it.
fn symbols<Elf: FileHeader<Endian = Endianness>>(
    file: &ElfFile<'_, Elf>,
    facts: &mut ElfFacts,
) -> Option<()> {
    /// Bytes of all names, at most.
    const MOST_BYTES: usize = 1 << 30;
    let (endian, mut total) = (file.endian(), 0_usize);
    for table in [file.elf_dynamic_symbol_table(), file.elf_symbol_table()] {
        for symbol in table.iter() {
            let Ok(name) = symbol.name(endian, table.strings()) else {
                continue;
            };
            total = total.saturating_add(name.len());
            if total > MOST_BYTES {
                return None;
            }
            facts.stack_protector |= name == b"__stack_chk_fail" || name == b"__stack_chk_guard";
            facts.fortified |= name.starts_with(b"__") && name.ends_with(b"_chk");
            // GCC's mark of an object without code (`-fno-fat-lto-objects`); it outlives a strip of the sections.
            facts.has_lto |= name == b"__gnu_lto_slim";
            facts.unfortified |= symbol.st_shndx(endian) == elf::SHN_UNDEF && ALWAYS_CHECKED.contains(&name);
        }
    }
    Some(())
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
