//! ELF facts against readelf, on this machine's own programs and libraries.

use std::{path::PathBuf, process::Command};

use keel_rpm::{
    archive,
    elf::{Kind, Relro, facts},
    exports::exports,
};

use crate::fixture::{run, tool};

fn compile(dir: &std::path::Path, name: &str, arguments: &[&str]) -> PathBuf {
    let source = dir.join("t.c");
    std::fs::write(
        &source,
        "#include <stdio.h>\n#include <string.h>\nint main(int n, char **v) { char b[64]; memcpy(b, v[0], n); strcpy(b, v[n]); return puts(b); }\n",
    )
    .unwrap();
    let output = dir.join(name);
    run(Command::new(tool("gcc", "gcc"))
        .arg(&source)
        .arg("-o")
        .arg(&output)
        .args(arguments));
    output
}

#[test]
fn hardening_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let hard = [
        "-O2",
        "-D_FORTIFY_SOURCE=2",
        "-fstack-protector-all",
        "-fcf-protection",
        "-fPIE",
        "-pie",
        "-Wl,-z,relro,-z,now",
        "-Wl,--build-id=sha1",
        "-g",
    ];
    let soft = [
        "-O0",
        "-fno-stack-protector",
        "-no-pie",
        "-fno-PIE",
        "-Wl,-z,norelro",
        "-z",
        "execstack",
        "-Wl,--build-id=none",
        "-s",
        "-w",
    ];
    let facts_of = |path: PathBuf| facts(&std::fs::read(path).unwrap()).unwrap();

    let facts = facts_of(compile(dir.path(), "hard", &hard));
    assert_eq!(
        (facts.kind, facts.relro, facts.bind_now),
        (Kind::Pie, Relro::Full, true)
    );
    assert!(facts.stack_protector && facts.fortified && !facts.executable_stack && !facts.is_static);
    assert!(facts.has_symbols && facts.has_debug_info);
    assert_eq!(facts.build_id.unwrap().len(), 40);
    assert_eq!(facts.needed, ["libc.so.6"]);

    let facts = facts_of(compile(dir.path(), "soft", &soft));
    assert_eq!(
        (facts.kind, facts.relro, facts.bind_now),
        (Kind::Executable, Relro::None, false)
    );
    assert!(!facts.stack_protector && !facts.fortified && facts.executable_stack);
    assert!(!facts.has_symbols && !facts.has_debug_info && facts.build_id.is_none());

    let facts = facts_of(compile(dir.path(), "static", &["-static", "-w"]));
    assert!(facts.is_static && facts.interpreter.is_none() && facts.kind == Kind::Executable);
    let facts = facts_of(compile(dir.path(), "static-pie", &["-static-pie", "-w"]));
    assert!(facts.is_static && facts.kind == Kind::Pie);

    let path = compile(
        dir.path(),
        "lib.so",
        &[
            "-shared",
            "-fPIC",
            "-Wl,-soname,libt.so.3",
            "-Wl,-rpath,/opt/x",
            "-w",
        ],
    );
    let facts = facts_of(path);
    assert_eq!(
        (facts.kind, facts.soname.as_deref()),
        (Kind::Shared, Some("libt.so.3"))
    );
    assert_eq!(facts.runpath.or(facts.rpath).as_deref(), Some("/opt/x"));

    let facts = facts_of(compile(dir.path(), "t.o", &["-c", "-w"]));
    assert_eq!(facts.kind, Kind::Relocatable);
}

#[test]
fn without_section_headers_the_segments_speak() {
    let dir = tempfile::tempdir().unwrap();
    let path = compile(dir.path(), "bare", &["-w", "-Wl,--build-id=sha1"]);
    let whole = std::fs::read(&path).unwrap();
    let mut bare = whole.clone();
    bare[0x28..0x30].fill(0);
    bare[0x3a..0x40].fill(0);
    let (whole, bare) = (facts(&whole).unwrap(), facts(&bare).unwrap());
    assert_eq!(whole.needed, bare.needed);
    assert_eq!(whole.interpreter, bare.interpreter);
    assert_eq!(whole.build_id, bare.build_id);
    assert!(!bare.needed.is_empty() && bare.build_id.is_some());
}

#[test]
fn debug_files_need_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = compile(dir.path(), "program", &["-g", "-w"]);
    let debug = dir.path().join("program.debug");
    run(Command::new(tool("objcopy", "binutils"))
        .arg("--only-keep-debug")
        .arg(&path)
        .arg(&debug));
    run(Command::new("objcopy")
        .arg(format!("--add-gnu-debuglink={}", debug.display()))
        .arg(&path));
    let program = facts(&std::fs::read(&path).unwrap()).unwrap();
    let debug = facts(&std::fs::read(&debug).unwrap()).unwrap();
    assert_eq!(program.debug_link.as_deref(), Some("program.debug"));
    assert_eq!(program.build_id, debug.build_id);
    assert!(debug.needed.is_empty() && debug.interpreter.is_none() && debug.has_debug_info);
}

#[test]
fn this_machines_files_read_as_readelf_reads_them() {
    let mut read = 0;
    for folder in [
        "/usr/bin",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
    ] {
        let Ok(entries) = std::fs::read_dir(folder) else {
            continue;
        };
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths.iter().step_by(23) {
            let Ok(bytes) = std::fs::read(path) else { continue };
            if !bytes.starts_with(b"\x7fELF") {
                continue;
            }
            let facts = facts(&bytes).unwrap();
            let text = run(Command::new(tool("readelf", "binutils"))
                .args(["-dnlW"])
                .arg(path));
            let values = |tag: &str| -> Vec<&str> {
                let lines = text.lines().filter(|line| line.contains(tag));
                lines
                    .filter_map(|line| line.split_once('[')?.1.split_once(']'))
                    .map(|(value, _)| value)
                    .collect()
            };
            assert_eq!(facts.needed, values("(NEEDED)"), "{}", path.display());
            assert_eq!(
                facts.soname.as_deref(),
                values("(SONAME)").first().copied(),
                "{}",
                path.display()
            );
            let interpreter = values("Requesting program interpreter")
                .first()
                .map(|text| text.rsplit(' ').next().unwrap().to_owned());
            let interpreter = interpreter.or_else(|| {
                let line = text
                    .lines()
                    .find(|line| line.contains("Requesting program interpreter"))?;
                Some(line.rsplit(' ').next()?.trim_end_matches(']').to_owned())
            });
            assert_eq!(facts.interpreter, interpreter, "{}", path.display());
            let id = text
                .lines()
                .find_map(|line| Some(line.split_once("Build ID: ")?.1.to_owned()));
            assert_eq!(facts.build_id, id, "{}", path.display());
            let now = text.contains("BIND_NOW")
                || text
                    .lines()
                    .any(|line| line.contains("(FLAGS_1)") && line.contains("NOW"));
            assert_eq!(facts.bind_now, now, "{}", path.display());
            read += 1;
        }
    }
    assert!(read > 20, "only {read} files");
}

#[test]
fn calls_that_fortify_replaces_are_seen() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("p.c");
    std::fs::write(
        &source,
        "#include <stdio.h>\nint main(int n, char **v) { return printf(\"%s\", v[n]); }\n",
    )
    .unwrap();
    for (level, wanted) in [("0", (false, true)), ("2", (true, false))] {
        let output = dir.path().join(level);
        run(Command::new(tool("gcc", "gcc"))
            .args(["-O2", "-U_FORTIFY_SOURCE", &format!("-D_FORTIFY_SOURCE={level}")])
            .arg(&source)
            .arg("-o")
            .arg(&output));
        let facts = facts(&std::fs::read(output).unwrap()).unwrap();
        assert_eq!((facts.fortified, facts.unfortified), wanted);
        assert!(
            facts.code_size > 0 && facts.code_size < 4096,
            "{}",
            facts.code_size
        );
    }
}

#[test]
fn exports_are_those_that_nm_lists() {
    let mut read = 0;
    for folder in ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"] {
        let Ok(entries) = std::fs::read_dir(folder) else {
            continue;
        };
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.to_string_lossy().contains(".so.") && !path.is_symlink());
        paths.sort();
        let always = paths.iter().filter(|path| path.ends_with("libc.so.6"));
        for path in paths.iter().step_by(17).chain(always) {
            let Ok(bytes) = std::fs::read(path) else { continue };
            if !bytes.starts_with(b"\x7fELF") {
                continue;
            }
            let text = run(Command::new(tool("nm", "binutils"))
                .args(["-D", "--defined-only", "--with-symbol-versions"])
                .arg(path));
            let mut listed: Vec<String> = text
                .lines()
                .filter_map(|line| Some(line.rsplit_once(' ')?.1.replace("@@", "@")))
                .collect();
            listed.sort();
            listed.dedup();
            let mut ours: Vec<String> = exports(&bytes)
                .unwrap()
                .iter()
                .map(|export| export.identity())
                .collect();
            ours.sort();
            assert_eq!(ours, listed, "{}", path.display());
            read += listed.len();
        }
    }
    assert!(read > 1000, "only {read} symbols");
    assert_eq!(exports(b"\x7fELF"), Some(Vec::new()));
    assert_eq!(exports(b""), Some(Vec::new()));
}

#[test]
fn names_that_no_library_has_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (length, is_read) in [(60 << 10, true), (70 << 10, false)] {
        let source = dir.path().join("long.c");
        std::fs::write(
            &source,
            format!("int {}(void) {{ return 0; }}", "x".repeat(length)),
        )
        .unwrap();
        let file = dir.path().join("liblong.so");
        run(Command::new(tool("gcc", "gcc"))
            .args(["-shared", "-fPIC", "-nostdlib", "-o"])
            .args([&file, &source]));
        let bytes = std::fs::read(&file).unwrap();
        assert_eq!(exports(&bytes).is_some(), is_read, "{length}");
    }
}

#[test]
fn static_libraries_have_members() {
    let dir = tempfile::tempdir().unwrap();
    let object = compile(dir.path(), "one.o", &["-c", "-w"]);
    let library = dir.path().join("lib.a");
    run(Command::new(tool("ar", "binutils"))
        .arg("rcs")
        .arg(&library)
        .arg(&object));
    let bytes = std::fs::read(&library).unwrap();
    assert!(archive::is_archive(&bytes));
    let members = archive::members(&bytes).unwrap();
    assert_eq!(members.len(), 1);
    assert_eq!(
        (members[0].name, members[0].bytes),
        (&b"one.o"[..], &std::fs::read(&object).unwrap()[..])
    );
    assert!(archive::members(&bytes[..bytes.len() / 2]).is_none());
}
