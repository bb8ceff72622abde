//! `%generate_buildrequires`: what a SPEC asks for while it is built.

use serde_json::Value;

use crate::harness::{Fixture, Ran, judge};

/// The fixture with `asker`, whose section prints these lines of shell.
fn asking(section: &str, check: &str) -> Fixture {
    let fixture = Fixture::new();
    fs_err::write(
        fixture.path("components/asker.toml"),
        "[components.asker]\nspec = { type = \"local\", path = \"../specs/asker.spec\" }\n\
         build = { bootstrap-libc = true, borrowed-libc = true }\n",
    )
    .unwrap();
    let run = format!("{} {:?}", std::process::id(), std::thread::current().id());
    let spec = format!(
        "# {run}\nName: asker\nVersion: 1\nRelease: 1\nSummary: x\nLicense: MIT\nBuildArch: noarch\nBuildRequires: make\n\
         %description\n%prep\n%generate_buildrequires\n{section}\n%build\n%install\nmkdir -p %{{buildroot}}/usr/share\n\
         touch %{{buildroot}}/usr/share/asker\n%check\n{check}\n%files\n/usr/share/asker\n%changelog\n\
         * Thu Jan 01 2026 K <k@example.org> - 1-1\n- x\n"
    );
    fs_err::write(fixture.path("specs/asker.spec"), spec).unwrap();
    fixture
}

/// A name that is lent, one of another component's packages, and what is known only when that is there.
const ROUNDS: &str =
    "echo gcc\necho zlib-devel\nif [ -e /usr/include/zlib.h ]; then echo 'fixture-filesystem >= 1'; fi";

fn packages(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn a_section_brings_packages_of_other_components_and_the_second_run_plans_with_them() {
    let fixture = asking(
        ROUNDS,
        "test -e /usr/include/zlib.h && test -e /usr/lib/os-release",
    );
    let first = fixture.keel(&["build", "asker", "--output", "json"]).ok();
    for part in [
        "`asker` asks for `gcc`, `zlib-devel` (%generate_buildrequires): planned again",
        "`asker` asks for `fixture-filesystem >= 1` (%generate_buildrequires): planned again",
    ] {
        assert!(first.stderr.contains(part), "{part}: {}", first.stderr);
    }
    let out = fixture.path("out/packages/x86_64/asker");
    let source = out.join("asker-1-1.src.rpm");
    let requires = judge("rpm", &["-qp", "--requires", source.to_str().unwrap()]);
    for name in ["make", "gcc", "zlib-devel", "fixture-filesystem >= 1"] {
        assert!(requires.lines().any(|line| line == name), "{name}: {requires}");
    }
    let provenance = fs_err::read_to_string(out.join("provenance.json")).unwrap();
    let provenance: Value = serde_json::from_str(&provenance).unwrap();
    assert_eq!(provenance["generated"].as_array().unwrap().len(), 3);
    assert_eq!(provenance["check"], "passed");
    let root: Vec<&str> = (provenance["root"].as_array().unwrap().iter())
        .map(|package| package["component"].as_str().unwrap())
        .collect();
    assert!(
        root.contains(&"zlib") && root.contains(&"fixture-filesystem"),
        "{root:?}"
    );
    // The plan knows it now, and nothing is built.
    let plan = fixture.keel(&["plan", "asker", "--output", "json"]).ok();
    let plan = packages(&plan);
    let job = (plan["jobs"].as_array().unwrap().iter()).find(|job| job["component"] == "asker");
    let job = job.unwrap();
    let rounds = job["rounds"].as_array().unwrap().iter();
    let prints: Vec<usize> = rounds
        .map(|round| round["prints"].as_array().unwrap().len())
        .collect();
    assert_eq!(prints, [0, 2, 1]);
    let says = job["because"]["zlib"]["says"].as_str().unwrap();
    assert_eq!(says, "%generate_buildrequires: zlib-devel");
    assert_eq!(plan["summary"]["build"], 0, "{}", plan["summary"]);
    let told = fixture.keel(&["plan", "--explain", "asker"]).ok();
    assert!(
        told.stdout.contains("%generate_buildrequires asks for"),
        "{}",
        told.stdout
    );
    let second = fixture.keel(&["build", "asker", "--output", "json"]).ok();
    assert!(!second.stderr.contains("planned again"), "{}", second.stderr);
    assert_eq!(packages(&first), packages(&second));
    fixture.keel(&["reproduce", "asker"]).ok();
}

#[test]
fn what_nobody_provides_is_told_with_its_place_and_a_near_name() {
    let fixture = asking("echo zlib-dvel", "true");
    for _ in 0..2 {
        let ran = fixture.keel(&["build", "asker"]);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        for part in [
            "cannot plan `asker`\n  specs/asker.spec:11: %generate_buildrequires: zlib-dvel",
            "no package of this distribution provides `zlib-dvel`",
            "did you mean `zlib-devel`?",
        ] {
            assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
        }
    }
}

/// A component without files of its own but one, which holds its text; `tags` are lines of its SPEC.
fn small(fixture: &Fixture, name: &str, tags: &str, text: &str) {
    let toml =
        format!("[components.{name}]\nspec = {{ type = \"local\", path = \"../specs/{name}.spec\" }}\n");
    fs_err::write(fixture.path(&format!("components/{name}.toml")), toml).unwrap();
    let run = format!("{} {:?}", std::process::id(), std::thread::current().id());
    let spec = format!(
        "# {run}\nName: {name}\nVersion: 1\nRelease: 1\nSummary: x\nLicense: MIT\nBuildArch: noarch\n{tags}\n\
         %description\n%install\nmkdir -p %{{buildroot}}/usr/share\necho '{text}' > %{{buildroot}}/usr/share/{name}\n\
         %files\n/usr/share/{name}\n%changelog\n* Thu Jan 01 2026 K <k@example.org> - 1-1\n- x\n"
    );
    fs_err::write(fixture.path(&format!("specs/{name}.spec")), spec).unwrap();
}

#[test]
fn what_a_section_no_longer_asks_for_stands_in_nobodys_way() {
    let fixture = asking("cat /usr/share/says", "true");
    let spec = fixture.path("specs/asker.spec");
    let text = fs_err::read_to_string(&spec).unwrap();
    fs_err::write(&spec, text.replace("BuildRequires: make", "BuildRequires: says")).unwrap();
    for abi in ["abi(3.12)", "abi(3.13)"] {
        small(&fixture, "says", "", abi);
        small(&fixture, "provider", &format!("Provides: {abi}"), abi);
        // What is remembered of the first time is met by nobody the second time.
        fixture.keel(&["plan"]).ok();
        let ran = fixture.keel(&["build", "asker", "--output", "json"]).ok();
        let asks = format!("`asker` asks for `{abi}` (%generate_buildrequires): planned again");
        assert!(ran.stderr.contains(&asks), "{}", ran.stderr);
    }
    // It asks for nothing, and the provider is not in the plan any more.
    small(&fixture, "says", "", "");
    let ran = fixture.keel(&["build", "asker"]).ok();
    let says = "`asker` no longer asks for all that it did (%generate_buildrequires): planned again";
    assert!(ran.stderr.contains(says), "{}", ran.stderr);
    let plan = packages(&fixture.keel(&["plan", "asker", "--output", "json"]).ok());
    let jobs = plan["jobs"].as_array().unwrap().iter();
    let names: Vec<&str> = jobs.map(|job| job["component"].as_str().unwrap()).collect();
    assert!(!names.contains(&"provider"), "{names:?}");
    assert_eq!(plan["summary"]["build"], 0, "{}", plan["summary"]);
}

#[test]
fn what_failed_is_not_tried_again_by_the_next_plan() {
    let fixture = asking(ROUNDS, "true");
    small(&fixture, "broken", "", "'; exit 3; : '");
    small(&fixture, "user", "BuildRequires: broken", "");
    let ran = fixture.keel(&["build", "asker", "user", "--keep-going"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("planned again").count(), 2, "{}", ran.stderr);
    let failures = ran.stderr.matches("`broken`: %install failed").count();
    assert_eq!(failures, 1, "{}", ran.stderr);
    for part in ["cannot build `broken`", "not built because of this: `user`"] {
        assert!(ran.errors().contains(part), "{part}: {}", ran.stderr);
    }
    // The rest is done.
    let plan = packages(&fixture.keel(&["plan", "asker", "--output", "json"]).ok());
    assert_eq!(plan["summary"]["build"], 0, "{}", plan["summary"]);
}

#[test]
fn a_section_that_fails_is_a_failure_of_the_build() {
    let fixture = asking("echo oops: error: no >&2\nexit 3", "true");
    let ran = fixture.keel(&["build", "asker"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.errors().contains("%generate_buildrequires failed"),
        "{}",
        ran.stderr
    );
    assert!(ran.errors().contains("oops: error: no"), "{}", ran.stderr);
}

#[test]
fn what_became_of_check_is_told() {
    let fixture = asking("true", "echo tested; false");
    let failed = fixture.keel(&["build", "asker"]);
    assert!(failed.errors().contains("%check failed"), "{}", failed.stderr);
    let left_out = |ran: &Ran, by: &str| {
        assert_eq!(packages(ran)["checks"]["asker"]["result"], "left-out");
        let line = format!("`asker`: %check left out {by}");
        assert!(ran.stderr.contains(&line), "{line}: {}", ran.stderr);
    };
    let ran = fixture
        .keel(&["build", "asker", "--no-check", "--output", "json"])
        .ok();
    left_out(&ran, "by the command line");
    // Without the switch it is another build: what was left out does not count as tested.
    assert_eq!(fixture.keel(&["build", "asker"]).code, Some(1));
    let toml = fixture.path("components/asker.toml");
    let text = fs_err::read_to_string(&toml).unwrap();
    let check = "check = { skip = true, skip_reason = \"It needs a network.\" }, bootstrap-libc";
    fs_err::write(&toml, text.replace("bootstrap-libc", check)).unwrap();
    let ran = fixture.keel(&["build", "asker", "--output", "json"]).ok();
    left_out(&ran, "by the configuration: It needs a network.");
    let ran = fixture.keel(&["build", "hello", "zlib", "--output", "json"]).ok();
    let checks = &packages(&ran)["checks"];
    assert_eq!(checks["hello"]["result"], "passed");
    assert_eq!(checks["zlib"]["result"], "none");
}
