//! ISO 9660 as xorriso makes it.

use super::*;

fn made(dir: &Path, arguments: &str) {
    let _ = fs_err::remove_file(dir.join("image.iso"));
    run(
        dir,
        &[
            "sh",
            "-c",
            &format!("xorriso -as mkisofs -quiet {arguments} -o image.iso root"),
        ],
    );
}

#[test]
fn a_medium_has_the_files_that_were_put_on_it() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, root) = (dir.path(), folder(dir.path()));
    let deep = root.join("1/2/3/4/5/6/7/8/9/10/11");
    fs_err::create_dir_all(&deep).unwrap();
    fs_err::write(deep.join("n".repeat(240)), "deep").unwrap();
    symlink(format!("../{}/./x", "long/".repeat(100)), root.join("winding")).unwrap();
    symlink("/", root.join("to-root")).unwrap();
    run(&root, &["tar", "--format=pax", "-cf", "../image.tar", "."]);
    let mut archive = opened(dir, "image.tar").unwrap();
    let wanted = listed(&mut archive);
    for arguments in ["-R", "-R -J", "-R -iso-level 3 -D", "-R -partition_offset 16"] {
        made(dir, arguments);
        let mut files = opened(dir, "image.iso").unwrap_or_else(|error| panic!("{arguments}: {error:?}"));
        let mut found = listed(&mut files);
        // Folders that lie too deep for ISO 9660 are moved here, and shown where they were.
        found.retain(|path, _| !path.starts_with("/rr_moved"));
        assert!(found == wanted, "{arguments}: {}", first(&found, &wanted));
        let mtime = |files: &Files| files.names[&"/text".parse().unwrap()].mtime;
        assert_eq!(mtime(&files), mtime(&archive), "{arguments}");
    }
    made(dir, "-iso-level 4");
    let files = opened(dir, "image.iso").unwrap();
    assert!(
        files
            .names
            .keys()
            .any(|path| path.as_str().eq_ignore_ascii_case("/short")),
        "without Rock Ridge"
    );
}

#[test]
fn a_damaged_medium_is_an_error_and_has_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, _) = (dir.path(), folder(dir.path()));
    made(dir, "-R");
    let whole = fs_err::read(dir.join("image.iso")).unwrap();
    // Folders come first.
    let refused = refusals(dir, &whole, 300, 8, |part, random| {
        Some(match part < 6 {
            true => 0x8028 + random % 0x1_2000,
            false => random % whole.len(),
        })
    });
    assert!(refused > 50, "{refused}");
}
