//! What the last build of each component was made from, and what it cost: to tell what changed since, and how long the next
//! one takes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use keel_artefact::{Arch, ComponentName, Fingerprint, Sha256, format};
use keel_plan::{Cost, Costs, Job};
use keel_store::{Error, Store};
use serde::{Deserialize, Serialize};

use crate::{
    Built,
    fingerprint::{self, Input, Kind, Value},
};

/// The version of [`Record`] in the store.
pub const FORMAT: format::Version = format::Version(1);

/// The last build of a component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Version of this format.
    pub format: format::Version,
    /// The component.
    pub component: ComponentName,
    /// Its result's key.
    pub fingerprint: Sha256,
    /// All that it could see, in the order of the fingerprint.
    pub inputs: Vec<Input>,
    /// How long it took.
    pub wall: Duration,
    /// Processor time, user and system, of all its processes.
    pub cpu: Duration,
    /// Memory of all its processes together at the peak, in bytes.
    #[serde(default)]
    pub memory: u64,
    /// The rebuild counter in its Release.
    #[serde(default)]
    pub rebuild: u32,
}

impl Record {
    /// What differs from this build in one of `job` with these inputs. That a counter is another one is no difference: it follows from others.
    pub fn changes(&self, job: &Job, inputs: &[Input]) -> Vec<Change> {
        let mut changes = changes(&self.inputs, inputs);
        if self.rebuild != job.recipe.rebuild {
            let is_counter =
                |change: &Change| change.kind == Kind::Define && change.name.as_deref() == Some("dist");
            changes.retain(|change| !is_counter(change));
        }
        changes
    }

    /// The same of its own inputs alone.
    pub fn own_changes(&self, job: &Job, own: &[Input]) -> Vec<Change> {
        let inputs = self::own(&self.inputs);
        let was = Self {
            inputs,
            ..self.clone()
        };
        was.changes(job, own)
    }
}

/// Those that are known before there is a root.
pub fn own(inputs: &[Input]) -> Vec<Input> {
    let own = inputs.iter().filter(|input| input.kind.is_own());
    own.cloned().collect()
}

/// What differs from the last build of a component that went well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Since {
    /// There was none.
    #[default]
    Never,
    /// These inputs; none: it was built of the same.
    Changed(Vec<Change>),
    /// These of its own inputs; of packages in the root nothing is said.
    OwnChanged(Vec<Change>),
}

impl Since {
    /// Of a build with these inputs.
    pub fn of(last: Option<&Record>, job: &Job, inputs: &[Input]) -> Self {
        last.map_or(Self::Never, |last| Self::Changed(last.changes(job, inputs)))
    }

    /// Of a job with these own inputs, in a root that is not the one of its build.
    pub fn of_own(last: Option<&Record>, job: &Job, own: &[Input]) -> Self {
        last.map_or(Self::Never, |last| Self::OwnChanged(last.own_changes(job, own)))
    }

    /// At most ten lines; none where there is nothing to compare with.
    pub fn lines(&self) -> Vec<String> {
        const MOST: usize = 10;
        let (changes, nothing) = match self {
            Self::Never => return Vec::new(),
            Self::Changed(changes) => (changes, "nothing: the same inputs were built before"),
            Self::OwnChanged(changes) => (changes, "nothing of its own: not SPEC, sources or macros"),
        };
        if changes.is_empty() {
            return vec![nothing.to_owned()];
        }
        let mut lines: Vec<String> = changes.iter().map(ToString::to_string).collect();
        if lines.len() > MOST {
            let more = lines.len() - (MOST - 1);
            lines.truncate(MOST - 1);
            lines.push(format!("and {more} more"));
        }
        lines
    }
}

/// One input that differs between two builds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What it is.
    pub kind: Kind,
    /// Its name, where there may be several; a package's without version.
    pub name: Option<String>,
    /// What it was like; none: it was not there.
    pub was: Option<Was>,
    /// What it is like; none: it is gone.
    pub is: Option<Was>,
}

/// What an input was like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Was {
    /// A package's identity, where that is more than its name.
    pub nevra: Option<String>,
    /// Its value.
    pub value: Value,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        match (&self.was, &self.is) {
            (Some(was), Some(is)) if was.nevra != is.nevra => {
                let nevra = |of: &Was| of.nevra.clone().unwrap_or_default();
                write!(f, ": {}, was {}", nevra(is), nevra(was))
            }
            (Some(was), Some(is)) => write!(f, ": {}, was {}", is.value, was.value),
            (None, Some(is)) if self.name.as_deref() == Some(is.value.to_string().as_str()) => {
                f.write_str(" is new")
            }
            (None, Some(is)) => write!(f, " is new: {}", is.value),
            (Some(_), None) => f.write_str(" is gone"),
            (None, None) => Ok(()),
        }
    }
}

/// What differs between two lists of inputs, in the order of kinds, then by name.
pub fn changes(was: &[Input], is: &[Input]) -> Vec<Change> {
    let (was, is) = (by_name(was), by_name(is));
    let keys: BTreeSet<_> = was.keys().chain(is.keys()).collect();
    let mut changes = Vec::new();
    for key in keys {
        let (was, is) = (was.get(key), is.get(key));
        if was != is {
            changes.push(Change {
                kind: key.0,
                name: key.1.clone(),
                was: was.cloned(),
                is: is.cloned(),
            });
        }
    }
    changes
}

fn by_name(inputs: &[Input]) -> BTreeMap<(Kind, Option<String>), Was> {
    let entry = |input: &Input| {
        let value = input.value.clone();
        match (input.kind, &input.name) {
            (Kind::Package, Some(nevra)) => {
                let name = package_name(nevra).to_owned();
                let nevra = Some(nevra.clone());
                ((input.kind, Some(name)), Was { nevra, value })
            }
            // What is undefined, or generated, has a name, and nothing else.
            (Kind::Undefine | Kind::Generated, _) => {
                ((input.kind, Some(value.to_string())), Was { nevra: None, value })
            }
            (kind, name) => ((kind, name.clone()), Was { nevra: None, value }),
        }
    };
    inputs.iter().map(entry).collect()
}

/// `zlib-devel-1.3.1-1.x86_64` → `zlib-devel`.
pub fn package_name(nevra: &str) -> &str {
    nevra.rsplitn(3, '-').nth(2).unwrap_or(nevra)
}

/// The last build of a component of `distribution`.
pub fn last(
    store: &Store,
    distribution: &str,
    arch: Arch,
    component: &ComponentName,
) -> Result<Option<Record>, Error> {
    let record: Option<Record> = store.action("last-build", &key(distribution, arch, component))?;
    Ok(record.filter(|record| record.format == FORMAT && record.component == *component))
}

/// The last build that saw these inputs of its own, whatever packages were in its root.
pub fn last_of_own(store: &Store, own: &[Input]) -> Result<Option<Record>, Error> {
    let record: Option<Record> = store.action("last-own-build", &fingerprint::of(own))?;
    Ok(record.filter(|record| record.format == FORMAT))
}

/// What the last builds of these components cost, as far as they are known.
pub fn costs<'c>(
    store: &Store,
    distribution: &str,
    arch: Arch,
    components: impl Iterator<Item = &'c ComponentName>,
) -> Result<Costs, Error> {
    let mut costs = Costs::new();
    for component in components {
        if let Some(record) = last(store, distribution, arch, component)? {
            let (cpu, wall, memory) = (record.cpu.as_secs_f64(), record.wall.as_secs_f64(), record.memory);
            costs.insert(component.clone(), Cost { cpu, wall, memory });
        }
    }
    Ok(costs)
}

/// Remembers that `job` saw these inputs and became this. `planned` are the own inputs that it was planned with: without the counter that it
/// got in this run, if it did.
pub(crate) fn keep(
    store: &Store,
    distribution: &str,
    job: &Job,
    planned: &[Input],
    inputs: Vec<Input>,
    built: &Built,
) -> Result<(), Error> {
    let own = own(&inputs);
    // All are asked for, so that all stay in the store as long.
    let known = [
        last(store, distribution, job.arch, &job.component)?,
        last_of_own(store, &own)?,
        last_of_own(store, planned)?,
    ];
    let is_same = |known: &Option<Record>| {
        known
            .as_ref()
            .is_some_and(|of| of.fingerprint == built.fingerprint)
    };
    if known.iter().all(is_same) {
        return Ok(());
    }
    let record = Record {
        format: FORMAT,
        component: job.component.clone(),
        fingerprint: built.fingerprint,
        inputs,
        wall: built.wall,
        cpu: built.cpu,
        memory: built.memory,
        rebuild: job.recipe.rebuild,
    };
    let last = key(distribution, job.arch, &job.component);
    let owns: BTreeSet<Sha256> = [&own[..], planned].map(fingerprint::of).into();
    for own in &owns {
        store.record("last-own-build", own, &record)?;
    }
    store.record("last-build", &last, &record)?;
    Ok(())
}

fn key(distribution: &str, arch: Arch, component: &ComponentName) -> Sha256 {
    Fingerprint::new("last-build/1")
        .add("distribution", distribution)
        .add("arch", arch.rpm())
        .add("component", component.as_str())
        .finish()
}

#[cfg(test)]
mod tests;
