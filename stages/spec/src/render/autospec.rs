//! What rpmautospec makes of a SPEC: `%autorelease` gets its number, `%autochangelog` its entries. Rules R60 to R68.
//!
//! Purpose: both without git and without rpmautospec, from a history that the caller supplies. Input: a SPEC, its
//! [`History`]. Output: the SPEC with the block of settings before everything and with its changelog.
//!
//! The rules are rpmautospec's own (0.8): a Release counts the commits since the version changed; a commit is an entry
//! unless it says `[skip changelog]`; a file `changelog` ends the history where it was last changed.

mod features;
mod graph;
pub mod versions;
mod wrap;

use std::borrow::Cow;

use serde::Serialize;

use crate::macros::text;
use graph::Step;

pub use features::Features;
pub use graph::{Parents, line_since, release_numbers};
pub use versions::Seen;

/// One commit of a component's history. Times are in UTC.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// Its name.
    pub hash: String,
    /// Who made the change.
    pub author: String,
    /// And where letters reach them.
    pub email: String,
    /// When, in seconds since 1970.
    pub time: i64,
    /// Its message: the subject, and perhaps more.
    pub message: String,
    /// What the SPEC said then; none where it could not be evaluated, or was not yet ([`versions::fill`]).
    pub version: Option<Version>,
    /// The SPEC, as it was then.
    pub seen: Seen,
    /// What it was made of.
    pub parents: Parents,
    /// There was no SPEC.
    pub without_spec: bool,
    /// The file `changelog`, as it was then.
    pub changelog: Option<String>,
}

/// What a SPEC says of its version, and asks of `%autorelease`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Version {
    /// `1.2`, or `3:1.2` with an epoch.
    pub epoch_version: String,
    /// `-p`.
    pub prerelease: bool,
    /// `-b N`; 1 if it is not there.
    pub base: Option<u64>,
    /// `-e`.
    pub extra: Option<String>,
    /// `-s`.
    pub snapshot: Option<String>,
}

/// The program whose work is done here, and its version, as the block of settings names it.
pub const PROGRAM: &str = "0.8.3";

/// The commits of a component: parents before children, the newest one at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// The commits.
    pub commits: Vec<Commit>,
    /// The version that the block of settings names: [`PROGRAM`].
    pub program: String,
}

/// A change of a distribution's project that a component was rebuilt for, to become a [`Commit`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The project's commit.
    pub hash: String,
    /// Who.
    pub author: String,
    /// Where letters reach them.
    pub email: String,
    /// When, in seconds since 1970.
    pub time: i64,
    /// The first line of the project's commit.
    pub subject: String,
    /// The commit of the dist-git that the component was at; none for a local SPEC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
}

/// The changes as commits among those of upstream (the oldest first), and changes whose upstream commit is not there.
///
/// Changes at an older upstream commit stand right after it, those at the newest one (which the last change names), and
/// those at none, on top. Upstream commits after the newest one are left out. What SPECs said then, the caller fills in.
pub fn interleaved(upstream: &[Commit], changes: &[Change]) -> (Vec<Commit>, Vec<Change>) {
    let newest = changes.last().and_then(|change| change.upstream.as_deref());
    let until = newest.and_then(|newest| upstream.iter().position(|commit| commit.hash == newest));
    let upstream = &upstream[..until.map_or(upstream.len(), |at| at + 1)];
    let is_on_top = |change: &&Change| change.upstream.is_none() || change.upstream.as_deref() == newest;
    let mut commits = Vec::new();
    for commit in upstream {
        commits.push(commit.clone());
        let here = changes.iter().filter(|change| !is_on_top(change));
        let here = here.filter(|change| change.upstream.as_deref() == Some(&commit.hash));
        commits.extend(here.map(|change| synthetic(change, Some(commit))));
    }
    let last = upstream.last();
    commits.extend(
        changes
            .iter()
            .filter(is_on_top)
            .map(|change| synthetic(change, last)),
    );
    let known = |change: &&Change| {
        upstream
            .iter()
            .any(|commit| change.upstream.as_ref() == Some(&commit.hash))
    };
    let lost = changes
        .iter()
        .filter(|change| !is_on_top(change) && !known(change));
    (commits, lost.cloned().collect())
}

fn synthetic(change: &Change, below: Option<&Commit>) -> Commit {
    Commit {
        hash: change.hash.clone(),
        author: change.author.clone(),
        email: change.email.clone(),
        time: change.time,
        message: format!("{}\n\nProject commit: {}", change.subject, change.hash),
        version: below.and_then(|commit| commit.version.clone()),
        seen: below.map_or(Seen::Unknown, |commit| commit.seen.clone()),
        parents: Parents::Before,
        without_spec: false,
        changelog: below.and_then(|commit| commit.changelog.clone()),
    }
}

/// The SPEC processed; none if there is nothing to do, or if it was done before.
pub fn process(spec: &[u8], history: &History) -> Option<Vec<u8>> {
    let source = text::decode(spec);
    let features = Features::of(&source);
    if !features.need_processing() {
        return None;
    }
    let numbers = release_numbers(&history.commits);
    let number = features.autorelease.then(|| numbers.last().copied().unwrap_or(0));
    let mut out = settings(&history.program, number, features.needs_changelog());
    out.push('\n');
    for (index, line) in source.split_inclusive('\n').enumerate() {
        if features.autochangelog && features.changelog.is_some_and(|header| index > header) {
            break;
        }
        if features.changelog.is_none() && features.autochangelog_line == Some(index) {
            out.push_str("%changelog\n");
            break;
        }
        out.push_str(line);
    }
    if !features.autochangelog && features.changelog.is_none() {
        out.push_str("\n%changelog\n");
    }
    if features.needs_changelog() {
        out.push_str("## START: Generated by rpmautospec\n");
        out.push_str(&entries(&history.commits, &numbers).join("\n\n"));
        out.push_str("\n## END: Generated by rpmautospec\n");
    }
    Some(text::encode(&out).into_owned())
}

/// The block of settings: with a definition of `%autorelease` if there is a number for it.
pub fn settings(program: &str, number: Option<u64>, changelog: bool) -> String {
    let used = [("autorelease", number.is_some()), ("autochangelog", changelog)];
    let used: Vec<&str> = used
        .iter()
        .filter(|(_, used)| *used)
        .map(|(name, _)| *name)
        .collect();
    let definition = number.map_or_else(String::new, |number| {
        format!(
            "\n%define autorelease(e:s:pb:n) %{{?-p:0.}}%{{lua:\n    release_number = {number};\n    \
             base_release_number = tonumber(rpm.expand(\"%{{?-b*}}%{{!?-b:1}}\"));\n    print(release_number + \
             base_release_number - 1);\n}}%{{?-e:.%{{-e*}}}}%{{?-s:.%{{-s*}}}}%{{!?-n:%{{?dist}}}}"
        )
    });
    format!(
        "## START: Set by rpmautospec\n## (rpmautospec version {program})\n## RPMAUTOSPEC: {}{definition}\n## END: Set by \
         rpmautospec\n",
        used.join(", ")
    )
}

/// Entries, the newest first.
fn entries(commits: &[Commit], numbers: &[u64]) -> Vec<String> {
    let number = |index: usize| numbers.get(index).copied().unwrap_or(0);
    let mut entries = Vec::new();
    for step in graph::followed(commits) {
        match step {
            Step::Verbatim(index) => entries.extend(commits[index].changelog.clone()),
            Step::Unclear(index) => {
                let why = ["RPMAUTOSPEC: unresolvable merge".to_owned()];
                entries.push(entry(&commits[index], number(index), &why));
            }
            Step::Entry(index) => {
                let commit = &commits[index];
                if !magic(&commit.message).0 && !commit.without_spec {
                    entries.push(entry(commit, number(index), &items(&commit.message)));
                }
            }
            Step::Merge(_) => {}
        }
    }
    entries
}

fn entry(commit: &Commit, number: u64, items: &[String]) -> String {
    let evr = commit.version.as_ref().map_or_else(String::new, |version| {
        format!(" - {}-{}", version.epoch_version, complete(version, number))
    });
    let date = date(commit.time);
    let items: Vec<String> = items
        .iter()
        .map(|item| wrap::filled(&format!("- {item}")))
        .collect();
    format!(
        "* {date} {} <{}>{evr}\n{}",
        commit.author,
        commit.email,
        items.join("\n")
    )
}

/// The Release of a commit's number, without `%{?dist}`.
fn complete(version: &Version, number: u64) -> String {
    let number = number.saturating_add(version.base.unwrap_or(1)).saturating_sub(1);
    let tags = [&version.extra, &version.snapshot].into_iter().flatten();
    let tags: String = tags
        .filter(|tag| !tag.is_empty())
        .map(|tag| format!(".{tag}"))
        .collect();
    let early = if version.prerelease { "0." } else { "" };
    format!("{early}{number}{tags}")
}

/// `Thu Jan 01 1970`.
fn date(time: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let days = time.div_euclid(86400);
    // Days of the proleptic Gregorian calendar, in years that begin in March.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = (month + 2) % 12;
    let year = year_of_era + era * 400 + i64::from(month < 2);
    let weekday = DAYS[usize::try_from(days.rem_euclid(7)).unwrap_or(0)];
    let name = MONTHS[usize::try_from(month).unwrap_or(0)];
    format!("{weekday} {name} {day:02} {year:04}")
}

/// `[skip changelog]`, and the number of `[bump release: N]` or zero.
fn magic(message: &str) -> (bool, u64) {
    let (mut skip, mut bump) = (false, 0);
    for line in message.split('\n') {
        let Some(inner) = line
            .trim()
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        else {
            continue;
        };
        for part in inner.split(',') {
            let words: Vec<&str> = part.split_whitespace().collect();
            if let ["skip", second, ..] = words.as_slice() {
                skip |= second.starts_with("changelog");
            }
            if let ["bump", second, rest @ ..] = words.as_slice()
                && let Some(attached) = second.strip_prefix("release")
            {
                let all = format!("{attached} {}", rest.join(" "));
                let number = all
                    .trim_start()
                    .strip_prefix(':')
                    .unwrap_or(all.trim_start())
                    .trim_start();
                let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
                bump = bump.max(number[..end].parse().unwrap_or(0));
            }
        }
    }
    (skip, bump)
}

/// What a message says to the readers of a changelog: its subject; what it goes on with after `…`; a list right after it.
fn items(message: &str) -> Vec<String> {
    #[derive(PartialEq)]
    enum State {
        Before,
        Subject,
        After,
        Continued,
        List,
    }
    let mut items: Vec<Vec<Cow<'_, str>>> = vec![Vec::new()];
    let mut state = State::Before;
    for line in message.split('\n') {
        let quoted = line.replace('%', "%%");
        let mut line = quoted.trim();
        if state == State::Before {
            if line.is_empty() {
                continue;
            }
            state = State::Subject;
            line = line.strip_prefix('-').map_or(line, str::trim_start);
        }
        if state == State::Subject {
            if !line.is_empty() {
                items[0].push(Cow::Owned(line.to_owned()));
                continue;
            }
            state = State::After;
        }
        if state == State::After {
            if line.is_empty() {
                continue;
            }
            if let Some(rest) = after_ellipsis(line) {
                state = State::Continued;
                items[0].push(Cow::Owned(rest.to_owned()));
                continue;
            }
            if !line.starts_with('-') {
                break;
            }
            state = State::List;
        }
        if state == State::Continued {
            if line.is_empty() || line.starts_with('-') {
                state = State::List;
            } else {
                items[0].push(Cow::Owned(line.to_owned()));
                continue;
            }
        }
        if line.is_empty() {
            break;
        }
        if let Some(item) = line.strip_prefix('-') {
            items.push(Vec::new());
            line = item.trim_start();
        }
        if let Some(last) = items.last_mut() {
            last.push(Cow::Owned(line.to_owned()));
        }
    }
    items.into_iter().map(|lines| lines.join(" ")).collect()
}

fn after_ellipsis(line: &str) -> Option<&str> {
    let dots = line.trim_start_matches('.');
    if line.len() - dots.len() >= 3 {
        return Some(dots.trim_start());
    }
    let rest = line.trim_start_matches('…');
    (rest.len() < line.len()).then(|| rest.trim_start())
}
