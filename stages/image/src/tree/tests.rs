//! Tests of `tree.rs`.

use super::*;

pub(crate) fn path(text: &str) -> RootPath {
    text.parse().unwrap()
}

/// A tree from `(path, what)`: `/` at the end makes a folder, `-> x` a link, anything else a file of that text.
pub(crate) fn tree(entries: &[(&str, &str)]) -> Tree {
    let dir = tempfile::tempdir().unwrap();
    let mut tree = Tree::new(Spool::new(dir.path()).unwrap(), 1000);
    for (name, what) in entries {
        let kind = match (name.ends_with('/'), what.strip_prefix("-> ")) {
            (true, _) => Kind::Dir,
            (_, Some(target)) => Kind::Symlink(target.to_owned()),
            _ => Kind::File(tree.spool_mut().add(what.as_bytes()).unwrap()),
        };
        let mode = match kind {
            Kind::File(_) => 0o644,
            Kind::Symlink(_) => 0o777,
            _ => 0o755,
        };
        let from: Arc<str> = "test".into();
        tree.add_parents(&path(name), 1000, &from);
        let node = Node {
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: 1000,
            xattrs: BTreeMap::new(),
            from,
        };
        tree.insert(path(name), node);
    }
    tree
}

#[test]
fn links_are_followed_inside_the_root() {
    let tree = tree(&[
        ("/usr/lib64/", ""),
        ("/lib64", "-> usr/lib64"),
        ("/lib", "-> /lib64"),
        ("/up", "-> ../../../usr"),
        ("/a", "-> b"),
        ("/b", "-> a"),
    ]);
    for (from, last, to) in [
        ("/lib64/libc.so.6", true, Some("/usr/lib64/libc.so.6")),
        ("/lib/x/y", true, Some("/usr/lib64/x/y")),
        ("/lib", false, Some("/lib")),
        ("/lib", true, Some("/usr/lib64")),
        ("/up/lib64", true, Some("/usr/lib64")),
        ("/a/x", true, None),
        ("/", true, Some("/")),
    ] {
        assert_eq!(
            tree.resolve(&path(from), last).map(|p| p.to_string()).as_deref(),
            to,
            "{from}"
        );
    }
}

#[test]
fn contents_are_kept_once_and_read_back() {
    let tree = tree(&[("/a", "same"), ("/b", "same"), ("/c", "other")]);
    assert_eq!(tree.spool.length, 9);
    let file = tree.file(&path("/c")).unwrap();
    assert_eq!(tree.read(&path("/c"), file, 100).unwrap(), b"other");
    assert!(tree.read(&path("/c"), file, 4).is_err());
}

#[test]
fn under_lists_a_folder_and_not_its_neighbours() {
    let tree = tree(&[
        ("/usr/a", "1"),
        ("/usr-x", "2"),
        ("/usr.d/b", "3"),
        ("/usr/b/c", "4"),
    ]);
    let names: Vec<_> = tree.under(&path("/usr")).map(|(at, _)| at.as_str()).collect();
    assert_eq!(names, ["/usr/a", "/usr/b", "/usr/b/c"]);
}

#[test]
fn digest_sees_every_attribute() {
    let first = tree(&[("/a", "1")]).digest();
    assert_eq!(first, tree(&[("/a", "1")]).digest());
    type Change = fn(&mut Node);
    let changes: [Change; 5] = [
        |node| node.mode = 0o600,
        |node| node.uid = 1,
        |node| node.gid = 1,
        |node| node.mtime = 1,
        |node| drop(node.xattrs.insert("user.x".into(), vec![1])),
    ];
    for change in changes {
        let mut other = tree(&[("/a", "1")]);
        change(other.get_mut(&path("/a")).unwrap());
        assert_ne!(first, other.digest());
    }
}
