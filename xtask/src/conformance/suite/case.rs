//! The cases of rpm's own test suite, as `extract_at.py` writes them: a list of cases, each a list of steps.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// One `AT_SETUP`.
#[derive(Debug, Clone, Deserialize)]
pub struct Case {
    /// `rpmmacro.at`
    pub file: String,
    /// Its title; not unique.
    pub name: String,
    /// rpm's own developers expect it to fail, under this condition.
    pub xfail: Option<String>,
    /// Calls of Python, which are not steps.
    #[serde(default)]
    pub python: usize,
    /// One after the other, in one folder.
    pub steps: Vec<Step>,
}

/// One `AT_CHECK`.
#[derive(Debug, Clone, Deserialize)]
pub struct Step {
    /// Lines for the shell.
    pub script: String,
    /// The exit code, or `ignore`.
    pub status: String,
    /// Nothing where it does not matter.
    pub stdout: Option<String>,
    /// Nothing where it does not matter.
    pub stderr: Option<String>,
    /// What is expected is text for the shell: where it has `$` or backquotes it is not compared.
    #[serde(default)]
    pub unquoted: bool,
    /// The script as argument lists, where it is nothing but calls of `rpm`.
    pub evals: Option<Vec<Call>>,
}

impl Step {
    /// Whether `evals` is the whole of it: the extraction joins lines at a backslash, which inside of `'…'` is none.
    pub fn is_plain(&self) -> bool {
        let mut joints = self.script.match_indices("\\\n");
        let quoted = |(at, _): (usize, &str)| self.script[..at].matches('\'').count() % 2 == 1;
        self.evals.is_some() && !joints.any(quoted)
    }
}

/// One call of `rpm`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Call {
    /// The arguments, `rpm` first.
    Plain(Vec<String>),
    /// The same with variables of the environment.
    With {
        /// Name and value.
        env: std::collections::BTreeMap<String, String>,
        /// The arguments, `rpm` first.
        argv: Vec<String>,
    },
}

/// Reads one file of cases.
pub fn read(file: &Path) -> Result<Vec<Case>> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} holds no cases", file.display()))
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Did {
    /// Exit code.
    pub status: String,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// What is not as expected: a few lines, or nothing.
pub fn judge(step: &Step, did: &Did) -> Option<String> {
    let mut wrong = Vec::new();
    if step.status != "ignore" && step.status != did.status {
        wrong.push(format!("status: expected {}, got {}", step.status, did.status));
    }
    for (name, expected, got) in [
        ("stdout", &step.stdout, &did.stdout),
        ("stderr", &step.stderr, &did.stderr),
    ] {
        // Autotest's words for "keep it for the next step", which the script of that step reads.
        let matters = expected
            .as_deref()
            .filter(|text| !matches!(*text, "stdout" | "stderr" | "ignore" | "expout" | "experr"))
            .filter(|text| !(step.unquoted && text.contains(['$', '`'])));
        if let Some(expected) = matters.filter(|expected| expected != got) {
            wrong.push(format!("{name}: expected {expected:?}\n{name}: got      {got:?}"));
        }
    }
    (!wrong.is_empty()).then(|| wrong.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_read_with_and_without_environment() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("cases.json");
        let text = r#"[{"file": "x.at", "line": 3, "name": "one", "keywords": [], "rw": false, "steps": [{"script": "rpm -E x\n", "status": "0",
            "stdout": "x\n", "stderr": null, "evals": [["rpm", "-E", "x"], {"env": {"A": "b"}, "argv": ["rpm", "-E", "y"]}]}]}]"#;
        fs::write(&file, text).unwrap();
        let cases = read(&file).unwrap();
        let calls = cases[0].steps[0].evals.as_ref().unwrap();
        assert_eq!(
            calls[0],
            Call::Plain(["rpm", "-E", "x"].map(str::to_owned).to_vec())
        );
        assert!(matches!(&calls[1], Call::With { env, .. } if env["A"] == "b"));
        let step = &cases[0].steps[0];
        let did = |status: &str, stdout: &str| Did {
            status: status.to_owned(),
            stdout: stdout.to_owned(),
            stderr: "whatever".to_owned(),
        };
        assert_eq!(judge(step, &did("0", "x\n")), None);
        assert!(step.is_plain());
        let script = "rpm \\\n -E 'a \\\nb'\n".to_owned();
        let step_with_joint = Step {
            script,
            ..step.clone()
        };
        assert!(!step_with_joint.is_plain());
        let wrong = judge(step, &did("1", "y\n")).unwrap();
        assert!(
            wrong.starts_with("status: expected 0, got 1\nstdout: expected \"x\\n\""),
            "{wrong}"
        );
    }
}
