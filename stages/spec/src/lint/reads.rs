//! Which sources and patches a SPEC reads, as far as its text tells.

use std::collections::HashSet;

use super::{
    Subject,
    code::{macros, words},
    prep::{head, patch_calls},
};
use crate::syntax::{Class, Kind, Line};

/// What a SPEC reads.
#[derive(Default)]
pub(super) struct Reads {
    pub(super) sources: HashSet<u32>,
    pub(super) patches: HashSet<u32>,
    /// Ranges of patches.
    ranges: Vec<(u32, u32)>,
    /// By something that only an evaluation could tell, perhaps all.
    pub(super) any_source: bool,
    any_patch: bool,
}

/// Reads all lines but comments and the changelog.
pub(super) fn reads(subject: &Subject<'_>) -> Reads {
    let mut reads = Reads {
        any_source: subject.includes(),
        any_patch: subject.includes(),
        ..Reads::default()
    };
    for line in subject.tree.lines() {
        let class = subject.kind(line).class();
        let silent = matches!(line.kind, Kind::Comment | Kind::Dnl | Kind::Blank | Kind::Header);
        if !silent && class != Class::Changelog {
            reads.line(subject, line);
        }
    }
    // A build system unpacks and patches by itself.
    if subject.tree.tags().any(|(_, tag)| tag.is("BuildSystem")) {
        reads.sources.insert(0);
        reads.any_patch = true;
    }
    reads
}

impl Reads {
    fn line(&mut self, subject: &Subject<'_>, line: &Line) {
        let text = subject.text(line);
        if text.contains("RPM_SOURCE_DIR") {
            self.any_source = true;
            self.any_patch = true;
        }
        if !text.contains('%') {
            return;
        }
        for used in macros(text, 0) {
            self.macro_use(used.name, head(&text[used.span.end..]));
        }
        // `%{lua: … sources[1] … }`
        if text.contains("lua:") {
            self.any_source |= text.contains("source");
            self.any_patch |= text.contains("patch");
        }
        for call in patch_calls(text, 0) {
            self.any_patch |= call.computed;
            self.patches.extend(call.numbers);
        }
    }

    fn macro_use(&mut self, name: &str, rest: &str) {
        let number = |text: &str| {
            let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            text[..end].parse::<u32>().ok()
        };
        let upper = |prefix: &str| {
            name.strip_prefix(prefix)
                .map(|rest| rest.strip_prefix("URL").unwrap_or(rest))
        };
        match name {
            "sources" => self.any_source = true,
            "patches" => self.any_patch = true,
            "S" | "P" if rest.starts_with(':') => self.add(name == "S", number(&rest[1..])),
            "_sourcedir" if !names_a_file(rest) => {
                self.any_source = true;
                self.any_patch = true;
            }
            "setup" | "autosetup" => self.setup(name, rest),
            "autopatch" => self.autopatch(rest),
            _ if upper("SOURCE").is_some() => self.add(true, upper("SOURCE").and_then(number)),
            _ if upper("PATCH").is_some() => self.add(false, upper("PATCH").and_then(number)),
            // `%forgesetup`, `%goprep`, `%apply_patches` …
            _ => {
                if name.contains("setup") || name.ends_with("prep") {
                    self.sources.insert(0);
                }
                let plain = name
                    .strip_prefix("patch")
                    .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
                self.any_patch |= (name.contains("patch") && !plain && !name.starts_with('_'))
                    || name.contains("autosetup");
            }
        }
    }

    fn add(&mut self, source: bool, number: Option<u32>) {
        match (source, number) {
            (true, Some(number)) => self.sources.extend([number]),
            (false, Some(number)) => self.patches.extend([number]),
            (true, None) => self.any_source = true,
            (false, None) => self.any_patch = true,
        }
    }

    /// `%setup -a 1 -T …`, `%autosetup -N …`
    fn setup(&mut self, name: &str, rest: &str) {
        let line = rest.lines().next().unwrap_or_default();
        let (mut unpacks, mut patches) = (true, name == "autosetup");
        let mut list = words(line, 0).map(|(word, _)| word);
        while let Some(word) = list.next() {
            let Some(flags) = word.strip_prefix('-') else {
                continue;
            };
            for (at, flag) in flags.char_indices() {
                match flag {
                    'T' => unpacks = false,
                    'N' => patches = false,
                    'a' | 'b' => {
                        let attached = &flags[at + 1..];
                        let value = if attached.is_empty() {
                            list.next().unwrap_or_default()
                        } else {
                            attached
                        };
                        self.add(true, value.parse().ok());
                        break;
                    }
                    'n' | 'p' | 'S' | 'v' => break,
                    _ => {}
                }
            }
        }
        if unpacks {
            self.sources.insert(0);
        }
        self.any_patch |= patches;
    }

    /// `%autopatch -p1 -m 10 -M 19`, `%autopatch 1 2`
    fn autopatch(&mut self, rest: &str) {
        let line = rest.split(['\n', '}']).next().unwrap_or_default();
        let (mut from, mut to, mut listed) = (None, None, false);
        let mut list = words(line, 0).map(|(word, _)| word);
        while let Some(word) = list.next() {
            let (flag, attached) = word.split_at_checked(2).unwrap_or((word, ""));
            let mut value = || match attached {
                "" => list.next().unwrap_or_default().parse::<u32>().ok(),
                _ => attached.parse::<u32>().ok(),
            };
            match flag {
                "-m" => from = Some(value().unwrap_or(0)),
                "-M" => to = Some(value().unwrap_or(u32::MAX)),
                _ => {
                    let number = word.parse::<u32>().ok();
                    listed |= number.is_some();
                    self.patches.extend(number);
                }
            }
        }
        match (from, to) {
            (None, None) => self.any_patch |= !listed,
            (from, to) => self.ranges.push((from.unwrap_or(0), to.unwrap_or(u32::MAX))),
        }
    }

    /// Is this patch read?
    pub(super) fn reads_patch(&self, number: u32) -> bool {
        self.any_patch
            || self.patches.contains(&number)
            || self
                .ranges
                .iter()
                .any(|(from, to)| (*from..=*to).contains(&number))
    }
}

/// Does the path of one file follow `%{_sourcedir`, without macros, variables and patterns?
fn names_a_file(rest: &str) -> bool {
    let path = rest.strip_prefix('}').unwrap_or(rest);
    let end = path
        .find(|c: char| c.is_ascii_whitespace() || matches!(c, '"' | '\'' | '}' | ';' | ')'))
        .unwrap_or(path.len());
    path.starts_with('/') && end > 1 && !path[..end].contains(['%', '$', '*', '?', '['])
}
