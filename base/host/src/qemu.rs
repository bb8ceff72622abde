//! QEMU: a virtual machine that lives no longer than Keel (qemu(1)).
//!
//! A [`Machine`] says what it has; [`Machine::start`] finds QEMU and firmware on this machine, and runs it without
//! network, display or configuration of the user's. By default the processor is emulated (TCG): slow, and the same
//! everywhere.

use std::{
    io::{Read as _, Write as _},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use keel_artefact::{Arch, Interrupt};
use keel_sandbox::Status;

use crate::{Error, Program, swtpm};

/// A virtual machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its architecture.
    pub arch: Arch,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Processors.
    pub cpus: u32,
    /// How it starts.
    pub boot: Boot,
    /// Its disks, in the order of `/dev/vda`, `/dev/vdb`; CDs are counted apart, from `/dev/sr0`.
    pub drives: Vec<Drive>,
    /// What the first serial port says goes to this file.
    pub console: PathBuf,
    /// A virtio port for tests: its name inside (`/dev/virtio-ports/NAME`) and the socket that QEMU listens on here.
    pub port: Option<(String, PathBuf)>,
    /// systemd credentials by name, without NUL bytes: SMBIOS strings `io.systemd.credential:NAME=VALUE`
    /// (systemd.system-credentials(7)). Not fw_cfg, whose names end at 55 bytes.
    pub credentials: Vec<(String, Vec<u8>)>,
    /// Its network card, behind a router that QEMU itself is (10.0.2.0/24, with DHCP). Without one it has none.
    pub network: Option<Network>,
    /// A TPM 2.0 (swtpm(8)) that is new each time: the socket over which QEMU talks to it.
    pub tpm: Option<PathBuf>,
    /// May it use KVM where there is one? Where not, or if false, everything is emulated.
    pub kvm: bool,
    /// For what it writes meanwhile: UEFI variables, credentials, the monitor. The caller removes it.
    pub scratch: PathBuf,
}

/// What a machine's network reaches.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Nothing beyond the router, which gives it an address: neither this machine nor what this one reaches.
    pub is_closed: bool,
    /// TCP ports of this machine's 127.0.0.1 that lead to it.
    pub forwards: Vec<Forward>,
    /// What firmware that boots from the network gets: a folder, by TFTP, and the file of it that it is told to begin with.
    pub boot: Option<(PathBuf, String)>,
}

/// A TCP port of this machine, and the one of the guest that it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Of this machine.
    pub host: u16,
    /// Of the guest.
    pub guest: u16,
}

/// How a machine starts.
#[derive(Clone, Debug)]
pub enum Boot {
    /// QEMU loads the kernel.
    Kernel {
        /// The kernel.
        kernel: PathBuf,
        /// Its first root, if it needs one.
        initrd: Option<PathBuf>,
        /// Its command line.
        command_line: String,
    },
    /// UEFI firmware starts what is on the first disk or CD, or what the network has. Its variables are fresh each time.
    Uefi,
    /// QEMU's own BIOS starts what is on the first disk or CD, or what the network has (x86-64).
    Bios,
}

/// What ended a machine, though QEMU itself did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It powered off.
    Off,
    /// It was to start again: its system restarted, or its processor found no way on.
    Reset,
    /// Something else, in QEMU's word.
    Other(String),
}

/// A disk.
#[derive(Clone, Debug)]
pub struct Drive {
    /// The file on this machine.
    pub file: PathBuf,
    /// How it is written.
    pub format: DriveFormat,
    /// Never written; else changes go to the file.
    pub read_only: bool,
    /// Changes are forgotten at the end. Then the file is not written either, though the machine may.
    pub snapshot: bool,
    /// The machine has it as a CD.
    pub is_cd: bool,
}

/// How a disk's file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriveFormat {
    /// As it is.
    Raw,
    /// QEMU's own.
    Qcow2,
    /// VHD, which QEMU does not tell from a raw disk by itself.
    Vhd,
    /// VHDX.
    Vhdx,
}

/// UEFI firmware: code, and the variables of a machine that never ran.
const FIRMWARE: [(Arch, &str, &str, &str); 4] = [
    (
        Arch::X86_64,
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
        "ovmf",
    ),
    (
        Arch::X86_64,
        "/usr/share/OVMF/OVMF_CODE.fd",
        "/usr/share/OVMF/OVMF_VARS.fd",
        "ovmf",
    ),
    (
        Arch::Aarch64,
        "/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd",
        "/usr/share/AAVMF/AAVMF_VARS.fd",
        "qemu-efi-aarch64",
    ),
    (
        Arch::Aarch64,
        "/usr/share/AAVMF/AAVMF_CODE.fd",
        "/usr/share/AAVMF/AAVMF_VARS.fd",
        "qemu-efi-aarch64",
    ),
];

/// The firmware's code and fresh variables on this machine.
pub fn firmware(arch: Arch) -> Result<(&'static Path, &'static Path), Error> {
    let ours = FIRMWARE.iter().filter(|(of, ..)| *of == arch);
    let mut missing = Error::NotFound {
        program: "UEFI firmware".to_owned(),
        package: "ovmf",
    };
    for (_, code, variables, package) in ours {
        if Path::new(code).is_file() && Path::new(variables).is_file() {
            return Ok((Path::new(code), Path::new(variables)));
        }
        missing = Error::NotFound {
            program: (*code).to_owned(),
            package,
        };
    }
    Err(missing)
}

/// The kernel counts a few interrupts of its timer in the first hundredth of a second and panics if too few came
/// ("IO-APIC and timer do not work"). An emulator that has to wait for its processor is too slow for that. KVM's guests do not
/// count, and whether it is KVM is known only when QEMU has tried: all are told.
const NO_TIMER_CHECK: &str = "no_timer_check";
/// After this, QEMU tells on its output what happens to the machine (QEMU Machine Protocol).
const QMP_HELLO: &[u8] = b"{\"execute\": \"qmp_capabilities\"}\n";
/// systemd's stub adds this SMBIOS string to the command line of a unified kernel image, without Secure Boot (systemd-stub(7)).
const STUB_CMDLINE: &str = "io.systemd.stub.kernel-cmdline-extra";

/// How the QEMU at `path` emulates processors: all in one thread where it is older than 8.1 or does not tell.
///
/// Before 8.1 the translator read code while another processor changed it, and kept what it had read. A kernel that patches
/// itself died of a breakpoint that was gone already: seldom, and more often on a busy machine. One thread is a third slower.
fn emulation(path: &Path) -> &'static str {
    let told = Command::new(path).arg("--version").env_clear().output();
    let version = (told.ok()).and_then(|told| version(&String::from_utf8_lossy(&told.stdout)));
    match version >= Some((8, 1)) {
        true => "tcg,thread=multi",
        false => "tcg,thread=single",
    }
}

/// `QEMU emulator version 10.0.2 (Debian …)`: 10 and 0.
fn version(told: &str) -> Option<(u32, u32)> {
    let (_, version) = told.split_once(" version ")?;
    let mut parts = version.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

impl Machine {
    /// Starts it. It runs until it powers off, is killed, or Keel dies (then the kernel kills it: the calling thread
    /// must live as long as the machine is wanted).
    pub fn start(&self) -> Result<Running, Error> {
        let program = Program::Qemu(self.arch);
        let path = program.find()?;
        let argv = self.argv(emulation(&path))?;
        let tpm = (self.tpm.as_ref())
            .map(|socket| swtpm::start(socket, &self.scratch))
            .transpose()?;
        let start = |source| Error::Start {
            program: program.name(),
            source,
        };
        let said = self.scratch.join("qemu.log");
        let log = fs_err::File::create(&said)?.into_parts().0;
        let events = self.scratch.join("qmp.log");
        let answers = fs_err::File::create(&events)?.into_parts().0;
        let mut command = Command::new(path);
        command
            .args(&argv)
            .env_clear()
            .envs([
                ("PATH", "/usr/bin:/bin"),
                ("LC_ALL", "C.UTF-8"),
                ("HOME", "/nonexistent"),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::from(answers))
            .stderr(Stdio::from(log))
            .process_group(0);
        let mut child = keel_sandbox::child::dies_with_caller(&mut command)
            .spawn()
            .map_err(start)?;
        if let Some(input) = &mut child.stdin {
            // Where QEMU is gone already, its status and its words tell why.
            let _ = input.write_all(QMP_HELLO);
        }
        let mut line = vec![program.name().to_owned()];
        line.extend(argv);
        Ok(Running {
            child,
            program,
            argv: line,
            said,
            events,
            _tpm: tpm,
        })
    }

    /// QEMU's arguments. Writes credentials and UEFI variables to `scratch`.
    fn argv(&self, emulation: &str) -> Result<Vec<String>, Error> {
        let mut argv: Vec<String> = Vec::new();
        let mut add = |option: &str, value: String| argv.extend([format!("-{option}"), value]);
        let kvm = self.kvm && Path::new("/dev/kvm").exists();
        match self.arch {
            Arch::X86_64 => add("machine", "q35,smm=off,vmport=off,i8042=off".to_owned()),
            Arch::Aarch64 => add("machine", "virt".to_owned()),
        }
        if kvm {
            add("accel", "kvm".to_owned());
        }
        add("accel", emulation.to_owned());
        // cmpxchg16b under TCG leaves wrong flags (QEMU 7.2), and kernels that use it crash at random.
        let cpu = match self.arch {
            Arch::X86_64 => "max,-cx16,-la57",
            Arch::Aarch64 => "max",
        };
        add("cpu", cpu.to_owned());
        add("m", format!("{}M", self.memory_mib));
        add("smp", self.cpus.to_string());
        add("nic", "none".to_owned());
        if let Some(network) = &self.network {
            let mut router = "user,id=net".to_owned();
            if network.is_closed {
                router.push_str(",restrict=on");
            }
            for Forward { host, guest } in &network.forwards {
                router.push_str(&format!(",hostfwd=tcp:127.0.0.1:{host}-:{guest}"));
            }
            // The ROM of the card (iPXE) boots from the network, and does nothing else.
            let mut rom = ",romfile=".to_owned();
            if let Some((folder, file)) = &network.boot {
                router.push_str(&format!(
                    ",tftp={},bootfile={}",
                    self.path(folder)?,
                    doubled(file)
                ));
                // After every disk.
                rom = format!(",bootindex={}", self.drives.len() + 1);
            }
            add("netdev", router);
            add("device", format!("virtio-net-pci,netdev=net{rom}"));
        }
        if let Some(socket) = &self.tpm {
            add("chardev", format!("socket,id=tpm,path={}", self.path(socket)?));
            add("tpmdev", "emulator,id=tpm,chardev=tpm".to_owned());
            let device = match self.arch {
                Arch::X86_64 => "tpm-crb",
                Arch::Aarch64 => "tpm-tis-device",
            };
            add("device", format!("{device},tpmdev=tpm"));
        }
        add("display", "none".to_owned());
        add("monitor", "none".to_owned());
        add("chardev", "stdio,id=qmp,signal=off".to_owned());
        add("mon", "chardev=qmp,mode=control".to_owned());
        // Not `-serial file:…`, which takes a doubled comma for two.
        add(
            "chardev",
            format!("file,id=console,path={}", self.path(&self.console)?),
        );
        add("serial", "chardev:console".to_owned());
        add("device", "virtio-rng-pci".to_owned());
        match &self.boot {
            Boot::Kernel {
                kernel,
                initrd,
                command_line,
            } => {
                add("kernel", text(kernel)?);
                if let Some(initrd) = initrd {
                    add("initrd", text(initrd)?);
                }
                let line = match self.arch {
                    Arch::X86_64 => format!("{command_line} {NO_TIMER_CHECK}"),
                    Arch::Aarch64 => command_line.clone(),
                };
                add("append", line);
            }
            // QEMU has it without being asked.
            Boot::Bios => {}
            Boot::Uefi => {
                let (code, fresh) = firmware(self.arch)?;
                let variables = self.scratch.join("uefi-variables.fd");
                fs_err::copy(fresh, &variables)?;
                fs_err::set_permissions(&variables, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
                let code = code.display();
                add(
                    "drive",
                    format!("if=pflash,unit=0,format=raw,readonly=on,file={code}"),
                );
                add(
                    "drive",
                    format!("if=pflash,unit=1,format=raw,file={}", self.path(&variables)?),
                );
                if self.arch == Arch::X86_64 {
                    add("smbios", format!("type=11,value={STUB_CMDLINE}={NO_TIMER_CHECK}"));
                }
            }
        }
        for (number, drive) in self.drives.iter().enumerate() {
            let format = match drive.format {
                DriveFormat::Raw => "raw",
                DriveFormat::Qcow2 => "qcow2",
                DriveFormat::Vhd => "vpc",
                DriveFormat::Vhdx => "vhdx",
            };
            let flag = |name: &str, on: bool| format!("{name}={}", if on { "on" } else { "off" });
            let (only, file) = (flag("readonly", drive.read_only), self.path(&drive.file)?);
            let forget = flag("snapshot", drive.snapshot);
            add(
                "drive",
                format!("if=none,id=disk{number},format={format},{only},{forget},cache=unsafe,file={file}"),
            );
            let device = match drive.is_cd {
                false => "virtio-blk-pci",
                true if self.arch == Arch::X86_64 => "ide-cd",
                true => "scsi-cd",
            };
            if drive.is_cd && self.arch != Arch::X86_64 {
                add("device", "virtio-scsi-pci".to_owned());
            }
            add(
                "device",
                // 0 is the kernel's, where QEMU loads one.
                format!("{device},drive=disk{number},bootindex={}", number + 1),
            );
        }
        if let Some((name, socket)) = &self.port {
            add("device", "virtio-serial-pci".to_owned());
            add(
                "chardev",
                format!("socket,id=port,server=on,wait=off,path={}", self.path(socket)?),
            );
            add(
                "device",
                format!("virtserialport,chardev=port,name={}", doubled(name)),
            );
        }
        for (number, (name, value)) in self.credentials.iter().enumerate() {
            let file = self.scratch.join(format!("credential-{number}"));
            fs_err::write(
                &file,
                [format!("io.systemd.credential:{name}=").as_bytes(), value].concat(),
            )?;
            add("smbios", format!("type=11,path={}", self.path(&file)?));
        }
        argv.extend(["-nodefaults", "-no-user-config", "-no-reboot"].map(str::to_owned));
        Ok(argv)
    }

    /// A path as the value of an option, where `,` is written twice.
    fn path(&self, path: &Path) -> Result<String, Error> {
        Ok(doubled(&text(path)?))
    }
}

fn text(path: &Path) -> Result<String, Error> {
    path.to_str().map(str::to_owned).ok_or_else(|| Error::Request {
        program: Program::Qemu(Arch::X86_64).name(),
        why: format!("the path {} is not UTF-8", path.display()),
    })
}

fn doubled(text: &str) -> String {
    text.replace(',', ",,")
}

/// A machine that runs; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    program: Program,
    argv: Vec<String>,
    said: PathBuf,
    events: PathBuf,
    _tpm: Option<swtpm::Running>,
}

impl Running {
    /// The number of QEMU's process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has. QEMU's own failures are errors.
    pub fn ended(&mut self) -> Result<Option<Status>, Error> {
        let start = |source| Error::Start {
            program: self.program.name(),
            source,
        };
        let Some(status) = self.child.try_wait().map_err(start)? else {
            return Ok(None);
        };
        let status = status
            .code()
            .map_or_else(|| Status::Signal(status.signal().unwrap_or(0)), Status::Code);
        if status == Status::Code(0) {
            return Ok(Some(status));
        }
        let mut said = Vec::new();
        fs_err::File::open(&self.said)?
            .take(1 << 20)
            .read_to_end(&mut said)?;
        Err(Error::failed_with(self.program, &self.argv, status, &said))
    }

    /// What ended a machine that has [`ended`](Self::ended).
    pub fn end(&self) -> Result<End, Error> {
        let mut text = Vec::new();
        fs_err::File::open(&self.events)?
            .take(1 << 20)
            .read_to_end(&mut text)?;
        Ok(end_in(&String::from_utf8_lossy(&text)))
    }

    /// Waits until it powers off, at most so long; then it is killed.
    pub fn wait(&mut self, at_most: Duration, interrupt: &Interrupt) -> Result<Status, Error> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if interrupt.is_set() || started.elapsed() >= at_most {
                self.kill();
                interrupt.check()?;
                return Ok(Status::TimedOut);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Cuts its power.
    pub fn kill(&mut self) {
        // It may have ended meanwhile.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The reason of the last `SHUTDOWN` among QEMU's events.
fn end_in(events: &str) -> End {
    let reason = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_it = event["event"] == "SHUTDOWN";
        is_it.then(|| event["data"]["reason"].as_str().unwrap_or_default().to_owned())
    };
    match events.lines().filter_map(reason).next_back().as_deref() {
        Some("guest-shutdown") => End::Off,
        Some("guest-reset") => End::Reset,
        Some(other) => End::Other(other.to_owned()),
        None => End::Other("nothing known".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_qemu_are_read() {
        let of = |told| version(told);
        assert_eq!(
            of("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright"),
            Some((7, 2))
        );
        assert_eq!(of("QEMU emulator version 10.0-rc1"), Some((10, 0)));
        assert_eq!(of("QEMU emulator version ten"), None);
        assert_eq!(of(""), None);
        assert!(None < Some((8, 1)));
    }

    #[test]
    fn the_last_word_about_an_end_counts() {
        let event = |reason: &str| {
            format!(
                "{{\"event\": \"SHUTDOWN\", \"data\": {{\"guest\": true, \"reason\": \"{reason}\"}}}}\r\n"
            )
        };
        let hello = "{\"QMP\": {}}\r\n{\"return\": {}}\r\n";
        let of = |reason: &str| end_in(&format!("{hello}{}", event(reason)));
        assert_eq!(of("guest-shutdown"), End::Off);
        assert_eq!(of("guest-reset"), End::Reset);
        assert_eq!(of("host-signal"), End::Other("host-signal".to_owned()));
        assert_eq!(
            end_in(&format!("{}{}", event("guest-reset"), event("guest-shutdown"))),
            End::Off
        );
        assert_eq!(end_in(hello), End::Other("nothing known".to_owned()));
    }
}
