//! Time and memory of one command, taken in a process of its own: the kernel counts children together.

use std::{
    env,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde_json::{Value, json};

/// What a command took.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    /// Seconds.
    pub wall: f64,
    /// Seconds of processor time, user and system, of the command and all that it waited for.
    pub processor: f64,
    /// The largest resident set of any one process.
    pub memory_mib: f64,
}

impl Usage {
    /// For the report.
    pub fn json(&self) -> Value {
        json!({ "wall_seconds": self.wall, "processor_seconds": self.processor, "memory_mib": self.memory_mib })
    }
}

/// What this process's children took so far; no wall time.
pub fn children() -> Result<Usage> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("no resource usage")?;
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(Usage {
        wall: 0.0,
        processor: seconds(usage.user_time()) + seconds(usage.system_time()),
        memory_mib: usage.max_rss() as f64 / 1024.0,
    })
}

/// Runs `command` with its output thrown away.
pub fn measure(command: &Command) -> Result<Usage> {
    let output = Command::new(env::current_exe()?)
        .arg("measure")
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run myself")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect();
    let [wall, processor, memory_mib] = numbers[..] else {
        bail!("the measurement of {:?} failed", command.get_program());
    };
    Ok(Usage {
        wall,
        processor,
        memory_mib,
    })
}

/// The process that [`measure`] starts: `conformance measure PROGRAM ARGUMENT…` prints three numbers.
pub fn run(arguments: &[String]) -> Result<()> {
    let (program, rest) = arguments.split_first().context("say what to measure")?;
    let started = Instant::now();
    Command::new(program)
        .args(rest)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {program}"))?;
    let wall = started.elapsed().as_secs_f64();
    let usage = children()?;
    println!("{wall} {} {}", usage.processor, usage.memory_mib);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_counted_once_they_are_waited_for() {
        Command::new("true").status().unwrap();
        let usage = children().unwrap();
        assert!(usage.memory_mib > 0.0);
        assert!(usage.processor < 60.0);
    }
}
