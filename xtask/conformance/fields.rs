//! What of a SPEC is compared, each as lines of text, so that a difference can be shown.

use crate::mapping::{Facts, Kind, Package};

/// Which bar a field has to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bar {
    /// Names, epochs, versions, releases: `--bar nevr=…`
    Nevr,
    /// Dependencies, sources, patches: `--bar fields=…`
    Fields,
    /// The expanded text: `--bar parse=…`
    Parse,
    /// Only shown.
    None,
}

/// One row of the table.
pub struct Field {
    /// Its name, in the table and for `--show`.
    pub name: &'static str,
    /// What it has to reach.
    pub bar: Bar,
    /// What a tool says; nothing where it was not asked.
    pub lines: fn(&Facts) -> Option<Vec<String>>,
}

/// All rows.
pub const FIELDS: &[Field] = &[
    field("nevr", Bar::Nevr, |facts| {
        Some(each_package(facts, |package| vec![package.nevr()]))
    }),
    field("buildrequires", Bar::Fields, |facts| {
        Some(facts.source.of(Kind::Requires).to_vec())
    }),
    field("buildrequires-with-check", Bar::Fields, |facts| {
        facts.requires_with_check.clone()
    }),
    field("provides", Bar::Fields, |facts| {
        dependencies(facts, Kind::Provides)
    }),
    field("requires", Bar::Fields, |facts| {
        let of = |package: &Package| with_name(package, package.of(Kind::Requires));
        Some(facts.built.iter().flat_map(of).collect())
    }),
    field("conflicts", Bar::Fields, |facts| {
        dependencies(facts, Kind::Conflicts)
    }),
    field("obsoletes", Bar::Fields, |facts| {
        dependencies(facts, Kind::Obsoletes)
    }),
    field("recommends", Bar::Fields, |facts| {
        dependencies(facts, Kind::Recommends)
    }),
    field("suggests", Bar::Fields, |facts| {
        dependencies(facts, Kind::Suggests)
    }),
    field("supplements", Bar::Fields, |facts| {
        dependencies(facts, Kind::Supplements)
    }),
    field("sources", Bar::Fields, |facts| Some(facts.sources.clone())),
    field("patches", Bar::Fields, |facts| Some(facts.patches.clone())),
    field("parse", Bar::Parse, |facts| {
        facts.parse_sha256.clone().map(|digest| vec![digest])
    }),
    field("enhances", Bar::None, |facts| dependencies(facts, Kind::Enhances)),
    field("order-with-requires", Bar::None, |facts| {
        dependencies(facts, Kind::OrderWithRequires)
    }),
    field("arch", Bar::None, |facts| {
        let of = |package: &Package| vec![format!("{}: {}", package.name, package.arch)];
        Some(each_package(facts, of))
    }),
    field("exclusive-arch", Bar::None, |facts| {
        Some(facts.exclusive_arch.clone())
    }),
    field("exclude-arch", Bar::None, |facts| {
        Some(facts.exclude_arch.clone())
    }),
    field("texts", Bar::None, |facts| {
        let of = |package: &Package| {
            let line = |(tag, text): &(&str, String)| format!("{}: {tag}: {text}", package.name);
            package.texts.iter().map(line).collect()
        };
        Some(each_package(facts, of))
    }),
    field("all-packages", Bar::None, |facts| facts.all.clone()),
    field("check", Bar::None, |facts| {
        facts.has_check.map(|has| vec![has.to_string()])
    }),
];

const fn field(name: &'static str, bar: Bar, lines: fn(&Facts) -> Option<Vec<String>>) -> Field {
    Field { name, bar, lines }
}

fn each_package(facts: &Facts, of: impl Fn(&Package) -> Vec<String>) -> Vec<String> {
    let source = of(&facts.source)
        .into_iter()
        .map(|line| format!("source: {line}"));
    source.chain(facts.built.iter().flat_map(&of)).collect()
}

fn dependencies(facts: &Facts, kind: Kind) -> Option<Vec<String>> {
    Some(each_package(facts, |package| {
        with_name(package, package.of(kind))
    }))
}

fn with_name(package: &Package, lines: &[String]) -> Vec<String> {
    lines
        .iter()
        .map(|line| format!("{}: {line}", package.name))
        .collect()
}

/// How two lists of lines compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Equality {
    /// Line by line.
    Equal,
    /// The same lines in another order.
    OtherOrder,
    /// Not the same lines.
    Differs,
}

/// Compares what rpm says with what Keel says.
pub fn compare(rpm: &[String], keel: &[String]) -> Equality {
    if rpm == keel {
        return Equality::Equal;
    }
    let sorted = |lines: &[String]| {
        let mut lines = lines.to_vec();
        lines.sort_unstable();
        lines
    };
    if sorted(rpm) == sorted(keel) {
        Equality::OtherOrder
    } else {
        Equality::Differs
    }
}

/// `- ` what only rpm says, `+ ` what only Keel says; where only the order differs, the first place.
pub fn difference(rpm: &[String], keel: &[String]) -> Vec<String> {
    let minus = |from: &[String], what: &[String]| {
        let mut left = what.to_vec();
        let mut only = Vec::new();
        for line in from {
            match left.iter().position(|other| other == line) {
                Some(at) => drop(left.swap_remove(at)),
                None => only.push(line.clone()),
            }
        }
        only
    };
    let mut lines: Vec<String> = minus(rpm, keel).iter().map(|line| format!("- {line}")).collect();
    lines.extend(minus(keel, rpm).iter().map(|line| format!("+ {line}")));
    if lines.is_empty() {
        let at = rpm.iter().zip(keel).position(|(left, right)| left != right);
        if let Some((left, right)) = at.and_then(|at| rpm.get(at).zip(keel.get(at))) {
            lines = vec![
                format!("- {left}   (only the order differs)"),
                format!("+ {right}"),
            ];
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split(' ')
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn order_is_told_from_content() {
        assert_eq!(compare(&lines("a b"), &lines("a b")), Equality::Equal);
        assert_eq!(compare(&lines("a b"), &lines("b a")), Equality::OtherOrder);
        assert_eq!(compare(&lines("a a b"), &lines("a b b")), Equality::Differs);
    }

    #[test]
    fn differences_count_repeated_lines() {
        assert_eq!(difference(&lines("a a b"), &lines("a b c")), ["- a", "+ c"]);
        assert_eq!(difference(&lines("a b"), &lines("b a"))[1], "+ b");
    }

    #[test]
    fn requires_of_the_source_package_are_build_requires() {
        let package = |name: &str, requires: &str| Package {
            name: name.to_owned(),
            dependencies: [(Kind::Requires, lines(requires))].into(),
            ..Package::default()
        };
        let facts = Facts {
            source: package("a", "gcc"),
            built: vec![package("a", "libc"), package("a-devel", "a")],
            ..Facts::default()
        };
        let of = |name: &str| {
            let field = FIELDS.iter().find(|field| field.name == name).unwrap();
            (field.lines)(&facts)
        };
        assert_eq!(of("buildrequires").unwrap(), ["gcc"]);
        assert_eq!(of("requires").unwrap(), ["a: libc", "a-devel: a"]);
        assert_eq!(of("parse"), None);
    }
}
