//! Where a value comes from: every layer that says something, in order, and which of them counts.

use std::path::Path;

use serde::Serialize;

use crate::{
    Checkout, Diagnostic, Distro, Errors, Location,
    dump::{self, Plain, inline, plain},
    load::Layers,
    model::{Form, Key, Merge, ROOT},
    strict,
    table::join,
    tree::{Entries, Entry, Sources, Value},
};

/// One key, and where its value comes from.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The key, from the top: `components.bash.build.check.skip`.
    pub key: String,
    /// Its value as TOML; none if nothing says any and there is no default.
    pub value: Option<String>,
    /// What says it, lowest layer first; nothing if the value is a default.
    pub said: Vec<Said>,
}

/// What a layer says of a key.
#[derive(Debug, Clone, Serialize)]
pub struct Said {
    /// Which layer: `distribution azurelinux 4.0`, `project`, `group NAME`, `component`; `file` where there are none.
    pub layer: String,
    /// What it says, as TOML.
    pub value: String,
    /// Where.
    pub at: Location,
    /// Does it count? A list may count in part of several layers.
    pub counts: bool,
}

/// Explains `key` and, if it is a table, whatever is said below it.
///
/// Fails with everything that is wrong in any file, and for a key that there cannot be.
pub fn explain(dir: &Path, checkout: &Checkout<'_>, key: &str) -> Result<Vec<Explanation>, Errors> {
    let layers = Layers::read(dir, checkout)?;
    let project = layers.checked()?;
    let steps = steps(&layers, key)?;
    if let [table, component, ..] = &steps[..]
        && table.name == "components"
    {
        let mut known = project.components.keys().map(|name| name.as_str());
        if !known.clone().any(|name| name == component.name) {
            let message = format!("no such component: `{}`", component.name);
            return Err(Diagnostic::new(message)
                .did_you_mean(&component.name, &mut known)
                .into());
        }
    }
    let run = Run {
        layers: &layers,
        distro: &project.distro,
    };
    let mut explanations = run.explain(&steps);
    if let [table, component, rest @ ..] = &steps[..]
        && table.name == "components"
        && rest.first().is_none_or(|key| key.name == OVERLAYS)
    {
        run.add_files(&component.name, &mut explanations);
    }
    Ok(explanations)
}

/// The key whose items are told one by one, and together with those of overlay files.
const OVERLAYS: &str = "overlays";

/// A key on the way from the top.
struct Step {
    name: String,
    /// None for a name that people chose.
    key: Option<&'static Key>,
    below: Below,
}

/// The keys on the way to `key`. Names that people chose may have dots.
fn steps(layers: &Layers, key: &str) -> Result<Vec<Step>, Errors> {
    let unknown = |part: &str, known: Vec<&str>| {
        let message = format!("there is no key `{part}` in `{key}`");
        Errors::from(Diagnostic::new(message).did_you_mean(part, known))
    };
    let mut rest = key.trim();
    let mut steps: Vec<Step> = Vec::new();
    let mut value = Some(&layers.merged);
    static TOP: Form = Form::Table(&ROOT);
    let mut below = Below::Form(&TOP);
    while !rest.is_empty() {
        let names = value.and_then(Value::entries);
        let (name, key, next, after) = match below {
            Below::Form(Form::Table(model)) | Below::Entry(Form::Named(model)) => {
                let (part, after) = split(rest);
                let Some(key) = model.key(&part) else {
                    return Err(unknown(&part, model.keys.iter().map(|key| key.name).collect()));
                };
                (part, Some(key), Below::Form(&key.form), after)
            }
            Below::Form(form @ Form::Named(_)) => {
                let (part, after) = chosen(rest, names);
                (part, None, Below::Entry(form), after)
            }
            Below::Form(Form::Map(item)) => {
                let (part, after) = chosen(rest, names);
                (part, None, Below::Form(item), after)
            }
            _ => return Err(unknown(split(rest).0.as_str(), Vec::new())),
        };
        value = value.and_then(|value| value.get(&[&name]));
        if key.is_none() && value.is_none() {
            let message = format!("nothing is called `{name}` in `{}`", path_of(&steps));
            return Err(Diagnostic::new(message).into());
        }
        below = next;
        rest = after;
        steps.push(Step { name, key, below });
    }
    Ok(steps)
}

/// The first part of a dotted key.
fn split(key: &str) -> (String, &str) {
    if let Some(quoted) = key.strip_prefix('"')
        && let Some((name, rest)) = quoted.split_once('"')
    {
        return (name.to_owned(), rest.trim_start_matches('.'));
    }
    match key.split_once('.') {
        Some((name, rest)) => (name.to_owned(), rest),
        None => (key.to_owned(), ""),
    }
}

/// The longest name of `names` that `key` begins with.
fn chosen<'k>(key: &'k str, names: Option<&Entries>) -> (String, &'k str) {
    let fits = |name: &&str| {
        key.strip_prefix(*name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let names = names.into_iter().flatten().map(|(name, _)| &**name);
    match names.filter(fits).max_by_key(|name| name.len()) {
        Some(name) => (name.to_owned(), key[name.len()..].trim_start_matches('.')),
        None => split(key),
    }
}

fn path_of(steps: &[Step]) -> String {
    steps
        .iter()
        .fold(String::new(), |path, step| join(&path, &step.name))
}

struct Run<'l> {
    layers: &'l Layers,
    distro: &'l Distro,
}

/// What one layer is called, and what it says: a key with its value.
type Layer<'v> = (String, &'v Entry);

impl Run<'_> {
    fn explain(&self, steps: &[Step]) -> Vec<Explanation> {
        let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
        let Some(last) = steps.last() else {
            return self.all();
        };
        let (said, merged) = match names.as_slice() {
            ["components", name, rest @ ..] => self.component(name, rest),
            _ => (self.files(&names), self.layers.merged.get(&names).cloned()),
        };
        let path = path_of(steps);
        self.below(&path, last.key, last.below, said, merged.as_ref())
    }

    /// Adds the overlays of a component's overlay files: they come last (M34).
    fn add_files(&self, component: &str, explanations: &mut Vec<Explanation>) {
        let overlays = self.layers.inheritance(Some(self.distro)).of_files(component);
        let said = overlays.iter().map(|overlay| Said {
            layer: format!("overlay file {}", overlay.defined_at.file.display()),
            value: toml::Value::try_from(&overlay.change)
                .map_or_else(|_| String::new(), |value| value.to_string()),
            at: overlay.defined_at.clone(),
            counts: true,
        });
        let said: Vec<Said> = said.collect();
        let key = join(&join("components", component), OVERLAYS);
        match explanations.iter_mut().find(|explanation| explanation.key == key) {
            Some(explanation) => explanation.said.extend(said),
            None if said.is_empty() => {}
            None => explanations.push(Explanation {
                key,
                value: None,
                said,
            }),
        }
    }

    fn all(&self) -> Vec<Explanation> {
        let entries = self.layers.merged.entries().into_iter().flatten();
        let mut explanations = Vec::new();
        for (name, entry) in entries {
            let Some(key) = ROOT.key(name) else { continue };
            let said = self.files(&[name]);
            explanations.extend(self.below(
                name,
                Some(key),
                Below::Form(&key.form),
                said,
                Some(&entry.value),
            ));
        }
        explanations
    }

    /// What files say of a key, in reading order.
    fn files(&self, path: &[&str]) -> Vec<Layer<'_>> {
        let said = self
            .layers
            .documents()
            .filter_map(|document| entry(document, path));
        said.map(|entry| ("file".to_owned(), entry)).collect()
    }

    /// What layers say of a key of a component, and what becomes of it.
    fn component(&self, name: &str, rest: &[&str]) -> (Vec<Layer<'_>>, Option<Value>) {
        let mut places: Vec<(String, Vec<String>)> = Vec::new();
        for path in self.layers.defaults(Some(self.distro)) {
            let layer = match path.len() {
                1 => "project".to_owned(),
                _ => format!("distribution {} {}", self.distro.name, self.distro.key),
            };
            places.push((layer, path));
        }
        let inheritance = self.layers.inheritance(Some(self.distro));
        for group in inheritance.memberships().get(name).into_iter().flatten() {
            let path = ["component-groups", group, "default-component-config"].map(str::to_owned);
            places.push((format!("group {group}"), path.into()));
        }
        let own = ["components", name].map(str::to_owned);
        places.push(("component".to_owned(), own.into()));
        let mut said = Vec::new();
        for (layer, path) in &places {
            let path: Vec<&str> = path
                .iter()
                .map(String::as_str)
                .chain(rest.iter().copied())
                .collect();
            let of_layer = self.files(&path).into_iter();
            said.extend(of_layer.map(|(_, entry)| (layer.clone(), entry)));
        }
        let own = self.layers.merged.get(&["components", name]);
        let merged = own.map(|own| inheritance.resolve(name, own));
        (said, merged.and_then(|merged| merged.get(rest).cloned()))
    }

    /// The key itself or, if it is a table, each key below it.
    fn below(
        &self,
        path: &str,
        key: Option<&'static Key>,
        form: Below,
        said: Vec<Layer<'_>>,
        merged: Option<&Value>,
    ) -> Vec<Explanation> {
        let names = || -> Vec<String> {
            let entries = merged.and_then(Value::entries).into_iter().flatten();
            entries.map(|(name, _)| name.to_string()).collect()
        };
        let deeper = |name: &str, key: Option<&'static Key>, form: Below| {
            let said = said.iter().filter_map(|(layer, entry)| {
                let below = entry.value.entries()?.get(name)?;
                Some((layer.clone(), below))
            });
            let merged = merged.and_then(|merged| merged.get(&[name]));
            self.below(&join(path, name), key, form, said.collect(), merged)
        };
        match form {
            Below::Form(Form::Table(model)) | Below::Entry(Form::Named(model)) => {
                let keys = names().into_iter().filter_map(|name| model.key(&name));
                keys.flat_map(|key| deeper(key.name, Some(key), Below::Form(&key.form)))
                    .collect()
            }
            Below::Form(form @ Form::Named(_)) => {
                let entries = names().into_iter();
                entries
                    .flat_map(|name| deeper(&name, None, Below::Entry(form)))
                    .collect()
            }
            Below::Form(Form::Map(item)) => {
                let entries = names().into_iter();
                entries
                    .flat_map(|name| deeper(&name, None, Below::Form(item)))
                    .collect()
            }
            Below::Form(form) | Below::Entry(form) => vec![self.leaf(path, key, form, &said, merged)],
        }
    }

    fn leaf(
        &self,
        path: &str,
        key: Option<&'static Key>,
        form: &'static Form,
        said: &[Layer<'_>],
        merged: Option<&Value>,
    ) -> Explanation {
        let sources = &self.layers.sources;
        let shown = |value: &Value| inline(&plain(sources, form, value));
        let of_list = |value: &Value| -> Option<Vec<crate::tree::Place>> {
            let key = key.filter(|key| key.merge == Merge::Append)?;
            Some(strict::list_of(key, value)?.iter().map(|item| item.at).collect())
        };
        let counted = merged.and_then(of_list);
        let counts = |value: &Value| match (&counted, of_list(value)) {
            (Some(counted), Some(items)) => items.iter().any(|item| counted.contains(item)),
            _ => merged.is_some_and(|merged| merged.at == value.at),
        };
        let whole = |layer: &str, entry: &Entry| Said {
            layer: layer.to_owned(),
            value: shown(&entry.value),
            at: sources.location(entry.key),
            counts: counts(&entry.value),
        };
        let each = |layer: &str, key: &Key, value: &Value| -> Option<Vec<Said>> {
            let items = strict::list_of(key, value)?.iter().map(|item| Said {
                layer: layer.to_owned(),
                value: inline(&of_item(sources, form, item)),
                at: sources.location(item.at),
                counts: counted.as_ref().is_some_and(|counted| counted.contains(&item.at)),
            });
            Some(items.collect())
        };
        let said = said.iter().flat_map(|(layer, entry)| {
            let one_by_one = key.filter(|key| key.name == OVERLAYS);
            let items = one_by_one.and_then(|key| each(layer, key, &entry.value));
            items.unwrap_or_else(|| vec![whole(layer, entry)])
        });
        // What is left out was left out: the list itself is the value.
        let list = |merged: &Value| merged.get(&["replace"]).filter(|_| counted.is_some()).cloned();
        let merged = merged.map(|merged| list(merged).unwrap_or_else(|| merged.clone()));
        let default = key.map(|key| key.default).filter(|default| !default.is_empty());
        Explanation {
            key: path.to_owned(),
            value: merged
                .as_ref()
                .map(shown)
                .or(default.map(|default| format!("{default:?}"))),
            said: said.collect(),
        }
    }
}

/// One table of an array of tables.
fn of_item(sources: &Sources, form: &'static Form, item: &Value) -> Plain {
    match (form, item.entries()) {
        (Form::Tables(model), Some(entries)) => dump::table(sources, model, entries),
        _ => plain(sources, form, item),
    }
}

/// What stands at a key: a value of a form, or one entry of a table by name.
#[derive(Clone, Copy)]
enum Below {
    Form(&'static Form),
    Entry(&'static Form),
}

/// The key with its value at the end of a path.
fn entry<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Entry> {
    let (last, above) = path.split_last()?;
    value.get(above)?.entries()?.get(*last)
}
