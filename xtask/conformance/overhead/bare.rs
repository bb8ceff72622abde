//! rpmbuild alone: in a root that was extracted once, entered by bubblewrap, with the same macros, flags and environment.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use keel_host::stage0::Stage0;

use super::{Took, samples::Sample};

/// What rpmbuild is told, as Keel tells it; but the source package is made in the same run, as everybody does.
const SCRIPT: &str = "umask 022; start=$(date +%s%N); rpmbuild -ba --nodeps --noclean --target=x86_64-linux --define '_topdir /build' \
    --define \"_smp_build_ncpus $(nproc)\" --define '_smp_ncpus_max 0' \"$1\" > /build/log 2>&1 || { tail -20 /build/log >&2; exit 1; }; \
    end=$(date +%s%N); echo $((end - start)); times";

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

    /// Builds it; gives how long rpmbuild took, from its start to its end, and the processor time of all below it.
    pub fn build(&self, sample: &Sample, tree: &Path) -> Result<Took> {
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
        times(&String::from_utf8(output.stdout)?).context("no times from the root")
    }
}

/// What [`SCRIPT`] prints: nanoseconds; then, by `times` (sh(1)), a line of the shell itself and one of its children: `0m1.5s 0m0.3s`.
fn times(printed: &str) -> Option<Took> {
    let mut lines = printed.lines();
    let nanoseconds: f64 = lines.next()?.parse().ok()?;
    let words = lines.nth(1)?.split(' ').map(|word| {
        let (minutes, seconds) = word.strip_suffix('s')?.split_once('m')?;
        Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
    });
    Some(Took {
        wall: nanoseconds / 1e9,
        cpu: words.sum::<Option<f64>>()?,
    })
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

#[cfg(test)]
mod tests {
    use super::times;

    #[test]
    fn times_of_a_shell_are_read() {
        let took = times("1500000000\n0m0.00s 0m0.01s\n1m2.50s 0m0.25s\n").unwrap();
        assert!((took.wall - 1.5).abs() < 1e-9 && (took.cpu - 62.75).abs() < 1e-9);
        assert!(times("1500000000\n").is_none() && times("x").is_none());
    }
}
