//! Tests of `finalise.rs` and what is below it.

use keel_config::{
    Location,
    image::os::{Content, Dir, File as AddedFile, Group, LoadMode, Module, Owner, Unit, User},
};

use super::*;
use crate::tree::tests::{path, tree};

fn run(entries: &[(&str, &str)], identity: &Identity) -> Tree {
    let mut tree = tree(entries);
    let accounts = Accounts::read(&tree).unwrap();
    finalise(&mut tree, &accounts, identity, &Added::default(), Epoch(7)).unwrap();
    tree
}

#[test]
fn a_bootable_image_gets_its_identity() {
    let identity = Identity {
        bootable: true,
        systemd: true,
        os: Os {
            hostname: Some("keel".into()),
            ..Os::default()
        },
        key: Some(b"KEY".to_vec()),
        rpmdb: BTreeMap::from([("rpmdb.sqlite".into(), b"db".to_vec())]),
    };
    let tree = run(&[("/usr/lib/sysusers.d/a.conf", "g tty 5")], &identity);
    let read = |at: &str| {
        let file = tree.file(&path(at)).unwrap();
        String::from_utf8(tree.read(&path(at), file, 1000).unwrap()).unwrap()
    };
    assert_eq!(read("/etc/machine-id"), "uninitialized\n");
    assert_eq!(read("/etc/hostname"), "keel\n");
    assert_eq!(read("/etc/group"), "root:x:0:\ntty:x:5:\n");
    assert_eq!(read(KEY), "KEY");
    assert_eq!(read("/usr/lib/sysimage/rpm/rpmdb.sqlite"), "db");
    assert_eq!(tree.get(&path("/tmp")).unwrap().mode, 0o1777);
    assert_eq!(tree.get(&path("/etc/shadow")).unwrap().mode, 0o400);
    assert_eq!(tree.get(&path("/etc/shadow")).unwrap().mtime, 7);
}

#[test]
fn complete_files_of_packages_stay_as_they_are() {
    let passwd = "root:x:0:0:me:/root:/bin/sh\n";
    let tree = run(
        &[("/etc/passwd", passwd), ("/etc/group", "root:x:0:\n")],
        &Identity::default(),
    );
    assert_eq!(tree.get(&path("/etc/passwd")).unwrap().from.as_ref(), "test");
    assert_eq!(tree.get(&path("/etc/shadow")).unwrap().from.as_ref(), FINALISER);
    let tree = run(
        &[("/etc/passwd", passwd), ("/usr/lib/sysusers.d/a.conf", "u x 5")],
        &Identity::default(),
    );
    let file = tree.file(&path("/etc/passwd")).unwrap();
    let text = tree.read(&path("/etc/passwd"), file, 1000).unwrap();
    assert_eq!(
        text,
        b"root:x:0:0:me:/root:/bin/sh\nx:x:5:5::/:/usr/sbin/nologin\n"
    );
}

fn at() -> Location {
    Location::line("web.image.toml", 7)
}

fn user(name: &str, uid: Option<u32>) -> User {
    User {
        name: name.into(),
        uid,
        password: None,
        ssh_public_keys: vec![],
        primary_group: None,
        secondary_groups: vec![],
        home_directory: None,
        startup_command: None,
        defined_at: at(),
    }
}

fn group(name: &str, gid: Option<u32>) -> Group {
    let name = name.into();
    Group {
        name,
        gid,
        defined_at: at(),
    }
}

fn unit(name: &str) -> Unit {
    Unit {
        name: name.into(),
        defined_at: at(),
    }
}

fn module(name: &str, load_mode: Option<LoadMode>, options: &[(&str, &str)]) -> Module {
    let options = options
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()));
    Module {
        name: name.into(),
        load_mode,
        options: options.collect(),
        defined_at: at(),
    }
}

fn text_at(tree: &Tree, at: &str) -> String {
    let file = tree.file(&path(at)).unwrap_or_else(|| panic!("no {at}"));
    String::from_utf8(tree.read(&path(at), file, 10_000).unwrap()).unwrap()
}

/// `mode uid gid` of a path.
fn meta(tree: &Tree, at: &str) -> String {
    let node = tree.get(&path(at)).unwrap_or_else(|| panic!("no {at}"));
    format!("{:04o} {} {}", node.mode, node.uid, node.gid)
}

/// A machine with systemd, finalised as a definition says.
fn customised(entries: &[(&str, &str)], os: Os) -> Result<(Tree, Changed), Error> {
    let mut tree = tree(entries);
    let accounts = Accounts::read(&tree).unwrap();
    let added = Added::read(&os)?;
    let identity = Identity {
        os,
        bootable: true,
        systemd: true,
        ..Identity::default()
    };
    let changed = finalise(&mut tree, &accounts, &identity, &added, Epoch(7))?;
    Ok((tree, changed))
}

const BASE: [(&str, &str); 3] = [
    ("/usr/lib/sysusers.d/a.conf", "g wheel 10\nu web 80 - /srv/web\n"),
    ("/bin/sh", ""),
    ("/root/", ""),
];

#[test]
fn users_join_those_of_packages() {
    let os = Os {
        groups: vec![group("ops", Some(2000)), group("wheel", None)],
        users: vec![
            User {
                password: Some("$6$hash".into()),
                primary_group: Some("ops".into()),
                secondary_groups: vec!["wheel".into(), "bob".into()],
                startup_command: Some(path("/bin/sh")),
                ..user("alice", Some(1000))
            },
            User {
                ssh_public_keys: vec!["ssh-ed25519 K1".into(), "ssh-ed25519 K2".into()],
                ..user("bob", Some(1001))
            },
            User {
                password: Some("$6$root".into()),
                ..user("root", None)
            },
            User {
                home_directory: Some(path("/srv/other")),
                startup_command: Some(path("/usr/sbin/nologin")),
                ..user("web", None)
            },
        ],
        ..Os::default()
    };
    let (tree, changed) = customised(&BASE, os).unwrap();
    assert_eq!(
        text_at(&tree, "/etc/passwd"),
        "root:x:0:0:Super User:/root:/bin/sh\nweb:x:80:80::/srv/other:/usr/sbin/nologin\n\
         alice:x:1000:2000::/home/alice:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\n"
    );
    assert_eq!(
        text_at(&tree, "/etc/shadow"),
        "root:$6$root:::::::\nweb:!*:::::::\nalice:$6$hash:::::::\nbob:*:::::::\n"
    );
    assert_eq!(
        text_at(&tree, "/etc/group"),
        "root:x:0:\nwheel:x:10:alice\nweb:x:80:\nbob:x:1001:alice\nops:x:2000:\n"
    );
    assert_eq!(
        text_at(&tree, "/usr/lib/sysusers.d/keel-image.conf"),
        "# Users of the image's definition.\ng bob 1001\ng ops 2000\nu alice 1000:2000 - /home/alice /bin/sh\n\
         u bob 1001:1001 - /home/bob /bin/sh\nm alice wheel\nm alice bob\n"
    );
    // What is declared so gives the same accounts: systemd-sysusers finds nothing to do.
    let again = Accounts::read(&tree).unwrap();
    assert_eq!((again.uid("alice"), again.gid("ops")), (Some(1000), Some(2000)));
    assert_eq!(
        text_at(&tree, "/home/bob/.ssh/authorized_keys"),
        "ssh-ed25519 K1\nssh-ed25519 K2\n"
    );
    for (at, expected) in [
        ("/home", "0755 0 0"),
        ("/home/alice", "0700 1000 2000"),
        ("/home/bob", "0700 1001 1001"),
        ("/home/bob/.ssh", "0700 1001 1001"),
        ("/home/bob/.ssh/authorized_keys", "0600 1001 1001"),
        ("/srv/other", "0700 80 80"),
        ("/etc/shadow", "0400 0 0"),
    ] {
        assert_eq!(meta(&tree, at), expected, "{at}");
    }
    assert!(tree.get(&path("/home/alice/.ssh")).is_none());
    let paths: Vec<&str> = changed["users"].iter().map(RootPath::as_str).collect();
    assert!(
        paths.contains(&"/etc/shadow")
            && paths.contains(&"/home")
            && paths.contains(&"/home/bob/.ssh/authorized_keys")
    );
}

#[test]
fn a_definition_is_told_what_its_packages_cannot_give() {
    let users = |users: Vec<User>| Os {
        users,
        ..Os::default()
    };
    let groups = |groups: Vec<Group>| Os {
        groups,
        ..Os::default()
    };
    let enable = |name: &str| {
        let services = keel_config::image::os::Services {
            enable: vec![unit(name)],
            disable: vec![],
        };
        Os {
            services,
            ..Os::default()
        }
    };
    let disable = |name: &str| {
        let services = keel_config::image::os::Services {
            enable: vec![],
            disable: vec![unit(name)],
        };
        Os {
            services,
            ..Os::default()
        }
    };
    let modules = |module: Module| Os {
        modules: vec![module],
        ..Os::default()
    };
    let file = |destination: &str, user: Option<&str>| {
        let owner = Owner {
            user: user.map(str::to_owned),
            group: None,
        };
        let content = Content::Text(String::new());
        let destination = path(destination);
        let file = AddedFile {
            content,
            destination,
            permissions: None,
            owner,
            defined_at: at(),
        };
        Os {
            additional_files: vec![file],
            ..Os::default()
        }
    };
    let mut entries = BASE.to_vec();
    entries.extend([
        (
            "/usr/lib/systemd/system/sshd.service",
            "[Install]\nWantedBy=multi-user.target\n",
        ),
        (
            "/usr/lib/systemd/system/dbus.service",
            "[Service]\nExecStart=/x\n",
        ),
        (
            "/usr/lib/systemd/system/t@.service",
            "[Install]\nWantedBy=x.target\n",
        ),
        ("/usr/lib/modules/6.12/kernel/vfio.ko.zst", ""),
        ("/usr/lib/modules/6.12/modules.builtin", "kernel/fs/ext4.ko\n"),
    ]);
    for (os, expected) in [
        (users(vec![user("new", None)]), "user `new` needs a `uid`"),
        (
            users(vec![user("web", Some(81))]),
            "user `web` is 80 by what packages declare, not 81",
        ),
        (
            users(vec![user("new", Some(80))]),
            "user `new` cannot be 80: `web` is",
        ),
        (
            users(vec![User {
                primary_group: Some("whel".into()),
                ..user("n", Some(5))
            }]),
            "did you mean `wheel`?",
        ),
        (
            users(vec![User {
                secondary_groups: vec!["whele".into()],
                ..user("n", Some(5))
            }]),
            "did you mean `wheel`?",
        ),
        (
            users(vec![User {
                startup_command: Some(path("/bin/zsh")),
                ..user("n", Some(5))
            }]),
            "`/bin/zsh`, which is not in the image",
        ),
        (
            users(vec![user("n", Some(10))]),
            "group `n` cannot be 10: `wheel` is",
        ),
        (
            users(vec![User {
                home_directory: Some(path("/bin/sh")),
                ..user("n", Some(5))
            }]),
            "is a file",
        ),
        (
            users(vec![User {
                home_directory: Some(path("/")),
                ssh_public_keys: vec!["k".into()],
                ..user("n", Some(5))
            }]),
            "has no home",
        ),
        (groups(vec![group("new", None)]), "group `new` needs a `gid`"),
        (
            groups(vec![group("wheel", Some(11))]),
            "group `wheel` is 10 by what packages declare, not 11",
        ),
        (
            groups(vec![group("new", Some(10))]),
            "group `new` cannot be 10: `wheel` is",
        ),
        (enable("shd.service"), "did you mean `sshd.service`?"),
        (disable("shd.service"), "did you mean `sshd.service`?"),
        (enable("dbus.service"), "has no `[Install]` section"),
        (enable("t@.service"), "say which instance of it"),
        (
            modules(module("vfo", Some(LoadMode::Always), &[])),
            "did you mean `vfio`?",
        ),
        (
            modules(module("ext4", None, &[("a", "b")])),
            "kernel-command-line = [\"ext4.a=b\"]",
        ),
        (
            file("/root", None),
            "`/root` cannot be a file: it is a folder in the image",
        ),
        (file("/etc/x", Some("webb")), "did you mean `web`?"),
    ] {
        let told = customised(&entries, os).unwrap_err().to_string();
        assert!(told.contains(expected), "{told}");
        assert!(told.contains("web.image.toml:7"), "{told}");
    }
}

#[test]
fn services_of_a_definition_come_before_all_presets() {
    let unit_file = |target: &str| format!("[Install]\nWantedBy={target}\n");
    let (multi, getty) = (
        unit_file("multi-user.target"),
        "[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n",
    );
    let entries = [
        ("/usr/lib/systemd/system/on.service", multi.as_str()),
        ("/usr/lib/systemd/system/off.service", &multi),
        ("/etc/systemd/system/own.service", &multi),
        ("/usr/lib/systemd/system/getty@.service", getty),
        (
            "/usr/lib/systemd/system-preset/10-a.preset",
            "enable off.service\nenable getty@.service\ndisable *\n",
        ),
    ];
    let services = keel_config::image::os::Services {
        enable: vec![
            unit("on.service"),
            unit("own.service"),
            unit("getty@ttyS0.service"),
        ],
        disable: vec![unit("off.service"), unit("getty@tty1.service")],
    };
    let (tree, changed) = customised(
        &entries,
        Os {
            services,
            ..Os::default()
        },
    )
    .unwrap();
    let folder = path("/etc/systemd/system");
    let links = tree.under(&folder).filter_map(|(path, node)| match &node.kind {
        Kind::Symlink(target) => Some(format!("{path} {target}")),
        _ => None,
    });
    let links: Vec<String> = links.collect();
    let expected = [
        "/etc/systemd/system/getty.target.wants/getty@ttyS0.service /usr/lib/systemd/system/getty@.service",
        "/etc/systemd/system/multi-user.target.wants/on.service /usr/lib/systemd/system/on.service",
        "/etc/systemd/system/multi-user.target.wants/own.service /etc/systemd/system/own.service",
    ];
    assert_eq!(links, expected);
    assert_eq!(
        text_at(&tree, "/usr/lib/systemd/system-preset/00-00-keel-image.preset"),
        "# The image's definition.\ndisable off.service\ndisable getty@tty1.service\nenable on.service\n\
         enable own.service\nenable getty@.service ttyS0\n"
    );
    assert_eq!(changed["services"].len(), 6, "{changed:?}");
}

#[test]
fn modules_are_loaded_left_alone_or_kept_away() {
    let entries = [
        ("/usr/lib/modules/6.12/kernel/br_netfilter.ko.xz", ""),
        ("/usr/lib/modules/6.12/kernel/vfio.ko", ""),
        ("/usr/lib/modules/6.12/modules.builtin", "kernel/fs/ext4.ko\n"),
    ];
    let modules = vec![
        module("br-netfilter", Some(LoadMode::Always), &[]),
        module("ext4", Some(LoadMode::Always), &[]),
        module("vfio", None, &[("b", "2"), ("a", "Y")]),
        module("dccp", Some(LoadMode::Disable), &[]),
    ];
    let (tree, changed) = customised(
        &entries,
        Os {
            modules,
            ..Os::default()
        },
    )
    .unwrap();
    assert_eq!(
        text_at(&tree, "/usr/lib/modules-load.d/keel-image.conf"),
        "br-netfilter\n"
    );
    assert_eq!(
        text_at(&tree, "/usr/lib/modprobe.d/keel-image.conf"),
        "options vfio a=Y b=2\nblacklist dccp\n"
    );
    let paths: Vec<&str> = changed["modules"].iter().map(RootPath::as_str).collect();
    assert_eq!(
        paths,
        [
            "/usr/lib/modprobe.d",
            "/usr/lib/modprobe.d/keel-image.conf",
            "/usr/lib/modules-load.d",
            "/usr/lib/modules-load.d/keel-image.conf"
        ]
    );
}

#[test]
fn files_and_folders_are_added_as_they_are_said_to_be() {
    let sources = tempfile::tempdir().unwrap();
    let source = sources.path();
    let write = |name: &str, mode: u32| {
        use std::os::unix::fs::PermissionsExt as _;
        fs_err::write(source.join(name), name).unwrap();
        fs_err::set_permissions(source.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    fs_err::create_dir_all(source.join("site/bin")).unwrap();
    write("site/index", 0o600);
    write("site/bin/run", 0o700);
    fs_err::os::unix::fs::symlink("index", source.join("site/link")).unwrap();
    let dir = |destination: &str, source: Option<&str>| Dir {
        source: source.map(|name| sources.path().join(name)),
        destination: path(destination),
        new_dir_permissions: None,
        merged_dir_permissions: None,
        child_file_permissions: None,
        owner: Owner::default(),
        defined_at: at(),
    };
    let file = |destination: &str, content: Content, permissions: Option<u32>| AddedFile {
        content,
        destination: path(destination),
        permissions,
        owner: Owner {
            user: Some("web".into()),
            group: Some("10".into()),
        },
        defined_at: at(),
    };
    let web = Owner {
        user: Some("web".into()),
        group: Some("wheel".into()),
    };
    let os = Os {
        additional_dirs: vec![
            Dir {
                owner: web,
                ..dir("/srv/site", Some("site"))
            },
            Dir {
                merged_dir_permissions: Some(0o1777),
                ..dir("/root", None)
            },
            Dir {
                child_file_permissions: Some(0o640),
                new_dir_permissions: Some(0o711),
                ..dir("/opt/x", Some("site"))
            },
            dir("/lib/y", Some("site/bin")),
        ],
        additional_files: vec![
            file("/etc/motd", Content::Text("hi\n".into()), Some(0o4755)),
            file(
                "/srv/site/index",
                Content::Source(source.join("site/bin/run")),
                None,
            ),
        ],
        ..Os::default()
    };
    let mut entries = BASE.to_vec();
    entries.extend([
        ("/usr/lib/", ""),
        ("/lib", "-> usr/lib"),
        ("/etc/motd", "-> /run/motd"),
    ]);
    let (tree, changed) = customised(&entries, os.clone()).unwrap();
    for (at, expected) in [
        ("/srv/site", "0755 80 10"),
        ("/srv/site/bin/run", "0755 80 10"),
        ("/srv/site/link", "0777 80 10"),
        ("/srv/site/index", "0755 80 10"),
        ("/root", "1777 0 0"),
        ("/opt/x/bin", "0711 0 0"),
        ("/opt/x/bin/run", "0640 0 0"),
        ("/usr/lib/y/run", "0755 0 0"),
        ("/etc/motd", "4755 80 10"),
    ] {
        assert_eq!(meta(&tree, at), expected, "{at}");
    }
    assert_eq!(text_at(&tree, "/etc/motd"), "hi\n");
    assert_eq!(text_at(&tree, "/srv/site/index"), "site/bin/run");
    assert!(
        matches!(&tree.get(&path("/srv/site/link")).unwrap().kind, Kind::Symlink(target) if target == "index")
    );
    let names = &changed["files"];
    assert!(
        names.contains(&path("/root")) && names.contains(&path("/usr/lib/y/run")),
        "{names:?}"
    );
    // The name of an image that is there already counts all of it.
    let digest = |os: &Os| {
        let mut key = keel_artefact::Fingerprint::new("test");
        Added::read(os).unwrap().add_to(&mut key);
        key.finish()
    };
    let first = digest(&os);
    assert_eq!(first, digest(&os));
    fs_err::write(source.join("site/index"), "other").unwrap();
    assert_ne!(first, digest(&os));
    // What Keel makes itself is not written over by what a folder brings.
    write("site/bin/passwd", 0o600);
    let os = Os {
        additional_dirs: vec![dir("/etc", Some("site/bin"))],
        ..Os::default()
    };
    let refused = format!("{:?}", Added::read(&os).err().unwrap());
    assert!(refused.contains("would land in `/etc/passwd`"), "{refused}");
}
