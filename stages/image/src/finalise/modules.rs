//! Modules of the kernel: what is loaded at each boot, what is not loaded, and with which parameters.

use std::collections::BTreeSet;

use keel_config::{
    Diagnostic,
    image::os::{LoadMode, Module},
};

use super::Make;
use crate::{
    Error,
    accounts::root_path,
    tree::{Kind, Tree},
};

/// modules-load.d(5).
const LOAD: &str = "/usr/lib/modules-load.d/keel-image.conf";
/// modprobe.d(5).
const MODPROBE: &str = "/usr/lib/modprobe.d/keel-image.conf";
/// Where kernels lie, a folder each.
const KERNELS: &str = "/usr/lib/modules";
/// No list of modules is larger.
const LIMIT: u64 = 4 << 20;

/// Writes the files; a module that no kernel of the image has is told.
pub(super) fn apply(make: &mut Make<'_>, modules: &[Module]) -> Result<Vec<Diagnostic>, Error> {
    let there = There::read(make.tree)?;
    let (mut load, mut modprobe) = (String::new(), String::new());
    let mut wrong = Vec::new();
    for module in modules {
        let name = &module.name;
        let refuse = |why: String| Diagnostic::new(why).at(module.defined_at.clone());
        let plain = plain(name);
        let (is_file, is_builtin) = (there.files.contains(&plain), there.builtin.contains(&plain));
        if module.load_mode != Some(LoadMode::Disable) && !is_file && !is_builtin {
            let known = there.files.iter().chain(&there.builtin).map(String::as_str);
            let message = format!("no kernel of the image has a module `{name}`");
            wrong.push(refuse(message).did_you_mean(&plain, known));
            continue;
        }
        if !module.options.is_empty() && !is_file {
            let message =
                format!("`{name}` is built into the kernel, which takes no parameters from modprobe.d");
            let words: Vec<String> = (module.options.iter())
                .map(|(key, value)| format!("\"{name}.{key}={value}\""))
                .collect();
            let hint = format!("kernel-command-line = [{}]", words.join(", "));
            wrong.push(refuse(message).hint(hint));
            continue;
        }
        match module.load_mode {
            Some(LoadMode::Always) if is_file => load.push_str(&format!("{name}\n")),
            Some(LoadMode::Disable) => modprobe.push_str(&format!("blacklist {name}\n")),
            Some(LoadMode::Always | LoadMode::Auto) | None => {}
        }
        if !module.options.is_empty() {
            let words = module
                .options
                .iter()
                .map(|(key, value)| format!(" {key}={value}"));
            modprobe.push_str(&format!("options {name}{}\n", words.collect::<String>()));
        }
    }
    for (path, text) in [(LOAD, load), (MODPROBE, modprobe)] {
        if !text.is_empty() {
            make.file(&root_path(path), 0o644, text);
        }
    }
    Ok(wrong)
}

/// Modules of the image's kernels.
#[derive(Default)]
struct There {
    files: BTreeSet<String>,
    builtin: BTreeSet<String>,
}

impl There {
    fn read(tree: &Tree) -> Result<Self, Error> {
        let mut there = Self::default();
        for (path, node) in tree.under(&root_path(KERNELS)) {
            let Kind::File(file) = &node.kind else { continue };
            if let Some(name) = of_file(path.file_name()) {
                there.files.insert(name);
            } else if path.file_name() == "modules.builtin" {
                let text = tree.read(path, file, LIMIT)?;
                let text = String::from_utf8_lossy(&text);
                there
                    .builtin
                    .extend(text.lines().filter_map(|line| of_file(line.rsplit('/').next()?)));
            }
        }
        Ok(there)
    }
}

/// `br-netfilter.ko.zst` → `br_netfilter`.
fn of_file(name: &str) -> Option<String> {
    let (stem, end) = name.split_once(".ko")?;
    matches!(end, "" | ".gz" | ".xz" | ".zst").then(|| plain(stem))
}

/// `-` and `_` are the same in names of modules.
fn plain(name: &str) -> String {
    name.replace('-', "_")
}
