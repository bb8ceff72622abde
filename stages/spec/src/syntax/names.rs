//! Names of packages, as far as they can be told from the text alone.

use std::{borrow::Cow, collections::HashMap};

use super::{Kind, Section, Tree, section::Class};
use crate::macros::text::after_match;

/// Names inside names, at most.
const DEEPEST: u32 = 8;
/// Names replaced in one text, at most: no SPEC can make it take long.
const MOST: u32 = 256;
/// Longest text that is looked into, and longest answer.
const LONGEST: usize = 1024;

/// One of the packages of a SPEC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Package<'n> {
    /// The one that the preamble describes.
    Main,
    /// Another one: by what follows `%package` (`devel`, or `libz` after `-n`) as it is written, or by its whole name.
    Named(&'n str),
}

/// What names stand for: the values of `Name` and other tags, and bodies of definitions that are not parametric and not in
/// a condition.
#[derive(Debug, Clone, Default)]
pub struct Names<'a> {
    values: HashMap<Cow<'a, str>, &'a str>,
}

impl<'a> Names<'a> {
    pub(super) fn of(tree: &Tree<'a>) -> Self {
        let mut values = HashMap::new();
        for line in tree.lines().iter().filter(|line| line.branch.is_none()) {
            match &line.kind {
                Kind::Tag(tag) if line.section == 0 && tag.kind.is_some_and(|kind| kind.single) => {
                    let name = tree.slice(tag.name).to_ascii_lowercase();
                    let value = tree.slice(tag.value);
                    values
                        .entry(Cow::Owned(name.to_ascii_uppercase()))
                        .or_insert(value);
                    values.entry(Cow::Owned(name)).or_insert(value);
                }
                Kind::Definition(made) if made.kind.has_body() && made.options.is_none() => {
                    let body = tree.slice(made.body);
                    let name = Cow::Borrowed(tree.slice(made.name));
                    if !name.is_empty() {
                        values.entry(name).or_insert(body);
                    }
                }
                _ => {}
            }
        }
        Self { values }
    }

    /// `text` with those macros in it replaced whose values are known; the others stay as they are.
    pub fn resolve<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.resolve_within(text, DEEPEST, &mut { MOST })
    }

    fn resolve_within<'t>(&self, text: &'t str, depth: u32, left: &mut u32) -> Cow<'t, str> {
        if depth == 0 || text.len() > LONGEST || !text.contains('%') {
            return Cow::Borrowed(text);
        }
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let (name, length) = simple_macro(rest);
            match self.values.get(name) {
                Some(value) if *left > 0 => {
                    *left -= 1;
                    out.push_str(&self.resolve_within(value, depth - 1, left));
                }
                _ => out.push_str(&rest[..length]),
            }
            rest = &rest[length..];
            if out.len() > LONGEST {
                return Cow::Borrowed(text);
            }
        }
        out.push_str(rest);
        Cow::Owned(out)
    }
}

/// The name of the macro at the start of `text` if that is `%name`, `%{name}` or `%{?name}`; else none. And how many bytes
/// it has.
fn simple_macro(text: &str) -> (&str, usize) {
    let bytes = text.as_bytes();
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    match bytes.get(1) {
        Some(b'{') => {
            let Some(end) = after_match(bytes, 1, b'}').filter(|end| text.is_char_boundary(*end)) else {
                return ("", text.len());
            };
            let inner = &text[2..end - 1];
            let name = inner.strip_prefix('?').unwrap_or(inner);
            (
                if name.bytes().all(|byte| word(&byte)) {
                    name
                } else {
                    ""
                },
                end,
            )
        }
        Some(b'%') => ("", 2),
        _ => {
            let length = bytes[1..].iter().take_while(|byte| word(byte)).count();
            (&text[1..=length], length + 1)
        }
    }
}

impl<'a> Tree<'a> {
    /// What names stand for in this SPEC.
    pub fn names(&self) -> Names<'a> {
        Names::of(self)
    }

    /// The whole name of the package that a section is about (of the main package for those that are about none), with
    /// `names` replaced. It is the text's own name: where macros decide, they are still in it.
    pub fn package_name(&self, section: &Section, names: &Names<'_>) -> String {
        let main = || names.resolve("%{name}").into_owned();
        let Some(header) = &section.header else {
            return main();
        };
        let written = header
            .package
            .map(|span| names.resolve(unquoted(self.slice(span))));
        // `%description %{_description}`: what the macro brings after an end of line is no name.
        let written = written
            .as_deref()
            .map(|name| name.lines().next().unwrap_or_default());
        match written.map(|name| name.trim_end_matches(['\\', ' ', '\t'])) {
            None | Some("") => main(),
            Some(name) if header.whole_name => name.to_owned(),
            Some(suffix) => format!("{}-{suffix}", main()),
        }
    }

    /// Is a section about this package? Those that are about the SPEC as a whole (`%prep`, `%changelog`) count to the main
    /// one.
    pub fn is_about(&self, section: &Section, package: Package<'_>, names: &Names<'_>) -> bool {
        let written = section.header.as_ref().and_then(|header| header.package);
        match (package, written) {
            (Package::Main, None) => true,
            // `-n` may say the main package's own name.
            (Package::Main, Some(_)) => {
                self.package_name(section, names) == names.resolve("%{name}")
                    && section.kind.class() != Class::Tags
            }
            (Package::Named(_), None) => false,
            (Package::Named(name), Some(span)) => {
                unquoted(self.slice(span)) == name || self.package_name(section, names) == names.resolve(name)
            }
        }
    }

    /// The sections that are about a package, in order.
    pub fn sections_about<'t>(
        &'t self,
        package: Package<'t>,
        names: &'t Names<'_>,
    ) -> impl Iterator<Item = &'t Section> {
        (self.sections.iter()).filter(move |section| self.is_about(section, package, names))
    }
}

fn unquoted(word: &str) -> &str {
    let inner = |mark: char| word.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
    inner('"').or_else(|| inner('\'')).unwrap_or(word)
}
