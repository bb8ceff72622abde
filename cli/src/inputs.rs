//! What of a tree makes a component what it is: its settings, the folder of its SPEC, files that they name.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use keel_config::{Component, Project, Spec};
use serde_json::{Map, Value};

use crate::failure::{Class, Failure};

/// Keys of settings, as the configuration calls them where that differs from the field.
const KEYS: [(&str, &str); 22] = [
    ("semantics", "overlay-semantics"),
    ("release", "release.calculation"),
    ("skip_file_filter", "render.skip-file-filter"),
    ("source_files", "source-files"),
    ("build.emit_upstream_provenance", "build.emit-upstream-provenance"),
    ("build.bootstrap_libc", "build.bootstrap-libc"),
    ("build.borrowed_libc", "build.borrowed-libc"),
    ("build.failure.reason", "build.failure.expected-reason"),
    ("build.cpu_seconds", "build.hints.cpu-seconds"),
    ("build.memory", "build.hints.memory"),
    ("build.expensive", "build.hints.expensive"),
    ("publish.rpm", "publish.rpm-channel"),
    ("publish.srpm", "publish.srpm-channel"),
    ("publish.debuginfo", "publish.debuginfo-channel"),
    ("spec.distro", "spec.upstream-distro.name"),
    ("spec.version", "spec.upstream-distro.version"),
    ("spec.snapshot", "spec.upstream-distro.snapshot"),
    ("spec.name", "spec.upstream-name"),
    ("spec.commit", "spec.upstream-commit"),
    ("exceptions", "package-checks.allow"),
    ("rpm_channel", "rpm-channel"),
    ("debuginfo_channel", "debuginfo-channel"),
];

/// What makes a component what it is.
pub struct Inputs {
    /// What it says and inherits. Nothing of where that is written; paths in `top` are relative to it.
    pub settings: Value,
    /// The folder of its SPEC, relative to `top`; none for one that has the whole project in it.
    pub folder: Option<PathBuf>,
    /// Files that it names, relative to `top`.
    pub files: BTreeSet<PathBuf>,
}

/// What makes a component what it is, as far as it lies in `top`. Paths of a project that was loaded are absolute.
pub fn of(project: &Project, component: &Component, top: &Path) -> Result<Inputs, Failure> {
    let bug = |error| Failure::because(Class::Bug, "settings cannot be written", &error);
    let mut settings = serde_json::to_value(component.settings.as_ref()).map_err(bug)?;
    let mut files = BTreeSet::new();
    relative(&mut settings, top, &mut files);
    let mut all = match settings {
        Value::Object(settings) => settings,
        _ => Map::new(),
    };
    if let Some(Spec::Upstream(upstream)) = &component.spec {
        // Where it is had from is no setting of its own.
        let name = upstream.distro.as_ref().unwrap_or(&project.name);
        if let Some(distro) = project.distros.get(name) {
            let version = upstream.version.as_ref().or(distro.default_version.as_ref());
            let branch = version.and_then(|version| distro.versions.get(version)?.dist_git_branch.as_ref());
            let distro = serde_json::json!({
                "dist-git-base-uri": distro.dist_git_base_uri,
                "lookaside-base-uri": distro.lookaside_base_uri,
                "dist-git-branch": branch,
            });
            all.insert(format!("distros.{name}"), distro);
        }
    }
    let mut folder = None;
    if let Some(Spec::Local { path }) = &component.spec {
        let above = path.parent().unwrap_or(Path::new("/"));
        // A folder with a whole tree in it, this one or a base, is no SPEC's own: locks lie there, and other SPECs.
        if !project.trees.iter().any(|tree| tree.root.starts_with(above)) && !project.root.starts_with(above)
        {
            folder = above.strip_prefix(top).ok().map(Path::to_owned);
        }
    }
    Ok(Inputs {
        settings: Value::Object(all),
        folder,
        files,
    })
}

/// The keys, as the configuration writes them, whose values differ. Lists are one value.
pub fn differing(one: &Value, other: &Value) -> Vec<String> {
    let mut keys = Vec::new();
    differ("", one, other, &mut keys);
    let named = |key: String| {
        let known = KEYS.iter().find(|(field, _)| *field == key);
        let last = KEYS[18..].iter().find(|(field, _)| {
            let end = key.strip_suffix(field);
            end.is_some_and(|start| start.starts_with("packages.") && start.ends_with('.'))
        });
        match (known, last) {
            (Some((_, name)), _) => (*name).to_owned(),
            (None, Some((field, name))) => format!("{}{name}", key.strip_suffix(field).unwrap_or_default()),
            (None, None) => key,
        }
    };
    keys.into_iter().map(named).collect()
}

fn differ(path: &str, one: &Value, other: &Value, keys: &mut Vec<String>) {
    let none = Map::new();
    let (one_map, other_map) = match (one, other) {
        _ if one == other => return,
        (Value::Object(one), Value::Object(other)) => (one, other),
        (Value::Object(one), Value::Null) if !path.is_empty() => (one, &none),
        (Value::Null, Value::Object(other)) if !path.is_empty() => (&none, other),
        _ => return keys.push(path.to_owned()),
    };
    let names: BTreeSet<&String> = one_map.keys().chain(other_map.keys()).collect();
    for name in names {
        let path = match path {
            "" => name.clone(),
            path => format!("{path}.{name}"),
        };
        let value = |map: &'_ Map<String, Value>| map.get(name).cloned().unwrap_or_default();
        differ(&path, &value(one_map), &value(other_map), keys);
    }
}

/// Makes paths in `top` relative, collects those of files, and forgets where something is written.
fn relative(value: &mut Value, top: &Path, files: &mut BTreeSet<PathBuf>) {
    match value {
        Value::String(text) => {
            let path = Path::new(text.as_str());
            let Ok(inside) = path.strip_prefix(top) else {
                return;
            };
            let inside = inside.to_owned();
            // A link may lead to a device that never ends.
            if path.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
                files.insert(inside.clone());
            }
            *text = inside.to_string_lossy().into_owned();
        }
        Value::Array(items) => items.iter_mut().for_each(|item| relative(item, top, files)),
        Value::Object(entries) => {
            entries.remove("defined_at");
            entries.values_mut().for_each(|entry| relative(entry, top, files));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_the_configurations() {
        let one = json!({"semantics": "lines", "build": {"check": {"skip": false}, "defines": {"a": "1"}}, "l": [1],
            "packages": {"x_y": {"rpm_channel": "a"}}});
        let other = json!({"semantics": "structural", "build": {"check": {"skip": true}, "defines": {}}, "l": [2],
            "packages": {}});
        assert_eq!(
            differing(&one, &other),
            [
                "build.check.skip",
                "build.defines.a",
                "l",
                "packages.x_y.rpm-channel",
                "overlay-semantics"
            ]
        );
    }
}
