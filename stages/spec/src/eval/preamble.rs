//! Tags: of the main package at the top of a SPEC, of others after `%package`.

use super::{
    Parser, Part, Read, Stop, Strip, dependency,
    dependency::{Kind, QUALIFIERS, characters},
    model::Package,
    options,
    tags::{Before, Is, TAGS, Tag},
};
use crate::macros::{
    Behaviour, level,
    text::{is_space, trim_end, trim_start},
};

/// What is left where a macro was not expanded.
const MACRO: [char; 3] = ['%', '{', '}'];

/// How a run of tags ended.
pub(super) enum Next {
    /// With the next part, or at the end.
    Part(Option<Part>),
    /// With the main package's `BuildArch:`.
    BuildArch,
}

/// A line that is a tag: which one, what is in its brackets, the number after a source, and the value.
struct Line {
    tag: &'static Tag,
    bracket: String,
    /// After the tag's name.
    rest: String,
    value: String,
}

/// What stands in a tag's brackets is shorter than rpm's buffer.
const LONGEST_BRACKET: usize = 8192;

impl Parser<'_> {
    pub(super) fn preamble(&mut self) -> Result<Next, Stop> {
        let at = match self.begun {
            false => {
                self.begun = true;
                self.spec.packages.push(Package::new());
                self.spec.source = Package::new();
                None
            }
            true if self.lines.line.is_empty() => Some(0),
            true => Some(self.begin_package()?),
        };
        let package = at.unwrap_or(0);
        loop {
            if self.read(Strip::BOTH)? == Read::End {
                self.preamble_ends(package, at.is_none())?;
                return Ok(Next::Part(None));
            }
            if let Some(part) = self.part() {
                self.preamble_ends(package, at.is_none())?;
                return Ok(Next::Part(Some(part)));
            }
            if trim_start(&self.lines.line).is_empty() {
                continue;
            }
            let Some(line) = self.find_tag()? else {
                return Err(self.error_line("Unknown tag"));
            };
            self.tag(package, line)?;
            if !self.spec.build_arch.is_empty() && !self.again {
                return Ok(Next::BuildArch);
            }
        }
    }

    /// `%package [-n] NAME`.
    fn begin_package(&mut self) -> Result<usize, Stop> {
        let line = self.lines.line.clone();
        let shown = line.trim_end_matches('\n').to_owned();
        let words: Vec<&str> = line
            .split([' ', '\t', '\n'])
            .filter(|word| !word.is_empty())
            .collect();
        let (whole, name) = match words[1..] {
            ["-n", name] => (true, name),
            [name] if name != "-n" => (false, name),
            _ => return Err(self.error(format!("Bad package specification: {shown}"))),
        };
        let first = whole.then_some("_%{");
        self.permit(name, ".-_+%{}", first, &shown)?;
        let full = match whole {
            true => name.to_owned(),
            false => format!("{}-{name}", self.spec.packages[0].name),
        };
        if self.spec.packages.iter().any(|package| package.name == full) {
            let number = self.lines.number;
            return Err(self.error(format!("line {number}: {shown}: package {full} already exists")));
        }
        let mut package = Package::new();
        package.name = full;
        self.spec.packages.push(package);
        Ok(self.spec.packages.len() - 1)
    }

    fn find_tag(&mut self) -> Result<Option<Line>, Stop> {
        let behaviour = self.engine.behaviour();
        let line = self.lines.line.clone();
        // Since rpm 4.19 a tag may be indented.
        let start = match behaviour {
            Behaviour::Rpm418 => line.as_str(),
            _ => trim_start(&line),
        };
        let found = TAGS.iter().find(|tag| {
            let prefix = start.get(..tag.name.len());
            tag.since <= behaviour && prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(tag.name))
        });
        let Some(tag) = found else { return Ok(None) };
        if tag.deprecated {
            let number = self.lines.number;
            self.warn(format!("line {number}: {} is deprecated: {line}", tag.name));
        }
        let rest = &start[tag.name.len()..];
        let mut after = trim_start(rest);
        let mut bracket = String::new();
        let weak = matches!(
            tag.is,
            Is::Dependency(Kind::Recommends | Kind::Suggests | Kind::Supplements | Kind::Enhances)
        );
        let before = match tag.before {
            Before::Qualifiers if weak && behaviour == Behaviour::Rpm418 => Before::Nothing,
            before => before,
        };
        if before != Before::Nothing && !after.starts_with(':') {
            let Some(inside) = after.strip_prefix('(').map(trim_start) else {
                return Ok(None);
            };
            let end = inside.find(|c: char| c == ')' || u8::try_from(c).is_ok_and(is_space));
            let Some(end) = end else { return Ok(None) };
            bracket = inside[..end].to_owned();
            if bracket.len() >= LONGEST_BRACKET {
                return Ok(None);
            }
            let Some(behind) = trim_start(&inside[end..]).strip_prefix(')') else {
                return Ok(None);
            };
            after = trim_start(behind);
        }
        if !matches!(tag.is, Is::Source(_)) && !after.starts_with(':') {
            return Ok(None);
        }
        let Some((_, value)) = start.split_once(':') else {
            return Err(self.error_line("Malformed tag"));
        };
        // A colon in the brackets would end the name too early; rpm does the same.
        let value = trim_end(trim_start(value));
        if value.is_empty() {
            return Err(self.error_line("Empty tag"));
        }
        Ok(Some(Line {
            tag,
            bracket,
            rest: rest.to_owned(),
            value: value.to_owned(),
        }))
    }

    fn tag(&mut self, at: usize, line: Line) -> Result<(), Stop> {
        let Line {
            tag,
            bracket,
            rest,
            value,
        } = line;
        let one_word = || !value.bytes().any(is_space);
        let needs_one = matches!(
            tag.is,
            Is::Name | Is::VerRel | Is::Epoch | Is::Word | Is::DocDir | Is::Icon | Is::BuildSystem
        );
        if needs_one && !one_word() {
            return Err(self.error_line("Tag takes single token only"));
        }
        match tag.is {
            Is::Name | Is::VerRel | Is::Epoch => self.identity(at, tag, &value)?,
            Is::Word | Is::Text => self.text(at, tag.name, &value)?,
            Is::Lang => self.lang_text(at, tag.name, &bracket, &value),
            Is::SourceLicense => {
                let source = &mut self.spec.source.texts;
                source.insert("license".to_owned(), value.clone());
            }
            Is::Ignored | Is::RemovePathPostfixes | Is::Icon => {}
            Is::Prefixes => self.prefixes(at, &value)?,
            Is::DocDir => {
                if !value.starts_with('/') {
                    return Err(self.error_line("Docdir must begin with '/'"));
                }
                self.engine.pop("_docdir");
                self.engine.push("_docdir", None, &value, level::SPEC);
            }
            Is::AutoReqProv | Is::AutoReq | Is::AutoProv => {
                let package = &mut self.spec.packages[at];
                let yes = is_yes(&value);
                if tag.is != Is::AutoProv {
                    package.auto_requires = yes;
                }
                if tag.is != Is::AutoReq {
                    package.auto_provides = yes;
                }
            }
            Is::Source(kind) => self.add_source(kind, Some(&rest), &value)?,
            Is::No(kind) => self.leave_out(kind, &value)?,
            Is::Dependency(kind) => {
                let bits = self.qualifiers(&bracket)?;
                self.depend(Some(at), kind, bits, &value)?;
            }
            Is::PreReq => {
                let bits = dependency::flags::PRE | dependency::flags::PREUN;
                self.depend(Some(at), Kind::Requires, bits, &value)?;
            }
            Is::BuildDependency(kind) => self.depend(None, kind, 0, &value)?,
            Is::Restriction(which) => self.restrict(which, &value)?,
            Is::BuildArch => self.build_arch(at, &value)?,
            Is::BuildSystem => self.check_build_system(&value)?,
            Is::BuildOption => {
                let section = if bracket.is_empty() { "conf" } else { &bracket };
                if !super::BUILD_SECTIONS.contains(&section) {
                    return Err(self.error_line("Bad BuildOption section"));
                }
                self.build_options.push((section.to_owned(), value.clone()));
            }
        }
        if tag.macro_ {
            self.engine.push(tag.name, None, &value, level::SPEC);
            if at == 0 {
                self.engine
                    .push(&tag.name.to_ascii_uppercase(), None, &value, level::SPEC);
            }
        }
        Ok(())
    }

    /// Refuses characters that no name or version has, and warns of what a macro may have left (rpm's `rpmCharCheck`).
    fn permit(&mut self, value: &str, allowed: &str, first: Option<&str>, line: &str) -> Result<(), Stop> {
        let number = self.lines.number;
        if value.contains(MACRO) {
            self.warn(format!("line {number}: Possible unexpanded macro in: {line}"));
        }
        let checked = characters(value, allowed, first);
        checked.map_err(|why| self.error(format!("line {number}: {why} in: {line}")))
    }

    fn identity(&mut self, at: usize, tag: &Tag, value: &str) -> Result<(), Stop> {
        let duplicate = match tag.name {
            "name" => {
                let line = self.lines.line.clone();
                self.permit(value, ".-_+%{}", Some("_%{"), &line)?;
                let package = &mut self.spec.packages[at];
                std::mem::replace(&mut package.name, value.to_owned())
            }
            "epoch" => {
                let Some(epoch) = options::number(value) else {
                    return Err(self.error_line("Epoch field must be an unsigned number"));
                };
                let before = self.spec.packages[at].epoch.replace(epoch);
                before.map_or(String::new(), |epoch| epoch.to_string())
            }
            _ => {
                let line = self.lines.line.clone();
                self.permit(value, "._+%{}~^", None, &line)?;
                let package = &mut self.spec.packages[at];
                let field = match tag.name {
                    "version" => &mut package.version,
                    _ => &mut package.release,
                };
                std::mem::replace(field, value.to_owned())
            }
        };
        if !duplicate.is_empty() {
            self.duplicates.push((at, tag.name));
        }
        Ok(())
    }

    fn text(&mut self, at: usize, name: &'static str, value: &str) -> Result<(), Stop> {
        let texts = &mut self.spec.packages[at].texts;
        if texts.insert(name.to_owned(), value.to_owned()).is_some() {
            self.duplicates.push((at, name));
        }
        Ok(())
    }

    fn lang_text(&mut self, at: usize, name: &'static str, language: &str, value: &str) {
        let package = &mut self.spec.packages[at];
        if !language.is_empty() && language != "C" {
            let by_language = package.translations.entry(name.to_owned()).or_default();
            by_language.insert(language.to_owned(), value.to_owned());
            return;
        }
        if package.texts.insert(name.to_owned(), value.to_owned()).is_some() {
            let number = self.lines.number;
            self.warn(format!("line {number}: second {}", capitalised(name)));
            if !matches!(name, "summary" | "group") {
                self.duplicates.push((at, name));
            }
        }
    }

    fn prefixes(&mut self, at: usize, value: &str) -> Result<(), Stop> {
        let words = options::words(value);
        let words = words.map_err(|why| self.error(format!("Error parsing tag field: {why}")))?;
        if words.iter().any(|word| word.len() > 1 && word.ends_with('/')) {
            return Err(self.error_line("Prefixes must not end with \"/\""));
        }
        self.spec.packages[at].prefixes.extend(words);
        Ok(())
    }

    fn qualifiers(&mut self, bracket: &str) -> Result<u32, Stop> {
        let mut bits = 0;
        let known = match self.engine.behaviour() {
            Behaviour::Rpm418 => &QUALIFIERS[..10],
            _ => QUALIFIERS,
        };
        if bracket.is_empty() {
            return Ok(0);
        }
        for word in bracket.split(',') {
            let word = crate::macros::text::trim(word);
            match known.iter().find(|(name, _)| *name == word) {
                Some((_, bit)) => bits |= bit,
                None => return Err(self.error_line("Bad Requirename: qualifiers")),
            }
        }
        Ok(bits)
    }

    /// Adds dependencies to a package, or to the source package.
    pub(super) fn depend(
        &mut self,
        at: Option<usize>,
        kind: Kind,
        bits: u32,
        value: &str,
    ) -> Result<(), Stop> {
        let parsed = dependency::parse(value, kind, bits);
        let parsed = parsed.map_err(|why| {
            let mut last = Stop::default();
            for why in why.split('\0') {
                last = self.error_line(why);
            }
            last
        })?;
        if let Some(warning) = parsed.warning {
            let strict = warning.starts_with("Invalid version")
                && self
                    .engine
                    .expand_number("%{?_wrong_version_format_terminate_build}")
                    != 0;
            if strict {
                return Err(self.error_line(&warning));
            }
            let (number, line) = (self.lines.number, self.lines.line.clone());
            self.warn(format!("line {number}: {warning}: {line}"));
        }
        for dependency in &parsed.dependencies {
            let is_package = kind == Kind::Obsoletes && dependency.name.contains(MACRO);
            for _ in 0..usize::from(dependency.evr.contains(MACRO)) + usize::from(is_package) {
                let (number, line) = (self.lines.number, self.lines.line.clone());
                self.warn(format!("line {number}: Possible unexpanded macro in: {line}"));
            }
        }
        let package = match at {
            Some(at) => &mut self.spec.packages[at],
            None => &mut self.spec.source,
        };
        for dependency in parsed.dependencies {
            if !self.engine.pay(1) {
                return Err(Stop::said(self.engine));
            }
            dependency.insert(package.dependencies(kind));
        }
        Ok(())
    }

    fn restrict(&mut self, which: &str, value: &str) -> Result<(), Stop> {
        let words = options::words(value);
        let words = words.map_err(|why| self.error(format!("Error parsing tag field: {why}")))?;
        let list = match which {
            "excludearch" => &mut self.spec.exclude_arch,
            "exclusivearch" => &mut self.spec.exclusive_arch,
            "excludeos" => &mut self.spec.exclude_os,
            _ => &mut self.spec.exclusive_os,
        };
        list.extend(words);
        Ok(())
    }

    fn build_arch(&mut self, at: usize, value: &str) -> Result<(), Stop> {
        let Ok(words) = options::words(value) else {
            return Err(self.error_line("Bad BuildArchitecture format"));
        };
        if at == 0 {
            if !self.spec.build_arch.is_empty() {
                return Err(self.error_line("Duplicate BuildArch entry"));
            }
            self.spec.build_arch = words;
        } else {
            if words != ["noarch"] {
                return Err(self.error_line("Only noarch subpackages are supported"));
            }
            self.spec.packages[at].arch = "noarch".to_owned();
        }
        Ok(())
    }

    fn check_build_system(&mut self, system: &str) -> Result<(), Stop> {
        let is_parametric = |section: &str| {
            let found = self
                .engine
                .table()
                .get(&format!("buildsystem_{system}_{section}"));
            found.is_some_and(|found| found.is_parametric())
        };
        let number = self.lines.number;
        if !super::BUILD_SECTIONS.iter().any(|section| is_parametric(section)) {
            return Err(self.error(format!("line {number}: Unknown buildsystem: {system}")));
        }
        let missing = ["conf", "build", "install"]
            .iter()
            .rfind(|section| !is_parametric(section));
        match missing {
            Some(section) => Err(self.error(format!(
                "line {number}: Required parametric macro %buildsystem_{system}_{section} not defined for buildsystem {system}"
            ))),
            None => Ok(()),
        }
    }
}

fn is_yes(value: &str) -> bool {
    let no = value.starts_with(['n', 'N', '0'])
        || value.eq_ignore_ascii_case("false")
        || value.eq_ignore_ascii_case("off");
    !no
}

/// rpm's name of a tag in messages.
pub(crate) fn capitalised(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or(String::new(), |first| {
        first.to_ascii_uppercase().to_string() + chars.as_str()
    })
}
