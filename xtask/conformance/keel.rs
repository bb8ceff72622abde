//! Running `keel spec` over many files: one JSON object a line.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

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
    /// From `--keel`, `--macros`, `--target`, `--rpm` and every `--keel-arg`.
    pub fn from_options(options: &mut Options) -> Result<Self> {
        let program = options.value("--keel")?;
        // What is said is compared with what rpm says.
        let mut arguments = ["--messages", "rpm"].map(str::to_owned).to_vec();
        for name in ["--macros", "--target", "--rpm"] {
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

    /// Whether there is such a subcommand.
    pub fn knows(&self, command: &str) -> Result<bool> {
        let mut help = Command::new(&self.program);
        help.args(["spec", command, "--help"]).stdin(Stdio::null());
        let output = help.output().with_context(|| self.not_run())?;
        Ok(output.status.success())
    }

    /// Runs `keel spec COMMAND --output json` on `files` and hands over each line with the index of the file that it is
    /// about; there is at most one for a file. What is said on the side goes to `target/conformance-COMMAND.log`.
    pub fn lines(
        &self,
        command: &str,
        defines: &[String],
        files: &[PathBuf],
        mut each: impl FnMut(usize, &str) -> Result<()>,
    ) -> Result<Duration> {
        let log = Path::new("target").join(format!("conformance-{command}.log"));
        fs::create_dir_all("target").context("cannot make target")?;
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
            .with_context(|| self.not_run())?;
        let stdout = child.stdout.take().context("the output is piped")?;
        let mut left: HashMap<&Path, usize> = HashMap::new();
        left.extend(
            files
                .iter()
                .enumerate()
                .map(|(index, file)| (file.as_path(), index)),
        );
        for line in BufReader::new(stdout).lines() {
            let line = line.context("cannot read what keel says")?;
            let about: About = serde_json::from_str(&line).context("a line is no JSON about a SPEC")?;
            let index = left.remove(Path::new(&about.spec));
            let index = index.with_context(|| format!("nobody asked about {}, or twice", about.spec))?;
            each(index, &line).with_context(|| about.spec.clone())?;
        }
        let status = child.wait().context("cannot wait for keel")?;
        let elapsed = started.elapsed();
        ensure!(
            left.len() < files.len() || files.is_empty(),
            "`keel spec {command}` said nothing, and ended with {status}; see {}",
            log.display()
        );
        Ok(elapsed)
    }

    fn not_run(&self) -> String {
        format!("cannot run {}", self.program.display())
    }
}

/// What every line begins with.
#[derive(Deserialize)]
struct About {
    spec: String,
}
