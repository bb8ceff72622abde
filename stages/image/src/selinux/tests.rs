use std::process::Command;

use keel_config::{Location, image::os::Selinux};

use super::*;
use crate::tree::tests::{path, tree};
use keel_artefact::Epoch;

const CONTEXTS: &str = "/etc/selinux/strict/contexts/files/file_contexts";
const LINES: &str =
    "/.* u:r:default:s0\n/etc(/.*)? u:r:etc:s0\n/etc/hosts -- u:r:hosts:s0\n/proc(/.*)? <<none>>\n";
const SETTINGS: &str = "# mine\nSELINUX=enforcing\nSELINUXTYPE=strict\n";

fn with_policy() -> Tree {
    tree(&[
        (CONTEXTS, LINES),
        (CONFIG, SETTINGS),
        ("/etc/hosts", "127.0.0.1 localhost\n"),
        ("/usr/bin/", ""),
        ("/bin", "-> usr/bin"),
        ("/proc/", ""),
    ])
}

fn labels(tree: &Tree, at: &str) -> Option<String> {
    let label = tree.get(&path(at)).unwrap().xattrs.get(ATTRIBUTE)?;
    Some(String::from_utf8(label.clone()).unwrap())
}

#[test]
fn everything_in_a_tree_with_a_policy_is_labelled() {
    let mut tree = with_policy();
    let done = label(&mut tree, &[Format::Oci, Format::Raw]).unwrap().unwrap();
    assert_eq!(labels(&tree, "/etc/hosts").as_deref(), Some("u:r:hosts:s0\0"));
    assert_eq!(labels(&tree, "/etc").as_deref(), Some("u:r:etc:s0\0"));
    assert_eq!(labels(&tree, "/").as_deref(), Some("u:r:default:s0\0"));
    assert_eq!(labels(&tree, "/bin").as_deref(), Some("u:r:default:s0\0"));
    assert_eq!(labels(&tree, "/proc"), None);
    assert_eq!(done.policy, "strict");
    assert_eq!(done.unlabelled, 1);
    assert_eq!(done.labelled + 1, tree.nodes().len() as u64);
}

#[test]
fn nothing_is_labelled_where_nobody_asks_for_it() {
    for formats in [
        &[Format::Oci, Format::OciArchive][..],
        &[Format::Wsl],
        &[Format::Cpio],
    ] {
        assert_eq!(label(&mut with_policy(), formats).unwrap(), None);
    }
    for settings in [
        "SELINUX=enforcing\n",
        "SELINUXTYPE=other\n",
        "SELINUXTYPE=strict\nSELINUX=disabled\n",
        "SELINUXTYPE=../selinux/strict\n",
        "",
    ] {
        let mut tree = tree(&[(CONTEXTS, LINES), (CONFIG, settings)]);
        assert_eq!(label(&mut tree, &[Format::Tar]).unwrap(), None, "{settings}");
        assert_eq!(labels(&tree, CONFIG), None, "{settings}");
    }
    let mut bare = tree(&[("/etc/hosts", "")]);
    assert_eq!(label(&mut bare, &[Format::Raw]).unwrap(), None);
}

#[test]
fn a_policy_that_cannot_be_followed_is_named_with_its_line() {
    let mut tree = tree(&[(CONTEXTS, "/a u:r:t:s0\n/b nonsense\n"), (CONFIG, SETTINGS)]);
    let error = label(&mut tree, &[Format::Raw]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("`{CONTEXTS}`, line 2: `nonsense` is no context (`USER:ROLE:TYPE:LEVEL`)")
    );
}

/// The file after the definition was followed, or what it says wrongly.
fn configured(
    entries: &[(&str, &str)],
    mode: SelinuxMode,
    policy: Option<&str>,
) -> Result<Option<String>, String> {
    let mut tree = tree(entries);
    let os = Os {
        selinux: Some(Selinux {
            mode,
            policy: policy.map(str::to_owned),
            defined_at: Location::file("x.toml"),
        }),
        ..Os::default()
    };
    let wrong = configure(&mut Make::new(&mut tree, Epoch(7)), &os).unwrap();
    match wrong.into_iter().next() {
        Some(wrong) => Err(wrong.message),
        None => Ok(text(&tree, CONFIG).unwrap()),
    }
}

#[test]
fn the_definition_says_what_becomes_of_the_policy() {
    use SelinuxMode::{Disabled, Enforcing, ForceEnforcing, Permissive};
    let there = [(CONTEXTS, LINES), (CONFIG, SETTINGS)];
    let is = |text: &str| Ok(Some(text.to_owned()));
    assert_eq!(configured(&there, Enforcing, None), is(SETTINGS));
    assert_eq!(configured(&there, ForceEnforcing, Some("strict")), is(SETTINGS));
    assert_eq!(
        configured(&there, Permissive, None),
        is("# mine\nSELINUXTYPE=strict\nSELINUX=permissive\n")
    );
    assert_eq!(
        configured(&there, Disabled, None),
        is("# mine\nSELINUXTYPE=strict\nSELINUX=disabled\n")
    );
    assert_eq!(
        configured(&[(CONTEXTS, LINES)], Enforcing, None),
        is("SELINUX=enforcing\nSELINUXTYPE=strict\n"),
        "the only one"
    );
    assert_eq!(configured(&[("/etc/hosts", "")], Disabled, None), Ok(None));

    let kernel = "/usr/lib/modules/6.12/config";
    let with_kernel = |config| [there[0], there[1], (kernel, config)];
    let none = "# CONFIG_SECURITY_SELINUX is not set\n";
    assert_eq!(
        configured(&with_kernel(none), Permissive, None),
        Err(format!(
            "the kernel of `{kernel}` has no SELinux (CONFIG_SECURITY_SELINUX)"
        ))
    );
    assert!(configured(&with_kernel(none), Disabled, None).is_ok());
    assert_eq!(
        configured(&with_kernel("CONFIG_SECURITY_SELINUX=y\n"), Enforcing, None),
        is(SETTINGS)
    );

    let none =
        "no package of the image has a policy of SELinux (`/etc/selinux/NAME/contexts/files/file_contexts`)";
    assert_eq!(
        configured(&[(CONFIG, SETTINGS)], Enforcing, None),
        Err(none.to_owned())
    );
    assert_eq!(
        configured(&there, Enforcing, Some("stict")),
        Err("no package of the image has the policy `stict` of SELinux".to_owned())
    );
    let other = "/etc/selinux/loose/contexts/files/file_contexts";
    assert_eq!(
        configured(&[(CONTEXTS, LINES), (other, LINES)], Enforcing, None),
        Err("the image has several policies of SELinux: `loose`, `strict`".to_owned())
    );
    assert_eq!(
        configured(&[(CONTEXTS, LINES), (other, LINES)], Enforcing, Some("loose")),
        is("SELINUX=enforcing\nSELINUXTYPE=loose\n")
    );
}

/// libselinux's own answers, with Debian's policy, about paths of this machine and some that are not there.
#[test]
fn a_real_policy_gives_the_labels_that_libselinux_gives() {
    let folder = std::path::Path::new("/etc/selinux/default/contexts/files");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    assert!(
        read("file_contexts").lines().count() > 1000,
        "package selinux-policy-default is there"
    );
    let mut contexts = Contexts::default();
    for (name, meaning) in FILES {
        contexts.read(path("/f"), meaning, &read(name)).unwrap();
    }
    let mut paths: Vec<String> = Vec::new();
    for start in [
        "/usr/bin",
        "/usr/sbin",
        "/usr/lib",
        "/etc",
        "/var",
        "/root",
        "/home",
        "/boot",
    ] {
        let listed = Command::new("find")
            .args([start, "-maxdepth", "3"])
            .output()
            .unwrap();
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        paths.extend(listed.lines().step_by(7).take(400).map(str::to_owned));
    }
    // A path for every line without an expression, and for those that end with one.
    for line in read("file_contexts").lines() {
        let word = line.split_whitespace().next().unwrap_or_default();
        if word.starts_with('/') {
            let plain = word
                .replace("(/.*)?", "/x")
                .replace(".*", "y")
                .replace("\\.", ".")
                .replace("[^/]*", "z");
            paths.extend(
                plain
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte))
                    .then_some(plain),
            );
        }
    }
    for more in [
        "/",
        "/bin/sh",
        "/lib64/ld-linux-x86-64.so.2",
        "/var/run/x.pid",
        "/run/lock/y",
        "/home/me/.ssh/id",
        "/nowhere",
    ] {
        paths.push(more.to_owned());
    }
    paths.retain(|path| path.parse::<RootPath>().is_ok() && !path.contains(char::is_whitespace));
    paths.sort();
    paths.dedup();
    assert!(paths.len() > 3000, "{}", paths.len());
    let mut compared = 0;
    for (kind, mode) in [
        (Kind::File(crate::tree::File::of(Vec::new())), "file"),
        (Kind::Dir, "dir"),
        (Kind::Symlink("x".to_owned()), "lnk_file"),
    ] {
        for some in paths.chunks(1000) {
            let asked = Command::new("/usr/sbin/matchpathcon")
                .arg("-f")
                .arg(folder.join("file_contexts"))
                .args(["-m", mode])
                .args(some)
                .output()
                .expect("package selinux-utils is there");
            let said = String::from_utf8(asked.stdout).unwrap();
            for line in said.lines() {
                let (at, wanted) = line.split_once('\t').unwrap();
                let found = contexts.of(&path(at), &kind).unwrap().unwrap_or(contexts_none());
                assert_eq!(found, wanted, "{at} ({mode})");
                compared += 1;
            }
        }
    }
    assert!(
        compared > 3 * paths.len() / 2,
        "{compared} of {}",
        3 * paths.len()
    );
}

/// What matchpathcon calls a path without a label.
fn contexts_none() -> &'static str {
    "<<none>>"
}
