//! Which of many components can have a say in a build root at all: an index that is kept between roots, so that a root costs what
//! it may hold, however many components there are.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use keel_artefact::{Dependency, Rich};
use keel_rpm::solve;

use crate::{Built, Kind, built::Output};

/// What components make, by what it can be asked for. It learns of components when they are asked about.
#[derive(Debug, Default)]
pub struct Index(Mutex<Known>);

/// A component, and one of its outputs.
type Place = (usize, usize);

#[derive(Debug, Default)]
struct Known {
    /// By number. Kept, so that their addresses stay theirs.
    all: Vec<Arc<Built>>,
    /// The number of what is at an address.
    numbers: HashMap<usize, usize>,
    /// Packages by their names and all that they provide.
    provided: HashMap<String, Vec<Place>>,
    /// Packages by what they obsolete.
    obsoleted: HashMap<String, Vec<Place>>,
    /// Packages by those of their paths that were asked for: there are too many to keep all.
    paths: HashMap<String, Vec<Place>>,
}

impl Index {
    /// Those of `candidates`, in their order, that a solver which is asked for `asked` can come to: by a name, a capability or a path that
    /// is required, of whatever version and under whatever condition, or by obsoleting what it comes to. The others cannot change its answer.
    pub fn near(
        &self,
        asked: &[Dependency],
        candidates: &[Arc<Built>],
        is_lent: &dyn Fn(&str) -> bool,
    ) -> Vec<Arc<Built>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers: Vec<usize> = candidates.iter().map(|built| known.number(built)).collect();
        let mut walk = Walk {
            allowed: numbers.iter().copied().collect(),
            ..Walk::default()
        };
        for need in asked {
            // What is lent and can be built, too, is built.
            walk.want(need);
            walk.want(&solve::lent(need, is_lent));
        }
        walk.through(&mut known, is_lent);
        let reached: HashSet<usize> = walk.reached.iter().map(|(component, _)| *component).collect();
        (candidates.iter().zip(&numbers))
            .filter(|(_, number)| reached.contains(number))
            .map(|(built, _)| Arc::clone(built))
            .collect()
    }
}

#[derive(Debug, Default)]
struct Walk {
    /// The numbers of the candidates.
    allowed: HashSet<usize>,
    wanted: HashSet<String>,
    /// Names that are wanted and were not looked up.
    open: Vec<String>,
    reached: HashSet<Place>,
}

impl Walk {
    fn want(&mut self, need: &Dependency) {
        match Rich::of(need) {
            Ok(rich) => rich.leaves(&mut |leaf| self.want_name(&leaf.name)),
            Err(_) => self.want_name(&need.name),
        }
    }

    fn want_name(&mut self, name: &str) {
        if self.wanted.insert(name.to_owned()) {
            self.open.push(name.to_owned());
        }
    }

    fn through(&mut self, known: &mut Known, is_lent: &dyn Fn(&str) -> bool) {
        while let Some(name) = self.open.pop() {
            for place in known.called(&name) {
                if !self.allowed.contains(&place.0) || !self.reached.insert(place) {
                    continue;
                }
                let Some(output) = known.output(place) else {
                    continue;
                };
                // Others of its name, and what replaces it.
                self.want_name(output.package.nevra.name.as_str());
                for need in &output.requires {
                    self.want(&solve::lent(need, is_lent));
                }
            }
        }
    }
}

impl Known {
    fn number(&mut self, built: &Arc<Built>) -> usize {
        let address = Arc::as_ptr(built).addr();
        if let Some(number) = self.numbers.get(&address) {
            return *number;
        }
        let number = self.all.len();
        self.numbers.insert(address, number);
        self.all.push(Arc::clone(built));
        for (at, output) in packages(built) {
            let place = (number, at);
            let names = output.provides.iter().map(|provide| provide.name.as_str());
            for name in names.chain([output.package.nevra.name.as_str()]) {
                note(&mut self.provided, name, place);
            }
            for obsolete in &output.obsoletes {
                note(&mut self.obsoleted, &obsolete.name, place);
            }
            for file in &output.files {
                if let Some(places) = self.paths.get_mut(file) {
                    places.push(place);
                }
            }
        }
        number
    }

    fn output(&self, (component, output): Place) -> Option<&Output> {
        self.all.get(component)?.outputs.get(output)
    }

    /// All that has this name, provides or holds it, or obsoletes it.
    fn called(&mut self, name: &str) -> Vec<Place> {
        let mut places = Vec::new();
        for map in [&self.provided, &self.obsoleted] {
            places.extend(map.get(name).into_iter().flatten());
        }
        if name.starts_with('/') {
            places.extend(self.holders(name));
        }
        places
    }

    fn holders(&mut self, path: &str) -> &[Place] {
        if !self.paths.contains_key(path) {
            let holders = self.all.iter().enumerate().flat_map(|(number, built)| {
                packages(built)
                    .filter(|(_, output)| output.files.iter().any(|file| file == path))
                    .map(move |(at, _)| (number, at))
            });
            let holders = holders.collect();
            self.paths.insert(path.to_owned(), holders);
        }
        &self.paths[path]
    }
}

fn note(map: &mut HashMap<String, Vec<Place>>, name: &str, place: Place) {
    match map.get_mut(name) {
        Some(places) => places.push(place),
        None => {
            map.insert(name.to_owned(), vec![place]);
        }
    }
}

fn packages(built: &Built) -> impl Iterator<Item = (usize, &Output)> {
    let all = built.outputs.iter().enumerate();
    all.filter(|(_, output)| output.package.kind == Kind::Binary)
}

#[cfg(test)]
mod tests;
