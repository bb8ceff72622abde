//! Image configurations of Azure Linux's toolkit (1.0 to 3.0).

use super::{
    Data, Importing, Node, below,
    customizer::{Fields, add_script, hash, placed, push},
    storage::{Role, Storage},
};
use crate::{
    dump::Plain,
    model::{DISK, OS, OS_GROUP, OS_USER, PARTITION, SCRIPT_TABLE},
};

pub(super) fn image(import: &mut Importing<'_>, node: &Node) {
    let mut storage = Storage::default();
    import.each(node, "", |import, key, value, path| {
        match key {
            "Disks" => import.items(value, path, |import, value, path| {
                if path.ends_with("[0]") {
                    disk(import, &mut storage, value, path);
                } else {
                    import.leave(value, path, "an image has one disk");
                }
            }),
            "SystemConfigs" => import.items(value, path, |import, value, path| {
                if path.ends_with("[0]") {
                    system(import, value, path);
                } else {
                    import.leave(value, path, "a definition is one image: this one is another");
                }
            }),
            _ => return false,
        }
        true
    });
    // Disks may stand after what is mounted.
    let systems = node.get("SystemConfigs");
    let system = systems.and_then(|systems| match &systems.data {
        Data::List(items) => Some((items.first()?, "SystemConfigs[0]")),
        _ => Some((systems, "SystemConfigs")),
    });
    if let Some((system, path)) = system
        && let Some(settings) = system.get("PartitionSettings")
    {
        let path = below(path, "PartitionSettings");
        import.items(settings, &path, |import, node, path| {
            mount(import, &mut storage, node, path);
        });
    }
    storage.done(import);
    import.complete(node);
}

fn disk(import: &mut Importing<'_>, storage: &mut Storage, node: &Node, path: &str) {
    import.each(node, path, |import, key, value, path| {
        match key {
            "PartitionTableType" if matches!(value.text(), Some("gpt" | "")) => import.carry(value, path),
            "MaxSize" if value.text() == Some("0") => import.carry(value, path),
            "MaxSize" => import.size(value, path, "size", true),
            "Artifacts" => import.items(value, path, artifact),
            "Partitions" => import.items(value, path, |import, node, path| {
                partition(import, storage, node, path);
            }),
            _ => return false,
        }
        true
    });
}

fn artifact(import: &mut Importing<'_>, node: &Node, path: &str) {
    let kind = node.get("Type").filter(|kind| kind.text() != Some(""));
    import.each(node, path, |import, key, value, path| {
        match key {
            "Name" => import.leave(value, path, "the files of an image are called as the image"),
            "Type" if value.text() == Some("") => {}
            "Type" => import.format(value, path),
            // A tree packed without a disk is what a container is made of.
            "Compression" if kind.is_none() && matches!(value.text(), Some("tar.gz" | "tar.xz")) => {
                import.carry(value, path);
                import.add(&[], "formats", vec![Plain::Text("oci".to_owned())]);
            }
            "Compression" => import.leave(
                value,
                path,
                "files leave as they are: compress them where you keep them",
            ),
            _ => return false,
        }
        true
    });
}

fn partition(import: &mut Importing<'_>, storage: &mut Storage, node: &Node, path: &str) {
    let flags = node.get("Flags").map(|flags| match &flags.data {
        Data::List(items) => items.iter().filter_map(Node::text).collect(),
        _ => Vec::new(),
    });
    let has = |flag: &str| {
        flags
            .as_ref()
            .is_some_and(|flags: &Vec<&str>| flags.contains(&flag))
    };
    let text = |key| node.get(key).and_then(Node::text);
    let id = text("ID").unwrap_or_default();
    let number = |key| text(key)?.parse::<u64>().ok();
    // Without an end it reaches to that of the disk.
    let size = match (number("Start"), number("End")) {
        (Some(start), Some(end)) => end.checked_sub(start).filter(|size| *size > 0),
        _ => None,
    };
    let size = size.map(|size| Plain::Text(format!("{size}M")));
    if has("esp") {
        import.carry(node, path);
        import.set(&["disk"], "esp-size", size);
        return storage.add(import, id, Role::Esp, node, path);
    }
    if has("grub") || has("bios_grub") {
        return import.leave(node, path, "a disk of Keel starts by UEFI");
    }
    let is_root = matches!(id, "rootfs" | "root");
    let (mut fields, mut kind) = (Fields::new(), None);
    import.each(node, path, |import, key, value, path| {
        match key {
            "ID" if is_root => import.carry(value, path),
            "ID" => push(
                &mut fields,
                "label",
                import.text(value, path, &PARTITION, "label"),
            ),
            "FsType" => kind = import.file_system(value, path),
            "Start" | "End" | "Flags" => import.carry(value, path),
            "Name" if matches!(value.text(), Some("" | "rootfs")) || value.text() == Some(id) => {
                import.carry(value, path);
            }
            "Type" if is_root || value.text() == Some("linux") => import.carry(value, path),
            "Type" => push(&mut fields, "type", import.text(value, path, &PARTITION, "type")),
            _ => return false,
        }
        true
    });
    if is_root {
        import.set(&["disk"], "root-size", size);
        storage.add(import, id, Role::Root, node, path);
    } else {
        let size = size.unwrap_or_else(|| Plain::Text("grow".to_owned()));
        push(&mut fields, "size", Some(size));
        storage.add(import, id, Role::Data(fields), node, path);
    }
    if let Some(part) = storage.parts.last_mut() {
        part.has(import, kind, None, None);
    }
}

/// Languages, as `%_install_langs` of rpm has them: with colons between, or a word that is none.
fn locales(import: &mut Importing<'_>, node: &Node, path: &str) {
    import.carry(node, path);
    let words = node.text().unwrap_or_default().split(':');
    let languages = words.filter(|word| !matches!(*word, "" | "NONE"));
    let languages = languages.map(|word| Plain::Text(word.to_owned())).collect();
    import.set(&[], "languages", Some(Plain::List(languages)));
}

fn system(import: &mut Importing<'_>, node: &Node, path: &str) {
    import.each(node, path, |import, key, value, path| {
        match key {
            "Name" => import.leave(value, path, "the name of an image is its key in `[images.NAME]`"),
            "IsDefault" => import.leave(value, path, "there is nothing to choose from"),
            "BootType" if matches!(value.text(), Some("efi" | "none" | "")) => import.carry(value, path),
            "BootType" => import.leave(value, path, "a disk of Keel starts by UEFI"),
            "Hostname" => {
                let name = import.text(value, path, &OS, "hostname");
                import.set(&["os"], "hostname", name);
            }
            "PackageLists" => import.package_lists(value, path),
            "Packages" => import.packages(value, path),
            "KernelOptions" => kernels(import, value, path),
            "KernelCommandLine" => command_line(import, value, path),
            "AdditionalFiles" => import.each(value, path, |import, source, value, path| {
                import.items(value, path, |import, value, path| {
                    placed(import, "os", source, value, path)
                });
                true
            }),
            "Groups" => import.items(value, path, group),
            "Users" => import.items(value, path, user),
            "PreInstallScripts" => import.items(value, path, |import, value, path| {
                import.leave(value, path, "no script runs before packages are there");
            }),
            "PostInstallScripts" => import.items(value, path, |import, value, path| {
                script(import, "post-customization", value, path);
            }),
            "FinalizeImageScripts" => import.items(value, path, |import, value, path| {
                script(import, "finalize-customization", value, path);
            }),
            // After all disks are known.
            "PartitionSettings" => {}
            "DisableRpmDocs" if value.text() == Some("true") => {
                import.carry(value, path);
                import.set(&[], "documentation", Some(Plain::Flag(false)));
            }
            "OverrideRpmLocales" if !matches!(value.text(), None | Some("")) => locales(import, value, path),
            _ if matches!(value.text(), Some("false" | "")) => import.carry(value, path),
            "PackageRepos" => import.leave(
                value,
                path,
                "packages of an image come from the tree's repository",
            ),
            "RemoveRpmDb" => import.leave(
                value,
                path,
                "an image tells what is in it: scanners read rpm's database",
            ),
            _ => return false,
        }
        true
    });
}

/// Its arguments are one text, which a shell would take apart.
fn script(import: &mut Importing<'_>, list: &str, node: &Node, path: &str) {
    let mut fields = Fields::new();
    import.each(node, path, |import, key, value, path| {
        match key {
            "Path" => push(
                &mut fields,
                "path",
                import.text(value, path, &SCRIPT_TABLE, "path"),
            ),
            "Args" => match value.text() {
                Some(text) if !text.contains(['"', '\'', '\\', '$', '`', '*', '?']) => {
                    import.carry(value, path);
                    let words = text.split_whitespace();
                    let words: Vec<Plain> = words.map(|word| Plain::Text(word.to_owned())).collect();
                    if !words.is_empty() {
                        fields.push(("arguments".to_owned(), Plain::List(words)));
                    }
                }
                _ => import.leave(
                    value,
                    path,
                    "a shell would take these words apart: say `arguments = […]`",
                ),
            },
            _ => return false,
        }
        true
    });
    add_script(import, list, node, path, fields);
}

/// The first kernel boots.
fn command_line(import: &mut Importing<'_>, node: &Node, path: &str) {
    let policy = node.get("SELinuxPolicy").and_then(Node::text);
    let policy = policy.filter(|name| !name.is_empty());
    import.each(node, path, |import, key, value, path| {
        match key {
            "ExtraCommandLine" => import.command_line(value, path, "os"),
            _ if matches!(value.text(), Some("" | "false" | "disabled")) => import.carry(value, path),
            "EnableFIPS" => import.leave(
                value,
                path,
                "say `fips=1` in `kernel-command-line`, with packages that are made for it",
            ),
            "SELinux" => {
                if import.selinux(value, path) {
                    // The toolkit adds this one where no other is named.
                    import.package(policy.unwrap_or("selinux-policy"), value, path);
                }
            }
            "SELinuxPolicy" => import.carry(value, path),
            _ => return false,
        }
        true
    });
}

fn kernels(import: &mut Importing<'_>, node: &Node, path: &str) {
    import.each(node, path, |import, key, value, path| {
        if key == "default" {
            let kernel = import.text(value, path, &DISK, "kernel");
            import.set(&["disk"], "kernel", kernel);
        }
        key == "default"
    });
}

fn mount(import: &mut Importing<'_>, storage: &mut Storage, node: &Node, path: &str) {
    let id = node.get("ID").and_then(Node::text).unwrap_or_default();
    let Some(part) = storage.parts.iter_mut().find(|part| part.id == id) else {
        return import.leave(
            node,
            path,
            format!("the disk has no partition `{id}` that is carried over"),
        );
    };
    let (mut place, mut options) = (None, None);
    let is_esp = part.is_esp();
    import.each(node, path, |import, key, value, path| {
        match key {
            "MountPoint" if !is_esp && value.text() != Some("") => {
                place = import.text(value, path, &PARTITION, "mount-point");
            }
            "MountOptions" if !is_esp && value.text() != Some("") => {
                options = import.text(value, path, &PARTITION, "mount-options");
            }
            "ID" | "MountIdentifier" => import.carry(value, path),
            _ if is_esp || matches!(value.text(), Some("" | "false")) => import.carry(value, path),
            _ => return false,
        }
        true
    });
    part.has(import, None, place, options);
}

fn group(import: &mut Importing<'_>, node: &Node, path: &str) {
    let mut fields = Vec::new();
    import.each(node, path, |import, key, value, path| {
        let field = match key {
            "Name" => ("name", import.text(value, path, &OS_GROUP, "name")),
            "GID" => ("gid", import.number(value, path)),
            _ => return false,
        };
        fields.extend(field.1.map(|value| (field.0.to_owned(), value)));
        true
    });
    import.add(&["os"], "groups", vec![Plain::Table(fields)]);
}

fn user(import: &mut Importing<'_>, node: &Node, path: &str) {
    let mut fields: Vec<(String, Plain)> = Vec::new();
    let is_hashed = node.get("PasswordHashed").is_some_and(Node::is_true);
    import.each(node, path, |import, key, value, path| {
        let list = |values: Vec<Plain>| (!values.is_empty()).then_some(Plain::List(values));
        let (key, value) = match key {
            "Name" => ("name", import.text(value, path, &OS_USER, "name")),
            "UID" if value.text() == Some("") => return true,
            "UID" => ("uid", import.number(value, path)),
            "PasswordHashed" => {
                import.carry(value, path);
                return true;
            }
            "Password" if is_hashed => {
                let text = value.text().unwrap_or_default();
                ("password", hash(import, value, path, text))
            }
            "Password" => {
                import.leave(
                    value,
                    path,
                    "a password is given as a hash: `openssl passwd -6` makes one",
                );
                return true;
            }
            "SSHPubKeyPaths" => {
                let paths = import.texts(value, path, &OS_USER, "ssh-public-key-paths");
                ("ssh-public-key-paths", list(paths))
            }
            "SSHPubKeys" => (
                "ssh-public-keys",
                list(import.texts(value, path, &OS_USER, "ssh-public-keys")),
            ),
            "PrimaryGroup" => (
                "primary-group",
                import.text(value, path, &OS_USER, "primary-group"),
            ),
            "SecondaryGroups" => {
                let groups = import.texts(value, path, &OS_USER, "secondary-groups");
                ("secondary-groups", list(groups))
            }
            "StartupCommand" => (
                "startup-command",
                import.text(value, path, &OS_USER, "startup-command"),
            ),
            "HomeDirectory" => (
                "home-directory",
                import.text(value, path, &OS_USER, "home-directory"),
            ),
            _ => return false,
        };
        fields.extend(value.map(|value| (key.to_owned(), value)));
        true
    });
    import.needs_number(node, path, &fields);
    if fields.iter().any(|(key, _)| key == "name") {
        import.add(&["os"], "users", vec![Plain::Table(fields)]);
    }
}
