//! What two tools say of one SPEC, in one form: a line of a baseline (made by `rpmspec`, see docs/how-to/conformance.md)
//! and a line of `keel spec eval --output json`.

mod baseline;
mod keel;

use std::collections::BTreeMap;

pub use baseline::from_baseline;
pub use keel::from_keel;

/// What is compared, of one SPEC.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Header of the source package; its requires are the BuildRequires.
    pub source: Package,
    /// The packages that have `%files`, in their order.
    pub built: Vec<Package>,
    /// The BuildRequires when `with_check` is 1; none where that was not asked.
    pub requires_with_check: Option<Vec<String>>,
    /// File names, in header order.
    pub sources: Vec<String>,
    /// File names, in header order.
    pub patches: Vec<String>,
    /// `ExclusiveArch`, each word.
    pub exclusive_arch: Vec<String>,
    /// `ExcludeArch`, each word.
    pub exclude_arch: Vec<String>,
    /// N-E:V-R.A of every package, with `%files` or without; none where the baseline does not say.
    pub all: Option<Vec<String>>,
    /// Whether there is a `%check`.
    pub has_check: Option<bool>,
    /// SHA-256 of what `rpmspec -P` prints, in hexadecimal.
    pub parse_sha256: Option<String>,
}

/// One package's header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Package {
    /// `Name`.
    pub name: String,
    /// `[epoch:]version-release`.
    pub evr: String,
    /// `Arch` of the header.
    pub arch: String,
    /// Summary, Group, License, URL.
    pub texts: Vec<(&'static str, String)>,
    /// By kind, in header order, each as [`dependency`] writes it.
    pub dependencies: BTreeMap<Kind, Vec<String>>,
}

impl Package {
    /// `name-[epoch:]version-release`.
    pub fn nevr(&self) -> String {
        format!("{}-{}", self.name, self.evr)
    }

    /// Of one kind.
    pub fn of(&self, kind: Kind) -> &[String] {
        self.dependencies.get(&kind).map_or(&[], Vec::as_slice)
    }
}

/// A kind of dependency: the tag of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Requires,
    Provides,
    Conflicts,
    Obsoletes,
    Recommends,
    Suggests,
    Supplements,
    Enhances,
    OrderWithRequires,
}

/// The qualifiers that a baseline records, by their right names.
const RECORDED: [&str; 11] = [
    "config",
    "interp",
    "meta",
    "post",
    "posttrans",
    "postun",
    "pre",
    "preun",
    "prereq",
    "rpmlib",
    "verify",
];

/// `name[ op evr][ (qualifier,…)]`
fn dependency(
    name: &str,
    relation: Option<(&str, &str)>,
    qualifiers: impl Iterator<Item = String>,
) -> String {
    let mut text = name.to_owned();
    if let Some((op, evr)) = relation {
        text = format!("{text} {op} {evr}");
    }
    let mut qualifiers: Vec<String> = qualifiers
        .filter(|name| RECORDED.contains(&name.as_str()))
        .collect();
    qualifiers.sort_unstable();
    if !qualifiers.is_empty() {
        text = format!("{text} \u{ab}{}\u{bb}", qualifiers.join(","));
    }
    text
}

/// The name alone of what [`dependency`] wrote; a rich dependency is its own name.
pub fn capability(dependency: &str) -> &str {
    if dependency.starts_with('(') {
        return dependency.split(" \u{ab}").next().unwrap_or(dependency);
    }
    dependency.split(' ').next().unwrap_or(dependency)
}

fn evr(epoch: Option<&str>, version: &str, release: &str) -> String {
    match epoch {
        Some(epoch) => format!("{epoch}:{version}-{release}"),
        None => format!("{version}-{release}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASELINE: &str = r#"{"spec": "S/a/a.spec", "rc": 0, "source": {"name": "a", "epoch": "1", "version": "2", "release": "3.d",
        "arch": "x86_64", "nevra": "a-1:2-3.d.x86_64", "license": "MIT", "summary": "An a", "group": "Unspecified", "url": "(none)",
        "requires": [{"n": "gcc"}, {"n": "make", "op": ">=", "v": "4"}], "provides": [{"n": "a", "op": "=", "v": "1:2-3.d"}],
        "source": ["a.tar"], "patch": ["1.patch", "0.patch"], "exclusivearch": ["x86_64 aarch64"]},
        "built": [{"name": "a", "epoch": "1", "version": "2", "release": "3.d", "arch": "x86_64", "license": "MIT", "summary": "An a",
        "group": "Unspecified", "url": "(none)", "requires": [{"n": "/bin/sh", "q": ["interp", "pretrans"]}]}],
        "requires_with_check": [{"n": "gcc"}], "has_check": true, "parse_sha256": "00"}"#;

    const KEEL: &str = r#"{"format": 1, "spec": "/corpus/S/a/a.spec", "arch": "x86_64", "error": null, "source": {"name": "a", "epoch": 1,
        "version": "2", "release": "3.d", "arch": "x86_64", "license": "MIT", "summary": "An a", "group": "Unspecified", "url": null,
        "description": "", "built": false, "requires": [{"name": "gcc", "op": null, "evr": null, "qualifiers": []},
        {"name": "make", "op": ">=", "evr": "4", "qualifiers": []}], "provides": [{"name": "a", "op": "=", "evr": "1:2-3.d", "qualifiers": []}]},
        "packages": [{"name": "a", "epoch": 1, "version": "2", "release": "3.d", "arch": "x86_64", "license": "MIT", "summary": "An a",
        "group": "Unspecified", "url": null, "built": true,
        "requires": [{"name": "/bin/sh", "op": null, "evr": null, "qualifiers": ["posttrans", "interp", "pretrans"]}]},
        {"name": "a-none", "epoch": 1, "version": "2", "release": "3.d", "arch": "noarch", "built": false}],
        "sources": [{"number": 0, "kind": "source", "file": "a.tar", "full": "https://x/a.tar"},
        {"number": 1, "kind": "patch", "file": "1.patch", "full": "1.patch"}, {"number": 0, "kind": "patch", "file": "0.patch", "full": "0.patch"}],
        "exclusive_arch": ["x86_64", "aarch64"], "exclude_arch": [], "sections": {"check": "make test"}, "messages": []}"#;

    #[test]
    fn both_say_the_same() {
        let (spec, baseline) = from_baseline(BASELINE).unwrap();
        assert_eq!(spec, "S/a/a.spec");
        let mut baseline = baseline.unwrap();
        let (spec, keel) = from_keel(KEEL).unwrap();
        assert_eq!(spec, "/corpus/S/a/a.spec");
        let mut keel = keel.unwrap();
        assert_eq!(
            keel.all.take().unwrap(),
            ["a-1:2-3.d.x86_64", "a-none-1:2-3.d.noarch"]
        );
        assert_eq!(baseline.requires_with_check.take().unwrap(), ["gcc"]);
        assert_eq!(baseline.parse_sha256.take().unwrap(), "00");
        assert_eq!(
            baseline.built[0].of(Kind::Requires),
            ["/bin/sh «interp,posttrans»"]
        );
        assert_eq!(keel, baseline);
    }

    #[test]
    fn a_spec_that_is_refused_has_no_facts() {
        let (_, facts) = from_baseline(r#"{"spec": "b.spec", "rc": 1, "stderr": "error: x"}"#).unwrap();
        assert!(facts.is_none());
        let (_, facts) = from_keel(r#"{"format": 1, "spec": "b.spec", "error": "line 3: no"}"#).unwrap();
        assert_eq!(facts.unwrap_err(), "line 3: no");
    }

    #[test]
    fn without_check_means_the_same_unless_said_otherwise() {
        let of = |text: &str| {
            from_baseline(text)
                .unwrap()
                .1
                .unwrap()
                .requires_with_check
                .unwrap()
        };
        let same = r#"{"spec": "c", "source": {"requires": [{"n": "gcc"}]}}"#;
        assert_eq!(of(same), ["gcc"]);
        let nothing = r#"{"spec": "c", "source": {"requires": [{"n": "gcc"}]}, "requires_with_check": null}"#;
        assert!(of(nothing).is_empty());
    }

    #[test]
    fn a_capability_is_a_name_or_a_whole_rich_dependency() {
        assert_eq!(capability("make >= 4"), "make");
        assert_eq!(capability("/bin/sh «interp»"), "/bin/sh");
        assert_eq!(capability("(a >= 1 if b) «meta»"), "(a >= 1 if b)");
    }
}
