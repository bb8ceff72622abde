//! SPEC files, evaluated: sections, tags, packages and their dependencies, as rpm understands them.
//!
//! 1. [`lines`] gives the lines that count, macros expanded.
//! 2. This module takes the sections in their order; `preamble.rs` reads tags, `scripts.rs` scripts, triggers, `%files`
//!    and `%description`, `prep.rs` writes what `%setup` and `%patch` stand for, `changelog.rs` reads the changelog.
//! 3. `finish.rs` adds what rpm adds: what each package provides itself, what it inherits, the source package's header.
//!
//! A `BuildArch:` makes rpm read the whole SPEC again for that architecture; macros defined so far stay.

mod again;
mod changelog;
pub mod dependency;
mod directive;
mod encoding;
mod finish;
mod lines;
mod model;
mod options;
mod part;
mod preamble;
pub(crate) mod prep;
mod scripts;
mod sources;
mod tags;

use std::{collections::BTreeMap, sync::Arc};

pub use again::evaluate_past_errors;
pub(crate) use dependency::QUALIFIERS;
pub use dependency::{Dependency, Kind};
pub use model::{Change, Evaluated, FORMAT, Package, Script, Source, SourceKind};
pub(crate) use part::sections;
use part::{BUILD_SECTIONS, Part};
pub(crate) use preamble::capitalised;
pub(crate) use prep::Prep;
pub(crate) use tags::TAGS;

use crate::macros::{Behaviour, Engine, Message, Severity, level};
use lines::{Lines, Read, Strip};

/// What `rpmspec` tells of a SPEC.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// What the SPEC says; nothing if it could not be read to its end. Why is in the messages.
    pub evaluated: Option<Evaluated>,
    /// All lines that count, as `rpmspec -P` prints them.
    pub parsed: String,
    /// What rpm would have said on standard error.
    pub messages: Vec<Message>,
    /// The line at which reading stopped.
    pub line: u32,
    /// The texts of other files that errors are in, by name.
    pub files: BTreeMap<String, String>,
    /// `%dist` as it was made to end with a rebuild counter, if it was.
    pub raised_dist: Option<String>,
}

impl Outcome {
    /// Of a SPEC that takes longer than any limit allows.
    pub fn left_behind(name: &str) -> Self {
        let text = format!("{name}: the evaluation does not end, and no limit stops it; it was left behind");
        Self {
            messages: vec![Message::new(Severity::Error, text)],
            ..Self::default()
        }
    }
}

/// Whether packages of this architecture can be built for the target.
pub type Buildable<'a> = &'a dyn Fn(&str) -> bool;

/// Evaluates the SPEC `text`, which messages call `name`, with the engine's macros.
pub fn evaluate(engine: &mut Engine, name: &str, text: &str, buildable: Buildable<'_>) -> Outcome {
    let mut outcome = Outcome::default();
    let result = Parser::new(engine, name, text, buildable, false).and_then(|parser| parser.run());
    match result {
        Ok((evaluated, parsed)) => {
            outcome.evaluated = Some(evaluated);
            outcome.parsed = parsed;
        }
        Err(Stop { line }) => outcome.line = line,
    }
    engine.set_place(None);
    outcome.messages = engine.take_messages();
    outcome
}

/// Reading stopped; why is in the messages.
#[derive(Debug, Clone, Copy, Default)]
struct Stop {
    line: u32,
}

impl Stop {
    /// Stops with this error.
    fn error(engine: &mut Engine, text: impl Into<String>) -> Self {
        engine.say(Severity::Error, text);
        Self::said(engine)
    }

    /// Stops after an error that was said.
    fn said(engine: &Engine) -> Self {
        Self {
            line: engine.place_line(),
        }
    }
}

/// What is known of a SPEC while it is read.
struct Parser<'e> {
    engine: &'e mut Engine,
    lines: Lines,
    buildable: Buildable<'e>,
    /// This is the second reading, for an architecture that the first found.
    again: bool,
    name: Arc<str>,
    text: &'e str,
    spec: Evaluated,
    /// The main package was begun.
    begun: bool,
    /// `%build -a` and `-p`: section, whether it goes before, and text.
    parts: Vec<(&'static str, bool, String)>,
    /// `BuildOption(section): words`.
    build_options: Vec<(String, String)>,
    next_source: i64,
    next_patch: i64,
    /// Tags that a package has twice.
    duplicates: Vec<(usize, &'static str)>,
    /// How often `%patchN` was used.
    numbered_patches: u32,
    in_prep: bool,
    build_root: String,
}

impl<'e> Parser<'e> {
    fn new(
        engine: &'e mut Engine,
        name: &str,
        text: &'e str,
        buildable: Buildable<'e>,
        again: bool,
    ) -> Result<Self, Stop> {
        engine.prep = prep::Prep::default();
        let build_root = match engine.behaviour() {
            Behaviour::Rpm418 => prep::clean_path(&engine.expand_leniently("%{?buildroot:%{buildroot}}")),
            _ => {
                finish::set_top_builddir(engine);
                String::new()
            }
        };
        engine.push("_docdir", None, "%{_defaultdocdir}", level::SPEC);
        engine.push("_licensedir", None, "%{_defaultlicensedir}", level::SPEC);
        engine.push_place();
        Ok(Self {
            engine,
            lines: Lines::new(name, text),
            buildable,
            again,
            name: name.into(),
            text,
            spec: Evaluated::default(),
            begun: false,
            parts: Vec::new(),
            build_options: Vec::new(),
            next_source: 0,
            next_patch: 0,
            duplicates: Vec::new(),
            numbered_patches: 0,
            in_prep: false,
            build_root,
        })
    }

    fn run(mut self) -> Result<(Evaluated, String), Stop> {
        match self.sections()? {
            Ended::Here => {
                if self.engine.behaviour() >= Behaviour::Rpm420 {
                    self.build_system()?;
                    self.apply_parts();
                }
                self.finish()
            }
            Ended::BuildArch => self.read_again(),
        }
    }

    /// `BuildArch:` was found in the main package: all is read once more for the first that can be built.
    fn read_again(self) -> Result<(Evaluated, String), Stop> {
        let Self {
            engine,
            name,
            text,
            buildable,
            spec,
            ..
        } = self;
        let Some(arch) = spec.build_arch.iter().find(|arch| buildable(arch)) else {
            return Err(Stop::error(engine, "No compatible architectures found for build"));
        };
        engine.pop_place();
        engine.push("_target_cpu", None, arch, level::RPMRC);
        Parser::new(engine, &name, text, buildable, true)?.run()
    }

    fn sections(&mut self) -> Result<Ended, Stop> {
        let mut part = Some(Part::Preamble);
        let mut before = Part::Empty;
        while let Some(now) = part {
            part = match now {
                Part::Preamble => match self.preamble()? {
                    preamble::Next::Part(next) => next,
                    preamble::Next::BuildArch => return Ok(Ended::BuildArch),
                },
                Part::Build("prep") if self.engine.behaviour() == Behaviour::Rpm418 => self.prep()?,
                Part::Build(section) => self.build_section(section)?,
                Part::Files => self.files()?,
                Part::Changelog => self.changelog()?,
                Part::Description => self.description()?,
                Part::Script(section) => self.script(section)?,
                Part::Policies => self.skip_section(Strip::COMMENTS)?,
                Part::PatchList => self.source_list(SourceKind::Patch)?,
                Part::SourceList => self.source_list(SourceKind::Source)?,
                Part::Empty => self.end(before)?,
            };
            before = now;
        }
        Ok(Ended::Here)
    }

    fn read(&mut self, strip: Strip) -> Result<Read, Stop> {
        self.lines.read(self.engine, strip)
    }

    fn part(&self) -> Option<Part> {
        Part::of(&self.lines.line, self.engine.behaviour())
    }

    /// Hands over lines up to the next part.
    fn each_line(
        &mut self,
        strip: Strip,
        mut with: impl FnMut(&mut Self) -> Result<(), Stop>,
    ) -> Result<Option<Part>, Stop> {
        while self.read(strip)? == Read::Line {
            if let Some(part) = self.part() {
                return Ok(Some(part));
            }
            with(self)?;
        }
        Ok(None)
    }

    /// The text up to the next part.
    fn section_text(&mut self, strip: Strip) -> Result<(String, Option<Part>), Stop> {
        let mut text = String::new();
        let next = self.each_line(strip, |parser| {
            parser.refuse_numbered_patch()?;
            text.push_str(&parser.lines.line);
            if strip.trailing {
                text.push('\n');
            }
            Ok(())
        })?;
        Ok((text, next))
    }

    /// `%patch0` is none of rpm's words any more; since rpm 4.20.
    fn refuse_numbered_patch(&mut self) -> Result<(), Stop> {
        let line = &self.lines.line;
        let number = line.strip_prefix("%patch").and_then(|rest| rest.bytes().next());
        match self.in_prep && number.is_some_and(|byte| byte.is_ascii_digit()) {
            false => Ok(()),
            true => Err(self.error(format!(
                "%patchN is obsolete, use %patch N (or %patch -P N): {line}"
            ))),
        }
    }

    fn skip_section(&mut self, strip: Strip) -> Result<Option<Part>, Stop> {
        self.each_line(strip, |_| Ok(()))
    }

    fn build_section(&mut self, section: &'static str) -> Result<Option<Part>, Stop> {
        let (mut append, mut prepend) = (false, false);
        if self.engine.behaviour() >= Behaviour::Rpm420 {
            let given = self.given("ap")?;
            (append, prepend) = (given.has('a'), given.has('p'));
        }
        if append && prepend {
            return Err(self.error_line("append and prepend specified"));
        }
        let second = self.spec.sections.contains_key(section) && !append && !prepend;
        if second {
            let line = self.lines.number;
            return Err(self.error(format!("line {line}: second %{section}")));
        }
        let is_prep = section == "prep" && self.engine.behaviour() >= Behaviour::Rpm420;
        if is_prep {
            self.set_prep_folder();
            self.engine.push_prep_macros();
            self.in_prep = true;
        }
        let read = self.section_text(Strip::NOTHING);
        if is_prep {
            self.engine.pop_prep_macros();
            self.in_prep = false;
        }
        let (text, next) = read?;
        match append || prepend {
            true => self.parts.push((section, prepend, text)),
            false => {
                self.spec.sections.insert(section.to_owned(), text);
            }
        }
        Ok(next)
    }

    fn apply_parts(&mut self) {
        for (section, prepend, text) in std::mem::take(&mut self.parts) {
            let whole = self.spec.sections.entry(section.to_owned()).or_default();
            match prepend {
                true => whole.insert_str(0, &text),
                false => whole.push_str(&text),
            }
        }
    }

    /// Sections that the SPEC does not have come from its build system's macros.
    fn build_system(&mut self) -> Result<(), Stop> {
        let system = self.engine.expand_leniently("%{?buildsystem}");
        if system.is_empty() {
            return Ok(());
        }
        let mut text = String::new();
        for section in BUILD_SECTIONS {
            if self.spec.sections.contains_key(section) {
                continue;
            }
            let mut names = [&*system, "default"]
                .into_iter()
                .map(|system| format!("buildsystem_{system}_{section}"));
            let table = self.engine.table();
            let parametric = |name: &String| table.get(name).is_some_and(|found| found.is_parametric());
            let Some(name) = names.find(parametric) else {
                continue;
            };
            let words: Vec<&str> = self
                .build_options
                .iter()
                .filter(|(for_section, _)| for_section == section)
                .map(|(_, words)| words.as_str())
                .collect();
            let words = match words.is_empty() {
                true => String::new(),
                false => format!("-- {}", words.join(" ")),
            };
            text += &format!("%{section}\n%{name} {words}\n");
        }
        if text.is_empty() {
            return Ok(());
        }
        let name = "build system".to_owned();
        let mut lines = Lines::new(&name, &format!("# Spec part read from {name}\n\n{text}"));
        std::mem::swap(&mut lines, &mut self.lines);
        self.lines.parsed = lines.parsed;
        self.sections().map(drop)
    }

    fn end(&mut self, before: Part) -> Result<Option<Part>, Stop> {
        let line = self.lines.number;
        let text = self.lines.line.trim_end_matches('\n').to_owned();
        if !crate::macros::text::trim(&text["%end".len()..]).is_empty() {
            return Err(self.error(format!("line {line}: %end doesn't take any arguments: {text}")));
        }
        if before == Part::Empty {
            return Err(self.error(format!(
                "line {line}: %end not expected here, no section to close: {text}"
            )));
        }
        self.each_line(Strip::BOTH, |parser| {
            match crate::macros::text::trim(&parser.lines.line).is_empty() {
                true => Ok(()),
                false => {
                    let (line, text) = (parser.lines.number, parser.lines.line.clone());
                    Err(parser.error(format!("line {line} doesn't belong to any section: {text}")))
                }
            }
        })
    }

    fn source_list(&mut self, kind: SourceKind) -> Result<Option<Part>, Stop> {
        self.each_line(Strip::BOTH, |parser| {
            let line = parser.lines.line.clone();
            if !line.is_empty() {
                // rpm reports a source that is there twice and goes on.
                let _ = parser.add_source(kind, None, &line);
            }
            Ok(())
        })
    }

    /// Options of a section's line.
    fn given(&mut self, letters: &str) -> Result<options::Given, Stop> {
        let line = self.lines.line.clone();
        let number = self.lines.number;
        let words = options::words(&line).map_err(|why| {
            let name = line.split_whitespace().next().unwrap_or("").to_owned();
            self.error(format!("line {number}: Error parsing {name}: {why}"))
        })?;
        options::options(&words[1..], letters).map_err(|option| {
            let shown = line.trim_end_matches('\n');
            self.error(format!("line {number}: Bad option {option}: {shown}"))
        })
    }

    /// The package that a section's line names: `-n NAME`, or the rest of the name, or none for the main one.
    fn named_package(&mut self, given: &options::Given) -> Result<usize, Stop> {
        let by_name = given.argument('n');
        let mut rest = given.rest.iter();
        let name = match by_name {
            Some(name) => Some(name.to_owned()),
            None => rest.next().cloned(),
        };
        if rest.next().is_some() {
            return Err(self.error_line("Too many names"));
        }
        let Some(name) = name else { return Ok(0) };
        let full = match by_name {
            Some(_) => name,
            None => format!("{}-{name}", self.spec.packages[0].name),
        };
        let found = self.spec.packages.iter().position(|package| package.name == full);
        found.ok_or_else(|| {
            let (line, text) = (
                self.lines.number,
                self.lines.line.trim_end_matches('\n').to_owned(),
            );
            self.error(format!("line {line}: {text}: package {full} does not exist"))
        })
    }

    fn error(&mut self, text: impl Into<String>) -> Stop {
        let before = self.engine.set_place(self.lines.place());
        let mut stop = Stop::error(self.engine, text);
        self.engine.set_place(before);
        stop.line = self.lines.number;
        stop
    }

    /// An error with the line's number and text.
    fn error_line(&mut self, what: &str) -> Stop {
        let (line, text) = (
            self.lines.number,
            self.lines.line.trim_end_matches('\n').to_owned(),
        );
        self.error(format!("line {line}: {what}: {text}"))
    }

    fn warn(&mut self, text: impl Into<String>) {
        let before = self.engine.set_place(self.lines.place());
        self.engine.say(Severity::Warning, text);
        self.engine.set_place(before);
    }
}

/// How the sections ended.
enum Ended {
    /// At the end of the SPEC.
    Here,
    /// At the `BuildArch:` of the main package.
    BuildArch,
}
