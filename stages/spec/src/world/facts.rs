//! What programs of the target print when macros ask them who they are: data instead of a run, so that the answer is the
//! target's and not this machine's.
//!
//! A file of facts is TOML (a set of them, [`BUILT_IN`], comes with Keel):
//!
//! ```toml
//! format = 1
//! profile = "azurelinux-3"          # of the built-in ones, to start from; may be left out
//!
//! [values]                          # what outputs are made of
//! python = "3.12"
//!
//! [[fact]]
//! command = ["python3", "-*c", "import sys; print(sys.version_info[0])"]
//! output = "3\n"                    # `{python}` is a value, `{1}` what the first star of the arguments took
//! status = 0                        # its exit code; 0 if left out
//! needs = "python"                  # a value without which there is no such fact; may be left out
//! ```
//!
//! A fact is about one program with its arguments, after the shell has expanded them; a program in one of the usual
//! folders is known by its name alone. A word of `command` is matched as it is, but a `*` takes anything, as little as it
//! can. The last fact that matches counts. One whose output names a value that nobody gave does not exist.

use std::collections::BTreeMap;

use keel_artefact::Arch;
use serde::Deserialize;

use super::Error;

/// The profiles, and the facts of all of them.
const BUILT_IN: &str = include_str!("facts.toml");

/// What is known of a target's programs.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    values: BTreeMap<String, String>,
    facts: Vec<Fact>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fact {
    command: Vec<String>,
    output: String,
    #[serde(default)]
    status: u8,
    #[serde(default)]
    needs: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    #[serde(default)]
    profile: Option<String>,
    #[serde(default)]
    values: BTreeMap<String, String>,
    #[serde(default)]
    fact: Vec<Fact>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BuiltIn {
    profile: BTreeMap<String, BTreeMap<String, String>>,
    fact: Vec<Fact>,
}

impl Facts {
    /// The facts of a built-in profile, for an architecture.
    pub fn profile(name: &str, arch: Arch) -> Result<Self, Error> {
        let mut built_in = built_in();
        let Some(values) = built_in.profile.remove(name) else {
            let known = built_in.profile.into_keys().collect();
            return Err(Error::Profile {
                name: name.to_owned(),
                known,
            });
        };
        let mut facts = Self {
            values,
            facts: built_in.fact,
        };
        facts.set("arch", arch.rpm());
        Ok(facts)
    }

    /// The names of the built-in profiles.
    pub fn profiles() -> Vec<String> {
        built_in().profile.into_keys().collect()
    }

    /// Reads a file of facts; `name` is its own, for messages.
    pub fn parse(text: &str, name: &str, arch: Arch) -> Result<Self, Error> {
        let error = |why: String| Error::Facts {
            file: name.to_owned(),
            why,
        };
        let file: File = toml::from_str(text).map_err(|source| error(source.to_string()))?;
        if file.format != 1 {
            return Err(error(format!(
                "format {} is unknown; this Keel reads 1",
                file.format
            )));
        }
        if let Some(fact) = file.fact.iter().find(|fact| fact.command.is_empty()) {
            return Err(error(format!(
                "the fact with the output {:?} has no command",
                fact.output
            )));
        }
        let mut facts = match &file.profile {
            Some(profile) => Self::profile(profile, arch)?,
            None => Self::default(),
        };
        facts.set("arch", arch.rpm());
        facts.values.extend(file.values);
        facts.facts.extend(file.fact);
        Ok(facts)
    }

    /// Gives a value that outputs may name.
    pub fn set(&mut self, name: &str, value: &str) {
        self.values.insert(name.to_owned(), value.to_owned());
    }

    /// What this program prints with these arguments, and its exit code.
    pub(super) fn answer(&self, argv: &[String]) -> Option<(String, i32)> {
        let mut name = argv.first()?.as_str();
        for folder in ["/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/"] {
            name = name.strip_prefix(folder).unwrap_or(name);
        }
        self.facts.iter().rev().find_map(|fact| {
            let (program, words) = fact.command.split_first()?;
            let mut taken = Vec::new();
            let fits = words.len() == argv.len() - 1
                && fact
                    .needs
                    .as_ref()
                    .is_none_or(|value| self.values.contains_key(value))
                && matches(program, name, &mut Vec::new())
                && words
                    .iter()
                    .zip(&argv[1..])
                    .all(|(pattern, word)| matches(pattern, word, &mut taken));
            if !fits {
                return None;
            }
            Some((self.fill(&fact.output, &taken)?, i32::from(fact.status)))
        })
    }

    /// The output with its values; none if one is missing.
    fn fill(&self, output: &str, taken: &[&str]) -> Option<String> {
        let mut filled = String::new();
        let mut rest = output;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}')?;
            let value = match name.parse::<usize>() {
                Ok(number) => taken.get(number.checked_sub(1)?)?,
                Err(_) => self.values.get(name)?.as_str(),
            };
            filled.extend([before, value]);
            rest = after;
        }
        Some(filled + rest)
    }
}

fn built_in() -> BuiltIn {
    toml::from_str(BUILT_IN).expect("a test reads it")
}

/// Does the pattern match the whole word? What its stars took is added to `taken`.
fn matches<'a>(pattern: &str, word: &'a str, taken: &mut Vec<&'a str>) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == word;
    };
    let Some(word) = word.strip_prefix(before) else {
        return false;
    };
    let count = taken.len();
    for (end, _) in word.char_indices().chain([(word.len(), ' ')]) {
        taken.push(&word[..end]);
        if matches(after, &word[end..], taken) {
            return true;
        }
        taken.truncate(count);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let mut facts = Facts::profile("azurelinux-3", Arch::X86_64).unwrap();
        facts.set("processors", "4");
        facts
    }

    fn ask(facts: &Facts, words: &[&str]) -> Option<(String, i32)> {
        facts.answer(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn profiles_answer_what_macros_ask() {
        let purelib = "import sysconfig; print(sysconfig.get_path('purelib', vars={'platbase': '/usr', 'base': '/usr'}))";
        for (words, output) in [
            (&["/usr/bin/getconf", "_NPROCESSORS_ONLN"][..], "4\n"),
            (&["nproc"], "4\n"),
            (&["perl", "-V:version"], "version='5.38.2';\n"),
            (
                &["/usr/bin/perl", "-V:installvendorlib"],
                "installvendorlib='/usr/share/perl5/vendor_perl';\n",
            ),
            (
                &["/usr/bin/python3", "-Esc", purelib],
                "/usr/lib/python3.12/site-packages\n",
            ),
            (&["uname", "-m"], "x86_64\n"),
        ] {
            assert_eq!(ask(&facts(), words), Some((output.to_owned(), 0)), "{words:?}");
        }
        for unknown in [
            &["perl", "-V:d_fork"][..],
            &["nproc", "--all"],
            &["/opt/bin/nproc"],
            &["uname"],
        ] {
            assert_eq!(ask(&facts(), unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn a_value_that_is_missing_takes_its_facts_along() {
        let plain = Facts::profile("plain", Arch::Aarch64).unwrap();
        assert_eq!(ask(&plain, &["nproc"]), None);
        assert_eq!(ask(&plain, &["perl", "-V:version"]), None);
        assert_eq!(ask(&plain, &["uname", "-m"]), Some(("aarch64\n".to_owned(), 0)));
        for name in Facts::profiles() {
            Facts::profile(&name, Arch::X86_64).unwrap();
        }
        let error = Facts::profile("no", Arch::X86_64).unwrap_err().to_string();
        assert!(
            error.starts_with("there is no profile `no` of facts; there are azurelinux-3, "),
            "{error}"
        );
    }

    #[test]
    fn files_add_to_a_profile() {
        let text = "format = 1\nprofile = \"azurelinux-3\"\n[values]\nperl = \"9\"\n\
                    [[fact]]\ncommand = [\"x\", \"*-*\"]\noutput = \"{2}{1}{arch}\"\nstatus = 3\n";
        let facts = Facts::parse(text, "f.toml", Arch::X86_64).unwrap();
        assert_eq!(
            ask(&facts, &["perl", "-V:version"]),
            Some(("version='9';\n".to_owned(), 0))
        );
        assert_eq!(ask(&facts, &["x", "a-b-c"]), Some(("b-cax86_64".to_owned(), 3)));
        for (wrong, why) in [
            (
                "format = 2\n",
                "cannot read the facts in f.toml: format 2 is unknown; this Keel reads 1",
            ),
            (
                "format = 1\n[[fact]]\ncommand = []\noutput = \"\"\n",
                "has no command",
            ),
            ("format = 1\nfoo = 1\n", "unknown field `foo`"),
        ] {
            let error = Facts::parse(wrong, "f.toml", Arch::X86_64)
                .unwrap_err()
                .to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
