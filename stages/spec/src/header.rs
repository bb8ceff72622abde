//! Evaluated packages as rpm's headers, for query formats; and as nodes, for graphs.

use keel_artefact::Comparison;

use crate::{
    eval::{Dependency, Evaluated, Kind, Package, SourceKind},
    graph,
    query::{Tags, Values},
};

/// One header of an evaluated SPEC.
#[derive(Clone, Copy)]
pub struct Header<'a> {
    spec: &'a Evaluated,
    package: &'a Package,
    is_source: bool,
}

impl<'a> Header<'a> {
    /// The source package's.
    pub fn source(spec: &'a Evaluated) -> Self {
        Self {
            spec,
            package: &spec.source,
            is_source: true,
        }
    }

    /// The headers of all packages of the SPEC, or of those that are built.
    pub fn packages(spec: &'a Evaluated, only_built: bool) -> impl Iterator<Item = Self> {
        let packages = spec
            .packages
            .iter()
            .filter(move |package| package.built || !only_built);
        packages.map(move |package| Self {
            spec,
            package,
            is_source: false,
        })
    }

    /// The package itself.
    pub fn package(&self) -> &'a Package {
        self.package
    }

    fn texts(&self, all: impl IntoIterator<Item = impl Into<String>>) -> Option<Values> {
        let all: Vec<String> = all.into_iter().map(Into::into).collect();
        (!all.is_empty()).then_some(Values::Strings(all))
    }

    fn sources(&self, tag: &str) -> Option<Values> {
        let (kind, numbers) = match tag {
            "SOURCE" => (SourceKind::Source, false),
            "PATCH" => (SourceKind::Patch, false),
            "NOSOURCE" => (SourceKind::Source, true),
            _ => (SourceKind::Patch, true),
        };
        if !self.is_source {
            return None;
        }
        let of_kind = self.spec.sources.iter().filter(|source| source.kind == kind);
        if numbers {
            let left_out = of_kind.filter(|source| source.left_out);
            let numbers: Vec<u64> = left_out.map(|source| source.number.into()).collect();
            return (!numbers.is_empty()).then_some(Values::Numbers(numbers));
        }
        self.texts(of_kind.map(|source| source.file.as_str()))
    }

    fn dependencies(&self, tag: &str) -> Option<Values> {
        const KINDS: [(&str, Kind); 9] = [
            ("PROVIDE", Kind::Provides),
            ("REQUIRE", Kind::Requires),
            ("CONFLICT", Kind::Conflicts),
            ("OBSOLETE", Kind::Obsoletes),
            ("RECOMMEND", Kind::Recommends),
            ("SUGGEST", Kind::Suggests),
            ("SUPPLEMENT", Kind::Supplements),
            ("ENHANCE", Kind::Enhances),
            ("ORDER", Kind::OrderWithRequires),
        ];
        let (prefix, kind) = KINDS.iter().find(|(prefix, _)| tag.starts_with(prefix))?;
        let all: &[Dependency] = match kind {
            Kind::Provides => &self.package.provides,
            Kind::Requires => &self.package.requires,
            Kind::Conflicts => &self.package.conflicts,
            Kind::Obsoletes => &self.package.obsoletes,
            Kind::Recommends => &self.package.recommends,
            Kind::Suggests => &self.package.suggests,
            Kind::Supplements => &self.package.supplements,
            Kind::Enhances => &self.package.enhances,
            Kind::OrderWithRequires => &self.package.order_with_requires,
        };
        if all.is_empty() {
            return None;
        }
        match &tag[prefix.len()..] {
            "NAME" => self.texts(all.iter().map(|found| found.name.as_str())),
            "VERSION" => self.texts(all.iter().map(|found| found.evr.as_str())),
            "NEVRS" => self.texts(all.iter().map(ToString::to_string)),
            "FLAGS" => Some(Values::Numbers(
                all.iter().map(|found| found.flags.into()).collect(),
            )),
            _ => None,
        }
    }

    /// What is made of name, epoch, version, release and architecture.
    fn identity(&self, tag: &str) -> Option<String> {
        let package = self.package;
        let Package {
            name,
            version,
            release,
            arch,
            ..
        } = package;
        let evr = package.evr();
        Some(match tag {
            "EVR" => evr,
            "NVR" => format!("{name}-{version}-{release}"),
            "NEVR" => format!("{name}-{evr}"),
            "NVRA" => format!("{name}-{version}-{release}.{arch}"),
            "NEVRA" => format!("{name}-{evr}.{arch}"),
            "SOURCENEVR" if !self.is_source => return self.spec.source_nevr.clone(),
            "SOURCERPM" if !self.is_source => return self.spec.source_rpm.clone(),
            _ => return None,
        })
    }

    fn changelog(&self, tag: &str) -> Option<Values> {
        let all = &self.spec.source.changelog;
        if all.is_empty() {
            return None;
        }
        match tag {
            "CHANGELOGNAME" => self.texts(all.iter().map(|change| change.name.as_str())),
            "CHANGELOGTEXT" => self.texts(all.iter().map(|change| change.text.as_str())),
            "CHANGELOGTIME" => Some(Values::Numbers(
                all.iter()
                    .map(|change| u64::try_from(change.time).unwrap_or(0))
                    .collect(),
            )),
            _ => None,
        }
    }

    fn script(&self, tag: &str) -> Option<Values> {
        let (section, wants_program) = match tag {
            "PREIN" => ("pre", false),
            "POSTIN" => ("post", false),
            "PREUN" => ("preun", false),
            "POSTUN" => ("postun", false),
            "PRETRANS" => ("pretrans", false),
            "POSTTRANS" => ("posttrans", false),
            "VERIFYSCRIPT" => ("verifyscript", false),
            "PREINPROG" => ("pre", true),
            "POSTINPROG" => ("post", true),
            "PREUNPROG" => ("preun", true),
            "POSTUNPROG" => ("postun", true),
            "PRETRANSPROG" => ("pretrans", true),
            "POSTTRANSPROG" => ("posttrans", true),
            "VERIFYSCRIPTPROG" => ("verifyscript", true),
            _ => return None,
        };
        let script = self
            .package
            .scripts
            .iter()
            .find(|script| script.section == section)?;
        match wants_program {
            true => self.texts(script.interpreter.iter().map(String::as_str)),
            false => Some(script.body.as_str())
                .filter(|body| !body.is_empty())
                .map(Values::from),
        }
    }
}

impl Tags for Header<'_> {
    fn get(&self, tag: &str) -> Option<Values> {
        let spec = self.spec;
        match tag {
            "EPOCH" => return self.package.epoch.map(|epoch| Values::from(u64::from(epoch))),
            "OS" => return Some(Values::from("linux")),
            "SOURCE" | "PATCH" | "NOSOURCE" | "NOPATCH" => return self.sources(tag),
            "EXCLUSIVEARCH" if self.is_source => return self.texts(&spec.exclusive_arch),
            "EXCLUDEARCH" if self.is_source => return self.texts(&spec.exclude_arch),
            "EXCLUSIVEOS" if self.is_source => return self.texts(&spec.exclusive_os),
            "EXCLUDEOS" if self.is_source => return self.texts(&spec.exclude_os),
            "BUILDARCHS" if self.is_source => return self.texts(&spec.build_arch),
            "SOURCEPACKAGE" => return self.is_source.then_some(Values::from(1)),
            "PREFIXES" => return self.texts(&self.package.prefixes),
            _ => {}
        }
        if let Some(identity) = self.identity(tag) {
            return Some(Values::from(identity.as_str()));
        }
        self.dependencies(tag)
            .or_else(|| self.changelog(tag))
            .or_else(|| self.script(tag))
            .or_else(|| self.package.text(&tag.to_ascii_lowercase()).map(Values::from))
    }
}

/// A SPEC as the graph sees it.
pub fn node(path: &str, spec: &Evaluated) -> graph::Node {
    let capabilities = |all: &[Dependency]| all.iter().map(capability).collect();
    graph::Node {
        spec: path.to_owned(),
        build_requires: capabilities(&spec.source.requires),
        packages: spec
            .built()
            .map(|package| graph::Package {
                name: package.name.clone(),
                provides: capabilities(&package.provides),
                requires: capabilities(&package.requires),
            })
            .collect(),
        exclusive_arch: spec.exclusive_arch.clone(),
        exclude_arch: spec.exclude_arch.clone(),
    }
}

fn capability(dependency: &Dependency) -> graph::Capability {
    let comparison = match dependency.operator() {
        "<" => Some(Comparison::Less),
        "<=" => Some(Comparison::LessOrEqual),
        "=" => Some(Comparison::Equal),
        ">=" => Some(Comparison::GreaterOrEqual),
        ">" => Some(Comparison::Greater),
        _ => None,
    };
    graph::Capability {
        name: dependency.name.clone(),
        version: comparison.map(|comparison| (comparison, dependency.evr.clone())),
    }
}
