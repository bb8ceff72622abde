//! The one list of programs that Keel runs.

use std::path::{Path, PathBuf};

use keel_artefact::{Arch, Interrupt};
use keel_sandbox::{Exit, Run, Sandbox, Stdin};

use crate::Error;

/// Where programs of a Debian system are. The caller's `PATH` is not asked.
const FOLDERS: [&str; 6] = [
    "/usr/bin",
    "/usr/sbin",
    "/bin",
    "/sbin",
    "/usr/local/bin",
    "/usr/lib/qemu",
];

/// A program that Keel did not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Program {
    /// Makes the Debian root. Of the machine.
    Mmdebstrap,
    /// Lets an ordinary user's mmdebstrap use subordinate ids. Of the machine.
    Newuidmap,
    /// Gives mmdebstrap namespaces of its own. Of the machine.
    Unshare,
    /// Fetches commits and reads histories. Of the machine.
    Git,
    /// Lists folders in a random order. Of the machine.
    Disorderfs,
    /// A virtual machine. Of the machine.
    Qemu(Arch),
    /// A TPM for it. Of the machine.
    Swtpm,
    /// Tells what differs between two files. Of the machine, in a sandbox.
    Diffoscope,
    /// `ldconfig`, in the root it is for.
    Ldconfig,
    /// `mkfs.erofs`, in stage0.
    MkfsErofs,
    /// `fsck.erofs`, in stage0.
    FsckErofs,
    /// `mksquashfs`, in stage0.
    Mksquashfs,
    /// `xorriso`, in stage0.
    Xorriso,
    /// `mke2fs`, in stage0.
    Mke2fs,
    /// `debugfs`, in stage0.
    Debugfs,
    /// `e2fsck`, in stage0.
    E2fsck,
    /// `rpm`, in stage0.
    Rpm,
    /// `rpmbuild`, in a build root.
    Rpmbuild,
}

impl Program {
    /// The name of its executable.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mmdebstrap => "mmdebstrap",
            Self::Newuidmap => "newuidmap",
            Self::Unshare => "unshare",
            Self::Git => "git",
            Self::Disorderfs => "disorderfs",
            Self::Qemu(Arch::X86_64) => "qemu-system-x86_64",
            Self::Qemu(Arch::Aarch64) => "qemu-system-aarch64",
            Self::Swtpm => "swtpm",
            Self::Diffoscope => "diffoscope",
            Self::Ldconfig => "ldconfig",
            Self::MkfsErofs => "mkfs.erofs",
            Self::FsckErofs => "fsck.erofs",
            Self::Mksquashfs => "mksquashfs",
            Self::Xorriso => "xorriso",
            Self::Mke2fs => "mke2fs",
            Self::Debugfs => "debugfs",
            Self::E2fsck => "e2fsck",
            Self::Rpm => "rpm",
            Self::Rpmbuild => "rpmbuild",
        }
    }

    /// The Debian package that has it.
    pub fn debian_package(self) -> &'static str {
        match self {
            Self::Mmdebstrap => "mmdebstrap",
            Self::Newuidmap => "uidmap",
            Self::Unshare => "util-linux",
            Self::Git => "git",
            Self::Disorderfs => "disorderfs",
            Self::Qemu(Arch::X86_64) => "qemu-system-x86",
            Self::Qemu(Arch::Aarch64) => "qemu-system-arm",
            Self::Swtpm => "swtpm",
            Self::Diffoscope => "diffoscope",
            Self::Ldconfig => "libc-bin",
            Self::MkfsErofs | Self::FsckErofs => "erofs-utils",
            Self::Mksquashfs => "squashfs-tools",
            Self::Xorriso => "xorriso",
            Self::Mke2fs | Self::Debugfs | Self::E2fsck => "e2fsprogs",
            Self::Rpm | Self::Rpmbuild => "rpm",
        }
    }

    /// Where it is on this machine.
    pub fn find(self) -> Result<PathBuf, Error> {
        let candidates = FOLDERS.iter().map(|folder| Path::new(folder).join(self.name()));
        candidates
            .into_iter()
            .find(|path| path.is_file())
            .ok_or_else(|| Error::NotFound {
                program: self.name().to_owned(),
                package: self.debian_package(),
            })
    }

    /// Runs it in a sandbox, with its output captured; any code but 0 is an error that shows what it said.
    pub(crate) fn run_in(
        self,
        sandbox: &Sandbox,
        arguments: &[String],
        interrupt: &Interrupt,
    ) -> Result<Exit, Error> {
        self.run_fed(sandbox, arguments, Stdin::Null, interrupt)
    }

    /// The same, and what it reads.
    pub(crate) fn run_fed(
        self,
        sandbox: &Sandbox,
        arguments: &[String],
        stdin: Stdin,
        interrupt: &Interrupt,
    ) -> Result<Exit, Error> {
        let mut argv = vec![self.name().to_owned()];
        argv.extend_from_slice(arguments);
        let run = Run {
            stdin,
            ..Run::captured(argv.clone())
        };
        match keel_sandbox::run(sandbox, run, interrupt) {
            Ok(exit) if exit.success() => Ok(exit),
            Ok(exit) => {
                let said = if exit.stderr.is_empty() {
                    &exit.stdout
                } else {
                    &exit.stderr
                };
                Err(Error::failed_with(self, &argv, exit.status, said))
            }
            Err(keel_sandbox::Error::Exec { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                Err(Error::NotInStage0 {
                    program: self.name(),
                    package: self.debian_package(),
                })
            }
            Err(error) => Err(error.into()),
        }
    }
}
