//! Labels of SELinux, which the policy of an image gives its files (selabel_file(5)).
//!
//! A label is an attribute of the tree ([`ATTRIBUTE`]), and so is in every file system that is made of it: nothing is written to
//! a file of this machine, whose kernel may know no such label. Layers of containers and distributions for WSL have none:
//! there the machine that runs them says what they may do.

mod contexts;

use std::collections::BTreeMap;

use keel_artefact::RootPath;
use keel_config::{
    Diagnostic,
    image::{
        Format,
        os::{Os, SelinuxMode},
    },
};
use serde::{Deserialize, Serialize};

use crate::{
    Error,
    accounts::{root_path, text},
    finalise::Make,
    tree::{Kind, Tree},
};

use contexts::{Contexts, FILES};

/// The attribute that a label is. Its value ends with a NUL byte, as libselinux writes it.
pub const ATTRIBUTE: &str = "security.selinux";

/// Where policies lie, a folder each.
const POLICIES: &str = "/etc/selinux";
/// Which of them counts, and what becomes of it (selinux_config(5)).
const CONFIG: &str = "/etc/selinux/config";
/// Where kernels lie, a folder each, with their configuration.
const KERNELS: &str = "/usr/lib/modules";
/// No file of a policy is larger.
const LIMIT: u64 = 32 << 20;

/// What was labelled: in `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labels {
    /// The policy, a folder of `/etc/selinux`.
    pub policy: String,
    /// Paths with a label.
    pub labelled: u64,
    /// Paths of which the policy says nothing, or that they have none.
    pub unlabelled: u64,
}

/// Writes what the definition says of SELinux to the image's `/etc/selinux/config`. What it asks for and the image does not have
/// is told.
pub(crate) fn configure(make: &mut Make<'_>, os: &Os) -> Result<Vec<Diagnostic>, Error> {
    let Some(selinux) = &os.selinux else {
        return Ok(Vec::new());
    };
    let there = text(make.tree, CONFIG)?.unwrap_or_default();
    let policies = policies(make.tree);
    let refuse = |why: String| Diagnostic::new(why).at(selinux.defined_at.clone());
    if selinux.mode == SelinuxMode::Disabled && there.is_empty() && policies.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = selinux.policy.clone().or_else(|| setting(&there, "SELINUXTYPE"));
    let known = || policies.iter().map(String::as_str);
    let policy = match (wanted, policies.as_slice()) {
        _ if selinux.mode == SelinuxMode::Disabled => None,
        (Some(policy), _) if policies.contains(&policy) => Some(policy),
        (Some(policy), [_, ..]) => {
            let why = format!("no package of the image has the policy `{policy}` of SELinux");
            return Ok(vec![refuse(why).did_you_mean(&policy, known())]);
        }
        (None, [only]) => Some(only.clone()),
        (None, [_, _, ..]) => {
            let why = format!(
                "the image has several policies of SELinux: `{}`",
                policies.join("`, `")
            );
            let hint = format!("say which one counts: policy = \"{}\"", policies[0]);
            return Ok(vec![refuse(why).hint(hint)]);
        }
        (_, []) => {
            let why = "no package of the image has a policy of SELinux (`/etc/selinux/NAME/contexts/files/file_contexts`)";
            let hint = "add the package of a policy, or say `mode = \"disabled\"`";
            return Ok(vec![refuse(why.to_owned()).hint(hint)]);
        }
    };
    if selinux.mode != SelinuxMode::Disabled
        && let Some(config) = without_selinux(make.tree)?
    {
        let why = format!("the kernel of `{config}` has no SELinux (CONFIG_SECURITY_SELINUX)");
        return Ok(vec![refuse(why)]);
    }
    let mut content = with(&there, "SELINUX", selinux.mode.config());
    if let Some(policy) = policy {
        content = with(&content, "SELINUXTYPE", &policy);
    }
    if content != there {
        make.file(&root_path(CONFIG), 0o644, content);
    }
    Ok(Vec::new())
}

/// The configuration of a kernel that cannot follow a policy.
fn without_selinux(tree: &Tree) -> Result<Option<RootPath>, Error> {
    for (path, node) in tree.under(&root_path(KERNELS)) {
        if let ("config", Kind::File(file)) = (path.file_name(), &node.kind) {
            let config = tree.read(path, file, LIMIT)?;
            let config = String::from_utf8_lossy(&config);
            if setting(&config, "CONFIG_SECURITY_SELINUX").as_deref() != Some("y") {
                return Ok(Some(path.clone()));
            }
        }
    }
    Ok(None)
}

/// Labels everything in the tree, if it has a policy that is in use and one of `formats` has labels.
pub(crate) fn label(tree: &mut Tree, formats: &[Format]) -> Result<Option<Labels>, Error> {
    let config = text(tree, CONFIG)?.unwrap_or_default();
    let is_off = setting(&config, "SELINUX").is_some_and(|mode| mode.eq_ignore_ascii_case("disabled"));
    let policy = setting(&config, "SELINUXTYPE").filter(|policy| policies(tree).contains(policy));
    let Some(policy) = policy.filter(|_| !is_off && formats.iter().any(|format| format.has_labels())) else {
        return Ok(None);
    };
    let failed = |wrong: contexts::Wrong| Error::Label {
        file: wrong.file,
        line: wrong.line,
        why: wrong.why,
    };
    let mut contexts = Contexts::default();
    for (name, meaning) in FILES {
        let path = place(&policy, name);
        if let Some((path, file)) = tree.follow(&path).and_then(|(path, node)| match &node.kind {
            Kind::File(file) => Some((path, file)),
            _ => None,
        }) {
            let bytes = tree.read(&path, file, LIMIT)?;
            contexts
                .read(path, meaning, &String::from_utf8_lossy(&bytes))
                .map_err(failed)?;
        }
    }
    let mut found: BTreeMap<RootPath, Vec<u8>> = BTreeMap::new();
    for (path, node) in tree.nodes() {
        if let Some(context) = contexts.of(path, &node.kind).map_err(failed)? {
            found.insert(path.clone(), [context.as_bytes(), b"\0"].concat());
        }
    }
    let labels = Labels {
        policy,
        labelled: found.len() as u64,
        unlabelled: (tree.nodes().len() - found.len()) as u64,
    };
    for (path, label) in found {
        if let Some(node) = tree.get_mut(&path) {
            node.xattrs.insert(ATTRIBUTE.to_owned(), label);
        }
    }
    Ok(Some(labels))
}

/// A file of a policy's.
fn place(policy: &str, name: &str) -> RootPath {
    let folder = root_path(POLICIES);
    let path = folder.join(&format!("{policy}/contexts/files/{name}"));
    path.unwrap_or(folder)
}

/// The policies that say how files are labelled.
fn policies(tree: &Tree) -> Vec<String> {
    let folder = root_path(POLICIES);
    let names = tree.under(&folder).filter_map(|(path, _)| {
        let (name, rest) = path
            .as_str()
            .strip_prefix(POLICIES)?
            .strip_prefix('/')?
            .split_once('/')?;
        (rest == "contexts/files/file_contexts").then(|| name.to_owned())
    });
    names.collect()
}

/// What a file of lines `KEY=VALUE` says last of a key.
fn setting(config: &str, key: &str) -> Option<String> {
    let mut values = config.lines().rev().filter_map(|line| value(line, key));
    values.next().map(str::to_owned)
}

fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let value = line.trim_ascii().strip_prefix(key)?.strip_prefix('=')?;
    Some(value.trim_ascii())
}

/// The file with this value of a key, in place of all that it says of it.
fn with(config: &str, key: &str, wanted: &str) -> String {
    let others = config.lines().filter(|line| value(line, key).is_none());
    let mut lines: Vec<String> = others.map(str::to_owned).collect();
    lines.push(format!("{key}={wanted}\n"));
    match setting(config, key).as_deref() == Some(wanted) {
        true => config.to_owned(),
        false => lines.join("\n"),
    }
}

#[cfg(test)]
mod tests;
