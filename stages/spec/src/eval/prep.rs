//! What `%setup` and `%patch` stand for.

use super::{Parser, Part, Source, SourceKind, Stop, Strip, options};
use crate::macros::{Behaviour, Engine, Severity, level};

/// What the macros of `%prep` must know.
#[derive(Debug, Default)]
pub(crate) struct Prep {
    /// Sources and patches in the order of the SPEC.
    pub sources: Vec<Source>,
    /// Name and version of the main package: the folder that `%setup` expects.
    pub folder: String,
}

impl Prep {
    fn find(&self, kind: SourceKind, number: u32) -> Option<&Source> {
        let mut sources = self.sources.iter();
        sources.find(|source| source.kind == kind && source.number == number)
    }
}

/// A path as rpm cleans it: no doubled slash, no `.`, no `..` that has something to take away, no slash at the end.
pub(super) fn clean_path(path: &str) -> String {
    if path.is_empty() || path.contains("://") {
        return path.to_owned();
    }
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" => {}
            "." if absolute || !parts.is_empty() => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if absolute => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    if absolute { format!("/{joined}") } else { joined }
}

/// The script for `%setup` with these words (the first is the name), or rpm's error.
pub(crate) fn setup(engine: &mut Engine, line: &str, number: u32) -> Result<String, String> {
    let late = engine.behaviour() >= Behaviour::Rpm420;
    let words = options::words(line).map_err(|why| format!("Error parsing %setup: {why}"))?;
    let letters = if late { "a:b:cCDn:Tq" } else { "a:b:cDn:Tq" };
    let given = options::options(&words[1..], letters)
        .map_err(|option| format!("line {number}: Bad %setup option {option}: unknown option"))?;
    let quiet = given.has('q') || line.get(5..).is_some_and(|rest| rest.contains(" -q"));
    let (mut before, mut after) = (String::new(), String::new());
    for (letter, argument) in &given.options {
        if !matches!(letter, 'a' | 'b') {
            continue;
        }
        let argument = argument.as_deref().unwrap_or("");
        let source = options::number(argument)
            .ok_or_else(|| format!("line {number}: Bad arg to %setup: {argument}"))?;
        let into = if *letter == 'a' { &mut after } else { &mut before };
        *into += &(untar(engine, source, quiet, false)? + "\n");
    }
    let folder = match given.argument('n') {
        Some(folder) => folder.to_owned(),
        None => engine.prep.folder.clone(),
    };
    engine.push("buildsubdir", None, &folder, level::SPEC);
    let mut script = String::new();
    let mut say = |line: &str| {
        script.push_str(line);
        script.push('\n');
    };
    let build_folder = engine.expand_leniently("%{_builddir}");
    say(&format!("cd '{}'", clean_path(&build_folder)));
    if !given.has('D') {
        say(&engine.expand_leniently("rm -rf '%{buildsubdir}'"));
    }
    script.push_str(&before);
    let (create, unpack) = (given.has('c'), !given.has('T'));
    let mut lines = Vec::new();
    if create {
        lines.push(engine.expand_leniently("%{__mkdir_p} '%{buildsubdir}'\ncd '%{buildsubdir}'"));
    }
    if late {
        if unpack {
            lines.push(untar(engine, 0, quiet, given.has('C'))?);
        }
        if !create {
            lines.push(engine.expand_leniently("cd '%{buildsubdir}'"));
        }
    } else {
        if !create && unpack {
            lines.push(untar(engine, 0, quiet, false)?);
        }
        match create {
            false => lines.push(engine.expand_leniently("cd '%{buildsubdir}'")),
            true if unpack => lines.push(untar(engine, 0, quiet, false)?),
            true => {}
        }
    }
    for line in lines {
        script += &(line + "\n");
    }
    script.push_str(&after);
    let fix = engine.expand_leniently("%{_fixperms} .");
    if !fix.is_empty() && !fix.starts_with('%') {
        script += &(fix + "\n");
    }
    Ok(script)
}

fn untar(engine: &mut Engine, number: u32, quiet: bool, auto: bool) -> Result<String, String> {
    let Some(source) = engine.prep.find(SourceKind::Source, number) else {
        return Err(format!("No source number {number}"));
    };
    let path = source.path.clone();
    let verbose = if quiet { "" } else { "-v " };
    let into = if auto { "-C %{buildsubdir} " } else { "" };
    let path = match engine.behaviour() {
        Behaviour::Rpm418 => path,
        _ => format!("%{{shescape:{path}}}"),
    };
    let unpack = engine.expand_leniently(&format!("%{{__rpmuncompress}} -x {verbose}{into}{path}"));
    Ok(format!(
        "{unpack}\nSTATUS=$?\nif [ $STATUS -ne 0 ]; then\n  exit $STATUS\nfi"
    ))
}

/// The script for `%patch`, or rpm's error.
pub(crate) fn patch(engine: &mut Engine, line: &str) -> Result<String, String> {
    let words = options::words(line).map_err(|why| format!("{why}: {line}"))?;
    let given = options::options(&words[1..], "P:p:REb:z:F:d:o:Z")
        .map_err(|option| format!("unknown option: {option}: {line}"))?;
    let mut numbers: Vec<String> = given
        .options
        .iter()
        .filter(|(letter, _)| *letter == 'P')
        .filter_map(|(_, number)| number.clone())
        .collect();
    numbers.extend(given.rest.iter().cloned());
    if numbers.is_empty() {
        if engine.behaviour() >= Behaviour::Rpm420 {
            return Err(format!("Patch number not specified: {line}"));
        }
        engine.say(Severity::Warning, format!("Patch number not specified: {line}"));
        numbers.push("0".to_owned());
    }
    let mut script = String::new();
    for text in numbers {
        let number = options::number(&text).ok_or_else(|| format!("Invalid patch number {text}: {line}"))?;
        script += &(one_patch(engine, number, &given)? + "\n\n");
    }
    Ok(script)
}

fn one_patch(engine: &mut Engine, number: u32, given: &options::Given) -> Result<String, String> {
    let Some(patch) = engine.prep.find(SourceKind::Patch, number) else {
        return Err(format!("No patch number {number}"));
    };
    let (path, file) = (patch.path.clone(), patch.file.clone());
    let integer = |letter: char| given.argument(letter).and_then(|text| text.parse::<i64>().ok());
    let default_fuzz = engine.expand_number("%{_default_patch_fuzz}");
    let mut arguments = engine.expand_leniently("%{?_default_patch_flags}");
    arguments += &format!(" -p{} ", integer('p').unwrap_or(0));
    let backup = given
        .options
        .iter()
        .rev()
        .find(|(letter, _)| matches!(letter, 'b' | 'z'));
    if let Some((_, Some(suffix))) = backup {
        arguments += &format!("-b --suffix {suffix}");
    }
    let fuzz = integer('F').unwrap_or(default_fuzz);
    if fuzz >= 0 {
        arguments += &format!(" --fuzz={fuzz}");
    }
    for (letter, option) in [('d', " -d "), ('o', " -o ")] {
        if let Some(value) = given.argument(letter) {
            arguments += option;
            arguments += value;
        }
    }
    for (letter, option) in [('R', " -R"), ('E', " -E"), ('Z', " -Z")] {
        if given.has(letter) {
            arguments += option;
        }
    }
    // rpm looks into the patch whether it is compressed; here only its name may say that it is not.
    let command = match engine.is_plain_file(&path) {
        true => format!("%{{__patch}} {arguments} < {path}"),
        false => format!("{{ %{{__rpmuncompress}} {path} || echo patch_fail ; }} | %{{__patch}} {arguments}"),
    };
    let command = engine.expand_leniently(&command);
    Ok(format!("echo \"Patch #{number} ({file}):\"\n{command}"))
}

impl Parser<'_> {
    /// `%prep` of rpm 4.18, whose `%setup` and `%patch` are lines and no macros.
    pub(super) fn prep(&mut self) -> Result<Option<Part>, Stop> {
        self.set_prep_folder();
        if self.spec.sections.contains_key("prep") {
            let line = self.lines.number;
            return Err(self.error(format!("line {line}: second %prep")));
        }
        let mut lines = Vec::new();
        let strip = Strip {
            parsed: true,
            ..Strip::NOTHING
        };
        // The line that begins the next part is not printed by rpm 4.18 either.
        let next = self.each_line(strip, |parser| {
            lines.push((parser.lines.number, parser.lines.line.clone()));
            Ok(())
        })?;
        let mut script = String::new();
        for (number, line) in lines {
            let made = if line.starts_with("%setup") {
                self.setup_line(&line, number)
            } else if line.starts_with("%patch") {
                self.patch_line(&line)
            } else {
                Ok(line)
            };
            match made {
                Ok(made) => script.push_str(&made),
                // Queries go on; what is asked does not depend on it.
                Err(why) => {
                    let after = std::mem::replace(&mut self.lines.number, number);
                    let _: Stop = self.error(why);
                    self.lines.number = after;
                }
            }
        }
        if self.numbered_patches > 0 {
            let count = self.numbered_patches;
            self.warn(format!(
                "%patchN is deprecated ({count} usages found), use %patch N (or %patch -P N)"
            ));
        }
        self.lines.parsed.push_str(&script);
        self.spec.sections.insert("prep".to_owned(), script);
        Ok(next)
    }

    pub(super) fn set_prep_folder(&mut self) {
        let main = &self.spec.packages[0];
        self.engine.prep.folder = format!("{}-{}", main.name, main.version);
    }

    fn setup_line(&mut self, line: &str, number: u32) -> Result<String, String> {
        if self.engine.expand_number("%{_build_in_place}") != 0 {
            return Ok(String::new());
        }
        setup(self.engine, line, number)
    }

    fn patch_line(&mut self, line: &str) -> Result<String, String> {
        let rest = &line["%patch".len()..];
        if rest.starts_with([' ', '\t', '\n']) || rest.is_empty() {
            return patch(self.engine, line);
        }
        self.numbered_patches += 1;
        patch(self.engine, &format!("%patch -P {rest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned() {
        for (path, clean) in [
            ("/a//b/./c/", "/a/b/c"),
            ("/a/../b", "/b"),
            ("/../a", "/a"),
            ("a/../../b", "../b"),
            ("", ""),
            ("/", "/"),
        ] {
            assert_eq!(clean_path(path), clean, "{path}");
        }
    }
}
