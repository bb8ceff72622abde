//! Headers of sections that rpm does not see: it takes them for text of the section before, and says nothing.

use std::collections::HashSet;

use super::{Report, Rule, Severity::*, Subject};
use crate::syntax::{Kind, SectionKind, Span};

pub(super) const RULES: &[Rule] = &[Rule::new(
    Error,
    "misspelt-section",
    "rpm takes a line for the header of a section only if the section's exact name is at its very start; any other line, and all \
     after it, belongs to the section before.",
    misspelt_section,
)];

/// From this length on, a name may have two mistakes.
const LONG: usize = 8;

fn misspelt_section(subject: &Subject<'_>, report: &mut Report<'_>) {
    let tree = subject.tree;
    let defined: HashSet<&str> = (tree.lines().iter())
        .filter_map(|line| match &line.kind {
            Kind::Definition(definition) => Some(tree.slice(definition.name)),
            _ => None,
        })
        .collect();
    for line in tree.lines() {
        if !matches!(line.kind, Kind::Text | Kind::Macro(_)) {
            continue;
        }
        let text = subject.text(line);
        let indent = text.len() - text.trim_start().len();
        let Some((word, rest)) = word_of(&text[indent..]) else {
            continue;
        };
        let begin = line.span.start + indent;
        let span = Span::new(begin, begin + 1 + word.len());
        let is_section = SectionKind::of_name(word).is_some_and(|kind| kind != SectionKind::End);
        if indent > 0 && is_section && is_like_a_header(rest) {
            report.at(
                span,
                format!("`%{word}` begins no section here: it must be at the very start of the line"),
            );
        } else if indent == 0
            && !is_section
            && !defined.contains(word)
            && let Some(near) = near(word)
        {
            report.at(span, format!("`%{word}` is no section: did you mean `%{near}`?"));
        }
    }
}

/// The plain macro that a line begins with, and what follows in the line.
fn word_of(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix('%')?;
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
    let (word, rest) = rest.split_at(end);
    let is_alone = rest.is_empty() || rest.starts_with(char::is_whitespace);
    let rest = rest.split('\n').next().unwrap_or_default();
    (is_alone && !word.is_empty()).then_some((word, rest))
}

/// Nothing, options, or one word: not a sentence that speaks of a section.
fn is_like_a_header(rest: &str) -> bool {
    let rest = rest.trim();
    rest.starts_with('-') || !rest.contains(char::is_whitespace)
}

/// The section that was meant, by one mistake, in long names two; two letters that changed places are one.
fn near(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    let most = |name: &str| if name.len() < LONG { 1 } else { 2 };
    SectionKind::names()
        .map(|name| (strsim::osa_distance(&word, name), name))
        .filter(|(distance, name)| *distance <= most(name))
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_finds;

    #[test]
    fn names_of_sections_that_rpm_does_not_know() {
        let spec = "Name: a\n%descripiton\nd\n%prepp\n%setup -q\n%biuld\nmake\n%install\n%fiels -n x\n%doc y\n%chnagelog\n- x\n";
        assert_finds("misspelt-section", spec, &[2, 4, 6, 9, 11]);
        let indented = "%description\n %prep\n\t%files -n x\n  %install is what rpm does first\n";
        assert_finds("misspelt-section", indented, &[2, 3]);
        let fine = "%global prepp 1\n%build\n%prepp\n%configure\n%make_build\n%cmake\n%{biuld}\n%?biuld\n%%biuld\n#%biuld\n\
                    %files\n%config /x\n%ghost /y\n%license z\n%dir /d\n%post\n%end\n%patch 1\n%clean\n";
        assert_finds("misspelt-section", fine, &[]);
    }
}
