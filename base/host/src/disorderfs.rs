//! `disorderfs`: shows a folder once more, with the entries of each folder in it in a random order, another each time
//! (disorderfs(1), `--shuffle-dirents`). A file system in user space (FUSE), mounted by root.
//!
//! Everything is mounted in a mount namespace of the calling thread ([`keel_sandbox::with_own_mounts`]), so nothing of it outlives the thread;
//! and on an empty folder that is made for it, so that nothing of the machine is hidden.

use std::{
    fs::{File, TryLockError},
    io::{self, Read as _},
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use keel_sandbox::Status;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};

use crate::{Error, Program};

/// Where the folder to mount on is made. Its parents must be open to the user of the build, as those of a store need not be.
const PARENT: &str = "/run";
/// Its name begins so.
const NAME: &str = "keel-disorder-";
/// How long a mount may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Of what a disorderfs that fails says, so much is shown.
const MOST_SAID: u64 = 4 << 10;

/// Folders that are shown in disorder, as long as this lives.
#[derive(Debug)]
pub struct Disordered {
    running: Vec<Child>,
    place: Place,
}

/// Can folders be shown in disorder here? It is tried, with a folder made in `scratch`.
pub fn works(scratch: &Path) -> bool {
    let try_it = || -> Result<(), Error> {
        fs_err::create_dir_all(scratch.join("folder"))?;
        Disordered::show(scratch, &["folder"]).map(drop)
    };
    Program::Disorderfs.find().is_ok() && matches!(keel_sandbox::with_own_mounts(try_it), Ok(Ok(())))
}

impl Disordered {
    /// Shows the folders `names` of `parent`. The calling thread must have mounts of its own.
    pub fn show(parent: &Path, names: &[&str]) -> Result<Self, Error> {
        let program = Program::Disorderfs.find()?;
        let parent = parent.canonicalize()?;
        let place = Place::make()?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        let mounted = mount("keel", &place.path, "tmpfs", flags, c"mode=0755,size=1m");
        mounted.map_err(|source| cannot_mount(&place.path, source))?;
        let mut shown = Self {
            running: Vec::new(),
            place,
        };
        for name in names {
            let (at, true_order) = (shown.folder(name), shown.folder(&format!("{name}.true-order")));
            fs_err::create_dir(&at)?;
            fs_err::create_dir(&true_order)?;
            mount_bind(parent.join(name), &true_order).map_err(|source| cannot_mount(&true_order, source))?;
            let child = start(&program, &true_order, &at)?;
            shown.running.push(child);
            shown.wait_for(&at)?;
        }
        Ok(shown)
    }

    /// Where the folder `name` is shown.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.place.path.join(name)
    }

    /// Waits until the last one that was started shows its folder.
    fn wait_for(&mut self, at: &Path) -> Result<(), Error> {
        let (started, before) = (Instant::now(), fs_err::metadata(&self.place.path)?.dev());
        while fs_err::metadata(at)?.dev() == before {
            if let Some(child) = self.running.last_mut()
                && let Some(status) = child.try_wait()?
            {
                let mut said = Vec::new();
                if let Some(stderr) = &mut child.stderr {
                    stderr.take(MOST_SAID).read_to_end(&mut said)?;
                }
                let status = Status::Code(status.code().unwrap_or(1));
                return Err(Error::failed_with(Program::Disorderfs, &[], status, &said));
            }
            if started.elapsed() > PATIENCE {
                return Err(Error::Unexpected {
                    program: Program::Disorderfs.name(),
                    why: format!("nothing was mounted in {} s", PATIENCE.as_secs()),
                });
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

/// Nobody else changes the folder meanwhile, so the kernel may remember which names there are, and which there are not: a compiler asks
/// for each header in dozens of folders, and each question that comes through costs a tenth of a millisecond. Attributes are asked
/// for anew after a second, as always: names of one file (hard links) do not know of each other.
const REMEMBERS: &str = "entry_timeout=86400,negative_timeout=86400";

/// In the foreground, in a group of its own (Ctrl-C is for the build), and killed with the thread that starts it.
fn start(program: &Path, folder: &Path, at: &Path) -> Result<Child, Error> {
    let mut command = Command::new(program);
    // Each user who asks is who does it: files belong to the user of the build, not to root.
    command
        .args([
            "--multi-user=yes",
            "--shuffle-dirents=yes",
            "-f",
            "-q",
            "-o",
            REMEMBERS,
        ])
        .arg(folder)
        .arg(at)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0);
    keel_sandbox::child::dies_with_caller(&mut command)
        .spawn()
        .map_err(|source| Error::Start {
            program: Program::Disorderfs.name(),
            source,
        })
}

fn cannot_mount(at: &Path, source: rustix::io::Errno) -> io::Error {
    let text = format!("cannot mount on {}: {source}", at.display());
    io::Error::new(io::Error::from(source).kind(), text)
}

impl Drop for Disordered {
    fn drop(&mut self) {
        for child in &mut self.running {
            // It may have ended by itself; what it showed goes with its place.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// An empty folder to mount on, locked while its owner lives: that of a run that was killed is removed by the next.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    _lock: File,
}

impl Place {
    fn make() -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // An ordinary user cannot mount, and has nothing to tidy up there.
        reap()?;
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = Path::new(PARENT).join(format!("{NAME}{}-{number}", std::process::id()));
            match fs_err::create_dir(&path) {
                Ok(()) => {}
                // Of a process of that number in another container.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            }
            if let Some(lock) = locked(&path)? {
                return Ok(Self { path, _lock: lock });
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // With all that is mounted in it. Where nothing is, that fails; and what stays is removed by the next run.
        let _ = unmount(&self.path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
        let _ = fs_err::remove_dir(&self.path);
    }
}

/// Removes the folders whose owners are gone.
fn reap() -> io::Result<()> {
    for entry in fs_err::read_dir(PARENT)? {
        let entry = entry?;
        let is_ours = entry.file_name().to_string_lossy().starts_with(NAME);
        if !is_ours || !entry.file_type()?.is_dir() {
            continue;
        }
        if let Some(_lock) = locked(&entry.path())? {
            // Only if it is empty, as it is unless somebody else put something there.
            let _ = fs_err::remove_dir(entry.path());
        }
    }
    Ok(())
}

/// The folder's lock; none if another has it, or the folder is gone.
fn locked(path: &Path) -> io::Result<Option<File>> {
    let gone = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Ok(None),
        _ => Err(error),
    };
    let lock = match fs_err::File::open(path) {
        Ok(lock) => lock.into_parts().0,
        Err(error) => return gone(error),
    };
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Another one may have removed it between the two.
    match fs_err::metadata(path) {
        Ok(now) if now.ino() == lock.metadata()?.ino() => Ok(Some(lock)),
        Ok(_) => Ok(None),
        Err(error) => gone(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_hides_nothing_and_is_removed_even_when_its_owner_was_killed() {
        let dead = Path::new(PARENT).join(format!("{NAME}of-the-dead"));
        if fs_err::create_dir_all(&dead).is_err() {
            assert!(!works(&std::env::temp_dir().join("keel-no-root")));
            return;
        }
        let paths = keel_sandbox::with_own_mounts(|| {
            let place = Place::make().unwrap();
            assert!(!dead.exists(), "nobody has locked it");
            let mounted = mount("keel", &place.path, "tmpfs", MountFlags::NOSUID, c"size=64k");
            mounted.unwrap();
            fs_err::write(place.path.join("file"), "").unwrap();
            let other = Place::make().unwrap();
            assert!(place.path.join("file").exists(), "another one took it away");
            [place.path.clone(), other.path.clone()]
        });
        for path in paths.unwrap() {
            assert!(!path.exists(), "{}", path.display());
        }
    }
}
