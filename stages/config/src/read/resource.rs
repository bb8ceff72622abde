//! `[resources]`: repositories of packages, sets of them, and what versions of distributions take from them.

use std::collections::BTreeMap;

use crate::{
    Input, Inputs, Repositories, Repository,
    model::REPOSITORY,
    table::{Table, Text},
    tree::Place,
};

/// Every repository by its name, sets unfolded.
pub(crate) fn read(root: &Table<'_>) -> Repositories {
    let mut all = Repositories::default();
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    let Some(resources) = root.table("resources") else {
        return all;
    };
    for (name, table) in resources.named("rpm-repos") {
        check_name(&table, name, table.at);
        all.repositories.insert(name.to_owned(), repository(&table));
        places.insert(name.to_owned(), table.at);
    }
    for (_, template) in resources.named("rpm-repo-set-templates") {
        let mut seen = Vec::new();
        for subrepo in template.tables("subrepos") {
            let Some(name) = subrepo.text("name") else {
                continue;
            };
            if seen.contains(&name.value) {
                let message = format!("`{}` is twice in {}", name.value, template.title());
                template.report(name.at, message);
            }
            seen.push(name.value);
        }
    }
    for (name, table) in resources.named("rpm-repo-sets") {
        check_name(&table, name, table.at);
        let members = members(&resources, &table);
        for (member, repository) in &members {
            if let Some(first) = places.insert(member.clone(), table.at) {
                let message = format!("{} makes a second repository `{member}`", table.title());
                let wrong = table.wrong(table.at, message);
                let first = table.sources.location(first);
                table.problems.push(
                    wrong
                        .cause(format!("the first is of {first}"))
                        .hint("another `name-prefix` makes other names"),
                );
            }
            all.repositories.insert(member.clone(), repository.clone());
        }
        let names = members.into_iter().map(|(name, _)| name).collect();
        all.sets.insert(name.to_owned(), names);
    }
    all
}

fn check_name(table: &Table<'_>, name: &str, at: Place) {
    if let Some(message) = (REPOSITORY.wrong)("name", name) {
        table.report(at, message);
    }
}

fn repository(table: &Table<'_>) -> Repository {
    let repository = Repository {
        description: table.string_or_empty("description"),
        base_uri: table.string("base-uri"),
        metalink: table.string("metalink"),
        gpg_key: gpg_key(table),
        check_signatures: !table.boolean("disable-gpg-check"),
        arches: table.texts("arches"),
        kind: "binary".to_owned(),
    };
    match (&repository.base_uri, &repository.metalink) {
        (None, None) => table.report(
            table.at,
            format!("{} needs `base-uri` or `metalink`", table.title()),
        ),
        (Some(_), Some(_)) => table.report(
            table.key_at("metalink"),
            "`base-uri` and `metalink` exclude each other",
        ),
        _ => {}
    }
    needs_key(table, &repository);
    repository
}

fn needs_key(table: &Table<'_>, repository: &Repository) {
    if repository.check_signatures && repository.gpg_key.is_none() {
        let wrong = table.wrong(table.at, format!("{} needs a `gpg-key`", table.title()));
        table
            .problems
            .push(wrong.hint("`disable-gpg-check = true` takes packages that nobody signed"));
    }
}

/// A path becomes a `file://` URL.
fn gpg_key(table: &Table<'_>) -> Option<String> {
    let key = table.text("gpg-key")?;
    if key.value.contains("://") {
        return Some(key.value.to_owned());
    }
    let path = table.sources.resolve(key.at, key.value);
    Some(format!("file://{}", path.display()))
}

/// The repositories that a set stands for, in the template's order.
fn members(resources: &Table<'_>, set: &Table<'_>) -> Vec<(String, Repository)> {
    let Some(wanted) = set.text("template") else {
        return Vec::new();
    };
    let templates = resources.named("rpm-repo-set-templates");
    let Some((_, template)) = templates.iter().find(|(name, _)| *name == wanted.value) else {
        let message = format!(
            "there is no `[resources.rpm-repo-set-templates.{}]`",
            wanted.value
        );
        let known = templates.iter().map(|(name, _)| *name);
        set.problems
            .push(set.wrong(wanted.at, message).did_you_mean(wanted.value, known));
        return Vec::new();
    };
    let subrepos = template.tables("subrepos");
    let only: Vec<Text<'_>> = set.strings("subrepos");
    for name in &only {
        let known = |subrepo: &Table<'_>| {
            subrepo
                .text("name")
                .is_some_and(|known| known.value == name.value)
        };
        if !subrepos.iter().any(known) {
            let message = format!("template `{}` has no `{}`", wanted.value, name.value);
            set.report(name.at, message);
        }
    }
    let shared = Repository {
        description: set.string_or_empty("description"),
        base_uri: None,
        metalink: None,
        gpg_key: gpg_key(set),
        check_signatures: !set.boolean("disable-gpg-check"),
        arches: set.texts("arches"),
        kind: String::new(),
    };
    needs_key(set, &shared);
    let (prefix, base) = (set.string_or_empty("name-prefix"), set.string("base-uri"));
    let mut members = Vec::new();
    for subrepo in subrepos {
        let (Some(name), Some(path)) = (subrepo.text("name"), subrepo.string("subpath")) else {
            continue;
        };
        let full = format!("{prefix}{}", name.value);
        if members.iter().any(|(member, _)| *member == full) {
            continue; // The template was told so.
        }
        if !only.is_empty() && !only.iter().any(|wanted| wanted.value == name.value) {
            continue;
        }
        check_name(set, &full, set.key_at("name-prefix"));
        let base_uri = base
            .as_ref()
            .map(|base| format!("{}/{path}", base.trim_end_matches('/')));
        let kind = subrepo.string("kind").unwrap_or_else(|| "binary".to_owned());
        members.push((
            full,
            Repository {
                base_uri,
                kind,
                ..shared.clone()
            },
        ));
    }
    members
}

/// `inputs` of a version; names that nothing defines are reported.
pub(crate) fn inputs(version: &Table<'_>, all: &Repositories) -> Inputs {
    let Some(table) = version.table("inputs") else {
        return Inputs::default();
    };
    Inputs {
        rpm_build: list(&table, "rpm-build", all),
        image_build: list(&table, "image-build", all),
    }
}

fn list(table: &Table<'_>, key: &str, all: &Repositories) -> Vec<Input> {
    let mut list = Vec::new();
    let mut seen = Vec::new();
    for entry in table.tables(key) {
        let (name, input, names) = match (entry.text("repo"), entry.text("set")) {
            (Some(repo), None) => {
                let known = all.repositories.contains_key(repo.value);
                let names = known.then(|| vec![repo.value.to_owned()]);
                (repo, Input::Repo(repo.value.to_owned()), names)
            }
            (None, Some(set)) => {
                let names = all.sets.get(set.value).cloned();
                (set, Input::Set(set.value.to_owned()), names)
            }
            _ => {
                entry.report(entry.at, format!("{} has either `repo` or `set`", entry.title()));
                continue;
            }
        };
        let Some(names) = names else {
            let (what, known): (_, Vec<&String>) = match input {
                Input::Repo(_) => ("repository", all.repositories.keys().collect()),
                Input::Set(_) => ("set of repositories", all.sets.keys().collect()),
            };
            let message = format!("there is no {what} `{}`", name.value);
            let known = known.into_iter().map(String::as_str);
            entry
                .problems
                .push(entry.wrong(name.at, message).did_you_mean(name.value, known));
            continue;
        };
        for member in names {
            if seen.contains(&member) {
                entry.report(name.at, format!("repository `{member}` is twice in `{key}`"));
            }
            let of_member = all.repositories.get(&member);
            let is_local = |key: &String| key.starts_with("file://");
            if key == "rpm-build"
                && of_member.is_some_and(|repository| repository.gpg_key.as_ref().is_some_and(is_local))
            {
                let message = format!(
                    "the `gpg-key` of repository `{member}` is a file of this machine, which a build root does not see"
                );
                entry.report(name.at, message);
            }
            seen.push(member);
        }
        list.push(input);
    }
    list
}
