//! The machine's apt configuration, as texts → the mirrors of Debian's archive that it names.
//!
//! Both forms of sources.list(5) are read: one entry a line (`*.list`), and deb822 paragraphs (`*.sources`). What
//! is no mirror of Debian, or not to be had by a URL, is passed over: the signature over the archive's index
//! decides what is trusted, never this list.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::deb822::{Paragraph, Paragraphs};

/// Where the archive may be had.
///
/// A suite that the configuration names goes to the mirrors named with it; any other suite of Debian goes to the
/// mirrors of the main archive, or of the security archive if it ends in `-security`: one machine's mirror holds
/// all suites.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirrors {
    suites: BTreeMap<String, Vec<String>>,
    archive: Vec<String>,
    security: Vec<String>,
}

/// One entry of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Bases, without a final slash.
    pub uris: Vec<String>,
    /// Suites.
    pub suites: Vec<String>,
    /// Components (`main`); none for an exact path.
    pub components: Vec<String>,
    /// Keyring files that may sign it; none means apt's own.
    pub signed_by: Vec<PathBuf>,
}

impl Mirrors {
    /// From the files of the apt configuration: name and text of each, in apt's order.
    pub fn from_apt<'a>(files: impl IntoIterator<Item = (&'a Path, &'a str)>) -> Self {
        let mut mirrors = Self::default();
        for (path, text) in files {
            let entries = if path.extension().is_some_and(|extension| extension == "sources") {
                parse_sources(text)
            } else {
                parse_list(text)
            };
            for entry in entries.iter().filter(|entry| entry.is_debian()) {
                mirrors.add(entry);
            }
        }
        mirrors
    }

    /// One base for the archive, and perhaps another for its security updates: an option of the command line. It
    /// comes before everything else.
    pub fn with_base(mut self, archive: Option<&str>, security: Option<&str>) -> Self {
        let clean = |base: Option<&str>| base.map(|base| base.trim_end_matches('/').to_owned());
        let (archive, security) = (clean(archive), clean(security));
        for (suite, named) in &mut self.suites {
            let base = if is_security(suite) { &security } else { &archive };
            named.splice(0..0, base.clone());
        }
        self.archive.splice(0..0, archive);
        self.security.splice(0..0, security);
        self
    }

    /// Mirrors of one suite only: they alone are asked for it.
    pub fn with_suite(mut self, suite: &str, bases: impl IntoIterator<Item = String>) -> Self {
        let bases = bases
            .into_iter()
            .map(|base| base.trim_end_matches('/').to_owned())
            .collect();
        self.suites.insert(suite.to_owned(), bases);
        self
    }

    /// The bases to ask for a suite, best first; without a final slash. Empty if there is none.
    pub fn of(&self, suite: &str) -> &[String] {
        match self.suites.get(suite) {
            Some(bases) => bases,
            None if is_security(suite) => &self.security,
            None => &self.archive,
        }
    }

    fn add(&mut self, entry: &Entry) {
        for suite in &entry.suites {
            let bases = if is_security(suite) {
                &mut self.security
            } else {
                &mut self.archive
            };
            push_new(bases, &entry.uris);
            push_new(self.suites.entry(suite.clone()).or_default(), &entry.uris);
        }
    }
}

/// Is it a suite of the security archive? (`bullseye/updates` was the old form of `bullseye-security`.)
fn is_security(suite: &str) -> bool {
    suite.ends_with("-security") || suite.ends_with("/updates")
}

fn push_new(list: &mut Vec<String>, items: &[String]) {
    for item in items {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
}

impl Entry {
    /// Is it the main component of one of Debian's own suites, at a URL?
    fn is_debian(&self) -> bool {
        !self.uris.is_empty()
            && self.components.iter().any(|component| component == "main")
            && self.suites.iter().all(|suite| is_debian_suite(suite))
    }

    fn new<'a>(
        uris: impl Iterator<Item = &'a str>,
        suites: impl Iterator<Item = &'a str>,
        components: impl Iterator<Item = &'a str>,
        signed_by: Vec<PathBuf>,
    ) -> Self {
        let known = |uri: &&str| {
            ["http://", "https://", "file:/"]
                .iter()
                .any(|scheme| uri.starts_with(scheme))
        };
        Self {
            uris: uris
                .filter(known)
                .map(|uri| uri.trim_end_matches('/').to_owned())
                .collect(),
            suites: suites.map(str::to_owned).collect(),
            components: components.map(str::to_owned).collect(),
            signed_by,
        }
    }
}

fn is_debian_suite(suite: &str) -> bool {
    const NAMES: [&str; 15] = [
        "bullseye",
        "bookworm",
        "trixie",
        "forky",
        "duke",
        "sid",
        "buster",
        "stable",
        "oldstable",
        "oldoldstable",
        "testing",
        "unstable",
        "experimental",
        "rc-buggy",
        "stretch",
    ];
    const POCKETS: [&str; 6] = [
        "-updates",
        "-security",
        "-backports",
        "-backports-sloppy",
        "-proposed-updates",
        "/updates",
    ];
    let name = POCKETS
        .iter()
        .find_map(|pocket| suite.strip_suffix(pocket))
        .unwrap_or(suite);
    NAMES.contains(&name)
}

/// Entries of the one-line form. A line that is none is passed over.
pub fn parse_list(text: &str) -> Vec<Entry> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Entry> {
    let line = line.split('#').next()?.trim();
    let (kind, rest) = line.split_once(char::is_whitespace)?;
    if !matches!(kind, "deb" | "deb-src") {
        return None;
    }
    let rest = rest.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(inside) => inside.split_once(']')?,
        None => ("", rest),
    };
    let signed_by = options
        .split_whitespace()
        .filter_map(|option| option.split_once('='));
    let signed_by = signed_by.filter(|(name, _)| {
        name.trim_end_matches(['+', '-'])
            .eq_ignore_ascii_case("signed-by")
    });
    let signed_by = signed_by
        .flat_map(|(_, value)| value.split(','))
        .map(PathBuf::from)
        .collect();
    let mut words = rest.split_whitespace();
    let (uri, suite) = (words.next()?, words.next()?);
    Some(Entry::new(
        [uri].into_iter(),
        [suite].into_iter(),
        words,
        signed_by,
    ))
}

/// Entries of the deb822 form. Paragraphs after one that cannot be read are passed over.
pub fn parse_sources(text: &str) -> Vec<Entry> {
    let paragraphs = Paragraphs::new(text.as_bytes()).map_while(Result::ok);
    paragraphs
        .filter_map(|paragraph| parse_paragraph(&paragraph))
        .collect()
}

fn parse_paragraph(paragraph: &Paragraph) -> Option<Entry> {
    let off = ["no", "false", "without", "off", "disable"];
    let enabled = paragraph
        .get("Enabled")
        .is_none_or(|value| !off.contains(&value.to_ascii_lowercase().as_str()));
    let is_deb = paragraph
        .words("Types")
        .any(|kind| matches!(kind, "deb" | "deb-src"));
    let key_inside = |value: &str| value.contains("-----BEGIN");
    let signed_by = match paragraph.get("Signed-By") {
        Some(value) if !key_inside(value) => value.split_whitespace().map(PathBuf::from).collect(),
        _ => Vec::new(),
    };
    let entry = Entry::new(
        paragraph.words("URIs"),
        paragraph.words("Suites"),
        paragraph.words("Components"),
        signed_by,
    );
    (enabled && is_deb && !entry.suites.is_empty()).then_some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirrors(files: &[(&str, &str)]) -> Mirrors {
        Mirrors::from_apt(files.iter().map(|(name, text)| (Path::new(*name), *text)))
    }

    #[test]
    fn both_forms_of_the_configuration() {
        let deb822 = "Types: deb deb-src\n# URIs: http://old.example/debian\nURIs: http://one.example/debian/\n\
            Suites: bookworm bookworm-updates\nComponents: main contrib\nSigned-By: /usr/share/keyrings/a.gpg\n\n\
            Types: deb\nURIs: http://one.example/debian-security\nSuites: bookworm-security\nComponents: main\n\n\
            Types: deb\nURIs: https://third.example/node\nSuites: nodistro\nComponents: main\n\n\
            Types: deb\nEnabled: no\nURIs: http://off.example\nSuites: sid\nComponents: main\n";
        let list = "# deb http://no.example/debian trixie main\n\
            deb [arch=amd64 signed-by=/k.gpg] https://two.example/debian/ trixie main # comment\n\
            deb https://packages.example/apt cloud-sdk-bookworm main\n\
            deb cdrom:[Debian]/ trixie main\ndeb\ndeb x\ndeb [broken http://x y main\n\
            deb http://exact.example/ ./\n";
        let mirrors = mirrors(&[("debian.sources", deb822), ("sources.list", list)]);
        for (suite, bases) in [
            ("bookworm", &["http://one.example/debian"][..]),
            ("trixie", &["https://two.example/debian"]),
            (
                "sid",
                &["http://one.example/debian", "https://two.example/debian"],
            ),
            (
                "trixie-updates",
                &["http://one.example/debian", "https://two.example/debian"],
            ),
            ("trixie-security", &["http://one.example/debian-security"]),
        ] {
            assert_eq!(mirrors.of(suite), bases, "{suite}");
        }
    }

    #[test]
    fn options_come_first() {
        let apt =
            "deb http://one.example/debian trixie main\ndeb http://one.example/sec trixie-security main\n";
        let mirrors = mirrors(&[("sources.list", apt)]).with_base(Some("http://mine.example/d/"), None);
        assert_eq!(
            mirrors.of("trixie"),
            ["http://mine.example/d", "http://one.example/debian"]
        );
        assert_eq!(
            mirrors.of("sid"),
            ["http://mine.example/d", "http://one.example/debian"]
        );
        assert_eq!(mirrors.of("trixie-security"), ["http://one.example/sec"]);
        let mirrors = mirrors.with_suite("sid", ["http://sid.example/".to_owned()]);
        assert_eq!(mirrors.of("sid"), ["http://sid.example"]);
        assert!(Mirrors::default().of("trixie").is_empty());
    }

    #[test]
    fn an_entry_keeps_its_keyrings() {
        let entries = parse_list("deb [signed-by=/a.gpg,/b.gpg] http://x.example sid main");
        assert_eq!(
            entries[0].signed_by,
            [PathBuf::from("/a.gpg"), PathBuf::from("/b.gpg")]
        );
        let inline = "Types: deb\nURIs: http://x.example\nSuites: sid\nComponents: main\nSigned-By:\n -----BEGIN PGP\n .\n";
        assert!(parse_sources(inline)[0].signed_by.is_empty());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(deb(-src)? ?|\\[|\\]|[a-z=:/#]{0,6}| |\n|Types: deb\n|URIs: x\n){0,30}") {
            let _ = parse_list(&text);
            let _ = parse_sources(&text);
        }
    }
}
