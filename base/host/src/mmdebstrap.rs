//! `mmdebstrap`: a Debian root as a stream of tar (mmdebstrap(1)).
//!
//! Root runs it in process and mount namespaces of its own, so that nothing of it outlives a killed Keel; an ordinary
//! user runs its unshare mode, which needs subordinate ids (`/etc/subuid`) and `newuidmap`.

use std::{
    io::{self, BufRead as _, BufReader, Read},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use keel_artefact::{Arch, Interrupt};
use keel_sandbox::Status;
use rustix::process::Signal;

use crate::{Error, Program};

/// Debian's archive keys: nothing that they did not sign is taken.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Of what dpkg unpacks, this is left out: nobody reads it in stage0.
const EXCLUDED: [&str; 7] = [
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/lintian/*",
    "/usr/share/gtk-doc/*",
    "/usr/share/linda/*",
];

/// How long an ordinary user's mmdebstrap may take to remove what it wrote.
const CLEANUP: Duration = Duration::from_secs(60);

/// Which root.
#[derive(Debug)]
pub struct Request<'a> {
    /// Debian's release: `trixie`.
    pub suite: &'a str,
    /// Base address of the archive: what stands before `/dists`.
    pub mirror: &'a str,
    /// Its architecture.
    pub arch: Arch,
    /// Packages besides the essential ones.
    pub packages: &'a [String],
    /// For what root's writes meanwhile; removed by the caller. An ordinary user's writes to `/tmp`.
    pub scratch: &'a Path,
}

/// Runs it, gives the archive to `take` as it comes, and each line that it says to `on_line`. apt's package lists are in
/// the archive, so that the digests of what was installed can be told.
pub fn run<T>(
    request: &Request<'_>,
    take: impl FnOnce(&mut dyn Read) -> Result<T, Error> + Send,
    on_line: &mut dyn FnMut(&str),
    interrupt: &Interrupt,
) -> Result<T, Error>
where
    T: Send,
{
    let argv = argv(request)?;
    let start = |source| Error::Start {
        program: Program::Mmdebstrap.name(),
        source,
    };
    let mut command = Command::new(&argv[0]);
    command
        .args(&argv[1..])
        .env_clear()
        .envs([
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            ("LC_ALL", "C.UTF-8"),
            ("HOME", "/nonexistent"),
        ])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    // An ordinary user's files of subordinate ids would be in the way of whoever empties a scratch folder of ours.
    if rustix::process::geteuid().is_root() {
        command.env("TMPDIR", request.scratch);
    }
    let child = keel_sandbox::child::dies_with_caller(&mut command)
        .spawn()
        .map_err(start)?;
    let mut running = Running { child, asked: None };
    let (Some(mut archive), Some(talk)) = (running.child.stdout.take(), running.child.stderr.take()) else {
        return Err(start(io::Error::from(io::ErrorKind::BrokenPipe)));
    };
    let mut said = Vec::new();
    let taken = std::thread::scope(|scope| {
        let (lines, heard) = mpsc::channel();
        scope.spawn(move || {
            for line in BufReader::new(talk).split(b'\n').map_while(Result::ok) {
                // The listener ends before this thread only when all is being killed.
                let _ = lines.send(line);
            }
        });
        let taking = scope.spawn(move || {
            let taken = take(&mut archive);
            // Whatever `take` left, so that the program is not stopped by a full or closed pipe.
            io::copy(&mut archive, &mut io::sink()).map_err(Error::from)?;
            taken
        });
        loop {
            match heard.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => {
                    let line = String::from_utf8_lossy(&line).into_owned();
                    on_line(&line);
                    said.push(line);
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) if interrupt.is_set() => running.stop(),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
        taking.join()
    });
    let status = running.child.wait().map_err(start)?;
    interrupt.check()?;
    if !status.success() {
        let status = status
            .code()
            .map_or_else(|| Status::Signal(status.signal().unwrap_or(0)), Status::Code);
        return Err(Error::failed_with(
            Program::Mmdebstrap,
            &argv,
            status,
            said.join("\n").as_bytes(),
        ));
    }
    match taken {
        Ok(taken) => taken,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Ended when dropped.
struct Running {
    child: Child,
    /// Since when it has been asked to end.
    asked: Option<Instant>,
}

impl Running {
    /// Root's sits in a process namespace, which SIGKILL ends whole; its files are Keel's to remove. An ordinary user's is
    /// asked (SIGTERM): only it can remove what belongs to subordinate ids. It is killed when that takes too long.
    fn stop(&mut self) {
        let is_root = rustix::process::geteuid().is_root();
        let signal = match self.asked {
            _ if is_root => Signal::KILL,
            // Once: a second one would stop it cleaning up.
            None => Signal::TERM,
            Some(asked) if asked.elapsed() > CLEANUP => Signal::KILL,
            Some(_) => return,
        };
        self.asked.get_or_insert_with(Instant::now);
        // It may have ended meanwhile.
        let _ = rustix::process::kill_process_group(rustix::process::Pid::from_child(&self.child), signal);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        while matches!(self.child.try_wait(), Ok(None)) {
            self.stop();
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn argv(request: &Request<'_>) -> Result<Vec<String>, Error> {
    for text in request.packages.iter().map(String::as_str).chain([request.suite]) {
        let plain = |c: char| c.is_ascii_alphanumeric() || "+-.:".contains(c);
        if text.is_empty()
            || !text.starts_with(|c: char| c.is_ascii_alphanumeric())
            || !text.chars().all(plain)
        {
            let why = format!("`{text}` is no name of a Debian package or release");
            return Err(Error::Request {
                program: Program::Mmdebstrap.name(),
                why,
            });
        }
    }
    if request.mirror.contains(char::is_whitespace) || !request.mirror.contains(':') {
        let why = format!("`{}` is no address of a mirror", request.mirror);
        return Err(Error::Request {
            program: Program::Mmdebstrap.name(),
            why,
        });
    }
    if !Path::new(KEYRING).is_file() {
        let program = KEYRING.to_owned();
        return Err(Error::NotFound {
            program,
            package: "debian-archive-keyring",
        });
    }
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let is_root = rustix::process::geteuid().is_root();
    let mut argv = Vec::new();
    if is_root {
        argv.push(text(Program::Unshare.find()?));
        argv.extend(
            [
                "--mount",
                "--propagation=private",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "--",
            ]
            .map(str::to_owned),
        );
    } else {
        Program::Newuidmap.find()?;
    }
    argv.push(text(Program::Mmdebstrap.find()?));
    argv.push(format!("--mode={}", if is_root { "root" } else { "unshare" }));
    argv.push("--variant=essential".to_owned());
    argv.push("--format=tar".to_owned());
    argv.push(format!("--architectures={}", request.arch.debian()));
    if !request.packages.is_empty() {
        argv.push(format!("--include={}", request.packages.join(",")));
    }
    argv.push("--skip=cleanup/apt/lists".to_owned());
    argv.push("--aptopt=Acquire::Languages \"none\"".to_owned());
    argv.push("--aptopt=Acquire::Retries \"5\"".to_owned());
    argv.push("--aptopt=Acquire::GzipIndexes \"false\"".to_owned());
    argv.extend(
        EXCLUDED
            .iter()
            .map(|pattern| format!("--dpkgopt=path-exclude={pattern}")),
    );
    argv.push(request.suite.to_owned());
    argv.push("-".to_owned());
    argv.push(format!(
        "deb [signed-by={KEYRING}] {} {} main",
        request.mirror, request.suite
    ));
    Ok(argv)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_become_options() {
        for (package, suite) in [
            ("--mode=x", "trixie"),
            ("a,b", "trixie"),
            ("a b", "trixie"),
            ("", "trixie"),
            ("gcc", "-x"),
        ] {
            let packages = [package.to_owned()];
            let request = Request {
                suite,
                mirror: "https://mirror.example/debian",
                arch: Arch::X86_64,
                packages: &packages,
                scratch: Path::new("/tmp"),
            };
            assert!(
                matches!(argv(&request), Err(Error::Request { .. })),
                "{package:?} {suite:?}"
            );
        }
    }
}
