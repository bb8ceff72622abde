//! Which packages an image consists of: what it names, and what that requires, from one repository.

use std::collections::{BTreeMap, BTreeSet};

use keel_artefact::{Dependency, PackageArch, PackageName};
use keel_rpm::PackageInfo;

use crate::rich::{self, Expr};

/// A requirement that nothing in the repository meets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unmet {
    /// Who asks: a package, or none for the image itself.
    pub by: Option<String>,
    /// What is asked for.
    pub wanted: String,
    /// What comes near: another version, an excluded package.
    pub near: Option<String>,
}

impl std::fmt::Display for Unmet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let by = self
            .by
            .as_deref()
            .map_or_else(|| "the image".to_owned(), |by| format!("`{by}`"));
        write!(
            f,
            "{by} requires `{}`, which no package of the repository provides",
            self.wanted
        )?;
        match &self.near {
            Some(near) => write!(f, " ({near})"),
            None => Ok(()),
        }
    }
}

/// The set does not close.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing provides these.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Unmet(Vec<Unmet>),
    /// Two packages of the set cannot be together.
    #[error("`{one}` {word} `{dependency}`, which is `{other}`, and both are needed")]
    Conflict {
        /// Who says so.
        one: String,
        /// `conflicts with` or `obsoletes`.
        word: &'static str,
        /// What it says.
        dependency: String,
        /// Whom it hits.
        other: String,
    },
}

/// The packages of an image, as indices into `all`, sorted by name.
///
/// Of each name only the newest is looked at. Where several packages provide the same, the choice depends on the
/// order of nothing: one that is in anyway, one whose name is what is asked for, then the first by name.
pub fn resolve(
    all: &[PackageInfo],
    wanted: &[PackageName],
    exclude: &[PackageName],
) -> Result<Vec<usize>, Error> {
    let mut set = Set::new(all, exclude);
    let named = |name: &PackageName| (Expr::Atom(Dependency::any(name.as_str())), None);
    let mut asked: Vec<Asked> = wanted.iter().map(named).collect();
    // What has several providers waits until everything that has one is in; what has a condition, until it holds.
    let mut waiting: Vec<Choice> = Vec::new();
    let mut conditional: Vec<Asked> = Vec::new();
    loop {
        while let Some((expr, by)) = asked.pop() {
            set.ask(expr, by, &mut asked, &mut waiting, &mut conditional);
        }
        let (due, rest): (Vec<_>, _) = conditional
            .into_iter()
            .partition(|(expr, _)| set.condition_holds(expr));
        conditional = rest;
        asked.extend(due.into_iter().filter_map(|(expr, by)| match expr {
            Expr::If { then, .. } => Some((*then, by)),
            _ => None,
        }));
        if !asked.is_empty() {
            continue;
        }
        waiting.retain(|choice| !choice.any.iter().any(|dependency| set.is_met(dependency)));
        waiting.sort_by(|one, two| (&one.text, one.by).cmp(&(&two.text, two.by)));
        if let Some(choice) = waiting.first() {
            let best = set.best(choice);
            set.take(best, &mut asked);
            continue;
        }
        let otherwise = conditional.iter_mut().filter_map(|(expr, by)| match expr {
            Expr::If { otherwise, .. } => otherwise.take().map(|expr| (*expr, *by)),
            _ => None,
        });
        asked.extend(otherwise);
        if asked.is_empty() {
            break;
        }
    }
    set.finish()
}

type Asked = (Expr, Option<usize>);

/// A requirement that several packages meet.
struct Choice {
    any: Vec<Dependency>,
    text: String,
    by: Option<usize>,
}

struct Set<'a> {
    all: &'a [PackageInfo],
    exclude: BTreeSet<&'a str>,
    /// Capability or file path → packages of the newest version of their name.
    provided: BTreeMap<&'a str, Vec<usize>>,
    taken: BTreeSet<usize>,
    unmet: BTreeSet<Unmet>,
}

impl<'a> Set<'a> {
    fn new(all: &'a [PackageInfo], exclude: &'a [PackageName]) -> Self {
        let mut newest: BTreeMap<&PackageName, usize> = BTreeMap::new();
        for (index, package) in all
            .iter()
            .enumerate()
            .filter(|(_, package)| package.nevra.arch != PackageArch::Src)
        {
            let best = newest.entry(&package.nevra.name).or_insert(index);
            if package.nevra.evr.compare(&all[*best].nevra.evr).is_gt() {
                *best = index;
            }
        }
        let mut provided: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for index in newest.into_values() {
            let package = &all[index];
            let names: BTreeSet<&str> = (package.provides.iter().map(|provide| provide.name.as_str()))
                .chain(package.files.iter().map(|file| file.path.as_str()))
                .chain([package.nevra.name.as_str()])
                .collect();
            for name in names {
                provided.entry(name).or_default().push(index);
            }
        }
        let exclude = exclude.iter().map(PackageName::as_str).collect();
        Self {
            all,
            exclude,
            provided,
            taken: BTreeSet::new(),
            unmet: BTreeSet::new(),
        }
    }

    /// Everybody who meets it, excluded or not, by name.
    fn meeting(&self, dependency: &Dependency) -> Vec<usize> {
        let named = self.provided.get(dependency.name.as_str());
        named
            .into_iter()
            .flatten()
            .copied()
            .filter(|index| meets(&self.all[*index], dependency))
            .collect()
    }

    fn is_met(&self, dependency: &Dependency) -> bool {
        dependency.is_rpmlib()
            || self
                .meeting(dependency)
                .iter()
                .any(|index| self.taken.contains(index))
    }

    fn holds(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Atom(dependency) => self.is_met(dependency),
            Expr::All(all) => all.iter().all(|expr| self.holds(expr)),
            Expr::Any(any) => any.iter().any(|expr| self.holds(expr)),
            Expr::If {
                then,
                condition,
                otherwise,
            } => match self.holds(condition) {
                true => self.holds(then),
                false => otherwise.as_ref().is_none_or(|expr| self.holds(expr)),
            },
        }
    }

    fn condition_holds(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::If { condition, .. } if self.holds(condition))
    }

    fn ask(
        &mut self,
        expr: Expr,
        by: Option<usize>,
        asked: &mut Vec<Asked>,
        waiting: &mut Vec<Choice>,
        conditional: &mut Vec<Asked>,
    ) {
        if self.holds(&expr) && !matches!(expr, Expr::If { .. }) {
            return;
        }
        let any = match expr {
            Expr::All(all) => return asked.extend(all.into_iter().map(|expr| (expr, by))),
            Expr::If { .. } => return conditional.push((expr, by)),
            Expr::Atom(dependency) => vec![dependency],
            Expr::Any(any) => {
                let atoms = any.iter().filter_map(|expr| match expr {
                    Expr::Atom(dependency) => Some(dependency.clone()),
                    _ => None,
                });
                atoms.collect()
            }
        };
        let text = any
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" or ");
        let candidates: Vec<usize> = self.candidates(&any).into_iter().collect();
        match candidates.as_slice() {
            [] => {
                let near = any.first().and_then(|dependency| self.near(dependency));
                let by = by.map(|index| self.all[index].nevra.to_string());
                self.unmet.insert(Unmet {
                    by,
                    wanted: text,
                    near,
                });
            }
            [one] => self.take(*one, asked),
            _ => waiting.push(Choice { any, text, by }),
        }
    }

    fn candidates(&self, any: &[Dependency]) -> BTreeSet<usize> {
        let meeting = any.iter().flat_map(|dependency| self.meeting(dependency));
        meeting
            .filter(|index| !self.exclude.contains(self.all[*index].nevra.name.as_str()))
            .collect()
    }

    /// The one to take of several.
    fn best(&self, choice: &Choice) -> usize {
        let by_name = |index: &usize| {
            let name = self.all[*index].nevra.name.as_str();
            let place = choice.any.iter().position(|dependency| dependency.name == name);
            (place.unwrap_or(usize::MAX), name)
        };
        let candidates = self.candidates(&choice.any);
        candidates
            .into_iter()
            .min_by(|one, two| by_name(one).cmp(&by_name(two)))
            .unwrap_or_default()
    }

    fn take(&mut self, index: usize, asked: &mut Vec<Asked>) {
        if !self.taken.insert(index) {
            return;
        }
        for dependency in &self.all[index].requires {
            match rich::parse(dependency) {
                Some(expr) => asked.push((expr, Some(index))),
                None => {
                    let near = Some("Keel does not understand this boolean dependency".to_owned());
                    let by = Some(self.all[index].nevra.to_string());
                    self.unmet.insert(Unmet {
                        by,
                        wanted: dependency.name.clone(),
                        near,
                    });
                }
            }
        }
    }

    /// What a message can say about something that is missing.
    fn near(&self, dependency: &Dependency) -> Option<String> {
        if let Some(index) = self.meeting(dependency).first() {
            return Some(format!(
                "`{}` does, but the image excludes it",
                self.all[*index].nevra.name
            ));
        }
        let other = self.provided.get(dependency.name.as_str())?.first()?;
        Some(format!("the newest there is `{}`", self.all[*other].nevra))
    }

    fn finish(self) -> Result<Vec<usize>, Error> {
        if !self.unmet.is_empty() {
            return Err(Error::Unmet(self.unmet.into_iter().collect()));
        }
        for one in &self.taken {
            let package = &self.all[*one];
            let lists = [
                ("conflicts with", &package.conflicts),
                ("obsoletes", &package.obsoletes),
            ];
            for (word, dependency) in lists
                .iter()
                .flat_map(|(word, list)| list.iter().map(move |d| (word, d)))
            {
                // An obsoletes is about names only, not about what packages provide.
                let hit = self.meeting(dependency).into_iter().find(|index| {
                    let by_name =
                        *word == "conflicts with" || self.all[*index].nevra.name.as_str() == dependency.name;
                    index != one && by_name && self.taken.contains(index)
                });
                if let Some(other) = hit {
                    return Err(Error::Conflict {
                        one: package.nevra.to_string(),
                        word,
                        dependency: dependency.to_string(),
                        other: self.all[other].nevra.to_string(),
                    });
                }
            }
        }
        let mut taken: Vec<usize> = self.taken.into_iter().collect();
        taken.sort_by(|one, two| self.all[*one].nevra.name.cmp(&self.all[*two].nevra.name));
        Ok(taken)
    }
}

/// Does the package meet it, by name, by a provide, or by a file?
fn meets(package: &PackageInfo, dependency: &Dependency) -> bool {
    let by_provide = package
        .provides
        .iter()
        .any(|provide| dependency.is_satisfied_by(provide));
    let by_file = || {
        dependency.version.is_none()
            && dependency.name.starts_with('/')
            && package
                .files
                .iter()
                .any(|file| file.path.as_str() == dependency.name)
    };
    let by_name = || dependency.version.is_none() && dependency.name == package.nevra.name.as_str();
    by_provide || by_name() || by_file()
}

#[cfg(test)]
mod tests {
    use keel_artefact::{Epoch, Provide};

    use super::*;

    /// `name-version: requires, …; +provides, …; !conflicts`
    fn package(text: &str) -> PackageInfo {
        let (id, rest) = text.split_once(':').unwrap();
        let (name, version) = id.rsplit_once('-').unwrap();
        let evr: keel_artefact::Evr = format!("{version}-1").parse().unwrap();
        let words: Vec<&str> = rest
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .collect();
        let provide = |word: &&str| {
            let dependency: Dependency = word.strip_prefix('+')?.parse().unwrap();
            Some(Provide {
                name: dependency.name,
                evr: dependency.version.map(|(_, evr)| evr),
            })
        };
        let own = Provide {
            name: name.to_owned(),
            evr: Some(evr.clone()),
        };
        PackageInfo {
            nevra: keel_artefact::Nevra {
                name: name.parse().unwrap(),
                evr,
                arch: PackageArch::Noarch,
            },
            source_rpm: None,
            build_time: Epoch(0),
            build_host: None,
            provides: words.iter().filter_map(provide).chain([own]).collect(),
            requires: words
                .iter()
                .filter(|word| !word.starts_with(['+', '!']))
                .map(|word| word.parse().unwrap())
                .collect(),
            conflicts: words
                .iter()
                .filter_map(|word| Some(word.strip_prefix('!')?.parse().unwrap()))
                .collect(),
            obsoletes: vec![],
            recommends: vec![],
            suggests: vec![],
            supplements: vec![],
            enhances: vec![],
            files: vec![],
            scripts: vec![],
            licence: String::new(),
            summary: String::new(),
            description: String::new(),
            url: None,
            vendor: None,
            installed_size: 0,
            file_size: 0,
            header_range: 0..0,
            payload_digest: None,
            payload_compressor: String::new(),
        }
    }

    fn run(packages: &[&str], wanted: &[&str], exclude: &[&str]) -> Result<String, String> {
        let names = |list: &[&str]| {
            list.iter()
                .map(|name| name.parse().unwrap())
                .collect::<Vec<PackageName>>()
        };
        let mut all: Vec<_> = packages.iter().map(|text| package(text)).collect();
        let mut results = Vec::new();
        for _ in 0..2 {
            let result = resolve(&all, &names(wanted), &names(exclude));
            results.push(match result {
                Ok(taken) => Ok(taken
                    .iter()
                    .map(|i| all[*i].nevra.to_string())
                    .collect::<Vec<_>>()
                    .join(" ")),
                Err(error) => Err(error.to_string()),
            });
            all.reverse();
        }
        assert_eq!(results[0], results[1], "the order of packages must not matter");
        results.remove(0)
    }

    #[test]
    fn closures() {
        let repo = [
            "sh-5: libc.so(64bit), rpmlib(X) <= 1, +/usr/bin/sh",
            "sh-4: +/usr/bin/sh",
            "tiny-1: +/usr/bin/sh, +sh = 9",
            "glibc-2: +libc.so(64bit)",
            "app-1: /usr/bin/sh, glibc >= 2",
            "old-1: glibc < 2",
            "pick-1: /usr/bin/sh, tiny",
            "rich-1: (locale if glibc), (tiny or sh)",
            "both-1: (nothing if absent else locale)",
            "locale-1: ",
            "enemy-1: !glibc >= 2",
        ];
        for (wanted, exclude, result) in [
            (
                &["app"][..],
                &[][..],
                Ok("app-1-1.noarch glibc-2-1.noarch sh-5-1.noarch"),
            ),
            (
                &["app"],
                &["sh"],
                Ok("app-1-1.noarch glibc-2-1.noarch tiny-1-1.noarch"),
            ),
            (&["pick"], &[], Ok("pick-1-1.noarch tiny-1-1.noarch")),
            (&["rich"], &[], Ok("rich-1-1.noarch tiny-1-1.noarch")),
            (
                &["rich", "glibc"],
                &[],
                Ok("glibc-2-1.noarch locale-1-1.noarch rich-1-1.noarch tiny-1-1.noarch"),
            ),
            (&["both"], &[], Ok("both-1-1.noarch locale-1-1.noarch")),
            (
                &["old"],
                &[],
                Err(
                    "`old-1-1.noarch` requires `glibc < 2`, which no package of the repository provides \
                     (the newest there is `glibc-2-1.noarch`)",
                ),
            ),
            (
                &["nano"],
                &[],
                Err("the image requires `nano`, which no package of the repository provides"),
            ),
            (
                &["app"],
                &["glibc"],
                Err(
                    "`app-1-1.noarch` requires `glibc >= 2`, which no package of the repository provides \
                     (`glibc` does, but the image excludes it)\n\
                     `sh-5-1.noarch` requires `libc.so(64bit)`, which no package of the repository provides \
                     (`glibc` does, but the image excludes it)",
                ),
            ),
            (
                &["enemy", "app"],
                &[],
                Err(
                    "`enemy-1-1.noarch` conflicts with `glibc >= 2`, which is `glibc-2-1.noarch`, \
                     and both are needed",
                ),
            ),
        ] {
            let found = run(&repo, wanted, exclude);
            assert_eq!(
                found.as_deref().map_err(String::as_str),
                result,
                "{wanted:?} without {exclude:?}"
            );
        }
    }
}
