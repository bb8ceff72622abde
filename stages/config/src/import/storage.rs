//! The disks of an image: partitions and file systems, which Image Customizer keeps in two lists, as the one list of Keel.

use super::{
    Importing, Left, Node, below,
    customizer::{Fields, push},
};
use crate::{
    dump::Plain,
    model::{DISK, PARTITION},
    size,
};

const MIB: u64 = 1 << 20;

pub(super) fn storage(import: &mut Importing<'_>, node: &Node, path: &str) {
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
