//! Reading a git directory without a work tree.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

pub struct Git {
    directory: String,
}

impl Git {
    pub fn new(directory: &str) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    /// A file: `REV:PATH`.
    pub fn show(&self, object: &str) -> Result<Vec<u8>> {
        self.run(&["show", object])
    }

    /// Paths of all files below a folder.
    pub fn list(&self, revision: &str, folder: &str) -> Result<Vec<String>> {
        let text = self.run(&["ls-tree", "-r", "-z", "--name-only", revision, "--", folder])?;
        let text = String::from_utf8_lossy(&text);
        Ok(text
            .split('\0')
            .filter(|path| !path.is_empty())
            .map(str::to_owned)
            .collect())
    }

    fn run(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let output = Command::new("git")
            .arg("--git-dir")
            .arg(&self.directory)
            .args(arguments)
            .stderr(Stdio::piped())
            .output()
            .context("git cannot be run")?;
        if !output.status.success() {
            bail!(
                "git {}: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(output.stdout)
    }
}
