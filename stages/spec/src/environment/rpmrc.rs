//! `rpmrc`: which architectures there are, which fits which, and their compiler flags.
//!
//! Lines of `KEYWORD: VALUE`, as rpm 4.18 to 6.0 read them: `optflags`, `archcolor`, `include`, `macrofiles` (which does
//! nothing), and the tables `arch_canon`, `arch_compat`, `buildarchtranslate`, `buildarch_compat` and the same for `os`.

use std::{
    collections::{BTreeMap, HashSet},
    io,
};

use crate::macros::text::{is_space, trim_start};

/// How deep `include` may be nested; rpm knows no end.
const DEEPEST: u32 = 8;

/// What all `rpmrc` files together say.
#[derive(Debug, Clone, Default)]
pub struct Rpmrc {
    optflags: BTreeMap<String, String>,
    colors: BTreeMap<String, String>,
    tables: [Machines; 4],
}

/// The tables, by the words that keywords begin with; rpm takes the first that fits.
const TABLES: [&str; 4] = ["arch", "os", "buildarch", "buildos"];
const ARCH: usize = 0;
const BUILD_ARCH: usize = 2;

#[derive(Debug, Clone, Default)]
struct Machines {
    /// Name → canonical name.
    canon: BTreeMap<String, String>,
    /// Name → what it can run or build as well.
    compat: BTreeMap<String, Vec<String>>,
    /// Name → what is built on it.
    translate: BTreeMap<String, String>,
}

impl Rpmrc {
    /// Compiler flags for an architecture.
    pub fn optflags(&self, arch: &str) -> Option<&str> {
        self.optflags.get(arch).map(String::as_str)
    }

    /// rpm's colour of an architecture: 1 for 32 bits, 2 for 64, 0 for neither.
    pub fn color(&self, arch: &str) -> Option<u32> {
        self.colors.get(self.built_on(arch))?.trim().parse().ok()
    }

    /// Has rpm heard of this architecture?
    pub fn is_known(&self, arch: &str) -> bool {
        arch == "noarch" || self.tables[ARCH].canon.contains_key(arch)
    }

    /// rpm's name of an architecture that the kernel calls `arch`.
    pub fn canonical<'a>(&'a self, arch: &'a str) -> &'a str {
        self.tables[ARCH].canon.get(arch).map_or(arch, String::as_str)
    }

    /// What is built on a machine when nobody says for what.
    pub fn built_on<'a>(&'a self, arch: &'a str) -> &'a str {
        self.tables[BUILD_ARCH]
            .translate
            .get(arch)
            .map_or(arch, String::as_str)
    }

    /// What can be built on `host`, nearest first, each with rpm's score (1 is the host itself).
    pub(super) fn buildable_on(&self, host: &str) -> Vec<(String, u32)> {
        let mut found = vec![(host.to_owned(), 1)];
        self.tables[BUILD_ARCH].visit(host, 2, &mut HashSet::new(), &mut found);
        found
    }

    fn line(&mut self, line: &str, place: &str) -> Result<Line, String> {
        let line = trim_start(line);
        if line.is_empty() || line.starts_with('#') {
            return Ok(Line::Read);
        }
        let end = line.find(|c| c == ':' || is_blank(c)).unwrap_or(line.len());
        let (keyword, rest) = line.split_at(end);
        let rest = trim_start(rest);
        let Some(value) = rest.strip_prefix(':') else {
            let found = rest.bytes().next().unwrap_or(0);
            return Err(format!("missing ':' (found 0x{found:02x}) at {place}"));
        };
        let value = trim_start(value);
        let option = keyword.to_ascii_lowercase();
        if !matches!(
            option.as_str(),
            "archcolor" | "include" | "macrofiles" | "optflags"
        ) {
            return self.entry(keyword, value, place).map(|()| Line::Read);
        }
        if value.is_empty() {
            return Err(format!("missing argument for {option} at {place}"));
        }
        match option.as_str() {
            "include" => return Ok(Line::Include(first_word(value).0.to_owned())),
            "macrofiles" => return Ok(Line::MacroFiles),
            _ => {}
        }
        let (arch, rest) = first_word(value);
        let text = trim_start(rest);
        match (rest.is_empty(), text.is_empty()) {
            (true, _) => return Err(format!("missing architecture for {option} at {place}")),
            (_, true) => return Err(format!("missing argument for {option} at {place}")),
            _ => {}
        }
        if option == "archcolor" {
            self.colors.insert(arch.to_owned(), text.to_owned());
            return Ok(Line::Read);
        }
        self.optflags.insert(arch.to_owned(), text.to_owned());
        Ok(Line::Optflags(arch.to_owned(), text.to_owned()))
    }

    /// A line of one of the tables.
    fn entry(&mut self, keyword: &str, value: &str, place: &str) -> Result<(), String> {
        let table = TABLES.iter().position(|name| keyword.starts_with(name));
        let rest = table.map_or("", |table| &keyword[TABLES[table].len()..]);
        let what = rest.strip_prefix('_').unwrap_or(rest);
        let machines = &mut self.tables[table.unwrap_or(ARCH)];
        match (what, table) {
            ("compat", Some(_)) => machines.compatible(value, place),
            ("translate", Some(table)) if table >= BUILD_ARCH => machines.translated(value, place),
            ("canon", Some(table)) if table < BUILD_ARCH => machines.canonical(value, place),
            _ => Err(format!("bad option '{keyword}' at {place}")),
        }
    }
}

impl Machines {
    /// `NAME: OTHER OTHER …`; a later line for the same name takes the place of an earlier one.
    fn compatible(&mut self, value: &str, place: &str) -> Result<(), String> {
        let (name, others) = match value.split_once(':') {
            None => return Err(format!("missing second ':' at {place}")),
            Some(("", _)) => return Err(format!("missing architecture name at {place}")),
            Some(both) => both,
        };
        let others = trim_start(others).split(' ').filter(|other| !other.is_empty());
        self.compat
            .insert(name.trim_end().to_owned(), others.map(str::to_owned).collect());
        Ok(())
    }

    /// `NAME: OTHER`
    fn translated(&mut self, value: &str, place: &str) -> Result<(), String> {
        match tokens(value).as_slice() {
            [name, other] => {
                self.translate.insert((*name).to_owned(), (*other).to_owned());
                Ok(())
            }
            [] | [_] => Err(format!("Incomplete default line at {place}")),
            _ => Err(format!("Too many args in default line at {place}")),
        }
    }

    /// `NAME: CANONICAL NUMBER`
    fn canonical(&mut self, value: &str, place: &str) -> Result<(), String> {
        match tokens(value).as_slice() {
            [name, canonical, number] => {
                if number.parse::<u32>().is_err() {
                    return Err(format!("Bad arch/os number: {number} ({place})"));
                }
                self.canon.insert((*name).to_owned(), (*canonical).to_owned());
                self.canon
                    .insert((*canonical).to_owned(), (*canonical).to_owned());
                Ok(())
            }
            [] | [_] | [_, _] => Err(format!("Incomplete data line at {place}")),
            _ => Err(format!("Too many args in data line at {place}")),
        }
    }

    /// Collects what `name` can do as well: first all that its own line names, then what they can.
    fn visit(
        &self,
        name: &str,
        distance: u32,
        visited: &mut HashSet<String>,
        found: &mut Vec<(String, u32)>,
    ) {
        let Some(others) = self.compat.get(name) else {
            return;
        };
        if !visited.insert(name.to_owned()) {
            return;
        }
        for other in others {
            if !found.iter().any(|(known, _)| known.eq_ignore_ascii_case(other)) {
                found.push((other.clone(), distance));
            }
        }
        for other in others {
            self.visit(other, distance + 1, visited, found);
        }
    }
}

/// What a line was.
enum Line {
    Read,
    Optflags(String, String),
    Include(String),
    MacroFiles,
}

/// Reads files into an [`Rpmrc`].
pub(super) struct Reader<'a> {
    pub rpmrc: Rpmrc,
    /// The machine's architecture: its `optflags` become a macro with every line that gives them.
    pub host: &'a str,
    /// Those macros' bodies, in order.
    pub optflags: Vec<String>,
    /// What is wrong, in rpm's words. A file is read up to its first error.
    pub errors: Vec<String>,
    /// Files whose `macrofiles` line does nothing.
    pub ignored: Vec<String>,
    /// Gives the text of a file that is included.
    pub files: &'a dyn Fn(&str) -> io::Result<String>,
}

impl Reader<'_> {
    /// Reads one file.
    pub fn read(&mut self, path: &str, text: &str) {
        if let Err(error) = self.read_at_depth(path, text, 0) {
            self.errors.push(error);
        }
    }

    fn read_at_depth(&mut self, path: &str, text: &str, depth: u32) -> Result<(), String> {
        for (index, line) in text.lines().enumerate() {
            let place = format!("{path}:{}", index + 1);
            match self.rpmrc.line(line, &place)? {
                Line::Read => {}
                Line::MacroFiles => self.ignored.push(place),
                Line::Optflags(arch, text) => {
                    if arch == self.host {
                        self.optflags.push(text);
                    }
                }
                Line::Include(other) => {
                    if let Err(error) = self.include(&other, depth + 1) {
                        self.errors.push(error);
                        return Err(format!("cannot open {other} at {place}"));
                    }
                }
            }
        }
        Ok(())
    }

    fn include(&mut self, path: &str, depth: u32) -> Result<(), String> {
        if depth > DEEPEST {
            return Err(format!("{path} is included in a circle"));
        }
        let text = (self.files)(path).map_err(|error| error.to_string())?;
        self.read_at_depth(path, &text, depth)
    }
}

fn is_blank(c: char) -> bool {
    u8::try_from(c).is_ok_and(is_space)
}

/// The text before the first white space, and the rest with it.
fn first_word(text: &str) -> (&str, &str) {
    text.split_at(text.find(is_blank).unwrap_or(text.len()))
}

/// `NAME: WORD WORD …` as rpm's tokeniser has it: the name ends with a colon or blank, and only there a colon counts.
fn tokens(text: &str) -> Vec<&str> {
    let text = text.trim_start_matches([':', ' ', '\t']);
    let end = text.find([':', ' ', '\t']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let rest = rest.get(1..).unwrap_or("");
    let words = rest.split([' ', '\t']).filter(|word| !word.is_empty());
    [name]
        .into_iter()
        .filter(|name| !name.is_empty())
        .chain(words)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# comment: not a keyword
optflags: x86_64  -O2 -g
OptFlags : i686 -m32
archcolor: x86_64 2
arch_canon:\tx86_64:\tx86_64\t1
archcanon: em64t:x86_64 1
buildarchtranslate: amd64: x86_64
buildarch_compat: x86_64: amd64 noarch
buildarch_compat: amd64: em64t
";

    fn read(files: &[(&str, &str)]) -> (Rpmrc, Vec<String>, Vec<String>) {
        let find = |path: &str| {
            let found = files.iter().find(|(name, _)| *name == path);
            let text = found.map(|(_, text)| (*text).to_owned());
            text.ok_or_else(|| io::Error::other("gone"))
        };
        let mut reader = Reader {
            rpmrc: Rpmrc::default(),
            host: "x86_64",
            optflags: Vec::new(),
            errors: Vec::new(),
            ignored: Vec::new(),
            files: &find,
        };
        reader.read(files[0].0, files[0].1);
        (reader.rpmrc, reader.optflags, reader.errors)
    }

    #[test]
    fn tables_are_read() {
        let (rpmrc, optflags, errors) = read(&[("rpmrc", TEXT)]);
        assert_eq!(errors, [""; 0]);
        assert_eq!(optflags, ["-O2 -g"]);
        assert_eq!(rpmrc.optflags("i686"), Some("-m32"));
        assert_eq!(rpmrc.canonical("em64t"), "x86_64");
        assert_eq!(rpmrc.built_on("amd64"), "x86_64");
        assert_eq!(rpmrc.color("amd64"), Some(2));
        assert!(rpmrc.is_known("noarch") && rpmrc.is_known("em64t") && !rpmrc.is_known("vax"));
        let scores = rpmrc.buildable_on("x86_64");
        let scores: Vec<_> = scores
            .iter()
            .map(|(name, score)| (name.as_str(), *score))
            .collect();
        assert_eq!(scores, [("x86_64", 1), ("amd64", 2), ("noarch", 2), ("em64t", 3)]);
    }

    #[test]
    fn a_file_is_read_up_to_its_first_error() {
        let cases = [
            ("optflags x86_64 -O2", "missing ':' (found 0x78) at f:1"),
            ("optflags:", "missing argument for optflags at f:1"),
            ("optflags: x86_64", "missing architecture for optflags at f:1"),
            ("optflags: x86_64 ", "missing argument for optflags at f:1"),
            ("bogus: 1", "bad option 'bogus' at f:1"),
            ("arch_translate: a: b", "bad option 'arch_translate' at f:1"),
            ("arch_canon: a: b", "Incomplete data line at f:1"),
            ("arch_canon: a: b x", "Bad arch/os number: x (f:1)"),
            ("arch_compat: a", "missing second ':' at f:1"),
            (
                "buildarchtranslate: a: b c",
                "Too many args in default line at f:1",
            ),
            ("include: gone", "cannot open gone at f:1"),
        ];
        for (text, error) in cases {
            let text = format!("{text}\noptflags: x86_64 later\n");
            let (rpmrc, _, errors) = read(&[("f", &text)]);
            assert_eq!(errors.last().map(String::as_str), Some(error));
            assert_eq!(rpmrc.optflags("x86_64"), None);
        }
    }

    #[test]
    fn files_include_files_but_not_for_ever() {
        let (rpmrc, ..) = read(&[("a", "include: b\noptflags: x86_64 a\n"), ("b", TEXT)]);
        assert_eq!(rpmrc.optflags("x86_64"), Some("a"));
        assert_eq!(rpmrc.optflags("i686"), Some("-m32"));
        let (_, _, errors) = read(&[("a", "include: a\n")]);
        assert_eq!(errors[0], "a is included in a circle");
        assert_eq!(errors.last().unwrap(), "cannot open a at a:1");
    }
}
