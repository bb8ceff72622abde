//! Rules about the changelog.

use super::{Report, Rule, Severity::*, Subject};
use crate::syntax::{Date, Edit, Entry, Kind, Line, SectionKind, Span};

pub(super) const RULES: &[Rule] = &[
    Rule::new(
        Error,
        "changelog-malformed-entry",
        "An entry starts with `* Thu Jan 01 2026 Name <address> - version`; rpmbuild refuses others.",
        malformed_entry,
    ),
    Rule::new(
        Warning,
        "changelog-empty-entry",
        "rpm takes what comes next for the text of an entry without one, even if it is the next entry.",
        empty_entry,
    ),
    Rule::new(
        Warning,
        "changelog-bogus-date",
        "rpm warns of days that were not that day of the week.",
        bogus_date,
    ),
    Rule::new(
        Error,
        "changelog-order",
        "The newest entry is the first; rpmbuild refuses another order.",
        order,
    ),
    Rule::new(
        Warning,
        "changelog-version",
        "The newest entry says what the SPEC is now: its version and release.",
        version,
    ),
];

fn entries<'s>(subject: &Subject<'s>) -> impl Iterator<Item = (&'s Line, &'s Entry)> {
    subject.tree.lines().iter().filter_map(|line| match &line.kind {
        Kind::Entry(entry) => Some((line, entry)),
        _ => None,
    })
}

fn malformed_entry(subject: &Subject<'_>, report: &mut Report<'_>) {
    for section in subject.sections(SectionKind::Changelog) {
        let lines = subject.tree.body(section).iter();
        let mut texts =
            lines.filter(|line| matches!(line.kind, Kind::Entry(_) | Kind::Text | Kind::Macro(_)));
        if let Some(line) = texts.next().filter(|line| line.kind == Kind::Text) {
            report.line(line, "an entry starts with an asterisk at the start of the line");
        }
    }
    for (line, entry) in entries(subject) {
        check_entry(line, entry, report);
    }
}

fn empty_entry(subject: &Subject<'_>, report: &mut Report<'_>) {
    for section in subject.sections(SectionKind::Changelog) {
        let mut empty: Option<&Line> = None;
        for line in subject.tree.body(section) {
            let before = match &line.kind {
                Kind::Entry(_) => empty.replace(line),
                Kind::Text | Kind::Macro(_) => {
                    empty = None;
                    continue;
                }
                _ => continue,
            };
            report_empty(before, report);
        }
        report_empty(empty, report);
    }
}

fn report_empty(line: Option<&Line>, report: &mut Report<'_>) {
    if let Some(line) = line {
        report.line(line, "this entry says nothing");
    }
}

fn check_entry(line: &Line, entry: &Entry, report: &mut Report<'_>) {
    match entry.date {
        None => report.line(line, "rpm cannot read this date"),
        Some(_) if entry.author.is_empty() => report.line(line, "this entry names nobody"),
        Some(_) => {}
    }
}

fn bogus_date(subject: &Subject<'_>, report: &mut Report<'_>) {
    for (_, entry) in entries(subject) {
        let Some(date) = entry.date else { continue };
        match date.true_weekday() {
            Some(day) if day == date.weekday => {}
            Some(day) => {
                let name = Date::weekday_name(day);
                let written = Span::new(entry.date_span.start, entry.date_span.start + name.len());
                let message = format!("that day was a {name}");
                report.fixable(
                    entry.date_span,
                    message,
                    &format!("write `{name}`"),
                    vec![Edit::replace(written, name)],
                );
            }
            None => report.at(entry.date_span, "there is no such day"),
        }
    }
}

fn order(subject: &Subject<'_>, report: &mut Report<'_>) {
    let day = |date: Date| (date.year, date.month, date.day, date.time);
    let mut above: Option<(Date, &Line)> = None;
    for (line, entry) in entries(subject) {
        let Some(date) = entry.date else { continue };
        if let Some((last, before)) = above
            && day(last) < day(date)
        {
            let at = subject.tree.position(before.span.start).line;
            report.at(
                entry.date_span,
                format!("this is later than the entry above it (line {at})"),
            );
        }
        above = Some((date, line));
    }
}

fn version(subject: &Subject<'_>, report: &mut Report<'_>) {
    let Some((_, entry)) = entries(subject).next() else {
        return;
    };
    let Some(span) = entry.version else { return };
    let said = subject.tree.slice(span);
    let said = said.split_once(':').map_or(said, |(_, rest)| rest);
    let (version, release) = (
        subject.names.resolve("%{version}"),
        subject.names.resolve("%{release}"),
    );
    let release = release
        .replace("%{?dist}", "")
        .replace("%{dist}", "")
        .replace("%dist", "");
    if [said, &*version, release.as_str()]
        .iter()
        .any(|text| text.contains('%'))
    {
        return;
    }
    let (said_version, said_release) = match said.rsplit_once('-') {
        Some((version, release)) => (version, Some(release)),
        None => (said, None),
    };
    // The distribution's suffix may be written out: `1.2-3.azl3`.
    let fits = |said: &str| {
        said.strip_prefix(&*release)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    if said_version != version || !said_release.is_none_or(fits) {
        report.at(
            span,
            format!("the newest entry is about {said}, the SPEC about {version}-{release}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_finds, assert_fixes};

    #[test]
    fn entries_are_whole() {
        let spec = "%changelog\n- a\n* Thu Jan 01 2026 A <a@b> - 1-1\n- b\n* Thu 2026-01-01 A <a@b> - 1-1\n- c\n\
                    * Thu Jan 01 2026\n- d\n* Thu Jan 01 2026 A\n\n* Thu Jan 01 2026 A\n";
        assert_finds("changelog-malformed-entry", spec, &[2, 5, 7]);
        assert_finds("changelog-empty-entry", spec, &[9, 11]);
        assert_finds("changelog-malformed-entry", "%changelog\n%autochangelog\n", &[]);
    }

    #[test]
    fn dates() {
        assert_fixes(
            "changelog-bogus-date",
            "%changelog\n* Fri Jan 01 2026 A\n- a\n* Sun Feb 29 2004 A\n- a\n",
            "%changelog\n* Thu Jan 01 2026 A\n- a\n* Sun Feb 29 2004 A\n- a\n",
        );
        assert_finds(
            "changelog-bogus-date",
            "%changelog\n* Thu Feb 29 2001 A\n- a\n",
            &[2],
        );
        let spec =
            "%changelog\n* Thu Jan 01 2026 A\n- a\n* Thu Jan 01 2026 A\n- a\n* Fri Jan 02 2026 A\n- a\n";
        assert_finds("changelog-order", spec, &[6]);
    }

    #[test]
    fn the_newest_entry_is_about_the_spec() {
        let spec = |version: &str| {
            format!(
                "%global v 1.2\nVersion: %{{v}}\nRelease: 3%{{?dist}}\n%changelog\n* Thu Jan 01 2026 A <a@b> {version}\n\
                 - a\n"
            )
        };
        for (version, lines) in [
            ("- 1.2-3", &[][..]),
            ("1:1.2-3.azl3", &[]),
            ("- 1.2", &[]),
            ("", &[]),
            ("- 1.2-%{release}", &[]),
            ("- 1.2-33", &[5]),
            ("- 1.1-3", &[5]),
        ] {
            assert_finds("changelog-version", &spec(version), lines);
        }
    }
}
