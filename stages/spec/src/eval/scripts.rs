//! `%description`, `%files`, scripts and triggers of packages.

use super::{
    Dependency, Kind, Parser, Part, Script, Stop, Strip,
    dependency::{self, flags},
    options,
};
use crate::macros::{level, text::trim_end};

/// What a script's section asks of its interpreter, in bits.
fn interpreter_bits(section: &str) -> u32 {
    match section {
        "pre" => flags::PRE,
        "post" => flags::POST,
        "preun" => flags::PREUN,
        "postun" => flags::POSTUN,
        "pretrans" => flags::PRETRANS,
        "posttrans" => flags::POSTTRANS,
        "preuntrans" => flags::PREUNTRANS,
        "postuntrans" => flags::POSTUNTRANS,
        "verifyscript" => flags::VERIFY,
        _ => 0,
    }
}

fn trigger_bits(section: &str) -> u32 {
    match section.trim_start_matches("trans").trim_start_matches("file") {
        "triggerprein" => flags::TRIGGERPREIN,
        "triggerin" => flags::TRIGGERIN,
        "triggerun" => flags::TRIGGERUN,
        "triggerpostun" => flags::TRIGGERPOSTUN,
        _ => 0,
    }
}

impl Parser<'_> {
    pub(super) fn description(&mut self) -> Result<Option<Part>, Stop> {
        let given = self.given("n:l:")?;
        let at = self.named_package(&given)?;
        let language = given.argument('l').unwrap_or("C").to_owned();
        let (text, next) = self.section_text(Strip::BOTH)?;
        let text = trim_end(&text).to_owned();
        let package = &mut self.spec.packages[at];
        if language != "C" {
            let by_language = package.translations.entry("description".to_owned()).or_default();
            by_language.insert(language, text);
        } else if package.texts.insert("description".to_owned(), text).is_some() {
            let line = self.lines.number;
            self.warn(format!("line {line}: second Description"));
        }
        Ok(next)
    }

    pub(super) fn files(&mut self) -> Result<Option<Part>, Stop> {
        // In this section `%license` is a directive, whatever macro has that name.
        self.engine.push_literal("license", "%license", level::SPEC);
        let result = self.files_of();
        self.engine.pop("license");
        result
    }

    fn files_of(&mut self) -> Result<Option<Part>, Stop> {
        let given = self.given("n:f:")?;
        let at = self.named_package(&given)?;
        if self.spec.packages[at].built {
            let (line, name) = (self.lines.number, self.spec.packages[at].name.clone());
            self.warn(format!("line {line}: multiple %files for package '{name}'"));
            self.spec.packages[at].files.clear();
        }
        let lists = given.options.iter().filter(|(letter, _)| *letter == 'f');
        for (_, list) in lists {
            let list = self.engine.expand_leniently(list.as_deref().unwrap_or(""));
            self.spec.packages[at]
                .file_lists
                .push(super::prep::clean_path(&list));
        }
        self.spec.packages[at].built = true;
        self.each_line(Strip::COMMENTS, |parser| {
            let line = trim_end(&parser.lines.line);
            if !line.is_empty() {
                parser.spec.packages[at].files.push(line.to_owned());
            }
            Ok(())
        })
    }

    /// `%post` and the like, and triggers.
    pub(super) fn script(&mut self, section: &'static str) -> Result<Option<Part>, Stop> {
        let is_trigger = section.contains("trigger");
        let mut line = self.lines.line.clone();
        let mut condition = String::new();
        if is_trigger {
            (line, condition) = self.split_trigger()?;
        }
        let number = self.lines.number;
        let shown = trim_end(&line).to_owned();
        let words = options::words(&line)
            .map_err(|why| self.error(format!("line {number}: Error parsing %{section}: {why}")))?;
        let given = options::options(&words[1..], "p:n:f:eqP:")
            .map_err(|option| self.error(format!("line {number}: Bad option {option}: {shown}")))?;
        if given.has('P') && !is_trigger {
            return Err(self.error(format!(
                "line {number}: Priorities are allowed only for file triggers : {shown}"
            )));
        }
        let interpreter = self.interpreter(section, &given)?;
        let at = self.named_package(&given)?;
        let package = &self.spec.packages[at];
        if !is_trigger && package.scripts.iter().any(|script| script.section == section) {
            return Err(self.error(format!("line {number}: Second %{section}")));
        }
        let (body, next) = self.section_text(Strip::NOTHING)?;
        let body = trim_end(&body).to_owned();
        self.script_needs(at, section, &interpreter, &given)?;
        let conditions = match is_trigger {
            true => self.trigger_conditions(section, &condition)?,
            false => Vec::new(),
        };
        if is_trigger && interpreter.len() > 1 {
            return Err(self.error(format!(
                "line {number}: interpreter arguments not allowed in triggers: {}",
                interpreter.join(" ")
            )));
        }
        self.spec.packages[at].scripts.push(Script {
            section: section.to_owned(),
            interpreter,
            body,
            file: given.argument('f').map(str::to_owned),
            conditions,
            priority: given.argument('P').and_then(|priority| priority.parse().ok()),
        });
        Ok(next)
    }

    /// What is before and after the ` -- ` of a trigger's line.
    fn split_trigger(&mut self) -> Result<(String, String), Stop> {
        let line = self.lines.line.clone();
        let bytes = line.as_bytes();
        let is_blank = |at: Option<&u8>| at.is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        let found = line.match_indices("--").map(|(at, _)| at).find(|at| {
            is_blank(at.checked_sub(1).and_then(|before| bytes.get(before))) && is_blank(bytes.get(at + 2))
        });
        let Some(at) = found else {
            return Err(self.error_line("triggers must have --"));
        };
        let condition = crate::macros::text::trim_start(&line[at + 2..]);
        if condition.is_empty() {
            return Err(self.error_line("missing trigger condition"));
        }
        Ok((line[..at + 2].to_owned(), condition.to_owned()))
    }

    fn interpreter(&mut self, section: &str, given: &options::Given) -> Result<Vec<String>, Stop> {
        let number = self.lines.number;
        let program = given.argument('p').unwrap_or("/bin/sh").to_owned();
        if program.starts_with('<') && !program.ends_with('>') {
            return Err(self.error(format!(
                "line {number}: internal script must end with '>': {program}"
            )));
        }
        if !program.starts_with('<') && !program.starts_with('/') {
            return Err(self.error(format!(
                "line {number}: script program must begin with '/': {program}"
            )));
        }
        options::words(&program)
            .map_err(|why| self.error(format!("line {number}: Error parsing %{section}: {why}")))
    }

    /// Requirements that come with a script.
    fn script_needs(
        &mut self,
        at: usize,
        section: &str,
        interpreter: &[String],
        given: &options::Given,
    ) -> Result<(), Stop> {
        let first = &interpreter[0];
        if first == "<lua>" {
            self.feature(at, "BuiltinLuaScripts", "4.2.2-1");
        } else if first.starts_with('<') {
            let number = self.lines.number;
            return Err(self.error(format!("line {number}: unsupported internal script: {first}")));
        } else {
            let bits = interpreter_bits(section) | flags::INTERP;
            let needed = Dependency {
                name: first.clone(),
                evr: String::new(),
                flags: bits,
            };
            needed.insert(self.spec.packages[at].dependencies(Kind::Requires));
        }
        if given.has('e') || given.has('q') {
            self.feature(at, "ScriptletExpansion", "4.9.0-1");
        }
        if interpreter.len() > 1 && !section.contains("trigger") {
            self.feature(at, "ScriptletInterpreterArgs", "4.0.3-1");
        }
        Ok(())
    }

    fn feature(&mut self, at: usize, feature: &str, evr: &str) {
        let needed = Dependency {
            name: format!("rpmlib({feature})"),
            evr: evr.to_owned(),
            flags: flags::RPMLIB | flags::LESS | flags::EQUAL,
        };
        needed.insert(self.spec.packages[at].dependencies(Kind::Requires));
    }

    fn trigger_conditions(&mut self, section: &str, condition: &str) -> Result<Vec<Dependency>, Stop> {
        // As rpm has it since 4.18.1: before, it named another line of the SPEC.
        dependency::triggers(condition, trigger_bits(section), section.contains("file"))
            .map_err(|(why, rest)| self.error(format!("{why}: {}", trim_end(rest))))
    }
}
