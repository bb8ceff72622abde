//! Asking about a project: its dump, where a value comes from, its schema, some of its components.

use std::collections::BTreeSet;

use keel_config::{Explanation, Project, load, nowhere, schema, select};

use crate::cases::{project, write};

/// Every kind of layer, and most kinds of values.
const FILES: [(&str, &str); 5] = [
    (
        "more/layers.toml",
        "[distros.demo.versions.1]\nrelease-ver = \"1.0\"\n\
         [distros.demo.versions.1.default-component-config]\n\
         spec = { type = \"upstream\", upstream-distro = { name = \"demo\" } }\n\
         build = { with = [\"version\"], check = { skip = true, skip_reason = \"slow\" } }\n\
         [default-component-config]\nbuild.with = [\"project\"]\n\
         [component-groups.g]\ncomponents = [\"a.b\"]\n\
         [component-groups.g.default-component-config]\nbuild.with.replace = [\"group\"]\n\
         [resources.rpm-repos.r]\nbase-uri = \"https://x.org\"\ngpg-key = \"key.asc\"\n",
    ),
    (
        "more/own.toml",
        "[components.\"a.b\"]\nbuild = { with = [\"own\"], check.skip = false, defines = { abc = \"1\" } }\n\
         overlays = [{ type = \"patch-add\", source = \"../a.spec\" }]\noverlay-files = [\"*.overlay.toml\"]\n\
         [[components.\"a.b\".source-files]]\nfilename = \"z\"\nsize = 7\n\
         origin = { type = \"debian\", source = \"z\", suite = \"trixie\", path = \"pool/z\" }\n\
         [components.bare]\n",
    ),
    (
        "more/x.overlay.toml",
        "metadata = { category = \"pruning\", upstream-status = \"unknown\" }\n\
         overlays = [{ type = \"spec-remove-tag\", tag = \"A\" }]\n",
    ),
    (
        "more/i.toml",
        "[images.i]\ndefinition = { type = \"keel\", path = \"../good.image.toml\" }\n",
    ),
    (
        "more/two.toml",
        "[project]\ndescription = \"two\\nlines \\u0001 \\\"quoted\\\"\"\n",
    ),
];

/// What a project is, but for the places where it is written.
fn without_places(project: &Project) -> serde_json::Value {
    fn clean(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(entries) => {
                for key in ["defined_at", "files", "root", "trees", "lock_file"] {
                    entries.remove(key);
                }
                entries.values_mut().for_each(clean);
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(clean),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(project).unwrap();
    clean(&mut value);
    value
}

#[test]
fn a_dump_is_the_same_project() {
    let (dir, loaded) = project(&FILES);
    let loaded = loaded.unwrap();
    for resolve in [false, true] {
        let dump = keel_config::dump(dir.path(), &nowhere, resolve).unwrap();
        let other = tempfile::tempdir().unwrap();
        write(other.path(), "keel.toml", &dump.toml());
        let again = load(other.path()).unwrap();
        let (mut before, mut after) = (without_places(&loaded), without_places(&again));
        for project in [&mut before, &mut after] {
            for key in ["output_dir", "log_dir", "work_dir", "lock_dir"] {
                project.as_object_mut().unwrap().remove(key);
            }
            if resolve {
                project["components"]["bare"]["is_bare"] = serde_json::Value::Null;
            }
        }
        assert_eq!(before, after, "{}", dump.toml());
    }
}

/// M25, M20, M34: what only defaults and groups may say is read back from a resolved dump, too.
#[test]
fn a_resolved_dump_has_what_only_defaults_may_say() {
    let overlays = "metadata = { category = \"pruning\", upstream-status = \"unknown\" }\n\
                    overlays = [{ type = \"spec-remove-tag\", tag = \"A\" }]\n";
    let (dir, loaded) = project(&[
        (
            "more/x.toml",
            "[distros.demo.versions.1]\nrelease-ver = \"1.0\"\n\
             [distros.demo.versions.1.default-component-config]\nbuild.with = [\"one\"]\n\
             spec = { type = \"upstream\", upstream-distro = { name = \"demo\", snapshot = \"2026-02-24T00:00:00Z\" } }\n\
             [default-component-config]\nbuild.without = [\"two\"]\noverlay-files = [\"{component}/*.overlay.toml\"]\n\
             [component-groups.g]\ncomponents = [\"a\"]\nspecs = [\"specs/*.spec\"]\n\
             [component-groups.g.default-component-config]\nbuild.with = [\"three\"]\n\
             spec = { type = \"\", upstream-distro = { name = \"demo\", snapshot = \"2026-03-01T00:00:00Z\" } }\n\
             [components.a]\nbuild.undefines = [\"four\"]\n[components.bare]\n\
             [components.l]\nspec = { type = \"local\", path = \"../a.spec\" }\n",
        ),
        ("more/a/x.overlay.toml", overlays),
        ("more/specs/found.spec", ""),
    ]);
    let loaded = loaded.unwrap();
    let dump = keel_config::dump(dir.path(), &nowhere, true).unwrap();
    let other = tempfile::tempdir().unwrap();
    write(other.path(), "keel.toml", &dump.toml());
    let again = load(other.path()).unwrap_or_else(|errors| panic!("{errors}\n{}", dump.toml()));
    let components = |project: &Project| {
        let mut value = without_places(project)["components"].clone();
        for component in value.as_object_mut().unwrap().values_mut() {
            component.as_object_mut().unwrap().remove("is_bare");
        }
        value
    };
    assert_eq!(components(&loaded), components(&again), "{}", dump.toml());
    assert_eq!(loaded.components.len(), 4);
    assert_eq!(loaded.components["a"].overlays.len(), 1);
}

fn explain(dir: &tempfile::TempDir, key: &str) -> Vec<Explanation> {
    keel_config::explain(dir.path(), &nowhere, key).unwrap()
}

#[test]
fn a_value_is_explained_by_its_layers() {
    let (dir, loaded) = project(&FILES);
    loaded.unwrap();
    let told = |key: &str| -> Vec<String> {
        let mut lines = Vec::new();
        for explanation in explain(&dir, key) {
            lines.push(format!(
                "{} = {}",
                explanation.key,
                explanation.value.unwrap_or_default()
            ));
            for said in explanation.said {
                let counts = if said.counts { '+' } else { '-' };
                lines.push(format!("{counts} {} {}: {}", said.at, said.layer, said.value));
            }
        }
        lines
    };
    assert_eq!(
        told("components.a.b.build.check.skip"),
        [
            "components.\"a.b\".build.check.skip = false",
            "- more/layers.toml:5:41 distribution demo 1: true",
            "+ more/own.toml:2:33 component: false",
        ]
    );
    assert_eq!(
        told("components.\"a.b\".build.with"),
        [
            "components.\"a.b\".build.with = [\"group\", \"own\"]",
            "- more/layers.toml:5:11 distribution demo 1: [\"version\"]",
            "- more/layers.toml:7:7 project: [\"project\"]",
            "+ more/layers.toml:11:7 group g: { replace = [\"group\"] }",
            "+ more/own.toml:2:11 component: [\"own\"]",
        ]
    );
    assert_eq!(
        told("components.bare"),
        [
            "components.bare.build.check.skip = true",
            "+ more/layers.toml:5:41 distribution demo 1: true",
            "components.bare.build.check.skip_reason = \"slow\"",
            "+ more/layers.toml:5:54 distribution demo 1: \"slow\"",
            "components.bare.build.with = [\"version\", \"project\"]",
            "+ more/layers.toml:5:11 distribution demo 1: [\"version\"]",
            "+ more/layers.toml:7:7 project: [\"project\"]",
            "components.bare.spec.type = \"upstream\"",
            "+ more/layers.toml:4:10 distribution demo 1: \"upstream\"",
            "components.bare.spec.upstream-distro.name = \"demo\"",
            "+ more/layers.toml:4:49 distribution demo 1: \"demo\"",
        ]
    );
    assert_eq!(
        told("components.bare.release.calculation"),
        ["components.bare.release.calculation = \"auto\""]
    );
    assert_eq!(
        told("distros.demo.default-version"),
        [
            "distros.demo.default-version = \"1\"",
            "+ keel.toml:5:1 file: \"1\"",
        ]
    );
    assert!(told("").len() > 20);
}

/// M34: overlays are told one by one, in the order in which they apply, those of files with their files.
#[test]
fn overlays_are_explained_in_their_order() {
    let remove = |tag: &str| format!("{{ type = \"spec-remove-tag\", tag = \"{tag}\" }}");
    let file = |tags: &[&str]| {
        let tags: Vec<String> = tags.iter().map(|tag| remove(tag)).collect();
        format!(
            "metadata = {{ category = \"pruning\", upstream-status = \"unknown\" }}\noverlays = [\n{}\n]\n",
            tags.join(",\n")
        )
    };
    let (of_project, own) = (remove("A"), format!("{},\n{}", remove("B"), remove("C")));
    let text = format!(
        "[default-component-config]\noverlays = [{of_project}]\n[components.a]\nspec.type = \"upstream\"\n\
         overlays = [{own}]\noverlay-files = [\"z/*.overlay.toml\", \"y.overlay.toml\"]\n[components.bare]\n\
         spec.type = \"upstream\"\noverlay-files = [\"y.overlay.toml\"]\n[default-component-config.build]\n"
    );
    let (dir, loaded) = project(&[
        ("more/x.toml", &text),
        ("more/y.overlay.toml", &file(&["F"])),
        ("more/z/1.overlay.toml", &file(&["D", "E"])),
        ("more/z/2.overlay.toml", &file(&["G"])),
    ]);
    let loaded = loaded.unwrap();
    let tags = |said: &[keel_config::Said]| -> Vec<(String, String, String)> {
        let tag = |value: &str| value.split("tag = \"").nth(1).unwrap()[..1].to_owned();
        said.iter()
            .map(|said| (tag(&said.value), said.layer.clone(), said.at.to_string()))
            .collect()
    };
    let wanted = |tag: &str, layer: &str, at: &str| (tag.to_owned(), layer.to_owned(), at.to_owned());
    let expected = [
        wanted("A", "project", "more/x.toml:2:13"),
        wanted("B", "component", "more/x.toml:5:13"),
        wanted("C", "component", "more/x.toml:6:1"),
        wanted(
            "D",
            "overlay file more/z/1.overlay.toml",
            "more/z/1.overlay.toml:3:1",
        ),
        wanted(
            "E",
            "overlay file more/z/1.overlay.toml",
            "more/z/1.overlay.toml:4:1",
        ),
        wanted(
            "G",
            "overlay file more/z/2.overlay.toml",
            "more/z/2.overlay.toml:3:1",
        ),
        wanted("F", "overlay file more/y.overlay.toml", "more/y.overlay.toml:3:1"),
    ];
    let explained = explain(&dir, "components.a.overlays");
    assert_eq!(explained.len(), 1);
    assert_eq!(tags(&explained[0].said), expected);
    assert!(explained[0].said.iter().all(|said| said.counts));
    let places = loaded.components["a"].overlays.iter();
    let places: Vec<String> = places.map(|overlay| overlay.defined_at.to_string()).collect();
    assert_eq!(
        places,
        expected.iter().map(|(.., at)| at.clone()).collect::<Vec<_>>()
    );
    for key in ["components.bare", "components.bare.overlays"] {
        let explained = explain(&dir, key);
        let overlays = explained.iter().find(|one| one.key == "components.bare.overlays");
        let tags = tags(&overlays.unwrap().said);
        assert_eq!(
            tags.iter().map(|(tag, ..)| tag.as_str()).collect::<Vec<_>>(),
            ["A", "F"]
        );
    }
}

#[test]
fn keys_that_cannot_be_are_not_explained() {
    let (dir, _) = project(&FILES);
    for (key, told) in [
        (
            "components.bare.biuld",
            "error: there is no key `biuld` in `components.bare.biuld`\nhint: did you mean `build`?",
        ),
        (
            "components.none",
            "error: nothing is called `none` in `components`",
        ),
        (
            "project.description.x",
            "error: there is no key `x` in `project.description.x`",
        ),
        ("..", "error: there is no key `` in `..`"),
        ("\"", "error: there is no key `\"` in `\"`"),
    ] {
        let errors = keel_config::explain(dir.path(), &nowhere, key).unwrap_err();
        assert_eq!(errors.to_string(), told);
    }
}

#[test]
fn every_reference_of_a_schema_leads_somewhere() {
    for kind in [schema::Kind::Project, schema::Kind::Image, schema::Kind::Overlays] {
        let schema = serde_json::to_value(schema::schema(kind)).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        let defined: BTreeSet<String> = schema["$defs"].as_object().unwrap().keys().cloned().collect();
        let mut asked = BTreeSet::new();
        fn collect(value: &serde_json::Value, asked: &mut BTreeSet<String>) {
            match value {
                serde_json::Value::Object(entries) => {
                    for (key, value) in entries {
                        if let Some(name) = value.as_str().and_then(|text| text.strip_prefix("#/$defs/"))
                            && key == "$ref"
                        {
                            asked.insert(name.to_owned());
                        }
                        collect(value, asked);
                    }
                }
                serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, asked)),
                _ => {}
            }
        }
        collect(&schema, &mut asked);
        assert_eq!(defined, asked);
    }
}

#[test]
fn components_are_chosen_by_name_pattern_and_group() {
    let (_dir, loaded) = project(&FILES);
    let project = loaded.unwrap();
    let chosen = |patterns: &[&str], groups: &[&str]| {
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let selection = select::Selection {
            patterns: own(patterns),
            groups: own(groups),
        };
        select::select(&project, &selection)
            .map(|components| {
                components
                    .iter()
                    .map(|component| component.name.to_string())
                    .collect::<Vec<_>>()
            })
            .map_err(|errors| errors.to_string())
    };
    assert_eq!(chosen(&[], &[]).unwrap(), ["a.b", "bare"]);
    assert_eq!(chosen(&["b*"], &[]).unwrap(), ["bare"]);
    assert_eq!(chosen(&["bare"], &["g"]).unwrap(), ["a.b", "bare"]);
    assert_eq!(
        chosen(&["baer", "x*"], &["h"]).unwrap_err(),
        "error: no such component: `baer`\nhint: did you mean `bare`?\n\n\
         error: no component is called like `x*`\n\nerror: no such group: `h`"
    );
}

/// What is read is not trusted: no text makes the reader panic or hang, whatever table it breaks.
#[test]
fn no_table_makes_the_reader_panic() {
    let (dir, loaded) = project(&FILES);
    loaded.unwrap();
    for (file, text) in FILES {
        for at in (0..text.len())
            .step_by(47)
            .filter(|at| text.is_char_boundary(*at))
        {
            for odd in [
                "",
                "\"",
                "[",
                "= 1\n",
                ".x",
                "{}",
                "[]",
                "\n[[components]]\n",
                "\n[components.bare.replace]\n",
            ] {
                let (left, right) = text.split_at(at);
                write(dir.path(), file, &format!("{left}{odd}{right}"));
                if load(dir.path()).is_ok() {
                    keel_config::dump(dir.path(), &nowhere, true).unwrap().toml();
                    keel_config::explain(dir.path(), &nowhere, "").unwrap();
                }
            }
        }
        write(dir.path(), file, text);
    }
    // Deep, but as TOML's reader still takes it.
    let deep = format!("a = {}1{}", "{a.b.c.d.e.f.g = ".repeat(60), "}".repeat(60));
    write(dir.path(), "more/two.toml", "");
    write(dir.path(), "more/deep.toml", &deep);
    let told = load(dir.path()).unwrap_err().to_string();
    assert!(told.contains("are nested here"), "{told}");
}
