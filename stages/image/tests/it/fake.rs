//! A registry in memory that keeps to the distribution specification, but for what a test has it do wrong.

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use keel_artefact::Sha256;

/// What a client asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// With its query.
    pub path: String,
    pub headers: BTreeMap<String, String>,
    /// Bytes of its body that came.
    pub body: Vec<u8>,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.path.contains(part)
    }
}

/// What it answers.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The connection breaks after so many bytes of the body.
    pub breaks_after: Option<usize>,
}

pub fn answer(status: u16) -> Answer {
    Answer {
        status,
        headers: Vec::new(),
        body: Vec::new(),
        breaks_after: None,
    }
}

impl Answer {
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

/// What it has.
#[derive(Default)]
pub struct State {
    pub blobs: BTreeMap<String, Vec<u8>>,
    pub uploads: BTreeMap<String, Vec<u8>>,
    /// How many uploads there were.
    pub opened: usize,
    /// By tag and by digest: media type and bytes.
    pub manifests: BTreeMap<String, (String, Vec<u8>)>,
}

impl State {
    /// As the specification has it.
    pub fn answer(&mut self, asked: &Asked) -> Answer {
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let last = path.rsplit('/').next().unwrap_or_default().to_owned();
        let query = query.replace("%3A", ":");
        let digest = query.split('&').find_map(|pair| pair.strip_prefix("digest="));
        match asked.method.as_str() {
            "GET" | "HEAD" if path.contains("/manifests/") => match self.manifests.get(&last) {
                Some((kind, bytes)) => answer(200).header("Content-Type", kind).body(bytes.clone()),
                None => answer(404),
            },
            "PUT" if path.contains("/manifests/") => {
                let kind = asked.header("content-type").unwrap_or_default().to_owned();
                let digest = format!("sha256:{}", Sha256::of(&asked.body));
                self.manifests.insert(digest, (kind.clone(), asked.body.clone()));
                self.manifests.insert(last, (kind, asked.body.clone()));
                answer(201)
            }
            "POST" => {
                self.opened += 1;
                let id = format!("upload{}", self.opened);
                self.uploads.insert(id.clone(), Vec::new());
                answer(202).header("Location", format!("{path}{id}"))
            }
            _ if path.contains("/uploads/") && !self.uploads.contains_key(&last) => answer(404),
            "GET" if path.contains("/uploads/") => self.at(204, path, &last),
            "PATCH" => {
                let there = self.uploads.get_mut(&last).unwrap();
                let from = asked
                    .header("content-range")
                    .and_then(|range| range.split('-').next());
                if from.and_then(|from| from.parse().ok()) != Some(there.len()) {
                    return self.at(416, path, &last);
                }
                there.extend(&asked.body);
                self.at(202, path, &last)
            }
            "PUT" => {
                let mut bytes = self.uploads.remove(&last).unwrap();
                bytes.extend(&asked.body);
                let digest = digest.unwrap_or_default().to_owned();
                if digest != format!("sha256:{}", Sha256::of(&bytes)) {
                    return answer(400).body(r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#);
                }
                self.blobs.insert(digest, bytes);
                answer(201)
            }
            "GET" | "HEAD" => match self.blobs.get(&last) {
                Some(bytes) => part(asked, bytes),
                None => answer(404),
            },
            _ => answer(405),
        }
    }

    fn at(&self, status: u16, path: &str, upload: &str) -> Answer {
        let last = self.uploads[upload].len().saturating_sub(1);
        answer(status)
            .header("Location", path)
            .header("Range", format!("0-{last}"))
    }
}

/// A file, or the part of it that was asked for.
pub fn part(asked: &Asked, bytes: &[u8]) -> Answer {
    let range = asked
        .header("range")
        .and_then(|range| range.strip_prefix("bytes="));
    match range.and_then(|range| range.strip_suffix('-')?.parse::<usize>().ok()) {
        Some(from) if from < bytes.len() => {
            let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
            answer(206).header("Content-Range", range).body(&bytes[from..])
        }
        Some(_) => answer(416),
        None => answer(200).body(bytes),
    }
}

/// What a test has it do: None for what the specification says. Before the body is read, [`Manner::cut`] says how much of it is.
pub trait Manner: Send + Sync {
    fn cut(&self, _: &Asked) -> Option<usize> {
        None
    }

    fn answer(&self, _: &Asked, _: &mut State) -> Option<Answer> {
        None
    }
}

/// Runs until the test ends.
pub struct Fake {
    pub address: SocketAddr,
    pub state: Arc<Mutex<State>>,
    log: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    pub fn new(manner: impl Manner + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (state, log) = (
            Arc::new(Mutex::new(State::default())),
            Arc::new(Mutex::new(Vec::new())),
        );
        let tls = tls();
        let manner: Arc<dyn Manner> = Arc::new(manner);
        let (of_thread, of_log) = (Arc::clone(&state), Arc::clone(&log));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                let connection = rustls::ServerConnection::new(Arc::clone(&tls)).unwrap();
                let (state, log, manner) = (Arc::clone(&of_thread), Arc::clone(&of_log), Arc::clone(&manner));
                std::thread::spawn(move || {
                    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
                    let mut stream = rustls::StreamOwned::new(connection, stream);
                    // The client may hang up in the middle: that is one of the tests.
                    let _ = serve(&mut stream, &state, &log, &*manner);
                });
            }
        });
        Self { address, state, log }
    }

    /// `HOST:PORT` and a repository in it.
    pub fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }

    /// All requests so far.
    pub fn log(&self) -> Vec<Asked> {
        self.log.lock().unwrap().clone()
    }
}

fn serve(
    stream: &mut rustls::StreamOwned<rustls::ServerConnection, TcpStream>,
    state: &Mutex<State>,
    log: &Mutex<Vec<Asked>>,
    manner: &dyn Manner,
) -> io::Result<()> {
    let mut reader = BufReader::new(&mut *stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.trim().to_owned()),
            None => break,
        };
    }
    let length = headers
        .get("content-length")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let mut asked = Asked {
        method,
        path,
        headers,
        body: Vec::new(),
    };
    let cut = manner.cut(&asked).filter(|cut| *cut < length);
    let mut body = vec![0; cut.unwrap_or(length)];
    reader.read_exact(&mut body)?;
    asked.body = body;
    log.lock().unwrap().push(asked.clone());
    let answer = {
        let mut state = state.lock().unwrap();
        let own = manner.answer(&asked, &mut state);
        own.unwrap_or_else(|| state.answer(&asked))
    };
    if cut.is_some() {
        // What came is there, and nobody says so.
        return Ok(());
    }
    let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if answer.status != 204 {
        head.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    if asked.method != "HEAD" {
        stream.write_all(&answer.body[..answer.breaks_after.unwrap_or(answer.body.len())])?;
    }
    stream.flush()?;
    if answer.breaks_after.is_none() {
        stream.conn.send_close_notify();
        stream.flush()?;
    }
    Ok(())
}

/// The certificate of test servers on 127.0.0.1, and its key.
pub fn certificate() -> (PathBuf, PathBuf) {
    let data = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../source/tests/it/data"));
    (data.join("localhost.pem"), data.join("localhost.key.pem"))
}

fn tls() -> Arc<rustls::ServerConfig> {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
    let (certificate, key) = certificate();
    let certificates = CertificateDer::pem_file_iter(certificate)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key);
    Arc::new(config.unwrap())
}
