//! A built disk in QEMU: to look at ([`boot`]), or to run the image's checks inside ([`test`]).

use std::{
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use keel_artefact::{Arch, Event, Interrupt, Sink, event::Outcome};
use keel_config::{
    Image,
    image::{Format, Test},
};
use serde::Serialize;

use crate::{Built, Error, agent, error::At, error::check, tools::Failure};

/// How the kernel is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// By QEMU itself; the disk is only the root.
    Direct,
    /// By firmware, boot loader and stub from the disk.
    Uefi,
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Uefi => "uefi",
        })
    }
}

/// A machine to start.
#[derive(Debug, Clone)]
pub struct Machine {
    /// What it is.
    pub arch: Arch,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// The disk and its format for QEMU (`raw`, `qcow2`). Changes to it are thrown away.
    pub disk: (PathBuf, &'static str),
    /// Kernel, initial RAM disk and command line of a direct boot; none for firmware.
    pub kernel: Option<(PathBuf, Option<PathBuf>, String)>,
    /// Words that a firmware boot adds to the command line.
    pub extra_cmdline: String,
    /// Where the console goes; none for the terminal.
    pub console: Option<PathBuf>,
    /// Socket that the guest's port [`agent::PORT`] is connected to; QEMU makes it and listens.
    pub port: Option<PathBuf>,
    /// Name and content of credentials for systemd.
    pub credentials: Vec<(&'static str, String)>,
    /// A folder for the machine's own files, gone with it.
    pub scratch: PathBuf,
}

/// A running machine. Dropping it ends it.
pub trait Guest {
    /// Has it ended? `Some(true)` when in order.
    fn ended(&mut self) -> Result<Option<bool>, Failure>;
    /// Ends it now.
    fn kill(&mut self);
}

/// What starts machines: QEMU.
pub trait Start {
    /// Starts one.
    fn start(&self, machine: &Machine) -> Result<Box<dyn Guest>, Failure>;
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// Its name.
    pub name: String,
    /// Its shell line ended with this; 0 is passed.
    pub code: i32,
    /// What it wrote.
    pub output: String,
    /// How long it took.
    pub elapsed: Duration,
}

impl CheckResult {
    /// Did it pass?
    pub fn passed(&self) -> bool {
        self.code == 0
    }
}

/// What a test run found.
#[derive(Debug, Clone, Serialize)]
pub struct TestReport {
    /// The image.
    pub image: String,
    /// How it was started.
    pub mode: Mode,
    /// From the kernel's start until multi-user.target (or the agent, without systemd), by the guest's clock.
    pub ready: Duration,
    /// From QEMU's start until the agent answered, by the host's clock: firmware and loader included.
    pub wall: Duration,
    /// Memory of the guest in bytes.
    pub memory_total: u64,
    /// Of that, in use when it was ready.
    pub memory_used: u64,
    /// Size of the disk file in bytes.
    pub disk_size: u64,
    /// The image's checks, in its order.
    pub checks: Vec<CheckResult>,
    /// Everything the console said.
    pub console: PathBuf,
}

impl TestReport {
    /// Did every check pass?
    pub fn passed(&self) -> bool {
        self.checks.iter().all(CheckResult::passed)
    }
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until the guest is ready.
    pub ready: Duration,
    /// Each check.
    pub check: Duration,
    /// Powering off.
    pub off: Duration,
}

impl Default for Limits {
    /// For emulation on a loaded machine.
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            ready: minutes(8),
            check: minutes(2),
            off: minutes(2),
        }
    }
}

/// Words for every boot under test: the console where it is recorded, and an end instead of a halt after a panic.
const TEST_CMDLINE: &str = "console=ttyS0 panic=-1";
/// Lines of the console that a message shows.
const TAIL: usize = 25;
/// How often a waiting host looks around.
const TICK: Duration = Duration::from_millis(100);

/// Where a machine runs, and who may end it.
#[derive(Clone, Copy)]
pub struct Host<'a> {
    /// QEMU.
    pub start: &'a dyn Start,
    /// An empty folder for the machine's files; its path must be short enough for a socket (90 bytes).
    pub scratch: &'a Path,
    /// Who hears of progress.
    pub sink: &'a dyn Sink,
    /// Ctrl-C.
    pub interrupt: &'a Interrupt,
}

/// Boots the image and runs its checks inside.
///
/// The guest's disk, memory and credentials are gone afterwards, whatever happens. A check that fails is in the
/// report; a guest that does not come up, or stops answering, is an error.
pub fn test(
    image: &Image,
    built: &Built,
    mode: Mode,
    limits: Limits,
    host: &Host<'_>,
) -> Result<TestReport, Error> {
    let Host {
        start,
        scratch,
        sink,
        interrupt,
    } = *host;
    let mut machine = machine(image, built, mode, scratch)?;
    let console = built.dir.join("console.log");
    fs_err::write(&console, b"").at("write", console.display())?;
    let port = scratch.join("port");
    machine.console = Some(console.clone());
    machine.port = Some(port.clone());
    machine.credentials = agent::credentials().into();
    machine.extra_cmdline = TEST_CMDLINE.to_owned();
    if let Some((_, _, cmdline)) = &mut machine.kernel {
        cmdline.push(' ');
        cmdline.push_str(TEST_CMDLINE);
    }
    let id = format!("test:{}:{mode}", image.name);
    let title = format!("test {} ({mode})", image.name);
    let begin = Instant::now();
    sink.event(Event::Started {
        id: &id,
        title: &title,
        total: Some(image.tests.len() as u64),
    });
    let disk_size = fs_err::metadata(&machine.disk.0)
        .at("read", machine.disk.0.display())?
        .len();
    let guest = start.start(&machine).map_err(|source| failed(image, source))?;
    let mut session = Session {
        image,
        console: &console,
        guest: Ended(guest),
        lines: None,
        pending: Vec::new(),
        interrupt,
    };
    let result = session.run(&port, limits, &image.tests, &id, sink);
    let outcome = match &result {
        Ok(found) if found.checks.iter().all(CheckResult::passed) => Outcome::Done,
        _ => Outcome::Failed,
    };
    sink.event(Event::Finished {
        id: &id,
        outcome,
        elapsed: begin.elapsed(),
    });
    let Found {
        ready,
        wall,
        memory,
        checks,
    } = result?;
    Ok(TestReport {
        image: image.name.to_string(),
        mode,
        ready,
        wall,
        memory_total: memory.0,
        memory_used: memory.0.saturating_sub(memory.1),
        disk_size,
        checks,
        console,
    })
}

/// Boots the image with its console on the terminal, until it powers off or the user interrupts.
pub fn boot(image: &Image, built: &Built, mode: Mode, host: &Host<'_>) -> Result<(), Error> {
    let Host {
        start,
        scratch,
        interrupt,
        ..
    } = *host;
    let mut machine = machine(image, built, mode, scratch)?;
    machine.extra_cmdline = "console=ttyS0".to_owned();
    if let Some((_, _, cmdline)) = &mut machine.kernel {
        cmdline.push_str(" console=ttyS0");
    }
    let mut guest = Ended(start.start(&machine).map_err(|source| failed(image, source))?);
    loop {
        check(interrupt)?;
        if guest.0.ended().map_err(|source| failed(image, source))?.is_some() {
            return Ok(());
        }
        std::thread::sleep(TICK);
    }
}

fn failed(image: &Image, source: Failure) -> Error {
    Error::Tool {
        tool: "QEMU",
        image: image.name.to_string(),
        source,
    }
}

fn machine(image: &Image, built: &Built, mode: Mode, scratch: &Path) -> Result<Machine, Error> {
    let missing = |what| Error::NoSuchFormat {
        image: image.name.to_string(),
        what,
    };
    let disk = built.file(Format::Raw).map(|path| (path, "raw"));
    let disk = disk
        .or_else(|| Some((built.file(Format::Qcow2)?, "qcow2")))
        .ok_or_else(|| missing("disk"))?;
    let kernel = match (mode, &built.boot) {
        (Mode::Uefi, _) => None,
        (Mode::Direct, Some(boot)) => {
            let initrd = boot.initrd.as_ref().map(|name| built.dir.join(name));
            Some((built.dir.join(&boot.kernel), initrd, boot.cmdline.clone()))
        }
        (Mode::Direct, None) => return Err(missing("disk with a kernel")),
    };
    Ok(Machine {
        arch: built.arch,
        memory_mib: image.memory_mib,
        disk,
        kernel,
        extra_cmdline: String::new(),
        console: None,
        port: None,
        credentials: Vec::new(),
        scratch: scratch.to_owned(),
    })
}

/// Ends the guest when dropped.
struct Ended(Box<dyn Guest>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.kill();
    }
}

struct Found {
    ready: Duration,
    wall: Duration,
    /// Total and available.
    memory: (u64, u64),
    checks: Vec<CheckResult>,
}

struct Session<'a> {
    image: &'a Image,
    console: &'a Path,
    guest: Ended,
    lines: Option<BufReader<UnixStream>>,
    /// The part of a line that has arrived.
    pending: Vec<u8>,
    interrupt: &'a Interrupt,
}

impl Session<'_> {
    fn run(
        &mut self,
        port: &Path,
        limits: Limits,
        tests: &[Test],
        id: &str,
        sink: &dyn Sink,
    ) -> Result<Found, Error> {
        let begin = Instant::now();
        self.connect(port, begin + limits.ready)?;
        while self.line(begin + limits.ready, "was not ready")? != "ready" {}
        let wall = begin.elapsed();
        let facts = "systemctl show -P ActiveEnterTimestampMonotonic multi-user.target 2>/dev/null; \
                     cat /proc/uptime /proc/meminfo";
        let (_, text) = self.command(0, facts, limits.check)?;
        let (ready, memory) = facts_of(&text);
        sink.event(Event::Message {
            id,
            text: &format!("ready after {:.1} s", ready.as_secs_f64()),
        });
        let mut checks = Vec::new();
        for (number, test) in (1..).zip(tests) {
            let start = Instant::now();
            let (code, output) = self.command(number, &test.run, limits.check)?;
            let word = if code == 0 { "passed" } else { "FAILED" };
            sink.event(Event::Message {
                id,
                text: &format!("{word}: {}", test.name),
            });
            sink.event(Event::Progress {
                id,
                done: number as u64,
            });
            checks.push(CheckResult {
                name: test.name.clone(),
                code,
                output,
                elapsed: start.elapsed(),
            });
        }
        self.send("poweroff")?;
        let deadline = Instant::now() + limits.off;
        while self
            .guest
            .0
            .ended()
            .map_err(|source| failed(self.image, source))?
            .is_none()
        {
            if Instant::now() > deadline {
                return Err(self.broken(&format!("did not power off within {} s", limits.off.as_secs())));
            }
            check(self.interrupt)?;
            std::thread::sleep(TICK);
        }
        Ok(Found {
            ready,
            wall,
            memory,
            checks,
        })
    }

    fn connect(&mut self, port: &Path, deadline: Instant) -> Result<(), Error> {
        loop {
            match UnixStream::connect(port) {
                Ok(stream) => {
                    stream
                        .set_read_timeout(Some(TICK))
                        .at("open", "the port of the guest")?;
                    self.lines = Some(BufReader::new(stream));
                    return Ok(());
                }
                Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                    return Err(error).at("open", "the port of the guest");
                }
                Err(_) => self.still_there(deadline, "did not start")?,
            }
            std::thread::sleep(TICK);
        }
    }

    /// Fails when there is no more reason to wait.
    fn still_there(&mut self, deadline: Instant, what: &str) -> Result<(), Error> {
        check(self.interrupt)?;
        if Instant::now() > deadline {
            return Err(self.broken(&format!("{what} in time")));
        }
        match self
            .guest
            .0
            .ended()
            .map_err(|source| failed(self.image, source))?
        {
            Some(_) => Err(self.broken("ended by itself")),
            None => Ok(()),
        }
    }

    /// The next line from the guest.
    fn line(&mut self, deadline: Instant, what: &str) -> Result<String, Error> {
        loop {
            let Some(reader) = &mut self.lines else {
                return Err(self.broken("has no port"));
            };
            // A limit on a line, so that a guest cannot fill the host's memory.
            match reader.by_ref().take(1 << 20).read_until(b'\n', &mut self.pending) {
                Ok(0) => {
                    std::thread::sleep(TICK);
                    self.still_there(deadline, what)?;
                }
                Ok(_) if self.pending.ends_with(b"\n") || self.pending.len() >= 1 << 20 => {
                    let line = String::from_utf8_lossy(&self.pending)
                        .trim_end_matches(['\n', '\r'])
                        .to_owned();
                    self.pending.clear();
                    return Ok(line);
                }
                Ok(_) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) =>
                {
                    self.still_there(deadline, what)?;
                }
                Err(error) => return Err(error).at("read", "the port of the guest"),
            }
        }
    }

    fn send(&mut self, line: &str) -> Result<(), Error> {
        let Some(reader) = &mut self.lines else {
            return Err(self.broken("has no port"));
        };
        reader
            .get_mut()
            .write_all(format!("{line}\n").as_bytes())
            .at("write", "the port of the guest")
    }

    fn command(&mut self, number: usize, run: &str, limit: Duration) -> Result<(i32, String), Error> {
        self.send(&agent::wrapped(number, run))?;
        let deadline = Instant::now() + limit;
        let mut output = agent::Output::new(number);
        loop {
            let line = self.line(deadline, &format!("did not finish `{run}`"))?;
            if let Some(code) = output.line(&line) {
                // The agent's own word on the wrapper.
                while !self.line(deadline, "lost its agent")?.starts_with("exit ") {}
                return Ok((code, output.text()));
            }
        }
    }

    fn broken(&self, what: &str) -> Error {
        let log = fs_err::read(self.console).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n  | ");
        let what = format!("the guest {what}. The end of its console:\n  | {tail}\n");
        Error::Guest {
            image: self.image.name.to_string(),
            what,
            console: self.console.to_owned(),
        }
    }
}

/// Time until ready, and memory (total, available) in bytes.
fn facts_of(text: &str) -> (Duration, (u64, u64)) {
    let first = text.lines().next().unwrap_or("");
    let target = first
        .parse::<u64>()
        .ok()
        .filter(|micros| *micros > 0)
        .map(Duration::from_micros);
    let uptime = text
        .lines()
        .find_map(|line| line.split_once(' ')?.0.parse::<f64>().ok());
    let ready = target.or_else(|| uptime.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()));
    let memory = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace()
            .next()?
            .parse::<u64>()
            .ok()
            .map(|kib| kib * 1024)
    };
    (
        ready.unwrap_or_default(),
        (
            memory("MemTotal:").unwrap_or(0),
            memory("MemAvailable:").unwrap_or(0),
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_with_and_without_systemd() {
        let memory = "MemTotal:  100 kB\nMemFree: 1 kB\nMemAvailable:  60 kB\n";
        for (head, ready) in [
            ("4500000\n9.5 1.0\n", 4500),
            ("9.5 1.0\n", 9500),
            ("0\n9.5 1.0\n", 9500),
            ("", 0),
        ] {
            let (found, sizes) = facts_of(&format!("{head}{memory}"));
            assert_eq!(found, Duration::from_millis(ready), "{head:?}");
            assert_eq!(sizes, (102_400, 61_440));
        }
    }
}
