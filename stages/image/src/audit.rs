//! The checks that a finished tree must pass before anything is written: nothing borrowed, nothing missing, nobody
//! let in.

use std::collections::BTreeSet;

use keel_artefact::{RootPath, Sha256};
use keel_config::image::os::Os;
use keel_rpm::{archive, elf};

use crate::{
    Error,
    accounts::root_path,
    tree::{Kind, Tree},
};

/// What must not be in an image: the compiled files of the root that lends the tools.
#[derive(Debug, Clone, Default)]
pub struct Foreign {
    /// Digests of its programs, libraries, objects and archives.
    pub digests: BTreeSet<Sha256>,
    /// Their build identities, in hexadecimal digits.
    pub build_ids: BTreeSet<String>,
}

/// Something that must not leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub path: RootPath,
    /// Who brought it.
    pub from: String,
    /// What is wrong with it.
    pub what: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` ({}): {}", self.path, self.from, self.what)
    }
}

/// One finding a line, indented.
pub(crate) fn list(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(|finding| format!("  {finding}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// No compiled file is larger.
const LIMIT: u64 = 2 << 30;
/// Where the loader looks without being told.
const LIBRARIES: [&str; 2] = ["/usr/lib64", "/usr/lib"];

/// Everything that is wrong with the tree. `os` is what the image's definition asks for, `cmdline` the kernel's command line of
/// an image that boots.
pub fn audit(tree: &Tree, foreign: &Foreign, os: &Os, cmdline: &[String]) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    for (path, node) in tree.nodes() {
        let Kind::File(file) = &node.kind else { continue };
        let mut start = [0; 8];
        let n = crate::write::sparse::fill(&mut tree.open(file), &mut start).unwrap_or(0);
        if !elf::is_elf(&start[..n]) && !archive::is_archive(&start[..n]) {
            continue;
        }
        let bytes = tree.read(path, file, LIMIT)?;
        let mut report = |what: String| {
            findings.push(Finding {
                path: path.clone(),
                from: node.from.to_string(),
                what,
            });
        };
        borrowed(file.digest, &bytes, foreign, &mut report);
        if let Some(facts) = elf::facts(&bytes) {
            needed(tree, path, &facts, &mut report);
        }
    }
    logins(tree, os, cmdline, &mut findings)?;
    autologins(tree, &mut findings)?;
    Ok(findings)
}

/// Is it, or is a member of it, one of the compiled files of stage0?
fn borrowed(digest: Sha256, bytes: &[u8], foreign: &Foreign, report: &mut impl FnMut(String)) {
    if foreign.digests.contains(&digest) {
        return report("it is a file of stage0, byte for byte".into());
    }
    if let Some(id) = elf::facts(bytes).and_then(|facts| facts.build_id)
        && foreign.build_ids.contains(&id)
    {
        report(format!("its build id {id} is one of stage0's"));
    }
    if archive::is_archive(bytes) {
        for member in archive::members(bytes).unwrap_or_default() {
            if foreign.digests.contains(&Sha256::of(member.bytes)) {
                let name = String::from_utf8_lossy(member.name);
                report(format!(
                    "its member `{name}` is an object of stage0, byte for byte"
                ));
            }
        }
    }
}

/// Is everything in the image that it is linked with?
fn needed(tree: &Tree, path: &RootPath, facts: &elf::ElfFacts, report: &mut impl FnMut(String)) {
    if let Some(loader) = &facts.interpreter
        && loader.parse().ok().and_then(|at| tree.file(&at)).is_none()
    {
        report(format!("its loader `{loader}` is not in the image"));
    }
    let own = path.parent().unwrap_or_else(RootPath::root);
    let listed = facts
        .runpath
        .iter()
        .chain(&facts.rpath)
        .flat_map(|list| list.split(':'));
    let folders: Vec<String> = listed
        .map(|folder| {
            folder
                .replace("$ORIGIN", own.as_str())
                .replace("${ORIGIN}", own.as_str())
        })
        .chain(LIBRARIES.map(str::to_owned))
        // A private library's needs are loaded already by the program that loads it, from where it lies.
        .chain([own.as_str().to_owned()])
        .collect();
    for library in &facts.needed {
        let found = folders.iter().any(|folder| {
            let at = normal(&format!("{folder}/{library}"));
            at.and_then(|at| tree.file(&at)).is_some()
        });
        if !found {
            report(format!("it needs `{library}`, which is not in the image"));
        }
    }
}

/// `/a/../b`, which `$ORIGIN` makes, as `/b`.
fn normal(path: &str) -> Option<RootPath> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/")).parse().ok()
}

/// Can anybody log in without credentials that the definition gave, or is a prompt offered that nobody asked for?
fn logins(tree: &Tree, os: &Os, cmdline: &[String], findings: &mut Vec<Finding>) -> Result<(), Error> {
    let mut report = |path: &RootPath, what: String| findings.push(finding(tree, path, what));
    for (name, field) in [
        ("/etc/passwd", "x"),
        ("/etc/shadow", "!"),
        ("/etc/group", "x"),
        ("/etc/gshadow", "!"),
    ] {
        let Some(text) = crate::accounts::text(tree, name)? else {
            continue;
        };
        for line in text.lines().filter(|line| !line.is_empty()) {
            let (user, password) = line.split_once(':').unwrap_or((line, ""));
            let password = password.split(':').next().unwrap_or("");
            // A group without a password in /etc/group is the old form of one that has none.
            let locked = password == field || password.starts_with(['!', '*']) || name == "/etc/group";
            let is_given = name == "/etc/shadow"
                && !password.is_empty()
                && (os.users.iter())
                    .any(|given| given.name == user && given.password.as_deref() == Some(password));
            if !locked && !is_given {
                let kind = if password.is_empty() {
                    "an empty password"
                } else {
                    "a password"
                };
                report(
                    &root_path(name),
                    format!("`{user}` has {kind}; an image gives only those of its definition"),
                );
            }
        }
    }
    for folder in ["/etc/systemd/system", "/usr/lib/systemd/system"].map(root_path) {
        for (path, _) in tree.under(&folder) {
            let parent = path.parent();
            let folder = parent.as_ref().map_or("", RootPath::file_name);
            let wanted = [".wants", ".requires", ".upholds"]
                .iter()
                .any(|end| folder.ends_with(end));
            let name = path.file_name();
            let prompt =
                name.contains("getty@") || name == "console-getty.service" || name == "debug-shell.service";
            let is_asked =
                name != "debug-shell.service" && os.services.enable.iter().any(|unit| unit.name == name);
            if wanted && prompt && !is_asked {
                report(
                    path,
                    "a login prompt is started; the image does not ask for one".into(),
                );
            }
        }
    }
    for word in cmdline {
        let key = word.split('=').next().unwrap_or("");
        let off = ["=0", "=no", "=false", "=off"]
            .iter()
            .any(|end| word.ends_with(end));
        let is_shell = match key {
            "systemd.debug_shell" | "systemd.debug-shell" | "rd.break" | "rd.shell" => !off,
            "init" | "rdinit" => word.ends_with("sh"),
            "systemd.wants" | "systemd.unit" => word.ends_with("debug-shell.service"),
            "systemd.setenv" => word.contains("SULOGIN_FORCE=1"),
            _ => false,
        };
        if is_shell {
            report(
                &RootPath::root(),
                format!("the kernel command line has `{word}`: a root shell without a password"),
            );
        }
    }
    Ok(())
}

/// No file of a unit is larger.
const UNIT_LIMIT: u64 = 1 << 20;

/// Where units are read from (systemd.unit(5)), but for what only a running system has.
const UNITS: [&str; 4] = [
    "/etc/systemd/system.control",
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
];

/// Does a unit start agetty(8) so that it asks for no password?
fn autologins(tree: &Tree, findings: &mut Vec<Finding>) -> Result<(), Error> {
    for folder in UNITS.map(root_path) {
        for (path, node) in tree.under(&folder) {
            let Kind::File(file) = &node.kind else { continue };
            let text = tree.read(path, file, UNIT_LIMIT)?;
            // A line that ends with a backslash goes on in the next one (systemd.syntax(7)).
            let text = String::from_utf8_lossy(&text).replace("\\\n", " ");
            let is_one = |line: &str| {
                let mut words = line.split_whitespace();
                let is_prompt = line.trim_start().starts_with("Exec") && line.contains("getty");
                is_prompt && words.any(|word| word.starts_with("--autologin") || word == "-a")
            };
            if text.lines().any(is_one) {
                findings.push(finding(
                    tree,
                    path,
                    "it logs somebody in without a password".into(),
                ));
            }
        }
    }
    Ok(())
}

fn finding(tree: &Tree, path: &RootPath, what: String) -> Finding {
    let from = tree
        .get(path)
        .map_or_else(|| "image".to_owned(), |node| node.from.to_string());
    let path = path.clone();
    Finding { path, from, what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::tree;

    fn findings(entries: &[(&str, &str)], cmdline: &[&str]) -> Vec<String> {
        let cmdline: Vec<String> = cmdline.iter().map(|word| (*word).to_owned()).collect();
        let found = audit(&tree(entries), &Foreign::default(), &Os::default(), &cmdline).unwrap();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nobody_gets_in() {
        for (entries, cmdline, expected) in [
            (
                &[
                    ("/etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
                    ("/etc/shadow", "root:!*:::::::\n"),
                ][..],
                &[][..],
                None,
            ),
            (
                &[("/etc/passwd", "root::0:0::/root:/bin/sh\n")],
                &[],
                Some("`root` has an empty password"),
            ),
            (
                &[("/etc/shadow", "root::::::::\n")],
                &[],
                Some("`root` has an empty password"),
            ),
            (
                &[("/etc/shadow", "root:$6$x:::::::\n")],
                &[],
                Some("`root` has a password"),
            ),
            (
                &[(
                    "/etc/systemd/system/getty.target.wants/getty@tty1.service",
                    "-> x",
                )],
                &[],
                Some("a login prompt"),
            ),
            (
                &[(
                    "/usr/lib/systemd/system/sysinit.target.wants/debug-shell.service",
                    "-> x",
                )],
                &[],
                Some("a login prompt"),
            ),
            (&[("/usr/lib/systemd/system/getty@.service", "x")], &[], None),
            (
                &[(
                    "/etc/systemd/system/getty@.service.d/x.conf",
                    "[Service]\nExecStart=-/sbin/agetty --autologin root %I\n",
                )],
                &[],
                Some("without a password"),
            ),
            (
                &[(
                    "/usr/local/lib/systemd/system/own.service",
                    "[Service]\nExecStart=/sbin/agetty \\\n  --autologin root tty1\n",
                )],
                &[],
                Some("without a password"),
            ),
            (&[], &["quiet", "systemd.debug_shell"], Some("a root shell")),
            (&[], &["systemd.debug_shell=0"], None),
            (&[], &["rd.break"], Some("a root shell")),
            (&[], &["init=/bin/sh"], Some("a root shell")),
            (&[], &["init=/usr/lib/systemd/systemd"], None),
        ] {
            let found = findings(entries, cmdline);
            assert_eq!(found.len(), usize::from(expected.is_some()), "{found:?}");
            assert!(expected.is_none_or(|text| found[0].contains(text)), "{found:?}");
        }
    }

    #[test]
    fn only_what_the_definition_gives_lets_in() {
        let (hash, unit) = ("$6$salt$digest", "getty@tty1.service");
        let given = keel_config::image::os::User {
            name: "root".into(),
            uid: None,
            password: Some(hash.into()),
            ssh_public_keys: vec![],
            primary_group: None,
            secondary_groups: vec![],
            home_directory: None,
            startup_command: None,
            defined_at: keel_config::Location::file("x"),
        };
        let enable = |name: &str| keel_config::image::os::Unit {
            name: name.into(),
            defined_at: keel_config::Location::file("x"),
        };
        let mut os = Os {
            users: vec![given],
            ..Os::default()
        };
        os.services.enable = vec![enable(unit), enable("debug-shell.service")];
        let link = |name: &str| format!("/etc/systemd/system/x.wants/{name}");
        for (path, text, expected) in [
            ("/etc/shadow", format!("root:{hash}:::::::\n"), 0),
            ("/etc/shadow", "root:$6$salt$other:::::::\n".to_owned(), 1),
            ("/etc/shadow", format!("other:{hash}:::::::\n"), 1),
            ("/etc/shadow", "root::::::::\n".to_owned(), 1),
            ("/etc/passwd", format!("root:{hash}:0:0::/:/bin/sh\n"), 1),
            (&link(unit), "-> x".to_owned(), 0),
            (&link("getty@tty2.service"), "-> x".to_owned(), 1),
            (&link("debug-shell.service"), "-> x".to_owned(), 1),
        ] {
            let found = audit(&tree(&[(path, &text)]), &Foreign::default(), &os, &[]).unwrap();
            assert_eq!(found.len(), expected, "{path} {text} {found:?}");
        }
    }

    #[test]
    fn a_borrowed_program_and_its_missing_libraries_are_found() {
        // A real program and its library, from the machine that runs the test.
        let program = std::fs::read("/proc/self/exe").unwrap();
        let digest = Sha256::of(&program);
        let mut image = tree(&[]);
        let file = image.spool_mut().add(&program[..]).unwrap();
        let from: std::sync::Arc<str> = "x".into();
        let node = crate::tree::Node {
            kind: Kind::File(file),
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: 0,
            xattrs: std::collections::BTreeMap::new(),
            from,
        };
        image.insert("/usr/bin/program".parse().unwrap(), node);
        let id = elf::facts(&program).unwrap().build_id;
        let by_digest = Foreign {
            digests: [digest].into(),
            build_ids: BTreeSet::new(),
        };
        let by_id = Foreign {
            digests: BTreeSet::new(),
            build_ids: id.iter().cloned().collect(),
        };
        let text = |foreign: &Foreign| {
            audit(&image, foreign, &Os::default(), &[])
                .unwrap()
                .iter()
                .map(ToString::to_string)
                .collect::<String>()
        };
        assert!(text(&by_digest).contains("byte for byte"));
        if id.is_some() {
            assert!(text(&by_id).contains("build id"));
        }
        assert!(text(&Foreign::default()).contains("it needs `libc.so.6`"));
        assert!(text(&Foreign::default()).contains("its loader"));
    }
}
