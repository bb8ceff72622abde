//! Any bytes as a disk of somebody's. Nothing may panic, hang, or take more memory than a block.
#![no_main]

use std::io::{self, Cursor};

use keel_image::{
    read::{Format, open, probe},
    write::sparse::{Source, each},
};

/// What one run may unpack: a file of 256 KiB can be a disk of many GiB, honestly.
const ENOUGH: u64 = 64 << 20;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let said = probe(&mut Cursor::new(bytes)).expect("memory is read");
    for format in Format::ALL
        .into_iter()
        .filter(|format| *format == said || *format != Format::Raw)
    {
        let Ok(mut disk) = open(Box::new(Cursor::new(bytes.to_vec())), format) else {
            continue;
        };
        let mut seen = 0;
        let size = disk.size();
        let _ = each(&mut disk, &mut |_| Ok(()), |at, part| {
            assert!(at + part.len() as u64 <= size, "after the end of the disk");
            seen += part.len() as u64;
            if seen > ENOUGH {
                Err(io::Error::other("enough"))
            } else {
                Ok(())
            }
        });
    }
});
