//! Configurations of other builders become definitions.

use std::path::Path;

use keel_config::{
    Import, import,
    import::{FormOf, Packages},
};

fn imported(text: &str) -> Import {
    imported_as(text, &Packages::default())
}

fn imported_as(text: &str, packages: &Packages) -> Import {
    let beside = |name: &str| match name {
        "lists/a.json" => Ok("{\"packages\": [\"bash\", \"zlib=1.3\"]}".to_owned()),
        "lists/bad.json" => Ok("{".to_owned()),
        _ => Err("no such file".to_owned()),
    };
    import(Path::new("image.yaml"), text, &beside, packages).unwrap()
}

fn left(import: &Import) -> Vec<String> {
    let line = |left: &import::Left| format!("{}:{} {}", left.at.line, left.at.column, left.key);
    import.left.iter().map(line).collect()
}

const CUSTOMIZER: &str = r#"input:
  image:
    path: base.vhdx
storage:
  bootType: efi
  disks:
  - partitionTableType: gpt
    maxSize: 4G
    partitions:
    - { id: esp, type: esp, size: 8M }
    - { id: rootfs, size: grow }
    - { id: var, size: 1G }
    - { id: data, label: web-data, type: srv, size: 2G }
    - { id: mem, size: 512M }
    - { id: a-name-that-is-longer-than-36-letters, size: 1G }
  filesystems:
  - { deviceId: esp, type: fat32, mountPoint: { path: /boot/efi, options: umask=0077 } }
  - { deviceId: rootfs, type: ext4, mountPoint: { path: /, options: noatime } }
  - { deviceId: data, type: xfs, mountPoint: { path: /srv/web, options: "nodev,nosuid", idType: uuid } }
  - { deviceId: mem, type: linux-swap }
  - { deviceId: a-name-that-is-longer-than-36-letters, type: ext4, mountPoint: /x }
  - { deviceId: nobody, type: ext4 }
os:
  hostname: web
  kernelCommandLine:
    extraCommandLine:
    - console=tty0 console=ttyS0
    - a="b c"
  packages:
    installLists: [lists/a.json, lists/none.json, lists/bad.json, ../x.json]
    install: [nginx, "a b/c"]
    remove: [nano]
  services:
    enable: [sshd]
    disable: ["a b"]
  groups:
  - { name: ops, gid: 2000 }
  users:
  - name: alice
    password: { type: plain-text, value: hunter2 }
    secondaryGroups: [ops]
    startupCommand: /bin/bash
  - { name: bob, uid: 1000, passwordExpiresDays: 3, password: { type: locked } }
  - name: root
  modules:
  - { name: vfio, loadMode: always, options: { unsafe: Y } }
  - { name: x, loadMode: inherit }
  additionalFiles:
  - { source: files/a, destination: /etc/a, permissions: "664" }
  - { content: "hi\n", destination: b }
  additionalDirs:
  - { source: d, destination: /srv/d, newDirPermissions: 755 }
  uki: { mode: create }
  surprise: 1
scripts:
  postCustomization:
  - content: rm -rf /tmp/x
  - path: scripts/a.sh
    interpreter: python3
    arguments: [a, a, "b c"]
    environmentVariables: { A: "1" }
  finalizeCustomization:
  - { path: other/a.sh, surprise: 1 }
  - { path: a, content: b }
  - { name: "a/b", content: c }
output:
  image: { path: o.raw, format: raw }
  artifacts: { items: [ukis] }
"#;

#[test]
fn image_customizer() {
    let import = imported(CUSTOMIZER);
    assert_eq!(import.form, FormOf::ImageCustomizer);
    let table: toml::Table = import.definition.parse().unwrap();
    let expected: toml::Table = r#"
        packages = ["bash", "zlib", "nginx"]
        formats = ["raw"]
        [disk]
        size = "4G"
        esp-size = "8M"
        root-fs = "ext4"
        root-mount-options = "noatime"
        boot = "uki"
        partitions = [
            { label = "web-data", type = "srv", size = "2G", filesystem = "ext4", mount-point = "/srv/web", mount-options = "nodev,nosuid" },
            { label = "mem", size = "512M", filesystem = "swap" },
        ]
        [os]
        hostname = "web"
        kernel-command-line = ["console=tty0", "console=ttyS0", "a=\"b c\""]
        services = { enable = ["sshd"] }
        groups = [{ name = "ops", gid = 2000 }]
        users = [
            { name = "alice", secondary-groups = ["ops"], startup-command = "/bin/bash", uid = 1001 },
            { name = "bob", uid = 1000, password = "locked" },
            { name = "root" },
        ]
        modules = [{ name = "vfio", load-mode = "always", options = { unsafe = "Y" } }, { name = "x" }]
        additional-files = [{ source = "files/a", destination = "/etc/a", permissions = "664" }]
        additional-dirs = [{ source = "d", destination = "/srv/d", new-dir-permissions = "755" }]
        [[scripts.post-customization]]
        name = "post-customization"
        content = "rm -rf /tmp/x"
        [[scripts.post-customization]]
        name = "a.sh"
        path = "scripts/a.sh"
        interpreter = "python3"
        arguments = ["a", "a", "b c"]
        environment-variables = { A = "1" }
        [[scripts.finalize-customization]]
        name = "a.sh 2"
        path = "other/a.sh"
        [[scripts.finalize-customization]]
        name = "finalize-customization"
        content = "c"
    "#
    .parse()
    .unwrap();
    assert_eq!(table, expected, "{}", import.definition);
    let left = left(&import);
    for expected in [
        "2:3 input",
        "12:7 storage.disks[0].partitions[2]",
        "15:13 storage.disks[0].partitions[5].id",
        "15:7 storage.disks[0].partitions[5]",
        "19:29 storage.filesystems[2].type",
        "19:97 storage.filesystems[2].mountPoint.idType",
        "17:47 storage.filesystems[0].mountPoint",
        "22:5 storage.filesystems[5]",
        "1:23 packages[1]",
        "30:34 os.packages.installLists[1]",
        "31:22 os.packages.install[1]",
        "32:13 os.packages.remove",
        "35:15 os.services.disable[0]",
        "40:15 os.users[0].password",
        "39:5 os.users[0].uid",
        "43:50 os.users[1].passwordExpiresDays",
        "50:37 os.additionalFiles[1].destination",
        "54:13 os.surprise",
        "63:35 scripts.finalizeCustomization[0].surprise",
        "64:5 scripts.finalizeCustomization[1]",
        "65:13 scripts.finalizeCustomization[2].name",
        "67:18 output.image.path",
        "68:14 output.artifacts",
    ] {
        assert!(left.contains(&expected.to_owned()), "{expected} in {left:#?}");
    }
    assert!(!format!("{import:?}").contains("hunter2"));
    // Every value is in one list or the other, and the file says what it lacks.
    assert!(import.annotated().contains(
        "# image.yaml:64:5: scripts.finalizeCustomization[1]: a script has either a path or a content"
    ));
}

#[test]
fn sizes_come_of_starts_and_ends() {
    let import = imported(
        "storage:
  disks:
  - partitions:
    - { id: esp, type: esp, start: 1M, end: 9M }
    - { id: rootfs, end: 2057M }
    - { id: var, label: var, start: 3G, size: 1G, end: 4G }
    - { id: odd, label: odd, start: 4G, end: 4195328K }
    - { id: bad, label: bad, start: 4195328K, end: 1M }
    - { id: what, label: what, start: x, end: 6G }
    - { id: rest, label: rest, start: 7G }
  filesystems:
  - { deviceId: esp, type: ext4, mountPoint: { path: /boot/efi, options: umask=0077 } }
  - { deviceId: rootfs, type: ext4, mountPoint: / }
  - { deviceId: var, type: ext4, mountPoint: /var }
  - { deviceId: odd, type: ext4, mountPoint: /odd }
  - { deviceId: rest, type: ext4, mountPoint: /rest }
",
    );
    let table: toml::Table = import.definition.parse().unwrap();
    let expected: toml::Table = r#"
        formats = ["raw"]
        [disk]
        esp-size = "8M"
        root-size = "2048M"
        root-fs = "ext4"
        partitions = [
            { label = "var", size = "1G", filesystem = "ext4", mount-point = "/var" },
            { label = "odd", size = "1M", filesystem = "ext4", mount-point = "/odd" },
            { label = "rest", size = "grow", filesystem = "ext4", mount-point = "/rest" },
        ]
    "#
    .parse()
    .unwrap();
    assert_eq!(table, expected, "{}", import.definition);
    let left = left(&import);
    let keys: Vec<&str> = left
        .iter()
        .filter_map(|line| line.split_once(' '))
        .map(|(_, key)| key)
        .filter(|key| !key.is_empty())
        .collect();
    let expected = [
        "storage.disks[0].partitions[2].start",
        "storage.disks[0].partitions[4].end",
        "storage.disks[0].partitions[5].start",
        "storage.disks[0].partitions[5].end",
        "storage.filesystems[0].type",
        "storage.filesystems[0].mountPoint",
        "storage.disks[0].partitions[4]",
        "storage.disks[0].partitions[5]",
    ];
    assert_eq!(keys, expected, "{left:#?}");
}

#[test]
fn a_root_is_what_is_mounted_as_the_root() {
    let import = imported(
        "storage:\n  disks:\n  - partitions:\n    - { id: esp, type: esp }\n    - { id: os, label: my-root, size: 2G }\n    \
         - { id: rest, size: grow }\n  filesystems:\n  - { deviceId: os, type: ext4, mountPoint: / }\n  \
         - { deviceId: rest, type: ext4, mountPoint: /home }\n",
    );
    let table: toml::Table = import.definition.parse().unwrap();
    let expected: toml::Table = r#"
        formats = ["raw"]
        [disk]
        root-label = "my-root"
        root-size = "2G"
        root-fs = "ext4"
        partitions = [{ label = "rest", size = "grow", filesystem = "ext4", mount-point = "/home" }]
    "#
    .parse()
    .unwrap();
    assert_eq!(table, expected, "{}", import.definition);
}

#[test]
fn the_toolkit() {
    let text = "{\n\t\"Disks\": [{\"PartitionTableType\": \"gpt\", \"MaxSize\": 4096, \"Artifacts\": [{\"Name\": \"core\", \"Type\": \"qcow2\"}],\n\
         \t\"Partitions\": [{\"ID\": \"boot\", \"Flags\": [\"esp\", \"boot\"], \"Start\": 1, \"End\": 9, \"FsType\": \"fat32\"},\n\
         \t{\"ID\": \"rootfs\", \"Start\": 9, \"End\": 2009, \"FsType\": \"ext4\"}, {\"ID\": \"var\", \"Start\": 2009, \"End\": 0, \"FsType\": \"xfs\"}, {\"ID\": \"odd\", \"FsType\": \"vfat\"}]}],\n\
         \t\"SystemConfigs\": [{\"Name\": \"Standard\", \"BootType\": \"efi\", \"PackageLists\": [\"lists/a.json\"], \"Packages\": [\"vim\"],\n\
         \t\"KernelOptions\": {\"default\": \"kernel\"}, \"Hostname\": \"box\", \"DisableRpmDocs\": true, \"OverrideRpmLocales\": \"de:en_US\",\n\
         \t\"PartitionSettings\": [{\"ID\": \"boot\", \"MountPoint\": \"/boot/efi\", \"MountOptions\": \"umask=0077\"}, {\"ID\": \"rootfs\", \"MountPoint\": \"/\"}, {\"ID\": \"var\", \"MountPoint\": \"/var\", \"MountOptions\": \"nodev\"}, {\"ID\": \"none\", \"MountPoint\": \"/none\"}],\n\
         \t\"KernelCommandLine\": {\"ExtraCommandLine\": \"quiet debug\", \"SELinux\": \"enforcing\"},\n\
         \t\"AdditionalFiles\": {\"a\": \"/etc/a\", \"b\": [{\"Path\": \"/etc/b\", \"Permissions\": \"0600\"}, \"/etc/c\"]},\n\
         \t\"PreInstallScripts\": [{\"Path\": \"p.sh\"}],\n\
         \t\"PostInstallScripts\": [{\"Path\": \"d/x.sh\", \"Args\": \"-a  b\"}, {\"Path\": \"y.sh\", \"Args\": \"'a b'\"}],\n\
         \t\"FinalizeImageScripts\": [{\"Path\": \"x.sh\"}],\n\
         \t\"Users\": [{\"Name\": \"u\", \"UID\": \"1001\", \"Password\": \"p4ss\", \"SSHPubKeyPaths\": [\"k.pub\"]}]}, {\"Name\": \"Other\"}]\n}\n";
    let import = imported(text);
    assert_eq!(import.form, FormOf::Toolkit);
    let table: toml::Table = import.definition.parse().unwrap();
    let expected: toml::Table = r#"
        packages = ["bash", "zlib", "vim", "selinux-policy"]
        formats = ["qcow2"]
        documentation = false
        languages = ["de", "en_US"]
        [disk]
        size = "4096M"
        esp-size = "8M"
        root-fs = "ext4"
        root-size = "2000M"
        kernel = "kernel"
        partitions = [{ label = "var", size = "grow", filesystem = "ext4", mount-point = "/var", mount-options = "nodev" }]
        [os]
        hostname = "box"
        kernel-command-line = ["quiet", "debug"]
        selinux = { mode = "enforcing" }
        additional-files = [
            { source = "a", destination = "/etc/a" },
            { source = "b", destination = "/etc/b", permissions = "0600" },
            { source = "b", destination = "/etc/c" },
        ]
        users = [{ name = "u", uid = 1001, ssh-public-key-paths = ["k.pub"] }]
        [scripts]
        post-customization = [{ name = "x.sh", path = "d/x.sh", arguments = ["-a", "b"] }, { name = "y.sh", path = "y.sh" }]
        finalize-customization = [{ name = "x.sh 2", path = "x.sh" }]
    "#
    .parse()
    .unwrap();
    assert_eq!(table, expected, "{}", import.definition);
    let left = left(&import);
    for key in [
        "SystemConfigs[0].PreInstallScripts[0]",
        "SystemConfigs[0].PostInstallScripts[1].Args",
        "SystemConfigs[0].Users[0].Password",
        "SystemConfigs[1]",
        "Disks[0].Partitions[2].FsType",
        "Disks[0].Partitions[3]",
        "SystemConfigs[0].PartitionSettings[3]",
    ] {
        assert!(left.iter().any(|line| line.ends_with(key)), "{key} in {left:#?}");
    }
    assert!(!format!("{import:?}").contains("p4ss"));
}

#[test]
fn what_is_no_image_is_refused_with_its_place() {
    let deep = format!("os: {}", "[".repeat(100));
    let many = format!("os: [{}]", "1,".repeat(250_000));
    for (text, expected) in [
        ("a: [b", "not valid YAML or JSON"),
        ("x: 1", "neither a configuration of Image Customizer"),
        ("[]", "neither a configuration of Image Customizer"),
        ("os: 1\nos: 2", "the key `os` is there twice"),
        ("os: &a [*a]", "an alias"),
        ("os: {}\n---\nos: {}", "more than one document"),
        ("{[a]: b}", "a key must be a text"),
        (&deep, "levels"),
        (&many, "more than 200000 values"),
    ] {
        let told = import(
            Path::new("i.yaml"),
            text,
            &|_| Err(String::new()),
            &Packages::default(),
        )
        .unwrap_err()
        .to_string();
        assert!(told.contains(expected) && told.contains("i.yaml:"), "{told}");
    }
}

#[test]
fn no_input_makes_it_panic() {
    for text in [
        CUSTOMIZER,
        "os:\n  users: 1\n  modules: {a: 2}\nstorage: []\n",
        "Disks: 3\nSystemConfigs: [1, [2]]\n",
    ] {
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            let _ = import(
                Path::new("i"),
                &text[..end],
                &|_| Ok(text.to_owned()),
                &Packages::default(),
            );
        }
        for (at, _) in text.char_indices() {
            let mut changed = text.to_owned();
            changed.replace_range(at..at, "{");
            let _ = import(
                Path::new("i"),
                &changed,
                &|_| Err(String::new()),
                &Packages::default(),
            );
        }
    }
}

#[test]
fn packages_get_the_names_that_they_have_here() {
    let name = |name: &str| -> keel_artefact::PackageName { name.parse().unwrap() };
    let mut packages = Packages::default();
    packages
        .map
        .insert("core".to_owned(), vec![name("bash"), name("zlib"), name("curl")]);
    packages.map.insert("shim".to_owned(), Vec::new());
    let text = "os:\n  packages:\n    installLists: [lists/a.json]\n    install: [core, shim, nano=7]\noutput:\n  image:\n    format: qcow2\n";
    let lines = |import: &Import| -> Vec<String> {
        let line = |left: &import::Left| format!("{}: {}", left.key, left.why);
        import.left.iter().map(line).collect()
    };
    let all = imported_as(text, &packages);
    assert!(
        all.definition
            .contains("\"bash\",\n    \"zlib\",\n    \"curl\",\n    \"nano\""),
        "{}",
        all.definition
    );
    assert_eq!(
        lines(&all)[1..],
        [
            "os.packages.install[1]: nothing takes the place of `shim`, says the map of names",
            "os.packages.install[2]: `nano` is carried over without a version: the repository's is taken",
        ]
    );
    packages.known = Some([name("bash"), name("curl")].into());
    let known = imported_as(text, &packages);
    assert!(
        known
            .definition
            .contains("packages = [\n    \"bash\",\n    \"curl\",\n]"),
        "{}",
        known.definition
    );
    assert_eq!(
        lines(&known)[1..],
        [
            "packages[1]: there is no package `zlib` here",
            "os.packages.install[0]: there is no package `zlib` here, which takes the place of `core`",
            "os.packages.install[1]: nothing takes the place of `shim`, says the map of names",
            "os.packages.install[2]: `nano` is carried over without a version: the repository's is taken",
            "os.packages.install[2]: there is no package `nano` here",
        ]
    );
}

#[test]
fn a_live_system_is_carried_over() {
    let packages = "os:\n  packages:\n    install: [bash]\n";
    let import = imported(&format!(
        "output:\n  image:\n    format: iso\niso:\n  kernelCommandLine:\n    extraCommandLine: [quiet, loglevel=3]\n  \
         initramfsType: full-os\n  additionalFiles:\n  - source: a.txt\n    destination: /docs/a.txt\n{packages}"
    ));
    let table: toml::Table = import.definition.parse().unwrap();
    let expected: toml::Table = r#"
        packages = ["bash"]
        formats = ["iso"]
        [live]
        kernel-command-line = ["quiet", "loglevel=3"]
        additional-files = [{ source = "a.txt", destination = "/docs/a.txt" }]
        initrd-packages = ["keel-live"]
    "#
    .parse()
    .unwrap();
    assert_eq!(table, expected, "{}", import.definition);
    let left = left(&import).join("\n");
    assert!(left.contains("iso.initramfsType"), "{left}");
    assert!(
        import.annotated().contains("`keel-live`"),
        "{}",
        import.annotated()
    );

    let import = imported(&format!("output:\n  image:\n    format: pxe-tar\n{packages}"));
    assert!(
        import.definition.contains("formats = [\"pxe\"]"),
        "{}",
        import.definition
    );

    let said = "iso:\n  kernelCommandLine:\n    extraCommandLine: [quiet]\n";
    let import = imported(&format!("output:\n  image:\n    format: qcow2\n{said}{packages}"));
    assert!(!import.definition.contains("live"), "{}", import.definition);
    assert!(
        import.annotated().contains("it names no such format"),
        "{}",
        import.annotated()
    );
}
