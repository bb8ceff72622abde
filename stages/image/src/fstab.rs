//! `/etc/fstab` of a disk: what is mounted besides what the kernel's command line says (fstab(5)).

use keel_artefact::{Epoch, RootPath, Sha256};
use keel_config::image::{Disk, FileSystem};

use crate::{
    Error,
    accounts::{root_path, text},
    finalise::{Changed, Make},
    tree::Tree,
    write::gpt,
};

/// Where it is.
const PATH: &str = "/etc/fstab";

/// Adds to the tree's `/etc/fstab` what `disk` has, unless it says something of the same place already. `seed` is what
/// the partitions' identities are derived from. What it changes is noted in `changed`.
pub fn add(
    tree: &mut Tree,
    disk: &Disk,
    seed: &Sha256,
    clock: Epoch,
    changed: &mut Changed,
) -> Result<(), Error> {
    let mut lines = Vec::new();
    if disk.root_fs == FileSystem::Ext4 {
        // systemd grows it to its partition, whatever that has become.
        lines.push(line(
            seed,
            "root",
            &RootPath::root(),
            "ext4",
            "defaults,x-systemd.growfs",
            1,
        ));
    }
    if lines.is_empty() {
        return Ok(());
    }
    let there = text(tree, PATH)?.unwrap_or_default();
    let content = joined(&there, &lines);
    if content != there {
        let mut make = Make::new(tree, clock);
        make.file(&root_path(PATH), 0o644, content);
        for (part, paths) in make.finish() {
            changed.entry(part).or_default().extend(paths);
        }
    }
    Ok(())
}

/// A line, and where it mounts.
struct Line {
    place: String,
    text: String,
}

fn line(seed: &Sha256, role: &str, place: &RootPath, kind: &str, options: &str, pass: u8) -> Line {
    let guid = gpt::uuid(seed, role);
    Line {
        place: place.to_string(),
        text: format!(
            "PARTUUID={guid} {} {kind} {options} 0 {pass}",
            escaped(place.as_str())
        ),
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
        .collect();
    let mut all = there.to_owned();
    if !all.is_empty() && !all.ends_with('\n') {
        all.push('\n');
    }
    for line in lines
        .iter()
        .filter(|line| !said.contains(&escaped(&line.place).as_str()))
    {
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
            line(&seed, "root", &path("/"), "ext4", "defaults", 1),
            line(&seed, "a", &path("/a b"), "ext4", "noatime", 2),
        ];
        let own = "# / here\nLABEL=x / ext4 ro 0 1";
        let guid = gpt::uuid(&seed, "a");
        let expected = format!("{own}\nPARTUUID={guid} /a\\040b ext4 noatime 0 2\n");
        assert_eq!(joined(own, &lines), expected);
        assert_eq!(joined(&expected, &lines), expected);
        assert_eq!(joined("", &lines).lines().count(), 2);
    }
}
