//! `rpm`, `rpmspec` and `rpmbuild` as Keel: in a case's folder these names are links to this program, which says the same to `keel spec`.
//!
//! What Keel is no replacement for (transactions, databases, builds) is written down in the file `KEEL_PRETEND_NOT`, and the case is out of scope.

use std::{
    env, fs::OpenOptions, io::Write as _, os::unix::process::CommandExt as _, path::Path, process::Command,
};

use anyhow::{Context as _, Result};

/// The exit code where Keel is not meant to do this.
pub const OUT_OF_SCOPE: u8 = 97;
/// The exit code where a SPEC is fine and rpm would build it now.
pub const WOULD_BUILD: u8 = 98;

/// The programs of rpm that may stand in a case.
pub const NAMES: [&str; 15] = [
    "rpm",
    "rpmspec",
    "rpmbuild",
    "rpmlua",
    "rpmuncompress",
    "rpm2cpio",
    "rpm2archive",
    "rpmkeys",
    "rpmsign",
    "rpmdb",
    "rpmquery",
    "rpmverify",
    "rpmgraph",
    "rpmdeps",
    "elfdeps",
];

/// What a call comes down to.
#[derive(Debug, PartialEq, Eq)]
pub enum Means {
    /// `keel spec …`
    Keel(Vec<String>),
    /// `keel spec …`, only to see whether the SPEC can be read.
    Check(Vec<String>),
    /// Nothing that Keel does, and why.
    Not(String),
}

/// Does what the link's name says; returns only where it has not become Keel.
pub fn run(name: &str, arguments: &[String]) -> Result<u8> {
    let variable = |name: &str| env::var(name).with_context(|| format!("{name} is not set"));
    let common: Vec<String> = variable("KEEL_PRETEND_ARGS")?
        .lines()
        .map(str::to_owned)
        .collect();
    let means = translate(name, arguments);
    if let (Ok(real), Means::Keel(_) | Means::Check(_)) = (env::var("KEEL_PRETEND_REAL"), &means) {
        return Err(Command::new(Path::new(&real).join(name))
            .args(arguments)
            .exec()
            .into());
    }
    let keel = |words: Vec<String>| {
        let mut command = Command::new("/suite/keel");
        command.arg("spec").arg(&words[0]).args(&common).args(&words[1..]);
        command
    };
    let not = |why: &str| -> Result<()> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(variable("KEEL_PRETEND_NOT")?);
        Ok(writeln!(
            file.context("cannot write down what is out of scope")?,
            "{why}"
        )?)
    };
    match means {
        Means::Keel(words) => Err(keel(words).exec().into()),
        Means::Check(words) => {
            let output = keel(words).output().context("cannot run keel")?;
            std::io::stderr().write_all(&output.stderr)?;
            if !output.status.success() {
                return Ok(output.status.code().map_or(OUT_OF_SCOPE, |code| code as u8));
            }
            not("builds")?;
            Ok(WOULD_BUILD)
        }
        Means::Not(why) => {
            not(&why)?;
            Ok(OUT_OF_SCOPE)
        }
    }
}

/// What `name arguments…` is in Keel's words.
pub fn translate(name: &str, arguments: &[String]) -> Means {
    match name {
        "rpm" => rpm(&split(arguments)),
        "rpmspec" => rpmspec(&split(arguments)),
        "rpmbuild" => rpmbuild(&split(arguments)),
        _ => Means::Not(name.to_owned()),
    }
}

/// `--name=value` as two words, as popt reads it.
fn split(arguments: &[String]) -> Vec<String> {
    let mut words = Vec::new();
    for argument in arguments {
        match argument.split_once('=') {
            Some((name, value)) if (name.starts_with("--") && !name.contains(' ')) || name == "-D" => {
                words.extend([name.to_owned(), value.to_owned()]);
            }
            _ => words.push(argument.clone()),
        }
    }
    words
}

/// Options that mean the same everywhere: Keel's words for them, and how many words they were.
fn common(words: &[String]) -> Option<(Vec<String>, usize)> {
    let value = words.get(1).cloned();
    let pair = |name: &str| Some((vec![name.to_owned(), value.clone()?], 2));
    match words.first()?.as_str() {
        "--eval" | "-E" => pair("-E"),
        "--define" | "-D" => pair("--define"),
        name @ ("--undefine" | "--load" | "--with" | "--without" | "--target") => pair(name),
        // Read instead of the default files; Keel reads them after rpm's own, which these cases cannot tell apart.
        "--macros" => {
            let files = value?;
            let load = |file: &str| ["--load".to_owned(), file.to_owned()];
            Some((files.split(':').flat_map(load).collect(), 2))
        }
        "--quiet" | "--noplugins" | "--nouserns" => Some((Vec::new(), 1)),
        "--dbpath" | "--rcfile" => Some((Vec::new(), 2)),
        _ => None,
    }
}

fn rpm(words: &[String]) -> Means {
    let mut keel = vec!["expand".to_owned()];
    let mut at = 0;
    while at < words.len() {
        if words[at] == "-v" {
            keel.push("--verbose".to_owned());
            at += 1;
            continue;
        }
        let Some((more, count)) = common(&words[at..]) else {
            return Means::Not(format!("rpm {}", words[at]));
        };
        keel.extend(more);
        at += count;
    }
    if keel.iter().any(|word| word == "-E") {
        Means::Keel(keel)
    } else {
        Means::Not("rpm without a question".to_owned())
    }
}

/// Sources lie where rpm looks for them, not beside the SPEC, as Keel has it.
fn with_sources(keel: &mut Vec<String>) {
    if !keel.iter().any(|word| word.starts_with("_sourcedir ")) {
        keel.extend(["--define", "_sourcedir %{_topdir}/SOURCES"].map(str::to_owned));
    }
}

fn rpmspec(words: &[String]) -> Means {
    let (mut command, mut keel, mut at) = (None, Vec::new(), 0);
    while at < words.len() {
        let word = words[at].as_str();
        at += 1;
        match word {
            "-q" | "--query" => command = Some("query"),
            "-P" | "--parse" => command = Some("parse"),
            "--shell" => return Means::Not("rpmspec --shell".to_owned()),
            "--qf" | "--queryformat" => {
                keel.push("--qf".to_owned());
                keel.extend(words.get(at).cloned());
                at += 1;
            }
            _ => match common(&words[at - 1..]) {
                Some((more, count)) => {
                    keel.extend(more);
                    at += count - 1;
                }
                // `--srpm`, `--requires` and the like have the same names; a file is a file.
                None => keel.push(word.to_owned()),
            },
        }
    }
    let command = match command {
        Some(command) => command,
        None if keel.iter().any(|word| word == "-E") => "expand",
        None => return Means::Not("rpmspec without a question".to_owned()),
    };
    with_sources(&mut keel);
    // rpmspec asks about all packages, Keel about those with files.
    let which = [
        "--srpm",
        "--rpms",
        "--builtrpms",
        "--buildrequires",
        "--buildconflicts",
    ];
    if command == "query" && !keel.iter().any(|word| which.contains(&word.as_str())) {
        keel.push("--rpms".to_owned());
    }
    keel.insert(0, command.to_owned());
    Means::Keel(keel)
}

fn rpmbuild(words: &[String]) -> Means {
    let (mut keel, mut builds, mut at) = (vec!["parse".to_owned()], false, 0);
    while at < words.len() {
        let word = words[at].as_str();
        match word {
            "-ba" | "-bb" | "-bp" | "-bc" | "-bi" | "-bl" | "-bs" | "-br" | "-bd" | "-bf" => builds = true,
            "--short-circuit" | "--nodeps" | "--noclean" | "--nocheck" | "--nobuild" | "--noprep" => {}
            _ => match common(&words[at..]) {
                Some((more, count)) => {
                    keel.extend(more);
                    at += count;
                    continue;
                }
                None if word.starts_with('-') => return Means::Not(format!("rpmbuild {word}")),
                None => keel.push(word.to_owned()),
            },
        }
        at += 1;
    }
    if keel.iter().any(|word| word == "-E") {
        keel[0] = "expand".to_owned();
        Means::Keel(keel)
    } else if builds {
        with_sources(&mut keel);
        Means::Check(keel)
    } else {
        Means::Not("rpmbuild without a stage".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn means(line: &str) -> Means {
        let words: Vec<String> = line.split(' ').map(|word| word.replace('_', " ")).collect();
        translate(&words[0], &words[1..])
    }

    fn keel(line: &str) -> Vec<String> {
        line.split(' ').map(|word| word.replace('_', " ")).collect()
    }

    fn asked_of_a_spec(line: &str) -> Vec<String> {
        let sources = ["--define", "_sourcedir %{_topdir}/SOURCES"];
        keel(line).into_iter().chain(sources.map(str::to_owned)).collect()
    }

    #[test]
    fn rpm_expands_in_the_order_of_its_options() {
        let call = "rpm --define a_b --eval %a --load=f -D c_=d -E %c -v";
        let expected = "expand --define a_b -E %a --load f --define c_=d -E %c --verbose";
        assert_eq!(means(call), Means::Keel(keel(expected)));
        assert_eq!(
            means("rpm --macros a:b -E x"),
            Means::Keel(keel("expand --load a --load b -E x"))
        );
        assert_eq!(means("rpm -U x.rpm"), Means::Not("rpm -U".to_owned()));
    }

    #[test]
    fn rpmspec_asks_or_parses() {
        let call = "rpmspec -q --srpm --qf %{name} --with bus /data/x.spec";
        assert_eq!(
            means(call),
            Means::Keel(asked_of_a_spec(
                "query --srpm --qf %{name} --with bus /data/x.spec"
            ))
        );
        assert_eq!(
            means("rpmspec --parse --target=s390x x.spec"),
            Means::Keel(asked_of_a_spec("parse --target s390x x.spec"))
        );
        assert_eq!(
            means("rpmspec -q x.spec"),
            Means::Keel([asked_of_a_spec("query x.spec"), keel("--rpms")].concat())
        );
        assert_eq!(
            means("rpmspec --shell x.spec"),
            Means::Not("rpmspec --shell".to_owned())
        );
    }

    #[test]
    fn rpmbuild_only_reads() {
        let call = "rpmbuild -bb --quiet --define pkg_one x.spec";
        assert_eq!(
            means(call),
            Means::Check(asked_of_a_spec("parse --define pkg_one x.spec"))
        );
        assert_eq!(means("rpmbuild -tb x.tar"), Means::Not("rpmbuild -tb".to_owned()));
        assert_eq!(means("rpm2cpio x.rpm"), Means::Not("rpm2cpio".to_owned()));
    }
}
