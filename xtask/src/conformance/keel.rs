//! Running `keel spec` over many files: one JSON object a line, in the order of the files.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use crate::options::Options;

/// The program, and what it is told in every run.
#[derive(Debug, Clone)]
pub struct Keel {
    /// The `keel` binary.
    pub program: PathBuf,
    /// `--macros`, `--target` and the like.
    pub arguments: Vec<String>,
}

impl Keel {
    /// From `--keel`, `--macros`, `--target` and every `--keel-arg`.
    pub fn from_options(options: &mut Options) -> Result<Self> {
        let program = options.value("--keel")?;
        let mut arguments = Vec::new();
        for name in ["--macros", "--target"] {
            if let Some(value) = options.value(name)? {
                arguments.extend([name.to_owned(), value]);
            }
        }
        arguments.extend(options.values("--keel-arg")?);
        Ok(Self {
            program: program.map_or_else(|| PathBuf::from("target/release/keel"), PathBuf::from),
            arguments,
        })
    }

    /// `keel spec COMMAND …`, without files.
    pub fn command(&self, command: &str, defines: &[String]) -> Command {
        let mut run = Command::new(&self.program);
        run.args(["spec", command]).args(&self.arguments);
        for define in defines {
            run.arg("--define").arg(define);
        }
        run
    }

    /// Runs `keel spec COMMAND --output json` on `files` and hands over each line; there must be one for each file.
    /// What is said on the side goes to `target/conformance-COMMAND.log`.
    pub fn lines(
        &self,
        command: &str,
        defines: &[String],
        files: &[PathBuf],
        mut each: impl FnMut(usize, &str) -> Result<()>,
    ) -> Result<Duration> {
        let log = Path::new("target").join(format!("conformance-{command}.log"));
        let side = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let started = Instant::now();
        let mut child = self
            .command(command, defines)
            .args(["--output", "json"])
            .args(files)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(side)
            .spawn()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        let stdout = child.stdout.take().context("the output is piped")?;
        let mut count = 0;
        for line in BufReader::new(stdout).lines() {
            let line = line.context("cannot read what keel says")?;
            let file = files
                .get(count)
                .context("keel says more lines than it got files")?;
            each(count, &line).with_context(|| format!("line {} ({})", count + 1, file.display()))?;
            count += 1;
        }
        let status = child.wait().context("cannot wait for keel")?;
        let elapsed = started.elapsed();
        ensure!(
            count == files.len(),
            "`keel spec {command}` said {count} lines of {}, and ended with {status}; see {}",
            files.len(),
            log.display()
        );
        Ok(elapsed)
    }
}
