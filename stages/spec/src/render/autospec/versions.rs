//! What the SPECs of a history said of their versions: only as far back as somebody asks. Rule R63.

use std::{collections::HashMap, sync::Arc};

use super::{Commit, Features, Version, complete, graph};

/// `%autorelease` as SPECs of a history are read with: what its options are is what a Release says then.
pub const OPTIONS: &str = "e:s:pb:n";
/// Its body.
pub const BODY: &str = "E%{?-e*}_S%{?-s*}_P%{?-p:1}%{!?-p:0}_B%{?-b*}";

/// The SPEC of a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Seen {
    /// Nobody has it; [`Commit::version`] is all that is known.
    #[default]
    Unknown,
    /// It was this.
    Was(Arc<[u8]>),
    /// It is the one that is being rendered.
    Rendered,
}

impl Version {
    /// What a SPEC says whose `%autorelease` was [`BODY`].
    pub fn of(epoch: Option<u32>, version: &str, release: &str) -> Self {
        let epoch = epoch.map_or_else(String::new, |epoch| format!("{epoch}:"));
        let mut found = Self {
            epoch_version: format!("{epoch}{version}"),
            ..Self::default()
        };
        if let Some((extra, snapshot, early, base)) = flags(release) {
            let said = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            found.prerelease = early;
            found.base = base.parse().ok();
            (found.extra, found.snapshot) = (said(extra), said(snapshot));
        }
        found
    }
}

/// The parts of a Release that [`BODY`] made.
fn flags(release: &str) -> Option<(&str, &str, bool, &str)> {
    let (extra, rest) = release.strip_prefix('E')?.split_once("_S")?;
    let (snapshot, rest) = rest.split_once("_P")?;
    let (early, base) = rest.split_once("_B")?;
    let is_plain = !extra.contains('_') && !snapshot.contains('_');
    let is_right = matches!(early, "0" | "1") && base.bytes().all(|byte| byte.is_ascii_digit());
    (is_plain && is_right).then_some((extra, snapshot, early == "1", base))
}

/// Fills in the versions that are asked for: those that decide the number of the newest commit, and, for a changelog, those
/// of all commits that it tells. `read` evaluates a SPEC; each is read once.
pub fn fill(
    commits: &mut [Commit],
    features: &Features,
    rendered: &[u8],
    read: &mut dyn FnMut(&[u8]) -> Option<Version>,
) {
    let mut wanted = vec![false; commits.len()];
    if let Some(newest) = wanted.last_mut() {
        *newest = true;
    }
    if features.needs_changelog() {
        for step in graph::followed(commits) {
            wanted[step.index()] = true;
        }
    }
    let mut known: HashMap<Arc<[u8]>, Option<Version>> = HashMap::new();
    let mut version = |commit: &mut Commit| {
        let spec = match &commit.seen {
            Seen::Unknown => return,
            Seen::Was(spec) => Arc::clone(spec),
            Seen::Rendered => Arc::from(rendered),
        };
        let found = known.entry(spec).or_insert_with_key(|spec| read(spec));
        commit.version.clone_from(found);
    };
    for index in (0..commits.len()).rev() {
        if !wanted[index] {
            continue;
        }
        version(&mut commits[index]);
        for place in graph::parents(commits, index) {
            version(&mut commits[place]);
            wanted[place] |= graph::goes_on(&commits[index], &commits[place]);
        }
    }
}

/// The Release of the newest commit without `%{?dist}`: `0.3.beta`.
pub fn newest_release(commits: &[Commit]) -> Option<String> {
    let (commit, number) = (commits.last()?, graph::release_numbers(commits).pop()?);
    Some(complete(commit.version.as_ref()?, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_what_the_release_says() {
        // R63: as a Release comes out with the macro's body.
        let version = |release: &str| Version::of(None, "1", release);
        let all = version("Erc1_S20240101git_P1_B7");
        assert_eq!((all.prerelease, all.base), (true, Some(7)));
        assert_eq!(
            (all.extra.as_deref(), all.snapshot.as_deref()),
            (Some("rc1"), Some("20240101git"))
        );
        for plain in ["E_S_P0_B", "3.fc43", "E_S_P2_B", "Ea_b_S_P0_B", "E_S_P0_Bx", ""] {
            assert_eq!(
                version(plain),
                Version {
                    epoch_version: "1".to_owned(),
                    ..Version::default()
                },
                "{plain}"
            );
        }
        assert_eq!(Version::of(Some(2), "1", "").epoch_version, "2:1");
    }

    #[test]
    fn specs_are_read_as_far_back_as_needed_and_once() {
        let commit = |spec: &str, changelog: Option<&str>| Commit {
            seen: Seen::Was(Arc::from(spec.as_bytes())),
            changelog: changelog.map(str::to_owned),
            ..Commit::default()
        };
        let commits = [
            commit("1", None),
            commit("2", Some("old")),
            commit("3", Some("old")),
            commit("3", Some("old")),
            Commit {
                seen: Seen::Rendered,
                changelog: Some("old".to_owned()),
                ..Commit::default()
            },
        ];
        for (spec, reads, release) in [
            ("Release: %autorelease\n%changelog\n* x\n", vec!["4", "3"], "1"),
            (
                "Release: %autorelease\n%changelog\n%autochangelog\n",
                vec!["4", "3", "2", "1"],
                "1",
            ),
        ] {
            let mut commits = commits.clone();
            let mut read = Vec::new();
            fill(&mut commits, &Features::of(spec), b"4", &mut |spec| {
                let text = String::from_utf8(spec.to_vec()).unwrap();
                read.push(text.clone());
                Some(Version::of(None, &text, ""))
            });
            assert_eq!(read, reads, "{spec}");
            assert_eq!(newest_release(&commits).as_deref(), Some(release));
        }
    }
}
