//! What Keel Linux's files say twice, they say alike.

use std::collections::BTreeSet;

use crate::harness::root;

/// Kind (`u`, `g`), name and number.
type Accounts = BTreeSet<(char, String, i64)>;

#[test]
fn the_registry_of_users_and_sysusers_agree() {
    let registry = fs_err::read_to_string(root().join("distro/users.toml")).unwrap();
    let registry: toml::Table = registry.parse().unwrap();
    let mut registered = Accounts::new();
    for user in registry["user"].as_array().unwrap() {
        let (name, id) = (user["name"].as_str().unwrap(), user["id"].as_integer().unwrap());
        registered.insert(('u', name.to_owned(), id));
    }
    for (name, id) in registry["groups"].as_table().unwrap() {
        registered.insert(('g', name.clone(), id.as_integer().unwrap()));
    }
    let sysusers = fs_err::read_to_string(root().join("distro/specs/filesystem/00-keel.sysusers")).unwrap();
    let mut declared = Accounts::new();
    for line in sysusers
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        let kind = words[0].chars().next().unwrap();
        declared.insert((kind, words[1].to_owned(), words[2].parse().unwrap()));
    }
    assert_eq!(registered, declared);
}
