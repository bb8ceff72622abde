//! rpmspec's answers → what a recipe says.

use std::collections::{BTreeMap, BTreeSet};

use keel_artefact::{Arch, Dependency, Epoch, Evr, Nevra, PackageArch, PackageName, Provide};
use keel_host::rpmspec::Answer;
use serde::{Deserialize, Serialize};

use crate::{BuildRequire, RecipePackage, RecipeSource, SourceKind, messages::Message};

/// rpm's query format for a source package: one fact a line, after a letter.
pub(crate) const SOURCE_FORMAT: &str = "N %{NAME}\\nE %{EPOCH}\\nV %{VERSION}\\nr %{RELEASE}\\nL %{LICENSE}\\n\
    T %{CHANGELOGTIME}\\n[A %{BUILDARCHS}\\n][X %{EXCLUSIVEARCH}\\n][x %{EXCLUDEARCH}\\n][R %{REQUIRENEVRS}\\n]\
    [S %{SOURCE}\\n][P %{PATCH}\\n]";
/// The same for each binary package; `N` opens one.
pub(crate) const BINARY_FORMAT: &str = "N %{NAME}\\nE %{EPOCH}\\nV %{VERSION}\\nr %{RELEASE}\\na %{ARCH}\\n\
    s %{SUMMARY}\\n[R %{REQUIRENEVRS}\\n][P %{PROVIDENEVRS}\\n]";

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
    pub(crate) warnings: Vec<Message>,
}

/// An answer that does not say what it must, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Odd(pub(crate) String);

/// Facts of one package: letter → values, in rpm's order.
type Facts<'a> = BTreeMap<char, Vec<&'a str>>;

pub(crate) fn read(answer: &Answer, spec_text: &str, arch: Arch) -> Result<Evaluated, Odd> {
    let mut packages = facts(&answer.source.stdout);
    let source = packages.pop().filter(|_| packages.is_empty());
    let source = source.ok_or_else(|| Odd("rpm does not describe exactly one source package".to_owned()))?;
    // First what the source package says of itself: an odd version is odd in every dependency, too.
    let (name, evr) = (name(&source)?, evr(&source)?);
    let mut binaries = Vec::new();
    for facts in facts(&answer.binaries.stdout) {
        let package = package(&facts)?;
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
        licence: one(&source, 'L')?.to_owned(),
        noarch: all(&source, 'A') == ["noarch"],
        not_for: not_for(&source, arch),
        source_date_epoch: changelog(one(&source, 'T')?)?,
        build_requires: build_requires(&source, spec_text)?,
        packages: binaries,
        sources: sources(&source, &answer.expanded.stdout)?,
        warnings: Vec::new(),
    })
}

fn facts(text: &str) -> Vec<Facts<'_>> {
    let mut packages: Vec<Facts<'_>> = Vec::new();
    for line in text.lines() {
        let mut chars = line.chars();
        let (Some(letter), Some(' ')) = (chars.next(), chars.next()) else {
            continue;
        };
        if letter == 'N' {
            packages.push(Facts::new());
        }
        if let Some(facts) = packages.last_mut() {
            facts.entry(letter).or_default().push(chars.as_str());
        }
    }
    packages
}

fn all<'a, 'f>(facts: &'f Facts<'a>, letter: char) -> &'f [&'a str] {
    let values = facts.get(&letter).map(Vec::as_slice).unwrap_or_default();
    if values == ["(none)"] { &[] } else { values }
}

fn one<'a>(facts: &Facts<'a>, letter: char) -> Result<&'a str, Odd> {
    match facts.get(&letter).map(Vec::as_slice) {
        Some([value]) => Ok(value),
        _ => Err(Odd(format!(
            "rpm does not say `{letter}` of a package exactly once"
        ))),
    }
}

fn name(facts: &Facts<'_>) -> Result<PackageName, Odd> {
    one(facts, 'N')?
        .parse()
        .map_err(|error: keel_artefact::name::ParseError| Odd(error.to_string()))
}

fn evr(facts: &Facts<'_>) -> Result<Evr, Odd> {
    let epoch = match one(facts, 'E')? {
        "(none)" => 0,
        epoch => epoch
            .parse()
            .map_err(|_| Odd(format!("`{epoch}` is not an epoch")))?,
    };
    let part = |letter, what: &str| {
        let text = one(facts, letter)?;
        let legal = |c: char| c.is_ascii_alphanumeric() || "._+~^".contains(c);
        if text.is_empty() || !text.chars().all(legal) {
            return Err(Odd(format!("`{text}` is not a {what} (is a macro undefined?)")));
        }
        Ok(text.to_owned())
    };
    Ok(Evr {
        epoch,
        version: part('V', "version")?,
        release: part('r', "release")?,
    })
}

fn package(facts: &Facts<'_>) -> Result<RecipePackage, Odd> {
    let arch: PackageArch = one(facts, 'a')?
        .parse()
        .map_err(|error: keel_artefact::arch::ParseError| Odd(error.to_string()))?;
    let mut provides: Vec<Provide> = Vec::new();
    for text in all(facts, 'P') {
        let provide = dependency(text)?;
        provides.push(Provide {
            name: provide.name,
            evr: provide.version.map(|(_, evr)| evr),
        });
    }
    let requires: BTreeSet<&str> = all(facts, 'R').iter().copied().collect();
    let mut requires = requires
        .into_iter()
        .map(dependency)
        .collect::<Result<Vec<_>, _>>()?;
    requires.retain(|requirement| !requirement.is_rpmlib());
    Ok(RecipePackage {
        nevra: Nevra {
            name: name(facts)?,
            evr: evr(facts)?,
            arch,
        },
        provides,
        requires,
        summary: one(facts, 's')?.to_owned(),
    })
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

fn not_for(facts: &Facts<'_>, arch: Arch) -> Option<String> {
    let (only, not) = (all(facts, 'X'), all(facts, 'x'));
    if !only.is_empty() && !only.contains(&arch.rpm()) && !only.contains(&"noarch") {
        return Some(format!("ExclusiveArch: {}", only.join(" ")));
    }
    not.contains(&arch.rpm())
        .then(|| format!("ExcludeArch: {}", not.join(" ")))
}

/// rpm puts an entry's date at noon, and takes midnight for SOURCE_DATE_EPOCH (`build/build.c`).
fn changelog(text: &str) -> Result<Option<Epoch>, Odd> {
    if text == "(none)" {
        return Ok(None);
    }
    let time: u64 = text.parse().map_err(|_| Odd(format!("`{text}` is not a time")))?;
    let rounded = if time % 86_400 == 43_200 {
        time - 43_200
    } else {
        time
    };
    Ok(Some(Epoch(rounded)))
}

fn build_requires(facts: &Facts<'_>, spec_text: &str) -> Result<Vec<BuildRequire>, Odd> {
    let lines = build_require_lines(spec_text);
    let mut list = Vec::new();
    let texts: BTreeSet<&str> = all(facts, 'R').iter().copied().collect();
    for text in texts {
        let dependency = dependency(text)?;
        if !dependency.is_rpmlib() {
            let line = lines.get(dependency.name.as_str()).copied();
            list.push(BuildRequire { dependency, line });
        }
    }
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

/// The header has the names in reverse order and without numbers; the expanded SPEC has the rest.
fn sources(facts: &Facts<'_>, expanded: &str) -> Result<Vec<RecipeSource>, Odd> {
    let mut sources = Vec::new();
    for (letter, kind) in [('S', SourceKind::Source), ('P', SourceKind::Patch)] {
        let tags = source_tags(expanded, kind);
        let mut names = all(facts, letter).to_vec();
        names.reverse();
        let mut tag_names: Vec<&str> = tags.iter().map(|(_, value)| base_name(value)).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        tag_names.sort_unstable();
        if sorted != tag_names {
            return Err(Odd(format!(
                "the files that rpm names ({}) are not those of the SPEC ({})",
                sorted.join(" "),
                tag_names.join(" ")
            )));
        }
        for (number, value) in tags {
            let file_name = base_name(value).to_owned();
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
                number,
                kind,
            });
        }
    }
    sources.sort_by_key(|source| (source.kind, source.number));
    Ok(sources)
}

fn base_name(value: &str) -> &str {
    value.rsplit('/').next().unwrap_or(value)
}

/// Number and value of each `SourceN` or `PatchN` of an expanded SPEC, also of `%sourcelist` and `%patchlist`. One without a
/// number has the last number and one more (rpm's rule since 4.15).
fn source_tags(expanded: &str, kind: SourceKind) -> Vec<(u32, &str)> {
    let (wanted, wanted_list) = match kind {
        SourceKind::Source => ("source", "%sourcelist"),
        SourceKind::Patch => ("patch", "%patchlist"),
    };
    let mut tags = Vec::new();
    let mut next = 0;
    let mut section = "";
    for line in expanded.lines().map(str::trim) {
        let first = line.split_whitespace().next().unwrap_or("");
        if SECTIONS.contains(&first) {
            section = first;
            continue;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let value = if section == wanted_list {
            Some((None, line))
        } else if matches!(section, "" | "%package") {
            line.split_once(':').and_then(|(tag, value)| {
                let tag = tag.trim().to_ascii_lowercase();
                let number = tag.strip_prefix(wanted)?;
                let number = if number.is_empty() {
                    None
                } else {
                    Some(number.parse().ok()?)
                };
                Some((number, value.trim()))
            })
        } else {
            None
        };
        if let Some((number, value)) = value {
            let number = number.unwrap_or(next);
            next = number + 1;
            tags.push((number, value));
        }
    }
    tags
}

/// What opens a section of a SPEC (`build/parseSpec.c`, `partList`).
const SECTIONS: [&str; 35] = [
    "%package",
    "%description",
    "%sourcelist",
    "%patchlist",
    "%prep",
    "%conf",
    "%generate_buildrequires",
    "%build",
    "%install",
    "%check",
    "%clean",
    "%pre",
    "%post",
    "%preun",
    "%postun",
    "%pretrans",
    "%posttrans",
    "%preuntrans",
    "%postuntrans",
    "%verifyscript",
    "%verify",
    "%triggerprein",
    "%triggerin",
    "%triggerun",
    "%triggerpostun",
    "%trigger",
    "%filetriggerin",
    "%filetriggerun",
    "%filetriggerpostun",
    "%transfiletriggerin",
    "%transfiletriggerun",
    "%transfiletriggerpostun",
    "%files",
    "%changelog",
    "%sepolicy",
];
