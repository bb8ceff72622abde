//! rpmbuild alone: in a root that was extracted once, entered by bubblewrap, with the same macros, flags and environment.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use keel_host::stage0::Stage0;

use super::samples::Sample;

/// What rpmbuild is told, as Keel tells it; but the source package is made in the same run, as everybody does.
const SCRIPT: &str = "umask 022; start=$(date +%s%N); rpmbuild -ba --nodeps --noclean --target=x86_64-linux --define '_topdir /build' \
    --define \"_smp_build_ncpus $(nproc)\" --define '_smp_ncpus_max 0' \"$1\" > /build/log 2>&1 || { tail -20 /build/log >&2; exit 1; }; \
    end=$(date +%s%N); echo $((end - start))";

/// The root.
pub struct Bare {
    root: PathBuf,
    work: PathBuf,
}

impl Bare {
    /// Extracts stage0 with Debian's libc, and the macros of the fixture, into `folder`.
    pub fn lay_out(stage0: &Stage0, macros: &[u8], folder: &Path) -> Result<Self> {
        let root = folder.join("root");
        fs::create_dir_all(&root)?;
        for layer in stage0.build_lowers(true).iter().rev() {
            copy(layer, &root)?;
        }
        let rpm = root.join("usr/lib/rpm");
        fs::create_dir_all(rpm.join("vendor"))?;
        fs::write(rpm.join("macros.d/macros.00-macros.fixture"), macros)?;
        fs::write(rpm.join("vendor/macros"), macros)?;
        let work = folder.join("work");
        Ok(Self { root, work })
    }

    /// Packages that others need to be built.
    pub fn add(&self, package: &Path) -> Result<()> {
        let unpacked = tempfile::tempdir()?;
        keel_rpm::unpack(package, unpacked.path())?;
        copy(unpacked.path(), &self.root)
    }

    /// Builds it; gives how long rpmbuild took, from its start to its end.
    pub fn build(&self, sample: &Sample, tree: &Path) -> Result<Duration> {
        if self.work.exists() {
            fs::remove_dir_all(&self.work)?;
        }
        for folder in ["BUILD", "BUILDROOT", "RPMS", "SRPMS", "SOURCES", "SPECS"] {
            fs::create_dir_all(self.work.join(folder))?;
        }
        let (name, from) = (&sample.name, tree.join("specs").join(&sample.name));
        let spec = format!("SPECS/{name}.spec");
        fs::copy(from.join(format!("{name}.spec")), self.work.join(&spec))?;
        for (file, _) in &sample.sources {
            fs::copy(from.join(file), self.work.join("SOURCES").join(file))?;
        }
        let mut command = Command::new("bwrap");
        command.args([
            "--unshare-all",
            "--die-with-parent",
            "--uid",
            "1000",
            "--gid",
            "1000",
            "--clearenv",
        ]);
        for (variable, value) in [
            ("HOME", "/build"),
            ("PATH", "/usr/bin:/usr/sbin"),
            ("LANG", "C.UTF-8"),
            ("LC_ALL", "C.UTF-8"),
            ("TZ", "UTC"),
            ("SOURCE_DATE_EPOCH", "1767225600"),
        ] {
            command.args(["--setenv", variable, value]);
        }
        command
            .arg("--ro-bind")
            .arg(&self.root)
            .arg("/")
            .arg("--bind")
            .arg(&self.work)
            .arg("/build");
        command.args([
            "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/var/tmp", "--chdir", "/build",
        ]);
        command.args(["sh", "-c", SCRIPT, "sh", &format!("/build/{spec}")]);
        let output = command
            .output()
            .context("cannot run bwrap (Debian's package `bubblewrap`)")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "rpmbuild alone cannot build `{name}`:\n{said}"
        );
        let nanoseconds = String::from_utf8(output.stdout)?;
        let nanoseconds = nanoseconds.trim().parse().context("no time from the root")?;
        Ok(Duration::from_nanos(nanoseconds))
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut command = Command::new("cp");
    command
        .args(["-a", "--remove-destination", "--"])
        .arg(from.join("."))
        .arg(to);
    ensure!(
        command.status().context("cannot run cp")?.success(),
        "cannot copy {}",
        from.display()
    );
    Ok(())
}
