//! Lines to tree.

use super::{
    Defect, DefectKind, Kind, Line, Span, Tree, block, changelog,
    condition::{Directive, Nesting},
    lines::{self, Cut, Cuts, Lead},
    section::{self, Class, Section, SectionKind},
    tag,
};
use crate::macros::text::trim_start;

pub(super) fn tree(text: &str) -> Tree<'_> {
    let Cuts {
        lines: cuts,
        starts,
        unterminated,
    } = lines::cut(text);
    let mut building = Building {
        text,
        lines: Vec::with_capacity(cuts.len()),
        sections: vec![section_at(0, 0, SectionKind::Preamble)],
        nesting: Nesting::default(),
    };
    for cut in &cuts {
        building.add(cut);
    }
    let Building {
        lines,
        sections,
        mut nesting,
        ..
    } = building;
    nesting.defects.extend(unterminated.map(|line| Defect {
        line,
        kind: DefectKind::Unterminated,
    }));
    nesting.finish(lines.len());
    Tree {
        text,
        blocks: block::blocks(text, &lines, &sections),
        lines,
        sections,
        conditions: nesting.conditions,
        branches: nesting.branches,
        defects: nesting.defects,
        starts,
    }
}

fn section_at(index: usize, line: usize, kind: SectionKind) -> Section {
    Section {
        index,
        kind,
        header: None,
        lines: line..line,
    }
}

struct Building<'a> {
    text: &'a str,
    lines: Vec<Line>,
    sections: Vec<Section>,
    nesting: Nesting,
}

impl Building<'_> {
    fn add(&mut self, cut: &Cut) {
        let index = self.lines.len();
        let mut branch = self.nesting.branch();
        let kind = match cut.lead {
            Lead::Section(kind) => {
                let mut section = section_at(self.sections.len(), index, kind);
                section.header = Some(section::header(self.text, cut.span, kind));
                self.sections.push(section);
                Kind::Header
            }
            Lead::Directive(keyword) => {
                let argument = self.after(cut.span, keyword.as_str());
                let (condition, around) = self.nesting.directive(index, keyword, argument);
                branch = around;
                Kind::Directive(Directive {
                    keyword,
                    argument,
                    condition,
                })
            }
            Lead::Include => Kind::Include(self.after(cut.span, "%include")),
            Lead::Definition(kind) => Kind::Definition(lines::definition(self.text, cut.span, kind)),
            Lead::Blank => Kind::Blank,
            Lead::Comment => Kind::Comment,
            Lead::Dnl => Kind::Dnl,
            Lead::Macro(name) => Kind::Macro(name),
            Lead::Other => self.other(cut.span),
        };
        let section = self.sections.len() - 1;
        self.sections[section].lines.end = index + 1;
        self.lines.push(Line {
            index,
            span: cut.span,
            kind,
            section,
            branch,
            joined: cut.joined,
        });
    }

    /// What only its section tells.
    fn other(&self, span: Span) -> Kind {
        let class = self.sections.last().map(|section| section.kind.class());
        match class {
            Some(Class::Tags) => tag::tag(self.text, span).map_or(Kind::Text, Kind::Tag),
            Some(Class::Changelog) if span.of(self.text).starts_with('*') => {
                Kind::Entry(changelog::entry(self.text, span))
            }
            _ => Kind::Text,
        }
    }

    /// What follows the first word of a line, without white space around it.
    fn after(&self, span: Span, word: &str) -> Span {
        let line = span.of(self.text);
        let before = line.len() - trim_start(line).len() + word.len();
        Span::new(span.start + before, span.end).trimmed(self.text)
    }
}
