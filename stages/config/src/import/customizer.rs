//! Image Customizer's configuration.

use super::{Importing, Node, below, storage};
use crate::{
    dump::Plain,
    model::{OS, OS_DIR, OS_FILE, OS_GROUP, OS_MODULE, OS_SERVICES, OS_USER, SCRIPT_TABLE},
};

/// The keys that such a configuration has at the top.
pub(super) const TOP: [&str; 10] = [
    "input",
    "storage",
    "iso",
    "pxe",
    "os",
    "scripts",
    "previewFeatures",
    "output",
    "baseConfigs",
    "azureLinuxImage",
];

pub(super) fn image(import: &mut Importing<'_>, node: &Node) {
    import.each(node, "", |import, key, value, path| {
        match key {
            "os" => os(import, value, path),
            "storage" => storage::storage(import, value, path),
            "output" => output(import, value, path),
            "input" => import.leave(
                value,
                path,
                "an image is made of packages: say `inherits` where its base is an image of the tree",
            ),
            "baseConfigs" => import.leave(value, path, "import it, too, and say `inherits`"),
            "scripts" => scripts(import, value, path),
            "iso" | "pxe" => live(import, value, path),
            "previewFeatures" => import.leave(value, path, "nothing is to be switched on"),
            _ => return false,
        }
        true
    });
    import.complete(node);
}

/// What a live system has besides: an ISO and PXE are one table here.
fn live(import: &mut Importing<'_>, node: &Node, path: &str) {
    import.each(node, path, |import, key, value, path| {
        match key {
            "kernelCommandLine" => import.each(value, path, |import, key, value, path| {
                if key == "extraCommandLine" {
                    import.command_line(value, path, "live");
                }
                key == "extraCommandLine"
            }),
            "additionalFiles" => additional_files(import, "live", value, path),
            "initramfsType" => import.leave(
                value,
                path,
                "the root is always in a file of its own, which the initial RAM disk mounts",
            ),
            "bootstrapBaseUrl" | "bootstrapFileUrl" => import.leave(
                value,
                path,
                "the root is in the initial RAM disk: nothing else is fetched",
            ),
            _ => return false,
        }
        true
    });
}

/// Scripts of the same two times; a name is made where none is.
fn scripts(import: &mut Importing<'_>, node: &Node, path: &str) {
    import.each(node, path, |import, key, value, path| {
        let list = match key {
            "postCustomization" => "post-customization",
            "finalizeCustomization" => "finalize-customization",
            _ => return false,
        };
        import.items(value, path, |import, node, path| script(import, list, node, path));
        true
    });
}

fn script(import: &mut Importing<'_>, list: &str, node: &Node, path: &str) {
    let mut fields = Fields::new();
    import.each(node, path, |import, key, value, path| {
        let key = match key {
            "name" => "name",
            "path" => "path",
            "content" => "content",
            "interpreter" => "interpreter",
            "arguments" => {
                let texts = import.all_texts(value, path);
                push_list(&mut fields, "arguments", texts);
                return true;
            }
            "environmentVariables" => {
                variables(import, &mut fields, value, path);
                return true;
            }
            _ => return false,
        };
        push(&mut fields, key, import.text(value, path, &SCRIPT_TABLE, key));
        true
    });
    add_script(import, list, node, path, fields);
}

fn variables(import: &mut Importing<'_>, fields: &mut Fields, node: &Node, path: &str) {
    let mut variables = Fields::new();
    import.each(node, path, |import, key, value, path| {
        let text = import.text(value, path, &SCRIPT_TABLE, "environment-variables");
        push(&mut variables, key, text);
        true
    });
    if !variables.is_empty() {
        fields.push(("environment-variables".to_owned(), Plain::Table(variables)));
    }
}

/// Adds a script to a list, unless there is nothing to run. Its name, and that of its file otherwise, is what no other script has.
pub(super) fn add_script(
    import: &mut Importing<'_>,
    list: &str,
    node: &Node,
    path: &str,
    mut fields: Fields,
) {
    let value = |key: &str| {
        let found = fields.iter().find(|(there, _)| there == key);
        found.and_then(|(_, value)| match value {
            Plain::Text(text) => Some(text.clone()),
            _ => None,
        })
    };
    if value("path").is_some() == value("content").is_some() {
        import.leave(node, path, "a script has either a path or a content");
        return;
    }
    let file = value("path").and_then(|path| Some(path.rsplit('/').next()?.to_owned()));
    let wanted = value("name").or(file).unwrap_or_else(|| list.to_owned());
    let is_right = import.is_right(&SCRIPT_TABLE, "name", &wanted);
    let wanted = if is_right { wanted } else { list.to_owned() };
    fields.retain(|(key, _)| key != "name");
    let name = import.free_script_name(&wanted);
    fields.insert(0, ("name".to_owned(), Plain::Text(name)));
    import.add(&["scripts"], list, vec![Plain::Table(fields)]);
}

fn output(import: &mut Importing<'_>, node: &Node, path: &str) {
    import.each(node, path, |import, key, value, path| {
        if key == "image" {
            import.each(value, path, |import, key, value, path| {
                match key {
                    "format" => import.format(value, path),
                    "path" => import.leave(value, path, "an image lies in `out/images/NAME`"),
                    _ => return false,
                }
                true
            });
        }
        key == "image"
    });
}

fn os(import: &mut Importing<'_>, node: &Node, path: &str) {
    import.each(node, path, |import, key, value, path| {
        match key {
            "hostname" => {
                let name = import.text(value, path, &OS, "hostname");
                import.set(&["os"], "hostname", name);
            }
            "kernelCommandLine" => import.each(value, path, |import, key, value, path| {
                if key == "extraCommandLine" {
                    import.command_line(value, path, "os");
                }
                key == "extraCommandLine"
            }),
            "packages" => packages(import, value, path),
            "services" => import.each(value, path, |import, key, value, path| {
                let key = match key {
                    "enable" => "enable",
                    "disable" => "disable",
                    _ => return false,
                };
                let units = import.texts(value, path, &OS_SERVICES, key);
                import.add(&["os", "services"], key, units);
                true
            }),
            "groups" => import.items(value, path, group),
            "users" => import.items(value, path, user),
            "modules" => import.items(value, path, module),
            "additionalFiles" => additional_files(import, "os", value, path),
            "additionalDirs" => import.items(value, path, dir),
            "uki" if value.get("mode").and_then(Node::text) == Some("create") => {
                import.carry(value, path);
                import.set(&["disk"], "boot", Some(Plain::Text("uki".to_owned())));
            }
            "bootloader" => import.leave(value, path, "the boot loader is always made anew"),
            "imageHistory" => import.leave(value, path, "`manifest.json` tells how an image was made"),
            "selinux" => import.each(value, path, |import, key, value, path| {
                if key == "mode" {
                    import.selinux(value, path);
                }
                key == "mode"
            }),
            _ => return false,
        }
        true
    });
}

fn packages(import: &mut Importing<'_>, node: &Node, path: &str) {
    import.each(node, path, |import, key, value, path| {
        match key {
            "install" => import.packages(value, path),
            "installLists" => import.package_lists(value, path),
            "remove" | "removeLists" => {
                let why = "what is not named is not installed: `remove-packages` takes away what an image inherits, `exclude` forbids it";
                import.leave(value, path, why);
            }
            "update" | "updateLists" | "updateExistingPackages" => {
                import.leave(value, path, "an image is made of the packages that the repository has now");
            }
            "snapshotTime" => import.leave(value, path, "`keel.lock` says which packages there are"),
            _ => return false,
        }
        true
    });
}

/// The entries of a table of the definition that are carried over.
pub(super) type Fields = Vec<(String, Plain)>;

pub(super) fn push(fields: &mut Fields, key: &str, value: Option<Plain>) {
    fields.extend(value.map(|value| (key.to_owned(), value)));
}

fn push_list(fields: &mut Fields, key: &str, values: Vec<Plain>) {
    if !values.is_empty() {
        fields.push((key.to_owned(), Plain::List(values)));
    }
}

/// Adds a table to an array, unless what tells it from others is missing.
fn add_table(import: &mut Importing<'_>, table: &str, array: &str, name: &str, fields: Fields) {
    if fields.iter().any(|(key, _)| key == name) {
        import.add(&[table], array, vec![Plain::Table(fields)]);
    }
}

fn group(import: &mut Importing<'_>, node: &Node, path: &str) {
    let mut fields = Fields::new();
    import.each(node, path, |import, key, value, path| {
        match key {
            "name" => push(&mut fields, "name", import.text(value, path, &OS_GROUP, "name")),
            "gid" => push(&mut fields, "gid", import.number(value, path)),
            _ => return false,
        }
        true
    });
    add_table(import, "os", "groups", "name", fields);
}

fn user(import: &mut Importing<'_>, node: &Node, path: &str) {
    let mut fields = Fields::new();
    import.each(node, path, |import, key, value, path| {
        let key = match key {
            "uid" => {
                push(&mut fields, "uid", import.number(value, path));
                return true;
            }
            "password" => {
                push(&mut fields, "password", password(import, value, path));
                return true;
            }
            "sshPublicKeys" => "ssh-public-keys",
            "sshPublicKeyPaths" => "ssh-public-key-paths",
            "secondaryGroups" => "secondary-groups",
            "name" => "name",
            "primaryGroup" => "primary-group",
            "startupCommand" => "startup-command",
            "homeDirectory" => "home-directory",
            _ => return false,
        };
        if matches!(
            key,
            "ssh-public-keys" | "ssh-public-key-paths" | "secondary-groups"
        ) {
            push_list(&mut fields, key, import.texts(value, path, &OS_USER, key));
        } else {
            push(&mut fields, key, import.text(value, path, &OS_USER, key));
        }
        true
    });
    import.needs_number(node, path, &fields);
    add_table(import, "os", "users", "name", fields);
}

fn password(import: &mut Importing<'_>, node: &Node, path: &str) -> Option<Plain> {
    let kind = node.get("type").and_then(Node::text).unwrap_or("locked");
    let value = node.get("value").and_then(Node::text).unwrap_or_default();
    match kind {
        "locked" => {
            import.carry(node, path);
            Some(Plain::Text("locked".to_owned()))
        }
        "hashed" => hash(import, node, path, value),
        "hashed-file" => {
            import.leave(node, path, "put the hash itself into `password`");
            None
        }
        _ => {
            import.leave(
                node,
                path,
                "a password is given as a hash: `openssl passwd -6` makes one",
            );
            None
        }
    }
}

/// What is no hash is not shown.
pub(super) fn hash(import: &mut Importing<'_>, node: &Node, path: &str, value: &str) -> Option<Plain> {
    if crate::crypt::is_hash(value) {
        import.carry(node, path);
        return Some(Plain::Text(value.to_owned()));
    }
    import.leave(
        node,
        path,
        "it is no hash that Keel takes: `openssl passwd -6` makes one",
    );
    None
}

fn module(import: &mut Importing<'_>, node: &Node, path: &str) {
    let mut fields = Fields::new();
    import.each(node, path, |import, key, value, path| {
        match key {
            "name" => push(&mut fields, "name", import.text(value, path, &OS_MODULE, "name")),
            "loadMode" if matches!(value.text(), Some("inherit" | "")) => import.carry(value, path),
            "loadMode" => push(
                &mut fields,
                "load-mode",
                import.text(value, path, &OS_MODULE, "load-mode"),
            ),
            "options" => {
                let mut options = Fields::new();
                import.each(value, path, |import, key, value, path| {
                    push(&mut options, key, import.text(value, path, &OS_MODULE, "options"));
                    true
                });
                if !options.is_empty() {
                    fields.push(("options".to_owned(), Plain::Table(options)));
                }
            }
            _ => return false,
        }
        true
    });
    add_table(import, "os", "modules", "name", fields);
}

/// A list; or, as it once was, sources with one or several destinations.
fn additional_files(import: &mut Importing<'_>, table: &str, node: &Node, path: &str) {
    if let super::Data::Map(entries) = &node.data {
        for entry in entries {
            import.items(&entry.value, &below(path, &entry.key), |import, value, path| {
                placed(import, table, &entry.key, value, path);
            });
        }
        return;
    }
    import.items(node, path, |import, node, path| {
        let mut fields = Fields::new();
        import.each(node, path, |import, key, value, path| {
            let key = match key {
                "source" => "source",
                "path" | "destination" => "destination",
                "content" => "content",
                "permissions" => "permissions",
                _ => return false,
            };
            push(&mut fields, key, import.text(value, path, &OS_FILE, key));
            true
        });
        add_table(import, table, "additional-files", "destination", fields);
    });
}

/// A source whose destination is a path, or a path with permissions.
pub(super) fn placed(import: &mut Importing<'_>, table: &str, source: &str, node: &Node, path: &str) {
    let mut fields = vec![("source".to_owned(), Plain::Text(source.to_owned()))];
    if node.text().is_some() {
        push(
            &mut fields,
            "destination",
            import.text(node, path, &OS_FILE, "destination"),
        );
    } else {
        import.each(node, path, |import, key, value, path| {
            let key = match key {
                "path" | "Path" => "destination",
                "permissions" | "Permissions" => "permissions",
                _ => return false,
            };
            push(&mut fields, key, import.text(value, path, &OS_FILE, key));
            true
        });
    }
    add_table(import, table, "additional-files", "destination", fields);
}

fn dir(import: &mut Importing<'_>, node: &Node, path: &str) {
    let mut fields = Fields::new();
    import.each(node, path, |import, key, value, path| {
        let key = match key {
            "source" => "source",
            "destination" => "destination",
            "newDirPermissions" => "new-dir-permissions",
            "mergedDirPermissions" => "merged-dir-permissions",
            "childFilePermissions" => "child-file-permissions",
            _ => return false,
        };
        push(&mut fields, key, import.text(value, path, &OS_DIR, key));
        true
    });
    add_table(import, "os", "additional-dirs", "destination", fields);
}
