//! `keel config` and `keel component list`: only TOML is read.

use crate::harness::Fixture;

#[test]
fn check_counts() {
    let fixture = Fixture::new();
    let said = fixture.keel(&["config", "check"]).ok().stdout;
    assert!(said.contains("components") && said.contains("is right"), "{said}");
    let json = fixture.keel(&["config", "check", "--output", "json"]).ok().stdout;
    let counts: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(counts["components"], counts["local_specs"]);
    assert_eq!(counts["overlays"], 0);
}

#[test]
fn list_takes_patterns_and_needs_no_stage0() {
    let fixture = Fixture::new();
    let said = fixture.keel(&["component", "list", "zl*"]).ok().stdout;
    assert_eq!(said, "component  spec   overlays  groups\nzlib       local  -\n");
    let all = fixture
        .keel(&["component", "list", "-a", "--output", "json"])
        .ok();
    let all: serde_json::Value = serde_json::from_str(&all.stdout).unwrap();
    assert!(all.as_array().unwrap().len() > 1);
    let ran = fixture.keel(&["component", "list", "-g", "none"]);
    assert_eq!(
        (ran.code, ran.errors().as_str()),
        (Some(2), "error: no such group: `none`")
    );
}

#[test]
fn explain_names_the_file() {
    let fixture = Fixture::new();
    let said = fixture
        .keel(&["config", "explain", "project.default-distro.name"])
        .ok();
    assert!(said.stdout.contains("counts  keel.toml:"), "{}", said.stdout);
    let said = fixture
        .keel(&["config", "explain", "components.zlib.release.calculation"])
        .ok();
    assert_eq!(
        said.stdout,
        "components.zlib.release.calculation = \"auto\"\n  the default: no file says anything\n"
    );
    let ran = fixture.keel(&["config", "explain", "components.zlib.biuld"]);
    assert_eq!(
        (ran.code, ran.errors().as_str()),
        (
            Some(2),
            "error: there is no key `biuld` in `components.zlib.biuld`\nhint: did you mean `build`?"
        )
    );
}

#[test]
fn a_dump_is_a_project() {
    let fixture = Fixture::new();
    let dump = fixture.keel(&["config", "dump"]).ok().stdout;
    // The harness hides the folder, which is another one each time.
    let dump = dump.replace("[FIXTURE]", &fixture.path("").display().to_string());
    let names = fixture.keel(&["component", "list"]).ok().stdout;
    fs_err::create_dir(fixture.path("dumped")).unwrap();
    fs_err::write(fixture.path("dumped/keel.toml"), dump).unwrap();
    assert_eq!(
        fixture.keel_in("dumped", &["component", "list"]).ok().stdout,
        names
    );
    let json = fixture
        .keel(&["config", "dump", "--resolve", "--output", "json"])
        .ok()
        .stdout;
    let dump: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(dump["components"]["zlib"]["spec"]["type"], "local");
}

#[test]
fn schemas_are_json() {
    let fixture = Fixture::new();
    for of in ["project", "image", "overlays"] {
        let json = fixture.keel(&["config", "schema", "--of", of]).ok().stdout;
        let schema: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert!(schema["$defs"].is_object());
    }
}

#[test]
fn what_is_not_rendered_is_not_built() {
    let fixture = Fixture::new();
    let other = "[components.other]\nspec = { type = \"upstream\", upstream-commit = \"0123abc\" }\n\
                 [images.foreign]\ndefinition = { type = \"kiwi\", path = \"x.kiwi\" }\n";
    fs_err::write(fixture.path("components/other.toml"), other).unwrap();
    let ran = fixture.keel(&["plan", "other"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert_eq!(
        ran.errors(),
        "error: component `other` must be rendered before it can be built\n  components/other.toml:1:13: its SPEC is from \
         upstream at 0123abc\n  caused by: there is no specs/o/other/other.spec\nhint: `keel component render other` makes it"
    );
    let ran = fixture.keel(&["image", "build", "foreign"]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.errors()
            .starts_with("error: image `foreign` is defined for kiwi"),
        "{}",
        ran.stderr
    );
}

fn write(fixture: &Fixture, file: &str, text: &str) {
    fs_err::write(fixture.path(file), text).unwrap();
}

fn add(fixture: &Fixture, file: &str, text: &str) {
    let before = fs_err::read_to_string(fixture.path(file)).unwrap();
    write(fixture, file, &format!("{before}{text}"));
}

fn json(fixture: &Fixture, arguments: &[&str]) -> serde_json::Value {
    let arguments = [arguments, &["--output", "json"]].concat();
    serde_json::from_str(&fixture.keel(&arguments).ok().stdout).unwrap()
}

#[test]
fn an_image_is_shown_with_what_it_inherits() {
    let fixture = Fixture::new();
    add(
        &fixture,
        "images/images.toml",
        "\n[images.team]\ndefinition = { type = \"keel\", path = \"team.image.toml\" }\n",
    );
    let text = "inherits = \"box\"\nremove-packages = [\"hello\"]\nformats.replace = [\"oci\"]\n\
                [[os.users]]\nname = \"alice\"\nuid = 1000\n";
    write(&fixture, "images/team.image.toml", text);
    let said = fixture.keel(&["image", "show", "team"]).ok().stdout;
    for line in [
        "    \"fixture-shell\",",
        "# images/team.image.toml:3:20",
        "[container]",
        "env.PATH = \"/usr/bin\"",
        "[[os.users]]",
        "uid = 1000",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    assert!(
        said.contains("# images/box.image.toml:2:") && !said.contains("hello"),
        "{said}"
    );
    // It is a definition, and the same one.
    write(&fixture, "images/team.image.toml", &said);
    let again = fixture.keel(&["image", "show", "team"]).ok().stdout;
    let bare = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.split("#").next().unwrap().trim().to_owned())
            .collect()
    };
    assert_eq!(bare(&said), bare(&again));
    let json = json(&fixture, &["image", "show", "team"]);
    assert_eq!(json["definitions"][0]["image"], "team");
    let ran = fixture.keel(&["image", "show", "bix"]);
    assert_eq!(
        (ran.code, ran.errors().as_str()),
        (Some(2), "error: no such image: `bix`\nhint: did you mean `box`?")
    );
}

#[test]
fn an_image_of_another_builder_is_imported() {
    let fixture = Fixture::new();
    let yaml = "os:\n  hostname: web\n  packages:\n    installLists: [list.yaml]\n  imageHistory: none\nscripts:\n  postCustomization:\n  - path: x.sh\n";
    write(&fixture, "images/web.yaml", yaml);
    write(&fixture, "images/x.sh", "true\n");
    write(&fixture, "images/list.yaml", "packages: [fixture-filesystem]\n");
    let said = fixture
        .keel(&[
            "image",
            "import",
            "images/web.yaml",
            "--out",
            "images/web.image.toml",
        ])
        .ok()
        .stdout;
    assert!(
        said.starts_with("images/web.image.toml: 4 values carried over, 2 not\n"),
        "{said}"
    );
    assert!(
        said.contains("images/web.yaml:5:17") && said.contains("tells how an image was made"),
        "{said}"
    );
    let written = fs_err::read_to_string(fixture.path("images/web.image.toml")).unwrap();
    assert!(
        written.contains("packages = [\"fixture-filesystem\"]"),
        "{written}"
    );
    assert!(
        written
            .contains("# images/web.yaml:5:17: os.imageHistory: `manifest.json` tells how an image was made"),
        "{written}"
    );
    // What is written is a definition.
    add(
        &fixture,
        "images/images.toml",
        "\n[images.web]\ndefinition = { type = \"keel\", path = \"web.image.toml\" }\n",
    );
    fixture.keel(&["image", "show", "web"]).ok();

    // Names of packages that are others here, and packages that there are not.
    write(
        &fixture,
        "names.toml",
        "[packages]\nfixture-filesystem = [\"hello\", \"none\"]\n",
    );
    let mapped = |more: &[&str]| {
        let import = ["image", "import", "images/web.yaml", "--map", "names.toml"];
        let ran = fixture.keel(&[&import, more].concat());
        (ran.code, ran.stdout + &ran.stderr)
    };
    let (code, said) = mapped(&[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("    \"hello\",\n    \"none\",\n"), "{said}");
    let (_, said) = mapped(&["--known"]);
    assert!(said.contains("packages = [\"hello\"]"), "{said}");
    assert!(
        said.contains("there is no package `none` here, which takes the place of `fixture-filesystem`"),
        "{said}"
    );
    write(&fixture, "names.toml", "[packages]\na = 7\n");
    let (code, said) = mapped(&[]);
    assert!(code == Some(2) && said.contains("names.toml:2:5"), "{said}");
    let json = json(&fixture, &["image", "import", "images/web.yaml"]);
    assert_eq!(json["form"], "image-customizer");
    assert_eq!(json["left"][0]["key"], "os.imageHistory");
    let again = fixture.keel(&[
        "image",
        "import",
        "images/web.yaml",
        "--out",
        "images/web.image.toml",
    ]);
    assert_eq!(
        (again.code, again.errors().as_str()),
        (
            Some(2),
            "error: `images/web.image.toml` is there already: it is not written over"
        )
    );
    write(&fixture, "images/web.yaml", "os: [\n");
    let ran = fixture.keel(&["image", "import", "images/web.yaml"]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.errors().starts_with("error: not valid YAML or JSON"),
        "{}",
        ran.errors()
    );
    let ran = fixture.keel(&["image", "import", "images/none.yaml"]);
    assert_eq!(
        (ran.code, ran.errors().as_str()),
        (
            Some(2),
            "error: cannot read `images/none.yaml`\n  caused by: no such file"
        )
    );
}
