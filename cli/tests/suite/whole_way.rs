//! From SPECs to a tested machine, and what real tools say of each result.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
};

use crate::harness::{Fixture, judge, tool};

#[test]
fn packages_are_built_once_and_are_what_rpm_expects() {
    let fixture = Fixture::new();
    let first = fixture.keel(&["build", "--output", "json"]).ok();
    let packages: serde_json::Value = serde_json::from_str(&first.stdout).unwrap();
    assert_eq!(packages["format"], 1);
    assert_eq!(packages["arch"], "x86_64");
    let dir = fixture.path("out/packages/x86_64/zlib");
    let mut rpms = Vec::new();
    for entry in fs_err::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "rpm") {
            judge("rpm", &["-K", "--nosignature", path.to_str().unwrap()]);
            rpms.push(path);
        }
    }
    assert!(rpms.len() >= 3, "{rpms:?}");
    let provenance = fs_err::read_to_string(dir.join("provenance.json")).unwrap();
    let provenance: serde_json::Value = serde_json::from_str(&provenance).unwrap();
    assert_eq!(provenance["compiler"], "borrowed");
    assert_eq!(provenance["locked"], true);
    let again = fixture.keel(&["build", "-v"]).ok();
    assert!(
        !again.stderr.contains(" Built "),
        "nothing is built twice:\n{}",
        again.stderr
    );
    assert!(again.stderr.contains("Cached"), "{}", again.stderr);
}

#[test]
fn a_source_package_is_the_one_that_a_build_makes() {
    let fixture = Fixture::new();
    let made = fixture.keel(&["source", "srpm", "zlib", "--to", "srpms"]).ok();
    let path = fixture.path(made.stdout.trim());
    judge("rpm", &["-K", "--nosignature", path.to_str().unwrap()]);
    fixture.keel(&["build", "zlib"]).ok();
    let built = find(
        &fixture.path("out/packages/x86_64/zlib"),
        path.file_name().unwrap().to_str().unwrap(),
    );
    assert!(fs_err::read(&path).unwrap() == fs_err::read(built).unwrap());
    // What is not asked about is left alone; rpmbuild takes sources and SPEC out of it.
    let top = fixture.path("rebuild");
    let define = format!("_topdir {}", top.display());
    let arguments = ["-rp", "--nodeps", "--define", &define, path.to_str().unwrap()];
    judge("rpmbuild", &arguments);
    assert!(top.join("SPECS/zlib.spec").exists() || top.join("BUILD").exists());
}

#[test]
fn other_surroundings_give_the_same_bytes() {
    let fixture = Fixture::new();
    fixture.keel(&["build", "--twice", "zlib", "hello"]).ok();
}

#[test]
fn a_package_that_holds_the_year_is_found() {
    let fixture = Fixture::new();
    fs_err::create_dir(fixture.path("specs/clock")).unwrap();
    let spec = "Name: clock\nVersion: 1\nRelease: 1\nSummary: When it was built\nLicense: MIT\nBuildArch: noarch\n\n\
                %description\nNot reproducible.\n\n%build\n: What is made later is newer.\n\
                touch touched\nsleep 0.1\n: > later\ntest later -nt touched\n\n%install\nmkdir -p %{buildroot}/usr/share\n\
                date +%%Y > %{buildroot}/usr/share/clock\n\n%files\n/usr/share/clock\n\n\
                %changelog\n* Thu Jan 01 2026 A B <a@b.test> - 1-1\n- New.\n";
    fs_err::write(fixture.path("specs/clock/clock.spec"), spec).unwrap();
    let component = "[components.clock]\nspec = { type = \"local\", path = \"../specs/clock/clock.spec\" }\n";
    fs_err::write(fixture.path("components/clock.toml"), component).unwrap();
    let ran = fixture.keel(&["build", "--twice", "clock"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.errors().contains("clock-1-1.noarch"), "{}", ran.stderr);
    assert!(
        fixture
            .path("out/differs/clock/second/clock-1-1.noarch.rpm")
            .exists()
    );
}

#[test]
fn a_change_that_changes_no_byte_stops_there() {
    let fixture = Fixture::new();
    fixture.keel(&["build", "hello"]).ok();
    let spec = fixture.path("specs/zlib/zlib.spec");
    let text = fs_err::read_to_string(&spec).unwrap();
    fs_err::write(
        &spec,
        format!("# a comment of {:?}\n{text}", std::time::SystemTime::now()),
    )
    .unwrap();
    let ran = fixture.keel(&["build", "hello", "-v"]).ok();
    let built: Vec<&str> = ran
        .stderr
        .lines()
        .filter(|line| line.contains("  Built "))
        .collect();
    assert!(
        built.len() == 1 && built[0].contains("zlib"),
        "only zlib is built:\n{}",
        ran.stderr
    );
}

/// `keel repo serve` on a port of its own; ends with the test.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(fixture: &Fixture) -> Self {
        let mut command = fixture.command(".", &["repo", "serve", "--listen", "127.0.0.1:0"]);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines.next().expect("it says where it listens").unwrap();
        Self { child, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// dnf, told to trust nothing but the repository's key, installs `package` from `url` into an empty root.
fn dnf_installs(url: &str, package: &str) -> std::process::Output {
    let root = tempfile::tempdir().unwrap();
    let repos = tempfile::tempdir().unwrap();
    let repo = format!(
        "[keel]\nname=keel\nbaseurl={url}os/\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\n\
         gpgkey={url}os/repodata/repomd.xml.key\nsslverify=0\n"
    );
    fs_err::write(repos.path().join("keel.repo"), repo).unwrap();
    tool(
        "dnf",
        &[
            "-y",
            // What this machine has of them has repositories of its own.
            "--noplugins",
            "--installroot",
            root.path().to_str().unwrap(),
            "--setopt",
            &format!("reposdir={}", repos.path().display()),
            "--setopt=tsflags=noscripts",
            // Those that this machine has are not what is tested; some add repositories.
            "--noplugins",
            // A cache of its own: what is known of an address may be another run's.
            &format!("--setopt=cachedir={}", repos.path().join("cache").display()),
            "--releasever=1",
            "install",
            package,
        ],
    )
}

#[test]
fn dnf_installs_from_the_repository_and_refuses_a_flipped_byte() {
    let fixture = Fixture::new();
    fixture.keel(&["repo", "create"]).ok();
    fixture.keel(&["repo", "verify"]).ok();
    let server = Server::start(&fixture);
    let output = dnf_installs(&server.url, "hello");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let os = fixture.path("out/repo/x86_64/os");
    let package = find(&os, "hello-");
    flip(&package);
    assert!(
        !dnf_installs(&server.url, "hello").status.success(),
        "a changed package was installed"
    );
    assert_eq!(fixture.keel(&["repo", "verify"]).code, Some(1));
    flip(&package);
    fixture.keel(&["repo", "verify"]).ok();

    flip(&os.join("repodata/repomd.xml"));
    assert!(
        !dnf_installs(&server.url, "hello").status.success(),
        "changed metadata were accepted"
    );
    assert_eq!(fixture.keel(&["repo", "verify"]).code, Some(1));
}

fn find(dir: &std::path::Path, start: &str) -> std::path::PathBuf {
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().unwrap().to_str().unwrap().starts_with(start) {
                return path;
            }
        }
    }
    panic!("no {start}* in {}", dir.display());
}

fn flip(file: &std::path::Path) {
    let mut bytes = fs_err::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs_err::remove_file(file).unwrap();
    fs_err::write(file, bytes).unwrap();
}

#[test]
fn a_container_is_what_skopeo_and_umoci_expect_and_the_same_twice() {
    let fixture = Fixture::new();
    fixture.keel(&["image", "build", "box"]).ok();
    let layout = fixture.path("out/images/box/box.oci");
    // By its name, by its folder, and by that of one file.
    let looked = |what: &str| {
        let ran = fixture.keel(&["image", "inspect", what, "--output", "json"]).ok();
        serde_json::from_str::<serde_json::Value>(&ran.stdout).unwrap()
    };
    let named = looked("box");
    assert_eq!(named, looked("out/images/box"));
    let of_layout = looked("out/images/box/box.oci");
    assert_eq!(of_layout["kind"], "container");
    let files = named["files"].as_array().unwrap();
    let found = |name: &str| files.iter().find(|file| file["name"] == name).unwrap()["found"].clone();
    assert_eq!(found("box.oci"), of_layout);
    assert_eq!(found("box.oci.tar")["images"], of_layout["images"]);
    let told = fixture.keel(&["image", "inspect", "box"]).ok().stdout;
    for line in [
        "  OCI archive of 1 image, ",
        "    cmd: [\"/bin/sh\"]",
        "    user: root",
        "    env: PATH=/usr/bin",
        "    label: org.opencontainers.image.title=fixture",
    ] {
        assert!(told.lines().any(|one| one.starts_with(line)), "{line}: {told}");
    }
    // And a page of it, which is what the image is until somebody changes it.
    let describe =
        |more: &[&str]| fixture.keel(&[&["image", "describe", "box", "--to", "pages"], more].concat());
    describe(&[]).ok();
    let page = std::fs::read_to_string(fixture.path("pages/box.md")).unwrap();
    for line in [
        "Container with a shell and hello",
        "## Who can log in",
        "- installed: ",
    ] {
        assert!(page.lines().any(|one| one.starts_with(line)), "{line}: {page}");
    }
    assert_eq!(describe(&["--check"]).ok().stdout, "");
    std::fs::write(
        fixture.path("pages/box.md"),
        page.replace("a shell", "two shells") + "\n## Measured\n\nfast\n",
    )
    .unwrap();
    let ran = describe(&["--check"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let line = "-Container with two shells and hello\n+Container with a shell and hello\n";
    assert!(
        ran.stdout.contains(line) && !ran.stdout.contains("fast"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stderr.contains("1 page is not what the images are"),
        "{}",
        ran.stderr
    );
    // What is there wins over a name.
    std::fs::write(fixture.path("box"), [0; 512]).unwrap();
    assert_eq!(looked("box")["kind"], "disk");
    let inspected = judge("skopeo", &["inspect", &format!("oci:{}", layout.display())]);
    assert!(inspected.contains("\"Architecture\": \"amd64\""), "{inspected}");
    let bundle = tempfile::tempdir().unwrap();
    let target = bundle.path().join("bundle");
    let image = format!("{}:1", layout.display());
    judge(
        "umoci",
        &[
            "unpack",
            "--rootless",
            "--image",
            &image,
            target.to_str().unwrap(),
        ],
    );
    let rootfs = target.join("rootfs");
    let listed = judge(
        "unshare",
        &["-rR", rootfs.to_str().unwrap(), "/bin/sh", "-c", "ls / && hello"],
    );
    assert!(listed.contains("usr"), "{listed}");

    let sums = fs_err::read(fixture.path("out/images/box/SHA256SUMS")).unwrap();
    let other = Fixture::new();
    other.keel(&["image", "build", "box"]).ok();
    assert_eq!(
        fs_err::read(other.path("out/images/box/SHA256SUMS")).unwrap(),
        sums
    );
}

#[test]
fn a_machine_boots_and_answers_tests() {
    let fixture = Fixture::new();
    fixture.keel(&["image", "build", "mini"]).ok();
    let ran = fixture.keel(&["image", "test", "mini", "--output", "json"]).ok();
    let reports: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(reports[0]["checks"].as_array().unwrap().len(), 5, "{reports}");

    assert!(!ran.stderr.contains("not what the tree says"), "{}", ran.stderr);

    // A check that fails is told, and so is the exit code.
    let definition = fixture.path("images/mini.image.toml");
    let text = fs_err::read_to_string(&definition).unwrap();
    fs_err::write(
        &definition,
        format!("{text}\n[[tests]]\nname = \"wrong\"\nrun = \"echo why; exit 7\"\n"),
    )
    .unwrap();
    let ran = fixture.keel(&["image", "test", "mini"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stdout.contains("FAILED wrong") && ran.stdout.contains("why"),
        "{}\n{}",
        ran.stdout,
        ran.stderr
    );
}

#[test]
fn a_machine_that_is_not_what_the_tree_says_is_told() {
    let fixture = Fixture::new();
    fixture.keel(&["image", "build", "mini"]).ok();
    let definition = fixture.path("images/mini.image.toml");
    let text = fs_err::read_to_string(&definition).unwrap();
    let spec = fixture.path("specs/hello/hello.spec");
    let hello = fs_err::read_to_string(&spec).unwrap();
    let boot = || fixture.keel(&["image", "boot", "mini", "--timeout", "1"]).stderr;
    let words = "image `mini` is not what the tree says now";
    assert!(!boot().contains(words));
    for (file, changed, expected) in [
        (&definition, text.replace("96M", "97M"), "its definition"),
        (
            &definition,
            text.replacen("\"hello\"]", "\"hello\", \"hello-none\"]", 1),
            "package `hello-none`, which it did not have",
        ),
        (&spec, format!("{hello}\n# more\n"), "the SPEC of `hello`"),
    ] {
        let before = fs_err::read(file).unwrap();
        fs_err::write(file, changed).unwrap();
        let told = boot();
        assert!(
            told.contains(words) && told.contains(expected),
            "{expected}: {told}"
        );
        fs_err::write(file, before).unwrap();
    }
}

#[test]
fn an_output_folder_that_takes_nothing_is_named_with_its_setting() {
    let fixture = Fixture::new();
    fs_err::write(fixture.path("out"), "a file").unwrap();
    let ran = fixture.keel(&["image", "build", "box"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("output folder [FIXTURE]/out\n") && ran.stderr.contains("`output-dir`"),
        "{}",
        ran.stderr
    );
}

/// The fixture's machine with a root that is written to, and a partition and swap space of its own.
fn writable(fixture: &Fixture) {
    let definition = fixture.path("images/mini.image.toml");
    let text = fs_err::read_to_string(&definition).unwrap();
    let (disk, tests) = text.split_once("[os]").unwrap();
    let (os, _) = tests.split_once("[[tests]]").unwrap();
    let disk = disk
        .replace("size = \"96M\"", "size = \"320M\"")
        .replace("root-fs = \"erofs\"", "root-fs = \"ext4\"\nroot-size = \"128M\"");
    let more = r#"
[[disk.partitions]]
label = "srv"
mount-point = "/srv"
mount-options = "nodev"
size = "grow"

[[disk.partitions]]
label = "mem"
filesystem = "swap"
size = "8M"

[[os.additional-files]]
content = "here"
destination = "/srv/file"

[[os.additional-files]]
content = "there"
destination = "/etc/with blanks/\"quoted\""
permissions = "0604"

[[tests]]
name = "the root is written to"
run = "grep -q '^/dev/[^ ]* / ext4 rw' /proc/mounts && echo x > /etc/written && test \"$(stat -c %a '/etc/with blanks/\"quoted\"')\" = 604"

[[tests]]
name = "the partition has its files"
run = "test ! -e /srv/file && mount -t ext4 /dev/vda4 /srv && test \"$(cat /srv/file)\" = here"

[[tests]]
name = "what is mounted is in fstab"
run = "grep -c PARTUUID= /etc/fstab | grep -qx 3"
"#;
    fs_err::write(&definition, format!("{disk}[os]{os}{more}")).unwrap();
}

#[test]
fn a_machine_with_partitions_boots_and_writes_to_them() {
    let fixture = Fixture::new();
    writable(&fixture);
    fixture.keel(&["image", "build", "mini"]).ok();
    let raw = fixture.path("out/images/mini/mini.raw");
    let said = judge("sgdisk", &["-v", raw.to_str().unwrap()]);
    assert!(said.contains("No problems found"), "{said}");
    let sums = fs_err::read_to_string(fixture.path("out/images/mini/SHA256SUMS")).unwrap();
    println!("{sums}");
    let ran = fixture.keel(&["image", "test", "mini", "--output", "json"]).ok();
    let reports: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(reports[0]["checks"].as_array().unwrap().len(), 3, "{reports}");

    let other = Fixture::new();
    writable(&other);
    other.keel(&["image", "build", "mini"]).ok();
    let again = fs_err::read_to_string(other.path("out/images/mini/SHA256SUMS")).unwrap();
    assert_eq!(sums, again);
}

#[test]
fn an_image_leaves_the_published_repository_alone() {
    let fixture = Fixture::new();
    fixture.keel(&["repo", "create"]).ok();
    let published = || fs_err::read(fixture.path("out/repo/x86_64/os/repodata/repomd.xml")).unwrap();
    let before = published();
    fixture.keel(&["image", "build", "box"]).ok();
    assert_eq!(published(), before);
    fixture.keel(&["repo", "verify"]).ok();
}

#[test]
fn the_console_of_a_machine_is_shown_until_ctrl_c() {
    let fixture = Fixture::new();
    fixture.keel(&["image", "build", "mini"]).ok();
    let mut child = fixture
        .command(".", &["image", "boot", "mini"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let mut seen = Vec::new();
    for line in lines {
        let is_it = line.contains("Linux version");
        seen.push(line);
        if is_it {
            judge("kill", &["-INT", &child.id().to_string()]);
        }
    }
    // That is how one ends it: nothing failed.
    assert_eq!(child.wait().unwrap().code(), Some(0), "{seen:#?}");
    assert!(!seen.iter().any(|line| line.starts_with("error")), "{seen:#?}");
    assert!(
        seen.iter().any(|line| line.contains("Linux version")),
        "{seen:#?}"
    );
}

#[test]
fn a_machine_that_does_not_come_up_is_a_failure_with_a_reason() {
    let fixture = Fixture::new();
    fixture.keel(&["image", "build", "mini"]).ok();
    let ran = fixture.keel(&["image", "boot", "mini", "--memory", "10"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("10 MiB of memory"), "{}", ran.stderr);
    // Nothing powers it off.
    let ran = fixture.keel(&["image", "boot", "mini", "--timeout", "2"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("did not power off within 2 s"),
        "{}",
        ran.stderr
    );
    let definition = fixture.path("images/mini.image.toml");
    let text = fs_err::read_to_string(&definition).unwrap();
    let words = r#"["console=ttyS0", "panic=-1", "rdinit=/no/such", "init=/no/such"]"#;
    fs_err::write(&definition, text.replace(r#"["console=ttyS0"]"#, words)).unwrap();
    fixture.keel(&["image", "build", "mini"]).ok();
    let ran = fixture.keel(&["image", "boot", "mini"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("restarted or panicked"), "{}", ran.stderr);
}

#[test]
fn a_machine_boots_through_firmware() {
    let fixture = Fixture::new();
    fixture.keel(&["image", "build", "mini"]).ok();
    fixture
        .keel(&["image", "test", "mini", "--firmware", "uefi"])
        .ok();
}
