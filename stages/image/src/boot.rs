//! A built disk in QEMU: to look at ([`boot`]), or to run the image's checks inside ([`test`]).

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use keel_artefact::{Event, Interrupt, Sink, event::Outcome};
use keel_config::{Image, image::Format};
use keel_host::qemu;
use keel_store::Store;
use serde::Serialize;

use crate::{
    Built, Error, agent,
    error::At,
    seed::Seed,
    session::{Found, Session},
};

/// How the kernel is started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// By QEMU itself; the disk is only the root.
    #[default]
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

/// How a guest is started, and what it is given besides its disk.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How its kernel is started.
    pub mode: Mode,
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
    let short = Short::new(scratch.path())?;
    let port = short.path().join("port");
    let mut machine = machine(image, built, options, &short)?;
    let console = machine.console.clone();
    machine.network = Some(qemu::Network {
        is_closed: true,
        forwards: Vec::new(),
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
    let disk = &machine.drives[0].file;
    let disk_size = fs_err::metadata(disk).at("read", disk.display())?.len();
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
    let short = Short::new(scratch.path())?;
    let mut machine = machine(image, built, options, &short)?;
    machine.network = Some(qemu::Network {
        is_closed: false,
        forwards: options.forwards.clone(),
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
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            sink.event(Event::Message {
                id: &id,
                text: String::from_utf8_lossy(&line).trim_end(),
            });
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
        if let Some(limit) = options.timeout.filter(|limit| start.elapsed() >= *limit) {
            return Err(broken(format!(
                "the guest did not power off within {} s",
                limit.as_secs()
            )));
        }
        ended = guest.ended().map_err(tool)?.is_some();
        std::thread::sleep(TICK);
    }
}

/// Of the formats of a disk, the first that the image has is booted; they hold the same.
const DRIVES: [(Format, qemu::DriveFormat); 4] = [
    (Format::Raw, qemu::DriveFormat::Raw),
    (Format::Qcow2, qemu::DriveFormat::Qcow2),
    (Format::Vhd, qemu::DriveFormat::Vhd),
    (Format::Vhdx, qemu::DriveFormat::Vhdx),
];

fn machine(image: &Image, built: &Built, options: &Options, short: &Short) -> Result<qemu::Machine, Error> {
    let mode = options.mode;
    let missing = |what| Error::NoSuchFormat {
        image: image.name.to_string(),
        what,
    };
    let (file, format) = DRIVES
        .iter()
        .find_map(|(format, drive)| Some((built.file(*format)?, *drive)))
        .ok_or_else(|| missing("disk"))?;
    let boot = match (mode, &built.boot) {
        (Mode::Uefi, _) => qemu::Boot::Uefi,
        (Mode::Direct, Some(boot)) => qemu::Boot::Kernel {
            kernel: built.dir.join(&boot.kernel),
            initrd: boot.initrd.as_ref().map(|name| built.dir.join(name)),
            command_line: boot.cmdline.clone(),
        },
        (Mode::Direct, None) => return Err(missing("disk with a kernel")),
    };
    let console = built.dir.join(format!("console-{mode}.log"));
    fs_err::write(&console, b"").at("write", console.display())?;
    Ok(qemu::Machine {
        arch: built.arch,
        memory_mib: image.memory_mib,
        cpus: CPUS,
        boot,
        drives: vec![qemu::Drive {
            file,
            format,
            read_only: false,
            snapshot: true,
        }],
        console,
        port: None,
        credentials: Vec::new(),
        network: None,
        tpm: options.tpm.then(|| short.path().join("tpm.socket")),
        kvm: options.kvm,
        scratch: short.folder.clone(),
    })
}

/// A folder with a path short enough for sockets in it (108 bytes, unix(7)), gone when dropped.
struct Short {
    link: Option<PathBuf>,
    folder: PathBuf,
}

impl Short {
    fn new(scratch: &Path) -> Result<Self, Error> {
        let folder = scratch.to_owned();
        if folder.as_os_str().len() < 90 {
            return Ok(Self { link: None, folder });
        }
        let link = PathBuf::from(format!("/tmp/keel-port-{}", std::process::id()));
        // Left by a dead process of the same number.
        let _ = fs_err::remove_file(&link);
        std::os::unix::fs::symlink(&folder, &link).at("make", link.display())?;
        Ok(Self {
            link: Some(link),
            folder,
        })
    }

    fn path(&self) -> &Path {
        self.link.as_ref().unwrap_or(&self.folder)
    }
}

impl Drop for Short {
    fn drop(&mut self) {
        if let Some(link) = &self.link {
            let _ = fs_err::remove_file(link);
        }
    }
}
