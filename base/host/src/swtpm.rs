//! swtpm: a TPM 2.0 for a virtual machine, which lives no longer than it (swtpm(8)).

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{Error, Program};

/// How long it may take to begin.
const BEGIN: Duration = Duration::from_secs(30);

/// A TPM that runs; killed when dropped.
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It ends by itself when the machine does.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts one without any state, which listens on `socket`. What it keeps and says goes to `scratch`.
pub(crate) fn start(socket: &Path, scratch: &Path) -> Result<Running, Error> {
    let program = Program::Swtpm;
    let path = program.find()?;
    let state = scratch.join("tpm");
    fs_err::create_dir_all(&state)?;
    let said = scratch.join("swtpm.log");
    let log = fs_err::File::create(&said)?.into_parts().0;
    let text = |path: &Path| path.display().to_string();
    let arguments = [
        "socket".to_owned(),
        "--tpm2".to_owned(),
        "--tpmstate".to_owned(),
        format!("dir={}", text(&state)),
        "--ctrl".to_owned(),
        format!("type=unixio,path={}", text(socket)),
        "--terminate".to_owned(),
    ];
    let mut command = Command::new(path);
    command
        .args(&arguments)
        .env_clear()
        .envs([
            ("PATH", "/usr/bin:/bin"),
            ("LC_ALL", "C.UTF-8"),
            ("HOME", "/nonexistent"),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::from(log.try_clone()?))
        .stderr(Stdio::from(log));
    let child = keel_sandbox::child::dies_with_caller(&mut command)
        .spawn()
        .map_err(|source| Error::Start {
            program: program.name(),
            source,
        })?;
    let mut running = Running(child);
    let began = Instant::now();
    while !socket.exists() {
        let ended = running.0.try_wait()?;
        if ended.is_some() || began.elapsed() > BEGIN {
            let status = ended.and_then(|status| status.code());
            let status = status.map_or(keel_sandbox::Status::TimedOut, keel_sandbox::Status::Code);
            let mut argv = vec![program.name().to_owned()];
            argv.extend(arguments);
            return Err(Error::failed_with(program, &argv, status, &fs_err::read(&said)?));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(running)
}
