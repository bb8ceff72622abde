//! stage0 for real: made from a Debian mirror once, kept in a store of its own, and every program of it put to work.
//!
//! The mirror is the one of this machine's apt configuration. The store lies in the target folder, so that a second run of
//! the tests finds it; set `KEEL_TEST_COLD=1` to make it anew, `KEEL_TEST_FOLDER` to have it elsewhere.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Instant,
};

use keel_artefact::{
    Arch, Epoch, Interrupt,
    event::{Event, Silent, Sink},
};
use keel_host::{
    Error, Program, ldconfig, mkfs_erofs, rpmdb,
    stage0::{self, Stage0, Stage0Spec},
};
use keel_sandbox::{Run, User};
use keel_store::Store;

const PACKAGES: [&str; 35] = [
    "gcc",
    "binutils",
    "make",
    "perl",
    "python3",
    "rpm",
    "debugedit",
    "dwz",
    "elfutils",
    "bison",
    "flex",
    "gawk",
    "m4",
    "patch",
    "file",
    "gettext",
    "autoconf",
    "automake",
    "libtool",
    "gperf",
    "meson",
    "bc",
    "cpio",
    "rsync",
    "pkgconf",
    "xz-utils",
    "zstd",
    "bzip2",
    "diffutils",
    "e2fsprogs",
    "erofs-utils",
    "squashfs-tools",
    "xorriso",
    "faketime",
    "ca-certificates",
];
const LIBC_DEV: [&str; 4] = ["libc6-dev", "linux-libc-dev", "libcrypt-dev", "libc-dev-bin"];

fn spec() -> Stage0Spec {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Stage0Spec {
        suite: "trixie".to_owned(),
        mirror: mirror(),
        arch: Arch::X86_64,
        packages: names(&PACKAGES),
        libc_dev_packages: names(&LIBC_DEV),
    }
}

/// The first Debian mirror of apt's configuration: `apt-get indextargets` knows both formats of it.
fn mirror() -> String {
    let output = std::process::Command::new("apt-get")
        .args(["indextargets", "--format", "$(SITE)", "Created-By: Packages"])
        .output()
        .expect("apt-get is missing: these tests run on Debian");
    let text = String::from_utf8_lossy(&output.stdout);
    let sites = text
        .lines()
        .filter(|site| site.trim_end_matches('/').ends_with("/debian"));
    sites
        .map(|site| site.trim_end_matches('/').to_owned())
        .next()
        .expect("apt's configuration has no Debian mirror")
}

fn store() -> &'static Store {
    static STORE: OnceLock<Store> = OnceLock::new();
    STORE.get_or_init(|| {
        let target = || env!("CARGO_TARGET_TMPDIR").into();
        let folder =
            PathBuf::from(std::env::var_os("KEEL_TEST_FOLDER").unwrap_or_else(target)).join("stage0-store");
        if std::env::var_os("KEEL_TEST_COLD").is_some() {
            let _ = keel_store::temp::remove_all(&folder);
        }
        Store::open(&folder).unwrap()
    })
}

/// Names the folder of a stage0 that another test has prepared.
pub(crate) const STAGE0: &str = "KEEL_TEST_STAGE0";

pub(crate) fn prepared() -> &'static Stage0 {
    static PREPARED: OnceLock<Stage0> = OnceLock::new();
    PREPARED.get_or_init(|| {
        if let Some(folder) = std::env::var_os(STAGE0) {
            // It may be another user's.
            return Stage0::open(Path::new(&folder)).unwrap();
        }
        let spec = spec();
        let started = Instant::now();
        let stage0 = stage0::prepare(store(), &spec, &Silent, &Interrupt::default()).unwrap();
        println!("stage0 ready after {:?}", started.elapsed());
        stage0
    })
}

/// Runs a script over the given layers; what it printed.
fn sh(lowers: Vec<PathBuf>, script: &str) -> String {
    let mut sandbox = prepared().sandbox();
    sandbox.lowers = lowers;
    sandbox.limits.processes = None;
    let exit = keel_sandbox::run(
        &sandbox,
        Run::captured(["sh", "-c", &format!("exec 2>&1; {script}")]),
        &Interrupt::default(),
    )
    .unwrap();
    String::from_utf8_lossy(&exit.stdout).trim().to_owned()
}

#[test]
fn the_second_time_it_is_there_at_once() {
    let (first, spec) = (prepared(), spec());
    let started = Instant::now();
    let again = stage0::prepare(store(), &spec, &Silent, &Interrupt::default()).unwrap();
    println!("stage0 from the store in {:?}", started.elapsed());
    assert!(started.elapsed().as_secs() < 2);
    assert_eq!(first.digest, again.digest);
    assert!(first.lock().drift(&again.lock()).is_none());
    assert!(
        first
            .manifest
            .packages
            .iter()
            .any(|deb| deb.name == "gcc-14" && deb.arch == "amd64")
    );
    assert!(
        first.manifest.files.len() > 1000,
        "{}",
        first.manifest.files.len()
    );
}

#[test]
fn libc_and_its_headers_are_layers_of_their_own() {
    let stage0 = prepared();
    for (layer, path, is_there) in [
        (&stage0.tools, "usr/lib/x86_64-linux-gnu/libc.so.6", false),
        (&stage0.libc, "usr/lib/x86_64-linux-gnu/libc.so.6", true),
        (&stage0.tools, "usr/include/stdio.h", false),
        (&stage0.libc_dev, "usr/include/stdio.h", true),
        (&stage0.tools, "usr/lib/x86_64-linux-gnu/crt1.o", false),
        (&stage0.libc_dev, "usr/lib/x86_64-linux-gnu/crt1.o", true),
        (&stage0.tools, "usr/include/linux/version.h", false),
        (&stage0.tools, "usr/bin/rpmbuild", true),
        (&stage0.tools, "usr/share/man/man1", false),
    ] {
        assert_eq!(
            layer.join(path).symlink_metadata().is_ok(),
            is_there,
            "{path} in {}",
            layer.display()
        );
    }
    let libc = stage0.libc.join("usr/lib/x86_64-linux-gnu/libc.so.6");
    let bytes = std::fs::read(libc).unwrap();
    assert!(stage0.manifest.has_digest(&keel_artefact::Sha256::of(&bytes)));
    let said = sh(
        stage0.tool_lowers(),
        "file -L /usr/lib/x86_64-linux-gnu/libc.so.6 | grep -o 'BuildID[^,]*'",
    );
    let id = said.rsplit('=').next().unwrap();
    assert!(stage0.manifest.has_build_id(id), "{said}");
}

#[test]
fn the_tools_run() {
    let tools = sh(
        prepared().tool_lowers(),
        "rpm --version; perl -e 'print \"perl\\n\"'; python3 -c 'import ssl, ctypes; print(\"python\")'; mkfs.erofs --version | head -1; id -un",
    );
    assert!(tools.starts_with("RPM version 4.20"), "{tools}");
    assert!(
        tools.contains("perl\npython\nmkfs.erofs") && tools.ends_with("builder"),
        "{tools}"
    );
}

#[test]
fn a_program_that_stage0_lacks_is_named() {
    let mut without = prepared().clone();
    let empty = tempfile::tempdir().unwrap();
    for (name, layer) in [
        ("a", &mut without.tools),
        ("b", &mut without.libc),
        ("c", &mut without.fix_bootstrap),
    ] {
        *layer = empty.path().join(name);
        std::fs::create_dir(&*layer).unwrap();
    }
    let image = empty.path().join("x");
    let request = mkfs_erofs::Request {
        archive: Path::new("/dev/null"),
        image: &image,
        uuid: "",
        label: "",
        clock: Epoch(0),
        compression: mkfs_erofs::Compression::None,
    };
    let error = mkfs_erofs::make(&without, &request, &Interrupt::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "stage0 has no `mkfs.erofs`: add `erofs-utils` to `keel.stage0.packages`"
    );
}

/// Over Debian's libc a program can be built and run; over nothing it cannot, and no Debian start file sneaks in.
#[test]
fn the_compiler_takes_start_files_from_keel_only() {
    let stage0 = prepared();
    let build = "mkdir -p /build/trace 2>/dev/null; cd /tmp; printf 'int main(void){return 0;}\\n' > a.c; \
        gcc a.c -o a && ./a && echo built; cc -fuse-ld=bfd a.c -o b && ./b && echo bfd; c99 a.c -o c && echo c99; gcc -print-prog-name=ld; gcc-ar --version | head -1";
    let bootstrap = sh(stage0.build_lowers(true), build);
    assert!(bootstrap.starts_with("built\nbfd\nc99"), "{bootstrap}");
    // Without Keel's libc not even the shell starts.
    let mut bare = stage0.sandbox();
    bare.lowers = stage0.build_lowers(false);
    let started = keel_sandbox::run(&bare, Run::captured(["sh", "-c", build]), &Interrupt::default());
    assert!(
        matches!(started, Err(keel_sandbox::Error::Exec { .. })),
        "{started:?}"
    );

    // With Debian's own libc-dev in the place of Keel's glibc, at /usr/lib64, the wrapper's `-B` finds it there.
    let keel = tempfile::tempdir().unwrap();
    let library = keel.path().join("usr/lib64");
    std::fs::create_dir_all(&library).unwrap();
    let debian = stage0.libc_dev.join("usr/lib/x86_64-linux-gnu");
    for file in ["Scrt1.o", "crt1.o", "crti.o", "crtn.o", "libc_nonshared.a"] {
        std::fs::copy(debian.join(file), library.join(file)).unwrap();
    }
    // The compiler itself runs on it too.
    for entry in std::fs::read_dir(stage0.libc.join("usr/lib/x86_64-linux-gnu"))
        .unwrap()
        .flatten()
    {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), library.join(entry.file_name())).unwrap();
        }
    }
    std::fs::write(library.join("libc.so"), "GROUP ( /usr/lib64/libc.so.6 /usr/lib64/libc_nonshared.a AS_NEEDED ( /usr/lib64/ld-linux-x86-64.so.2 ) )\n").unwrap();
    keel_sandbox::hand_over(keel.path()).unwrap();
    std::fs::set_permissions(keel.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut lowers = stage0.build_lowers(false);
    lowers.insert(1, keel.path().to_owned());
    let cache = ldconfig::cache(&lowers, &store().temp_dir("test").unwrap(), &Interrupt::default()).unwrap();
    let again = ldconfig::cache(&lowers, &store().temp_dir("test").unwrap(), &Interrupt::default()).unwrap();
    assert!(cache == again && cache.starts_with(b"glibc-ld.so.cache"));
    let etc = keel.path().join("etc");
    std::fs::create_dir(&etc).unwrap();
    std::fs::write(etc.join("ld.so.cache"), &cache).unwrap();

    let build = tempfile::tempdir().unwrap();
    std::fs::create_dir(build.path().join("trace")).unwrap();
    keel_sandbox::hand_over(build.path()).unwrap();
    let mut sandbox = stage0.sandbox();
    sandbox.lowers = lowers;
    sandbox.binds.push(keel_sandbox::Bind {
        host: build.path().into(),
        guest: "/build".parse().unwrap(),
        writable: true,
    });
    let script = "exec 2>&1; cd /build; printf 'int main(void){return 0;}\\n' > a.c; gcc a.c -o a && ./a && echo built; cc a.c -shared -fPIC -o a.so && echo shared; ldd ./a; ls /build/trace | wc -l; cat /build/trace/*";
    let exit = keel_sandbox::run(
        &sandbox,
        Run::captured(["sh", "-c", script]),
        &Interrupt::default(),
    )
    .unwrap();
    let said = String::from_utf8_lossy(&exit.stdout);
    assert!(
        said.starts_with("built\nshared\n") && said.contains("/usr/lib64/Scrt1.o") && said.contains("\n2\n"),
        "{said}"
    );
    nothing_strange(&said);

    // The linker's record names what is linked, also where the optimiser's plugin takes it and gives back other objects.
    let script = "exec 2>&1; cd /build; rm trace/*; printf 'int f(void){return 0;}\\n' > f.c; \
        printf 'int f(void); int main(void){return f();}\\n' > m.c; \
        gcc -O2 -flto=auto -ffat-lto-objects -c f.c m.c && gcc-ar rcs libf.a f.o && \
        gcc -O2 -flto=auto m.o -L/build -lf -o m && ./m && echo linked; objdump -t m | grep -w f; cat /build/trace/*";
    let exit = keel_sandbox::run(
        &sandbox,
        Run::captured(["sh", "-c", script]),
        &Interrupt::default(),
    )
    .unwrap();
    let said = String::from_utf8_lossy(&exit.stdout);
    // No symbol `f` is left: it was optimised away at link time.
    let words: Vec<&str> = said.split_whitespace().collect();
    assert!(said.starts_with("linked\nm: "), "{said}");
    assert!(
        words.contains(&"m.o") && words.contains(&"/build/libf.a"),
        "{said}"
    );
    nothing_strange(&said);
}

/// In what the linker recorded, only gcc's own files are Debian's.
fn nothing_strange(said: &str) {
    let debian = said
        .split_whitespace()
        .filter(|word| word.contains("x86_64-linux-gnu") && !word.ends_with(':'));
    let strange: Vec<&str> = debian
        .filter(|word| !word.contains("/gcc/x86_64-linux-gnu/14/") && !word.contains("libgcc_s"))
        .collect();
    assert!(strange.is_empty(), "{strange:?}\n{said}");
}

#[test]
fn an_rpm_database_is_the_same_each_time_and_agrees_with_rpm() {
    let stage0 = prepared();
    let folder = tempfile::tempdir().unwrap();
    let packages = packages(folder.path());
    let clock = Epoch(1_767_225_600);
    let make =
        |packages: &[PathBuf]| rpmdb::make(stage0, store(), packages, clock, &Interrupt::default()).unwrap();
    let one = make(&packages);
    let backwards: Vec<PathBuf> = packages.iter().rev().cloned().collect();
    assert!(
        one == make(&backwards),
        "the order of packages is seen in the database"
    );
    assert_eq!(one.keys().collect::<Vec<_>>(), ["rpmdb.sqlite"]);
    assert!(!make(&[]).is_empty());

    let root = folder.path().join("root");
    let place = root.join(&rpmdb::FOLDER[1..]);
    std::fs::create_dir_all(&place).unwrap();
    for (name, bytes) in &one {
        std::fs::write(place.join(name), bytes).unwrap();
    }
    keel_sandbox::hand_over(&root).unwrap();
    let names = rpmdb::query_all(stage0, &root, &Interrupt::default()).unwrap();
    assert_eq!(names, ["one-1-1.noarch", "two-1-1.noarch"]);
    // Their files are not there, and rpm says so.
    let differences = rpmdb::verify_all(stage0, &root, &Interrupt::default()).unwrap();
    assert!(
        differences
            .iter()
            .any(|line| line.contains("missing") && line.contains("/usr/share/one")),
        "{differences:?}"
    );
    std::fs::create_dir_all(root.join("usr/share")).unwrap();
    for name in ["one", "two"] {
        std::fs::write(root.join("usr/share").join(name), format!("{name}\n")).unwrap();
    }
    assert_eq!(
        rpmdb::verify_all(stage0, &root, &Interrupt::default()).unwrap(),
        Vec::<String>::new()
    );
    std::fs::write(root.join("usr/share/two"), "tow\n").unwrap();
    assert_eq!(
        rpmdb::verify_all(stage0, &root, &Interrupt::default())
            .unwrap()
            .len(),
        1
    );
}

/// Two packages, built here by the real rpmbuild; one declares a user.
fn packages(folder: &Path) -> Vec<PathBuf> {
    let build = folder.join("build");
    std::fs::create_dir(&build).unwrap();
    for name in ["one", "two"] {
        let spec = format!(
            "Name: {name}\nVersion: 1\nRelease: 1\nSummary: x\nLicense: MIT\nBuildArch: noarch\n%description\nx\n%install\nmkdir -p %{{buildroot}}/usr/share %{{buildroot}}/usr/lib/sysusers.d\n\
             echo {name} > %{{buildroot}}/usr/share/{name}\n{}%files\n/usr/share/{name}\n",
            if name == "one" { "" } else { "\n" }
        );
        std::fs::write(build.join(format!("{name}.spec")), spec).unwrap();
    }
    keel_sandbox::hand_over(&build).unwrap();
    let mut sandbox = prepared().sandbox();
    sandbox.user = User::Builder;
    sandbox.binds.push(keel_sandbox::Bind {
        host: build.clone(),
        guest: "/build".parse().unwrap(),
        writable: true,
    });
    let script = "cd /build && rpmbuild -bb --define '_topdir /build' one.spec two.spec";
    let exit = keel_sandbox::run(
        &sandbox,
        Run::captured(["sh", "-c", script]),
        &Interrupt::default(),
    )
    .unwrap();
    assert!(exit.success(), "{}", String::from_utf8_lossy(&exit.stderr));
    keel_sandbox::take_back(&build).unwrap();
    ["one", "two"]
        .map(|name| build.join(format!("RPMS/noarch/{name}-1-1.noarch.rpm")))
        .into()
}

#[test]
fn a_missing_package_is_an_error_with_mmdebstraps_words() {
    let mut wrong = spec();
    wrong.packages = vec!["no-such-package-in-debian".to_owned()];
    let error = stage0::prepare(store(), &wrong, &Silent, &Interrupt::default()).unwrap_err();
    let Error::Failed { program, last, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(*program, Program::Mmdebstrap.name());
    assert!(
        last.iter().any(|line| line.contains("no-such-package-in-debian")),
        "{error}"
    );
    let trees = std::fs::read_dir(store().dir().join("trees")).unwrap().flatten();
    assert!(
        trees
            .into_iter()
            .all(|tree| tree.path().join("manifest.json").exists()),
        "half a tree was left"
    );
}

#[test]
fn interrupting_stops_at_once_and_leaves_nothing() {
    prepared(); // Not the store's first user, so that what is left can be seen.
    let mut other = spec();
    other.packages = vec!["make".to_owned()];
    let before = left_in_tmp();
    let extracting = WhenExtracting::default();
    let done = stage0::prepare(store(), &other, &extracting, &extracting.interrupt);
    let at = extracting
        .at
        .get()
        .expect("mmdebstrap no longer says that it extracts");
    assert!(matches!(done, Err(Error::Interrupted(_))), "{done:?}");
    assert!(at.elapsed().as_secs() < 65, "{:?}", at.elapsed());
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains("mmdebstrap"), "{mounts}");
    assert!(left_in_tmp() <= before, "mmdebstrap left its folder");
}

/// Interrupts mmdebstrap in the middle of its work, however fast the machine is.
#[derive(Default)]
struct WhenExtracting {
    interrupt: Interrupt,
    at: OnceLock<Instant>,
}

impl Sink for WhenExtracting {
    fn event(&self, event: Event<'_>) {
        if matches!(event, Event::Message { text, .. } if text.contains("extracting archives")) {
            self.at.get_or_init(Instant::now);
            self.interrupt.set();
        }
    }
}

/// Folders of mmdebstrap of ordinary users.
fn left_in_tmp() -> usize {
    let entries = std::fs::read_dir("/tmp").unwrap().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("mmdebstrap."))
        .count()
}
