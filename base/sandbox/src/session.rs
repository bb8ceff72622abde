//! A sandbox that runs one command after another.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::{Duration, Instant},
};

use keel_artefact::Interrupt;

use crate::{
    Error, Exit, Output, Run, Sandbox, Status, Stdin, Usage,
    output::{self, Reader},
    run::{GRACE, Running, TICK, check, failure, open_stdin, start},
    wire::{self, Answer},
};

/// A sandbox that runs one command after another. What one leaves in a folder in memory, the next finds there;
/// [`Session::state`] says whether anything was left. Processes that a command leaves are killed when it ends.
///
/// It ends with the thread that started it (the kernel kills it then), or when it is dropped.
pub struct Session {
    running: Running,
    socket: UnixStream,
    state: State,
}

/// What is left of earlier commands in a [`Session`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing: it is as good as a new one.
    Untouched,
    /// Files, or what else can be left; or a folder of the host that commands may write, where nobody looks.
    Touched,
    /// It has ended, because a command took too long or something failed. Everything inside is dead.
    Over,
}

/// In errors, before there is a command.
const NAME: &str = "a session";

impl Session {
    /// Makes the sandbox and waits until it is ready. `sandbox.limits.wall` means nothing for it.
    pub fn start(sandbox: &Sandbox, interrupt: &Interrupt) -> Result<Self, Error> {
        interrupt.check()?;
        let error = |why: String| Error::Request {
            program: NAME.to_owned(),
            why,
        };
        check(sandbox, &Run::captured([NAME])).map_err(error)?;
        if sandbox.upper.is_some() {
            return Err(error("an upper folder is for one command".to_owned()));
        }
        let (socket, theirs) = UnixStream::pair().map_err(start(NAME, "make a socket"))?;
        let run = Run {
            argv: Vec::new(),
            stdin: Stdin::File(File::from(OwnedFd::from(theirs))),
            stdout: Output::Null,
            stderr: Output::Null,
        };
        let (running, _) = Running::start(sandbox, run, false, NAME)?;
        let mut session = Self {
            running,
            socket,
            state: State::Over,
        };
        match session.answer(interrupt)? {
            Some(Answer::Ready) => session.state = State::Untouched,
            _ => return Err(failure(&session.running)),
        }
        Ok(session)
    }

    /// What earlier commands have left.
    pub fn state(&self) -> State {
        self.state
    }

    /// Runs a command and waits until it has ended and nobody writes to its standard output any more; then
    /// everything else inside is killed. After `wall`, or an error, the session is [`State::Over`].
    ///
    /// Of [`Exit::usage`], only the wall time is known.
    pub fn run(
        &mut self,
        run: Run<'_>,
        wall: Option<Duration>,
        interrupt: &Interrupt,
    ) -> Result<Exit, Error> {
        interrupt.check()?;
        let program = run.argv.first().cloned().unwrap_or_default();
        if run.argv.is_empty() || run.argv.iter().any(|argument| argument.contains('\0')) {
            let why = "no program, or a NUL in an argument".to_owned();
            return Err(Error::Request { program, why });
        }
        if self.state == State::Over {
            return Err(Error::Killed { program });
        }
        // Until all of it went well.
        self.state = State::Over;
        let done = self.run_one(run, &program, wall, interrupt);
        if self.state == State::Over {
            self.end();
        }
        done
    }

    fn run_one(
        &mut self,
        run: Run<'_>,
        program: &str,
        wall: Option<Duration>,
        interrupt: &Interrupt,
    ) -> Result<Exit, Error> {
        let started = Instant::now();
        let lost = start(program, "speak to its session");
        let killed = || Error::Killed {
            program: program.to_owned(),
        };
        let mut streams = self.order(run, program)?;
        let mut ended = None;
        while ended.is_none() || streams[0].fd().is_some() {
            let left = wall.map_or(TICK, |wall| wall.saturating_sub(started.elapsed()).min(TICK));
            let socket = ended.is_none().then(|| self.socket.as_fd());
            let [answers, ready @ ..] = output::wait(socket, &streams, left).map_err(&lost)?;
            for (stream, ready) in streams.iter_mut().zip(ready) {
                if ready {
                    stream.read().map_err(&lost)?;
                }
            }
            if answers {
                ended = Some(wire::receive(&self.socket).map_err(&lost)?.ok_or_else(killed)?);
            }
            interrupt.check()?;
            if left.is_zero() && (ended.is_none() || streams[0].fd().is_some()) {
                return Ok(exit(Status::TimedOut, streams, started));
            }
        }
        wire::nudge(&self.socket);
        let Some(Answer::Swept { untouched }) = self.answer(interrupt)? else {
            return Err(killed());
        };
        self.state = if untouched {
            State::Untouched
        } else {
            State::Touched
        };
        // Whoever could write to it is dead.
        while streams[1].fd().is_some() {
            streams[1].read().map_err(&lost)?;
        }
        match ended {
            Some(Answer::Ended(status)) => Ok(exit(status, streams, started)),
            Some(Answer::NotExecuted { errno }) => Err(Error::Exec {
                program: program.to_owned(),
                source: io::Error::from_raw_os_error(errno),
            }),
            _ => Err(killed()),
        }
    }

    /// Sends the command with its streams.
    fn order<'a>(&self, run: Run<'a>, program: &str) -> Result<[Reader<'a>; 2], Error> {
        let pipe = start(program, "make a pipe");
        let stdin = open_stdin(run.stdin).map_err(start(program, "open its standard input"))?;
        let (stdout, stdout_end) = stream(run.stdout).map_err(&pipe)?;
        let (stderr, stderr_end) = match run.stderr {
            Output::WithStdout => (
                Reader::new(Output::Null, None).map_err(&pipe)?.0,
                stdout_end.try_clone().map_err(&pipe)?,
            ),
            other => stream(other).map_err(&pipe)?,
        };
        for fd in [&stdin, &stdout_end, &stderr_end] {
            wire::send_fd(&self.socket, fd.as_fd()).map_err(start(program, "send its streams"))?;
        }
        wire::send(&self.socket, &run.argv).map_err(start(program, "send the command"))?;
        Ok([stdout, stderr])
    }

    /// The next answer of the process inside; none if there is no more.
    fn answer(&self, interrupt: &Interrupt) -> Result<Option<Answer>, Error> {
        let lost = start(NAME, "read from it");
        let started = Instant::now();
        let none = [Reader::new(Output::Null, None), Reader::new(Output::Null, None)];
        let [one, other] = none.map(|reader| reader.map(|(reader, ..)| reader));
        let none = [one.map_err(&lost)?, other.map_err(&lost)?];
        loop {
            if output::wait(Some(self.socket.as_fd()), &none, TICK).map_err(&lost)?[0] {
                return wire::receive(&self.socket).map_err(&lost);
            }
            interrupt.check()?;
            if started.elapsed() > GRACE {
                return Ok(None);
            }
        }
    }

    /// Has the helper kill everything, and waits until it has.
    fn end(&mut self) {
        self.state = State::Over;
        // The helper takes the end of this socket for the end of its caller.
        let _ = self.running.control.shutdown(std::net::Shutdown::Both);
        let started = Instant::now();
        while started.elapsed() < GRACE && matches!(self.running.helper.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end();
    }
}

/// The reader of a stream, and what the command gets.
fn stream(output: Output<'_>) -> io::Result<(Reader<'_>, OwnedFd)> {
    match output {
        Output::Null => {
            let null = File::options().write(true).open("/dev/null")?;
            Ok((Reader::new(Output::Null, None)?.0, null.into()))
        }
        Output::File(file) => Ok((Reader::new(Output::Null, None)?.0, file.into())),
        other => {
            let (reader, _, writer) = Reader::new(other, None)?;
            let writer = writer.ok_or_else(|| io::Error::other("it goes nowhere"))?;
            Ok((reader, writer.into()))
        }
    }
}

fn exit(status: Status, streams: [Reader<'_>; 2], started: Instant) -> Exit {
    let [(stdout, one), (stderr, other)] = streams.map(Reader::finish);
    Exit {
        status,
        stdout,
        stderr,
        truncated: one || other,
        usage: Usage {
            wall: started.elapsed(),
            ..Usage::default()
        },
    }
}
