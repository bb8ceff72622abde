//! Image Customizer's configuration.

use super::{Importing, Left, Node, below};
use crate::{
    dump::Plain,
    model::{DISK, OS, OS_DIR, OS_FILE, OS_GROUP, OS_MODULE, OS_SERVICES, OS_USER, PARTITION, SCRIPT_TABLE},
    size,
};

const MIB: u64 = 1 << 20;

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
            "storage" => storage(import, value, path),
            "output" => output(import, value, path),
            "input" => import.leave(
                value,
                path,
                "an image is made of packages: say `inherits` where its base is an image of the tree",
            ),
            "baseConfigs" => import.leave(value, path, "import it, too, and say `inherits`"),
            "scripts" => scripts(import, value, path),
            "previewFeatures" => import.leave(value, path, "nothing is to be switched on"),
            _ => return false,
        }
        true
    });
    import.complete(node);
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

fn storage(import: &mut Importing<'_>, node: &Node, path: &str) {
    let mut disk = Storage::default();
    import.each(node, path, |import, key, value, path| {
        match key {
            "bootType" if value.text() == Some("efi") => import.carry(value, path),
            "bootType" => import.leave(value, path, "a disk of Keel starts by UEFI"),
            "disks" => import.items(value, path, |import, node, path| {
                if path.ends_with("[0]") {
                    self::disk(import, &mut disk, node, path);
                } else {
                    import.leave(node, path, "an image has one disk");
                }
            }),
            // Partitions say what file systems are on, wherever they stand.
            "filesystems" => {}
            _ => return false,
        }
        true
    });
    if let Some(systems) = node.get("filesystems") {
        let path = below(path, "filesystems");
        import.items(systems, &path, |import, node, path| {
            file_system(import, &mut disk, node, path);
        });
    }
    disk.done(import);
}

fn disk(import: &mut Importing<'_>, disk: &mut Storage, node: &Node, path: &str) {
    import.each(node, path, |import, key, value, path| {
        match key {
            "partitionTableType" if value.text() == Some("gpt") => import.carry(value, path),
            "maxSize" => import.size(value, path, "size", false),
            "partitions" => import.items(value, path, |import, node, path| {
                partition(import, disk, node, path);
            }),
            _ => return false,
        }
        true
    });
}

fn partition(import: &mut Importing<'_>, disk: &mut Storage, node: &Node, path: &str) {
    let text = |key| node.get(key).and_then(Node::text);
    let kind = text("type");
    let id = text("id").unwrap_or_default();
    let extent = extent(import, disk, node, path);
    if kind == Some("esp") || id == "esp" {
        import.each(node, path, |import, key, value, path| {
            match key {
                "id" | "type" => import.carry(value, path),
                "label" if value.text() == Some("esp") => import.carry(value, path),
                "label" => import.leave(value, path, "the EFI system partition is called `esp`"),
                "size" => import.size(value, path, "esp-size", false),
                "start" | "end" => {}
                _ => return false,
            }
            true
        });
        let fixed = extent.filter(|size| size != GROW);
        import.set(&["disk"], "esp-size", fixed.map(Plain::Text));
        return disk.add(import, id, Role::Esp, node, path);
    }
    let is_root = kind == Some("root") || matches!(id, "root" | "rootfs");
    let (mut fields, mut size) = (Fields::new(), extent.map(Plain::Text));
    import.each(node, path, |import, key, value, path| {
        match key {
            "id" if is_root || node.get("label").is_some() => import.carry(value, path),
            // It becomes the label.
            "id" => {}
            "label" if is_root => {
                let label = import.text(value, path, &DISK, "root-label");
                import.set(&["disk"], "root-label", label);
            }
            "label" => push(
                &mut fields,
                "label",
                import.text(value, path, &PARTITION, "label"),
            ),
            "type" if is_root => import.carry(value, path),
            "type" => push(&mut fields, "type", import.text(value, path, &PARTITION, "type")),
            "size" => size = import.text(value, path, &PARTITION, "size"),
            "start" | "end" => {}
            _ => return false,
        }
        true
    });
    if is_root {
        // It grows unless it is said how large it is.
        let fixed = size.filter(|size| *size != Plain::Text(GROW.to_owned()));
        import.set(&["disk"], "root-size", fixed);
        return disk.add(import, id, Role::Root, node, path);
    }
    if let Some(name) = node
        .get("id")
        .filter(|_| fields.iter().all(|(key, _)| key != "label"))
    {
        let label = import.text(name, &below(path, "id"), &PARTITION, "label");
        fields.splice(..0, label.map(|label| ("label".to_owned(), label)));
    }
    push(&mut fields, "size", size);
    disk.add(import, id, Role::Data(fields), node, path);
}

/// The size of what takes all that is left.
const GROW: &str = "grow";

/// What `start` and `end` of a partition come to: its size, where it has no `size`. Partitions of a disk of Keel follow each
/// other, so that a `start` that leaves space is not carried over.
fn extent(import: &mut Importing<'_>, disk: &mut Storage, node: &Node, path: &str) -> Option<String> {
    let before = disk.end.take();
    let said = |key| node.get(key).and_then(Node::text);
    let bytes = |key| said(key).and_then(|text| size::parse(text).ok());
    let begin = match node.get("start") {
        Some(_) => bytes("start"),
        None => before,
    };
    let between = bytes("end").zip(begin);
    let between = between.and_then(|(end, begin)| end.checked_sub(begin));
    let length = match node.get("size") {
        Some(_) => bytes("size"),
        None => between.filter(|length| *length > 0),
    };
    disk.end = begin
        .zip(length)
        .and_then(|(begin, length)| begin.checked_add(length));
    if let Some(start) = node.get("start") {
        let path = below(path, "start");
        match begin {
            Some(_) if before.is_none() || before == begin => import.carry(start, &path),
            Some(_) => import.leave(start, &path, "partitions follow each other, in the order given"),
            None => import.leave(start, &path, "a size such as `9M` is wanted here"),
        }
    }
    if let Some(end) = node.get("end") {
        let path = below(path, "end");
        match length {
            Some(_) if between == length => import.carry(end, &path),
            Some(_) => import.leave(end, &path, "`size` says something else, and is carried over"),
            None => import.leave(end, &path, "no size comes of it: say `size`"),
        }
    }
    match (node.get("size"), node.get("end"), length) {
        (None, _, Some(length)) if length.is_multiple_of(MIB) => Some(format!("{}M", length / MIB)),
        (None, _, Some(length)) => Some(length.to_string()),
        (None, None, None) if node.get("start").is_some() => Some(GROW.to_owned()),
        _ => None,
    }
}

fn file_system(import: &mut Importing<'_>, disk: &mut Storage, node: &Node, path: &str) {
    let id = node.get("deviceId").and_then(Node::text).unwrap_or_default();
    let Some(part) = disk.parts.iter_mut().find(|part| part.id == id) else {
        import.leave(node, path, format!("no partition of the disk has the id `{id}`"));
        return;
    };
    let (mut kind, mut place, mut options) = (None, None, None);
    let is_esp = matches!(part.role, Role::Esp);
    import.each(node, path, |import, key, value, path| {
        match key {
            "deviceId" => import.carry(value, path),
            "type" if is_esp && matches!(value.text(), Some("fat32" | "fat16" | "vfat")) => {
                import.carry(value, path);
            }
            "type" if is_esp => import.leave(value, path, "the EFI system partition is a FAT"),
            "mountPoint" if is_esp => import.leave(
                value,
                path,
                "the EFI system partition is not in `/etc/fstab`: systemd mounts it where it is needed",
            ),
            "type" => kind = import.file_system(value, path),
            "mountPoint" if value.text().is_some() => {
                place = import.text(value, path, &PARTITION, "mount-point");
            }
            "mountPoint" => import.each(value, path, |import, key, value, path| {
                match key {
                    "path" => place = import.text(value, path, &PARTITION, "mount-point"),
                    "options" if value.text() == Some("") => import.carry(value, path),
                    "options" => options = import.text(value, path, &PARTITION, "mount-options"),
                    "idType" if value.text() == Some("part-uuid") => import.carry(value, path),
                    "idType" => import.leave(value, path, "partitions are known by their PARTUUID"),
                    _ => return false,
                }
                true
            }),
            _ => return false,
        }
        true
    });
    part.has(import, kind, place, options);
}

/// A disk on its way: partitions come first, what is on them later.
pub(super) struct Storage {
    pub(super) parts: Vec<Part>,
    /// Where the last of them ends, if that is said.
    end: Option<u64>,
}

impl Default for Storage {
    fn default() -> Self {
        let parts = Vec::new();
        // The first begins after the partition table.
        Self {
            parts,
            end: Some(MIB),
        }
    }
}

/// A partition, by the name that the rest of a configuration knows it by.
pub(super) struct Part {
    pub(super) id: String,
    role: Role,
    left: Left,
}

pub(super) enum Role {
    Esp,
    Root,
    /// A table of `[[disk.partitions]]`.
    Data(Fields),
}

impl Storage {
    pub(super) fn add(&mut self, import: &Importing<'_>, id: &str, role: Role, node: &Node, path: &str) {
        let left = Left {
            key: path.to_owned(),
            at: import.at(node),
            why: "nothing is said to be on it: say `mount-point`, or `filesystem = \"swap\"`".to_owned(),
        };
        let id = id.to_owned();
        self.parts.push(Part { id, role, left });
    }

    /// The partitions that have something on them.
    pub(super) fn done(self, import: &mut Importing<'_>) {
        for Part { role, left, .. } in self.parts {
            let Role::Data(fields) = role else { continue };
            let has = |name: &str| fields.iter().any(|(key, _)| key == name);
            let is_swap = fields.contains(&("filesystem".to_owned(), Plain::Text("swap".to_owned())));
            if has("label") && (has("mount-point") || is_swap) {
                import.add(&["disk"], "partitions", vec![Plain::Table(fields)]);
            } else {
                import
                    .carried
                    .retain(|carried| !carried.key.starts_with(&left.key));
                import.left.push(left);
            }
        }
    }
}

impl Part {
    pub(super) fn is_esp(&self) -> bool {
        matches!(self.role, Role::Esp)
    }

    /// Notes what is on it, and where it is mounted.
    pub(super) fn has(
        &mut self,
        import: &mut Importing<'_>,
        kind: Option<Plain>,
        place: Option<Plain>,
        options: Option<Plain>,
    ) {
        if let Role::Data(fields) = &mut self.role
            && place == Some(Plain::Text("/".to_owned()))
        {
            for (key, value) in std::mem::take(fields) {
                let is_grow = value == Plain::Text(GROW.to_owned());
                let key = match key.as_str() {
                    "label" => "root-label",
                    "filesystem" => "root-fs",
                    "size" if !is_grow => "root-size",
                    _ => continue,
                };
                import.set(&["disk"], key, Some(value));
            }
            self.role = Role::Root;
        }
        match &mut self.role {
            Role::Esp => {}
            Role::Root => {
                import.set(&["disk"], "root-fs", kind);
                import.set(&["disk"], "root-mount-options", options);
            }
            Role::Data(fields) => {
                push(fields, "filesystem", kind);
                push(fields, "mount-point", place);
                push(fields, "mount-options", options);
            }
        }
    }
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
                    import.command_line(value, path);
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
            "additionalFiles" => additional_files(import, value, path),
            "additionalDirs" => import.items(value, path, dir),
            "uki" if value.get("mode").and_then(Node::text) == Some("create") => {
                import.carry(value, path);
                import.set(&["disk"], "boot", Some(Plain::Text("uki".to_owned())));
            }
            "bootloader" => import.leave(value, path, "the boot loader is always made anew"),
            "imageHistory" => import.leave(value, path, "`manifest.json` tells how an image was made"),
            "selinux" => import.leave(value, path, "images are not labelled for SELinux"),
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
fn add_table(import: &mut Importing<'_>, array: &str, name: &str, fields: Fields) {
    if fields.iter().any(|(key, _)| key == name) {
        import.add(&["os"], array, vec![Plain::Table(fields)]);
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
    add_table(import, "groups", "name", fields);
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
    add_table(import, "users", "name", fields);
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
    add_table(import, "modules", "name", fields);
}

/// A list; or, as it once was, sources with one or several destinations.
fn additional_files(import: &mut Importing<'_>, node: &Node, path: &str) {
    if let super::Data::Map(entries) = &node.data {
        for entry in entries {
            import.items(&entry.value, &below(path, &entry.key), |import, value, path| {
                placed(import, &entry.key, value, path);
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
        add_table(import, "additional-files", "destination", fields);
    });
}

/// A source whose destination is a path, or a path with permissions.
pub(super) fn placed(import: &mut Importing<'_>, source: &str, node: &Node, path: &str) {
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
    add_table(import, "additional-files", "destination", fields);
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
    add_table(import, "additional-dirs", "destination", fields);
}
