//! Which units of an image start: its presets, applied as `systemctl preset-all` would on a first boot, because a
//! read-only root has no other chance.
//!
//! Formats: systemd.preset(5), section `[Install]` of systemd.unit(5).

use std::collections::{BTreeMap, BTreeSet};

use keel_artefact::RootPath;
use keel_config::{
    Diagnostic,
    image::os::{Services, Unit as Said},
};

use crate::{
    Error,
    accounts::root_path,
    finalise::Make,
    tree::{Kind, Tree},
};

const UNITS: &str = "/usr/lib/systemd/system";
const ENABLED: &str = "/etc/systemd/system";
const PRESETS: [&str; 2] = ["/etc/systemd/system-preset", "/usr/lib/systemd/system-preset"];
/// No unit or preset file is larger.
const LIMIT: u64 = 1024 * 1024;

/// The preset of an image's definition; nothing sorts before it, so that it wins on the running system, too.
const OWN: &str = "/usr/lib/systemd/system-preset/00-00-keel-image.preset";

/// Links the units that the tree's presets enable, and those of the image's definition; what it asks for in vain is told.
pub(crate) fn apply(make: &mut Make<'_>, services: &Services) -> Result<Vec<Diagnostic>, Error> {
    let presets = Presets::read(make.tree)?;
    let units = units(make.tree)?;
    let mut links: BTreeMap<String, String> = BTreeMap::new();
    for name in units.keys() {
        for instance in presets.enabled(name) {
            enable(name, &instance, &units, &mut links, &mut BTreeSet::new());
        }
    }
    let (mut wrong, mut preset) = (Vec::new(), String::new());
    for said in &services.disable {
        match found(said, &units) {
            Ok((unit, instance)) => {
                let full = |path: &str| path.rsplit('/').next() == Some(&said.name);
                links.retain(|path, of| *of != unit || !(instance.is_empty() || full(path)));
                preset.push_str(&format!("disable {}\n", said.name));
            }
            Err(why) => wrong.push(why),
        }
    }
    for said in &services.enable {
        match found(said, &units) {
            Ok((unit, instance)) => {
                enable(unit, instance, &units, &mut links, &mut BTreeSet::new());
                preset.push_str(format!("enable {unit} {instance}").trim_end());
                preset.push('\n');
            }
            Err(why) => wrong.push(why),
        }
    }
    if !preset.is_empty() {
        make.file(
            &root_path(OWN),
            0o644,
            format!("# The image's definition.\n{preset}"),
        );
    }
    let folder = root_path(ENABLED);
    for (name, unit) in links {
        let path = folder.join(&name).map_err(|_| Error::Unwritable {
            path: folder.clone(),
            format: "an enabled unit",
            why: format!("`{name}` is no name of a unit"),
        })?;
        make.link(&path, &format!("{}/{unit}", units[&unit].folder));
    }
    Ok(wrong)
}

/// The unit's file and the instance of it that a definition means.
fn found<'s>(said: &'s Said, units: &'s BTreeMap<String, Unit>) -> Result<(&'s str, &'s str), Diagnostic> {
    let (file, instance) = match said
        .name
        .split_once('@')
        .and_then(|(prefix, rest)| Some((prefix, rest.rsplit_once('.')?)))
    {
        Some((prefix, (instance, kind))) => (format!("{prefix}@.{kind}"), instance),
        None => (said.name.clone(), ""),
    };
    let refuse = |why: String| Diagnostic::new(why).at(said.defined_at.clone());
    let Some((name, unit)) = units.get_key_value(&file) else {
        let message = format!("the image has no unit `{file}`");
        return Err(refuse(message).did_you_mean(&file, units.keys().map(String::as_str)));
    };
    if unit.install == Install::default() {
        let message = format!(
            "unit `{file}` has no `[Install]` section: it starts when another unit asks for it, or never"
        );
        return Err(refuse(message));
    }
    if file.contains("@.") && instance.is_empty() && unit.install.default_instance.is_none() {
        let message = format!("unit `{file}` is a template: say which instance of it");
        return Err(refuse(message));
    }
    Ok((name, instance))
}

/// A unit's file.
#[derive(Debug)]
struct Unit {
    folder: &'static str,
    install: Install,
}

/// What a unit's `[Install]` section says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Install {
    /// `multi-user.target.wants`, `x.requires`, …
    folders: Vec<String>,
    aliases: Vec<String>,
    also: Vec<String>,
    default_instance: Option<String>,
}

/// All units; one of /etc wins over one of /usr.
fn units(tree: &Tree) -> Result<BTreeMap<String, Unit>, Error> {
    let mut units = BTreeMap::new();
    for folder in [UNITS, ENABLED] {
        let at = root_path(folder);
        for (path, node) in tree.under(&at) {
            // Links are aliases or masks; folders hold drop-ins.
            if let Kind::File(file) = &node.kind
                && path.parent().as_ref() == Some(&at)
            {
                let text = tree.read(path, file, LIMIT)?;
                let install = install(&String::from_utf8_lossy(&text));
                units.insert(path.file_name().to_owned(), Unit { folder, install });
            }
        }
    }
    Ok(units)
}

fn install(unit: &str) -> Install {
    let mut install = Install::default();
    let mut inside = false;
    for line in unit.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[Install]";
        }
        let Some((key, value)) = line
            .split_once('=')
            .filter(|_| inside && !line.starts_with(['#', ';']))
        else {
            continue;
        };
        let words = || value.split_whitespace().map(str::to_owned);
        let folders = |suffix: &str| words().map(|word| format!("{word}.{suffix}")).collect::<Vec<_>>();
        match key.trim() {
            "WantedBy" => install.folders.extend(folders("wants")),
            "RequiredBy" => install.folders.extend(folders("requires")),
            "UpheldBy" => install.folders.extend(folders("upholds")),
            "Alias" => install.aliases.extend(words()),
            "Also" => install.also.extend(words()),
            "DefaultInstance" => install.default_instance = words().next(),
            _ => {}
        }
    }
    install
}

/// Adds the links of a unit (path under [`ENABLED`] → unit file), and of those it names in `Also=`.
fn enable(
    name: &str,
    instance: &str,
    units: &BTreeMap<String, Unit>,
    links: &mut BTreeMap<String, String>,
    seen: &mut BTreeSet<String>,
) {
    let Some(Unit { install, .. }) = units.get(name).filter(|_| seen.insert(name.to_owned())) else {
        return;
    };
    let full = match (name.split_once("@."), instance, &install.default_instance) {
        (None, ..) => name.to_owned(),
        (Some((prefix, kind)), "", Some(instance)) => format!("{prefix}@{instance}.{kind}"),
        // A template without an instance cannot be wanted by anything.
        (Some(_), "", None) => return,
        (Some((prefix, kind)), instance, _) => format!("{prefix}@{instance}.{kind}"),
    };
    let given = full
        .split_once('@')
        .and_then(|(_, rest)| rest.rsplit_once('.'))
        .map_or("", |(given, _)| given);
    for folder in &install.folders {
        links.insert(format!("{}/{full}", folder.replace("%i", given)), name.to_owned());
    }
    for alias in &install.aliases {
        links.insert(alias.replace("%i", given), name.to_owned());
    }
    for other in &install.also {
        enable(other, "", units, links, seen);
    }
}

/// The rules, first match first.
struct Presets(Vec<(bool, String, Vec<String>)>);

impl Presets {
    fn read(tree: &Tree) -> Result<Self, Error> {
        let mut files: BTreeMap<String, RootPath> = BTreeMap::new();
        for folder in PRESETS.map(root_path) {
            for (path, _) in tree
                .under(&folder)
                .filter(|(path, _)| path.file_name().ends_with(".preset"))
            {
                files
                    .entry(path.file_name().to_owned())
                    .or_insert_with(|| path.clone());
            }
        }
        let mut rules = Vec::new();
        for path in files.values() {
            let Some(file) = tree.file(path) else { continue };
            let text = tree.read(path, file, LIMIT)?;
            for line in String::from_utf8_lossy(&text).lines().map(str::trim) {
                let mut words = line.split_whitespace().map(str::to_owned);
                match (words.next().as_deref(), words.next()) {
                    (Some("enable"), Some(pattern)) => rules.push((true, pattern, words.collect())),
                    (Some("disable" | "ignore"), Some(pattern)) => rules.push((false, pattern, Vec::new())),
                    _ => {}
                }
            }
        }
        Ok(Self(rules))
    }

    /// The instances of a unit that are enabled; the empty one for a plain unit or the default instance.
    fn enabled(&self, unit: &str) -> Vec<String> {
        match self.0.iter().find(|(_, pattern, _)| matches(pattern, unit)) {
            Some((false, ..)) => Vec::new(),
            Some((true, _, instances)) if !instances.is_empty() => instances.clone(),
            // systemd enables what no preset names.
            Some(_) | None => vec![String::new()],
        }
    }
}

/// fnmatch(3) with `*`, `?` and sets.
fn matches(pattern: &str, text: &str) -> bool {
    let (mut p, mut t) = (pattern.chars(), text.chars());
    match (p.next(), t.next()) {
        (None, None) => true,
        (Some('*'), None) => matches(p.as_str(), ""),
        (Some('*'), Some(_)) => matches(p.as_str(), text) || matches(pattern, t.as_str()),
        (Some('?'), Some(_)) => matches(p.as_str(), t.as_str()),
        (Some('['), Some(c)) => match p.as_str().split_once(']') {
            Some((set, rest)) => {
                let (negated, set) = set
                    .strip_prefix(['!', '^'])
                    .map_or((false, set), |set| (true, set));
                set.contains(c) != negated && matches(rest, t.as_str())
            }
            None => false,
        },
        (Some(a), Some(b)) => a == b && matches(p.as_str(), t.as_str()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{accounts::Accounts, finalise, tree::tests::tree};

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "a.service", true),
            ("systemd-*.service", "systemd-networkd.service", true),
            ("systemd-?.service", "systemd-ab.service", false),
            ("[ab].service", "b.service", true),
            ("[!ab].service", "b.service", false),
            ("a.service", "a.service.d", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn units_are_linked_as_systemctl_links_them() {
        let unit = |name: &str| format!("/usr/lib/systemd/system/{name}");
        let mut tree = tree(&[
            (
                "/usr/lib/systemd/system-preset/90-x.preset",
                "enable a.service\nenable t@.service one two\n",
            ),
            (
                "/usr/lib/systemd/system-preset/99-x.preset",
                "enable getty@.service\ndisable *\n",
            ),
            (
                &unit("a.service"),
                "[Install]\nWantedBy=multi-user.target\nAlso=a.socket\nAlias=b.service\n",
            ),
            (
                &unit("a.socket"),
                "[Install]\n# WantedBy=no\nWantedBy=sockets.target\n",
            ),
            (&unit("t@.service"), "[Install]\nRequiredBy=x-%i.target\n"),
            (
                &unit("getty@.service"),
                "[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n",
            ),
            (&unit("off.service"), "[Install]\nWantedBy=multi-user.target\n"),
            (&unit("static.service"), "[Service]\nWantedBy=nonsense\n"),
            (&unit("alias.service"), "-> a.service"),
        ]);
        let identity = finalise::Identity {
            systemd: true,
            ..Default::default()
        };
        let accounts = Accounts::read(&tree).unwrap();
        finalise::finalise(
            &mut tree,
            &accounts,
            &identity,
            &finalise::Added::default(),
            keel_artefact::Epoch(1),
        )
        .unwrap();
        let links: Vec<_> = tree
            .under(&root_path(ENABLED))
            .filter_map(|(path, node)| match &node.kind {
                Kind::Symlink(target) => Some(format!("{} {}", path.as_str(), target)),
                _ => None,
            })
            .map(|line| {
                line.replace("/etc/systemd/system/", "")
                    .replace("/usr/lib/systemd/system/", "")
            })
            .collect();
        assert_eq!(
            links,
            [
                "b.service a.service",
                "getty.target.wants/getty@tty1.service getty@.service",
                "multi-user.target.wants/a.service a.service",
                "sockets.target.wants/a.socket a.socket",
                "x-one.target.requires/t@one.service t@.service",
                "x-two.target.requires/t@two.service t@.service",
            ]
        );
    }
}
