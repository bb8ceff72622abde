//! What came before a component: changes that count into its Release, and the history that rpmautospec's work is done with.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, PoisonError},
};

use keel_artefact::Fingerprint;
use keel_config::{Component, Diagnostic, Location, Project, Spec};
use keel_host::git::{At, Blob, Git, repository_of};
use keel_source::{DistGit, dist_git};
use keel_spec::{
    macros::text,
    render::{
        autospec::{self, Change, Commit, Features, History, Parents, Seen, interleaved, versions},
        listing::List as _,
        upstream::{self, Upstream},
    },
};

use super::{
    Rendering,
    changes::{self, Changes, Locks, NOBODY, UNCOMMITTED},
    no_spec,
};
use crate::{
    failure::{Class, Failure},
    pipeline,
};

/// What came before.
#[derive(Default)]
pub struct Past {
    /// The project's changes of the component, the oldest first.
    pub changes: Vec<Change>,
    /// For rpmautospec's work; none where there is none to do, or where nobody knows the history.
    pub history: Option<History>,
    /// The upstream's own commits, without the project's.
    pub upstream: Vec<Commit>,
    /// What somebody should know of it.
    pub notes: Vec<String>,
}

/// Does a local SPEC ask for rpmautospec's work?
pub fn asks(spec: &[u8]) -> bool {
    let features = Features::of(&text::decode(spec));
    !features.processed && (features.autorelease || features.autochangelog)
}

/// May an overlay make a SPEC ask for it?
fn overlays_ask(component: &Component) -> bool {
    let overlays = serde_json::to_string(&component.overlays).unwrap_or_default();
    ["autorelease", "changelog"]
        .iter()
        .any(|word| overlays.contains(word))
}

/// Is the history of another distribution's SPEC asked for?
pub(super) fn needs_history(component: &Component, spec: &[u8]) -> bool {
    Features::of(&text::decode(spec)).need_processing() || overlays_ask(component)
}

impl Rendering {
    /// What came before a component whose pristine SPEC is `spec`.
    pub(super) fn past(
        &self,
        component: &Component,
        found: Option<&DistGit>,
        spec: &Path,
    ) -> Result<Past, Failure> {
        let git = pipeline::git(&self.interrupt);
        let locked = self.locked(&git, component)?;
        let bytes = fs_err::read(spec)?;
        let mut past = Past {
            notes: locked.notes,
            ..Past::default()
        };
        let commits = match found {
            Some(found) => {
                let asked = needs_history(component, &bytes);
                if asked {
                    past.upstream = dist_git::history(found, &self.store, &self.options, &self.interrupt)
                        .map_err(no_spec)?;
                }
                asked.then(|| line(found, &mut past, &locked.changes, locked.import.as_deref()))
            }
            None if !asks(&bytes) && !overlays_ask(component) => None,
            None if self.is_azldevs && !locked.changes.is_empty() => Some(replayed(&locked.changes)),
            None => of_folder(&git, spec, &mut past.notes)?,
        };
        past.history = commits.map(|commits| History {
            commits,
            program: autospec::PROGRAM.to_owned(),
        });
        past.changes = locked.changes;
        Ok(past)
    }
}

impl Rendering {
    /// What the history of its lock tells. All locks are read when the first one is asked for.
    fn locked(&self, git: &Git<'_>, component: &Component) -> Result<Changes, Failure> {
        let (folder, name) = (&self.project.lock_dir, component.name.as_str());
        if !folder.join(format!("{name}.lock")).is_file() {
            return Ok(Changes::default());
        }
        let wrong = |error| unreadable("the history of its lock", &error);
        let locks = {
            let mut known = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            let locks = match known.take() {
                Some(locks) => locks,
                None => Arc::new(Locks::of(git, folder).map_err(wrong)?),
            };
            Arc::clone(known.insert(locks))
        };
        let changes = locks.changes(git, folder, name);
        changes.map_err(wrong)
    }

    /// Adds all that the past of another distribution's SPEC depends on besides its commit. Rule R87.
    pub(super) fn past_counts(&self, component: &Component, print: &mut Fingerprint) -> Result<(), Failure> {
        let locked = self.locked(&pipeline::git(&self.interrupt), component)?;
        print.add("program", autospec::PROGRAM);
        print.add("import", locked.import.unwrap_or_default());
        for change in &locked.changes {
            print.add("change", format!("{change:?}"));
        }
        if let Some((distro, release)) = self.provenance(component) {
            print.add("provenance-of", distro).add("release", release);
        }
        Ok(())
    }

    /// The distribution and its release that `build.emit-upstream-provenance` tells of; none if it is not asked to.
    fn provenance<'c>(&'c self, component: &'c Component) -> Option<(&'c str, &'c str)> {
        let Some(Spec::Upstream(said)) = &component.spec else {
            return None;
        };
        let name = said.distro.as_ref().unwrap_or(&self.project.name);
        let version = self.project.distros.get(name).and_then(|distro| {
            let version = said.version.as_ref().or(distro.default_version.as_ref())?;
            distro.versions.get(version)
        });
        let release = version.map_or("", |version| version.release_ver.as_str());
        component
            .build
            .emit_upstream_provenance
            .then_some((name.as_str(), release))
    }

    /// The macros of `build.emit-upstream-provenance`; what is left out is noted in `past`.
    pub(super) fn upstream_macros(
        &self,
        component: &Component,
        spec: &Path,
        past: &mut Past,
    ) -> Result<BTreeMap<String, String>, Failure> {
        let Some((distro, version)) = self.provenance(component) else {
            return Ok(BTreeMap::new());
        };
        let bytes = fs_err::read(spec)?;
        let (features, evaluator) = (Features::of(&text::decode(&bytes)), self.macros.evaluator());
        let numbers = Features {
            changelog: Some(0),
            autochangelog: false,
            ..features
        };
        versions::fill(&mut past.upstream, &numbers, &bytes, &mut |bytes| {
            evaluator.version(spec, bytes)
        });
        let upstream = Upstream {
            distro,
            version,
            commits: &past.upstream,
        };
        let (macros, notes) = upstream::macros(&bytes, &upstream);
        past.notes.extend(notes);
        Ok(macros)
    }
}

fn unreadable(what: &str, error: &keel_host::Error) -> Failure {
    let failure = Failure::because(Class::Failed, format!("{what} cannot be read"), error);
    match error {
        keel_host::Error::Failed { last, .. } if last.iter().any(|line| line.contains("dubious ownership")) => {
            failure.hint(
                "the tree belongs to another user: run Keel as that user, or as root with that user's number in the variable \
                 SUDO_UID, as sudo does",
            )
        }
        _ => failure,
    }
}

/// Upstream's commits with the project's changes among them. The newest change is the SPEC as it is rendered.
fn line(found: &DistGit, past: &mut Past, changes: &[Change], import: Option<&str>) -> Vec<Commit> {
    let upstream = &past.upstream;
    let short = |commit: &str| commit.get(..12).unwrap_or(commit).to_owned();
    if upstream.len() >= dist_git::MOST {
        let most = dist_git::MOST;
        past.notes.push(format!(
            "only the newest {most} commits of its history are looked at"
        ));
    }
    let begins = import.and_then(|import| upstream.iter().position(|commit| commit.hash == import));
    if let (Some(import), None) = (import, begins) {
        let text = format!(
            "the import-commit {} of its lock is not in its history",
            short(import)
        );
        past.notes.push(text);
    }
    let newest = changes.last().and_then(|change| change.upstream.as_deref());
    if let Some(newest) = newest.filter(|newest| *newest != found.commit) {
        let (is, locked) = (short(&found.commit), short(newest));
        let text = format!("its lock is about commit {locked}, and commit {is} is rendered");
        past.notes.push(text);
    }
    if changes.is_empty() {
        return upstream.clone();
    }
    let (before, since) = autospec::line_since(upstream, import);
    let (commits, lost) = interleaved(&since, changes);
    for change in lost {
        let (commit, at) = (
            short(&change.hash),
            short(change.upstream.as_deref().unwrap_or_default()),
        );
        let text = format!("the change {commit} is lost: it was made at {at}, which is not in the history");
        past.notes.push(text);
    }
    let mut all = [before, commits].concat();
    if let Some(last) = all.last_mut() {
        last.seen = Seen::Rendered;
    }
    all
}

/// The history that azldev makes for a local SPEC with a lock: all that is there at first, then the changes.
fn replayed(changes: &[Change]) -> Vec<Commit> {
    let first = Commit {
        author: "azldev".to_owned(),
        message: "Initial sources".to_owned(),
        ..Commit::default()
    };
    let (mut commits, _) = interleaved(&[first], changes);
    for commit in &mut commits {
        commit.seen = Seen::Rendered;
    }
    commits
}

/// The history of a local SPEC: the commits that touched its folder. None where there is no history.
fn of_folder(git: &Git<'_>, spec: &Path, notes: &mut Vec<String>) -> Result<Option<Vec<Commit>>, Failure> {
    let wrong = |error| unreadable("the history of its folder", &error);
    let folder = spec.parent().unwrap_or(Path::new("/"));
    let name = spec.file_name().unwrap_or_default().to_string_lossy();
    if !git.has_commits(folder).map_err(wrong)? {
        let text = "its folder is in no commit of a git repository: rpmautospec's work is left undone";
        notes.push(text.to_owned());
        return Ok(None);
    }
    let (at, most) = (At::Tree(folder), format!("--max-count={}", dist_git::MOST));
    let found = git
        .commits(at, &["--topo-order", &most, "--", "."])
        .map_err(wrong)?;
    if found.len() >= dist_git::MOST {
        notes.push(format!(
            "only the newest {} commits of its folder are looked at",
            dist_git::MOST
        ));
    }
    let files = |file: &str| {
        let names: Vec<String> = found.iter().map(|one| format!("{}:./{file}", one.hash)).collect();
        git.blobs(at, &names).map_err(wrong)
    };
    let (specs, changelogs) = (files(&name)?, files("changelog")?);
    let mut commits: Vec<Commit> = Vec::with_capacity(found.len() + 1);
    for ((one, spec), changelog) in found.into_iter().zip(specs).zip(changelogs).rev() {
        commits.push(Commit {
            hash: one.hash,
            author: one.author,
            email: one.email,
            time: one.committed,
            message: one.message,
            version: None,
            parents: Parents::Before,
            without_spec: spec == Blob::Missing,
            seen: match spec {
                Blob::Bytes(bytes) => Seen::Was(bytes),
                Blob::Missing | Blob::Large => Seen::Unknown,
            },
            changelog: match changelog {
                Blob::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
                Blob::Missing | Blob::Large => None,
            },
        });
    }
    let is_new = commits.last().is_none_or(|newest| newest.without_spec);
    if is_new || git.is_changed(folder).map_err(wrong)? {
        let changelog = match fs_err::read(folder.join("changelog")) {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        commits.push(Commit {
            hash: "uncommitted".to_owned(),
            author: NOBODY.0.to_owned(),
            email: NOBODY.1.to_owned(),
            time: changes::newest(git, folder).map_err(wrong)?,
            message: UNCOMMITTED.to_owned(),
            seen: Seen::Was(Arc::from(fs_err::read(spec)?)),
            changelog,
            ..Commit::default()
        });
    }
    Ok(Some(commits))
}

/// Fails for local SPECs that ask for rpmautospec's work where there are no commits to count: neither Keel nor rpmbuild could
/// do it.
pub fn check_counted(rendering: &Rendering, git: &Git<'_>, components: &[&Component]) -> Result<(), Failure> {
    let mut diagnostics = Vec::new();
    for component in components {
        let Some(Spec::Local { path }) = &component.spec else {
            continue;
        };
        let lock = rendering
            .project
            .lock_dir
            .join(format!("{}.lock", component.name));
        let bytes = fs_err::read(path)?;
        if !asks(&bytes) || (rendering.is_azldevs && lock.is_file()) {
            continue;
        }
        let spec = text::decode(&bytes);
        let Some((line, word)) = asked_at(&spec).filter(|(_, word)| !rendering.macros.defines(word)) else {
            continue;
        };
        let folder = path.parent().unwrap_or(Path::new("/"));
        if git
            .has_commits(folder)
            .map_err(|error| unreadable("the history of its folder", &error))?
        {
            continue;
        }
        let shown = rendering.project.display(folder).display().to_string();
        let shown = if shown.is_empty() {
            "the project".to_owned()
        } else {
            shown
        };
        let message = format!(
            "nothing counts `%{word}` of `{}`: {shown} is in no commit of a git repository",
            component.name
        );
        diagnostics.push(
            Diagnostic::new(message)
                .at(Location::line(rendering.project.display(path), line))
                .hint("`git init`, `git add` and `git commit` the project; or write Release and changelog into the SPEC"),
        );
    }
    match diagnostics.is_empty() {
        true => Ok(()),
        false => Err(Failure {
            class: Class::Input,
            diagnostics,
        }),
    }
}

/// The line that asks for rpmautospec's work first, and by which macro.
fn asked_at(spec: &str) -> Option<(u32, &'static str)> {
    let asks = |line: &str| {
        let line = line.trim_start();
        let is_said = |word: &&&str| !line.starts_with('#') && line.contains(**word) && line.contains('%');
        ["autorelease", "autochangelog"].iter().find(is_said).copied()
    };
    let mut lines = (1..).zip(spec.lines());
    lines.find_map(|(number, line)| Some((number, asks(line)?)))
}

/// Fails if the numbers of some of the components would be counted in a history that is cut off. Rule R49.
pub fn check_whole<'c>(
    git: &Git<'_>,
    project: &Project,
    components: impl Iterator<Item = &'c Component>,
) -> Result<(), Failure> {
    // Where there is no repository, there is nothing to be counted.
    let mut folders = BTreeSet::new();
    for component in components {
        let lock = project.lock_dir.join(format!("{}.lock", component.name));
        if lock.is_file() {
            folders.extend(repository_of(&project.lock_dir));
        }
        if let Some(Spec::Local { path }) = &component.spec
            && let Ok(spec) = fs_err::read(path)
            && (asks(&spec) || overlays_ask(component))
        {
            folders.extend(path.parent().and_then(repository_of));
        }
    }
    for folder in folders {
        let is_shallow = git.is_shallow(folder);
        if is_shallow.map_err(|error| unreadable("the project's history", &error))? {
            let text = format!(
                "the history of {} is cut off: Releases and changelogs would be wrong",
                folder.display()
            );
            return Err(
                Failure::new(Class::Environment, text).hint("`git fetch --unshallow` brings the rest")
            );
        }
    }
    Ok(())
}
