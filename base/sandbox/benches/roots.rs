//! How long it takes until a build root of 150 packages is ready: Keel's, a mount of 150 trees, beside bubblewrap's over one
//! extracted tarball of the same files, in the same run. Prints medians; run as root it measures an ordinary user, too.
//!
//! `cargo bench -p keel-sandbox --bench roots` (on Debian, with the package `bubblewrap`).

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a benchmark

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use keel_artefact::Interrupt;
use keel_sandbox::{Run, Sandbox, hand_over, run};

const PACKAGES: usize = 150;
const ROUNDS: usize = 41;
/// Of whoever is nobody else here.
const USER: &str = "65533";
/// In the environment of the second process: where the trees are.
const PLACE: &str = "KEEL_BENCH_ROOTS";

fn main() {
    if let Some(place) = std::env::var_os(PLACE) {
        return measure("an ordinary user", Path::new(&place));
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (count, files) = lay_out(folder.path());
    println!("{count} packages of this machine, {files} files");
    measure("root", folder.path());
    // The trees belong to the sandbox's user of root; for another they are only to be read, which is enough.
    let status = Command::new("setpriv")
        .args(["--reuid", USER, "--regid", USER, "--clear-groups"])
        .arg(std::env::current_exe().unwrap())
        .env(PLACE, folder.path())
        .status();
    assert!(status.unwrap().success());
}

/// A tree for each package, and all of them in one folder and in one tarball.
fn lay_out(folder: &Path) -> (usize, usize) {
    let listed = Command::new("dpkg-query")
        .args(["-W", "-f", "${Essential} ${binary:Package} ${Installed-Size}\n"])
        .output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    let mut packages: Vec<(bool, &str)> = listed
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (essential, name, size) = (words.next()?, words.next()?, words.next()?);
            let small = size.parse::<u64>().ok()? < 20_000;
            small.then_some((
                essential != "yes" && !["libc6:amd64", "libtinfo6:amd64"].contains(&name),
                name,
            ))
        })
        .collect();
    packages.sort();
    packages.truncate(PACKAGES);
    let (trees, whole) = (folder.join("trees"), folder.join("whole"));
    let mut files = 0;
    for (number, (_, package)) in packages.iter().enumerate() {
        let tree = trees.join(format!("{number:03}"));
        base(&tree);
        let list = Command::new("dpkg")
            .args(["-L", package])
            .output()
            .unwrap()
            .stdout;
        for path in String::from_utf8_lossy(&list).lines() {
            files += usize::from(copy(path, &tree).is_ok());
        }
        hand_over(&tree).unwrap();
        let copied = Command::new("cp")
            .args(["-a", "--"])
            .arg(tree.join("."))
            .arg(&whole)
            .status();
        assert!(copied.unwrap().success());
    }
    for place in ["proc", "dev", "tmp"] {
        fs::create_dir(whole.join(place)).unwrap();
    }
    let tarball = folder.join("whole.tar");
    let packed = Command::new("tar")
        .arg("-cf")
        .arg(&tarball)
        .arg("-C")
        .arg(&whole)
        .arg(".")
        .status();
    assert!(packed.unwrap().success());
    (packages.len(), files)
}

fn base(tree: &Path) {
    fs::create_dir_all(tree.join("usr")).unwrap();
    for link in ["bin", "sbin", "lib", "lib64"] {
        fs::create_dir_all(tree.join("usr").join(link)).unwrap();
        symlink(format!("usr/{link}"), tree.join(link)).unwrap();
    }
}

fn copy(path: &str, tree: &Path) -> io::Result<()> {
    let from = Path::new(path);
    // Merged /usr: what the list calls /lib is /usr/lib.
    let parent = fs::canonicalize(from.parent().unwrap_or(from))?;
    let to = tree.join(parent.strip_prefix("/").unwrap_or(&parent));
    let metadata = fs::symlink_metadata(from)?;
    if metadata.is_dir() || !parent.starts_with("/usr") && !parent.starts_with("/etc") {
        return Err(io::ErrorKind::Unsupported.into());
    }
    fs::create_dir_all(&to)?;
    let to = to.join(from.file_name().unwrap_or_default());
    if metadata.is_symlink() {
        symlink(fs::read_link(from)?, to)
    } else {
        fs::copy(from, to).map(drop)
    }
}

fn measure(who: &str, folder: &Path) {
    let mut trees: Vec<PathBuf> = fs::read_dir(folder.join("trees"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    trees.sort();
    let sandbox = Sandbox::new(trees);
    let keel = median(|| {
        let exit = run(&sandbox, Run::captured(["true"]), &Interrupt::default()).unwrap();
        assert!(exit.success(), "{}", String::from_utf8_lossy(&exit.stderr));
    });
    let bubblewrap = median(|| {
        let mut command = Command::new("bwrap");
        command
            .args(["--unshare-all", "--die-with-parent", "--ro-bind"])
            .arg(folder.join("whole"))
            .arg("/");
        command.args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "true"]);
        assert!(command.stderr(Stdio::inherit()).status().unwrap().success());
    });
    // What a tool without layers pays whenever the set of packages changes.
    let started = Instant::now();
    let again = tempfile::tempdir().unwrap();
    let unpacked = Command::new("tar")
        .arg("-xf")
        .arg(folder.join("whole.tar"))
        .arg("-C")
        .arg(again.path())
        .status();
    assert!(unpacked.unwrap().success());
    let unpacking = started.elapsed();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "{who}: root ready and `true` ended in it: keel {:.1} ms, bubblewrap {:.1} ms over what was extracted (in {:.0} ms); ratio {:.2}, \
         with the extraction {:.3}",
        ms(keel),
        ms(bubblewrap),
        ms(unpacking),
        ms(keel) / ms(bubblewrap),
        ms(keel) / ms(bubblewrap + unpacking),
    );
}

fn median(mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            work();
            started.elapsed()
        })
        .collect();
    times.sort();
    times[ROUNDS / 2]
}
