//! `[live]` of an image definition.

use keel_artefact::RootPath;

use crate::{
    Diagnostic,
    image::{FileSystem, Firmware, Live},
    read::{disk::file_system, os},
    table::Table,
};

/// Where package `keel-live` has the first process of the initial RAM disk.
const INIT: &str = "/usr/lib/keel-live/init";

/// What of the medium is Keel's.
const TAKEN: [&str; 2] = ["/boot", "/live"];

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What the table says; what is wrong is reported.
pub(crate) fn read(table: &Table<'_>) -> Live {
    // Of the merged table: a child need not say again what its parent does.
    if !table.has("initrd-packages") {
        let message = format!("{} needs the key `initrd-packages`", table.title());
        table.report(table.at, message);
    } else if table.strings("initrd-packages").is_empty() {
        let message = format!("`initrd-packages` in {} must not be empty", table.title());
        table.report(table.key_at("initrd-packages"), message);
    }
    let init = || INIT.parse::<RootPath>().expect("a constant root path");
    let mut firmware: Vec<Firmware> = (table.strings("firmware").iter())
        .map(|word| match word.value {
            "bios" => Firmware::Bios,
            _ => Firmware::Uefi,
        })
        .collect();
    if !table.has("firmware") {
        firmware = vec![Firmware::Uefi, Firmware::Bios];
    } else if firmware.is_empty() {
        table.report(
            table.key_at("firmware"),
            "a medium that no firmware starts is of no use",
        );
    }
    firmware.sort();
    let additional_files = os::all(table, "additional-files", os::file);
    for file in &additional_files {
        let path = file.destination.as_str();
        if let Some(taken) = TAKEN.iter().find(|taken| is_below(path, taken)) {
            let message = format!("`{path}` of the medium cannot be added: `{taken}` is where the system is");
            let wrong = Diagnostic::new(message).at(file.defined_at.clone());
            table.problems.push(wrong);
        }
    }
    Live {
        root_fs: table
            .text("root-fs")
            .map_or(FileSystem::Erofs, |word| file_system(word.value)),
        kernel: table.parsed("kernel"),
        initrd_packages: table.parsed_strings("initrd-packages"),
        init: table.parsed("init").unwrap_or_else(init),
        kernel_command_line: table.texts("kernel-command-line"),
        firmware,
        additional_files,
    }
}
