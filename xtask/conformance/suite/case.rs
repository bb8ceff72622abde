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
    /// What of it Keel is not meant to do.
    pub not: Option<String>,
}

/// What is not as expected: a few lines, or nothing. `rpm_version` is what the suite's rpm calls itself.
pub fn judge(step: &Step, did: &Did, rpm_version: &str) -> Option<String> {
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
            .filter(|text| !(step.unquoted && text.contains(['$', '`'])))
            // configure's name for it
            .map(|text| text.replace("AT_PACKAGE_VERSION", rpm_version))
            .map(|text| without_frame(&text));
        let got = without_frame(got);
        if let Some(expected) = matters.filter(|expected| *expected != got) {
            wrong.push(format!(
                "{name}: expected {}\n{name}: got      {}",
                quoted(&expected),
                quoted(&got)
            ));
        }
    }
    (!wrong.is_empty()).then(|| wrong.join("\n"))
}

fn quoted(text: &str) -> String {
    const MOST: usize = 1_500;
    let quoted = format!("{text:?}");
    match quoted.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &quoted[..end]),
        None => quoted,
    }
}

/// Messages without what each program puts around them: the SPEC's name before a place in it, and the line that says that nothing
/// came of it (rpmspec: `query of specfile X failed, can't parse`; keel: ``cannot expand `…` ``, `1 of 1 SPECs could not be read`).
fn without_frame(text: &str) -> String {
    const EXPAND: &str = "error: cannot expand `";
    let mut rest = text.to_owned();
    // What could not be expanded may be many lines.
    while let Some(start) = rest.find(EXPAND) {
        let end = rest[start..]
            .find("`\n")
            .map_or(rest.len(), |end| start + end + 2);
        rest.replace_range(start..end, "");
    }
    let is_frame = |line: &&str| {
        let failed = line.starts_with("error: query of specfile ") && line.contains(" failed, can't parse");
        let last = line.starts_with("error: ") && line.ends_with(" SPECs could not be read\n");
        !(failed || last)
    };
    let bare = |line: &str| {
        let Some(kind) = ["error: ", "warning: "]
            .into_iter()
            .find(|kind| line.starts_with(kind))
        else {
            return line.to_owned();
        };
        let mut message = &line[kind.len()..];
        while let Some((path, rest)) = message.split_once(".spec: ")
            && !path.contains(' ')
        {
            message = rest;
        }
        format!("{kind}{message}")
    };
    rest.split_inclusive('\n').filter(is_frame).map(bare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_around_a_message_does_not_count() {
        let rpm = "error: line 9: no\nerror: query of specfile /data/x.spec failed, can't parse\n";
        let keel = "error: /data/x.spec: line 9: no\nerror: 1 of 1 SPECs could not be read\n";
        assert_eq!(without_frame(rpm), "error: line 9: no\n");
        assert_eq!(without_frame(keel), without_frame(rpm));
        let expand = "error: bad\nerror: cannot expand `%{lua:\n x}`\nerror: cannot expand `b`\nx\n";
        assert_eq!(without_frame(expand), "error: bad\nx\n");
    }

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
            not: None,
        };
        assert_eq!(judge(step, &did("0", "x\n"), "6.0.0"), None);
        assert!(step.is_plain());
        let script = "rpm \\\n -E 'a \\\nb'\n".to_owned();
        let step_with_joint = Step {
            script,
            ..step.clone()
        };
        assert!(!step_with_joint.is_plain());
        let wrong = judge(step, &did("1", "y\n"), "6.0.0").unwrap();
        assert!(
            wrong.starts_with("status: expected 0, got 1\nstdout: expected \"x\\n\""),
            "{wrong}"
        );
    }
}
