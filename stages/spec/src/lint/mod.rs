//! `keel spec lint`: what is wrong, dangerous or out of date in a SPEC, told from its text alone.
//!
//! Purpose: findings with place, reason and, where one answer is right, the edits that mend it. Input: a SPEC's text and
//! [`Options`]. Output: [`Finding`]s in the order of the text.
//!
//! A [`Rule`] is a function with a name, a severity and a reason; [`rules`] lists all of them. One file holds the rules
//! about one thing: `structure.rs`, `misspelt.rs`, `packages.rs`, `conditions.rs`, `tags.rs`, `dependencies.rs`, `sources.rs`, `prep.rs`, `macros.rs`,
//! `scripts.rs`, `commands.rs`, `files.rs`, `changelog.rs`, `characters.rs`; and `policy.rs` those that ask for what a distribution's
//! [`Options`] say. Names are rpmlint's where it has the rule, without `%`.
//!
//! A comment turns a rule off: `# keel-lint: allow(unused-source)` for the line after it, or for the whole file if it
//! stands above all but comments ([`allow`]). In blocks that rpmautospec wrote nothing is found.
//!
//! Never: an evaluation. What macros expand to is not known here, so a rule that cannot be sure is silent.

mod allow;
mod changelog;
mod characters;
mod code;
mod commands;
mod conditions;
mod dependencies;
mod files;
mod macros;
mod misspelt;
mod options;
mod packages;
mod policy;
mod prep;
mod reads;
mod scripts;
mod sources;
mod structure;
mod tags;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::Serialize;

pub use options::{Options, Statement};

use crate::syntax::{Class, Edit, Keyword, Kind, Line, Names, Section, SectionKind, Span, Tree, apply};

/// Findings of one rule in one SPEC, at most.
const MOST: usize = 1000;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth a thought.
    Info,
    /// Builds, but not as it should.
    Warning,
    /// Does not build, or builds something wrong.
    Error,
}

/// One thing that is checked.
pub struct Rule {
    /// Its name: what `allow(…)` says.
    pub name: &'static str,
    /// How bad a finding is.
    pub severity: Severity,
    /// Why it is one.
    pub reason: &'static str,
    check: fn(&Subject<'_>, &mut Report<'_>),
}

impl Rule {
    const fn new(
        severity: Severity,
        name: &'static str,
        reason: &'static str,
        check: fn(&Subject<'_>, &mut Report<'_>),
    ) -> Self {
        Self {
            name,
            severity,
            reason,
            check,
        }
    }
}

const RULES: [&[Rule]; 15] = [
    structure::RULES,
    misspelt::RULES,
    packages::RULES,
    conditions::RULES,
    tags::RULES,
    dependencies::RULES,
    sources::RULES,
    prep::RULES,
    macros::RULES,
    scripts::RULES,
    commands::RULES,
    files::RULES,
    changelog::RULES,
    characters::RULES,
    policy::RULES,
];

/// All rules.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    RULES.into_iter().flatten()
}

/// Something that a rule found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's name.
    pub rule: &'static str,
    /// The rule's severity.
    pub severity: Severity,
    /// What is wrong here.
    pub message: String,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// In bytes of the text.
    pub span: Span,
    /// What mends it, if one answer is right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
}

/// What mends a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// What to do, in a few words.
    pub description: String,
    /// That, as edits of the text.
    pub edits: Vec<Edit>,
}

/// Checks a SPEC.
pub fn lint(text: &str, options: &Options) -> Vec<Finding> {
    found(text, options, rules())
}

/// Lines of a SPEC that look like headers of sections, and are none for rpm. Comments that turn the rule off count.
pub fn misspelt_sections(text: &str) -> Vec<Finding> {
    let mut findings = found(text, &Options::default(), misspelt::RULES.iter());
    findings.retain(|finding| misspelt::RULES.iter().any(|rule| rule.name == finding.rule));
    findings
}

fn found(text: &str, options: &Options, rules: impl Iterator<Item = &'static Rule>) -> Vec<Finding> {
    let tree = Tree::parse(text);
    let subject = Subject {
        names: tree.names(),
        tree: &tree,
        options,
    };
    let mut findings = Vec::new();
    for rule in rules.filter(|rule| !options.allow.contains(rule.name)) {
        let mut report = Report {
            rule,
            tree: &tree,
            findings: &mut findings,
            count: 0,
        };
        (rule.check)(&subject, &mut report);
    }
    let allowances = allow::Allowances::read(&tree, &mut findings);
    findings.retain(|finding| !allowances.allow(&tree, finding) && !is_never_read(&tree, finding));
    findings.sort_by(|a, b| (a.span.start, a.rule, a.span.end).cmp(&(b.span.start, b.rule, b.span.end)));
    findings
}

/// Is it in a branch of `%if 0`? Only the shape of what stands there matters.
fn is_never_read(tree: &Tree<'_>, finding: &Finding) -> bool {
    let never = |line: &Line| {
        let mut around = tree.branches_around(line).take(64);
        around.any(|branch| branch.keyword == Keyword::If && tree.slice(branch.argument) == "0")
    };
    let of_shape = matches!(finding.rule, "unterminated-macro" | "unbalanced-condition");
    !of_shape && tree.line_at(finding.span.start).is_some_and(never)
}

/// The text with all fixes made that do not get into each other's way, and how many those are.
pub fn fix(text: &str, findings: &[Finding]) -> (String, usize) {
    let mut taken: BTreeSet<Span> = BTreeSet::new();
    let (mut edits, mut count) = (Vec::new(), 0);
    for fix in findings.iter().filter_map(|finding| finding.fix.as_ref()) {
        let free = |edit: &Edit| {
            let before = taken.range(..Span::new(edit.span.end, 0)).next_back();
            before.is_none_or(|span| span.end <= edit.span.start)
        };
        if fix.edits.iter().all(free) {
            count += 1;
            taken.extend(fix.edits.iter().map(|edit| edit.span));
            edits.extend(fix.edits.iter().cloned());
        }
    }
    match apply(text, edits) {
        Ok(fixed) => (fixed, count),
        Err(_) => (text.to_owned(), 0),
    }
}

/// What rules look at.
struct Subject<'a> {
    tree: &'a Tree<'a>,
    names: Names<'a>,
    options: &'a Options,
}

impl<'a> Subject<'a> {
    fn text(&self, line: &Line) -> &'a str {
        self.tree.slice(line.span)
    }

    fn kind(&self, line: &Line) -> SectionKind {
        self.tree.section_of(line).kind
    }

    fn sections(&self, kind: SectionKind) -> impl Iterator<Item = &'a Section> {
        self.tree
            .sections()
            .iter()
            .filter(move |section| section.kind == kind)
    }

    /// Lines of sections of this class that are neither comments nor directives nor definitions.
    fn lines_of(&self, class: Class) -> impl Iterator<Item = &'a Line> {
        let sections = (self.tree.sections().iter()).filter(move |section| section.kind.class() == class);
        let tree = self.tree;
        let lines = sections.flat_map(move |section| tree.body(section));
        lines.filter(|line| matches!(line.kind, Kind::Text | Kind::Macro(_)))
    }

    /// Lines of build scripts by the lines of the file, without comments: text, and where it starts.
    fn build_code(&self) -> impl Iterator<Item = (&'a Line, &'a str, usize)> {
        let tree = self.tree;
        self.lines_of(Class::BuildScript).flat_map(move |line| {
            let physical = code::physical(tree.slice(line.span), line.span.start);
            physical.map(move |(text, at)| (line, code::without_comment(text), at))
        })
    }

    /// Does another file bring lines that nobody sees here?
    fn includes(&self) -> bool {
        (self.tree.lines().iter()).any(|line| matches!(line.kind, Kind::Include(_)))
    }

    /// Could macros make packages, or sections, that nobody sees here?
    fn macros_make_packages(&self) -> bool {
        self.includes()
            || (self.tree.lines().iter()).any(|line| match line.kind {
                Kind::Macro(name) => {
                    let (name, text) = (self.tree.slice(name), self.text(line));
                    ["pkg", "package", "expand", "lua", "subpackage"]
                        .iter()
                        .any(|part| name.contains(part))
                        || text.contains("%package")
                        || text.contains("%files")
                }
                _ => false,
            })
    }
}

/// Where a rule puts what it finds.
struct Report<'r> {
    rule: &'static Rule,
    tree: &'r Tree<'r>,
    findings: &'r mut Vec<Finding>,
    count: usize,
}

impl Report<'_> {
    /// Something is wrong at `span`.
    fn at(&mut self, span: Span, message: impl Into<String>) {
        self.add(span, message.into(), None);
    }

    fn add(&mut self, span: Span, message: String, fix: Option<Fix>) {
        if self.count == MOST || self.is_in_block(span) {
            return;
        }
        let fix = fix.filter(|fix| !fix.edits.iter().any(|edit| self.is_in_block(edit.span)));
        self.count += 1;
        let position = self.tree.position(span.start);
        self.findings.push(Finding {
            rule: self.rule.name,
            severity: self.rule.severity,
            message,
            line: position.line,
            column: position.column,
            span,
            fix,
        });
    }

    /// Did a program write that? It is not for people to mend.
    fn is_in_block(&self, span: Span) -> bool {
        let is_the_file = span == Span::new(0, 0);
        let line = self.tree.line_at(span.start).filter(|_| !is_the_file);
        line.is_some_and(|line| self.tree.block_of(line).is_some())
    }

    /// Something is wrong at `span`, and `edits` mend it.
    fn fixable(&mut self, span: Span, message: impl Into<String>, fix: &str, edits: Vec<Edit>) {
        let description = fix.to_owned();
        self.add(span, message.into(), Some(Fix { description, edits }));
    }

    /// Something is wrong with a line.
    fn line(&mut self, line: &Line, message: impl Into<String>) {
        self.at(self.first_line(line), message);
    }

    /// Something is wrong with the SPEC as a whole.
    fn file(&mut self, message: impl Into<String>) {
        self.at(Span::new(0, 0), message);
    }

    /// The first line of a line of several, without white space around it.
    fn first_line(&self, line: &Line) -> Span {
        let text = self.tree.slice(line.span);
        let end = text.find('\n').unwrap_or(text.len());
        Span::new(line.span.start, line.span.start + end).trimmed(self.tree.text())
    }
}
