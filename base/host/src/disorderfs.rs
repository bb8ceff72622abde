//! `disorderfs`: shows a folder once more, with the entries of each folder in it in a random order, another each time
//! (disorderfs(1), `--shuffle-dirents`). A file system in user space (FUSE), mounted by root.
//!
//! Everything is mounted in a mount namespace of the calling thread ([`keel_sandbox::with_own_mounts`]), so nothing of it outlives the thread.

use std::{
    io::{self, Read as _},
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use keel_sandbox::Status;
use rustix::mount::{MountFlags, mount, mount_bind};

use crate::{Error, Program};

/// Folders of every system that are covered by our own, in the namespace of the thread: the parents of what is shown must be open to the
/// user of the build, as those of a store need not be. The first is taken that what is shown does not lie in.
const PLACES: [&str; 3] = ["/mnt", "/media", "/srv"];
/// How long a mount may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Of what a disorderfs that fails says, so much is shown.
const MOST_SAID: u64 = 4 << 10;

/// Folders that are shown in disorder, as long as this lives.
#[derive(Debug)]
pub struct Disordered {
    place: PathBuf,
    running: Vec<Child>,
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
    /// Shows the folders `names` of `parent`. The calling thread must have mounts of its own: its `/mnt`, or the like, is covered.
    pub fn show(parent: &Path, names: &[&str]) -> Result<Self, Error> {
        let program = Program::Disorderfs.find()?;
        let parent = parent.canonicalize()?;
        let is_free = |place: &&Path| place.is_dir() && !parent.starts_with(place);
        let place = PLACES.iter().map(Path::new).find(is_free).ok_or_else(|| {
            let text = format!("none of {} is a folder to mount on", PLACES.join(", "));
            io::Error::new(io::ErrorKind::NotFound, text)
        })?;
        let covering = |source: rustix::io::Errno| {
            io::Error::new(
                io::Error::from(source).kind(),
                format!("cannot mount on {}: {source}", place.display()),
            )
        };
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("keel", place, "tmpfs", flags, c"mode=0755,size=1m").map_err(covering)?;
        let mut shown = Self {
            place: place.to_owned(),
            running: Vec::new(),
        };
        for name in names {
            let (at, true_order) = (shown.folder(name), place.join(format!("{name}.true-order")));
            fs_err::create_dir(&at)?;
            fs_err::create_dir(&true_order)?;
            mount_bind(parent.join(name), &true_order).map_err(covering)?;
            let child = start(&program, &true_order, &at)?;
            shown.running.push(child);
            shown.wait_for(&at)?;
        }
        Ok(shown)
    }

    /// Where the folder `name` is shown.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.place.join(name)
    }

    /// Waits until the last one that was started shows its folder.
    fn wait_for(&mut self, at: &Path) -> Result<(), Error> {
        let (started, before) = (Instant::now(), fs_err::metadata(&self.place)?.dev());
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

/// In the foreground, in a group of its own (Ctrl-C is for the build), and killed with the thread that starts it.
fn start(program: &Path, folder: &Path, at: &Path) -> Result<Child, Error> {
    let mut command = Command::new(program);
    // Each user who asks is who does it: files belong to the user of the build, not to root.
    command
        .args(["--multi-user=yes", "--shuffle-dirents=yes", "-f", "-q"])
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

impl Drop for Disordered {
    fn drop(&mut self) {
        for child in &mut self.running {
            // It may have ended by itself; what it showed goes with the namespace.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
