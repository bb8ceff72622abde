//! Limits for all processes of a sandbox together, where the machine lets the caller set them: a control group each, of
//! version 1 or 2 of the kernel's interface (cgroups(7)).
//!
//! Without a controller that the caller may use (an ordinary user mostly has none), each process has its own limits and
//! nothing more: no error, because a build must run on such a machine, too.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::Limits;

/// Our groups are called `keel-PROCESS-NUMBER`.
const NAME: &str = "keel-";

/// A hierarchy of control groups that has a controller of interest.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hierarchy {
    /// Where the caller's own group is.
    own: PathBuf,
    /// Version 2 has all controllers in one hierarchy.
    is_unified: bool,
    /// Version 1: what this one controls.
    controllers: Vec<String>,
}

/// The groups of one sandbox: one in each hierarchy that limits anything. They go with the value.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    folders: Vec<PathBuf>,
}

impl Groups {
    /// Makes the groups and sets their limits; empty, if there is nothing to limit or nobody lets us.
    pub(crate) fn new(limits: &Limits) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let mut new = Self::default();
        if limits.total_memory.is_none() {
            return new;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        for hierarchy in hierarchies() {
            if number == 0 {
                sweep(&hierarchy.own);
            }
            let settings = settings(&hierarchy, limits);
            let folder = hierarchy.own.join(format!("{NAME}{process}-{number}"));
            if settings.is_empty() || fs::create_dir(&folder).is_err() {
                continue;
            }
            let set = |(file, value): (&str, u64)| set(&folder.join(file), &value.to_string());
            if settings
                .into_iter()
                .filter(|setting| set(*setting).is_ok())
                .count()
                > 0
            {
                new.folders.push(folder);
            } else {
                remove(&folder);
            }
        }
        new
    }

    /// Puts a process, and all that come of it, into the groups.
    pub(crate) fn take(&self, process: u32) {
        for folder in &self.folders {
            // A group that does not take it limits nothing; the others do.
            let _ = set(&folder.join("cgroup.procs"), &process.to_string());
        }
    }

    /// Did the kernel kill a process because all together had too much memory?
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        let killed = |folder: &PathBuf| {
            let files = ["memory.events", "memory.oom_control"].map(|file| folder.join(file));
            let texts = files.map(|file| fs::read_to_string(file).unwrap_or_default());
            texts.iter().flat_map(|text| text.lines()).any(|line| {
                let count = line.strip_prefix("oom_kill ");
                count.is_some_and(|count| count.trim() != "0")
            })
        };
        self.folders.iter().any(killed)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        self.folders.iter().for_each(|folder| remove(folder));
    }
}

/// The files to write, and what.
fn settings(hierarchy: &Hierarchy, limits: &Limits) -> Vec<(&'static str, u64)> {
    let mut settings = Vec::new();
    let has =
        |controller: &str| hierarchy.is_unified || hierarchy.controllers.iter().any(|one| one == controller);
    if let Some(memory) = limits.total_memory.filter(|_| has("memory")) {
        settings.push(match hierarchy.is_unified {
            true => ("memory.max", memory),
            false => ("memory.limit_in_bytes", memory),
        });
    }
    if let Some(processes) = limits.processes.filter(|_| has("pids")) {
        settings.push(("pids.max", processes));
    }
    settings
}

/// A file of the kernel's, which is there or not, but never made.
fn set(file: &Path, value: &str) -> io::Result<()> {
    use std::io::Write as _;
    fs::OpenOptions::new()
        .write(true)
        .open(file)?
        .write_all(value.as_bytes())
}

/// A group can be removed when its last process is, which the kernel tells a little later than the process's parent.
fn remove(folder: &Path) {
    for _ in 0..50 {
        match fs::remove_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                std::thread::sleep(Duration::from_millis(2))
            }
            _ => return,
        }
    }
}

/// Removes groups of processes that there are no more: of a caller that was killed.
fn sweep(own: &Path) {
    for entry in fs::read_dir(own).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name
            .to_str()
            .and_then(|name| name.strip_prefix(NAME)?.split_once('-'));
        if let Some((process, _)) = process
            && !Path::new("/proc").join(process).exists()
        {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// The hierarchies that this process is in, as far as they are mounted.
fn hierarchies() -> Vec<Hierarchy> {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    parse(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"))
}

/// From the two files of the kernel's (cgroups(7), proc_pid_mountinfo(5)).
fn parse(groups: &str, mounts: &str) -> Vec<Hierarchy> {
    let mut found = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let controllers: Vec<String> = controllers.split(',').map(str::to_owned).collect();
        let is_unified = controllers == [""];
        if !is_unified && !controllers.iter().any(|one| one == "memory" || one == "pids") {
            continue;
        }
        let mount = mounts.lines().find_map(|line| {
            let (place, kind) = line.split_once(" - ")?;
            let mut kind = kind.split(' ');
            let (name, options) = (kind.next()?, kind.nth(1)?);
            let is_it = match is_unified {
                true => name == "cgroup2",
                false => {
                    name == "cgroup"
                        && controllers
                            .iter()
                            .all(|one| options.split(',').any(|option| option == one))
                }
            };
            let mut place = place.split(' ').skip(3);
            is_it.then_some((place.next()?, place.next()?))
        });
        let Some((root, at)) = mount else { continue };
        // What is mounted may be a part of the hierarchy: then the path is below that.
        let below = path.strip_prefix(root.trim_end_matches('/')).unwrap_or("");
        found.push(Hierarchy {
            own: Path::new(at).join(below.trim_start_matches('/')),
            is_unified,
            controllers,
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_both_versions_are_found() {
        let groups = "5:devices:/\n4:memory:/api/x\n3:cpu,pids:/\n0::/user.slice\n";
        let mounts = "30 20 0:25 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n\
                      31 20 0:26 /user.slice /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                      32 20 0:27 / /sys/fs/cgroup/cpu,pids rw - cgroup none rw,cpu,pids\n";
        let found = parse(groups, mounts);
        let own: Vec<&str> = found.iter().filter_map(|one| one.own.to_str()).collect();
        assert_eq!(
            own,
            [
                "/sys/fs/cgroup/memory/api/x",
                "/sys/fs/cgroup/cpu,pids/",
                "/sys/fs/cgroup/unified/"
            ]
        );
        assert!(found[2].is_unified && !found[0].is_unified);
        assert!(parse("garbage\n1:x", "also - \n").is_empty());
    }
}
