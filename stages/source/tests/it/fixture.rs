//! A small project, a store, and recipes as the spec stage would make them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use keel_artefact::{Arch, Event, Interrupt, Sha256, Sink, event::Silent};
use keel_config::Project;
use keel_source::{Errors, Limits, Mirrors, Options, SourceSet};
use keel_spec::{Recipe, RecipeSource, SourceKind};
use keel_store::Store;

pub struct Fixture {
    pub dir: tempfile::TempDir,
    pub store: Store,
    pub options: Options,
    pub interrupt: Interrupt,
}

impl Fixture {
    /// A project with the component `hello`, whose TOML has `source_files` after its `spec`.
    pub fn new(source_files: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("tree");
        fs_err::create_dir_all(root.join("specs/hello")).unwrap();
        fs_err::write(
            root.join("specs/hello/hello.spec"),
            "Name: hello\nSource0: hello_1.0.orig.tar.gz\n",
        )
        .unwrap();
        let fixture = Self {
            store: Store::open(&dir.path().join("store")).unwrap(),
            dir,
            options: Options {
                limits: Limits {
                    connect: Duration::from_secs(2),
                    stall: Duration::from_millis(400),
                    total: Duration::from_secs(3),
                    tries: 3,
                    pause: Duration::from_millis(10),
                    size: 100_000,
                },
                now: crate::archive::NOW,
                ..Options::default()
            },
            interrupt: Interrupt::default(),
        };
        fixture.configure(source_files);
        fixture
    }

    pub fn configure(&self, source_files: &str) {
        let text = format!(
            "[project]\ndescription = \"test\"\ndefault-distro = {{ name = \"t\", version = \"1\" }}\n\
             [distros.t]\ndescription = \"t\"\n[distros.t.versions.\"1\"]\nrelease-ver = \"1\"\n\
             [keel.stage0]\nsuite = \"trixie\"\n\
             [components.hello]\nspec = {{ type = \"local\", path = \"specs/hello/hello.spec\" }}\n{source_files}"
        );
        fs_err::write(self.root().join("keel.toml"), text).unwrap();
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("tree")
    }

    pub fn spec_dir(&self) -> PathBuf {
        self.root().join("specs/hello")
    }

    pub fn project(&self) -> Project {
        match keel_config::load(&self.root()) {
            Ok(project) => project,
            Err(errors) => panic!("{errors}"),
        }
    }

    /// All suites from these bases.
    pub fn with_mirrors(mut self, bases: &[String]) -> Self {
        self.options.mirrors = Mirrors::default();
        for suite in ["trixie", "trixie-updates", "trixie-security"] {
            self.options.mirrors = self.options.mirrors.with_suite(suite, bases.iter().cloned());
        }
        self
    }

    /// The recipe of `hello` with these sources.
    pub fn recipe(&self, version: &str, sources: &[&str]) -> Recipe {
        let spec_file = self.spec_dir().join("hello.spec");
        let source = |(number, name): (usize, &&str)| RecipeSource {
            file_name: (*name).to_owned(),
            url: None,
            number: number as u32,
            kind: SourceKind::Source,
        };
        Recipe {
            format: keel_spec::FORMAT,
            component: "hello".parse().unwrap(),
            arch: Arch::X86_64,
            name: "hello".parse().unwrap(),
            evr: format!("{version}-1").parse().unwrap(),
            spec_digest: Sha256::of_file(&spec_file).unwrap().0,
            spec_file,
            spec_shown: "specs/hello/hello.spec".into(),
            macros_digest: Sha256::of(b""),
            source_date_epoch: keel_artefact::Epoch(0),
            licence: "MIT".to_owned(),
            noarch: false,
            build_requires: Vec::new(),
            packages: Vec::new(),
            sources: sources.iter().enumerate().map(source).collect(),
            defines: BTreeMap::new(),
            undefines: Vec::new(),
            rebuild: 0,
            generates: None,
            has_check: false,
        }
    }

    pub fn fetch(&self, sources: &[&str]) -> Result<Vec<SourceSet>, Errors> {
        self.fetch_version("1.0", sources, &Silent)
    }

    pub fn fetch_version(
        &self,
        version: &str,
        sources: &[&str],
        sink: &dyn Sink,
    ) -> Result<Vec<SourceSet>, Errors> {
        let recipes = [self.recipe(version, sources)];
        keel_source::fetch(
            &self.project(),
            &recipes,
            &self.store,
            &self.options,
            sink,
            &self.interrupt,
        )
    }

    /// Names of what is left in the folder of partial transfers.
    pub fn partials(&self) -> Vec<String> {
        names(&self.store.dir().join("tmp/partial"))
    }

    /// Nothing is left in `tmp` but the store's own guard and the folder of partial transfers.
    pub fn assert_tidy(&self) {
        let mut left = names(&self.store.dir().join("tmp"));
        left.retain(|name| name != "guard" && name != "partial");
        assert_eq!(left, Vec::<String>::new());
    }
}

fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs_err::read_dir(dir) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// `[[components.hello.source-files]]` with a pinned path in Debian's pool.
pub fn debian(name: &str, bytes: &[u8]) -> String {
    format!(
        "[[components.hello.source-files]]\nfilename = \"{name}\"\nhash = \"{}\"\nhash-type = \"SHA256\"\nsize = {}\n\
         origin = {{ type = \"debian\", source = \"hello\", suite = \"trixie\", path = \"pool/main/h/hello/{name}\" }}\n",
        Sha256::of(bytes),
        bytes.len()
    )
}

/// The same, of unknown size.
pub fn debian_unsized(name: &str, bytes: &[u8]) -> String {
    let text = debian(name, bytes);
    let lines = text.lines().filter(|line| !line.starts_with("size"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Keeps what it is told.
#[derive(Default)]
pub struct Recorder(pub Mutex<Vec<String>>);

impl Sink for Recorder {
    fn event(&self, event: Event<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}
