//! Names never lie: the rebuild counter, from a change to a client that sees an update; what is published is mended; two runs
//! build nothing twice. The rules N1 to N14 are those of docs/explanation/names.md.

use std::{
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::harness::{Fixture, judge, tool};

/// A tree of three small packages, of which nothing is in the store: `leaf` is built with `base` and copies its text, `other` is
/// built with it and does not look at it.
struct Tree {
    fixture: Fixture,
}

impl Tree {
    fn new(test: &str) -> Self {
        let fixture = Fixture::new();
        let project = fixture.path("keel.toml");
        let toml = fs_err::read_to_string(&project).unwrap();
        let (_, rest) = toml.split_once("[project]").unwrap();
        let text = format!("includes = [\"settings.toml\", \"components/small.toml\"]\n\n[project]{rest}");
        fs_err::write(&project, text).unwrap();
        let macros = fixture.path("macros.fixture");
        let mut text = fs_err::read_to_string(&macros).unwrap();
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        text.push_str(&format!("\n%{test}_names {}\n", now.as_nanos()));
        fs_err::write(&macros, text).unwrap();
        let tree = Self { fixture };
        tree.write("base", "1%{?dist}", "", "echo one");
        tree.write("leaf", "1%{?dist}", "BuildRequires: base", "cat /usr/share/base");
        tree.write("other", "1%{?dist}", "BuildRequires: base", "echo other");
        tree.list(&["base", "leaf", "other"]);
        tree
    }

    fn list(&self, names: &[&str]) {
        let component = |name: &&str| {
            format!(
                "[components.{name}]\nspec = {{ type = \"local\", path = \"../specs/{name}/{name}.spec\" }}\n"
            )
        };
        let toml: Vec<String> = names.iter().map(component).collect();
        fs_err::write(self.fixture.path("components/small.toml"), toml.join("\n")).unwrap();
    }

    /// `text` is a command that prints what the package's file holds.
    fn write(&self, name: &str, release: &str, tags: &str, text: &str) {
        let spec = format!(
            "Name: {name}\nVersion: 1\nRelease: {release}\nSummary: A test\nLicense: MIT\nURL: https://example.org/\nBuildArch: noarch\n\
             {tags}\n\n%description\nA test.\n\n%install\nmkdir -p %{{buildroot}}/usr/share/licenses\n\
             echo MIT > %{{buildroot}}/usr/share/licenses/{name}\n{text} > %{{buildroot}}/usr/share/{name}\n\n\
             %files\n%license /usr/share/licenses/{name}\n/usr/share/{name}\n\n\
             %changelog\n* Thu Jan 01 2026 A B <a@b.test> - 1-1\n- New.\n"
        );
        let file = self.spec(name);
        fs_err::create_dir_all(file.parent().unwrap()).unwrap();
        fs_err::write(file, spec).unwrap();
    }

    fn spec(&self, name: &str) -> PathBuf {
        self.fixture.path(&format!("specs/{name}/{name}.spec"))
    }

    fn comment(&self, name: &str, text: &str) {
        let file = self.spec(name);
        let spec = fs_err::read_to_string(&file).unwrap();
        fs_err::write(file, format!("# {text}\n{spec}")).unwrap();
    }

    /// The identities of the packages that users install, and what was said.
    fn build(&self) -> (Vec<String>, String) {
        let ran = self.fixture.keel(&["build", "-v", "--output", "json"]).ok();
        let packages: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let packages = packages["packages"].as_array().unwrap().clone();
        let identity = |package: &serde_json::Value| {
            let nevra = &package["nevra"];
            format!(
                "{}-{}",
                nevra["name"].as_str().unwrap(),
                nevra["evr"]["release"].as_str().unwrap()
            )
        };
        let binary = packages.iter().filter(|package| package["kind"] == "binary");
        (binary.map(identity).collect(), ran.stderr)
    }

    /// Published so, and with what said.
    fn publish(&self, options: &[&str]) -> String {
        let arguments = [&["repo", "create"], options].concat();
        let said = self.fixture.keel(&arguments).ok().stderr;
        self.fixture.keel(&["repo", "verify"]).ok();
        // Nobody owns /usr in so small a tree.
        let lines = said.lines().filter(|line| !line.contains("[unowned-folder]"));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn lock(&self) -> String {
        fs_err::read_to_string(self.fixture.path("keel.lock")).unwrap()
    }

    fn published(&self, section: &str, file: &str) -> PathBuf {
        let letter = &file[..1];
        self.fixture
            .path(&format!("out/repo/x86_64/{section}/Packages/{letter}/{file}"))
    }
}

/// How often a component was built, by what was said.
fn builds(said: &str, name: &str) -> usize {
    let is_it = |line: &&str| line.contains(&format!("Built {name} "));
    said.lines().filter(is_it).count()
}

/// dnf in a root of its own; gives the names that are installed after it.
fn dnf(tree: &Tree, root: &Path, arguments: &[&str]) -> Vec<String> {
    let repository = tree.fixture.path("out/repo/x86_64/os");
    let all = |arguments: &[&str]| {
        let from = format!("--repofrompath=keel,file://{}", repository.display());
        let cache = format!("--setopt=cachedir={}", root.join("cache").display());
        let mut command = vec![
            "-y",
            "-q",
            "--noplugins",
            "--releasever=1",
            "--repo=keel",
            &from,
            &cache,
        ];
        command.extend([
            "--setopt=reposdir=/dev/null",
            "--setopt=gpgcheck=0",
            "--setopt=metadata_expire=0",
        ]);
        command.extend(["--installroot", root.to_str().unwrap()]);
        command.extend(arguments);
        judge("dnf", &command)
    };
    all(arguments);
    // `base.noarch  1-1.fx1  @keel`
    let listed = all(&["list", "--installed"]);
    let identity = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?.strip_suffix(".noarch")?;
        let release = words.next()?.strip_prefix("1-")?;
        Some(format!("{name}-{release}"))
    };
    let mut names: Vec<String> = listed.lines().filter_map(identity).collect();
    names.sort();
    names
}

/// N3 to N9: a change that reaches a published package raises its counter and that of what is made of it, clients see an update,
/// and old bytes never get their old name back.
#[test]
fn other_bytes_get_another_name() {
    let tree = Tree::new("whole");
    tree.publish(&["--record"]);
    let lock = tree.lock();
    assert_eq!(lock.matches("rebuild = 0").count(), 3, "{lock}");
    assert!(
        lock.contains("\nversion = 2\n") && lock.contains("\"base-1-1.fx1.noarch\" = "),
        "{lock}"
    );
    let root = tempfile::tempdir().unwrap();
    let first = ["base-1.fx1", "leaf-1.fx1", "other-1.fx1"];
    assert_eq!(
        dnf(&tree, root.path(), &["install", "base", "leaf", "other"]),
        first
    );

    // A comment: the same bytes, the same names, and the source package that is published.
    let source = tree.published("source", "base-1-1.fx1.src.rpm");
    let bytes = fs_err::read(&source).unwrap();
    tree.comment("base", "says nothing");
    let (names, said) = tree.build();
    assert_eq!(names, first);
    assert_eq!([builds(&said, "base"), builds(&said, "leaf")], [1, 0], "{said}");
    let said = tree.publish(&["--record"]);
    assert!(!said.contains("warning"), "{said}");
    assert_eq!(tree.lock(), lock);
    assert!(fs_err::read(&source).unwrap() == bytes);

    // Another text: base and leaf are other packages; other is built again, and is the same.
    tree.write("base", "1%{?dist}", "", "echo two");
    let locked = tree.fixture.keel(&["build", "--locked"]);
    assert_eq!(locked.code, Some(2), "{}", locked.stderr);
    assert!(
        locked
            .errors()
            .contains("1-1.fx1 is published with other bytes (other bytes in base-1-1.fx1.noarch)"),
        "{}",
        locked.stderr
    );
    let second = ["base-1.fx1.1", "leaf-1.fx1.1", "other-1.fx1"];
    let (names, said) = tree.build();
    assert_eq!(names, second);
    assert!(
        said.contains("`base` is 1-1.fx1.1 now: 1-1.fx1 is published with other bytes (other bytes in base-1-1.fx1.noarch)"),
        "{said}"
    );
    assert_eq!([builds(&said, "leaf"), builds(&said, "other")], [1, 1], "{said}");
    // What was found out is remembered; the lock says what is published, and no more.
    let (names, said) = tree.build();
    assert_eq!(names, second);
    assert!(!said.contains("Built "), "{said}");
    assert_eq!(tree.lock(), lock);
    let plan = tree.fixture.keel(&["plan"]).ok().stdout;
    let line = plan.lines().find(|line| line.starts_with("base")).unwrap();
    assert!(
        line.contains("1-1.fx1.1") && line.contains("cached") && line.contains("published with other bytes"),
        "{plan}"
    );

    // It was not published: undone, the name is what it was.
    tree.write("base", "1%{?dist}", "", "echo one");
    assert_eq!(tree.build().0, first);
    tree.write("base", "1%{?dist}", "", "echo two");
    let said = tree.publish(&["--record"]);
    assert!(!said.contains("warning"), "{said}");
    assert_eq!(dnf(&tree, root.path(), &["upgrade"]), second);
    let lock = tree.lock();
    assert_eq!(
        [
            lock.matches("rebuild = 1").count(),
            lock.matches("rebuild = 0").count()
        ],
        [2, 1],
        "{lock}"
    );
    assert!(lock.contains("version = \"1-1.fx1\"\nrebuild = 1"), "{lock}");
    // From now on it is built with the counter, once.
    let plan = tree.fixture.keel(&["plan", "--output", "json"]).ok().stdout;
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(
        (&plan["jobs"][0]["recipe"]["rebuild"], &plan["summary"]["cached"]),
        (&1.into(), &3.into())
    );

    // It was published: undone, the old bytes get a new name, for clients have the others.
    tree.write("base", "1%{?dist}", "", "echo one");
    let third = ["base-1.fx1.2", "leaf-1.fx1.2", "other-1.fx1"];
    assert_eq!(tree.build().0, third);
    tree.publish(&["--record"]);
    assert_eq!(dnf(&tree, root.path(), &["upgrade"]), third);

    // A new Release begins anew.
    tree.write("base", "2%{?dist}", "", "echo three");
    let fourth = ["base-2.fx1", "leaf-1.fx1.3", "other-1.fx1"];
    assert_eq!(tree.build().0, fourth);
    tree.publish(&["--record"]);
    assert!(
        tree.lock().contains("version = \"1-2.fx1\"\nrebuild = 0"),
        "{}",
        tree.lock()
    );
    assert_eq!(dnf(&tree, root.path(), &["upgrade"]), fourth);
}

/// N10: a counter that no name follows is refused, and what to do is said.
#[test]
fn a_release_that_no_counter_follows_is_told() {
    let tree = Tree::new("fixed");
    tree.list(&["base"]);
    tree.write("base", "1", "", "echo one");
    tree.publish(&["--record"]);
    for (release, text) in [
        ("1", "base` of 1-1, but 1-1 "),
        ("2%{?dist}.5", "base` of 1-2.fx1.5, but 1-2.fx1.1.5"),
    ] {
        tree.write("base", release, "", "echo one");
        tree.publish(&["--record"]);
        tree.write("base", release, "", "echo two");
        let ran = tree.fixture.keel(&["build"]);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        let errors = ran.errors();
        assert!(errors.contains(text), "{errors}");
        assert!(errors.contains("hint: raise `Release`"), "{errors}");
    }
}

/// N13: without a record nothing is known of names; that one gets other bytes is told, and what to do.
#[test]
fn a_name_that_gets_other_bytes_is_told() {
    let tree = Tree::new("told");
    tree.list(&["base"]);
    tree.publish(&[]);
    let said = tree.publish(&[]);
    assert!(!said.contains("warning"), "{said}");
    tree.write("base", "1%{?dist}", "", "echo two");
    let said = tree.publish(&[]);
    assert!(
        said.contains("base-1-1.fx1.noarch is published with other bytes, and gets new ones"),
        "{said}"
    );
    assert!(said.contains("`--record`"), "{said}");
}

/// N14: what is damaged is told, and made anew from the store.
#[test]
fn a_damaged_repository_is_mended() {
    let tree = Tree::new("damaged");
    tree.publish(&[]);
    let whole = |name: &str| fs_err::read(tree.published("os", name)).unwrap();
    let names = [
        "base-1-1.fx1.noarch.rpm",
        "leaf-1-1.fx1.noarch.rpm",
        "other-1-1.fx1.noarch.rpm",
    ];
    let before = names.map(whole);
    let damage = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let file = tree.published("os", name);
        let mut bytes = fs_err::read(&file).unwrap();
        change(&mut bytes);
        fs_err::remove_file(&file).unwrap();
        fs_err::write(&file, bytes).unwrap();
    };
    damage(names[0], &|bytes| bytes[..200].fill(0));
    damage(names[1], &|bytes| *bytes.last_mut().unwrap() ^= 1);
    damage(names[2], &|bytes| bytes.truncate(100));
    fs_err::remove_file(tree.published("source", "base-1-1.fx1.src.rpm")).unwrap();
    assert_eq!(tree.fixture.keel(&["repo", "verify"]).code, Some(1));
    let said = tree.publish(&[]);
    for name in names.iter().chain(&["base-1-1.fx1.src.rpm"]) {
        let line = said.lines().find(|line| line.contains(name));
        assert!(
            line.is_some_and(|line| line.contains("is damaged") && line.contains("made anew")),
            "{name}: {said}"
        );
    }
    assert!(names.map(whole) == before);
    // Metadata, too.
    let repodata = tree.fixture.path("out/repo/x86_64/os/repodata");
    fs_err::write(repodata.join("repomd.xml"), "<repomd").unwrap();
    let said = tree.publish(&[]);
    assert!(said.contains("repodata") && said.contains("is damaged"), "{said}");
    let said = tree.publish(&[]);
    assert!(!said.contains("warning"), "{said}");
}

/// A run of `keel build base` in the background, that says all.
fn start(tree: &Tree, log: &str) -> (Child, PathBuf) {
    let log = tree.fixture.path(log);
    let mut command = tree.fixture.command(".", &["build", "base", "-v"]);
    let file = fs_err::File::create(&log).unwrap().into_parts().0;
    (command.stdout(Stdio::null()).stderr(file).spawn().unwrap(), log)
}

#[track_caller]
fn wait_for(log: &Path, text: &str) {
    let started = Instant::now();
    while !fs_err::read_to_string(log).unwrap().contains(text) {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{text}: {}",
            fs_err::read_to_string(log).unwrap()
        );
        sleep(Duration::from_millis(50));
    }
}

/// Two runs that need the same build it once; whoever waits can stop, and goes on when the other is killed.
#[test]
fn two_runs_build_nothing_twice() {
    let tree = Tree::new("twice");
    tree.write("base", "1%{?dist}", "", "sleep 6; echo one");
    let (mut one, one_says) = start(&tree, "one.log");
    wait_for(&one_says, "%install");
    let (mut other, other_says) = start(&tree, "other.log");
    let (mut stopped, stopped_says) = start(&tree, "stopped.log");
    wait_for(&stopped_says, "builds `base`: waiting for it");
    judge("kill", &["-INT", &stopped.id().to_string()]);
    assert_eq!(stopped.wait().unwrap().code(), Some(130));
    assert!(one.wait().unwrap().success() && other.wait().unwrap().success());
    let (one, other) = (
        fs_err::read_to_string(one_says).unwrap(),
        fs_err::read_to_string(other_says).unwrap(),
    );
    assert_eq!(
        [builds(&one, "base"), builds(&other, "base")],
        [1, 0],
        "{one}\n{other}"
    );
    assert!(
        other.contains("builds `base`: waiting for it") && other.contains("Cached"),
        "{other}"
    );

    tree.write("base", "1%{?dist}", "", "sleep 5; echo two");
    let (mut one, one_says) = start(&tree, "one.log");
    wait_for(&one_says, "%install");
    let (mut other, other_says) = start(&tree, "other.log");
    wait_for(&other_says, "waiting for it");
    let id = one.id().to_string();
    tool("kill", &["-KILL", &id]);
    one.wait().unwrap();
    assert!(other.wait().unwrap().success());
    let other = fs_err::read_to_string(other_says).unwrap();
    assert_eq!(builds(&other, "base"), 1, "{other}");
}
