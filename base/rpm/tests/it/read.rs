//! What `read` says is what `rpm -qp` says.

use keel_rpm::{FileKind, read};

use crate::fixture::{EPOCH, Fixture, query};

#[test]
fn the_header_reads_as_rpm_reads_it() {
    let package = Fixture::get().sample();
    let info = read(&package).unwrap();
    assert_eq!(info.nevra.to_string(), "sample-2:1.0~rc1-3.kl1.noarch");
    assert_eq!(info.build_time.0, EPOCH);
    assert_eq!(info.scripts, ["%post", "%preun", "%filetriggerin"]);
    assert_eq!(info.description, "Several lines,\nwith a ünicode letter.");
    assert_eq!(info.source_rpm.as_deref(), Some("sample-1.0~rc1-3.kl1.src.rpm"));
    assert_eq!(info.installed_size.to_string(), query(&package, "%{SIZE}"));
    assert_eq!(
        info.payload_digest.unwrap().to_hex(),
        query(&package, "%{PAYLOADDIGEST}")
    );
    let dependencies = |list: &[keel_artefact::Dependency]| {
        list.iter()
            .map(|dependency| format!("{dependency}\n"))
            .collect::<String>()
    };
    for (ours, tag) in [
        (dependencies(&info.requires), "REQUIRE"),
        (dependencies(&info.conflicts), "CONFLICT"),
        (dependencies(&info.obsoletes), "OBSOLETE"),
        (dependencies(&info.recommends), "RECOMMEND"),
        (dependencies(&info.suggests), "SUGGEST"),
        (dependencies(&info.supplements), "SUPPLEMENT"),
        (dependencies(&info.enhances), "ENHANCE"),
        (
            info.provides
                .iter()
                .map(|provide| format!("{provide}\n"))
                .collect(),
            "PROVIDE",
        ),
    ] {
        let rpm = query(&package, &format!("[%{{{tag}NEVRS}}\n]"));
        assert_eq!(ours, rpm, "{tag}");
        assert!(!ours.is_empty(), "{tag}");
    }
}

#[test]
fn files_read_as_rpm_reads_them() {
    let package = Fixture::get().sample();
    let info = read(&package).unwrap();
    let format = "[%{FILENAMES}|%{FILEMODES:octal}|%{FILEUSERNAME}|%{FILEGROUPNAME}|%{FILEMTIMES}|%{FILEFLAGS}|%{FILECAPS}|%{FILELINKTOS}\n]";
    let kind = |kind| match kind {
        FileKind::Regular => 0o100_000,
        FileKind::Directory => 0o040_000,
        FileKind::Symlink => 0o120_000,
        FileKind::Fifo => 0o010_000,
        other => panic!("{other:?}"),
    };
    let ours: String = (info.files.iter())
        .map(|file| {
            format!(
                "{}|{:o}|{}|{}|{}|{}|{}|{}\n",
                file.path,
                kind(file.kind) | file.mode,
                file.user,
                file.group,
                file.mtime,
                file.flags.0,
                file.caps.as_deref().unwrap_or(""),
                file.link.as_deref().unwrap_or(""),
            )
        })
        .collect();
    assert_eq!(ours, query(&package, format));
    let sizes: String = (info.files.iter())
        .filter(|file| file.kind == FileKind::Regular)
        .map(|file| {
            format!(
                "{}|{}|{}\n",
                file.path,
                file.size,
                file.digest.map(|d| d.to_hex()).unwrap_or_default()
            )
        })
        .collect();
    let rpm: String = query(
        &package,
        "[%{FILENAMES}|%{FILESIZES}|%{FILEDIGESTS}|%{FILEMODES}\n]",
    )
    .lines()
    .filter_map(|line| line.rsplit_once('|'))
    .filter(|(_, mode)| (mode.parse::<i32>().unwrap() & 0o170_000) == 0o100_000)
    .map(|(line, _)| format!("{line}\n"))
    .collect();
    assert_eq!(sizes, rpm);
    let linked: Vec<_> = (info.files.iter())
        .filter_map(|file| Some((file.path.file_name(), file.same_as.as_ref()?.file_name())))
        .collect();
    assert_eq!(linked, [("hard-a", "hard-c"), ("hard-b", "hard-c")]);
}

#[test]
fn a_source_package_is_one() {
    let info = read(&Fixture::get().source()).unwrap();
    assert_eq!(info.nevra.to_string(), "sample-2:1.0~rc1-3.kl1.src");
    assert!(info.source_rpm.is_none());
    let names: Vec<_> = info.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(names, ["/data.txt", "/test.spec"]);
}

#[test]
fn what_is_read_survives_json() {
    let info = read(&Fixture::get().sample()).unwrap();
    let text = serde_json::to_string(&info).unwrap();
    assert_eq!(
        serde_json::from_str::<keel_rpm::PackageInfo>(&text).unwrap(),
        info
    );
}
