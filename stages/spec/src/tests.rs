//! Projects, with the macros of this machine's rpm. (In stage0 they are trixie's; the end-to-end tests cover that.)

use std::{
    cell::{Cell, RefCell},
    path::Path,
    sync::Mutex,
};

use keel_artefact::{Sha256, event::Silent};
use keel_config::BuildOptions;

use super::*;

struct World {
    dir: tempfile::TempDir,
    project: Project,
    store: Store,
    asked: Cell<usize>,
}

const GOOD: &str = "Name: demo\nVersion: %{?upstream_version}%{!?upstream_version:1.0}\nRelease: 1%{?dist}\nSummary: A demo\n\
    License: MIT\nSource: https://x.org/%{name}-%{version}.tar.gz\nSource5: b\nSource: c\n\
    Patch3: http://y.org/q#/q7.patch\nBuildRequires: gcc\nBuildRequires: zlib-devel >= 1.2, (a if b)\n\
    BuildRequires: %{tool}\n%package devel\nSummary: More\nProvides: other = 2:3\n\
    Requires: %{name}%{?_isa} = %{version}-%{release}\n%description\nSource9: not a source\n%description devel\nMore.\n\
    %files\n%files devel\n%changelog\n* Thu Jan 01 2026 Keel Linux <keel@keel-linux.org> - 1.0-1\n- First.\n";

impl World {
    fn new(specs: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = fs_err::canonicalize(dir.path()).unwrap();
        let mut toml =
            "[project]\ndefault-distro = { name = \"d\", version = \"1\" }\n[distros.d.versions.1]\n\
                        release-ver = \"1\"\n[keel]\nmacros = [\"macros.d\"]\nstage0.suite = \"trixie\"\n"
                .to_owned();
        fs_err::write(root.join("macros.d"), "%tool make\n%dist .kl1\n").unwrap();
        for (name, text) in specs {
            fs_err::create_dir(root.join(name)).unwrap();
            fs_err::write(root.join(format!("{name}/{name}.spec")), text).unwrap();
            toml += &format!(
                "[components.{name}]\nspec = {{ type = \"local\", path = \"{name}/{name}.spec\" }}\n"
            );
        }
        fs_err::write(root.join("keel.toml"), toml).unwrap();
        let store = Store::open(&root.join("store")).unwrap();
        Self {
            project: keel_config::load(&root).unwrap(),
            dir,
            store,
            asked: Cell::new(0),
        }
    }

    fn options(&mut self, name: &str) -> &mut BuildOptions {
        let component = self
            .project
            .components
            .iter_mut()
            .find(|(known, _)| known.as_str() == name);
        &mut std::sync::Arc::make_mut(&mut component.unwrap().1.settings).build
    }

    fn evaluate(&self, names: &[&str], additions: &Additions, sink: &dyn Sink) -> Result<Vec<Recipe>, Error> {
        let base: RootPath = BASE.parse().unwrap();
        let root = self.dir.path().join("stage0");
        let rpm = root.join("usr/lib/rpm");
        if !rpm.exists() {
            fs_err::create_dir_all(rpm.parent().unwrap()).unwrap();
            assert!(
                Path::new("/usr/lib/rpm/macros").exists(),
                "this test needs rpm: apt-get install rpm"
            );
            std::os::unix::fs::symlink("/usr/lib/rpm", &rpm).unwrap();
        }
        let ground = Ground {
            layers: vec![root],
            behaviour: crate::macros::Behaviour::Rpm418,
            arch: Arch::X86_64,
        };
        let ask = |layer: &Path, requests: &[Request]| {
            self.asked.set(self.asked.get() + requests.len());
            ground.evaluate(layer, requests, &Interrupt::default())
        };
        let evaluation = Evaluation {
            project: &self.project,
            arch: Arch::X86_64,
            stage0: Sha256::of(b"stage0"),
            base: base.clone(),
            store: &self.store,
            sink,
            ask: &ask,
        };
        let names: Vec<ComponentName> = names.iter().map(|name| name.parse().unwrap()).collect();
        evaluation.run(&names, additions)
    }

    fn all(&self) -> Vec<Recipe> {
        self.evaluate(&[], &Additions::default(), &Silent).unwrap()
    }

    fn errors(&self, names: &[&str]) -> String {
        self.evaluate(names, &Additions::default(), &Silent)
            .unwrap_err()
            .to_string()
    }
}

#[derive(Default)]
struct Told(Mutex<RefCell<Vec<String>>>);

impl Sink for Told {
    fn event(&self, event: Event<'_>) {
        if let Event::Warning { text } | Event::Note { text } = event {
            self.0.lock().unwrap().borrow_mut().push(text.to_owned());
        }
    }
}

#[test]
fn a_recipe_says_what_its_spec_says() {
    let world = World::new(&[("demo", GOOD)]);
    let recipes = world.all();
    let [recipe] = recipes.as_slice() else {
        panic!("{recipes:?}")
    };
    assert_eq!(recipe.evr.to_string(), "1.0-1.kl1");
    assert_eq!(recipe.spec_digest, Sha256::of(GOOD.as_bytes()));
    assert_eq!(recipe.spec_shown, Path::new("demo/demo.spec"));
    assert_eq!(recipe.source_date_epoch.rfc3339(), "2026-01-01T00:00:00Z");
    let needs: Vec<(String, Option<u32>)> = recipe
        .build_requires
        .iter()
        .map(|need| (need.dependency.to_string(), need.line))
        .collect();
    let expected = [
        ("gcc", Some(10)),
        ("zlib-devel >= 1.2", Some(11)),
        ("(a if b)", None),
        ("make", None),
    ];
    assert_eq!(needs, expected.map(|(text, line)| (text.to_owned(), line)));
    let sources: Vec<(u32, &str, Option<&str>)> = recipe
        .sources
        .iter()
        .map(|s| (s.number, s.file_name.as_str(), s.url.as_deref()))
        .collect();
    assert_eq!(
        sources,
        [
            (0, "demo-1.0.tar.gz", Some("https://x.org/demo-1.0.tar.gz")),
            (5, "b", None),
            (6, "c", None),
            (3, "q7.patch", Some("http://y.org/q")),
        ]
    );
    let [demo, devel] = recipe.packages.as_slice() else {
        panic!("{:?}", recipe.packages)
    };
    assert_eq!(demo.nevra.to_string(), "demo-1.0-1.kl1.x86_64");
    let provides: Vec<String> = devel.provides.iter().map(ToString::to_string).collect();
    assert_eq!(
        provides,
        [
            "demo-devel = 1.0-1.kl1",
            "demo-devel(x86-64) = 1.0-1.kl1",
            "other = 2:3"
        ]
    );
    assert_eq!(devel.requires[0].to_string(), "demo(x86-64) = 1.0-1.kl1");
    assert_eq!(devel.summary, "More");
}

#[test]
fn a_recipe_knows_of_the_sections_that_a_build_must_tell_of() {
    let with = GOOD.replace(
        "%files\n%files",
        "%generate_buildrequires\necho gcc\n%check\ntrue\n%files\n%files",
    );
    let asker = with.replace("Name: demo", "Name: asker");
    let line = (1..)
        .zip(asker.lines())
        .find(|(_, line)| *line == "%generate_buildrequires");
    let world = World::new(&[("asker", &asker), ("demo", GOOD)]);
    let recipes = world.all();
    let said = |at: usize| (recipes[at].generates, recipes[at].has_check);
    assert_eq!(said(0), (line.map(|(number, _)| number), true));
    assert!(said(0).0.is_some());
    assert_eq!(said(1), (None, GOOD.contains("%check")));
}

#[test]
fn only_what_changed_is_asked_about() {
    let mut world = World::new(&[
        ("demo", GOOD),
        ("other", &GOOD.replace("Name: demo", "Name: other")),
    ]);
    let first = world.all();
    assert_eq!(world.asked.get(), 2);
    assert_eq!(world.all(), first);
    assert_eq!(world.asked.get(), 2);

    // A file beside one SPEC, a macro of one component, the SPEC itself: one question each.
    let root = world.project.root.clone();
    fs_err::write(root.join("demo/extra.inc"), "x").unwrap();
    world.all();
    assert_eq!(world.asked.get(), 3);
    world.options("demo").with.push("tests".into());
    assert_eq!(world.all()[0].defines["_with_tests"], "--with-tests");
    assert_eq!(world.asked.get(), 4);
    let overrides = Additions {
        overrides: Overrides::from([(
            "demo".parse().unwrap(),
            BTreeMap::from([("upstream_version".to_owned(), "1.1".to_owned())]),
        )]),
        ..Additions::default()
    };
    let moved = world.evaluate(&["demo"], &overrides, &Silent).unwrap();
    assert_eq!(moved[0].evr.version, "1.1");
    assert_eq!(moved[0].sources[0].file_name, "demo-1.1.tar.gz");
    assert_eq!(world.asked.get(), 5);

    // N3: a counter changes %dist, and what is made of it; without one nothing is asked again.
    let counted = |rebuild| {
        let additions = Additions {
            rebuilds: Rebuilds::from([("demo".parse().unwrap(), rebuild)]),
            ..Additions::default()
        };
        world.evaluate(&["demo"], &additions, &Silent).unwrap().remove(0)
    };
    let (plain, raised) = (counted(0), counted(2));
    assert_eq!(world.asked.get(), 6);
    assert_eq!((plain.evr.release.as_str(), plain.rebuild), ("1.kl1", 0));
    assert!(!plain.defines.contains_key("dist"));
    assert_eq!((raised.evr.release.as_str(), raised.rebuild), ("1.kl1.2", 2));
    assert_eq!(raised.defines["dist"], ".kl1.2");
    let devel = raised
        .packages
        .iter()
        .find(|package| package.nevra.name.as_str() == "demo-devel");
    let requires: Vec<String> = devel.unwrap().requires.iter().map(ToString::to_string).collect();
    assert!(
        requires.iter().any(|need| need.ends_with(" = 1.0-1.kl1.2")),
        "{requires:?}"
    );
    assert_eq!(counted(2), raised);
    assert_eq!(world.asked.get(), 6);

    // What is too big to be included is not seen.
    fs_err::write(
        root.join("demo/demo.tar"),
        vec![0; (inputs::MOST_BYTES + 1) as usize],
    )
    .unwrap();
    world.all();
    assert_eq!(world.asked.get(), 6);

    // Macro files are seen by all.
    fs_err::write(root.join("macros.d"), "%tool cmake\n%dist .kl2\n").unwrap();
    assert_eq!(world.all()[1].evr.release, "1.kl2");
    assert_eq!(world.asked.get(), 8);
}

#[test]
fn what_is_wrong_with_several_specs_is_told_together() {
    let world = World::new(&[
        ("bad-tag", &GOOD.replace("Summary: A", "Sumary: A")),
        ("fine", GOOD),
        ("no-date", GOOD.split("%changelog").next().unwrap()),
        ("no-macro", &GOOD.replace("%{tool}", "%{tol}")),
        (
            "no-version",
            &GOOD.replacen(
                "Version: %{?upstream_version}%{!?upstream_version:1.0}",
                "Version: %{vrsn}",
                1,
            ),
        ),
        ("open-if", &GOOD.replace("%files\n", "%if 1\n%files\n")),
    ]);
    assert_eq!(
        world.errors(&[]),
        "error: Unknown tag\n  bad-tag/bad-tag.spec:4:1:\n    4 | Sumary: A demo\n      | ^^^^^^\nhint: did you mean \
         `Summary`?\n\n\
         error: the SPEC of `no-date` has no date\n  no-date/no-date.spec: `%changelog` has no entry, and its newest \
         entry is the clock of the build\nhint: %changelog\n      * Thu Jan 01 2026 Name <name@example.org> - 1.0-1\n      \
         - What changed.\n\n\
         error: Dependency tokens must begin with alpha-numeric, '_' or '/'\n  no-macro/no-macro.spec:12:16:\n    \
         12 | BuildRequires: %{tol}\n       |                ^^^^^^\nhint: `%tol` is not defined\n\n\
         error: cannot evaluate the SPEC of `no-version`\n  no-version/no-version.spec:2:10: `%{vrsn}` is not a version (is \
         a macro undefined?)\n    2 | Version: %{vrsn}\n      |          ^^^^^^^\nhint: `%vrsn` is not defined\n\n\
         error: Unclosed %if\n  open-if/open-if.spec:21:1:\n    21 | %if 1\n       | ^^^^^\nhint: here it was opened; up \
         to line 26, the last, no `%endif` closes it"
    );
    // What was right is remembered all the same.
    let asked = world.asked.get();
    assert_eq!(
        world
            .evaluate(&["fine"], &Additions::default(), &Silent)
            .unwrap()
            .len(),
        1
    );
    assert_eq!(world.asked.get(), asked);
}

#[test]
fn a_component_of_another_architecture_is_left_out_or_refused() {
    let world = World::new(&[
        (
            "arm",
            &GOOD.replace("License:", "ExclusiveArch: aarch64\nLicense:"),
        ),
        ("demo", GOOD),
    ]);
    let told = Told::default();
    let recipes = world.evaluate(&[], &Additions::default(), &told).unwrap();
    assert_eq!(recipes.len(), 1);
    let note = "`arm` is not for x86_64 (arm/arm.spec: ExclusiveArch: aarch64)";
    assert_eq!(*told.0.lock().unwrap().borrow(), [note]);
    assert_eq!(world.errors(&["arm"]), format!("error: {note}"));
}

#[test]
fn warnings_are_told_each_time_and_wrong_names_are_guessed() {
    let world = World::new(&[("demo", &GOOD.replace("* Thu Jan 01", "* Mon Jan 01"))]);
    for _ in 0..2 {
        let told = Told::default();
        world.evaluate(&["demo"], &Additions::default(), &told).unwrap();
        let told = told.0.lock().unwrap().borrow().clone();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("demo/demo.spec:24:1: bogus date in %changelog: Mon Jan 01 2026"),
            "{told:?}"
        );
    }
    assert_eq!(world.asked.get(), 1);
    assert_eq!(
        world.errors(&["dmeo"]),
        "error: there is no component `dmeo`\nhint: did you mean `demo`?"
    );
}
