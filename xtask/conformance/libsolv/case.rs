//! libsolv's testcases: `.t` files, and packages as "testtags".

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use keel_artefact::{Dependency, Evr, Rich};
use keel_rpm::solve::{Package, Repository};

use super::words::{self, dependency};

/// A file: repositories, and problems over them.
#[derive(Debug, Default)]
pub struct File {
    /// All repositories; which one is installed is said by `system`.
    pub repositories: Vec<Repository>,
    /// Problems, in order.
    pub blocks: Vec<Block>,
    /// `x86_64`, `unset`.
    pub arch: String,
    /// `rpm`, `deb`, `*`.
    pub kind: String,
}

/// One problem.
#[derive(Debug, Default, Clone)]
pub struct Block {
    /// `install name A [weak]`
    pub jobs: Vec<String>,
    /// Flags of the solver that are said here.
    pub flags: Vec<String>,
    /// Flags of the pool, as they are now.
    pub pool: Vec<String>,
    /// Disabled packages, as they are now.
    pub disabled: Vec<String>,
    /// What the result is about: `transaction`, `problems`, …
    pub about: Vec<String>,
    /// The expected lines.
    pub result: Vec<String>,
    /// Lines that this tool knows nothing of: their first words.
    pub strange: Vec<String>,
    /// Pairs of versions to compare.
    pub versions: Vec<(String, String)>,
}

impl File {
    /// Reads a file, and the repositories that it names.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let mut file = Self::default();
        let mut block = Block::default();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut inline = Vec::new();
            let line = match line.strip_suffix("<inline>") {
                Some(line) => {
                    while let Some(text) = lines.next_if(|line| line.starts_with("#>")) {
                        inline.push(text[2..].to_owned());
                    }
                    line.trim()
                }
                None => line,
            };
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "repo" => file.repository(rest, inline, path)?,
                "system" => file.system(rest)?,
                "nextjob" => {
                    let next = Block {
                        pool: block.pool.clone(),
                        disabled: block.disabled.clone(),
                        ..Block::default()
                    };
                    file.blocks.push(std::mem::replace(&mut block, next));
                }
                _ => block.line(word, rest, inline),
            }
        }
        file.blocks.push(block);
        Ok(file)
    }

    fn repository(&mut self, rest: &str, inline: Vec<String>, path: &Path) -> Result<()> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let [name, priority, kind, ..] = words.as_slice() else {
            bail!("repo {rest}");
        };
        let (priority, cost) = priority.split_once('.').unwrap_or((priority, "0"));
        let lines = match (*kind, words.get(3)) {
            ("testtags", Some(file)) => {
                let text = std::fs::read_to_string(path.with_file_name(file))?;
                text.lines().map(str::to_owned).collect()
            }
            _ => inline,
        };
        self.repositories.push(Repository {
            name: (*name).to_owned(),
            priority: priority.parse()?,
            cost: -cost.parse::<i32>()?,
            installed: false,
            packages: testtags(&lines)?,
        });
        Ok(())
    }

    fn system(&mut self, rest: &str) -> Result<()> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        self.arch = words.first().unwrap_or(&"").to_string();
        self.kind = words.get(1).unwrap_or(&"*").to_string();
        if let Some(name) = words.get(2) {
            let found = self
                .repositories
                .iter_mut()
                .find(|repository| repository.name == *name);
            found.with_context(|| format!("no repository {name}"))?.installed = true;
        }
        Ok(())
    }
}

impl Block {
    fn line(&mut self, word: &str, rest: &str, inline: Vec<String>) {
        let list = || {
            rest.split_whitespace()
                .flat_map(|word| word.split(','))
                .map(str::to_owned)
        };
        match word {
            "job" => self.jobs.push(rest.to_owned()),
            "solverflags" => self.flags.extend(list()),
            "poolflags" => self.pool.extend(list()),
            "disable" => self.disabled.push(rest.trim_start_matches("pkg ").to_owned()),
            "feature" => {}
            "evrcmp" => {
                if let Some((one, other)) = rest.split_once(' ') {
                    self.versions.push((one.to_owned(), other.to_owned()));
                }
            }
            "result" => {
                self.about = rest.split(',').map(|word| word.trim().to_owned()).collect();
                self.result = inline;
            }
            _ => self.strange.push(word.to_owned()),
        }
    }
}

/// Packages of a repository.
fn testtags(lines: &[String]) -> Result<Vec<Package>> {
    let mut packages: Vec<Package> = Vec::new();
    let mut provides_itself = true;
    let finish = |packages: &mut Vec<Package>, own: bool| {
        if let Some(package) = packages.last_mut().filter(|package| own && package.arch != "src") {
            let version = Some((keel_artefact::Comparison::Equal, package.evr.clone()));
            package.provides.push(Dependency {
                name: package.name.clone(),
                version,
            });
        }
    };
    for line in lines {
        let Some((tag, rest)) = line.strip_prefix('=').and_then(|line| line.split_once(':')) else {
            continue;
        };
        let rest = rest.trim();
        if tag == "Ver" {
            let version: f64 = rest
                .split_whitespace()
                .next()
                .unwrap_or("0")
                .parse()
                .unwrap_or(0.0);
            provides_itself = version < 3.0 || rest.contains("addselfprovides");
            continue;
        }
        if tag == "Pkg" {
            finish(&mut packages, provides_itself);
            packages.push(package(rest)?);
            continue;
        }
        let package = packages.last_mut().context("a tag before the first package")?;
        let list = match tag {
            "Req" | "Prq" => &mut package.requires,
            "Prv" => &mut package.provides,
            "Con" => &mut package.conflicts,
            "Obs" => &mut package.obsoletes,
            "Rec" => &mut package.recommends,
            "Sug" => &mut package.suggests,
            "Sup" => &mut package.supplements,
            "Enh" => &mut package.enhances,
            "Vnd" => {
                package.vendor = Some(rest.to_owned());
                continue;
            }
            "Fls" => {
                package.files.push(rest.to_owned());
                continue;
            }
            _ => continue,
        };
        list.push(as_dependency(&dependency(rest)?));
    }
    finish(&mut packages, provides_itself);
    Ok(packages)
}

fn as_dependency(rich: &Rich) -> Dependency {
    match rich {
        Rich::Simple(dependency) => dependency.clone(),
        rich => Dependency::any(rich.to_string()),
    }
}

fn package(rest: &str) -> Result<Package> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (name, version, release, arch) = match words.as_slice() {
        [name, version, release, arch] => (name, version, release, arch),
        [name, version, release] => (name, version, release, &"noarch"),
        _ => bail!("=Pkg: {rest}"),
    };
    let evr = words::evr(&format!("{version}-{release}"))?;
    Ok(Package::named(*name, evr, *arch))
}

/// Do the versions of a block compare as it says?
pub fn compare_versions(block: &Block) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let said: Vec<&str> = block
        .result
        .iter()
        .filter_map(|line| line.strip_prefix("job noop provides "))
        .collect();
    ensure!(
        said.len() == block.versions.len(),
        "as many results as comparisons"
    );
    for ((one, other), said) in block.versions.iter().zip(said) {
        let (a, b): (Evr, Evr) = (words::evr(one)?, words::evr(other)?);
        let sign = match a.compare(&b) {
            std::cmp::Ordering::Less => '<',
            std::cmp::Ordering::Equal => '=',
            std::cmp::Ordering::Greater => '>',
        };
        if said != format!("{one} {sign} {other}") {
            wrong.push(format!("{one} {sign} {other}, not {said}"));
        }
    }
    Ok(wrong)
}
