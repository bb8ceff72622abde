//! Metadata as createrepo_c writes it.

use super::*;

const PRIMARY: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="4">
<package type="rpm"><name>libz</name><arch>x86_64</arch><version epoch="0" ver="1.2" rel="9"/>
<checksum type="sha256" pkgid="YES">DIGEST</checksum><summary>Old</summary><time file="1" build="2"/>
<size package="10" installed="1" archive="1"/><location href="Packages/libz-1.2-9.x86_64.rpm"/>
<format><rpm:sourcerpm>zlib-1.2-9.src.rpm</rpm:sourcerpm></format></package>
<package type="rpm"><name>libz</name><arch>x86_64</arch><version epoch="1" ver="1.1" rel="1"/>
<checksum type="sha256" pkgid="YES">DIGEST</checksum><summary>A &amp; B</summary><time file="1" build="5"/>
<size package="12" installed="1" archive="1"/><location href="Packages/libz-1.1-1.x86_64.rpm"/>
<format><rpm:sourcerpm>zlib-1.1-1.src.rpm</rpm:sourcerpm>
<rpm:provides><rpm:entry name="libz.so.1()(64bit)"/><rpm:entry name="libz" flags="EQ" epoch="1" ver="1.1" rel="1"/></rpm:provides>
<rpm:requires><rpm:entry name="/usr/bin/sh" pre="1"/><rpm:entry name="libc" flags="GE" epoch="0" ver="2.34"/>
<rpm:entry name="(a or b)"/></rpm:requires><rpm:conflicts><rpm:entry name="old" flags="LT" epoch="0" ver="3" rel="1"/></rpm:conflicts>
<file>/usr/bin/zz</file><file type="dir">/etc/z</file></format></package>
<package type="rpm"><name>libz</name><arch>i686</arch><version epoch="9" ver="9" rel="9"/></package>
<package type="rpm"><name>libz</name><arch>src</arch><version epoch="9" ver="9" rel="9"/></package>
</metadata>
"#;

fn primary_text() -> String {
    PRIMARY.replace("DIGEST", &"ab".repeat(32))
}

fn of(document: &[u8], packed: &[u8], end: &str) -> Primary {
    let (digest, size) = (Sha256::of(packed), packed.len());
    let (open, open_size) = (Sha256::of(document), document.len());
    let repomd = format!(
        "<repomd><revision>x</revision><data type=\"filelists\"/><data type=\"primary\">\
         <checksum type=\"sha256\">{digest}</checksum><open-checksum type=\"sha256\">{open}</open-checksum>\
         <location href=\"repodata/p.xml.{end}\"/><size>{size}</size><open-size>{open_size}</open-size></data></repomd>"
    );
    primary(repomd.as_bytes()).unwrap()
}

#[test]
fn what_createrepo_writes_is_read_however_it_is_packed() {
    let text = primary_text();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, text.as_bytes()).unwrap();
    let zst = zstd::bulk::compress(text.as_bytes(), 3).unwrap();
    for (end, packed) in [("gz", gz.finish().unwrap()), ("zst", zst)] {
        let primary = of(text.as_bytes(), &packed, end);
        assert_eq!(primary.location(), format!("repodata/p.xml.{end}"));
        let all = read(&primary, &packed, Arch::X86_64, &Interrupt::default()).unwrap();
        let [libz] = all.as_slice() else {
            panic!("{all:?}");
        };
        assert_eq!(libz.source, "zlib");
        assert_eq!(libz.summary, "A & B");
        let output = &libz.output;
        assert_eq!(output.package.nevra.to_string(), "libz-1:1.1-1.x86_64");
        assert_eq!(output.package.epoch, Epoch(5));
        let requires: Vec<String> = output.requires.iter().map(ToString::to_string).collect();
        assert_eq!(requires, ["/usr/bin/sh", "libc >= 2.34", "(a or b)"]);
        assert_eq!(output.conflicts[0].to_string(), "old < 3-1");
        assert_eq!(output.provides[1].to_string(), "libz = 1:1.1-1");
        assert_eq!(output.files, ["/usr/bin/zz", "/etc/z"]);
        let mut flipped = packed.clone();
        flipped[20] ^= 1;
        let why = read(&primary, &flipped, Arch::X86_64, &Interrupt::default())
            .unwrap_err()
            .to_string();
        assert!(why.starts_with("its digest is "), "{why}");
    }
}

#[test]
fn evil_changes_are_errors_and_cuts_never_a_panic() {
    let text = primary_text();
    for (from, to) in [
        ("Packages/libz-1.1", "../libz-1.1"),
        ("Packages/libz-1.1", "/libz-1.1"),
        ("Packages/libz-1.1", "%2e%2E/libz-1.1"),
        ("Packages/libz-1.1", "..%2Flibz-1.1"),
        ("Packages/libz-1.1", "https://h/libz-1.1"),
        ("sha256", "sha1"),
        ("flags=\"GE\"", "flags=\"XX\""),
        ("epoch=\"1\" ver=\"1.1\"", "epoch=\"-1\" ver=\"1.1\""),
        ("<name>libz</name>", "<name>../x</name>"),
        ("build=\"5\"", ""),
    ] {
        assert!(text.contains(from), "{from}");
        assert!(
            packages(&text.replace(from, to), Arch::X86_64, &Interrupt::default()).is_err(),
            "{to}"
        );
    }
    for end in (0..text.len())
        .filter(|end| text.is_char_boundary(*end))
        .step_by(7)
    {
        let _ = packages(&text[..end], Arch::X86_64, &Interrupt::default());
    }
    // A bomb ends at the size that repomd.xml says.
    let big = vec![b'x'; 1 << 20];
    let packed = zstd::bulk::compress(&big, 3).unwrap();
    let primary = of(b"x", &packed, "zst");
    assert!(read(&primary, &packed, Arch::X86_64, &Interrupt::default()).is_err());
}

/// Of a repository of several architectures, each gets its own and what fits all; another's newer version hides nothing.
#[test]
fn only_the_wanted_architecture_is_offered() {
    let package = |name: &str, arch: &str, version: &str| {
        format!(
            "<package type=\"rpm\"><name>{name}</name><arch>{arch}</arch><version epoch=\"0\" ver=\"{version}\" rel=\"1\"/>\
             <checksum type=\"sha256\">{}</checksum><time build=\"5\"/><size package=\"12\"/>\
             <location href=\"{name}.rpm\"/></package>",
            "ab".repeat(32)
        )
    };
    let all = [
        package("libz", "x86_64", "1"),
        package("libz", "aarch64", "2"),
        package("libz", "i686", "3"),
        package("libz", "src", "4"),
        package("only", "aarch64", "1"),
        package("text", "noarch", "1"),
    ];
    for all in [all.to_vec(), all.iter().rev().cloned().collect()] {
        let xml = format!("<metadata>{}</metadata>", all.concat());
        let of = |arch| -> Vec<String> {
            let offered = packages(&xml, arch, &Interrupt::default()).unwrap().into_iter();
            offered.map(|one| one.output.package.nevra.to_string()).collect()
        };
        assert_eq!(of(Arch::X86_64), ["libz-1-1.x86_64", "text-1-1.noarch"]);
        assert_eq!(
            of(Arch::Aarch64),
            ["libz-2-1.aarch64", "only-1-1.aarch64", "text-1-1.noarch"]
        );
    }
}

#[test]
fn ctrl_c_ends_the_walk() {
    let text = primary_text();
    let primary = of(text.as_bytes(), text.as_bytes(), "xml");
    let read = |interrupt| read(&primary, text.as_bytes(), Arch::X86_64, interrupt);
    let interrupt = Interrupt::default();
    assert_eq!(read(&interrupt).unwrap().len(), 1);
    interrupt.set();
    assert_eq!(read(&interrupt), Err(Error::Interrupted(Interrupted)));
    // Not after the last package only.
    let broken = "<metadata><package type=\"rpm\"></metadata>";
    assert_eq!(
        packages(broken, Arch::X86_64, &interrupt),
        Err(Interrupted.to_string())
    );
}

#[test]
fn the_list_lies_in_the_repository() {
    let digest = Sha256::of(b"x");
    let repomd = format!(
        "<repomd><data type=\"primary\"><checksum type=\"sha256\">{digest}</checksum>\
         <location href=\"repodata/FILE.xml\"/><size>1</size></data></repomd>"
    );
    for (file, is_good) in [("p", true), ("a%2f..%2f..%2fp", false), ("p?x=", false)] {
        let repomd = repomd.replace("FILE", file);
        assert_eq!(super::primary(repomd.as_bytes()).is_ok(), is_good, "{file}");
    }
}
