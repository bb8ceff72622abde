//! Streams of a command on the caller's side: what is kept of them, and the line splitter.

use std::{
    collections::VecDeque,
    io::{self, Read as _},
    os::fd::{AsFd, BorrowedFd},
    process::Stdio,
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::Output;

/// A longer line comes in pieces, so that a program which never ends a line cannot fill the memory.
const LONGEST_LINE: usize = 64 << 10;

/// Waits, less than a second: which of the socket and the two streams have something?
pub(crate) fn wait(
    socket: Option<BorrowedFd<'_>>,
    streams: &[Reader<'_>; 2],
    most: Duration,
) -> io::Result<[bool; 3]> {
    let sources = [socket, streams[0].fd(), streams[1].fd()];
    let mut fds: Vec<PollFd<'_>> = sources
        .iter()
        .flatten()
        .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
        .collect();
    let most = Timespec {
        tv_sec: 0,
        tv_nsec: most.subsec_nanos().into(),
    };
    match poll(&mut fds, Some(&most)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    let mut events = fds.iter().map(|fd| !fd.revents().is_empty());
    Ok(sources.map(|source| source.is_some() && events.next().unwrap_or(false)))
}

/// The reading end of one stream and what is to become of it.
pub(crate) struct Reader<'a> {
    pipe: Option<io::PipeReader>,
    sink: Sink<'a>,
}

enum Sink<'a> {
    Lines {
        to: &'a mut dyn FnMut(&[u8]),
        rest: Vec<u8>,
    },
    Head {
        limit: usize,
        bytes: Vec<u8>,
        truncated: bool,
    },
    Tail {
        limit: usize,
        bytes: VecDeque<u8>,
        truncated: bool,
    },
    None,
}

impl<'a> Reader<'a> {
    /// The reader of a stream, and what the command gets; `stdout` is what [`Output::WithStdout`] stands for.
    pub(crate) fn new(
        output: Output<'a>,
        stdout: Option<&io::PipeWriter>,
    ) -> io::Result<(Self, Stdio, Option<io::PipeWriter>)> {
        let sink = match output {
            Output::Null => return Ok((Self::none(), Stdio::null(), None)),
            Output::File(file) => return Ok((Self::none(), Stdio::from(file), None)),
            Output::WithStdout => {
                let stdio = stdout
                    .map(io::PipeWriter::try_clone)
                    .transpose()?
                    .map_or_else(Stdio::null, Stdio::from);
                return Ok((Self::none(), stdio, None));
            }
            Output::Lines(to) => Sink::Lines { to, rest: Vec::new() },
            Output::Capture { limit } => Sink::Head {
                limit,
                bytes: Vec::new(),
                truncated: false,
            },
            Output::Tail { limit } => Sink::Tail {
                limit,
                bytes: VecDeque::new(),
                truncated: false,
            },
        };
        let (reader, writer) = io::pipe()?;
        let stdio = Stdio::from(writer.try_clone()?);
        Ok((
            Self {
                pipe: Some(reader),
                sink,
            },
            stdio,
            Some(writer),
        ))
    }

    fn none() -> Self {
        Self {
            pipe: None,
            sink: Sink::None,
        }
    }

    /// While there may be more to read.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Takes what is there; at the end the pipe is closed.
    pub(crate) fn read(&mut self) -> io::Result<()> {
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        let mut buffer = [0; 64 << 10];
        match pipe.read(&mut buffer) {
            Ok(0) => self.pipe = None,
            Ok(length) => self.sink.take(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// What was captured, and whether something is missing of it.
    pub(crate) fn finish(self) -> (Vec<u8>, bool) {
        match self.sink {
            Sink::Lines { to, rest } => {
                if !rest.is_empty() {
                    to(&rest);
                }
                (Vec::new(), false)
            }
            Sink::Head { bytes, truncated, .. } => (bytes, truncated),
            Sink::Tail { bytes, truncated, .. } => (bytes.into(), truncated),
            Sink::None => (Vec::new(), false),
        }
    }
}

impl Sink<'_> {
    fn take(&mut self, new: &[u8]) {
        match self {
            Self::None => {}
            Self::Head {
                limit,
                bytes,
                truncated,
            } => {
                let room = limit.saturating_sub(bytes.len()).min(new.len());
                bytes.extend_from_slice(&new[..room]);
                *truncated |= room < new.len();
            }
            Self::Tail {
                limit,
                bytes,
                truncated,
            } => {
                bytes.extend(new);
                let surplus = bytes.len().saturating_sub(*limit);
                bytes.drain(..surplus);
                *truncated |= surplus > 0;
            }
            Self::Lines { to, rest } => {
                for piece in new.split_inclusive(|byte| *byte == b'\n') {
                    rest.extend_from_slice(piece);
                    if rest.last() == Some(&b'\n') {
                        rest.pop();
                    } else if rest.len() < LONGEST_LINE {
                        continue;
                    }
                    to(rest);
                    rest.clear();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_and_long_ones_in_pieces() {
        let mut lines: Vec<Vec<u8>> = Vec::new();
        let mut to = |line: &[u8]| lines.push(line.to_vec());
        let mut sink = Sink::Lines {
            to: &mut to,
            rest: Vec::new(),
        };
        for part in [&b"one\ntw"[..], b"o\n\nth", b"ree"] {
            sink.take(part);
        }
        sink.take(&vec![b'x'; 3 * LONGEST_LINE]);
        Reader { pipe: None, sink }.finish();
        assert_eq!(lines[..3], [b"one".to_vec(), b"two".to_vec(), b"".to_vec()]);
        assert_eq!(lines[3..].concat().len(), 5 + 3 * LONGEST_LINE);
    }

    #[test]
    fn captures_keep_the_head_or_the_tail() {
        let mut head = Sink::Head {
            limit: 4,
            bytes: Vec::new(),
            truncated: false,
        };
        let mut tail = Sink::Tail {
            limit: 4,
            bytes: VecDeque::new(),
            truncated: false,
        };
        for part in [b"abc", b"def"] {
            head.take(part);
            tail.take(part);
        }
        let kept = |sink| Reader { pipe: None, sink }.finish();
        assert_eq!(kept(head), (b"abcd".to_vec(), true));
        assert_eq!(kept(tail), (b"cdef".to_vec(), true));
    }
}
