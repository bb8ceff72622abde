//! disorderfs, as root and with FUSE. (Where it does not work builds fall back to memory; `keel reproduce` says so.)

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, process::Command};

use keel_host::disorderfs::{self, Disordered};

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    fs::read_dir(folder).unwrap().map(name).collect()
}

fn can_mount() -> bool {
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    is_root
        && Path::new("/usr/bin/disorderfs").exists()
        && fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/fuse")
            .is_ok()
}

#[test]
fn entries_come_in_another_order_each_time_and_no_mount_is_left() {
    let dir = tempfile::tempdir().unwrap();
    if !can_mount() {
        assert!(
            !disorderfs::works(dir.path()),
            "it works without root, disorderfs or FUSE?"
        );
        println!("SKIPPED in part: disorderfs needs root, the package `disorderfs` and /dev/fuse");
        return;
    }
    let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap();
    let before = mounts();
    // Of this thread.
    let mounts_here = || fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
    assert!(disorderfs::works(dir.path()));
    let folder = dir.path().join("written");
    fs::create_dir(&folder).unwrap();
    for number in 0..60 {
        fs::write(folder.join(number.to_string()), "").unwrap();
    }
    // Another user's, in a folder that only root may enter, as in a store.
    std::os::unix::fs::chown(&folder, Some(4711), Some(4711)).unwrap();
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(dir.path(), closed).unwrap();
    let (mut orders, owner) = keel_sandbox::with_own_mounts(|| {
        let shown = Disordered::show(dir.path(), &["written"]).unwrap();
        let at = shown.folder("written");
        for place in ["/mnt", "/media", "/srv"] {
            let covered = mounts_here()
                .lines()
                .any(|line| line.contains(&format!(" {place} ")));
            assert!(!covered || before.contains(&format!(" {place} ")), "{place}");
        }
        let orders: Vec<_> = (0..5).map(|_| names(&at)).collect();
        let made = Command::new("setpriv")
            .args(["--reuid=4711", "--regid=4711", "--clear-groups", "touch"])
            .arg(at.join("made"))
            .status();
        assert!(made.unwrap().success());
        (orders, fs::metadata(at.join("made")).unwrap().uid())
    })
    .unwrap();
    assert_eq!(owner, 4711);
    assert_eq!(fs::metadata(folder.join("made")).unwrap().uid(), 4711);
    for order in &mut orders.clone() {
        order.sort();
        assert_eq!(order.len(), 60);
    }
    orders.sort();
    orders.dedup();
    assert_eq!(orders.len(), 5, "two of five had the same order");
    assert_eq!(mounts(), before);
    let ours = |name: &String| name.starts_with(&format!("keel-disorder-{}-", std::process::id()));
    assert!(!names(Path::new("/run")).iter().any(ours), "a folder is left");
    let none = keel_sandbox::with_own_mounts(|| Disordered::show(dir.path(), &["none"]).map(drop)).unwrap();
    let text = none.unwrap_err().to_string();
    assert!(text.contains("cannot mount on"), "{text}");
}
