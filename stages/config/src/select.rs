//! Choosing components: by patterns of names, by groups, or all.

use std::collections::BTreeSet;

use crate::{
    Component, Diagnostic, Errors, Project,
    glob::{self, Glob},
};

/// Which components are meant; nothing said means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Names, or patterns of names (`*`, `?`, `[…]`).
    pub patterns: Vec<String>,
    /// Names of groups of components.
    pub groups: Vec<String>,
}

/// The components that are meant, by name.
///
/// Fails for a pattern or group that means none.
pub fn select<'p>(project: &'p Project, selection: &Selection) -> Result<Vec<&'p Component>, Errors> {
    if selection.patterns.is_empty() && selection.groups.is_empty() {
        return Ok(project.components.values().collect());
    }
    let (mut chosen, mut wrong) = (BTreeSet::new(), Vec::new());
    for pattern in &selection.patterns {
        let glob = match Glob::new(pattern) {
            Ok(glob) => glob,
            Err(error) => {
                let message = format!("`{pattern}` is no pattern of names");
                wrong.push(Diagnostic::new(message).cause(error.to_string()));
                continue;
            }
        };
        let before = chosen.len();
        let names = project.components.keys();
        let fitting = names.filter(|name| glob.fits(name.as_str()));
        let mut any = false;
        for name in fitting {
            any = true;
            chosen.insert(name);
        }
        if !any && chosen.len() == before {
            let what = if glob::is_pattern(pattern) {
                "no component is called like"
            } else {
                "no such component:"
            };
            let known = project.components.keys().map(|name| name.as_str());
            wrong.push(Diagnostic::new(format!("{what} `{pattern}`")).did_you_mean(pattern, known));
        }
    }
    for name in &selection.groups {
        if !project.component_groups.contains_key(name) {
            let known = project.component_groups.keys().map(String::as_str);
            wrong.push(Diagnostic::new(format!("no such group: `{name}`")).did_you_mean(name, known));
        }
        let of_group = |component: &&Component| component.groups.contains(name);
        chosen.extend(
            project
                .components
                .values()
                .filter(of_group)
                .map(|component| &component.name),
        );
    }
    let components = chosen.into_iter().filter_map(|name| project.components.get(name));
    Errors::check(components.collect(), wrong)
}
