//! What rpm adds to what a SPEC says.

use super::{
    Dependency, Evaluated, FORMAT, Kind, Package, Parser, Stop, dependency::flags, encoding, preamble, prep,
};
use crate::macros::{Behaviour, Engine, level, text};

/// What packages inherit from the main one if they do not say it themselves.
const INHERITED: [&str; 12] = [
    "license",
    "packager",
    "distribution",
    "disturl",
    "vendor",
    "url",
    "vcs",
    "disttag",
    "bugurl",
    "translationurl",
    "upstreamreleases",
    "group",
];

/// What the source package has of the main package.
const OF_SOURCE: [&str; 14] = [
    "summary",
    "description",
    "packager",
    "distribution",
    "disturl",
    "disttag",
    "vendor",
    "license",
    "group",
    "url",
    "bugurl",
    "translationurl",
    "upstreamreleases",
    "vcs",
];

/// Tags of the main package that macros may give.
const OPTIONAL: [&str; 9] = [
    "vendor",
    "packager",
    "distribution",
    "disturl",
    "disttag",
    "bugurl",
    "translationurl",
    "upstreamreleases",
    "modularitylabel",
];

/// Since rpm 4.20 each build has a folder of its own below what `%{_builddir}` was.
pub(super) fn set_top_builddir(engine: &mut Engine) {
    if engine.is_defined("_top_builddir") {
        return;
    }
    let top = engine.expand_leniently("%{_builddir}");
    engine.push_literal("_top_builddir", &top, level::GLOBAL);
    while engine.is_defined("_builddir") {
        engine.pop("_builddir");
    }
}

impl Parser<'_> {
    /// The end of the tags of one package.
    pub(super) fn preamble_ends(&mut self, at: usize, is_first: bool) -> Result<(), Stop> {
        if self.engine.behaviour() >= Behaviour::Rpm420 {
            if is_first {
                self.required(at, &["name", "version", "release"])?;
                self.set_build_folders()?;
            }
            return Ok(());
        }
        if is_first {
            self.build_root = prep::clean_path(&self.engine.expand_leniently(&self.build_root));
            let build_root = self.build_root.clone();
            self.engine.push("buildroot", None, &build_root, level::SPEC);
            match build_root.as_str() {
                "" => return Err(self.error("%{buildroot} couldn't be empty")),
                "/" => return Err(self.error("%{buildroot} can not be \"/\"")),
                _ => {}
            }
            self.fill_main();
        }
        self.no_duplicates(at)?;
        self.inherit(at);
        self.required(at, &["name", "version", "release", "summary", "license"])
    }

    fn set_build_folders(&mut self) -> Result<(), Stop> {
        let name = self.engine.expand_leniently("%{NAME}-%{VERSION}-build");
        let name = name.replace(['^', '~'], "_");
        let folder = self.engine.expand_leniently("%{_top_builddir}/") + &name;
        for macro_ in ["_builddir", "builddir"] {
            self.engine.push_literal(macro_, &folder, level::SPEC);
        }
        let parts = prep::clean_path(&format!("{folder}/SPECPARTS"));
        self.engine.push_literal("specpartsdir", &parts, level::SPEC);
        let root = prep::clean_path(&format!("{folder}/BUILDROOT"));
        if matches!(root.as_str(), "" | "/") {
            return Err(self.error(format!("invalid %{{buildroot}}: '{root}'")));
        }
        self.engine.push_literal("buildroot", &root, level::SPEC);
        self.engine
            .push("_buildrootdir", None, "%{dirname:%{buildroot}}", level::GLOBAL);
        Ok(())
    }

    /// What macros say of the main package where its tags do not.
    fn fill_main(&mut self) {
        for tag in OPTIONAL {
            if self.spec.packages[0].texts.contains_key(tag) {
                continue;
            }
            let value = self.engine.expand_leniently(&format!("%{{{tag}}}"));
            if !value.starts_with('%') {
                self.spec.packages[0].texts.insert(tag.to_owned(), value);
            }
        }
        let texts = &mut self.spec.packages[0].texts;
        texts
            .entry("group".to_owned())
            .or_insert_with(|| "Unspecified".to_owned());
    }

    fn no_duplicates(&mut self, at: usize) -> Result<(), Stop> {
        let found: Vec<_> = self
            .duplicates
            .iter()
            .filter(|(of, _)| *of == at)
            .cloned()
            .collect();
        let mut stop = None;
        for (_, tag) in found {
            let name = self.shown_name(at);
            let tag = preamble::capitalised(tag);
            stop = Some(self.error(format!("Duplicate {tag} entries in package: {name}")));
        }
        stop.map_or(Ok(()), Err)
    }

    fn shown_name(&self, at: usize) -> String {
        match (at, self.engine.behaviour()) {
            (0, Behaviour::Rpm418) => "(main package)".to_owned(),
            _ => self.spec.packages[at].name.clone(),
        }
    }

    fn required(&mut self, at: usize, tags: &[&str]) -> Result<(), Stop> {
        let package = &self.spec.packages[at];
        let missing: Vec<_> = tags
            .iter()
            .filter(|tag| package.text(tag).is_none_or(str::is_empty))
            .map(|tag| preamble::capitalised(tag))
            .collect();
        let mut stop = None;
        let before = match tags.len() {
            3 => " before build",
            _ => "",
        };
        for tag in missing {
            let name = self.shown_name(at);
            stop = Some(self.error(format!("{tag} field must be present{before} in package: {name}")));
        }
        stop.map_or(Ok(()), Err)
    }

    fn inherit(&mut self, at: usize) {
        if at == 0 {
            return;
        }
        let (main, rest) = self.spec.packages.split_at_mut(1);
        let (main, package) = (&main[0], &mut rest[at - 1]);
        package.epoch = package.epoch.or(main.epoch);
        if package.version.is_empty() {
            package.version.clone_from(&main.version);
        }
        if package.release.is_empty() {
            package.release.clone_from(&main.release);
        }
        if package.prefixes.is_empty() {
            package.prefixes.clone_from(&main.prefixes);
        }
        for tag in INHERITED {
            if let (Some(value), None) = (main.texts.get(tag), package.texts.get(tag)) {
                package.texts.insert(tag.to_owned(), value.clone());
            }
        }
    }

    /// Everything is read: what rpm makes of it.
    pub(super) fn finish(mut self) -> Result<(Evaluated, String), Stop> {
        let late = self.engine.behaviour() >= Behaviour::Rpm420;
        if !late && !self.spec.sections.contains_key("clean") {
            let body = self
                .engine
                .expand_leniently("%{?buildroot: %{__rm} -rf %{buildroot}}");
            self.spec.sections.insert("clean".to_owned(), body + "\n");
        }
        let arch = self.engine.expand_leniently("%{_target_cpu}");
        if late {
            self.fill_main();
        }
        for at in 0..self.spec.packages.len() {
            if late {
                self.inherit(at);
                self.required(at, &["name", "version", "release", "summary", "license"])?;
                self.no_duplicates(at)?;
            }
            if !self.spec.packages[at].texts.contains_key("description") {
                let name = self.spec.packages[at].name.clone();
                return Err(self.error(format!("Package has no %description: {name}")));
            }
            let isa = self.engine.expand_leniently("%{?_isa}");
            let package = &mut self.spec.packages[at];
            if package.arch.is_empty() {
                package.arch.clone_from(&arch);
            }
            provide_itself(package, &isa);
        }
        self.spec.format = FORMAT;
        self.spec.arch = arch;
        self.spec.sources = std::mem::take(&mut self.engine.prep.sources);
        if self.engine.behaviour() < Behaviour::Rpm6 {
            // Up to 4.20, rpm puts each source before those that it knows.
            self.spec.sources.reverse();
        }
        self.source_package();
        self.encoding()?;
        Ok((self.spec, self.lines.parsed))
    }

    fn encoding(&mut self) -> Result<(), Stop> {
        // Few SPECs have any; the headers of all others need not be made.
        if !text::has_stand_ins(&self.lines.parsed) {
            return Ok(());
        }
        let complaints = encoding::complaints(&self.spec);
        let is_strict = self.engine.expand_number("%{_invalid_encoding_terminates_build}") != 0;
        let mut stop = None;
        for complaint in complaints {
            match is_strict {
                true => stop = Some(self.error(complaint)),
                false => self.warn(complaint),
            }
        }
        stop.map_or(Ok(()), Err)
    }

    fn source_package(&mut self) {
        let late = self.engine.behaviour() >= Behaviour::Rpm420;
        let main = self.spec.packages[0].clone();
        let source = &mut self.spec.source;
        source.name = main.name;
        source.epoch = main.epoch;
        source.version = main.version;
        source.release = main.release;
        source.arch = main.arch;
        source.changelog = main.changelog;
        for tag in OF_SOURCE {
            if let Some(value) = main.texts.get(tag) {
                source
                    .texts
                    .entry(tag.to_owned())
                    .or_insert_with(|| value.clone());
            }
        }
        // What it provides is what it builds, in the order of the SPEC.
        let built = self.spec.packages.iter().filter(|package| package.built);
        source.provides.extend(built.map(|package| Dependency {
            name: package.name.clone(),
            evr: package.evr(),
            flags: flags::EQUAL,
        }));
        if late {
            let Package {
                name,
                version,
                release,
                ..
            } = source;
            let no = if self.spec.no_source { "no" } else { "" };
            self.spec.source_rpm = Some(format!("{name}-{version}-{release}.{no}src.rpm"));
            let is_format_6 = self.engine.behaviour() >= Behaviour::Rpm6;
            if is_format_6 && self.engine.expand_number("%{?_rpmformat}") >= 6 {
                self.spec.source_nevr = Some(format!("{}-{}", source.name, source.evr()));
            }
            for source in &mut self.spec.sources {
                source.file = self.engine.expand_leniently(&source.file);
            }
        }
    }
}

fn provide_itself(package: &mut Package, isa: &str) {
    let (name, evr) = (package.name.clone(), package.evr());
    let itself = |name: String| Dependency {
        name,
        evr: evr.clone(),
        flags: flags::EQUAL,
    };
    itself(name.clone()).insert(package.dependencies(Kind::Provides));
    if package.arch != "noarch" && !isa.is_empty() {
        itself(name + isa).insert(package.dependencies(Kind::Provides));
    }
}
