//! Which files rpm reads, and in which order: the default of `--macros` and `--rcfile` (rpm's macros manual, `rpm(8)`).
//!
//! The user's own (`~/.rpmmacros`, `~/.config/rpm`) are never among them.

use crate::macros::{Behaviour, pattern_matches};

use super::{
    target::Target,
    tree::{CONFIG, ETC, Tree},
};

/// Folders of rpm's own; any other that holds macros is the vendor's.
const OWN: [&str; 4] = ["fileattrs", "lua", "macros.d", "platform"];

/// The vendors whose folders a tree has; a folder by several names counts once.
pub(super) fn vendors(tree: &Tree) -> Vec<String> {
    let file = |vendor: &str, name: &str| format!("{CONFIG}/{vendor}/{name}");
    let mut vendors: Vec<String> = Vec::new();
    for name in tree.list(CONFIG) {
        let has = |wanted: &str| tree.is_file(&file(&name, wanted));
        let same = |other: &String| tree.is_same(&file(&name, "macros"), &file(other, "macros"));
        let is_vendor = !OWN.contains(&name.as_str()) && (has("macros") || has("rpmrc"));
        if is_vendor && !vendors.iter().any(same) {
            vendors.push(name);
        }
    }
    vendors
}

/// Files with architectures and compiler flags.
pub(super) fn rpmrc_files(tree: &Tree, vendor: Option<&str>) -> Vec<String> {
    let vendor = vendor.map(|vendor| format!("{CONFIG}/{vendor}/rpmrc"));
    let first = [
        Some(format!("{CONFIG}/rpmrc")),
        vendor,
        Some("/etc/rpmrc".to_owned()),
    ];
    let there = |path: &String| tree.is_file(path);
    first.into_iter().flatten().filter(there).collect()
}

/// Macro files.
pub(super) fn macro_files(
    tree: &Tree,
    vendor: Option<&str>,
    target: &Target,
    behaviour: Behaviour,
) -> Vec<String> {
    let mut places = vec![
        (CONFIG.to_owned(), "macros"),
        (format!("{CONFIG}/macros.d"), "macros.*"),
        (format!("{CONFIG}/platform/{target}"), "macros"),
        (format!("{CONFIG}/fileattrs"), "*.attr"),
    ];
    places.extend(vendor.map(|vendor| (format!("{CONFIG}/{vendor}"), "macros")));
    places.extend([
        (ETC.to_owned(), "macros.*"),
        (ETC.to_owned(), "macros"),
        (format!("{ETC}/{target}"), "macros"),
    ]);
    let mut files = Vec::new();
    for (folder, pattern) in places {
        let names = tree.list(&folder).into_iter();
        let names = names.filter(|name| pattern_matches(pattern, name) && is_read(name, behaviour));
        let paths = names.map(|name| format!("{folder}/{name}"));
        files.extend(paths.filter(|path| tree.is_file(path)));
    }
    files
}

/// Is it no leftover of an update or of an editor?
pub(super) fn is_read(name: &str, behaviour: Behaviour) -> bool {
    let leftover = [".rpmnew", ".rpmsave", ".rpmorig"]
        .iter()
        .any(|suffix| name.ends_with(suffix));
    let odd = !name.ends_with(|c: char| c.is_ascii_alphanumeric());
    !(leftover || odd && behaviour > Behaviour::Rpm418)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_in_rpms_order() {
        let mut tree = Tree::new();
        for path in [
            "/usr/lib/rpm/macros",
            "/usr/lib/rpm/macros.d/macros.b",
            "/usr/lib/rpm/macros.d/macros.B",
            "/usr/lib/rpm/macros.d/macros.a~",
            "/usr/lib/rpm/macros.d/macros.a.rpmnew",
            "/usr/lib/rpm/macros.d/other",
            "/usr/lib/rpm/platform/x86_64-linux/macros",
            "/usr/lib/rpm/platform/i686-linux/macros",
            "/usr/lib/rpm/fileattrs/z.attr",
            "/usr/lib/rpm/acme/macros",
            "/etc/rpm/macros.local",
            "/etc/rpm/macros",
        ] {
            tree.add_bytes(*b"", path);
        }
        let target = "x86_64".parse().unwrap();
        assert_eq!(vendors(&tree), ["acme"]);
        let files = macro_files(&tree, Some("acme"), &target, Behaviour::Rpm420);
        let expected = [
            "/usr/lib/rpm/macros",
            "/usr/lib/rpm/macros.d/macros.B",
            "/usr/lib/rpm/macros.d/macros.b",
            "/usr/lib/rpm/platform/x86_64-linux/macros",
            "/usr/lib/rpm/fileattrs/z.attr",
            "/usr/lib/rpm/acme/macros",
            "/etc/rpm/macros.local",
            "/etc/rpm/macros",
        ];
        assert_eq!(files, expected);
        let files = macro_files(&tree, None, &target, Behaviour::Rpm418);
        assert!(files.contains(&"/usr/lib/rpm/macros.d/macros.a~".to_owned()));
    }
}
