//! The outline of a SPEC: its sections, what stands in them, and under which conditions.

use std::fmt;

use serde::Serialize;

use super::{
    BlockKind, Class, Defect, DefectKind, Keyword, Kind, Line, Mode, Names, Section, SectionKind, Span, Tree,
};

/// First and last line, as people count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Range(pub u32, pub u32);

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outline<'a> {
    /// How many lines the file has.
    pub lines: usize,
    /// In order; the first is the preamble.
    pub sections: Vec<Part<'a>>,
    /// What rpm would refuse in the file's shape.
    pub defects: Vec<Wrong>,
}

/// A section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part<'a> {
    /// What it is for.
    pub kind: SectionKind,
    /// Its lines, the header with them; none in an empty preamble.
    pub lines: Option<Range>,
    /// Its header as it is written.
    pub header: &'a str,
    /// The whole name of the package that it is about, if it is about one.
    pub package: Option<String>,
    /// How it goes with another one of its kind.
    pub mode: Mode,
    /// The lines of the directives that its header lies under, the outermost first.
    pub within: Vec<u32>,
    /// How many entries a changelog has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entries: Option<usize>,
    /// What stands in it.
    pub items: Vec<Item<'a>>,
    #[serde(skip)]
    indent: usize,
}

/// Something in a section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item<'a> {
    /// Its lines.
    pub lines: Range,
    /// The lines of the directives that it lies under, the outermost first.
    pub within: Vec<u32>,
    /// What it is.
    #[serde(flatten)]
    pub what: What<'a>,
    #[serde(skip)]
    indent: usize,
}

/// See [`Item`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum What<'a> {
    /// A tag, with its qualifier: `Requires(post)`.
    Tag {
        /// As it is written.
        name: String,
        /// As it is written.
        value: &'a str,
    },
    /// A macro is defined, or taken back.
    Definition {
        /// By which word: `%global`.
        by: &'a str,
        /// The macro's name.
        name: &'a str,
    },
    /// `%if`, `%else`, `%endif` and their kind.
    Directive {
        /// Its word.
        keyword: Keyword,
        /// What follows it.
        argument: &'a str,
    },
    /// `%include`.
    Include {
        /// The file.
        file: &'a str,
    },
    /// What a program wrote; what is in it is not shown.
    Block {
        /// By which program, and what.
        kind: BlockKind,
    },
    /// Another macro that is called where tags or entries stand.
    Macro {
        /// Its name.
        name: &'a str,
    },
}

/// What rpm would refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Wrong {
    /// Where.
    pub line: u32,
    /// What.
    pub kind: DefectKind,
}

impl<'a> Outline<'a> {
    /// The outline of a tree.
    pub fn of(tree: &Tree<'a>) -> Self {
        let names = tree.names();
        let outer = Outer::of(tree);
        let part = |section: &Section| part(tree, section, &names, &outer);
        let wrong = |defect: &Defect| Wrong {
            line: first(tree, defect.line),
            kind: defect.kind,
        };
        Self {
            lines: tree.starts.len(),
            sections: tree.sections().iter().map(part).collect(),
            defects: tree.defects().iter().map(wrong).collect(),
        }
    }
}

/// Which conditions begin right before the header of a section: they are around it, not in the section before it.
struct Outer(Vec<bool>);

impl Outer {
    fn of(tree: &Tree<'_>) -> Self {
        let mut outer = vec![false; tree.conditions().len()];
        for section in tree.sections().iter().filter(|section| section.header.is_some()) {
            for line in &tree.lines()[tree.lead_in(section)..section.lines.start] {
                if let Kind::Directive(directive) = &line.kind
                    && let Some(condition) = directive.condition
                {
                    outer[condition] = true;
                }
            }
        }
        Self(outer)
    }

    /// How far a line is indented.
    fn indent(&self, line: &Line, depth: usize) -> usize {
        match &line.kind {
            Kind::Header => depth,
            Kind::Directive(directive) if directive.condition.is_some_and(|condition| self.0[condition]) => {
                depth
            }
            _ => depth + 1,
        }
    }
}

fn part<'a>(tree: &Tree<'a>, section: &Section, names: &Names<'_>, outer: &Outer) -> Part<'a> {
    let (mut items, mut entries) = (Vec::new(), 0);
    for line in tree.body(section) {
        entries += usize::from(matches!(line.kind, Kind::Entry(_)));
        let block = tree.block_of(line);
        if block.is_some_and(|block| block.lines.start != line.index) {
            continue;
        }
        let end = block.map_or(line.index, |block| block.lines.end - 1);
        let what = match block {
            Some(block) => Some(What::Block { kind: block.kind }),
            None => what(tree, line, section.kind.class()),
        };
        if let Some(what) = what {
            let within = within(tree, line);
            items.push(Item {
                lines: Range(first(tree, line.index), last(tree, end)),
                indent: outer.indent(line, within.len()),
                within,
                what,
            });
        }
    }
    let header = section
        .header
        .as_ref()
        .and_then(|_| tree.lines().get(section.lines.start));
    let within = header.map_or_else(Vec::new, |line| within(tree, line));
    let is_single = section.kind.is_single() || section.kind == SectionKind::End;
    Part {
        kind: section.kind,
        lines: (!section.lines.is_empty()).then(|| {
            Range(
                first(tree, section.lines.start),
                last(tree, section.lines.end - 1),
            )
        }),
        header: header.map_or("", |line| crate::macros::text::trim(tree.slice(line.span))),
        package: (!is_single).then(|| tree.package_name(section, names)),
        mode: section.header.as_ref().map_or(Mode::Whole, |header| header.mode),
        indent: within.len(),
        within,
        entries: (section.kind == SectionKind::Changelog).then_some(entries),
        items,
    }
}

fn what<'a>(tree: &Tree<'a>, line: &Line, class: Class) -> Option<What<'a>> {
    Some(match &line.kind {
        Kind::Tag(tag) => What::Tag {
            name: tree.title(tag),
            value: tree.slice(tag.value),
        },
        Kind::Definition(made) => What::Definition {
            by: crate::macros::text::trim(tree.slice(Span::new(line.span.start, made.name.start))),
            name: tree.slice(made.name),
        },
        Kind::Directive(directive) => What::Directive {
            keyword: directive.keyword,
            argument: tree.slice(directive.argument),
        },
        Kind::Include(file) => What::Include {
            file: tree.slice(*file),
        },
        Kind::Macro(name) if matches!(class, Class::Tags | Class::Changelog) => What::Macro {
            name: tree.slice(*name),
        },
        _ => return None,
    })
}

/// The lines of the directives around a line, the outermost first.
fn within(tree: &Tree<'_>, line: &Line) -> Vec<u32> {
    // Deeper than anybody nests: a hostile file shall not take long.
    const DEEPEST: usize = 64;
    let around = tree.branches_around(line).take(DEEPEST);
    let mut lines: Vec<u32> = around.map(|branch| first(tree, branch.directive)).collect();
    lines.reverse();
    lines
}

/// The first line of the file that a line of the tree has.
fn first(tree: &Tree<'_>, line: usize) -> u32 {
    tree.line_number(tree.lines()[line].span.start)
}

fn last(tree: &Tree<'_>, line: usize) -> u32 {
    tree.line_number(tree.lines()[line].span.end.saturating_sub(1))
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(first, last) = self;
        let shown = match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        f.pad(&shown)
    }
}

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag { name, value } => write!(f, "{name}: {}", Short(value)),
            Self::Definition { by, name } => write!(f, "{by} {name}"),
            Self::Directive { keyword, argument } => match argument.is_empty() {
                true => f.write_str(keyword.as_str()),
                false => write!(f, "{} {}", keyword.as_str(), Short(argument)),
            },
            Self::Include { file } => write!(f, "%include {}", Short(file)),
            Self::Block { kind } => write!(f, "{} …", kind.markers().0),
            Self::Macro { name } => write!(f, "%{name}"),
        }
    }
}

/// The first line of a text.
struct Short<'a>(&'a str);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_once('\n') {
            Some((first, _)) => write!(f, "{} …", first.trim_end_matches(['\\', ' ', '\t', '\r'])),
            None => f.write_str(self.0),
        }
    }
}

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.header {
            "" => f.write_str("preamble")?,
            header => write!(f, "{}", Short(header))?,
        }
        match (&self.package, self.entries) {
            (_, Some(1)) => write!(f, "  1 entry"),
            (_, Some(entries)) => write!(f, "  {entries} entries"),
            (Some(package), _) if !package.is_empty() => write!(f, "  ({package})"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Outline<'_> {
    /// A line for each section and item: line numbers, and what it is, indented by its conditions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = 2 * self.lines.to_string().len() + 1;
        for part in &self.sections {
            if let Some(lines) = part.lines {
                let indent = 2 * part.indent;
                writeln!(f, "{lines:>width$}  {:indent$}{part}", "")?;
            }
            for item in &part.items {
                let indent = 2 * item.indent;
                writeln!(f, "{:>width$}  {:indent$}{}", item.lines, "", item.what)?;
            }
        }
        for wrong in &self.defects {
            writeln!(f, "{:>width$}  wrong: {}", wrong.line, wrong.kind)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
