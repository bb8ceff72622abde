//! What `keel source fetch`, `lock` and `verify` tell of a file: the same rows, so that one program reads all three.

use keel_artefact::{ComponentName, Sha256};
use keel_source::{LockChange, PinnedFile, SourceSet, State, Verified};
use serde::Serialize;

use crate::report;

/// One file.
#[derive(Serialize)]
pub(super) struct Row {
    component: ComponentName,
    file: String,
    /// In bytes; null where it is not known.
    size: Option<u64>,
    /// SHA-256; null for a file that is pinned no more.
    digest: Option<Sha256>,
    /// The digest that was pinned before, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Sha256>,
    /// Where it came from, or may be had; null where it lies beside the SPEC.
    origin: Option<String>,
    /// `fetch`: `locked`, `replaced`; `lock`: `added`, `changed`, `removed`; `verify`: `good`, `absent`, `damaged`.
    state: &'static str,
    /// Why the digest is trusted, or the file gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    how: Option<String>,
}

/// The files of source sets.
pub(super) fn fetched(sets: Vec<SourceSet>) -> Vec<Row> {
    let of_set = |set: SourceSet| {
        let component = set.component;
        let row = move |file: PinnedFile| Row {
            component: component.clone(),
            file: file.name,
            size: Some(file.size),
            digest: Some(file.digest),
            before: None,
            origin: file.origin,
            state: if file.locked { "locked" } else { "replaced" },
            how: None,
        };
        set.files.into_iter().map(row)
    };
    sets.into_iter().flat_map(of_set).collect()
}

/// What locking changed.
pub(super) fn locked(changes: &LockChange) -> Vec<Row> {
    let row = |change: &keel_source::Change| Row {
        component: change.component.clone(),
        file: change.name.clone(),
        size: change.after.map(|(_, size)| size),
        digest: change.after.map(|(digest, _)| digest),
        before: change.before,
        origin: change.origin.clone(),
        state: match (change.before, change.after) {
            (None, _) => "added",
            (Some(_), Some(_)) => "changed",
            (Some(_), None) => "removed",
        },
        how: Some(change.how.clone()),
    };
    changes.changes.iter().map(row).collect()
}

/// How files are in the store.
pub(super) fn verified(files: &[Verified]) -> Vec<Row> {
    let row = |file: &Verified| Row {
        component: file.component.clone(),
        file: file.name.clone(),
        size: file.size,
        digest: Some(file.digest),
        before: None,
        origin: file.origin.clone(),
        state: match file.state {
            State::Good => "good",
            State::Absent => "absent",
            State::Damaged => "damaged",
        },
        how: None,
    };
    files.iter().map(row).collect()
}

/// For people.
pub(super) fn table(rows: &[Row]) -> String {
    let cells = |row: &Row| {
        vec![
            row.component.to_string(),
            row.file.clone(),
            row.size.map_or_else(|| "-".to_owned(), report::bytes),
            row.digest.map_or_else(|| "-".to_owned(), |digest| digest.short()),
            match row.state {
                "locked" => "",
                "replaced" => "unlocked",
                "absent" => "not fetched",
                "damaged" => "changed, removed",
                state => state,
            }
            .to_owned(),
        ]
    };
    let rows: Vec<_> = rows.iter().map(cells).collect();
    report::table(&["component", "file", "size", "sha256", "state"], &rows)
}
