//! All packages of a repository, or of a component, and who has what.

use std::collections::{BTreeSet, HashMap};

use keel_artefact::{Dependency, Provide};
use keel_rpm::{FileInfo, FileKind};

use crate::{Kind, Package};

/// Links that are followed for one path, at most: what Linux allows.
const MOST_LINKS: usize = 40;

/// What the package provides whose folders are there before any other package is installed.
const FIRST: &str = "filesystem";

/// Packages by what they provide and have.
pub struct World<'a> {
    /// Binary packages and those of debugging information.
    pub packages: Vec<&'a Package>,
    by_name: HashMap<&'a str, Vec<(usize, &'a Provide)>>,
    by_path: HashMap<&'a str, Vec<(usize, &'a FileInfo)>>,
}

impl<'a> World<'a> {
    /// Looks at all packages once.
    pub fn new(packages: impl IntoIterator<Item = &'a Package>) -> Self {
        let mut new = Self {
            packages: (packages.into_iter())
                .filter(|package| package.facts.kind() != Kind::Source)
                .collect(),
            by_name: HashMap::new(),
            by_path: HashMap::new(),
        };
        for (index, package) in new.packages.iter().enumerate() {
            for provide in &package.info().provides {
                new.by_name
                    .entry(&provide.name)
                    .or_default()
                    .push((index, provide));
            }
            for file in &package.info().files {
                new.by_path
                    .entry(file.path.as_str())
                    .or_default()
                    .push((index, file));
            }
        }
        new
    }

    /// Paths that more than one package has, sorted, with all of them.
    pub(crate) fn shared_paths(&self) -> Vec<(&'a str, &[(usize, &'a FileInfo)])> {
        let shared = self.by_path.iter().filter(|(_, owners)| owners.len() > 1);
        let mut shared: Vec<_> = shared.map(|(path, owners)| (*path, owners.as_slice())).collect();
        shared.sort_by_key(|(path, _)| *path);
        shared
    }

    /// Who has this path.
    pub(crate) fn owners(&self, path: &str) -> &[(usize, &'a FileInfo)] {
        self.by_path.get(path).map_or(&[], Vec::as_slice)
    }

    /// The packages that meet a plain requirement, by index, each once.
    fn providers(&self, need: &Dependency) -> Vec<usize> {
        let named = self.by_name.get(need.name.as_str()).into_iter().flatten();
        let named = named
            .filter(|(_, provide)| need.is_satisfied_by(provide))
            .map(|(index, _)| *index);
        let owned = self.owners(&need.name).iter().map(|(index, _)| *index);
        let all: BTreeSet<usize> = named.chain(owned).collect();
        all.into_iter().collect()
    }

    /// Is a requirement met by a package, or by rpm itself?
    pub(crate) fn is_met(&self, need: &Dependency) -> bool {
        if need.is_rpmlib() {
            return true;
        }
        match need.is_rich() {
            true => rich::is_met(&need.name, &|need| !self.providers(need).is_empty()),
            false => !self.providers(need).is_empty(),
        }
    }

    /// What is there when a package is installed: what it requires, and what comes first on every machine.
    pub(crate) fn closure(&self, package: usize) -> BTreeSet<usize> {
        let mut closure = self.required(package);
        closure.extend(self.first());
        closure
    }

    /// A package itself and, of what it requires, one package for each requirement: the one with
    /// the shortest name, then the first.
    pub(crate) fn required(&self, package: usize) -> BTreeSet<usize> {
        let mut closure = BTreeSet::from([package]);
        let mut todo = vec![package];
        while let Some(index) = todo.pop() {
            let requires = self.packages[index].info().requires.iter();
            for need in requires.filter(|need| !need.is_rpmlib() && !need.is_rich()) {
                let providers = self.providers(need);
                if providers.iter().any(|index| closure.contains(index)) {
                    continue;
                }
                let order =
                    |index: &usize| (self.packages[*index].name().len(), self.packages[*index].name());
                if let Some(best) = providers.into_iter().min_by_key(order) {
                    closure.insert(best);
                    todo.push(best);
                }
            }
        }
        closure
    }

    /// The package that comes first on every machine: `filesystem` or, where no package provides that, who owns `/usr`.
    fn first(&self) -> Option<usize> {
        let named = self.by_name.get(FIRST).and_then(|all| all.first());
        let named = named.map(|(index, _)| *index);
        named.or_else(|| self.owners("/usr").first().map(|(index, _)| *index))
    }

    /// What a path is among these packages, links in it followed. A folder that only has files in it counts, too.
    pub(crate) fn is_there(&self, path: &str, among: &BTreeSet<usize>) -> bool {
        let mut rest: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let (mut at, mut links) = (String::new(), 0);
        while let Some(part) = rest.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => at.truncate(at.rfind('/').unwrap_or(0)),
                part => at = format!("{at}/{part}"),
            }
            let mut owners = self.owners(&at).iter().filter(|(index, _)| among.contains(index));
            if let Some((_, file)) = owners.find(|(_, file)| file.kind == FileKind::Symlink) {
                links += 1;
                let Some(target) = file.link.as_deref().filter(|_| links <= MOST_LINKS) else {
                    return false;
                };
                at.truncate(if target.starts_with('/') {
                    0
                } else {
                    at.rfind('/').unwrap_or(0)
                });
                rest.extend(target.split('/').rev().map(str::to_owned));
            }
        }
        let has_it = |(index, _): &(usize, &FileInfo)| among.contains(index);
        let below = format!("{at}/");
        let has_below = |index: &usize| {
            let mut files = self.packages[*index].info().files.iter();
            files.any(|file| file.path.as_str().starts_with(&below))
        };
        at.is_empty() || self.owners(&at).iter().any(has_it) || among.iter().any(has_below)
    }
}

mod rich {
    //! Boolean dependencies, as rpm's manual ("Boolean Dependencies") has them.

    use keel_artefact::Dependency;

    /// Brackets in brackets, at most.
    const DEEPEST: usize = 32;

    /// Can it be met? What cannot be read cannot.
    pub(super) fn is_met(text: &str, has: &dyn Fn(&Dependency) -> bool) -> bool {
        let words = tokens(text);
        let mut at = 0;
        expression(&words, &mut at, has, 0).unwrap_or(false) && at == words.len()
    }

    /// Words and brackets; brackets that belong to a name stay in it.
    fn tokens(text: &str) -> Vec<String> {
        let (mut words, mut word, mut open) = (Vec::new(), String::new(), 0_usize);
        for character in text.chars() {
            match character {
                '(' if word.is_empty() => words.push("(".to_owned()),
                '(' => {
                    open += 1;
                    word.push('(');
                }
                ')' if open > 0 => {
                    open -= 1;
                    word.push(')');
                }
                ')' => {
                    words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()));
                    words.push(")".to_owned());
                }
                c if c.is_whitespace() => {
                    words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()))
                }
                c => word.push(c),
            }
        }
        words.extend(Some(word).filter(|word| !word.is_empty()));
        words
    }

    fn expression(
        words: &[String],
        at: &mut usize,
        has: &dyn Fn(&Dependency) -> bool,
        depth: usize,
    ) -> Option<bool> {
        let next = |at: &mut usize| {
            *at += 1;
            words.get(*at - 1).map(String::as_str)
        };
        if depth > DEEPEST || next(at)? != "(" {
            return None;
        }
        let mut value = operand(words, at, has, depth)?;
        loop {
            let operator = next(at)?;
            if operator == ")" {
                return Some(value);
            }
            let right = operand(words, at, has, depth)?;
            value = match operator {
                "and" | "with" => value && right,
                "or" => value || right,
                "without" => value,
                "if" => value || !right,
                "unless" => value || right,
                // `(a if b else c)`: the condition was taken in already; either way of it must be possible.
                "else" => value || right,
                _ => return None,
            };
        }
    }

    fn operand(
        words: &[String],
        at: &mut usize,
        has: &dyn Fn(&Dependency) -> bool,
        depth: usize,
    ) -> Option<bool> {
        if words.get(*at)? == "(" {
            return expression(words, at, has, depth + 1);
        }
        let name = words.get(*at)?;
        *at += 1;
        let comparison = words
            .get(*at)
            .filter(|word| matches!(word.as_str(), "<" | "<=" | "=" | ">=" | ">"));
        let text = match comparison {
            Some(comparison) => {
                *at += 2;
                format!("{name} {comparison} {}", words.get(*at - 1)?)
            }
            None => name.clone(),
        };
        Some(has(&text.parse().ok()?))
    }

    #[cfg(test)]
    mod tests {
        #[test]
        fn boolean_dependencies_are_read_as_rpm_does() {
            let has = |need: &keel_artefact::Dependency| {
                matches!(
                    need.to_string().as_str(),
                    "a" | "b >= 2" | "libz.so.1()(64bit)" | "perl(X::Y)"
                )
            };
            for (text, is_met) in [
                ("(a)", true),
                ("(x)", false),
                ("(a and b >= 2)", true),
                ("(a and b >= 3)", false),
                ("(x or a)", true),
                ("(x if y)", true),
                ("(x if a)", false),
                ("(a and (x or (b >= 2)))", true),
                ("(libz.so.1()(64bit) and perl(X::Y))", true),
                ("(libz.so.1()(32bit) or x)", false),
                ("(a and)", false),
                ("(a", false),
                ("()", false),
                ("(a) b", false),
            ] {
                assert_eq!(super::is_met(text, &has), is_met, "{text}");
            }
            assert!(!super::is_met(&"(".repeat(100_000), &has));
        }
    }
}
