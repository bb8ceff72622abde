//! `/etc/fstab` of a disk: what is mounted besides what the kernel's command line says (fstab(5)).

use keel_artefact::{Epoch, RootPath, Sha256};
use keel_config::{
    Diagnostic, Errors,
    image::{
        Disk, FileSystem,
        partition::{PartitionContent, PartitionSize},
    },
};

use crate::{
    Error,
    accounts::{root_path, text},
    finalise::{Changed, Make},
    partitions,
    tree::{Kind, Tree},
    write::gpt,
};

/// Where it is.
const PATH: &str = "/etc/fstab";

/// Adds to the tree's `/etc/fstab` what `disk` has, unless it says something of the same place already, and the folders that
/// are mount points. `seed` is what the partitions' identities are derived from. What it changes is noted in `changed`.
pub fn add(
    tree: &mut Tree,
    disk: &Disk,
    seed: &Sha256,
    clock: Epoch,
    changed: &mut Changed,
) -> Result<(), Error> {
    let mut make = Make::new(tree, clock);
    mount_points(&mut make, disk)?;
    let lines = lines(disk, seed);
    let there = text(make.tree, PATH)?.unwrap_or_default();
    let content = joined(&there, &lines);
    if content != there {
        make.file(&root_path(PATH), 0o644, content);
    }
    for (part, paths) in make.finish() {
        changed.entry(part).or_default().extend(paths);
    }
    Ok(())
}

/// A mount point is a folder, and no link leads to it: what is below it is known by its path.
fn mount_points(make: &mut Make<'_>, disk: &Disk) -> Result<(), Error> {
    let mut wrong = Vec::new();
    for partition in &disk.partitions {
        let Some(place) = partition.mount_point() else {
            continue;
        };
        let real = make.tree.resolve(place, true);
        let there = make.tree.get(place).map(|node| &node.kind);
        let why = match (real, there) {
            (Some(real), _) if real != *place => format!("a symbolic link leads from it to `{real}`"),
            (None, _) => "symbolic links go round".to_owned(),
            (_, Some(kind)) if !matches!(kind, Kind::Dir) => format!("it is {}", kind.noun()),
            _ => {
                make.dir(place, 0o755);
                continue;
            }
        };
        let message = format!(
            "partition `{}` cannot be mounted at `{place}`: {why}",
            partition.label
        );
        wrong.push(Diagnostic::new(message).at(partition.defined_at.clone()));
    }
    Errors::check((), wrong).map_err(Error::Definition)
}

fn lines(disk: &Disk, seed: &Sha256) -> Vec<Line> {
    let mut lines = Vec::new();
    let said = disk.root_mount_options.as_deref();
    if disk.root_fs == FileSystem::Ext4 || said.is_some() {
        let options = options(disk.root_fs, said, disk.root_grows());
        lines.push(line(seed, "root", &RootPath::root(), disk.root_fs, &options));
    }
    for partition in &disk.partitions {
        let id = partitions::id(partition);
        match &partition.content {
            PartitionContent::Swap => lines.push(Line {
                place: gpt::uuid(seed, &id).to_string(),
                text: format!("PARTUUID={} none swap defaults 0 0", gpt::uuid(seed, &id)),
            }),
            PartitionContent::Mounted {
                filesystem,
                mount_point,
                mount_options,
            } => {
                let grows = partition.size == PartitionSize::Grow;
                let options = options(*filesystem, mount_options.as_deref(), grows);
                lines.push(line(seed, &id, mount_point, *filesystem, &options));
            }
        }
    }
    // What is around another comes before it.
    lines.sort_by(|one, other| one.place.cmp(&other.place));
    lines
}

/// Mount options; systemd grows an ext4 to its partition, whatever that has become.
fn options(kind: FileSystem, said: Option<&str>, grows: bool) -> String {
    let mut options = said.unwrap_or("defaults").to_owned();
    if kind == FileSystem::Ext4 && grows {
        options.push_str(",x-systemd.growfs");
    }
    options
}

/// A line, and where it mounts.
struct Line {
    place: String,
    text: String,
}

fn line(seed: &Sha256, id: &str, place: &RootPath, kind: FileSystem, options: &str) -> Line {
    let guid = gpt::uuid(seed, id);
    let pass = match (kind, place.as_str()) {
        (FileSystem::Erofs | FileSystem::Squashfs, _) => 0,
        (FileSystem::Ext4, "/") => 1,
        (FileSystem::Ext4, _) => 2,
    };
    let (kind, escaped) = (kind.as_str(), escaped(place.as_str()));
    Line {
        place: place.to_string(),
        text: format!("PARTUUID={guid} {escaped} {kind} {options} 0 {pass}"),
    }
}

/// What stands between blanks.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            ' ' | '\t' | '\n' | '\\' => escaped.push_str(&format!("\\{:03o}", c as u32)),
            c => escaped.push(c),
        }
    }
    escaped
}

/// What is there, with the lines about other places.
fn joined(there: &str, lines: &[Line]) -> String {
    let said: Vec<&str> = there
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_whitespace().nth(1))
        // `/srv/` is `/srv`.
        .map(|place| {
            if place.len() > 1 {
                place.trim_end_matches('/')
            } else {
                place
            }
        })
        .collect();
    let is_said = |line: &&Line| !said.contains(&escaped(&line.place).as_str());
    let mut all = there.to_owned();
    if !all.is_empty() && !all.ends_with('\n') {
        all.push('\n');
    }
    for line in lines.iter().filter(is_said) {
        all.push_str(&line.text);
        all.push('\n');
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_already_stays() {
        let seed = Sha256::of(b"x");
        let path = |text: &str| text.parse::<RootPath>().unwrap();
        let lines = [
            line(&seed, "root", &path("/"), FileSystem::Ext4, "defaults"),
            line(&seed, "a", &path("/a b"), FileSystem::Ext4, "noatime"),
        ];
        let own = "# / here\nLABEL=x / ext4 ro 0 1";
        let guid = gpt::uuid(&seed, "a");
        let expected = format!("{own}\nPARTUUID={guid} /a\\040b ext4 noatime 0 2\n");
        assert_eq!(joined(own, &lines), expected);
        assert_eq!(joined(&expected, &lines), expected);
        assert_eq!(joined("", &lines).lines().count(), 2);
        let slashed = "LABEL=x / ext4 ro 0 1\nLABEL=y /a\\040b/ ext4 ro 0 2\n";
        assert_eq!(joined(slashed, &lines), slashed);
    }
}
