//! A tiny HTTP server whose answers a test writes byte by byte.

use std::{
    io::{self, BufRead as _, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// What a client asked for.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub headers: Vec<(String, String)>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// N of `Range: bytes=N-`.
    pub fn from(&self) -> Option<usize> {
        self.header("range")?
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()
    }
}

/// Answers one request; the connection is closed afterwards.
type Handler = dyn Fn(&Request, &mut Answer<'_>) -> io::Result<()> + Send + Sync;

/// Where the answer goes.
pub struct Answer<'a> {
    stream: &'a mut dyn Write,
    stop: &'a AtomicBool,
}

impl Answer<'_> {
    /// Raw bytes.
    pub fn raw(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())?;
        self.stream.flush()
    }

    /// A status without a body, and perhaps a header.
    pub fn status(&mut self, status: u16, header: &str) -> io::Result<()> {
        self.raw(format!(
            "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n{header}\r\n"
        ))
    }

    /// The whole of `body`.
    pub fn ok(&mut self, body: &[u8]) -> io::Result<()> {
        self.raw(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        ))?;
        self.raw(body)
    }

    /// `body`, or the part of it that was asked for.
    pub fn file(&mut self, request: &Request, body: &[u8]) -> io::Result<()> {
        match request.from() {
            None => self.ok(body),
            Some(from) if from < body.len() => {
                let (last, all) = (body.len() - 1, body.len());
                self.raw(format!(
                    "HTTP/1.1 206 Partial\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{last}/{all}\r\n\
                     Connection: close\r\n\r\n",
                    all - from
                ))?;
                self.raw(&body[from..])
            }
            Some(_) => self.status(416, ""),
        }
    }

    /// Nothing, until the server stops or `longest` is over.
    pub fn stall(&mut self, longest: Duration) -> io::Result<()> {
        for _ in 0..longest.as_millis() / 10 {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

/// Runs until it is dropped.
pub struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    requests: Arc<Mutex<Vec<Request>>>,
    thread: Option<JoinHandle<()>>,
    scheme: &'static str,
}

impl Server {
    pub fn new(
        handler: impl Fn(&Request, &mut Answer<'_>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::start(Arc::new(handler), None)
    }

    /// With TLS.
    pub fn tls(
        config: Arc<rustls::ServerConfig>,
        handler: impl Fn(&Request, &mut Answer<'_>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::start(Arc::new(handler), Some(config))
    }

    fn start(handler: Arc<Handler>, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, requests) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let thread = {
            let (stop, requests) = (Arc::clone(&stop), Arc::clone(&requests));
            std::thread::spawn(move || accept(&listener, &handler, tls.as_ref(), &stop, &requests))
        };
        Self {
            address,
            stop,
            requests,
            thread: Some(thread),
            scheme,
        }
    }

    /// `http://127.0.0.1:PORT` + `path`.
    pub fn url(&self, path: &str) -> String {
        format!("{}://127.0.0.1:{}{path}", self.scheme, self.address.port())
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept(
    listener: &TcpListener,
    handler: &Arc<Handler>,
    tls: Option<&Arc<rustls::ServerConfig>>,
    stop: &Arc<AtomicBool>,
    requests: &Arc<Mutex<Vec<Request>>>,
) {
    for stream in listener.incoming() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let (handler, stop, requests) = (Arc::clone(handler), Arc::clone(stop), Arc::clone(requests));
        let tls = tls.map(|config| rustls::ServerConnection::new(Arc::clone(config)).unwrap());
        std::thread::spawn(move || {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
            match tls {
                None => serve(stream, &*handler, &stop, &requests),
                Some(connection) => {
                    let mut stream = rustls::StreamOwned::new(connection, stream);
                    serve(&mut stream, &*handler, &stop, &requests);
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                }
            }
        });
    }
}

fn serve(
    mut stream: impl Read + Write,
    handler: &Handler,
    stop: &AtomicBool,
    requests: &Mutex<Vec<Request>>,
) {
    let Ok(request) = read(&mut stream) else { return };
    requests.lock().unwrap().push(request.clone());
    // The client may hang up in the middle: that is one of the tests.
    let _ = handler(
        &request,
        &mut Answer {
            stream: &mut stream,
            stop,
        },
    );
}

fn read(stream: &mut impl Read) -> io::Result<Request> {
    // One byte at a time, so that nothing of a next request would be swallowed.
    let mut reader = BufReader::with_capacity(1, stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut lines = lines.into_iter();
    let path = lines
        .next()
        .and_then(|line| line.split(' ').nth(1).map(str::to_owned));
    let headers = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    });
    Ok(Request {
        path: path.unwrap_or_default(),
        headers: headers.collect(),
    })
}
