//! The root of a sandbox: mounted in the namespace of this process, entered with `pivot_root`, the host's detached.
//!
//! Everything of the host is opened first and then named by its descriptor (`/proc/self/fd/N`): the mounts to come may
//! cover it, its parents may be closed to the user inside, and 490 lowers fit in one page of mount options.

use std::{
    ffi::CString,
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use keel_artefact::RootPath;
use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags, StatVfsMountFlags},
    io::Errno,
    mount::{MountFlags, MountPropagationFlags, UnmountFlags},
};

use crate::{
    Bind,
    identity::Identity,
    skeleton::{Scratch, is_in_memory, make_file, make_in},
    wire::{Failure, Request, Step},
};

/// The overlay takes 500 layers (`OVL_MAX_STACK`); some are ours.
pub(crate) const MOST_LOWERS: usize = 490;

pub(crate) const QUIET: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

/// What is mounted at a place inside.
pub(crate) enum What {
    Proc,
    Dev,
    DevPts,
    Tmpfs {
        options: String,
    },
    Bind {
        source: OwnedFd,
        writable: bool,
        device: bool,
    },
}

pub(crate) struct Place {
    pub(crate) at: RootPath,
    pub(crate) is_folder: bool,
    pub(crate) what: What,
}

/// Makes the root and enters it. Returns `/proc/sys` while it can still be written.
pub(crate) fn enter_root(request: &Request) -> Result<OwnedFd, Failure> {
    let sandbox = &request.sandbox;
    // As the mounter's namespace names the user inside.
    let owner = match request.identity {
        Identity::FromRoot { outside } => outside,
        Identity::Caller { .. } => sandbox.user.id(),
    };
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).step(|| "make mounts private".into())?;

    let lowers = sandbox
        .lowers
        .iter()
        .map(|path| open_folder(path))
        .collect::<Result<Vec<_>, _>>()?;
    let upper = sandbox.upper.as_deref().map(Upper::open).transpose()?;
    let mut places = places(request, owner)?;
    places.sort_by(|one, other| one.at.cmp(&other.at));

    let scratch = Scratch::mount(owner)?;
    let unprivileged = matches!(request.identity, Identity::Caller { .. });
    let mut layers = Layers {
        lowers,
        upper,
        unprivileged,
    };
    layers.mount(&scratch)?;
    let skeleton = scratch.skeleton(&places)?;
    if let Some(skeleton) = skeleton {
        rustix::mount::unmount(scratch.root(), UnmountFlags::DETACH).step(|| "unmount the root".into())?;
        layers.lowers.insert(0, skeleton);
        layers.mount(&scratch)?;
    }
    let root = open_folder(&scratch.root())?;
    for place in &places {
        if is_in_memory(&places, &place.at) {
            make_in(&root, place, owner).step(|| format!("make the mount point {}", place.at))?;
        }
        place.mount(&root)?;
    }
    let sysctl = open_in(&root, &path("/proc/sys"), OFlags::PATH).step(|| "open /proc/sys".into())?;
    rustix::mount::mount_bind(fd_path(&sysctl), fd_path(&sysctl)).step(|| "cover /proc/sys".into())?;
    restrict(&root, &path("/proc/sys"), MountFlags::RDONLY)?;
    restrict(&root, &path("/dev"), MountFlags::RDONLY)?;

    rustix::process::fchdir(&root).step(|| "enter the root".into())?;
    // pivot_root(2), "pivot_root(".", ".")": the old root is stacked on the new one and then detached.
    rustix::process::pivot_root(".", ".").step(|| "change the root".into())?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).step(|| "leave the host's root".into())?;
    rustix::process::chdir("/").step(|| "enter the new root".into())?;
    Ok(sysctl)
}

/// Everything that is mounted over the root, in the order of no matter.
fn places(request: &Request, owner: u32) -> Result<Vec<Place>, Failure> {
    let folder = |at: &str, what| Place {
        at: path(at),
        is_folder: true,
        what,
    };
    // Empty files cost memory too: at most one for each page.
    let size = request.sandbox.limits.tmpfs;
    let size = size.map_or_else(String::new, |size| {
        format!(",size={size},nr_inodes={}", size / 4096 + 16)
    });
    let tmpfs = |mode: &str| What::Tmpfs {
        options: format!("mode={mode},uid={owner},gid={owner}{size}"),
    };
    let mut places = vec![
        folder("/proc", What::Proc),
        folder("/dev", What::Dev),
        folder("/dev/pts", What::DevPts),
        folder("/dev/shm", tmpfs("1777")),
    ];
    for device in ["null", "zero", "full", "random", "urandom", "tty"] {
        let host = PathBuf::from("/dev").join(device);
        let source = open(&host, OFlags::PATH).step(|| format!("open {}", host.display()))?;
        let what = What::Bind {
            source,
            writable: true,
            device: true,
        };
        places.push(Place {
            at: path(&format!("/dev/{device}")),
            is_folder: false,
            what,
        });
    }
    for at in &request.sandbox.tmpfs {
        places.push(Place {
            at: at.clone(),
            is_folder: true,
            what: tmpfs("1777"),
        });
    }
    for Bind {
        host,
        guest,
        writable,
    } in &request.sandbox.binds
    {
        let source = open(host, OFlags::PATH).step(|| format!("open {}", host.display()))?;
        let stat = rustix::fs::fstat(&source).step(|| format!("look at {}", host.display()))?;
        let is_folder = FileType::from_raw_mode(stat.st_mode).is_dir();
        let what = What::Bind {
            source,
            writable: *writable,
            device: false,
        };
        places.push(Place {
            at: guest.clone(),
            is_folder,
            what,
        });
    }
    Ok(places)
}

impl Place {
    /// Mounts it. `root` was opened before anything was mounted in it; walking from it sees what is.
    fn mount(&self, root: &OwnedFd) -> Result<(), Failure> {
        let at = &self.at;
        let step = || format!("mount {at}");
        let target = open_in(root, at, OFlags::PATH).step(|| format!("find the mount point {at}"))?;
        let to = fd_path(&target);
        let mount = |source: &str, kind: &str, flags: MountFlags, options: &str| {
            let options = CString::new(options).expect("options are numbers and names");
            rustix::mount::mount(source, &to, kind, flags, options.as_c_str()).step(step)
        };
        match &self.what {
            What::Proc => mount("proc", "proc", QUIET | MountFlags::NOEXEC, ""),
            What::Dev => {
                mount(
                    "tmpfs",
                    "tmpfs",
                    MountFlags::NOSUID | MountFlags::NOEXEC,
                    "mode=0755,size=64k",
                )?;
                fill_dev(root)
            }
            What::DevPts => {
                let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
                mount("devpts", "devpts", flags, "newinstance,ptmxmode=0666,mode=0620")
            }
            What::Tmpfs { options } => mount("tmpfs", "tmpfs", QUIET, options),
            What::Bind {
                source,
                writable,
                device,
            } => {
                rustix::mount::mount_bind(fd_path(source), &to).step(step)?;
                match (device, writable) {
                    (true, _) => Ok(()),
                    (false, true) => restrict(root, at, QUIET),
                    (false, false) => restrict(root, at, QUIET | MountFlags::RDONLY),
                }
            }
        }
    }
}

/// The layers of the root.
struct Layers {
    lowers: Vec<OwnedFd>,
    upper: Option<Upper>,
    unprivileged: bool,
}

impl Layers {
    fn mount(&self, scratch: &Scratch) -> Result<(), Failure> {
        let root = scratch.root();
        if let ([only], None) = (self.lowers.as_slice(), &self.upper) {
            rustix::mount::mount_bind(fd_path(only), &root).step(|| "mount the root".into())?;
            let at = open_folder(&root)?;
            return restrict(&at, &RootPath::root(), QUIET | MountFlags::RDONLY);
        }
        let numbers: Vec<String> = self.lowers.iter().map(|fd| fd.as_raw_fd().to_string()).collect();
        let mut options = format!(
            "lowerdir={},xino=on,redirect_dir=nofollow,metacopy=off,index=off",
            numbers.join(":")
        );
        let mut flags = QUIET;
        match &self.upper {
            None => flags |= MountFlags::RDONLY,
            Some(Upper { folder, work }) => {
                options += &format!(",upperdir={},workdir={}", folder.as_raw_fd(), work.as_raw_fd());
                if self.unprivileged {
                    // Marks of deleted files go to attributes which an ordinary user may set. Linux 5.11.
                    options += ",userxattr";
                }
            }
        }
        let options = CString::new(options).expect("options are numbers and names");
        // The descriptors' numbers are names in this folder.
        rustix::process::chdir("/proc/self/fd").step(|| "enter /proc/self/fd".into())?;
        rustix::mount::mount("keel", &root, "overlay", flags, options.as_c_str())
            .step(|| format!("mount an overlay of {} folders", self.lowers.len()))
    }
}

struct Upper {
    folder: OwnedFd,
    work: OwnedFd,
}

impl Upper {
    fn open(path: &Path) -> Result<Self, Failure> {
        Ok(Self {
            folder: open_folder(path)?,
            work: open_folder(&work_folder(path))?,
        })
    }
}

/// The overlay's own folder, beside the upper one. The caller makes it before and removes it after.
pub(crate) fn work_folder(upper: &Path) -> PathBuf {
    let mut name = upper.file_name().unwrap_or_default().to_owned();
    name.push(".overlay-work");
    upper.with_file_name(name)
}

/// Device files and their usual links. The mounts of the rest of `/dev` follow.
fn fill_dev(root: &OwnedFd) -> Result<(), Failure> {
    let step = || "fill /dev".to_owned();
    let dev = open_in(root, &path("/dev"), OFlags::DIRECTORY | OFlags::PATH).step(step)?;
    for device in ["null", "zero", "full", "random", "urandom", "tty"] {
        make_file(&dev, Path::new(device)).step(step)?;
    }
    for folder in ["pts", "shm"] {
        rustix::fs::mkdirat(&dev, folder, Mode::from_raw_mode(0o755)).step(step)?;
    }
    for (link, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        rustix::fs::symlinkat(target, &dev, link).step(step)?;
    }
    Ok(())
}

/// Adds flags to those of a mount: a user namespace may not remove any that came from outside (mount_namespaces(7)).
fn restrict(root: &OwnedFd, at: &RootPath, more: MountFlags) -> Result<(), Failure> {
    let step = || format!("restrict {at}");
    let mounted = open_in(root, at, OFlags::PATH).step(step)?;
    let now = rustix::fs::fstatvfs(&mounted).step(step)?.f_flag;
    let mut flags = MountFlags::BIND | more;
    for (has, flag) in [
        (StatVfsMountFlags::RDONLY, MountFlags::RDONLY),
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ] {
        if now.contains(has) {
            flags |= flag;
        }
    }
    rustix::mount::mount_remount(fd_path(&mounted), flags, c"").step(step)
}

/// Opens a path inside the root; links cannot lead out of it.
pub(crate) fn open_in(root: &OwnedFd, at: &RootPath, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let relative = if at.relative().is_empty() {
        "."
    } else {
        at.relative()
    };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    loop {
        match rustix::fs::openat2(root, relative, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            // A rename elsewhere on the machine got in the way of `..` (openat2(2)).
            Err(Errno::AGAIN) => {}
            done => return done,
        }
    }
}

fn open(path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())
}

pub(crate) fn open_folder(path: &Path) -> Result<OwnedFd, Failure> {
    open(path, OFlags::PATH | OFlags::DIRECTORY).step(|| format!("open the folder {}", path.display()))
}

pub(crate) fn fd_path(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

fn path(text: &str) -> RootPath {
    text.parse().expect("a constant root path")
}
