//! Histories with merges: how Releases are counted in them, and which line of them a changelog tells. Rules R63, R67 and R69.

use std::collections::BTreeSet;

use super::{Commit, magic};

/// The parents of a commit, by their places in the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Parents {
    /// The commit before it in the list, if there is one.
    #[default]
    Before,
    /// These; the places are smaller than its own.
    Of {
        /// All of them, the first parent first.
        all: Vec<usize>,
        /// The first one that has the same files.
        same: Option<usize>,
    },
}

/// The places of a commit's parents.
pub(super) fn parents(commits: &[Commit], index: usize) -> Vec<usize> {
    match &commits[index].parents {
        Parents::Before => index.checked_sub(1).into_iter().collect(),
        // Whoever made the list may be wrong; nothing must go round in circles.
        Parents::Of { all, .. } => all.iter().copied().filter(|place| *place < index).collect(),
    }
}

/// What a changelog does at a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It has an entry.
    Entry(usize),
    /// It is a merge that changed nothing: one of its parents is followed.
    Merge(usize),
    /// It is a merge of which nobody knows what to follow: the end.
    Unclear(usize),
    /// It changed the file `changelog`, which is the rest.
    Verbatim(usize),
}

impl Step {
    /// The commit's place.
    pub(super) fn index(self) -> usize {
        match self {
            Step::Entry(index) | Step::Merge(index) | Step::Unclear(index) | Step::Verbatim(index) => index,
        }
    }
}

/// The line of commits that a changelog tells, the newest first.
pub(super) fn followed(commits: &[Commit]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut removed = false;
    let mut next = commits.len().checked_sub(1);
    while let Some(index) = next {
        let (commit, all) = (&commits[index], parents(commits, index));
        let mut befores = all.iter().map(|place| &commits[*place].changelog);
        let is_changed = match all.is_empty() {
            true => commit.changelog.is_some(),
            false => befores.clone().all(|before| *before != commit.changelog),
        };
        if is_changed && commit.changelog.is_some() {
            if !removed {
                steps.push(Step::Verbatim(index));
            }
            return steps;
        }
        removed |= commit.changelog.is_none() && befores.any(Option::is_some);
        next = match (all.as_slice(), &commit.parents) {
            ([], _) => None,
            ([one], _) => Some(*one),
            (_, Parents::Of { same: Some(same), .. }) if *same < index => Some(*same),
            _ => {
                steps.push(Step::Unclear(index));
                return steps;
            }
        };
        steps.push(if all.len() > 1 {
            Step::Merge(index)
        } else {
            Step::Entry(index)
        });
    }
    steps
}

/// May one commit's number go on with the other's? Versions that are unknown are a gap: an error of syntax, or a package that
/// was retired for a while.
pub(super) fn goes_on(one: &Commit, other: &Commit) -> bool {
    match (&one.version, &other.version) {
        (Some(one), Some(other)) => one.epoch_version == other.epoch_version,
        _ => true,
    }
}

/// The number of each commit: one more than the highest of its parents that have the same version.
pub fn release_numbers(commits: &[Commit]) -> Vec<u64> {
    let mut numbers: Vec<u64> = Vec::with_capacity(commits.len());
    for (index, commit) in commits.iter().enumerate() {
        let before = parents(commits, index).into_iter();
        let before = before.filter(|place| goes_on(commit, &commits[*place]));
        let number = before.map(|place| numbers[place]).max().unwrap_or(0);
        let number = number.saturating_add(u64::from(!commit.without_spec));
        numbers.push(number.max(magic(&commit.message).1));
    }
    numbers
}

/// A history as it is rebuilt from `import` on: all that came before `import`; then `import`, or else the oldest commit, and
/// the first parents' line from there to the newest commit.
pub fn line_since(commits: &[Commit], import: Option<&str>) -> (Vec<Commit>, Vec<Commit>) {
    let begin = import.and_then(|import| commits.iter().position(|commit| commit.hash == import));
    let mut line = Vec::new();
    let mut next = commits.len().checked_sub(1);
    while let Some(index) = next {
        line.push(Commit {
            parents: Parents::Before,
            ..commits[index].clone()
        });
        let first = parents(commits, index).first().copied();
        next = first.filter(|_| Some(index) != begin);
    }
    line.reverse();
    let is_on_line = begin.is_some_and(|begin| {
        line.first()
            .is_some_and(|first| first.hash == commits[begin].hash)
    });
    let Some(begin) = begin.filter(|_| is_on_line) else {
        return (Vec::new(), line);
    };
    let mut wanted = BTreeSet::from([begin]);
    for index in (0..=begin).rev() {
        if wanted.contains(&index) {
            wanted.extend(parents(commits, index));
        }
    }
    let places: Vec<usize> = wanted.into_iter().collect();
    let moved = |place: &usize| places.binary_search(place).ok();
    let kept = |place: &usize| Commit {
        parents: Parents::Of {
            all: parents(commits, *place).iter().filter_map(moved).collect(),
            same: match &commits[*place].parents {
                Parents::Of { same, .. } => same.as_ref().and_then(moved),
                Parents::Before => None,
            },
        },
        ..commits[*place].clone()
    };
    let mut before: Vec<Commit> = places.iter().map(kept).collect();
    if let (Some(first), Some(last)) = (line.first_mut(), before.pop()) {
        *first = last;
    }
    (before, line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::autospec::Version;

    fn commit(hash: &str, version: &str, all: &[usize], same: Option<usize>) -> Commit {
        Commit {
            hash: hash.to_owned(),
            version: Some(Version::of(None, version, "")),
            parents: Parents::Of {
                all: all.to_vec(),
                same,
            },
            ..Commit::default()
        }
    }

    #[test]
    fn merges_are_counted_and_followed() {
        // R63, R67: root - a - b - merge (the files of c) - top, with c - d beside them.
        let mut commits = vec![
            commit("root", "1", &[], None),
            commit("a", "1", &[0], None),
            commit("b", "1", &[1], None),
            commit("c", "1", &[0], None),
            commit("merge", "1", &[2, 3], Some(3)),
            commit("top", "1", &[4], None),
        ];
        assert_eq!(release_numbers(&commits), [1, 2, 3, 2, 4, 5]);
        let steps = [Step::Entry(5), Step::Merge(4), Step::Entry(3), Step::Entry(0)];
        assert_eq!(followed(&commits), steps);
        commits[4] = commit("merge", "1", &[2, 3], None);
        assert_eq!(followed(&commits), [Step::Entry(5), Step::Unclear(4)]);
        // R69: rebuilt from a commit on, the merge is one of the line, and what was beside it is not there.
        let (before, line) = line_since(&commits, Some("a"));
        let hashes = |commits: &[Commit]| commits.iter().map(|one| one.hash.clone()).collect::<Vec<_>>();
        assert_eq!(
            (hashes(&before), hashes(&line)),
            (
                vec!["root".to_owned()],
                ["a", "b", "merge", "top"].map(str::to_owned).to_vec()
            )
        );
        let all = [before, line].concat();
        assert_eq!(release_numbers(&all), [1, 2, 3, 4, 5]);
        // All that came before stays as it was.
        let (before, line) = line_since(&commits, Some("merge"));
        assert_eq!(release_numbers(&[before, line].concat()), [1, 2, 3, 2, 4, 5]);
        // A commit beside the line is none to begin at.
        let (before, line) = line_since(&commits, Some("c"));
        assert_eq!(
            (before.len(), hashes(&line)[0].as_str(), line.len()),
            (0, "root", 5)
        );
        assert!(followed(&[commit("x", "1", &[0, 7], Some(0))]).len() == 1);
    }
}
