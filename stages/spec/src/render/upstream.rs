//! `build.emit-upstream-provenance`: macros that tell a SPEC what its upstream's version and Release are. Rules R38 and R39.

use std::collections::BTreeMap;

use super::{autospec, release};
use crate::overlay::Document;

/// The upstream of a component.
#[derive(Debug, Clone, Copy)]
pub struct Upstream<'a> {
    /// The distribution: `fedora`.
    pub distro: &'a str,
    /// What it calls the version: `43`.
    pub version: &'a str,
    /// The commits of its repository, the oldest first, the newest one being the pristine SPEC's. Only needed for a Release
    /// that is `%autorelease`.
    pub commits: &'a [autospec::Commit],
}

/// What `%{?dist}` is in a distribution; none where nobody knows it.
pub fn dist_tag(distro: &str, version: &str) -> Option<String> {
    let is_number = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
    (distro.eq_ignore_ascii_case("fedora") && is_number).then(|| format!(".fc{version}"))
}

/// The macros `%DISTRO_upstream_version` and `%DISTRO_upstream_release` of a pristine SPEC, and why one of them is not there.
///
/// Macros in both stay, and are expanded where they are used; `%{?dist}` and `%{dist}` are the upstream's.
pub fn macros(spec: &[u8], upstream: &Upstream<'_>) -> (BTreeMap<String, String>, Vec<String>) {
    let (mut macros, mut notes) = (BTreeMap::new(), Vec::new());
    let document = Document::new(spec);
    let letters = upstream.distro.chars().map(|c| match c {
        c if c.is_ascii_alphanumeric() => c.to_ascii_lowercase(),
        _ => '_',
    });
    let name: String = letters.collect();
    let mut add = |what: &str, value: Result<String, String>| match value {
        Ok(value) => drop(macros.insert(format!("{name}_upstream_{what}"), value)),
        Err(why) => notes.push(format!("%{name}_upstream_{what} is left out: {why}")),
    };
    let none = |tag: &str| format!("the upstream's SPEC has no {tag} in its preamble");
    let first = |tag: &str| crate::overlay::first_tag(&document, tag).ok_or_else(|| none(tag));
    add("version", first("Version"));
    add(
        "release",
        first("Release").and_then(|value| resolved(&value, upstream)),
    );
    (macros, notes)
}

fn resolved(value: &str, upstream: &Upstream<'_>) -> Result<String, String> {
    let dist = dist_tag(upstream.distro, upstream.version);
    let unknown = || {
        format!(
            "nobody knows what `%{{?dist}}` is in {} {}",
            upstream.distro, upstream.version
        )
    };
    if release::is_automatic(value) {
        let number = autospec::versions::newest_release(upstream.commits);
        let number = number.ok_or("its `%autorelease` cannot be counted")?;
        return Ok(number + &dist.ok_or_else(unknown)?);
    }
    if !["%{?dist}", "%{dist}"]
        .iter()
        .any(|macro_| value.contains(macro_))
    {
        return Ok(value.to_owned());
    }
    let dist = dist.ok_or_else(unknown)?;
    Ok(value.replace("%{?dist}", &dist).replace("%{dist}", &dist))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::autospec::{Commit, Version};

    #[test]
    fn upstreams_version_and_release_become_macros() {
        // R38, R39.
        let commits = vec![
            Commit {
                version: Some(Version::of(None, "1", "Ebeta_S_P1_B")),
                ..Commit::default()
            };
            3
        ];
        for (distro, version, release, expected) in [
            ("fedora", "43", "3%{?dist}", Some("3.fc43")),
            ("Fedora", "43", "%{rel}%{dist}.1", Some("%{rel}.fc43.1")),
            ("fedora", "43", "%autorelease -p -e beta", Some("0.3.beta.fc43")),
            ("fedora", "rawhide", "3%{?dist}", None),
            ("other-one", "2", "3%{?dist}", None),
            ("other-one", "2", "3", Some("3")),
        ] {
            let spec = format!("Version: %{{v}}\nRelease: {release}\nRelease: 9\n%package x\nVersion: 7\n");
            let upstream = Upstream {
                distro,
                version,
                commits: &commits,
            };
            let (macros, notes) = macros(spec.as_bytes(), &upstream);
            let name = distro.to_lowercase().replace('-', "_");
            assert_eq!(macros[&format!("{name}_upstream_version")], "%{v}");
            let told = macros.get(&format!("{name}_upstream_release"));
            assert_eq!(told.map(String::as_str), expected, "{distro} {release}");
            assert_eq!(notes.len(), usize::from(expected.is_none()), "{notes:?}");
        }
        let nothing = Upstream {
            distro: "fedora",
            version: "43",
            commits: &[],
        };
        let (macros, notes) = macros(b"Version: 1\nRelease: %autorelease\n", &nothing);
        assert_eq!((macros.len(), notes.len()), (1, 1));
    }
}
