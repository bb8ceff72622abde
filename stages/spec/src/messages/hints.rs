//! Hints that depend on the SPEC.

use keel_config::diagnostic::nearest;

use super::{
    Said,
    lines::{Lines, each_macro, find},
};
use crate::{
    eval::{QUALIFIERS, TAGS},
    macros::Message,
};

/// What a hint can be made of.
pub(super) struct About<'a> {
    pub(super) said: &'a Said<'a>,
    pub(super) message: &'a Message,
    pub(super) lines: &'a Lines<'a>,
    /// The line, as it stands in the file.
    pub(super) line: &'a str,
    /// The part of it that is marked.
    pub(super) marked: &'a str,
}

impl About<'_> {
    /// The line as rpm saw it.
    fn seen(&self) -> &str {
        self.said.seen.unwrap_or(self.line)
    }

    /// A line before the one that is meant.
    fn before(&self, number: u32, is: impl Fn(&str) -> bool) -> Option<u32> {
        let mut numbered = (1..).zip(self.lines.text.lines());
        numbered
            .find(|(_, line)| is(line))
            .map(|(found, _)| found)
            .filter(|found| *found < number)
    }

    fn number(&self) -> u32 {
        self.said
            .line
            .or(self.message.place.as_ref().map(|(_, line)| *line))
            .unwrap_or(0)
    }
}

fn did_you_mean(near: &str) -> String {
    format!("did you mean `{near}`?")
}

/// The tag that was meant, as rpm's documentation writes it.
pub(crate) fn nearest_tag(wrong: &str) -> Option<String> {
    let wrong = wrong.to_ascii_lowercase();
    let near = nearest(&wrong, TAGS.iter().map(|tag| tag.name))?;
    Some(written(near))
}

/// `buildrequires` → `BuildRequires`.
fn written(tag: &str) -> String {
    const WHOLE: [(&str, &str); 12] = [
        ("url", "URL"),
        ("vcs", "VCS"),
        ("bugurl", "BugURL"),
        ("disturl", "DistURL"),
        ("translationurl", "TranslationURL"),
        ("autoreqprov", "AutoReqProv"),
        ("autoreq", "AutoReq"),
        ("autoprov", "AutoProv"),
        ("orderwithrequires", "OrderWithRequires"),
        ("modularitylabel", "ModularityLabel"),
        ("removepathpostfixes", "RemovePathPostfixes"),
        ("upstreamreleases", "UpstreamReleases"),
    ];
    if let Some((_, whole)) = WHOLE.iter().find(|(name, _)| *name == tag) {
        return (*whole).to_owned();
    }
    let prefixes = [
        "build",
        "exclude",
        "exclusive",
        "source",
        "pre",
        "doc",
        "dist",
        "no",
    ];
    let tails = [
        "requires",
        "conflicts",
        "root",
        "arch",
        "architectures",
        "option",
        "prereq",
        "system",
        "os",
        "license",
        "req",
        "dir",
        "tag",
        "source",
        "patch",
    ];
    let split = prefixes
        .iter()
        .find_map(|prefix| tag.strip_prefix(prefix).filter(|tail| tails.contains(tail)));
    let capital = |word: &str| crate::eval::capitalised(word);
    match split {
        Some(tail) => capital(&tag[..tag.len() - tail.len()]) + &capital(tail),
        None => capital(tag),
    }
}

pub(super) fn unknown_tag(about: &About<'_>) -> Option<String> {
    let seen = about.seen().trim_start();
    if let Some(directive) = seen.strip_prefix('%') {
        let word = directive
            .split(|c: char| !c.is_alphanumeric())
            .next()
            .unwrap_or("");
        return match word {
            "ifarch" | "ifnarch" | "ifos" | "ifnos" | "elifarch" | "elifos" | "if" | "elif" | "include" => {
                Some(format!("`%{word}` needs something after it"))
            }
            _ => {
                let sections = crate::eval::sections();
                match nearest(word, sections) {
                    Some(near) => Some(format!("did you mean `%{near}`?")),
                    None => undefined(about),
                }
            }
        };
    }
    let word = seen.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
    let has_colon = seen[word.len()..].trim_start().starts_with([':', '(']);
    let known = TAGS.iter().any(|tag| tag.name.eq_ignore_ascii_case(word));
    match nearest_tag(word) {
        _ if known => (!has_colon).then(|| "a colon is missing".to_owned()),
        Some(near) => Some(did_you_mean(&near)),
        _ if !seen.contains(':') => Some(
            "here stand tags (`Name: value`), macros and conditions; text belongs into a section".to_owned(),
        ),
        None => undefined(about),
    }
}

pub(super) fn missing_tag(about: &About<'_>) -> Option<String> {
    let tag = about.said.text.split(' ').next()?;
    Some(format!("add a line `{tag}: …` to the tags of that package"))
}

pub(super) fn missing_description(about: &About<'_>) -> Option<String> {
    let name = about.said.text.rsplit(": ").next()?;
    Some(format!(
        "add `%description` for the main package, else `%description -n {name}`"
    ))
}

pub(super) fn architectures(about: &About<'_>) -> Option<String> {
    let is_tag = |line: &str| line.to_ascii_lowercase().starts_with("buildarch");
    let line = about.before(u32::MAX, is_tag)?;
    let text = about.lines.line(line).trim();
    Some(format!(
        "line {line} says `{text}`; `--target` chooses what to build for"
    ))
}

pub(super) fn one_word(about: &About<'_>) -> Option<String> {
    match about.marked.contains('#') {
        true => Some("a comment has a line of its own".to_owned()),
        false => Some("its value is one word".to_owned()),
    }
}

pub(super) fn qualifier(about: &About<'_>) -> Option<String> {
    let words = about.marked.trim_matches(['(', ')']).split(',').map(str::trim);
    let known = || QUALIFIERS.iter().map(|(name, _)| *name);
    let wrong = words.into_iter().find(|word| known().all(|name| name != *word))?;
    match nearest(wrong, known()) {
        Some(near) => Some(did_you_mean(near)),
        None => Some(format!("there are {}", known().collect::<Vec<_>>().join(", "))),
    }
}

pub(super) fn twice(about: &About<'_>) -> Option<String> {
    let tag = about.marked.to_ascii_lowercase();
    let same = |line: &str| line.split(':').next().unwrap_or("").trim().to_ascii_lowercase() == tag;
    let first = about.before(about.number(), same)?;
    Some(format!(
        "it is first at line {first}; without a number, rpm counts on"
    ))
}

pub(super) fn buildsystem(about: &About<'_>) -> Option<String> {
    let name = about.marked;
    Some(format!(
        "macros `%buildsystem_{name}_build`, `…_conf` and `…_install` would make it one; are their files read?"
    ))
}

pub(super) fn dependency(about: &About<'_>) -> Option<String> {
    undefined(about).or_else(|| match about.marked {
        "" => None,
        word if word.bytes().all(|byte| b"<>=".contains(&byte)) => {
            Some("a name is missing before the operator; is a macro empty?".to_owned())
        }
        word => Some(format!("`{word}` is no name of a package")),
    })
}

pub(super) fn character(about: &About<'_>) -> Option<String> {
    let tag = about.line.trim_start().to_ascii_lowercase();
    let is_version = tag.starts_with("version") || tag.starts_with("release");
    match about.marked {
        "-" if is_version => Some(
            "`-` is what parts version and release; `~` comes before (`1.0~rc1`), `^` and `.` after"
                .to_owned(),
        ),
        _ => undefined(about),
    }
}

pub(super) fn no_package(about: &About<'_>) -> Option<String> {
    let wrong = about.said.text.rsplit_once("package ")?.1.split(' ').next()?;
    let last = |line: &str| line.split_whitespace().last().unwrap_or("").to_owned();
    let headers = about.lines.text.lines();
    let names: Vec<String> = headers
        .filter(|line| line.starts_with("%package"))
        .map(last)
        .collect();
    let marked = about.marked.split_whitespace().last().unwrap_or(wrong);
    match nearest(marked, names.iter().map(String::as_str)) {
        Some(near) => Some(did_you_mean(near)),
        None if names.iter().any(|name| name == marked) => {
            Some("with `-n` in one place, it needs `-n` in the other".to_owned())
        }
        None => Some(format!(
            "`%package` makes one; `-n NAME` stands for the whole name `NAME`, not `{wrong}`"
        )),
    }
}

pub(super) fn second(about: &About<'_>) -> Option<String> {
    let name = about.marked;
    let same = |line: &str| line.split_whitespace().next() == Some(name);
    let first = about.before(about.number(), same)?;
    Some(format!("the first is at line {first}"))
}

pub(super) fn unclosed_if(about: &About<'_>) -> Option<String> {
    let ends = u32::try_from(about.lines.text.lines().count()).ok()?;
    Some(format!(
        "here it was opened; up to line {ends}, the last, no `%endif` closes it"
    ))
}

pub(super) fn no_if(about: &About<'_>) -> Option<String> {
    let before = about.before(about.number(), |line| line.trim_start().starts_with("%endif"));
    Some(match before {
        Some(_) => "perhaps there is an `%endif` too many before it".to_owned(),
        None => "the `%if` is missing, or hidden in a comment or a macro".to_owned(),
    })
}

pub(super) fn include(about: &About<'_>) -> Option<String> {
    let is_source = |line: &str| line.to_ascii_lowercase().starts_with("source");
    match about.marked.starts_with("%{SOURCE") || about.marked.starts_with("%SOURCE") {
        true => Some("the file must lie where sources do (`%{_sourcedir}`)".to_owned()),
        false => about
            .before(u32::MAX, is_source)
            .map(|_| "a file beside the sources is `%{_sourcedir}/NAME`, or `%{SOURCE1}`".to_owned()),
    }
}

pub(super) fn bare_word(about: &About<'_>) -> Option<String> {
    Some(match about.marked {
        "and" => "write `&&`".to_owned(),
        "or" => "write `||`".to_owned(),
        "not" => "write `!`".to_owned(),
        word if word.contains(char::is_whitespace) || word.contains('%') => {
            "put text into quotes: \"…\"".to_owned()
        }
        word => format!("put text into quotes: \"{word}\""),
    })
}

pub(super) fn sign(about: &About<'_>) -> Option<String> {
    let sign = about.said.text.split_once("while parsing ")?.1.get(..2)?;
    Some(format!("write `{sign}`"))
}

pub(super) fn expression(about: &About<'_>) -> Option<String> {
    let expression = about.said.seen?;
    if let Some(name) = left_over(expression) {
        return Some(
            not_defined(about.lines.text, about.number(), name)
                + &format!("; `0%{{?{name}}}` is a number always"),
        );
    }
    let bytes = expression.as_bytes();
    let dotted = bytes
        .windows(3)
        .any(|three| three[1] == b'.' && three[0].is_ascii_digit() && three[2].is_ascii_digit());
    dotted.then(|| "versions are compared as v\"1.10\" >= v\"1.9\"".to_owned())
}

pub(super) fn recursion(about: &About<'_>) -> Option<String> {
    let names: Vec<&str> = about.message.within.iter().map(|within| &*within.name).collect();
    let (last, before) = names.split_last()?;
    let from = before.iter().rposition(|name| name == last)?;
    let circle: Vec<String> = names[from..].iter().map(|name| format!("%{name}")).collect();
    Some(format!("it calls itself: {}", circle.join(" → ")))
}

pub(super) fn command(about: &About<'_>) -> Option<String> {
    let why = about.said.text.rsplit("`: ").next()?;
    Some(match why {
        "commands are denied" => "`--shell facts` or `--shell sandbox` allows it".to_owned(),
        "no fact answers it" => "`--shell sandbox` runs it; `--facts FILE` can say what it prints".to_owned(),
        "it is not in the record that is replayed" => "record again with `--record`".to_owned(),
        _ => return None,
    })
}

pub(super) fn option(about: &About<'_>) -> Option<String> {
    let (_, letters) = about.said.text.rsplit_once('(')?;
    let letters: Vec<String> = letters
        .trim_end_matches(')')
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .map(|c| format!("-{c}"))
        .collect();
    Some(match letters.is_empty() {
        true => "it takes no options".to_owned(),
        false => format!("it takes {}", letters.join(", ")),
    })
}

/// A macro that is still in the line as rpm saw it, for nobody defines it.
pub(super) fn undefined(about: &About<'_>) -> Option<String> {
    let seen = about.seen();
    let name = left_over(about.marked).filter(|_| find(seen, about.marked).is_some());
    name.or_else(|| left_over(seen))
        .map(|name| not_defined(about.lines.text, about.number(), name))
}

pub(super) fn left_over(text: &str) -> Option<&str> {
    each_macro(text, |at| {
        let braced = text[at + 1..].strip_prefix('{');
        let name = braced.unwrap_or(&text[at + 1..]);
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let name = &name[..end.unwrap_or(name.len())];
        (name.len() > usize::from(braced.is_none()) && !name.starts_with(|c: char| c.is_ascii_digit()))
            .then_some(name)
    })
}

/// What is known of the macro `name`, which is not defined at line `at`.
pub(super) fn not_defined(text: &str, at: u32, name: &str) -> String {
    let defined: Vec<(u32, bool, &str)> = definitions(text).collect();
    if let Some((line, at_start, _)) = defined.iter().find(|(_, _, found)| *found == name) {
        return match at_start {
            _ if *line > at => format!("`%{name}` is defined at line {line} only"),
            false => format!(
                "`%{name}`, defined at line {line} inside another macro, is forgotten there: `%global` keeps it"
            ),
            true => format!(
                "`%{name}` is not defined here; the condition around line {line}, which defines it, does not hold"
            ),
        };
    }
    match nearest(name, defined.iter().map(|(_, _, name)| *name)) {
        Some(near) => format!("`%{name}` is not defined; did you mean `%{near}`?"),
        None => format!("`%{name}` is not defined"),
    }
}

/// Lines that define macros, whether it is the first thing in the line, and the names.
fn definitions(text: &str) -> impl Iterator<Item = (u32, bool, &str)> {
    (1..).zip(text.lines()).flat_map(|(number, line)| {
        let words = ["%define ", "%global ", "{define ", "{global "];
        let all = words.into_iter().flat_map(|word| line.match_indices(word));
        all.map(move |(at, word)| {
            let name = line[at + word.len()..].trim_start();
            let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let is_first = line[..at].trim().is_empty();
            (number, is_first, &name[..end.unwrap_or(name.len())])
        })
    })
}
