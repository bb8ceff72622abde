//! A conversation with a guest: wait until it is up, ask for facts, run checks, power off ([`agent`]).

use std::{
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use keel_artefact::{Event, Interrupt, Sink};
use keel_config::image::Test;
use keel_host::qemu;

use crate::{
    Error, agent,
    boot::{CheckResult, Limits, TICK},
    error::{At, check},
};

/// What the console says when nothing more will come, and what a message makes of it.
const HOPELESS: [(&str, &str); 3] = [
    ("Kernel panic - not syncing", "panicked"),
    (
        "BdsDxe: No bootable option or device was found",
        "has nothing that its firmware can boot",
    ),
    ("Access Denied", "was refused by its firmware"),
];
/// Lines of the console that a message shows.
const TAIL: usize = 25;

/// A machine that runs, and is ended when dropped.
pub(crate) trait Guest {
    /// Has it ended?
    fn has_ended(&mut self) -> Result<bool, keel_host::Error>;
}

impl Guest for qemu::Running {
    fn has_ended(&mut self) -> Result<bool, keel_host::Error> {
        Ok(self.ended()?.is_some())
    }
}

/// What a conversation found.
pub(crate) struct Found {
    pub(crate) ready: Duration,
    pub(crate) wall: Duration,
    /// Total and available.
    pub(crate) memory: (u64, u64),
    pub(crate) checks: Vec<CheckResult>,
    /// After them; none: the guest cannot tell.
    pub(crate) listening: Option<Vec<String>>,
}

/// One conversation.
pub(crate) struct Session<'a> {
    image: &'a str,
    console: &'a Path,
    guest: Box<dyn Guest>,
    lines: Option<BufReader<UnixStream>>,
    /// The part of a line that has arrived.
    pending: Vec<u8>,
    interrupt: &'a Interrupt,
}

impl<'a> Session<'a> {
    /// With a guest that was just started, and is ended with the session.
    pub(crate) fn new(
        image: &'a str,
        console: &'a Path,
        guest: Box<dyn Guest>,
        interrupt: &'a Interrupt,
    ) -> Self {
        Self {
            image,
            console,
            guest,
            lines: None,
            pending: Vec::new(),
            interrupt,
        }
    }

    /// The whole conversation, over the socket `port`.
    pub(crate) fn run(
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
        let sockets = "command -v ss >/dev/null && ss -Hltun";
        let (code, text) = self.command(tests.len() + 1, sockets, limits.check)?;
        let listening = (code == 0).then(|| listening_of(&text));
        self.send("poweroff")?;
        let deadline = Instant::now() + limits.off;
        while !self.has_ended()? {
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
            listening,
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
        if self.has_ended()? {
            return Err(self.broken("ended by itself"));
        }
        let log = self.log();
        match HOPELESS.iter().find(|(text, _)| log.contains(text)) {
            Some((_, what)) => Err(self.broken(what)),
            None => Ok(()),
        }
    }

    /// The next line from the guest.
    fn line(&mut self, deadline: Instant, what: &str) -> Result<String, Error> {
        loop {
            // A guest that writes without end gives no other chance to look.
            check(self.interrupt)?;
            if Instant::now() > deadline {
                return Err(self.broken(&format!("{what} in time")));
            }
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
                // QEMU is gone, and says why when it is asked.
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                    std::thread::sleep(TICK);
                    self.still_there(deadline, what)?;
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock
                            | ErrorKind::TimedOut
                            | ErrorKind::Interrupted
                            | ErrorKind::ConnectionReset
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

    fn has_ended(&mut self) -> Result<bool, Error> {
        self.guest
            .has_ended()
            .map_err(|source| Error::tool("QEMU", self.image, source))
    }

    /// The end of what the console has said so far.
    fn log(&self) -> String {
        let read = || {
            let mut file = fs_err::File::open(self.console)?;
            let size = file.metadata()?.len();
            file.seek(SeekFrom::Start(size.saturating_sub(64 * 1024)))?;
            let mut bytes = Vec::new();
            file.take(64 * 1024).read_to_end(&mut bytes)?;
            Ok::<_, std::io::Error>(bytes)
        };
        // A log that cannot be read is no reason to hide what it was wanted for.
        String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
    }

    fn broken(&self, what: &str) -> Error {
        let text = self.log();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n  | ");
        let what = format!("the guest {what}. The end of its console:\n  | {tail}\n");
        Error::Guest {
            image: self.image.to_owned(),
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

/// Protocol and place of each socket that something may come in by, as `ss -Hltun` lists them (ss(8)). Those of one interface,
/// and those of clients of DHCP, are not among them: they come and go as an address is asked for.
fn listening_of(text: &str) -> Vec<String> {
    let socket = |line: &str| {
        let mut fields = line.split_whitespace();
        let (protocol, place) = (fields.next()?, fields.nth(3)?);
        if protocol == "udp" && (place.ends_with(":68") || place.ends_with(":546")) {
            return None;
        }
        match place.split_once('%') {
            None => Some(format!("{protocol} {place}")),
            // The loopback interface is nobody else's.
            Some((address, rest)) if address.starts_with("127.") => {
                let (_, port) = rest.rsplit_once(':')?;
                Some(format!("{protocol} {address}:{port}"))
            }
            Some(_) => None,
        }
    };
    let mut all: Vec<String> = text.lines().filter_map(socket).collect();
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    #[test]
    fn sockets_are_told_without_those_of_one_interface() {
        let text = "udp UNCONN 0 0 127.0.0.54:53 0.0.0.0:*\nudp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:*\n\
                    udp UNCONN 0 0 10.0.2.15%eth0:68 0.0.0.0:*\ntcp LISTEN 0 128 [::]:22 [::]:*\n\
                    udp UNCONN 0 0 10.0.2.15:68 0.0.0.0:*\nudp UNCONN 0 0 [fe80::1]%eth0:5353 [::]:*\ntcp LISTEN 0 128 [::]:22 [::]:*\nodd\n";
        assert_eq!(
            super::listening_of(text),
            ["tcp [::]:22", "udp 127.0.0.53:53", "udp 127.0.0.54:53"]
        );
    }

    use std::{
        io::Write,
        os::unix::net::UnixListener,
        process::Command,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
    };

    use keel_artefact::event::Silent;

    use super::*;

    /// A machine that is on until somebody says otherwise.
    struct Fake(Arc<AtomicBool>);

    impl Guest for Fake {
        fn has_ended(&mut self) -> Result<bool, keel_host::Error> {
            Ok(self.0.load(Ordering::Relaxed))
        }
    }

    /// What the fake guest does with its port.
    #[derive(Clone, Copy, PartialEq)]
    enum Manner {
        Good,
        Silent,
        Dies,
        Hangs,
    }

    /// An agent as simple as one may be: the protocol of [`agent`] and this machine's shell.
    fn agent(listener: UnixListener, off: &AtomicBool, manner: Manner) {
        let (mut port, _) = listener.accept().unwrap();
        match manner {
            Manner::Silent => return std::thread::sleep(Duration::from_secs(2)),
            Manner::Dies => return off.store(true, Ordering::Relaxed),
            Manner::Good | Manner::Hangs => {}
        }
        writeln!(port, "ready").unwrap();
        for line in BufReader::new(port.try_clone().unwrap()).lines() {
            let Ok(line) = line else { return };
            if line == "poweroff" {
                return off.store(true, Ordering::Relaxed);
            }
            if manner == Manner::Hangs {
                continue;
            }
            let output = Command::new("/bin/sh").args(["-c", &line]).output().unwrap();
            port.write_all(&output.stdout).unwrap();
            writeln!(port, "exit {}", output.status.code().unwrap_or(-1)).unwrap();
        }
    }

    fn talk(manner: Manner, console: &str) -> Result<Vec<(i32, String)>, String> {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("console.log");
        fs_err::write(&log, console).unwrap();
        let port = dir.path().join("port");
        let listener = UnixListener::bind(&port).unwrap();
        let off = Arc::new(AtomicBool::new(false));
        let check = |run: &str| Test {
            name: run.to_owned(),
            run: run.to_owned(),
        };
        let checks = [
            check("echo one; printf two"),
            check("exit 3"),
            check("echo exit 0; false"),
        ];
        // Long where it should not matter: the machine may be busy.
        let seconds = |short: bool| Duration::from_secs(if short { 1 } else { 60 });
        let limits = Limits {
            ready: seconds(manner == Manner::Silent),
            check: seconds(manner == Manner::Hangs),
            off: seconds(false),
        };
        let interrupt = Interrupt::default();
        std::thread::scope(|scope| {
            scope.spawn(|| agent(listener, &off, manner));
            let mut session = Session::new("vm", &log, Box::new(Fake(off.clone())), &interrupt);
            let found = session.run(&port, limits, &checks, "id", &Silent);
            drop(session);
            match found {
                Ok(found) => Ok(found
                    .checks
                    .into_iter()
                    .map(|check| (check.code, check.output))
                    .collect()),
                Err(error) => Err(error.to_string()),
            }
        })
    }

    #[test]
    fn checks_are_run_and_their_results_kept() {
        let expected = [(0, "one\ntwo"), (3, ""), (1, "exit 0")].map(|(code, text)| (code, text.to_owned()));
        assert_eq!(talk(Manner::Good, ""), Ok(expected.to_vec()));
    }

    #[test]
    fn guests_that_do_not_answer_are_told_with_their_last_words() {
        for (manner, console, what) in [
            (
                Manner::Silent,
                "booting\nstuck here\n",
                "the guest was not ready in time",
            ),
            (
                Manner::Silent,
                "Kernel panic - not syncing: VFS\n",
                "the guest panicked",
            ),
            (Manner::Dies, "bye\n", "the guest ended by itself"),
            (Manner::Hangs, "up\n", "the guest did not finish `systemctl"),
        ] {
            let found = talk(manner, console).unwrap_err();
            assert!(found.contains(what), "{found}");
            assert!(
                found.contains(&format!("  | {}", console.lines().last().unwrap())),
                "{found}"
            );
        }
    }

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
