//! Images beside other builders': `conformance image-peers --keel FILE --store DIR` makes a container and a disk of the same
//! packages with Keel, with dnf (and umoci), and with mkosi, one after the other in turn, and compares.
//!
//! 1. The peers are Debian trixie's, in a root of their own (`mmdebstrap`), which is kept in `target/peers`.
//! 2. The packages are Keel's: `keel repo create` of a copy of `distro/`, in a store of hard links to DIR. dnf and mkosi install the
//!    very packages that Keel chose, from that repository on this disk; their metadata is read before the first round.
//! 3. Times are those of whole commands; Keel's own ("composing") is what it says of the image alone, without looking whether
//!    packages are up to date. Layers of containers, which Keel keeps, are forgotten before each round, and then it is done again with them.
//! 4. dnf and mkosi also run with `eatmydata`: without waiting for the disk.
//!
//! What is not alike: Keel also writes bills of materials, a lock, signed provenance and digests, reads every file system back, and
//! audits the tree; its disk starts by UEFI. mkosi's has the same root as ext4 and an empty EFI system partition; a package that it asks
//! for by a name of its own, and `depmod`, are stand-ins.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::options::Options;

/// What the peers are.
const PACKAGES: &str =
    "mkosi,dnf,umoci,eatmydata,systemd-repart,e2fsprogs,dosfstools,mtools,createrepo-c,rpm,cpio,kmod,uidmap";
/// Debian's archive keys.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// The bar: so many times as fast.
const BAR: f64 = 5.0;

/// The root as the root of a mount namespace: mkosi wants one that can be shared and left. `$1` is the root, `$2` the repository.
const ENTER: &str = "set -e; mount --bind \"$1\" \"$1\"; cd \"$1\"; mkdir -p usr/share/peers/repo old; \
    mount --bind \"$2\" usr/share/peers/repo; mount -t proc proc proc; mount --rbind /dev dev; mount --rbind /sys sys; \
    pivot_root . old; umount -l /old; exec /bin/sh -ec \"$3\"";

/// Definitions of the copy that the real tree has not.
const IMAGES: [(&str, &str); 1] = [("peer-disk", "inherits = \"vm\"\nformats.replace = [\"raw\"]\n")];

struct Bench {
    keel: PathBuf,
    store: PathBuf,
    tree: PathBuf,
    root: PathBuf,
}

/// One way to make something, and its seconds in each round.
struct Row {
    what: &'static str,
    how: &'static str,
    seconds: Vec<f64>,
}

/// Makes, and compares.
pub fn run(mut options: Options) -> Result<()> {
    let keel = (options.value("--keel")?).unwrap_or_else(|| "target/release/keel".to_owned());
    let store = options.required("--store")?;
    let mirror = (options.value("--mirror")?).unwrap_or_else(|| "http://deb.debian.org/debian".to_owned());
    let rounds = options.parsed::<usize>("--rounds")?.unwrap_or(3).max(1);
    if let Some(word) = options.words()?.first() {
        bail!("`{word}` is not understood here");
    }
    let kept = fs::canonicalize("target").context("no folder `target`: run this where Keel was built")?;
    let kept = kept.join("peers");
    fs::create_dir_all(&kept)?;
    let work = tempfile::tempdir_in(&kept)?;
    let bench = Bench {
        keel: fs::canonicalize(&keel).with_context(|| format!("there is no {keel}"))?,
        store: work.path().join("store"),
        tree: work.path().join("tree"),
        root: kept.join("root"),
    };
    bench.lay_out(&store, &mirror)?;
    let mut rows = Vec::new();
    for round in 0..=rounds {
        for (at, (what, how, seconds)) in bench.round()?.into_iter().enumerate() {
            // The first reads what is read once: metadata, files that are not in memory.
            match round {
                0 => rows.push(Row {
                    what,
                    how,
                    seconds: Vec::new(),
                }),
                _ => rows[at].seconds.push(seconds),
            }
        }
    }
    bench.same_packages()?;
    report(&rows)
}

impl Bench {
    fn lay_out(&self, store: &str, mirror: &str) -> Result<()> {
        if !self.root.join("usr/bin/mkosi").exists() {
            let half = self.root.with_extension("new");
            if half.exists() {
                fs::remove_dir_all(&half)?;
            }
            let line = format!("deb [signed-by={KEYRING}] {mirror} trixie main");
            let include = format!("--include={PACKAGES}");
            let mut make = Command::new("mmdebstrap");
            make.args(["--quiet", "--mode=root", "--variant=apt", &include, "trixie"]);
            done(make.arg(&half).arg(line))?;
            fs::rename(&half, &self.root)?;
        }
        done(Command::new("cp").args(["-al", store]).arg(&self.store))?;
        done(Command::new("cp").args(["-a", "distro"]).arg(&self.tree))?;
        for (name, definition) in IMAGES {
            fs::write(self.tree.join(format!("images/{name}.image.toml")), definition)?;
            let image = format!(
                "[images.{name}]\ndefinition = {{ type = \"keel\", path = \"{name}.image.toml\" }}\n\
                 capabilities = {{ machine-bootable = true, systemd = true }}\n"
            );
            fs::write(self.tree.join(format!("images/{name}.toml")), image)?;
        }
        self.keel(&["repo", "create"])?;
        for image in ["core", "peer-disk"] {
            self.keel(&["image", "build", image])?;
        }
        self.configure()
    }

    /// What the peers are told.
    fn configure(&self) -> Result<()> {
        let at = |path: &str| self.root.join(path);
        for folder in [
            "work/mkosi/sandbox/etc/yum.repos.d",
            "work/mkosi/skeleton/usr/bin",
            "work/mkosi/mkosi.repart",
            "work/extra",
            "work/cache",
            "work/out",
            "work/space",
            "usr/share/distribution-gpg-keys",
            "etc/yum.repos.d",
        ] {
            fs::create_dir_all(at(folder))?;
        }
        let repository = |name: &str, folder: &str| {
            format!(
                "[{name}]\nname={name}\nbaseurl=file:///usr/share/peers/{folder}\ngpgcheck=0\nenabled=1\n"
            )
        };
        fs::write(at("etc/yum.repos.d/keel.repo"), repository("keel", "repo"))?;
        let both = repository("keel", "repo") + &repository("extra", "extra");
        fs::write(at("work/mkosi/sandbox/etc/yum.repos.d/mkosi.repo"), both)?;
        // mkosi wants a key to be there, though nothing is checked with it.
        fs::write(at("usr/share/distribution-gpg-keys/MICROSOFT-RPM-GPG-KEY"), "")?;
        let depmod = at("work/mkosi/skeleton/usr/bin/depmod");
        fs::write(&depmod, "#!/bin/sh\nexit 0\n")?;
        done(Command::new("chmod").arg("755").arg(depmod))?;
        let spec = "Name: azurelinux-release\nVersion: 3\nRelease: 1\nSummary: A stand-in\nLicense: MIT\nBuildArch: noarch\n%description\nA stand-in.\n%files\n";
        fs::write(at("work/stand-in.spec"), spec)?;
        self.peer("rpmbuild -bb --quiet --define '_topdir /work/rpmbuild' /work/stand-in.spec; mkdir -p /usr/share/peers/extra; \
                   cp /work/rpmbuild/RPMS/noarch/*.rpm /usr/share/peers/extra; createrepo_c -q /usr/share/peers/extra")?;
        for image in ["core", "peer-disk"] {
            fs::write(
                at(&format!("work/{image}.list")),
                self.packages(image)?.join("\n"),
            )?;
        }
        let packages: String = (self.packages("peer-disk")?.iter())
            .map(|name| format!("    {name}\n"))
            .collect();
        let settings = format!(
            "[Distribution]\nDistribution=azure\nRelease=3.0\nArchitecture=x86-64\nRepositoryKeyCheck=no\n\
             [Output]\nOutputDirectory=/work/out\n\
             [Build]\nSandboxTrees=/work/mkosi/sandbox\nCacheDirectory=/work/cache\nWorkspaceDirectory=/work/space\n\
             [Content]\nSkeletonTrees=/work/mkosi/skeleton\nBootable=no\nCleanPackageMetadata=no\nPackages=\n{packages}"
        );
        fs::write(at("work/mkosi/mkosi.conf"), settings)?;
        fs::write(
            at("work/mkosi/mkosi.repart/00-esp.conf"),
            "[Partition]\nType=esp\nFormat=vfat\nSizeMinBytes=64M\nSizeMaxBytes=64M\n",
        )?;
        fs::write(
            at("work/mkosi/mkosi.repart/10-root.conf"),
            "[Partition]\nType=root\nFormat=ext4\nCopyFiles=/\nSizeMinBytes=1900M\n",
        )?;
        Ok(())
    }

    /// The packages that Keel chose, as NAME-VERSION-RELEASE.ARCH.
    fn packages(&self, image: &str) -> Result<Vec<String>> {
        let lock = fs::read_to_string(self.tree.join(format!("out/images/{image}/image.lock")))?;
        let names = lock
            .lines()
            .filter_map(|line| line.strip_prefix('"')?.split_once('"'));
        Ok(names.map(|(name, _)| name.to_owned()).collect())
    }

    /// Everything once.
    fn round(&self) -> Result<Vec<(&'static str, &'static str, f64)>> {
        let mut all = Vec::new();
        let keel = |image: &str, what, forget: bool, all: &mut Vec<_>| -> Result<()> {
            let layers = self.store.join("actions/layer");
            if forget && layers.exists() {
                fs::remove_dir_all(&layers)?;
            }
            let out = self.tree.join("out/images").join(image);
            fs::remove_dir_all(out)?;
            let started = Instant::now();
            let said = self.keel(&["image", "build", image])?;
            let whole = started.elapsed().as_secs_f64();
            let (first, second) = match (image, forget) {
                ("core", true) => ("keel", "keel, composing"),
                ("core", false) => (
                    "keel, with the layers of before",
                    "keel, composing, with the layers of before",
                ),
                _ => ("keel", "keel, composing"),
            };
            all.push((what, first, whole));
            all.push((what, second, composing(&said).unwrap_or(whole)));
            Ok(())
        };
        keel("core", "container", true, &mut all)?;
        keel("core", "container", false, &mut all)?;
        keel("peer-disk", "disk", false, &mut all)?;
        let dnf = |prefix: &str| {
            format!(
                "rm -rf /work/tree /work/oci; mkdir /work/tree; {prefix} dnf -y -q --installroot=/work/tree --setopt=reposdir=/etc/yum.repos.d \
                 --setopt=cachedir=/work/dnf --setopt=install_weak_deps=0 --setopt=metadata_expire=-1 --releasever=1 --nogpgcheck install \
                 $(cat /work/core.list) >/dev/null 2>&1"
            )
        };
        let umoci = "umoci init --layout /work/oci; umoci new --image /work/oci:core; umoci insert --image /work/oci:core /work/tree / >/dev/null 2>&1";
        let mkosi = |prefix: &str, format: &str| {
            format!(
                "cd /work/mkosi; rm -rf /work/out/*; {prefix} mkosi --force --format={format} build >/work/mkosi.log 2>&1 || {{ tail -20 /work/mkosi.log >&2; exit 1; }}"
            )
        };
        for (what, how, script) in [
            ("container", "dnf, umoci", format!("{}; {umoci}", dnf(""))),
            (
                "container",
                "dnf, umoci, eatmydata",
                format!("{}; {umoci}", dnf("eatmydata")),
            ),
            ("disk", "mkosi", mkosi("", "disk")),
            ("disk", "mkosi, eatmydata", mkosi("eatmydata", "disk")),
        ] {
            let started = Instant::now();
            self.peer(&script)?;
            all.push((what, how, started.elapsed().as_secs_f64()));
        }
        Ok(all)
    }

    /// dnf installed what Keel chose.
    fn same_packages(&self) -> Result<()> {
        self.peer("rpm --root /work/tree -qa --qf '%{NEVRA}\\n' | sort > /work/installed; sort /work/core.list > /work/wanted; \
                   diff /work/wanted /work/installed >&2")
            .context("dnf installed other packages than Keel")
            .map(drop)
    }

    fn keel(&self, arguments: &[&str]) -> Result<String> {
        let mut keel = Command::new(&self.keel);
        keel.arg("-C").arg(&self.tree).arg("--cache-dir").arg(&self.store);
        done(keel.args(arguments))
    }

    /// Runs a script in the peers' root.
    fn peer(&self, script: &str) -> Result<String> {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", ENTER, "sh"]);
        command.arg(&self.root).arg(self.tree.join("out/repo/x86_64/os"));
        done(command.arg(script))
    }
}

/// `Composed image core in 0.2 s`.
fn composing(said: &str) -> Option<f64> {
    let (_, rest) = said.split_once("Composed image ")?;
    rest.split_whitespace().nth(2)?.parse().ok()
}

fn report(rows: &[Row]) -> Result<()> {
    println!("seconds; medians of {} rounds", rows[0].seconds.len());
    println!("{:10} {:44} {:>8} {:>7}", "what", "how", "seconds", "times");
    let mut below = Vec::new();
    for what in ["container", "disk"] {
        let of: Vec<(&Row, f64)> = (rows.iter().filter(|row| row.what == what))
            .map(|row| (row, median(&row.seconds)))
            .collect();
        let keel = of
            .iter()
            .find(|(row, _)| row.how == "keel")
            .map_or(f64::NAN, |(_, seconds)| *seconds);
        let peers = of.iter().filter(|(row, _)| !row.how.starts_with("keel"));
        let fastest = peers.map(|(_, seconds)| *seconds).fold(f64::INFINITY, f64::min);
        for (row, seconds) in &of {
            println!("{what:10} {:44} {seconds:8.2} {:6.1}x", row.how, seconds / keel);
        }
        if fastest / keel < BAR {
            below.push(format!("{what}: {:.1}", fastest / keel));
        }
    }
    ensure!(
        below.is_empty(),
        "not {BAR} times as fast as the fastest peer: {}",
        below.join(", ")
    );
    Ok(())
}

fn median(seconds: &[f64]) -> f64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Runs it; what it said, or an error with the end of that.
fn done(command: &mut Command) -> Result<String> {
    let program = Path::new(command.get_program()).display().to_string();
    let output = command
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.success(),
        "{program} failed ({}):\n{said}",
        output.status
    );
    Ok(said)
}
