//! What the target's root is made of: one description, for the files that macros read ([`super::files`]) and for the
//! commands that they run ([`super::commands`]), so that both see the same.

use std::{
    io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use keel_artefact::RootPath;
use keel_sandbox::{Bind, Sandbox};

use super::{Error, Options, Root};

/// What is mounted where.
#[derive(Debug, Clone)]
pub(super) struct Guest {
    /// The root's folders, the top first; none: there is no root.
    pub(super) lowers: Vec<PathBuf>,
    /// Files and folders of the host, read-only.
    pub(super) binds: Vec<(PathBuf, RootPath)>,
    /// Empty and writable, for the commands of one SPEC.
    pub(super) memory: Vec<RootPath>,
}

/// Of the host's `/etc`, what programs need to start, and nothing that says who lives here.
const FROM_ETC: [&str; 5] = ["alternatives", "java", "ld.so.cache", "perl", "rpm"];

/// What lies in the root where the host's has users, keys and addresses.
const ETC: [(&str, &str); 3] = [
    (
        "passwd",
        "root:x:0:0:root:/root:/bin/sh\nbuilder:x:1000:1000:builder:/tmp:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    ),
    ("group", "root:x:0:\nbuilder:x:1000:\nnobody:x:65534:\n"),
    ("hosts", "127.0.0.1 localhost\n::1 localhost\n"),
];

const TOP: [&str; 6] = ["bin", "lib", "lib32", "lib64", "libx32", "sbin"];

impl Guest {
    pub(super) fn new(options: &Options) -> Result<Self, Error> {
        let mut guest = Self {
            lowers: Vec::new(),
            binds: Vec::new(),
            memory: Vec::new(),
        };
        match &options.root {
            Root::Nothing => {}
            Root::Folder(folder) => guest.add_layer(folder)?,
            Root::Layers(folders) => {
                for folder in folders {
                    guest.add_layer(folder)?;
                }
            }
            Root::Host { cache } => guest.add_host(cache)?,
        }
        let temporary = ["/tmp", "/var/tmp"].map(|path| path.parse().expect("a constant root path"));
        for path in temporary.iter().chain(&options.writable) {
            if path.as_str() == "/" || path.as_str() == "/usr" {
                return Err(Error::Writable(path.clone()));
            }
            if !guest.memory.contains(path) {
                guest.memory.push(path.clone());
            }
        }
        for folder in &options.readable {
            let error = |source| Error::root(folder, source);
            let host = folder.canonicalize().map_err(error)?;
            let guest_path = folder.to_str().and_then(|text| text.parse().ok());
            let guest_path: RootPath =
                guest_path.ok_or_else(|| error(io::Error::other("it is not an absolute, plain path")))?;
            if guest_path.as_str() == "/" || host == Path::new("/") {
                return Err(error(io::Error::other("it is the host's own root")));
            }
            guest.binds.push((host, guest_path));
        }
        Ok(guest)
    }

    fn add_layer(&mut self, folder: &Path) -> Result<(), Error> {
        let real = folder
            .canonicalize()
            .map_err(|source| Error::root(folder, source))?;
        if real == Path::new("/") {
            return Err(Error::root(
                folder,
                io::Error::other("it is the host's own, with all that is in it"),
            ));
        }
        self.lowers.push(real);
        Ok(())
    }

    /// The host's programs under a root of our own.
    fn add_host(&mut self, cache: &Path) -> Result<(), Error> {
        let skeleton = cache.join("host-root-1");
        make_skeleton(&skeleton).map_err(|source| Error::root(&skeleton, source))?;
        self.lowers.push(skeleton);
        let mut bind = |path: String| {
            if let (Ok(host), Ok(guest)) = (Path::new(&path).canonicalize(), path.parse()) {
                self.binds.push((host, guest));
            }
        };
        bind("/usr".to_owned());
        // A host whose /usr is not merged.
        for name in TOP.iter().filter(|name| {
            Path::new("/")
                .join(name)
                .symlink_metadata()
                .is_ok_and(|it| it.is_dir())
        }) {
            bind(format!("/{name}"));
        }
        for name in FROM_ETC {
            bind(format!("/etc/{name}"));
        }
        Ok(())
    }

    /// The sandbox that shows it; it has no limits yet.
    pub(super) fn sandbox(&self) -> Option<Sandbox> {
        if self.lowers.is_empty() {
            return None;
        }
        let mut sandbox = Sandbox::new(self.lowers.clone());
        sandbox.tmpfs.clone_from(&self.memory);
        let bind = |(host, guest): &(PathBuf, RootPath)| Bind {
            host: host.clone(),
            guest: guest.clone(),
            writable: false,
        };
        sandbox.binds = self.binds.iter().map(bind).collect();
        Some(sandbox)
    }
}

/// The same bytes every time, so whoever finishes first wins and the others use it.
fn make_skeleton(at: &Path) -> io::Result<()> {
    if at.is_dir() {
        return Ok(());
    }
    let parent = at.parent().ok_or_else(|| io::Error::other("it has no parent"))?;
    fs_err::create_dir_all(parent)?;
    let new = parent.join(format!(".host-root.{}", std::process::id()));
    if new.exists() {
        fs_err::remove_dir_all(&new)?;
    }
    for folder in ["dev", "etc", "proc", "root", "tmp", "usr", "var/tmp"] {
        fs_err::create_dir_all(new.join(folder))?;
    }
    for (name, text) in ETC {
        fs_err::write(new.join("etc").join(name), text)?;
    }
    symlink("../usr/lib/os-release", new.join("etc/os-release"))?;
    // Mount points; a root that lacks them would need an overlay.
    for name in FROM_ETC {
        match fs_err::metadata(Path::new("/etc").join(name)) {
            Ok(it) if it.is_dir() => fs_err::create_dir(new.join("etc").join(name))?,
            Ok(_) => fs_err::write(new.join("etc").join(name), "")?,
            Err(_) => {}
        }
    }
    for name in TOP {
        match fs_err::read_link(Path::new("/").join(name)) {
            Ok(target) => symlink(target, new.join(name))?,
            Err(_) if Path::new("/").join(name).is_dir() => fs_err::create_dir(new.join(name))?,
            Err(_) => {}
        }
    }
    match fs_err::rename(&new, at) {
        Err(_) if at.is_dir() => fs_err::remove_dir_all(&new),
        done => done,
    }
}
