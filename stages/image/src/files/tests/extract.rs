//! What is taken out of an image: where it lands, and what it is then.

use super::*;

#[test]
fn nothing_is_written_outside_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut bytes = Vec::new();
    let entry = |bytes: &mut Vec<u8>, path: &str, what: crate::write::tar::What<'_>| {
        let member = crate::write::tar::Member {
            path: &path.parse().unwrap(),
            what,
            size: 0,
            mode: 0o644,
            owner: (0, 0),
            mtime: 1,
            xattrs: &BTreeMap::new(),
            all_times: false,
        };
        member.write(bytes).unwrap();
    };
    use crate::write::tar::What;
    let outside = dir.join("outside");
    fs_err::create_dir(&outside).unwrap();
    entry(&mut bytes, "/out", What::Symlink(outside.to_str().unwrap()));
    entry(&mut bytes, "/up", What::Symlink("../outside"));
    // Through the links: they lead to places within the image.
    entry(&mut bytes, "/out/one", What::File);
    entry(&mut bytes, "/up/two", What::File);
    entry(&mut bytes, "/null", What::CharDevice(1, 3));
    fs_err::write(dir.join("image.tar"), &bytes).unwrap();
    let mut files = opened(dir, "image.tar").unwrap();
    let chosen = files.chosen(&[]).unwrap();
    let to = dir.join("to");
    let done = extract(&mut files, &chosen, &to).unwrap();
    assert_eq!(done.left_out["devices"], 1);
    assert_eq!(fs_err::read_dir(&outside).unwrap().count(), 0);
    assert!(
        to.join("outside/two").is_file()
            && outside
                .as_path()
                .strip_prefix("/")
                .is_ok_and(|at| to.join(at).join("one").is_file())
    );
    assert!(matches!(
        extract(&mut files, &chosen, &to),
        Err(Error::Exists { .. })
    ));

    for name in ["../outside/x", "a/../../outside/x"] {
        let mut header = bytes[..512].to_vec();
        header[..100].fill(0);
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[148..156].fill(b' ');
        let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        fs_err::write(dir.join("bad.tar"), &header).unwrap();
        assert!(format!("{:?}", opened(dir, "bad.tar")).contains("may lead out of it"));
    }
}

#[test]
fn a_folder_and_an_archive_of_an_image_are_the_image() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, root) = (dir.path(), folder(dir.path()));
    run(dir, &["sh", "-c", "mkfs.erofs --quiet -zlz4 image.erofs root"]);
    let mut files = opened(dir, "image.erofs").unwrap();
    let chosen = files.chosen(&[]).unwrap();
    let done = extract(&mut files, &chosen, &dir.join("to")).unwrap();
    assert_eq!(done.names, files.names.len() as u64 - 1);
    assert_eq!(done.left_out["set-user-id and set-group-id bits"], 1);
    run(
        dir,
        &["diff", "-r", "--no-dereference", "--exclude=pipe", "root", "to"],
    );
    let same = |path: &str| {
        let mode = |root: &Path| std::fs::metadata(root.join(path)).unwrap().permissions().mode();
        assert_eq!(mode(&root), mode(&dir.join("to")), "{path}");
    };
    ["short", "usr", "many"].into_iter().for_each(same);

    let out = fs_err::File::create(dir.join("out.tar")).unwrap();
    files.archive(&chosen, out).unwrap();
    let (mut again, mut first) = (
        opened(dir, "out.tar").unwrap(),
        opened(dir, "image.erofs").unwrap(),
    );
    let found = diff::compare(&mut first, &mut again).unwrap();
    assert!(found.is_same(), "{found:?}");
    run(
        dir,
        &[
            "sh",
            "-c",
            "mkdir by-tar && tar -C by-tar -xpf out.tar && diff -r --no-dereference --exclude=pipe root by-tar",
        ],
    );

    let mut few = opened(dir, "image.erofs").unwrap();
    let some = few.chosen(&["usr/bin".to_owned()]).unwrap();
    let names: Vec<_> = some.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(names, ["/", "/usr", "/usr/bin", "/usr/bin/tool"]);

    fs_err::write(root.join("short"), "HELLO\n").unwrap();
    fs_err::remove_file(root.join("block")).unwrap();
    run(
        &root,
        &["tar", "-cf", "../other.tar", "--mode=a+rX", "--owner=5", "."],
    );
    let found = diff::compare(&mut few, &mut opened(dir, "other.tar").unwrap()).unwrap();
    let change = |path: &str| {
        found
            .files
            .iter()
            .find(|file| file.path.as_str() == path)
            .unwrap()
    };
    assert_eq!(change("/block").how, diff::How::Removed);
    let what: Vec<_> = change("/short")
        .what
        .iter()
        .map(|aspect| aspect.what.as_str())
        .collect();
    assert_eq!(what, ["content", "mode", "owner"]);
}

#[test]
fn what_is_taken_out_has_the_modes_of_the_image() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let modes = [
        ("/", 0o555),
        ("/closed", 0o000),
        ("/closed/below", 0o500),
        ("/closed/below/file", 0o000),
        ("/closed/below/other-name", 0o000),
        ("/closed/file", 0o440),
        ("/for-all", 0o1777),
        ("/for-all/program", 0o4511),
        ("/pipe", 0o666),
    ];
    let mut bytes = Vec::new();
    for (path, mode) in modes {
        let first = "/closed/below/file".parse().unwrap();
        let what = match path {
            "/pipe" => crate::write::tar::What::Fifo,
            "/closed/below/other-name" => crate::write::tar::What::Link(&first),
            path if path.ends_with("file") || path.ends_with("program") => crate::write::tar::What::File,
            _ => crate::write::tar::What::Dir,
        };
        let member = crate::write::tar::Member {
            path: &path.parse().unwrap(),
            what,
            size: 0,
            mode,
            owner: (0, 0),
            mtime: 1_000_000,
            xattrs: &BTreeMap::new(),
            all_times: false,
        };
        member.write(&mut bytes).unwrap();
    }
    bytes.extend([0; 1024]);
    fs_err::write(dir.join("image.tar"), &bytes).unwrap();
    let mut files = opened(dir, "image.tar").unwrap();
    let chosen = files.chosen(&[]).unwrap();
    let to = dir.join("to");
    extract(&mut files, &chosen, &to).unwrap();
    // From the top: an ordinary user looks into a closed folder once he has opened it.
    for (path, mode) in modes {
        let path = to.join(path.trim_start_matches('/'));
        let found = std::fs::symlink_metadata(&path).unwrap();
        // Set-user-id is left out.
        assert_eq!(
            format!("{:04o}", found.permissions().mode() & 0o7777),
            format!("{:04o}", mode & 0o1777),
            "{}",
            path.display()
        );
        assert_eq!(
            found.modified().unwrap(),
            std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000)
        );
        if found.is_dir() {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        }
    }
}
