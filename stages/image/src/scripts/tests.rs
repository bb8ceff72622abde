//! Tests of scripts: real ones, in the sandbox, with this machine's shell and the libraries that it needs as the image.
//!
//! Run by root, everything is run once more as an ordinary user ([`again_as_an_ordinary_user`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Instant,
};

use keel_artefact::RootPath;
use keel_config::Location;

use super::*;
use crate::{
    finalise::FINALISER,
    tree::{
        Kind, Node,
        tests::{path, tree},
    },
};

/// What scripts of these tests call. A program that is missing fails them.
const PROGRAMS: [&str; 14] = [
    "sh", "cat", "chmod", "chown", "cp", "id", "ln", "mkdir", "mkfifo", "mv", "rm", "sleep", "stat", "touch",
];

/// A tree of the host's programs, and of these entries.
fn system(entries: &[(&str, &str)]) -> Tree {
    let mut tree = tree(&[("/usr/bin/", ""), ("/bin", "-> usr/bin"), ("/etc/", "")]);
    let mut wanted: Vec<PathBuf> = PROGRAMS.map(|name| Path::new("/usr/bin").join(name)).into();
    let mut done = BTreeSet::new();
    while let Some(file) = wanted.pop() {
        if !done.insert(file.clone()) {
            continue;
        }
        let bytes = fs::read(&file).unwrap();
        if let Some(facts) = keel_rpm::elf::facts(&bytes) {
            let folders = [
                "/lib/x86_64-linux-gnu",
                "/lib/aarch64-linux-gnu",
                "/lib64",
                "/usr/lib64",
            ];
            wanted.extend(facts.interpreter.clone().map(PathBuf::from));
            for library in &facts.needed {
                let places = folders.iter().map(|folder| Path::new(folder).join(library));
                wanted.extend(places.filter(|place| place.exists()).take(1));
            }
        }
        add(&mut tree, file.to_str().unwrap(), 0o755, &bytes);
    }
    for (name, text) in entries {
        add(&mut tree, name, 0o644, text.as_bytes());
    }
    tree
}

fn add(tree: &mut Tree, name: &str, mode: u32, bytes: &[u8]) {
    let file = tree.spool_mut().add(bytes).unwrap();
    let from: Arc<str> = "test".into();
    tree.add_parents(&path(name), 1000, &from);
    let node = Node {
        kind: Kind::File(file),
        mode,
        uid: 0,
        gid: 0,
        mtime: 1000,
        xattrs: BTreeMap::new(),
        from,
    };
    tree.insert(path(name), node);
}

fn script(name: &str, text: &str) -> Script {
    Script {
        name: name.to_owned(),
        content: Content::Text(text.to_owned()),
        interpreter: "/bin/sh".to_owned(),
        arguments: vec![],
        environment_variables: BTreeMap::new(),
        defined_at: Location::line("web.image.toml", 7),
    }
}

/// Runs scripts over a tree; gives what each changed.
fn run_all(tree: &mut Tree, scripts: &[Script]) -> Result<Changed, Error> {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let mut changed = Changed::new();
    let stop = Interrupt::default();
    let scripts = Scripts::read(scripts, false).unwrap();
    let ran = scripts.run(tree, &mut changed, Epoch(2000), &store, &|_| {}, &stop);
    let left = fs::read_dir(store.dir().join("tmp")).unwrap();
    let left: Vec<String> = left
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("scripts"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    ran.map(|()| changed)
}

/// What one script changed.
fn ran(tree: &mut Tree, text: &str) -> Vec<String> {
    let changed = run_all(tree, &[script("x", text)]).unwrap();
    let paths = changed.get("script x").into_iter().flatten();
    paths.map(|path| path.to_string()).collect()
}

/// What is told of a script that must fail.
fn refused(tree: &mut Tree, script: Script) -> String {
    let text = script.content.clone();
    let error = run_all(tree, &[script]).expect_err(&format!("{text:?}"));
    let mut text = error.to_string();
    if let Some(source) = std::error::Error::source(&error) {
        text.push_str(&format!(": {source}"));
    }
    text
}

fn text_of(tree: &Tree, name: &str) -> String {
    let file = tree.file(&path(name)).unwrap();
    String::from_utf8(tree.read(&path(name), file, 1 << 20).unwrap()).unwrap()
}

#[test]
fn what_scripts_change_is_in_the_tree() {
    let mut tree = system(&[
        ("/etc/old", "1"),
        ("/etc/gone/a", "1"),
        ("/etc/gone/b/c", "1"),
        ("/etc/new/a", "1"),
        ("/etc/new/b", "2"),
        ("/etc/same", "s"),
        ("/etc/mode", "m"),
        ("/etc/turned/x", "x"),
    ]);
    tree.get_mut(&path("/etc/old")).unwrap().uid = 7;
    tree.get_mut(&path("/etc/mode")).unwrap().gid = 5;
    let changed = ran(
        &mut tree,
        "set -e
         echo 2 >> /etc/old; cp /etc/same /etc/other; mv /etc/other /etc/same; touch /etc/same
         rm -r /etc/gone; rm -r /etc/new; mkdir -p /etc/new/deep; echo 3 > /etc/new/b
         chmod 600 /etc/mode; chmod 750 /etc; ln -s old /etc/link; ln /etc/old /etc/hard; mkfifo -m 640 /etc/pipe
         rm -r /etc/turned; echo file > /etc/turned
         mkdir /closed; echo c > /closed/in; chmod 0 /closed/in /closed; chown 0:0 /closed
         echo gone > /tmp/a; echo gone > /run/b; echo gone > /var/tmp/c",
    );
    let expected = [
        "/closed",
        "/closed/in",
        "/etc",
        "/etc/gone",
        "/etc/hard",
        "/etc/link",
        "/etc/mode",
        "/etc/new/a",
        "/etc/new/b",
        "/etc/new/deep",
        "/etc/old",
        "/etc/pipe",
        "/etc/turned",
    ];
    assert_eq!(changed, expected);
    assert_eq!(text_of(&tree, "/etc/old"), "12\n");
    assert_eq!(text_of(&tree, "/etc/hard"), "12\n");
    assert_eq!(text_of(&tree, "/etc/new/b"), "3\n");
    assert_eq!(text_of(&tree, "/etc/turned"), "file\n");
    let node = |name: &str| tree.get(&path(name)).unwrap();
    let facts = |name: &str| {
        let node = node(name);
        (node.mode, node.uid, node.gid, node.mtime, node.from.to_string())
    };
    let ours = || FINALISER.to_owned();
    // Owners stay; times are the image's where something was written.
    assert_eq!(facts("/etc/old"), (0o644, 7, 0, 2000, ours()));
    assert_eq!(facts("/etc/hard"), (0o644, 0, 0, 2000, ours()));
    assert_eq!(facts("/etc/mode"), (0o600, 0, 5, 1000, "test".to_owned()));
    assert_eq!(facts("/etc/same"), (0o644, 0, 0, 1000, "test".to_owned()));
    assert_eq!(facts("/etc"), (0o750, 0, 0, 1000, "test".to_owned()));
    assert_eq!(facts("/closed/in"), (0, 0, 0, 2000, ours()));
    assert_eq!((node("/etc/pipe").mode, node("/closed").mode), (0o640, 0));
    assert!(matches!(&node("/etc/link").kind, Kind::Symlink(target) if target == "old"));
    for name in [
        "/etc/gone",
        "/etc/gone/b/c",
        "/etc/new/a",
        "/etc/turned/x",
        "/tmp",
        "/run",
        "/var",
    ] {
        assert!(tree.get(&path(name)).is_none(), "{name}");
    }
}

#[test]
fn each_script_sees_what_those_before_it_did_and_is_noted_by_itself() {
    let mut tree = system(&[("/etc/a", "a"), ("/etc/b", "b")]);
    let mut second = script(
        "two",
        "set -e; cat /etc/a; rm /etc/a; echo \"$0 $1 $KEY $SOURCE_DATE_EPOCH $HOME\" > /etc/said; id -u >> /etc/said",
    );
    second.arguments = vec!["an argument".to_owned()];
    second.environment_variables.insert("KEY".into(), "value".into());
    let scripts = [
        script("one", "echo new > /etc/a; rm /etc/b"),
        second,
        script(
            "three",
            "echo b > /etc/b; chmod 644 /etc/b; test ! -e /etc/a; cd /etc; test -e said",
        ),
        script("nothing", "cat /etc/said > /dev/null; echo > /tmp/x"),
    ];
    let changed = run_all(&mut tree, &scripts).unwrap();
    let changed: Vec<(&str, Vec<&str>)> = changed
        .iter()
        .map(|(part, paths)| (part.as_str(), paths.iter().map(RootPath::as_str).collect()))
        .collect();
    assert_eq!(
        changed,
        [
            ("script one", vec!["/etc/a", "/etc/b"]),
            ("script three", vec!["/etc/b"]),
            ("script two", vec!["/etc/a", "/etc/said"]),
        ]
    );
    assert_eq!(
        text_of(&tree, "/etc/said"),
        "/run/keel/script an argument value 2000 /root\n0\n"
    );
}

#[test]
fn what_is_keels_own_is_not_changed() {
    let own = [
        ("/etc/passwd", "root:x:0:0::/:/bin/sh\n"),
        ("/etc/machine-id", "uninitialized\n"),
        ("/usr/lib/sysimage/rpm/rpmdb.sqlite", "db"),
    ];
    for (text, expected) in [
        (
            "rm -r /usr/lib/sysimage; mkdir -p /var/cache/ldconfig; echo > /var/cache/ldconfig/aux-cache",
            vec!["/var", "/var/cache"],
        ),
        (
            "rm /etc/machine-id /usr/lib/sysimage/rpm/*; echo > /usr/lib/sysimage/rpm/x",
            vec![],
        ),
        (
            "cp /etc/passwd /etc/p; mv /etc/p /etc/passwd; touch /etc/passwd",
            vec![],
        ),
    ] {
        let mut tree = system(&own);
        let mut expected_tree = tree.digest();
        if !expected.is_empty() {
            let from: Arc<str> = FINALISER.into();
            let mut with = system(&own);
            with.add_parents(&path("/var/cache/x"), 2000, &from);
            expected_tree = with.digest();
        }
        assert_eq!(ran(&mut tree, text), expected, "{text}");
        assert_eq!(tree.digest(), expected_tree, "{text}");
    }
    for (text, expected) in [
        (
            "echo x >> /etc/passwd",
            "`/etc/passwd` is made by Keel itself: `[[os.users]]` says what is in it",
        ),
        ("chmod 600 /etc/passwd", "`/etc/passwd` is made by Keel itself"),
        ("rm -r /etc", "`/etc/passwd` is made by Keel itself"),
        ("rm -r /etc; mkdir /etc", "`/etc/passwd` is made by Keel itself"),
        ("echo x > /etc/hostname", "`[os] hostname` says what is in it"),
        ("mkdir -p /sys/x", "nobody would see `/sys"),
    ] {
        let told = refused(&mut system(&own), script("x", text));
        let begin = "script `x` (web.image.toml:7) leaves what an image does not take:\n  ";
        assert!(told.starts_with(begin) && told.contains(expected), "{told}");
    }
}

#[test]
fn privileges_come_from_packages_only() {
    let mut tree = system(&[("/usr/bin/su", "su"), ("/usr/bin/plain", "plain")]);
    for name in ["/usr/bin/su", "/usr/bin/plain"] {
        tree.get_mut(&path(name)).unwrap().mode = 0o4755;
    }
    let capability = ("security.capability".to_owned(), b"caps".to_vec());
    let node = tree.get_mut(&path("/usr/bin/su")).unwrap();
    node.xattrs.extend([capability.clone()]);
    // Looked at, changed in permissions, taken away: as on any machine.
    let changed = ran(
        &mut tree,
        "touch /usr/bin/su; chmod u-s /usr/bin/plain; chmod o-r /usr/bin/su",
    );
    assert_eq!(changed, ["/usr/bin/plain", "/usr/bin/su"]);
    let su = tree.get(&path("/usr/bin/su")).unwrap();
    assert_eq!(
        (su.mode, su.xattrs.clone()),
        (0o4751, BTreeMap::from([capability]))
    );
    assert_eq!(tree.get(&path("/usr/bin/plain")).unwrap().mode, 0o755);
    // Who writes such a program takes its privileges (chmod(2), capabilities(7)).
    let changed = ran(&mut tree, "echo other > /usr/bin/su");
    let su = tree.get(&path("/usr/bin/su")).unwrap();
    assert_eq!(
        (changed, su.mode, su.xattrs.len()),
        (vec!["/usr/bin/su".to_owned()], 0o751, 0)
    );
    for (text, expected) in [
        (
            "chmod u+s /usr/bin/plain",
            "`/usr/bin/plain` has set-id bits (mode 4755), which only packages give",
        ),
        (
            "cp /usr/bin/id /etc/id; chmod 2755 /etc/id",
            "`/etc/id` has set-id bits (mode 2755)",
        ),
    ] {
        let told = refused(&mut tree, script("x", text));
        assert!(told.contains(expected), "{told}");
    }
    let told = refused(&mut system(&[]), script("x", "chown 5 /etc"));
    assert!(told.contains("failed (exit code 1)\n  | chown:"), "{told}");
}

#[test]
fn a_script_that_fails_is_told_with_its_last_lines() {
    let loud = "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13; do echo line $n; done; echo 'last\u{1b}[0m' >&2; echo x > /etc/x; exit 3";
    let mut tree = system(&[]);
    let before = tree.digest();
    let told = refused(&mut tree, script("x", loud));
    let begin = "script `x` (web.image.toml:7) failed (exit code 3)\n  | line 3\n";
    assert!(told.starts_with(begin), "{told}");
    assert!(told.ends_with("  | line 13\n  | last\u{fffd}[0m"), "{told}");
    assert_eq!(tree.digest(), before, "nothing is taken from it");
    let told = refused(&mut tree, script("x", "kill -9 $$"));
    assert!(
        told.contains("failed (signal 9 (SIGKILL))\n  it said nothing"),
        "{told}"
    );

    let mut python = script("x", "");
    python.interpreter = "python3".to_owned();
    let told = refused(&mut tree, python.clone());
    assert!(
        told.contains("the image has no `python3` to run script `x` with"),
        "{told}"
    );
    add(&mut tree, "/usr/bin/python3", 0o755, b"#!/no/such/program");
    let told = refused(&mut tree, python);
    assert!(
        told.starts_with("cannot run script `x`: cannot run `python3`"),
        "{told}"
    );
}

#[test]
fn a_script_ends_with_its_time_or_when_the_user_says_so() {
    let tree = system(&[]);
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(&tree, dir.path(), &Interrupt::default()).unwrap();
    let (slow, begin) = (script("x", "echo begun; sleep 600"), Instant::now());
    let text = b"echo begun; sleep 600";
    let run = |wall, stop: &Interrupt| place.run(&slow, text, Epoch(0), wall, stop).unwrap_err();
    let told = run(Duration::from_secs(2), &Interrupt::default()).to_string();
    assert!(told.contains("took longer than 1 minutes\n  | begun"), "{told}");
    let stop = Interrupt::default();
    let other = stop.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        other.set();
    });
    assert!(matches!(run(WALL, &stop), Error::Interrupted(_)));
    assert!(begin.elapsed() < Duration::from_secs(300));
}

#[test]
fn twice_is_the_same_and_every_input_counts() {
    let text = "set -e; mkdir /srv; for n in c a b; do echo $n > /srv/$n; done; stat -c '%Y %u %g %a' /etc/a /etc /bin > /srv/stat";
    let digest = || {
        let mut tree = system(&[("/etc/a", "a")]);
        ran(&mut tree, text);
        (tree.digest(), text_of(&tree, "/srv/stat"))
    };
    assert_eq!(digest(), digest());
    assert!(
        digest()
            .1
            .starts_with("1000 0 0 644\n1000 0 0 755\n1000 0 0 777\n"),
        "{}",
        digest().1
    );
    let key = |script: &Script| {
        let mut key = Fingerprint::new("test");
        Scripts::read(std::slice::from_ref(script), false)
            .unwrap()
            .add_to(&mut key);
        key.finish()
    };
    let one = script("x", "true");
    let changes: [fn(&mut Script); 5] = [
        |script| script.name = "y".into(),
        |script| script.content = Content::Text("false".into()),
        |script| script.interpreter = "/bin/bash".into(),
        |script| script.arguments = vec!["a".into()],
        |script| drop(script.environment_variables.insert("A".into(), "b".into())),
    ];
    let mut keys = BTreeSet::from([key(&one)]);
    for change in changes {
        let mut other = one.clone();
        change(&mut other);
        assert!(keys.insert(key(&other)), "{other:?}");
    }
}

#[test]
fn again_as_an_ordinary_user() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o1777)).unwrap();
    let binary = folder.path().join("test");
    // By another process: one that other tests start meanwhile would keep the file open for writing.
    let copied = Command::new("cp")
        .arg(std::env::current_exe().unwrap())
        .arg(&binary)
        .status();
    assert!(copied.unwrap().success());
    let digests = folder.path().join("digest");
    let output = Command::new("setpriv")
        .args(["--reuid", "1001", "--regid", "1001", "--clear-groups"])
        .arg(&binary)
        .arg("scripts::tests")
        .env("TMPDIR", folder.path())
        .env("KEEL_TEST_DIGEST", &digests)
        .current_dir("/")
        .output()
        .expect("setpriv is missing: apt install util-linux");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("twice_is_the_same_and_every_input_counts ... ok"),
        "{said}"
    );
    let theirs = fs::read_to_string(digests).unwrap();
    assert_eq!(
        theirs,
        digest_of_everything().to_string(),
        "root's bytes are an ordinary user's"
    );
}

/// The tree after a script that does a little of everything.
fn digest_of_everything() -> Sha256 {
    let mut tree = system(&[("/etc/a/b", "1"), ("/etc/c", "2"), ("/usr/bin/su", "su")]);
    tree.get_mut(&path("/usr/bin/su")).unwrap().mode = 0o4755;
    ran(
        &mut tree,
        "set -e; rm -r /etc/a; mkdir -m 2750 /etc/a; echo x > /etc/a/x; chmod 0 /etc/a/x /etc/c; ln -s x /etc/l; mkfifo /etc/p
         stat -c '%n %u %g %a %s' /usr/bin/* /etc/* > /etc/list; id > /etc/id; chmod o-x /usr/bin/su",
    );
    tree.digest()
}

#[test]
fn the_digest_of_everything_is_told_to_who_asks() {
    let digest = digest_of_everything();
    if let Some(path) = std::env::var_os("KEEL_TEST_DIGEST") {
        fs::write(path, digest.to_string()).unwrap();
    }
    assert_eq!(digest, digest_of_everything());
}

/// Attributes of users are an image's, all others are not. This machine's Perl and Python are no part of the tests' system: what a script
/// would set is set in its place.
#[test]
fn attributes_are_taken_over() {
    use rustix::fs::XattrFlags;
    let mut tree = system(&[("/etc/a", "a"), ("/etc/b/c", "c")]);
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let (stop, one) = (Interrupt::default(), script("x", ""));
    let place = Place::new(&tree, dir.path(), &stop).unwrap();
    let text = b"echo b > /etc/a; chmod 0 /etc/a; rm -r /etc/b; mkdir /etc/b; chmod 0 /etc/b";
    place.run(&one, text, Epoch(0), WALL, &stop).unwrap();
    let file = place.upper.join("etc/a");
    fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    for (name, value) in [("user.keel", "1"), ("user.overlay.x", "2")] {
        rustix::fs::setxattr(&file, name, value.as_bytes(), XattrFlags::empty()).unwrap();
    }
    fs::set_permissions(&file, PermissionsExt::from_mode(0o000)).unwrap();
    for expected in [vec!["/etc/a", "/etc/b", "/etc/b/c"], vec![]] {
        let paths = changes::apply(&mut tree, &place.upper, &one, Epoch(9), &stop).unwrap();
        let paths: Vec<&str> = paths.iter().map(RootPath::as_str).collect();
        assert_eq!(paths, expected);
    }
    let node = tree.get(&path("/etc/a")).unwrap();
    assert_eq!(
        node.xattrs,
        BTreeMap::from([("user.keel".to_owned(), b"1".to_vec())])
    );
    assert_eq!((node.mode, tree.get(&path("/etc/b")).unwrap().mode), (0, 0));
    assert!(tree.get(&path("/etc/b/c")).is_none());
    // So that an ordinary user can remove it.
    keel_sandbox::take_back(dir.path()).unwrap();
}
