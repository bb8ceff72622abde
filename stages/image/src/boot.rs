//! A built disk in QEMU: to look at ([`boot`]), or to run the image's checks inside ([`test`]).

use std::{
    io::Read as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use keel_artefact::{Event, Interrupt, Sha256, Sink, event::Outcome};
use keel_config::{Image, image::Format};
use keel_host::qemu;
use keel_store::Store;
use serde::{Deserialize, Serialize};

mod machine;

use crate::{
    Built, Error, agent,
    error::At,
    seed::Seed,
    session::{Found, Session},
    write::oci::write_file,
};

/// How the kernel is started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// By QEMU itself; the disk is only the root.
    #[default]
    Direct,
    /// By firmware, boot loader and stub from the disk.
    Uefi,
    /// By the BIOS of PCs before UEFI, from a live system's medium.
    Bios,
    /// By iPXE, in the network card's ROM, from the network: a live system.
    Pxe,
}

impl Mode {
    /// All of them.
    const ALL: [Self; 4] = [Self::Direct, Self::Uefi, Self::Bios, Self::Pxe];
}

/// What a live system's medium is to the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Medium {
    /// A CD.
    #[default]
    Cd,
    /// A disk, such as a USB stick.
    Disk,
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Uefi => "uefi",
            Self::Bios => "bios",
            Self::Pxe => "pxe",
        })
    }
}

/// How a guest is started, and what it is given besides its disk.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How its kernel is started.
    pub mode: Mode,
    /// What an ISO is to it.
    pub medium: Medium,
    /// How long things may take under test.
    pub limits: Limits,
    /// When a machine is ended that is only looked at; none: never.
    pub timeout: Option<Duration>,
    /// May KVM run it, where there is one?
    pub kvm: bool,
    /// A TPM 2.0, new each time.
    pub tpm: bool,
    /// TCP ports of this machine that lead to it (not under test).
    pub forwards: Vec<qemu::Forward>,
    /// A user (not under test).
    pub seed: Option<Seed>,
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    /// Size of the disk file in bytes; from the network, of what is there for it.
    pub disk_size: u64,
    /// Its processors.
    pub cpus: u32,
    /// Could KVM run it? Else it was emulated.
    pub kvm: bool,
    /// Digest of the image's tree.
    pub tree: Sha256,
    /// The image's checks, in its order.
    pub checks: Vec<CheckResult>,
    /// What something may come in by, after the checks: `tcp 0.0.0.0:22`; null: the image has no `ss`.
    pub listening: Option<Vec<String>>,
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

/// Words for a direct boot under test: the console where it is recorded, and an end instead of a halt after a panic.
const TEST_CMDLINE: &str = "console=ttyS0 panic=-1";
/// How often a waiting host looks around.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// Processors of a guest.
const CPUS: u32 = 2;

/// Boots the image and runs its checks inside.
///
/// Its network ends at a router that gives it an address. The guest's disk, memory and credentials are gone afterwards, whatever happens. A check that fails is in the
/// report; a guest that does not come up, or stops answering, is an error.
pub fn test(
    image: &Image,
    built: &Built,
    options: &Options,
    store: &Store,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<TestReport, Error> {
    let mode = options.mode;
    let scratch = store.temp_dir("guest")?;
    let short = machine::Short::new(scratch.path())?;
    let port = short.path().join("port");
    let mut machine = machine::machine(image, built, options, &short)?;
    let console = machine.console.clone();
    machine.network = Some(qemu::Network {
        is_closed: true,
        ..machine::network(image, built, mode)?
    });
    machine.port = Some((agent::PORT.to_owned(), port.clone()));
    machine.credentials = agent::credentials()
        .map(|(name, value)| (name.to_owned(), value.into_bytes()))
        .into_iter()
        .collect();
    if let qemu::Boot::Kernel { command_line, .. } = &mut machine.boot {
        command_line.push(' ');
        command_line.push_str(TEST_CMDLINE);
    }
    let id = format!("test:{}:{mode}", image.name);
    let title = format!("{} ({mode})", image.name);
    let begin = Instant::now();
    sink.event(Event::Started {
        id: &id,
        title: &title,
        total: Some(image.tests.len() as u64),
    });
    let disk_size = match machine.drives.first() {
        Some(drive) => fs_err::metadata(&drive.file)
            .at("read", drive.file.display())?
            .len(),
        None => built
            .files
            .iter()
            .filter(|file| file.format == Format::Pxe.as_str())
            .map(|file| file.size)
            .sum(),
    };
    let guest = machine
        .start()
        .map_err(|source| Error::tool("QEMU", image.name.as_str(), source))?;
    let mut session = Session::new(image.name.as_str(), &console, Box::new(guest), interrupt);
    let result = session.run(&port, options.limits, &image.tests, &id, sink);
    let outcome = match &result {
        Ok(found) if found.checks.iter().all(CheckResult::passed) => Outcome::Done,
        _ => Outcome::Failed,
    };
    drop(session);
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
        listening,
    } = result?;
    let report = TestReport {
        image: image.name.to_string(),
        mode,
        ready,
        wall,
        memory_total: memory.0,
        memory_used: memory.0.saturating_sub(memory.1),
        disk_size,
        cpus: CPUS,
        kvm: options.kvm,
        tree: built.tree,
        checks,
        listening,
        console,
    };
    let path = built.dir.join(report_name(mode));
    let scratch = path.with_extension("json.new");
    let mut bytes = serde_json::to_vec_pretty(&report).expect("structs of strings and numbers are JSON");
    bytes.push(b'\n');
    write_file(&scratch, &bytes)?;
    fs_err::rename(&scratch, &path).at("write", path.display())?;
    Ok(report)
}

/// The name of the file that has the last report.
fn report_name(mode: Mode) -> String {
    format!("test-{mode}.json")
}

/// The last reports of tests of just this image, as far as there are any.
pub fn reports(built: &Built) -> Result<Vec<TestReport>, Error> {
    let mut reports = Vec::new();
    for mode in Mode::ALL {
        let path = built.dir.join(report_name(mode));
        let bytes = match fs_err::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).at("read", path.display()),
        };
        // One of an older Keel says less, and counts as none.
        let report = serde_json::from_slice::<TestReport>(&bytes).ok();
        reports.extend(report.filter(|report| report.tree == built.tree));
    }
    Ok(reports)
}

/// How a machine that was looked at ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It powered off.
    Off,
    /// The user ended it.
    Stopped,
}

/// Boots the image, until it powers off or the user interrupts; all other ends are errors. Each line of its console is an
/// [`Event::Message`]; there is nothing to type: whoever is to log in comes by the network.
pub fn boot(
    image: &Image,
    built: &Built,
    options: &Options,
    store: &Store,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<Ending, Error> {
    let mode = options.mode;
    let scratch = store.temp_dir("guest")?;
    let short = machine::Short::new(scratch.path())?;
    let mut machine = machine::machine(image, built, options, &short)?;
    machine.network = Some(qemu::Network {
        forwards: options.forwards.clone(),
        ..machine::network(image, built, mode)?
    });
    machine.credentials = (options.seed.as_ref()).map_or_else(Vec::new, Seed::credentials);
    if let qemu::Boot::Kernel { command_line, .. } = &mut machine.boot {
        command_line.push_str(" console=ttyS0");
    }
    let tool = |source| Error::tool("QEMU", image.name.as_str(), source);
    let id = format!("boot:{}:{mode}", image.name);
    let mut console = fs_err::File::open(&machine.console).at("read", machine.console.display())?;
    let broken = |what| Error::Guest {
        image: image.name.to_string(),
        what,
        console: machine.console.clone(),
    };
    let start = Instant::now();
    let mut guest = machine.start().map_err(tool)?;
    let (mut text, mut is_silent, mut ended) = (Vec::new(), true, false);
    loop {
        if interrupt.is_set() {
            return Ok(Ending::Stopped);
        }
        console
            .read_to_end(&mut text)
            .at("read", machine.console.display())?;
        is_silent &= text.is_empty();
        let is_late = options.timeout.is_some_and(|limit| start.elapsed() >= limit);
        for line in lines(&mut text, ended || is_late) {
            sink.event(Event::Message { id: &id, text: &line });
        }
        if ended {
            let why = match guest.end().map_err(tool)? {
                qemu::End::Off => return Ok(Ending::Off),
                qemu::End::Reset if is_silent => format!(
                    "the guest ended before it said anything; perhaps {} MiB of memory are too little",
                    image.memory_mib
                ),
                qemu::End::Reset => "the guest restarted or panicked, and is not started again".to_owned(),
                qemu::End::Other(reason) => format!("the guest ended ({reason})"),
            };
            return Err(broken(why));
        }
        if let Some(limit) = options.timeout.filter(|_| is_late) {
            return Err(broken(format!(
                "the guest did not power off within {} s",
                limit.as_secs()
            )));
        }
        ended = guest.ended().map_err(tool)?.is_some();
        std::thread::sleep(TICK);
    }
}

/// Takes the lines that are complete; of a guest that says nothing more, the last one too, which need not have an end.
fn lines(text: &mut Vec<u8>, is_all: bool) -> Vec<String> {
    let end = match is_all {
        true => text.len(),
        false => text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |last| last + 1),
    };
    let taken: Vec<u8> = text.drain(..end).collect();
    let line = |line: &[u8]| String::from_utf8_lossy(line).trim_end().to_owned();
    taken.split_inclusive(|byte| *byte == b'\n').map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_console_needs_no_end() {
        let mut text = b"one\r\n\ntwo".to_vec();
        assert_eq!(lines(&mut text, false), ["one", ""]);
        assert!(lines(&mut text, false).is_empty());
        assert_eq!(lines(&mut text, true), ["two"]);
        assert!(lines(&mut text, true).is_empty());
    }
}
