use super::*;

#[test]
fn ctrl_c_while_a_repository_is_read_is_no_mistake_of_it() {
    let error = TransferError::from(keel_artefact::Interrupted);
    let failure = Failure::because(Class::Environment, "cannot read the repository x", &error);
    assert_eq!(failure.class, Class::Interrupted);
    assert!(failure.in_a_line().starts_with("interrupted; "), "{failure:?}");
}

#[test]
fn what_cannot_be_had_has_a_hint() {
    let error = |answer| TransferError::Answer {
        address: "https://p.test/x.rpm".to_owned(),
        answer: Box::new(answer),
    };
    let gone = Answer::Absent { status: 404 };
    assert_eq!(hint(&error(gone)), Some(NEWER));
    let offline = hint(&error(Answer::Offline)).expect("there is one");
    assert!(offline.contains("without `--offline`"), "{offline}");
    assert_eq!(hint(&error(Answer::Status { status: 500 })), None);
    assert_eq!(hint(&std::io::Error::other("x")), None);
}

/// A tree on another one, of which three components need rendering, and one does not.
struct Trees {
    folder: tempfile::TempDir,
}

impl Trees {
    fn new() -> Self {
        let new = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let overlaid = |name: &str| {
            format!(
                "[components.{name}]\nspec = {{ type = \"local\", path = \"{name}.spec\" }}\n\
                 [[components.{name}.overlays]]\ntype = \"spec-set-tag\"\ntag = \"Vendor\"\nvalue = \"A\"\n"
            )
        };
        let lower = "[distros.d]\ndescription = \"A test\"\ndefault-version = \"1\"\n\
                     [distros.d.versions.\"1\"]\nrelease-ver = \"1\"\n[keel.stage0]\nsuite = \"trixie\"\n\
                     [project]\ndescription = \"Below\"\noutput-dir = \"out\"\ndefault-distro = { name = \"d\", version = \"1\" }\n\
                     [components.plain]\nspec = { type = \"local\", path = \"plain.spec\" }\n";
        new.write(
            "lower/keel.toml",
            &format!("{lower}{}{}", overlaid("rendered"), overlaid("never")),
        );
        for name in ["plain", "rendered", "never"] {
            new.write(&format!("lower/{name}.spec"), "Name: x\n");
        }
        let upper =
            "[project]\ndescription = \"Above\"\noutput-dir = \"out\"\n[keel.base]\npath = \"../lower\"\n";
        new.write("upper/keel.toml", upper);
        new
    }

    fn write(&self, file: &str, text: &str) {
        let file = self.folder.path().join(file);
        fs_err::create_dir_all(file.parent().unwrap()).unwrap();
        fs_err::write(file, text).unwrap();
    }

    /// Writes the rendered SPEC of a component in a tree: 0 is the upper one.
    fn render(&self, tree: usize, name: &str, text: &str) {
        let folder = &self.project().trees[tree].rendered_specs_dir;
        let letter = &name[..1];
        let file = folder.join(letter).join(name).join(format!("{name}.spec"));
        self.write(file.to_str().unwrap(), text);
    }

    fn project(&self) -> Project {
        match keel_config::load(&self.folder.path().join("upper")) {
            Ok(project) => project,
            Err(errors) => panic!("{}", Failure::from(errors).render(false)),
        }
    }

    fn is_above(&self, name: &str) -> bool {
        let project = self.project();
        let component = &project.components[name];
        assert_eq!(component.changed_in, 1, "it is the base's");
        is_rendered_above(&project, component)
    }
}

#[test]
fn what_a_tree_renders_otherwise_than_its_base_is_its_own() {
    let trees = Trees::new();
    assert!(!trees.is_above("plain"), "it is built from the base's own file");
    assert!(!trees.is_above("never"), "nobody rendered it");
    trees.render(1, "rendered", "Name: x\n");
    assert!(!trees.is_above("rendered"), "the base rendered it");
    trees.render(0, "rendered", "Name: x\n");
    assert!(!trees.is_above("rendered"), "byte by byte the base's");
    trees.render(0, "rendered", "Name: x\n\n");
    assert!(trees.is_above("rendered"));
    // That the base has none is another one, too.
    trees.render(0, "never", "Name: x\n");
    assert!(trees.is_above("never"));
    assert!(!trees.is_above("plain"));
}
