//! What an evaluated SPEC says → what a recipe says.

use std::collections::{BTreeMap, BTreeSet};

use keel_artefact::{Arch, Dependency, Epoch, Evr, Nevra, PackageArch, PackageName, Provide};
use serde::{Deserialize, Serialize};

use crate::{
    BuildRequire, RecipePackage, RecipeSource, SourceKind,
    eval::{self, Package},
    messages::Warning,
};

/// What a recipe says of its SPEC, without where that lies: this is what the store remembers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Evaluated {
    pub(crate) name: PackageName,
    pub(crate) evr: Evr,
    pub(crate) licence: String,
    pub(crate) noarch: bool,
    /// The SPEC is not for the architecture asked for; these are the ones it names.
    pub(crate) not_for: Option<String>,
    /// None: `%changelog` has no entry.
    pub(crate) source_date_epoch: Option<Epoch>,
    pub(crate) build_requires: Vec<BuildRequire>,
    pub(crate) packages: Vec<RecipePackage>,
    pub(crate) sources: Vec<RecipeSource>,
    /// Line of `%generate_buildrequires`; 0: nobody knows which.
    pub(crate) generates: Option<u32>,
    pub(crate) has_check: bool,
    pub(crate) warnings: Vec<Warning>,
    /// `%dist`, where it was made to end with a rebuild counter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) raised_dist: Option<String>,
}

/// The section that prints further build requirements.
const GENERATOR: &str = "generate_buildrequires";

/// A SPEC that does not say what it must, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Odd(pub(crate) String);

pub(crate) fn read(spec: &eval::Evaluated, spec_text: &str, arch: Arch) -> Result<Evaluated, Odd> {
    // First what the source package says of itself: an odd version is odd in every dependency, too.
    let (name, evr) = (name(&spec.source)?, evr(&spec.source)?);
    let mut binaries = Vec::new();
    for built in spec.built() {
        let package = package(built)?;
        if !["-debuginfo", "-debugsource"]
            .iter()
            .any(|suffix| package.nevra.name.as_str().ends_with(suffix))
        {
            binaries.push(package);
        }
    }
    binaries.sort_by(|one, other| one.nevra.name.cmp(&other.nevra.name));
    Ok(Evaluated {
        name,
        evr,
        licence: spec.source.text("license").unwrap_or_default().to_owned(),
        noarch: spec.build_arch == ["noarch"],
        not_for: not_for(spec, arch),
        source_date_epoch: changelog(spec),
        build_requires: build_requires(&spec.source, spec_text)?,
        packages: binaries,
        sources: sources(spec)?,
        generates: (spec.sections.contains_key(GENERATOR)).then(|| section_line(spec_text, GENERATOR)),
        has_check: spec.sections.contains_key("check"),
        warnings: Vec::new(),
        raised_dist: None,
    })
}

fn name(package: &Package) -> Result<PackageName, Odd> {
    let parsed = package.name.parse();
    parsed.map_err(|error: keel_artefact::name::ParseError| Odd(error.to_string()))
}

fn evr(package: &Package) -> Result<Evr, Odd> {
    let part = |text: &str, what: &str| {
        let legal = |c: char| c.is_ascii_alphanumeric() || "._+~^".contains(c);
        if text.is_empty() || !text.chars().all(legal) {
            return Err(Odd(format!("`{text}` is not a {what} (is a macro undefined?)")));
        }
        Ok(text.to_owned())
    };
    Ok(Evr {
        epoch: package.epoch.unwrap_or(0),
        version: part(&package.version, "version")?,
        release: part(&package.release, "release")?,
    })
}

fn package(package: &Package) -> Result<RecipePackage, Odd> {
    let arch: PackageArch = package
        .arch
        .parse()
        .map_err(|error: keel_artefact::arch::ParseError| Odd(error.to_string()))?;
    let mut provides: Vec<Provide> = Vec::new();
    for provided in &package.provides {
        let provide = dependency(&provided.to_string())?;
        provides.push(Provide {
            name: provide.name,
            evr: provide.version.map(|(_, evr)| evr),
        });
    }
    Ok(RecipePackage {
        nevra: Nevra {
            name: name(package)?,
            evr: evr(package)?,
            arch,
        },
        provides,
        requires: once(&package.requires)?,
        conflicts: once(&package.conflicts)?,
        obsoletes: once(&package.obsoletes)?,
        recommends: once(&package.recommends)?,
        supplements: once(&package.supplements)?,
        summary: package.text("summary").unwrap_or_default().to_owned(),
    })
}

/// Each dependency once, whatever its qualifiers.
fn once(list: &[eval::Dependency]) -> Result<Vec<Dependency>, Odd> {
    let texts: BTreeSet<String> = list.iter().map(ToString::to_string).collect();
    let mut once = texts
        .iter()
        .map(|text| dependency(text))
        .collect::<Result<Vec<_>, _>>()?;
    once.retain(|dependency| !dependency.is_rpmlib());
    Ok(once)
}

fn dependency(text: &str) -> Result<Dependency, Odd> {
    let parsed = text
        .parse()
        .map_err(|error: keel_artefact::dependency::ParseError| Odd(error.to_string()))?;
    if text.contains('%') {
        return Err(Odd(format!("`{text}` has a macro that nobody defines")));
    }
    Ok(parsed)
}

fn not_for(spec: &eval::Evaluated, arch: Arch) -> Option<String> {
    let (only, not) = (&spec.exclusive_arch, &spec.exclude_arch);
    let names = |list: &[String], name: &str| list.iter().any(|found| found == name);
    if !only.is_empty() && !names(only, arch.rpm()) && !names(only, "noarch") {
        return Some(format!("ExclusiveArch: {}", only.join(" ")));
    }
    names(not, arch.rpm()).then(|| format!("ExcludeArch: {}", not.join(" ")))
}

/// rpm puts an entry's date at noon, and takes midnight for SOURCE_DATE_EPOCH.
fn changelog(spec: &eval::Evaluated) -> Option<Epoch> {
    let newest = spec.source.changelog.first()?;
    let time = u64::try_from(newest.time).ok()?;
    let at_noon = time % 86_400 == 43_200;
    Some(Epoch(if at_noon { time - 43_200 } else { time }))
}

fn build_requires(source: &Package, spec_text: &str) -> Result<Vec<BuildRequire>, Odd> {
    let lines = build_require_lines(spec_text);
    let mut list: Vec<BuildRequire> = once(&source.requires)?
        .into_iter()
        .map(|dependency| BuildRequire {
            line: lines.get(dependency.name.as_str()).copied(),
            dependency,
        })
        .collect();
    let key = |require: &BuildRequire| {
        (
            require.line.is_none(),
            require.line,
            require.dependency.to_string(),
        )
    };
    list.sort_by_cached_key(key);
    Ok(list)
}

/// Words of `BuildRequires` → the first line that says them. Macros are not expanded: such a word has no line.
fn build_require_lines(text: &str) -> BTreeMap<&str, u32> {
    let mut lines = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let Some((tag, value)) = line.split_once(':') else {
            continue;
        };
        let tag = tag.trim().split('(').next().unwrap_or("");
        if !tag.eq_ignore_ascii_case("BuildRequires") {
            continue;
        }
        let value = value.trim();
        if value.starts_with('(') {
            lines.entry(value).or_insert(number);
        }
        for word in value
            .split(|c: char| c.is_whitespace() || c == ',')
            .filter(|word| !word.is_empty())
        {
            lines.entry(word).or_insert(number);
        }
    }
    lines
}

/// The line that begins a section; 0 if none does literally.
fn section_line(text: &str, section: &str) -> u32 {
    let begins = |line: &str| {
        let word = line
            .split_whitespace()
            .next()
            .and_then(|word| word.strip_prefix('%'));
        word.is_some_and(|word| word.eq_ignore_ascii_case(section))
    };
    let found = (1..).zip(text.lines()).find(|(_, line)| begins(line));
    found.map_or(0, |(number, _)| number)
}

fn sources(spec: &eval::Evaluated) -> Result<Vec<RecipeSource>, Odd> {
    let mut sources = Vec::new();
    for source in &spec.sources {
        let (file_name, value) = (source.file.clone(), &source.full);
        let plain =
            !matches!(file_name.as_str(), "" | "." | "..") && !file_name.contains(char::is_whitespace);
        if !plain {
            return Err(Odd(format!("`{value}` does not name a file")));
        }
        let url = value
            .contains("://")
            .then(|| value.split('#').next().unwrap_or(value).to_owned());
        sources.push(RecipeSource {
            file_name,
            url,
            number: source.number,
            kind: match source.kind {
                eval::SourceKind::Source => SourceKind::Source,
                eval::SourceKind::Patch => SourceKind::Patch,
            },
        });
    }
    sources.sort_by_key(|source| (source.kind, source.number));
    Ok(sources)
}
