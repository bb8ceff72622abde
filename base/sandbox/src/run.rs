//! The caller's side: starts the helper, reads streams and reports, watches the clock and the interrupt.

use std::{
    fs::File,
    io::{self, Seek as _, Write as _},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt as _},
    },
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use keel_artefact::Interrupt;

use crate::{
    Error, Exit, Run, Sandbox, Status, Stdin, Usage, bound,
    cgroup::Groups,
    identity::Identity,
    init::MARKER,
    memory,
    mounts::{MOST_LOWERS, work_folder},
    output::{self, Reader},
    wire::{self, Report, Request},
};

/// How often the interrupt is looked at.
pub(crate) const TICK: Duration = Duration::from_millis(50);
/// How long the helper may take to kill everything before it is killed itself.
pub(crate) const GRACE: Duration = Duration::from_secs(20);

/// Runs a command in a sandbox and waits until everything in it has ended.
///
/// A code other than 0 is a result, not an error. The calling thread must live on meanwhile, as it does: the kernel
/// kills the sandbox with it.
pub fn run(sandbox: &Sandbox, run: Run<'_>, interrupt: &Interrupt) -> Result<Exit, Error> {
    run_with(sandbox, run, false, interrupt)
}

/// [`run()`]; `terminal`: standard input is a terminal, which the command is to control.
pub(crate) fn run_with(
    sandbox: &Sandbox,
    run: Run<'_>,
    terminal: bool,
    interrupt: &Interrupt,
) -> Result<Exit, Error> {
    interrupt.check()?;
    let program = run.argv.first().cloned().unwrap_or_default();
    check(sandbox, &run).map_err(|why| Error::Request {
        program: program.clone(),
        why,
    })?;
    let _work = sandbox
        .upper
        .as_deref()
        .map(WorkFolder::new)
        .transpose()
        .map_err(start(&program, "make the overlay's work folder"))?;
    let (mut running, streams) = Running::start(sandbox, run, terminal, &program)?;
    let watch = bound::Watch::new(sandbox, running.helper.id());
    running.watch(streams, sandbox.limits.wall, watch, interrupt)
}

pub(crate) fn check(sandbox: &Sandbox, run: &Run<'_>) -> Result<(), String> {
    let has_nul = |text: &String| text.contains('\0');
    if run.argv.is_empty() || run.argv.iter().any(has_nul) {
        return Err("no program, or a NUL in an argument".to_owned());
    }
    if sandbox
        .env
        .iter()
        .any(|(name, value)| name.is_empty() || name.contains(['=', '\0']) || has_nul(value))
    {
        return Err("a variable without a name, or with `=` or NUL in it".to_owned());
    }
    if sandbox.lowers.is_empty() || sandbox.lowers.len() > MOST_LOWERS {
        return Err(format!(
            "{} lowers; 1 to {MOST_LOWERS} can be mounted",
            sandbox.lowers.len()
        ));
    }
    if sandbox.hostname.len() > 64 {
        return Err(format!(
            "the host name `{}` is longer than 64 bytes",
            sandbox.hostname
        ));
    }
    let over_root = |path: &keel_artefact::RootPath| path.as_str() == "/";
    if sandbox.binds.iter().any(|bind| over_root(&bind.guest)) || sandbox.tmpfs.iter().any(over_root) {
        return Err("the root itself is no mount point".to_owned());
    }
    Ok(())
}

pub(crate) fn start(program: &str, what: &'static str) -> impl Fn(io::Error) -> Error + use<> {
    let program = program.to_owned();
    move |source| Error::Start {
        program: program.clone(),
        what,
        source,
    }
}

/// The helper, and the socket to it. Dropped early, it takes the sandbox with it.
pub(crate) struct Running {
    pub(crate) helper: Child,
    pub(crate) control: UnixStream,
    program: String,
    groups: Groups,
}

impl Running {
    pub(crate) fn start<'a>(
        sandbox: &Sandbox,
        run: Run<'a>,
        terminal: bool,
        program: &str,
    ) -> Result<(Self, [Reader<'a>; 2]), Error> {
        static NEXT_CPU: AtomicUsize = AtomicUsize::new(0);
        let request = Request {
            sandbox: sandbox.clone(),
            argv: run.argv,
            terminal,
            identity: Identity::of_caller(),
            first_cpu: NEXT_CPU.fetch_add(sandbox.limits.cpus.unwrap_or(0), Ordering::Relaxed),
        };
        let stdin = open_stdin(run.stdin).map_err(start(program, "open its standard input"))?;
        let pipe = start(program, "make a pipe");
        let (control, theirs) = UnixStream::pair().map_err(start(program, "make a socket"))?;
        let stdout_file = match &run.stdout {
            crate::Output::File(file) => Some(file.try_clone().map_err(&pipe)?),
            _ => None,
        };
        let (stdout, stdout_end, writer) = Reader::new(run.stdout, None).map_err(&pipe)?;
        let stderr = match (run.stderr, stdout_file) {
            (crate::Output::WithStdout, Some(file)) => crate::Output::File(file),
            (other, _) => other,
        };
        let (stderr, stderr_end, _) = Reader::new(stderr, writer.as_ref()).map_err(&pipe)?;
        drop(writer);
        let helper = Command::new("/proc/self/exe")
            .arg0("keel-sandbox")
            .env_clear()
            .env(MARKER, "1")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(stdout_end)
            .stderr(stderr_end)
            .process_group(0)
            .spawn()
            .map_err(start(program, "start this program again"))?;
        let running = Self {
            helper,
            control,
            program: program.to_owned(),
            groups: Groups::new(&sandbox.limits),
        };
        // It does nothing before it has the request.
        running.groups.take(running.helper.id());
        wire::send_fd(&running.control, stdin.as_fd())
            .and_then(|()| wire::send(&running.control, &request))
            .map_err(start(program, "send the request"))?;
        Ok((running, [stdout, stderr]))
    }

    /// Reads everything until the end; kills when it takes too long or the user wants to stop.
    fn watch(
        &mut self,
        mut streams: [Reader<'_>; 2],
        wall: Option<Duration>,
        mut disk: Option<bound::Watch>,
        interrupt: &Interrupt,
    ) -> Result<Exit, Error> {
        let started = Instant::now();
        let lost = start(&self.program, "read from it");
        let mut killed: Option<(Instant, Why)> = None;
        let mut reports = Some(Reports::default());
        let mut result = Reports::default();
        let mut memory = memory::Watch::new(self.helper.id());
        while reports.is_some() || streams.iter().any(|stream| stream.fd().is_some()) {
            let socket = reports.is_some().then(|| self.control.as_fd());
            memory.look();
            let [control, ready @ ..] = output::wait(socket, &streams, TICK).map_err(&lost)?;
            for (stream, ready) in streams.iter_mut().zip(ready) {
                if ready {
                    stream.read().map_err(&lost)?;
                }
            }
            if control
                && let Some(so_far) = &mut reports
                && !so_far.read(&self.control).map_err(&lost)?
            {
                result = reports.take().unwrap_or_default();
            }
            let is_late = || wall.is_some_and(|wall| started.elapsed() >= wall);
            let why = match killed {
                Some(_) => None,
                None if interrupt.is_set() => Some(Why::Interrupt),
                None if is_late() => Some(Why::Time),
                None => disk
                    .as_mut()
                    .is_some_and(bound::Watch::is_over)
                    .then_some(Why::Disk),
            };
            match (&killed, why) {
                (None, Some(why)) if reports.is_some() => {
                    wire::nudge(&self.control);
                    killed = Some((Instant::now(), why));
                }
                (Some((since, _)), _) if since.elapsed() > GRACE => {
                    self.helper.kill().map_err(&lost)?;
                    return Err(Error::Killed {
                        program: self.program.clone(),
                    });
                }
                _ => {}
            }
        }
        self.helper.wait().map_err(&lost)?;
        let [(stdout, one), (stderr, other)] = streams.map(Reader::finish);
        let mut usage = result.usage;
        usage.peak_memory = memory.peak().max(usage.max_rss);
        let mut status = result.status(&self.program, killed.map(|(_, why)| why))?;
        let is_failure = matches!(status, Status::Code(1..) | Status::Signal(_));
        if is_failure && self.groups.ran_out_of_memory() {
            status = Status::OutOfMemory;
        }
        Ok(Exit {
            status,
            stdout,
            stderr,
            truncated: one || other,
            usage,
        })
    }
}

/// What the helper of a session that never came to be says about why.
pub(crate) fn failure(running: &Running) -> Error {
    let lost = start(&running.program, "read from it");
    let mut reports = Reports::default();
    loop {
        match reports.read(&running.control) {
            Ok(true) => {}
            Ok(false) => break,
            Err(source) => return lost(source),
        }
    }
    let killed = Error::Killed {
        program: running.program.clone(),
    };
    reports.status(&running.program, None).err().unwrap_or(killed)
}

impl Drop for Running {
    fn drop(&mut self) {
        // After a normal end there is nothing to kill and the child is known to be dead: both calls do nothing.
        let _ = self.helper.kill();
        let _ = self.helper.wait();
    }
}

enum Why {
    Interrupt,
    Time,
    Disk,
}

/// What the helper said until now.
#[derive(Default)]
struct Reports {
    ended: Option<Report>,
    gone: bool,
    usage: Usage,
}

impl Reports {
    /// Takes the next report; false at the end.
    fn read(&mut self, control: &UnixStream) -> io::Result<bool> {
        match wire::receive::<Report>(control)? {
            Some(Report::Gone(usage)) => {
                self.gone = true;
                self.usage = usage;
                Ok(true)
            }
            Some(report) => {
                self.ended = Some(report);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn status(self, program: &str, killed: Option<Why>) -> Result<Status, Error> {
        let program = program.to_owned();
        let os = io::Error::from_raw_os_error;
        match (self.ended, killed) {
            (Some(Report::Failed { step, errno }), _) => Err(Error::Setup {
                program,
                step,
                source: os(errno),
            }),
            (Some(Report::NotExecuted { errno }), _) => Err(Error::Exec {
                program,
                source: os(errno),
            }),
            // It ended by itself at the last moment.
            (Some(Report::Ended(status)), _) => Ok(status),
            (_, Some(Why::Interrupt)) => Err(Error::Interrupted(keel_artefact::interrupt::Interrupted)),
            (_, Some(Why::Time)) => Ok(Status::TimedOut),
            (_, Some(Why::Disk)) => Ok(Status::DiskFull),
            (_, None) => Err(Error::Killed { program }),
        }
    }
}

pub(crate) fn open_stdin(stdin: Stdin) -> io::Result<OwnedFd> {
    Ok(match stdin {
        Stdin::Null => File::open("/dev/null")?.into(),
        Stdin::File(file) => file.into(),
        Stdin::Bytes(bytes) => {
            let memory = rustix::fs::memfd_create("stdin", rustix::fs::MemfdFlags::CLOEXEC)?;
            let mut file = File::from(memory);
            file.write_all(&bytes)?;
            file.rewind()?;
            file.into()
        }
    })
}

/// The overlay's work folder, there for one run.
struct WorkFolder(std::path::PathBuf);

impl WorkFolder {
    fn new(upper: &std::path::Path) -> io::Result<Self> {
        let folder = work_folder(upper);
        remove(&folder)?;
        fs_err::create_dir(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        // What stays is removed by the next run with this upper folder.
        let _ = remove(&self.0);
    }
}

/// The kernel leaves a folder `work` without any permission in it.
fn remove(folder: &std::path::Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if !folder.try_exists()? {
        return Ok(());
    }
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            fs_err::set_permissions(&path, PermissionsExt::from_mode(0o700))?;
        }
    }
    fs_err::remove_dir_all(folder)
}
