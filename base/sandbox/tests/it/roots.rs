//! What a root is put together from.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use keel_artefact::Interrupt;
use keel_sandbox::{Bind, Error, Run, User, hand_over, run, take_back};

use crate::{Root, path, said, sh_in};

#[test]
fn a_hundred_and_twenty_lowers_make_one_root() {
    let root = Root::new();
    let mut sandbox = root.sandbox();
    for number in 0..120 {
        let lower = root.folder.path().join(format!(
            "a-folder-with-a-rather-long-name-to-fill-a-page-of-options-{number}"
        ));
        fs::create_dir_all(lower.join("etc/parts")).unwrap();
        fs::write(lower.join(format!("etc/parts/{number}")), "").unwrap();
        fs::write(lower.join("etc/first"), number.to_string()).unwrap();
        hand_over(&lower).unwrap();
        sandbox.lowers.push(lower);
    }
    let exit = sh_in(
        &sandbox,
        "ls /etc/parts | wc -l; cat /etc/first; echo; stat -c %D /etc /etc/first | uniq | wc -l; cat /proc/self/mounts",
    );
    assert!(said(&exit).starts_with("120\n0\n1\n"), "{}", said(&exit));
    assert!(
        !said(&exit).contains("a-folder-with"),
        "the mount table shows host paths"
    );
}

#[test]
fn an_upper_folder_takes_what_is_written() {
    let root = Root::new();
    let upper = root.handed_over("upper");
    let mut sandbox = root.sandbox();
    sandbox.user = User::Root;
    sandbox.upper = Some(upper.clone());
    let exit = sh_in(
        &sandbox,
        "echo new > /etc/new; echo more >> /etc/passwd; rm -r /var; mkdir -p /build/x; cat /etc/passwd | wc -l",
    );
    assert_eq!(said(&exit), "3", "{}", String::from_utf8_lossy(&exit.stderr));
    take_back(&upper).unwrap();
    assert_eq!(fs::read_to_string(upper.join("etc/new")).unwrap(), "new\n");
    assert!(
        !upper.join("dev").exists() && !upper.join("proc").exists(),
        "mount points are not written to it"
    );
    assert!(!root.folder.path().join("upper.overlay-work").exists());
    assert_eq!(
        fs::read_to_string(root.lower().join("etc/passwd"))
            .unwrap()
            .lines()
            .count(),
        2
    );
}

#[test]
fn closed_parents_do_not_matter_and_mount_points_are_made() {
    let root = Root::new();
    let closed = root.folder.path().join("closed");
    fs::create_dir_all(closed.join("lower/etc")).unwrap();
    fs::write(closed.join("lower/etc/inside"), "seen\n").unwrap();
    fs::write(closed.join("file"), "a file\n").unwrap();
    fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();
    let mut sandbox = root.sandbox();
    sandbox.lowers.insert(0, closed.join("lower"));
    sandbox.binds.push(Bind {
        host: closed.join("file"),
        guest: path("/lib/deep/er/file"),
        writable: false,
    });
    sandbox.binds.push(Bind {
        host: closed.join("file"),
        guest: path("/etc/a/file"),
        writable: false,
    });
    sandbox.binds.push(Bind {
        host: closed.join("file"),
        guest: path("/tmp/b/file"),
        writable: false,
    });
    sandbox.binds.push(Bind {
        host: closed.join("lower"),
        guest: path("/tmp/c/d"),
        writable: false,
    });
    // Inside the bound /usr nothing can be made: an error, not a change of the host.
    let failed = run(&sandbox, Run::captured(["true"]), &Interrupt::default());
    assert!(matches!(failed, Err(Error::Setup { .. })), "{failed:?}");
    assert!(!Path::new("/usr/lib/deep").exists());
    sandbox
        .binds
        .retain(|bind| bind.guest != path("/lib/deep/er/file"));
    let exit = sh_in(
        &sandbox,
        "cat /etc/inside /etc/a/file /tmp/b/file; ls /tmp/c/d; echo x > /etc/a/file",
    );
    assert_eq!(
        said(&exit),
        "seen\na file\na file\netc",
        "{}",
        String::from_utf8_lossy(&exit.stderr)
    );
    // Not /usr, but a folder behind a link.
    let mut linked = root.sandbox();
    let lower = root.folder.path().join("linked");
    fs::create_dir_all(lower.join("real/part")).unwrap();
    fs::set_permissions(lower.join("real"), PermissionsExt::from_mode(0o751)).unwrap();
    symlink("real", lower.join("link")).unwrap();
    linked.lowers.insert(0, lower);
    linked.binds.push(Bind {
        host: closed.join("file"),
        guest: path("/link/new/file"),
        writable: false,
    });
    let exit = sh_in(
        &linked,
        "cat /real/new/file; test -L /link; echo $?; stat -c %a /real; ls /real",
    );
    assert_eq!(
        said(&exit),
        "a file\n0\n751\nnew\npart",
        "{}",
        String::from_utf8_lossy(&exit.stderr)
    );
}
