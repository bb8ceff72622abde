//! A small HTTP/1.1 server for a folder: GET and HEAD, ranges, nothing else.
//!
//! It reads only regular files below the folder, through no symbolic link, and writes nothing. Every wait is bounded,
//! so are connections and the size of requests. It is meant for machines that one trusts to reach it; it speaks no TLS,
//! and needs none: clients verify signatures.

mod file;
mod http;

use std::{
    io::{self, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use keel_artefact::{Event, Interrupt, Sink};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::Error;
use file::Root;
use http::{Request, Response};

/// Connections at once; more are told to come back.
const CONNECTIONS: usize = 64;
/// Requests on one connection.
const REQUESTS: usize = 1000;
/// How long a client may take to send a request, or to take a piece of the answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// How soon an interrupt is seen.
const TICK: Duration = Duration::from_millis(200);

/// Serves the files below `dir` at `address` until interrupted. `ready` is told the address that is listened on (the
/// port, when `address` has port 0), `sink` every request.
pub fn serve(
    dir: &Path,
    address: SocketAddr,
    interrupt: &Interrupt,
    sink: &dyn Sink,
    ready: &mut dyn FnMut(SocketAddr),
) -> Result<(), Error> {
    let root = Root::open(dir).map_err(Error::read)?;
    let listen = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(listen)?;
    listener.set_nonblocking(true).map_err(listen)?;
    ready(listener.local_addr().map_err(listen)?);
    let active = AtomicUsize::new(0);
    thread::scope(|scope| {
        while !interrupt.is_set() {
            if !is_readable(&listener, TICK).map_err(listen)? {
                continue;
            }
            // A client that went away before it was accepted, or a lack of file descriptors, is no reason to stop.
            let Ok((stream, peer)) = listener.accept() else {
                thread::sleep(Duration::from_millis(10));
                continue;
            };
            if active.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS {
                active.fetch_sub(1, Ordering::AcqRel);
                refuse(stream);
                continue;
            }
            let (root, active) = (&root, &active);
            let spawned = thread::Builder::new()
                .name("http".to_owned())
                .spawn_scoped(scope, move || {
                    // A broken connection is the client's business.
                    let _ = converse(stream, peer, root, interrupt, sink);
                    active.fetch_sub(1, Ordering::AcqRel);
                });
            if spawned.is_err() {
                active.fetch_sub(1, Ordering::AcqRel);
            }
        }
        Ok(())
    })
}

/// Waits until there is something to read or accept.
fn is_readable(source: &impl std::os::fd::AsFd, patience: Duration) -> io::Result<bool> {
    let time = Timespec {
        tv_sec: patience.as_secs() as i64,
        tv_nsec: patience.subsec_nanos().into(),
    };
    match poll(&mut [PollFd::new(source, PollFlags::IN)], Some(&time)) {
        Ok(count) => Ok(count > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn refuse(mut stream: TcpStream) {
    let busy = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let _ = stream.set_nonblocking(true);
    let _ = stream.write_all(busy.as_bytes());
}

/// Answers the requests of one connection.
fn converse(
    mut stream: TcpStream,
    peer: SocketAddr,
    root: &Root,
    interrupt: &Interrupt,
    sink: &dyn Sink,
) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TICK))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut buffer = Vec::new();
    for number in 1..=REQUESTS {
        let Some(head) = read_head(&mut stream, &mut buffer, interrupt)? else {
            return Ok(());
        };
        let (response, line) = match Request::parse(&head) {
            Ok(request) => {
                let line = format!("{} {}", request.method, request.shown());
                (Response::to(&request, root), line)
            }
            Err(status) => (Response::failure(status), "a request that is none".to_owned()),
        };
        let close = response.close || number == REQUESTS;
        let text = format!("{peer}: {line}: {}", response.status.code);
        sink.event(Event::Message {
            id: "repo:serve",
            text: &text,
        });
        response.send(&mut stream, close, interrupt)?;
        if close {
            break;
        }
    }
    linger(&mut stream);
    Ok(())
}

/// Reads on for a moment after the last answer: closing with bytes unread resets the connection, and the client may
/// lose the answer (RFC 9112 §9.6).
fn linger(stream: &mut TcpStream) {
    use std::io::Read as _;
    let deadline = Instant::now() + Duration::from_secs(1);
    let mut piece = [0; 16 * 1024];
    if stream.shutdown(Shutdown::Write).is_err() {
        return;
    }
    while Instant::now() < deadline {
        match stream.read(&mut piece) {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
    }
}

/// The next request up to its empty line; none when the client has said all, is too slow, or the run is interrupted.
/// Bytes of the request after it stay in `buffer`.
fn read_head(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    interrupt: &Interrupt,
) -> io::Result<Option<Vec<u8>>> {
    use std::io::Read as _;
    let deadline = Instant::now() + PATIENCE;
    let mut piece = [0; 4096];
    loop {
        if let Some(end) = http::end_of_head(buffer) {
            let rest = buffer.split_off(end);
            return Ok(Some(std::mem::replace(buffer, rest)));
        }
        if buffer.len() > http::LARGEST_HEAD {
            // Too long: the parser refuses it.
            return Ok(Some(std::mem::take(buffer)));
        }
        if interrupt.is_set() || Instant::now() > deadline {
            return Ok(None);
        }
        match stream.read(&mut piece) {
            Ok(0) => return Ok(None),
            Ok(count) => buffer.extend_from_slice(&piece[..count]),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => {}
                _ => return Err(error),
            },
        }
    }
}
