//! A tree on another one builds its own, and takes the rest from where that is published. Rule M61 of
//! docs/explanation/model.md, and rules B1 to B5 of docs/explanation/base-packages.md.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use keel_artefact::Epoch;
use keel_rpm::sign::Key;
use keel_store::Store;
use serde_json::Value;

use crate::harness::{Fixture, Ran, cache, judge, root};

/// A fixture whose repository is published and signed by a key of its own, and a tree `team` that stands on it: it adds `greet`,
/// which is built with zlib of the base, and changes `hello`.
struct Team {
    fixture: Fixture,
}

const GREET: &str = "Name: greet\nVersion: 1\nRelease: 1%{?dist}\nSummary: A test\nLicense: MIT\nURL: https://example.org/\n\
    BuildRequires: gcc\nBuildRequires: zlib-devel\n\n%description\nA test.\n\n%build\ntest -e %{_libdir}/libz.a\n\
    cat > greet.c <<'END'\n#include <stdio.h>\n#include <zlib.h>\nint main(void) { puts(zlibVersion()); return 0; }\nEND\n\
    %set_build_flags\ngcc $CFLAGS $LDFLAGS -static -o greet greet.c -L%{_libdir} -lz\n\n\
    %install\ninstall -D -m755 greet %{buildroot}%{_bindir}/greet\n\n%files\n%{_bindir}/greet\n\n\
    %changelog\n* Thu Jan 01 2026 A B <a@b.test> - 1-1\n- New.\n";

impl Team {
    fn new() -> Self {
        let fixture = Fixture::new();
        let team = Self { fixture };
        team.fixture.keel(&["key", "generate", "keys/base"]).ok();
        team.publish("keys/base");
        let hello = fs_err::read_to_string(team.fixture.path("specs/hello/hello.spec")).unwrap();
        let hello = hello.replace("Version:        1.0", "Version:        2.0");
        team.write("specs/hello/hello.spec", &hello.replace("- 1.0-1", "- 2.0-1"));
        let source = fs_err::read(team.fixture.path("specs/hello/hello.c")).unwrap();
        fs_err::write(team.fixture.path("team/specs/hello/hello.c"), source).unwrap();
        team.write("specs/greet/greet.spec", GREET);
        team.write(
            "both.image.toml",
            "packages = [\"fixture-filesystem\", \"fixture-shell\", \"greet\", \"hello\"]\nformats = [\"oci\"]\n\n[container]\ncmd = [\"/bin/sh\"]\n",
        );
        team.project("keys/base.pub.asc");
        team
    }

    /// Makes the base's repository, signed by a key.
    fn publish(&self, key: &str) {
        self.fixture.keel(&["repo", "create", "--key", key]).ok();
    }

    fn write(&self, name: &str, text: &str) {
        let file = self.fixture.path("team").join(name);
        fs_err::create_dir_all(file.parent().unwrap()).unwrap();
        fs_err::write(file, text).unwrap();
    }

    fn project(&self, key: &str) {
        let built = "build = { bootstrap-libc = true, borrowed-libc = true }";
        let text = format!(
            "[project]\ndescription = \"A team's\"\noutput-dir = \"out\"\n\n\
             [keel.base]\npath = \"..\"\nrepository = \"file://{}/$basearch/os\"\ngpg-key = \"{key}\"\n\n\
             [components.greet]\nspec = {{ type = \"local\", path = \"specs/greet/greet.spec\" }}\n{built}\n\n\
             [components.hello]\noverride = \"replace\"\nspec = {{ type = \"local\", path = \"specs/hello/hello.spec\" }}\n{built}\n\n\
             [images.both]\ndescription = \"Of both\"\ndefinition = {{ type = \"keel\", path = \"both.image.toml\" }}\n\
             capabilities = {{ container = true }}\n",
            self.fixture.path("out/repo").display()
        );
        self.write("keel.toml", &text);
    }

    fn keel(&self, arguments: &[&str]) -> Ran {
        self.fixture.keel_in("team", arguments)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--output", "json"]).collect();
        serde_json::from_str(&self.keel(&arguments).ok().stdout).unwrap()
    }

    /// The file of a package in the base's repository. The store, in which it was signed, forgets it: users of a repository have
    /// another store than those who made it.
    fn published(&self, start: &str) -> PathBuf {
        let listed = judge(
            "find",
            &[self.os().to_str().unwrap(), "-name", &format!("{start}*")],
        );
        let file = PathBuf::from(listed.lines().next().expect("it is published"));
        forget(&file);
        file
    }

    fn os(&self) -> PathBuf {
        self.fixture.path("out/repo/x86_64/os")
    }
}

/// The components named in an array of objects.
fn components(all: &Value) -> BTreeSet<&str> {
    let all = all.as_array().unwrap().iter();
    all.map(|one| one["component"].as_str().unwrap()).collect()
}

fn sha256(file: &Path) -> String {
    let said = judge("sha256sum", &[file.to_str().unwrap()]);
    said.split_whitespace().next().unwrap().to_owned()
}

/// The store has no file of these bytes any more.
pub fn forget(file: &Path) {
    let store = Store::open(&cache()).unwrap();
    if let Ok(object) = store.object(&sha256(file).parse().unwrap()) {
        fs_err::remove_file(object).unwrap();
    }
}

pub fn flip(file: &Path) {
    let mut bytes = fs_err::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs_err::remove_file(file).unwrap();
    fs_err::write(file, bytes).unwrap();
}

/// M61, B1, B2: what is not pinned is not used; what is pinned is used, only the team's own is built, a root holds the base's
/// package, an image both; a second time nothing is built.
#[test]
fn a_team_builds_its_own_only() {
    let team = Team::new();
    let unpinned = team.keel(&["plan"]);
    assert_eq!(unpinned.code, Some(2), "{}", unpinned.stderr);
    assert!(
        unpinned
            .errors()
            .contains("is not pinned\nhint: `keel source lock`"),
        "{}",
        unpinned.stderr
    );
    team.keel(&["source", "lock"]).ok();
    let lock = fs_err::read_to_string(team.fixture.path("team/keel.lock")).unwrap();
    let pin = sha256(&team.os().join("repodata/repomd.xml"));
    assert!(lock.contains("[[repository]]") && lock.contains(&pin), "{lock}");

    let plan = team.json(&["plan"]);
    assert_eq!(components(&plan["jobs"]), ["greet", "hello"].into());
    assert_eq!(components(&plan["published"]), ["zlib"].into());
    let told = team.keel(&["plan"]).ok().stdout;
    assert!(told.contains("2 packages of 1 components from file://"), "{told}");
    let told = team.keel(&["plan", "--explain", "zlib-devel"]).ok().stdout;
    assert!(told.contains("zlib is not built: file://"), "{told}");
    assert!(told.contains("`greet` is built with `zlib-devel`"), "{told}");

    let signed = sha256(&team.published("zlib-devel-"));
    let built = team.json(&["build"]);
    assert_eq!(components(&built["packages"]), ["greet", "hello"].into());
    let provenance = team
        .fixture
        .path("team/out/packages/x86_64/greet/provenance.json");
    let provenance = fs_err::read_to_string(provenance).unwrap();
    assert!(provenance.contains(&signed), "{provenance}");
    let again = team.keel(&["build", "-v"]).ok();
    assert!(!again.stderr.contains(" Built "), "{}", again.stderr);
    assert!(team.keel(&["plan"]).ok().stdout.contains("2 jobs: 2 cached"));

    // What is asked for by its name is built, as the base says.
    let named = team.json(&["plan", "zlib"]);
    assert_eq!(components(&named["jobs"]), ["zlib"].into());

    let image = team.json(&["image", "build", "both"]);
    let packages = image[0]["packages"].as_array().unwrap().iter();
    let identity = |package: &Value| {
        let nevra = &package["nevra"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        format!("{}-{}", text(&nevra["name"]), text(&nevra["evr"]["version"]))
    };
    let packages: Vec<String> = packages.map(identity).collect();
    let wanted = [
        "fixture-filesystem-1",
        "fixture-shell-1.37.0",
        "greet-1",
        "hello-2.0",
    ];
    assert_eq!(packages, wanted);
    // Its lock says which are the base's, by the digests there, and which are built.
    let lock = fs_err::read_to_string(team.fixture.path("team/out/images/both/image.lock")).unwrap();
    let shell = lock
        .lines()
        .find(|line| line.starts_with("\"fixture-shell-"))
        .unwrap();
    let listed = judge("find", &[team.os().to_str().unwrap(), "-name", "fixture-shell-*"]);
    let digest = sha256(Path::new(listed.lines().next().unwrap()));
    assert!(shell.contains(&digest), "{shell}");
    assert!(shell.contains("repository = \"file:///"), "{shell}");
    let greet = lock.lines().find(|line| line.starts_with("\"greet-")).unwrap();
    assert!(
        greet.contains("component = \"greet\"") && !greet.contains("repository"),
        "{greet}"
    );
    team.keel(&["image", "verify", "out/images/both"]).ok();

    // Only what was built here is published here.
    let repository = team.json(&["repo", "create"]);
    let entries = repository["packages"].as_array().unwrap().iter();
    let names: BTreeSet<&str> = entries
        .map(|entry| entry["nevra"]["name"].as_str().unwrap())
        .collect();
    assert!(
        names
            .iter()
            .all(|name| name.starts_with("greet") || name.starts_with("hello")),
        "{names:?}"
    );
}

/// B2: what the tree says of a component of the base without an entry of its own changes it, too: by a group, or by what all inherit.
#[test]
fn what_the_tree_changes_in_any_way_is_built() {
    let team = Team::new();
    team.keel(&["source", "lock"]).ok();
    let project = fs_err::read_to_string(team.fixture.path("team/keel.toml")).unwrap();
    let jobs = |more: &str| -> Vec<String> {
        team.write("keel.toml", &format!("{project}\n{more}\n"));
        let plan = team.json(&["plan", "greet"]);
        let jobs = plan["jobs"].as_array().unwrap().iter();
        jobs.map(|job| job["component"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(jobs(""), ["greet"]);
    let defines = "default-component-config.build.defines = { more = \"1\" }";
    assert_eq!(
        jobs(&format!(
            "[component-groups.ours]\ncomponents = [\"zlib\"]\n{defines}"
        )),
        ["zlib", "greet"]
    );
    assert_eq!(
        jobs(&format!(
            "[component-groups.ours]\ncomponents = [\"hello\"]\n{defines}"
        )),
        ["greet"]
    );
    assert!(
        jobs("[default-component-config]\nbuild.defines = { more = \"1\" }").contains(&"zlib".to_owned())
    );
}

/// B1: a state is pinned until somebody says otherwise, whatever the repository has meanwhile; `source update` takes the newer one.
#[test]
fn a_state_is_used_until_another_is_pinned() {
    let team = Team::new();
    team.keel(&["source", "lock"]).ok();
    team.keel(&["build", "greet"]).ok();
    let lock = fs_err::read(team.fixture.path("team/keel.lock")).unwrap();
    let before = team.json(&["plan"]);
    // Signed at another time by another key of the same name: other bytes, other digests.
    team.fixture.keel(&["key", "generate", "keys/other"]).ok();
    team.publish("keys/other");
    team.fixture
        .keel(&["repo", "verify", "--certificate", "keys/other.pub.asc"])
        .ok();
    assert_eq!(team.json(&["plan"])["published"], before["published"]);
    assert_eq!(fs_err::read(team.fixture.path("team/keel.lock")).unwrap(), lock);
    // The newer state is signed by a key that the tree does not trust, until it says so.
    let refused = team.keel(&["source", "update"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.errors().contains("is refused"), "{}", refused.stderr);
    team.project("keys/other.pub.asc");
    let checked = team.json_of_failure(&["source", "update", "--check-only"]);
    assert!(
        checked.contains("\"state\":\"newer\"") || checked.contains("\"state\": \"newer\""),
        "{checked}"
    );
    team.keel(&["source", "update"]).ok();
    assert_ne!(fs_err::read(team.fixture.path("team/keel.lock")).unwrap(), lock);
    team.keel(&["build", "greet"]).ok();
}

/// B1: where nothing is newer, nothing is written: not even a lock that is not there, or is not as Keel writes it.
#[test]
fn an_update_without_news_leaves_the_lock() {
    let fixture = Fixture::new();
    let lock = fixture.path("keel.lock");
    fs_err::write(&lock, "# By hand.\nversion   = 1\n").unwrap();
    fixture.keel(&["source", "update"]).ok();
    let after = fs_err::read_to_string(&lock).unwrap();
    assert_eq!(after, "# By hand.\nversion   = 1\n");
    fs_err::remove_file(&lock).unwrap();
    fixture.keel(&["source", "update"]).ok();
    assert!(!lock.exists());
}

/// B1: a repository that cannot be reached hides nothing else.
#[test]
fn an_unreachable_repository_is_one_row() {
    let team = Team::new();
    team.keel(&["source", "lock"]).ok();
    let (there, away) = (team.fixture.path("out/repo"), team.fixture.path("out/away"));
    fs_err::rename(&there, &away).unwrap();
    let updated = team.keel(&["source", "update", "--output", "json"]);
    assert_eq!(updated.code, Some(3), "{}", updated.stderr);
    let rows: Value = serde_json::from_str(&updated.stdout).unwrap();
    let row = rows.as_array().unwrap().last().expect("of the repository");
    assert_eq!(row["component"], "keel.base", "{rows}");
    assert_eq!(row["state"], "unknown", "{rows}");
    let note = row["note"].as_str().unwrap();
    assert!(
        note.starts_with("cannot read the repository file://") && note.ends_with("there is no such file"),
        "{note}"
    );
    // What a lock pinned is told, too.
    fs_err::remove_file(team.fixture.path("team/keel.lock")).unwrap();
    let locked = team.keel(&["source", "lock", "--output", "json"]);
    assert_eq!(locked.code, Some(3), "{}", locked.stderr);
    serde_json::from_str::<Value>(&locked.stdout).expect("the changes");
}

/// B3: a package that is there no more has a hint; the signature that counts is one by the key that is trusted now.
#[test]
fn packages_vanish_and_keys_change() {
    let team = Team::new();
    team.keel(&["source", "lock"]).ok();
    team.fixture.keel(&["key", "generate", "keys/next"]).ok();
    sign(&team.os(), &team.fixture.path("keys/next"));
    team.project("keys/next.pub.asc");
    let offline = team.keel(&["plan", "--offline"]);
    assert_eq!(offline.code, Some(2), "{}", offline.stderr);
    assert!(offline.errors().contains("is refused"), "{}", offline.stderr);
    team.keel(&["plan"]).ok();
    team.keel(&["plan", "--offline"]).ok();
    // A key that signed nothing.
    team.fixture.keel(&["key", "generate", "keys/stranger"]).ok();
    team.project("keys/stranger.pub.asc");
    assert_eq!(team.keel(&["plan"]).code, Some(2));

    team.project("keys/next.pub.asc");
    fs_err::remove_file(team.published("zlib-devel-")).unwrap();
    let gone = team.keel(&["build", "greet"]);
    assert_eq!(gone.code, Some(1), "{}", gone.stderr);
    assert!(
        gone.errors()
            .contains("hint: where the repository has another state by now, `keel source update`"),
        "{}",
        gone.stderr
    );
}

impl Team {
    fn json_of_failure(&self, arguments: &[&str]) -> String {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--output", "json"]).collect();
        let ran = self.keel(&arguments);
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        ran.stdout
    }
}

/// B3: every byte is what something signed says it is.
#[test]
fn flipped_bytes_and_other_keys_are_refused() {
    let team = Team::new();
    team.keel(&["source", "lock"]).ok();
    // A package.
    let package = team.published("zlib-devel-");
    let right = sha256(&package);
    flip(&package);
    let wrong = sha256(&package);
    let refused = team.keel(&["build", "greet"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(
        refused.errors().contains("a package of the base cannot be used"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains(&wrong) && refused.stderr.contains(&right),
        "{}",
        refused.stderr
    );
    flip(&package);
    team.keel(&["build", "greet"]).ok();
    // Bytes that got damaged in the store are fetched again.
    let store = Store::open(&cache()).unwrap();
    let object = store.object(&right.parse().unwrap()).unwrap();
    flip(&object);
    team.write(
        "specs/greet/greet.spec",
        &GREET.replace("A test.\n\n%build", "Another.\n\n%build"),
    );
    team.keel(&["build", "greet"]).ok();
    assert_eq!(sha256(&object), right);

    // repomd.xml, whose signature is good no more.
    let other = Team::new();
    flip(&other.os().join("repodata/repomd.xml"));
    let refused = other.keel(&["source", "lock"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.errors().contains("is refused"), "{}", refused.stderr);
    flip(&other.os().join("repodata/repomd.xml"));
    // Another key than the one that is trusted.
    other.fixture.keel(&["key", "generate", "keys/stranger"]).ok();
    other.project("keys/stranger.pub.asc");
    let refused = other.keel(&["source", "lock"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.errors().contains("is refused"), "{}", refused.stderr);
    assert!(
        refused
            .errors()
            .contains("`gpg-key` of `[keel.base]` names the key to trust"),
        "{}",
        refused.stderr
    );
    // A package that is signed by somebody else, in metadata that are not.
    other.project("keys/base.pub.asc");
    other.publish("keys/stranger");
    sign(&other.os(), &other.fixture.path("keys/base"));
    other.keel(&["source", "lock"]).ok();
    let refused = other.keel(&["build", "greet"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(
        refused.errors().contains("which is not a trusted key"),
        "{}",
        refused.stderr
    );
}

/// Signs the metadata in a folder.
pub fn sign(os: &Path, key: &Path) {
    let now = Epoch(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs());
    let key = Key::load(key, now).unwrap();
    let manifest = fs_err::read(os.join("repodata/repomd.xml")).unwrap();
    let signature = key.sign_detached(&manifest, now).unwrap();
    fs_err::write(os.join("repodata/repomd.xml.asc"), signature).unwrap();
}

/// B3, B4: a package of the base that has scriptlets, in a repository that createrepo_c made, goes through a real transaction, and is not
/// asked for again.
#[test]
fn scriptlets_of_the_base_run_in_a_transaction() {
    let fixture = Fixture::new();
    fixture.keel(&["key", "generate", "keys/base"]).ok();
    let settings = fs_err::read_to_string(root().join("tests/fixture/settings.toml")).unwrap();
    let settings = settings.replace(
        "[keel.stage0.lends]",
        "[keel.stage0.lends]\n\"/bin/sh\" = [\"dash\"]",
    );
    fs_err::write(fixture.path("settings.toml"), settings).unwrap();
    let salt = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let spec = |name: &str, tags: &str, build: &str, post: &str| {
        format!(
            "Name: {name}\nVersion: 1\nRelease: 1\nSummary: A test\nLicense: MIT\nURL: https://example.org/\nBuildArch: noarch\n{tags}\n\
             %description\nA test of {salt}.\n\n%build\n{build}\n%install\nmkdir -p %{{buildroot}}/usr/share\n\
             echo {name} > %{{buildroot}}/usr/share/{name}\n\n{post}%files\n/usr/share/{name}\n\n\
             %changelog\n* Thu Jan 01 2026 A B <a@b.test> - 1-1\n- New.\n"
        )
    };
    let tree = |name: &str, rest: &str| {
        format!(
            "[project]\ndescription = \"A test\"\noutput-dir = \"out\"\n{rest}\n\
             [components.{name}]\nspec = {{ type = \"local\", path = \"{name}.spec\" }}\n"
        )
    };
    let put = |file: &str, text: &str| {
        let file = fixture.path(file);
        fs_err::create_dir_all(file.parent().unwrap()).unwrap();
        fs_err::write(file, text).unwrap();
    };
    let post = "%post\necho made > /usr/share/made-by-post\n\n";
    put("lower/scripted.spec", &spec("scripted", "", "", post));
    let rest = "default-distro = { name = \"fixture\", version = \"1\" }\n";
    let includes = "includes = [\"../settings.toml\"]\n\n";
    put(
        "lower/keel.toml",
        &format!("{includes}{}", tree("scripted", rest)),
    );
    let base = format!(
        "\n[keel.base]\npath = \"../lower\"\nrepository = \"file://{}\"\ngpg-key = \"../keys/base.pub.asc\"\n",
        fixture.path("repo").display()
    );
    put("upper/keel.toml", &tree("user", &base));
    let tags = "BuildRequires: scripted\n";
    put(
        "upper/user.spec",
        &spec("user", tags, "test -e /usr/share/made-by-post", ""),
    );

    let (top, made) = (fixture.path("rpmbuild"), fixture.path("repo"));
    let define = format!("_topdir {}", top.display());
    let file = fixture.path("lower/scripted.spec");
    judge("rpmbuild", &["-bb", "--define", &define, file.to_str().unwrap()]);
    fs_err::create_dir_all(&made).unwrap();
    let now = Epoch(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs());
    let key = Key::load(&fixture.path("keys/base"), now).unwrap();
    let name = "scripted-1-1.noarch.rpm";
    let unsigned = top.join("RPMS/noarch").join(name);
    keel_rpm::sign::sign_package(&unsigned, &made.join(name), &key, now).unwrap();
    judge("createrepo_c", &["-q", made.to_str().unwrap()]);
    sign(&made, &fixture.path("keys/base"));

    fixture.keel_in("upper", &["source", "lock"]).ok();
    fixture.keel_in("upper", &["build"]).ok();
    let provenance = fixture.path("upper/out/packages/x86_64/user/provenance.json");
    let provenance: Value = serde_json::from_str(&fs_err::read_to_string(provenance).unwrap()).unwrap();
    let scriptlets = &provenance["scriptlets"];
    assert_eq!(
        scriptlets["added"].to_string(),
        "[\"usr/share/made-by-post\"]",
        "{provenance}"
    );
    let told = fixture
        .keel_in("upper", &["plan", "--explain", "user"])
        .ok()
        .stdout;
    assert!(
        told.contains("scriptlets ran in its build root\n  scripted-1-1.noarch:"),
        "{told}"
    );
    // With nothing to do, nobody opens the package: neither the repository nor the store has it.
    let package = made.join(name);
    let object = Store::open(&cache())
        .unwrap()
        .object(&sha256(&package).parse().unwrap());
    fs_err::remove_file(object.unwrap()).unwrap();
    fs_err::remove_file(package).unwrap();
    let again = fixture.keel_in("upper", &["build", "-v"]).ok();
    assert!(!again.stderr.contains(" Built "), "{}", again.stderr);
    let plan = fixture.keel_in("upper", &["plan"]).ok().stdout;
    assert!(plan.contains("1 jobs: 1 cached"), "{plan}");
}

/// M61: a repository without a key, and with one that is nowhere.
#[test]
fn a_repository_needs_a_key() {
    let fixture = Fixture::new();
    for (key, wanted) in [
        ("", "`[keel.base]` has a `repository` and no `gpg-key`"),
        ("gpg-key = \"no.asc\"", "there is no key `no.asc`"),
        (
            "gpg-key = \"https://h.test/k\"",
            "there is no key `https://h.test/k`",
        ),
    ] {
        fs_err::create_dir_all(fixture.path("team")).unwrap();
        let text = format!("[keel.base]\npath = \"..\"\nrepository = \"https://p.test/x\"\n{key}\n");
        fs_err::write(fixture.path("team/keel.toml"), text).unwrap();
        let ran = fixture.keel_in("team", &["config", "check"]);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.errors().contains(wanted), "{}", ran.stderr);
        assert!(ran.errors().contains("hint: "), "{}", ran.stderr);
    }
}
