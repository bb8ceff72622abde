//! The rules by their numbers, reasons and problems; [`brute`] checks answers by trying everything.

mod brute;
mod hard;
mod lent;
mod rules;

use keel_artefact::{Comparison, Dependency, Evr};

use super::{
    Job, Limits, NoSolution, Package, PackageId, Pool, Repository, Request, Solution, Target, Unsolvable,
};

/// `name version [tag: dependency; …]`, the tags by their first letters: `req`, `prv`, `con`, `obs`, `rec`, `sug`, `sup`,
/// `enh`, `file`, `arch`, `vendor`.
pub(super) fn package(text: &str) -> Package {
    let (head, rest) = text.split_once(':').map_or((text, ""), |_| {
        let at = text
            .find(" req:")
            .into_iter()
            .chain(TAGS.iter().filter_map(|tag| text.find(&format!(" {tag}:"))))
            .min();
        text.split_at(at.unwrap_or(text.len()))
    });
    let (name, version) = head.trim().split_once(' ').unwrap_or((head.trim(), "1-1"));
    let evr: Evr = version.trim().parse().unwrap();
    let mut package = Package::named(name, evr.clone(), "x86_64");
    package.provides.push(Dependency {
        name: name.to_owned(),
        version: Some((Comparison::Equal, evr)),
    });
    for part in rest.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let (tag, value) = part.split_once(':').unwrap();
        let value = value.trim();
        let list = match tag {
            "req" => &mut package.requires,
            "prv" => &mut package.provides,
            "con" => &mut package.conflicts,
            "obs" => &mut package.obsoletes,
            "rec" => &mut package.recommends,
            "sug" => &mut package.suggests,
            "sup" => &mut package.supplements,
            "enh" => &mut package.enhances,
            "file" => {
                package.files.push(value.to_owned());
                continue;
            }
            "arch" => {
                value.clone_into(&mut package.arch);
                continue;
            }
            "vendor" => {
                package.vendor = Some(value.to_owned());
                continue;
            }
            tag => panic!("{tag}"),
        };
        list.push(value.parse().unwrap());
    }
    package
}

const TAGS: [&str; 11] = [
    "req", "prv", "con", "obs", "rec", "sug", "sup", "enh", "file", "arch", "vendor",
];

pub(super) fn repository(name: &str, packages: &[&str]) -> Repository {
    Repository {
        name: name.to_owned(),
        installed: name == "installed",
        packages: packages.iter().map(|text| package(text)).collect(),
        ..Repository::default()
    }
}

pub(super) fn pool(repositories: &[Repository]) -> Pool {
    Pool::new(
        repositories,
        &Target {
            arches: &["x86_64", "i686"],
            paths: &[],
        },
    )
    .unwrap()
}

/// Everything that is there in the end, by name and version.
pub(super) fn state(pool: &Pool, solution: &Solution) -> Vec<String> {
    let mut all: Vec<String> = solution
        .packages()
        .into_iter()
        .map(|id| short(pool, id))
        .collect();
    all.sort();
    all
}

pub(super) fn short(pool: &Pool, id: PackageId) -> String {
    format!("{}-{}", pool.name(id), pool.evr(id).version)
}

pub(super) fn run(repositories: &[Repository], jobs: Vec<Job>) -> Result<Vec<String>, Vec<String>> {
    run_with(
        repositories,
        Request {
            jobs,
            ..Request::default()
        },
    )
}

/// What becomes of a request, within the usual limits.
pub(super) fn solve(pool: &Pool, request: &Request) -> Result<Solution, Unsolvable> {
    within(super::solve(pool, request, &Limits::default()))
}

pub(super) fn within(answer: Result<Solution, NoSolution>) -> Result<Solution, Unsolvable> {
    answer.map_err(|none| match none {
        NoSolution::Unsolvable(unsolvable) => unsolvable,
        NoSolution::Stopped(stopped) => panic!("{stopped}"),
    })
}

/// The state that a request ends in, or the last sentence of each problem.
pub(super) fn run_with(repositories: &[Repository], request: Request) -> Result<Vec<String>, Vec<String>> {
    let pool = pool(repositories);
    match solve(&pool, &request) {
        Ok(solution) => Ok(state(&pool, &solution)),
        Err(unsolvable) => Err(unsolvable
            .problems
            .iter()
            .map(|p| p.chain.last().unwrap().clone())
            .collect()),
    }
}
