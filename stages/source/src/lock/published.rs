//! What is published, as `keel.lock` has it: which bytes each name stands for.

use std::{collections::BTreeMap, fmt::Write as _};

use keel_artefact::{Arch, ComponentName, Evr, Nevra, Sha256};
use serde::Deserialize;

use super::quote;

/// The highest counter that is read.
pub const MOST_REBUILDS: u32 = 1_000_000;

/// What is published of one component for one architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Epoch, version and release, without the counter.
    pub evr: Evr,
    /// The rebuild counter; 0 is none.
    pub rebuild: u32,
    /// The digest of the source package, not signed.
    pub source: Option<Sha256>,
    /// The other packages, debugging information too: identity and digest, not signed.
    pub packages: BTreeMap<String, Sha256>,
}

/// How packages that were made differ from those that are published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// Names that stand for other bytes.
    pub changed: Vec<String>,
    /// Packages that are not published.
    pub new: Vec<String>,
    /// Packages that were not made.
    pub gone: Vec<String>,
}

impl Differences {
    /// Is all as it is published?
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.new.is_empty() && self.gone.is_empty()
    }
}

impl std::fmt::Display for Differences {
    /// `other bytes in a and b, c is new`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const MOST: usize = 3;
        let parts = [
            ("other bytes in", &self.changed),
            ("new", &self.new),
            ("gone", &self.gone),
        ];
        let mut text = Vec::new();
        for (what, names) in parts.into_iter().filter(|(_, names)| !names.is_empty()) {
            let shown: Vec<&str> = names.iter().take(MOST).map(String::as_str).collect();
            let more = match names.len().saturating_sub(MOST) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            text.push(format!("{what} {}{more}", shown.join(", ")));
        }
        f.write_str(&text.join("; "))
    }
}

impl Published {
    /// How these packages, which are not source packages, differ from what is published.
    pub fn differences<'a>(&self, made: impl Iterator<Item = (&'a Nevra, &'a Sha256)>) -> Differences {
        let made: BTreeMap<String, &Sha256> =
            made.map(|(nevra, digest)| (nevra.to_string(), digest)).collect();
        let mut differences = Differences::default();
        for (name, digest) in &made {
            match self.packages.get(name) {
                Some(published) if published == *digest => {}
                Some(_) => differences.changed.push(name.clone()),
                None => differences.new.push(name.clone()),
            }
        }
        let is_gone = |name: &&String| !made.contains_key(*name);
        differences.gone = self.packages.keys().filter(is_gone).cloned().collect();
        differences
    }

    pub(super) fn write(&self, out: &mut String, component: &ComponentName, arch: Arch) -> std::fmt::Result {
        writeln!(out, "\n[[published]]")?;
        writeln!(out, "component = {}", quote(component.as_str()))?;
        writeln!(out, "arch = \"{arch}\"")?;
        writeln!(out, "version = {}", quote(&self.evr.to_string()))?;
        writeln!(out, "rebuild = {}", self.rebuild)?;
        if let Some(source) = &self.source {
            writeln!(out, "source = \"{source}\"")?;
        }
        writeln!(out, "[published.packages]")?;
        for (name, digest) in &self.packages {
            writeln!(out, "{} = \"{digest}\"", quote(name))?;
        }
        Ok(())
    }
}

/// The same as TOML has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PublishedText {
    pub(super) component: String,
    arch: String,
    pub(super) version: String,
    rebuild: u32,
    source: Option<String>,
    packages: BTreeMap<String, String>,
}

impl PublishedText {
    /// The key and the entry; `bad` makes an error of a key and what is wrong with it.
    pub(super) fn entry<E>(
        self,
        bad: &dyn Fn(&'static str, &dyn std::fmt::Display) -> E,
    ) -> Result<((ComponentName, Arch), Published), E> {
        let component = self.component.parse().map_err(|error| bad("component", &error))?;
        let arch = self.arch.parse().map_err(|error| bad("arch", &error))?;
        let evr: Evr = self.version.parse().map_err(|error| bad("version", &error))?;
        if evr.release.is_empty() || evr.to_string() != self.version {
            return Err(bad("version", &"it is not [epoch:]version-release"));
        }
        if self.rebuild > MOST_REBUILDS {
            return Err(bad("rebuild", &format!("it is more than {MOST_REBUILDS}")));
        }
        let digest = |what, text: &str| text.parse::<Sha256>().map_err(|error| bad(what, &error));
        let mut packages = BTreeMap::new();
        for (name, text) in &self.packages {
            let nevra: Nevra = name.parse().map_err(|error| bad("packages", &error))?;
            packages.insert(nevra.to_string(), digest("packages", text)?);
        }
        let source = self.source.map(|text| digest("source", &text)).transpose()?;
        let rebuild = self.rebuild;
        let published = Published {
            evr,
            rebuild,
            source,
            packages,
        };
        Ok(((component, arch), published))
    }
}
