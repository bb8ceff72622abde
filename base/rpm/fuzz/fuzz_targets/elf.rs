//! Any bytes as an ELF file and as a static library.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = keel_rpm::elf::facts(bytes);
    let _ = keel_rpm::exports::exports(bytes);
    let _ = keel_rpm::archive::members(bytes);
});
