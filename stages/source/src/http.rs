//! HTTP requests: one place for what is allowed, how long it may take, and how it is stopped.
//!
//! - `http` only where the caller allows it (Debian's mirrors, whose files are signed or pinned); a redirect never
//!   changes the scheme.
//! - No content is decoded: the bytes of the file are the bytes on the wire, and the digest is over them.
//! - A request ends when no byte came for a while, when the time for all is up, or when the user interrupts: a
//!   watcher then shuts every connection down.

use std::{
    io::{self, Read},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use keel_artefact::{Interrupt, interrupt::Interrupted};
use ureq::{
    Agent, Body,
    http::{Response, Uri, header},
    tls::{PemItem, RootCerts, TlsConfig},
};

use crate::{Answer, Limits, Options};

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 10;

/// A URL that may be asked: `https`, or `http` where that is allowed; a host, no credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url(Uri);

/// Why a text is no URL to ask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is no URL.
    #[error("`{0}` is not a URL")]
    Form(String),
    /// Its scheme is not allowed here.
    #[error("`{0}` is not https")]
    Scheme(String),
    /// It carries a user name or password, which would end up in locks and logs.
    #[error("a URL with credentials")]
    Credentials,
}

impl Url {
    /// Checks a URL. Characters that have no place in one (blanks, quotes) are errors, not escaped.
    pub fn parse(text: &str, allow_http: bool) -> Result<Self, UrlError> {
        let form = || UrlError::Form(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| form())?;
        let authority = uri.authority().ok_or_else(form)?;
        if authority.as_str().contains('@') {
            return Err(UrlError::Credentials);
        }
        match uri.scheme_str() {
            Some("https") => Ok(Self(uri)),
            Some("http") if allow_http => Ok(Self(uri)),
            _ => Err(UrlError::Scheme(text.to_owned())),
        }
    }

    /// The URL that a `Location` header means, if the same scheme leads there.
    pub(crate) fn redirect(&self, location: &str) -> Result<Self, Answer> {
        let refuse = |why| Answer::Redirect {
            to: location.to_owned(),
            why,
        };
        let scheme = self.0.scheme_str().unwrap_or_default();
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        let before =
            |path: &str, end: char| path.rfind(end).map_or(String::new(), |at| path[..at].to_owned());
        let location = location.split('#').next().unwrap_or_default();
        let has_scheme = (location.split_once(':')).is_some_and(|(start, _)| !start.contains(['/', '?']));
        let text = if has_scheme {
            location.to_owned()
        } else if location.starts_with("//") {
            format!("{scheme}:{location}")
        } else if location.starts_with('/') {
            format!("{scheme}://{authority}{location}")
        } else if location.starts_with('?') {
            format!("{scheme}://{authority}{}{location}", self.0.path())
        } else {
            let path = format!("{}/{location}", before(self.0.path(), '/'));
            format!("{scheme}://{authority}{}", without_dots(&path))
        };
        let other_scheme = || refuse("another scheme than that of the first request");
        match Self::parse(&text, true) {
            Ok(url) if url.0.scheme_str() == Some(scheme) => Ok(url),
            Ok(_) | Err(UrlError::Scheme(_)) => Err(other_scheme()),
            Err(UrlError::Credentials) => Err(refuse("it carries credentials")),
            Err(UrlError::Form(_)) if has_scheme => Err(other_scheme()),
            Err(UrlError::Form(_)) => Err(refuse("it is not a URL")),
        }
    }
}

/// A path (and query) in which `.` and `..` are followed (RFC 3986, 5.2.4).
fn without_dots(path: &str) -> String {
    let (path, query) = match path.find('?') {
        Some(at) => path.split_at(at),
        None => (path, ""),
    };
    let mut parts: Vec<&str> = Vec::new();
    let mut ends_open = false;
    for part in path.split('/').skip(1) {
        ends_open = matches!(part, "." | "..");
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let end = if ends_open && !parts.is_empty() { "/" } else { "" };
    format!("/{}{end}{query}", parts.join("/"))
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Makes requests. Exists only inside [`with_client`].
#[derive(Debug)]
pub(crate) struct Client<'a> {
    agent: Agent,
    /// What all requests share.
    pub(crate) options: &'a Options,
    pub(crate) limits: &'a Limits,
    pub(crate) interrupt: &'a Interrupt,
}

/// The certificates of the option cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot read certificates from {path}")]
pub struct CertificateError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// Runs `work` with a client whose connections are shut down as soon as the user interrupts.
pub(crate) fn with_client<T>(
    options: &Options,
    interrupt: &Interrupt,
    work: impl FnOnce(&Client<'_>) -> T,
) -> Result<T, CertificateError> {
    let limits = &options.limits;
    let client = Client {
        agent: agent(options)?,
        options,
        limits,
        interrupt,
    };
    let done = AtomicBool::new(false);
    Ok(std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                if interrupt.is_set() {
                    client.agent.clone().shutdown();
                    return;
                }
                std::thread::park_timeout(Duration::from_millis(100));
            }
        });
        let stop = OnDrop(|| {
            done.store(true, Ordering::Release);
            watcher.thread().unpark();
        });
        let result = work(&client);
        drop(stop);
        result
    }))
}

/// Does something on leaving a block, by a panic too: the watcher must not wait for ever.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn agent(options: &Options) -> Result<Agent, CertificateError> {
    let limits = &options.limits;
    let mut tls = TlsConfig::builder();
    if let Some(path) = &options.certificates {
        let error = |source| CertificateError {
            path: path.clone(),
            source,
        };
        let bytes = fs_err::read(path).map_err(error)?;
        let certificates: Vec<_> = ureq::tls::parse_pem(&bytes)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        if certificates.is_empty() {
            return Err(error(io::Error::new(
                io::ErrorKind::InvalidData,
                "no certificate in it",
            )));
        }
        tls = tls.root_certs(RootCerts::new_with_certs(&certificates));
    }
    let proxy = options
        .proxy
        .as_deref()
        .and_then(|proxy| ureq::Proxy::new(proxy).ok());
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(proxy)
        .user_agent(concat!("keel/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("identity")
        .tls_config(tls.build())
        .timeout_resolve(Some(limits.connect))
        .timeout_connect(Some(limits.connect))
        .timeout_per_read(Some(limits.stall))
        .timeout_per_write(Some(limits.stall))
        .build();
    Ok(config.new_agent())
}

/// Either the origin's answer, or that the user interrupted.
#[derive(Debug)]
pub(crate) enum Failure {
    Answer(Answer),
    Interrupted(Interrupted),
}

impl Failure {
    /// The origin's answer, unless the user interrupted.
    pub(crate) fn into_answer(self) -> Result<Answer, Interrupted> {
        match self {
            Self::Answer(answer) => Ok(answer),
            Self::Interrupted(interrupted) => Err(interrupted),
        }
    }
}

impl From<Answer> for Failure {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

impl From<UrlError> for Failure {
    fn from(error: UrlError) -> Self {
        Self::Answer(error.into())
    }
}

impl From<Interrupted> for Failure {
    fn from(interrupted: Interrupted) -> Self {
        Self::Interrupted(interrupted)
    }
}

impl Client<'_> {
    /// Asks for `url` from byte `from` on, until `deadline`; follows redirects. The status is 200, 206 or 416.
    pub(crate) fn get(&self, url: &Url, from: u64, deadline: Instant) -> Result<Response<Body>, Failure> {
        self.get_as(url, "*/*", from, deadline)
    }

    fn get_as(
        &self,
        url: &Url,
        accept: &str,
        from: u64,
        deadline: Instant,
    ) -> Result<Response<Body>, Failure> {
        if self.options.offline {
            return Err(Answer::Offline.into());
        }
        let mut url = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            self.interrupt.check()?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Answer::TimeUp(self.limits.total).into());
            }
            let mut request = self.agent.get(url.0.clone()).header(header::ACCEPT, accept);
            if from > 0 {
                request = request.header(header::RANGE, format!("bytes={from}-"));
            }
            let request = request.config().timeout_global(Some(left)).build();
            let response = request.call().map_err(|error| self.failure(error))?;
            match response.status().as_u16() {
                200 | 206 | 416 => return Ok(response),
                status @ (404 | 410) => return Err(Answer::Absent { status }.into()),
                301 | 302 | 303 | 307 | 308 => {
                    let location = response.headers().get(header::LOCATION);
                    let location = location.and_then(|value| value.to_str().ok());
                    let location =
                        location.ok_or_else(|| Answer::Nonsense("a redirect to nowhere".to_owned()))?;
                    url = url.redirect(location)?;
                }
                status => return Err(Answer::Status { status }.into()),
            }
        }
        Err(Answer::Redirect {
            to: url.to_string(),
            why: "too many redirects",
        }
        .into())
    }

    /// A document of at most `limit` bytes, with retries. None if the server has none.
    pub(crate) fn document(&self, url: &Url, limit: u64) -> Result<Vec<u8>, Failure> {
        self.document_as(url, "*/*", limit)
    }

    /// The same, of a media type.
    pub(crate) fn document_as(&self, url: &Url, accept: &str, limit: u64) -> Result<Vec<u8>, Failure> {
        let deadline = Instant::now() + self.limits.total;
        self.retry(|| {
            let response = self.get_as(url, accept, 0, deadline)?;
            let mut bytes = Vec::new();
            let mut reader = response.into_body().into_reader().take(limit + 1);
            match reader.read_to_end(&mut bytes) {
                Ok(_) if bytes.len() as u64 > limit => Err(Answer::TooBig { limit }.into()),
                Ok(_) => Ok(bytes),
                Err(error) => Err(self.read_failure(error, bytes.len() as u64, None)),
            }
        })
    }

    /// Does `work` again, after longer and longer pauses, as long as its failures may pass.
    pub(crate) fn retry<T>(&self, mut work: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
        let mut tries = 1;
        loop {
            match work() {
                Err(Failure::Answer(answer)) if answer.is_passing() && tries < self.limits.tries => {
                    self.pause(tries)?;
                    tries += 1;
                }
                other => return other,
            }
        }
    }

    /// Waits before try number `tries + 1`, unless the user interrupts.
    pub(crate) fn pause(&self, tries: u32) -> Result<(), Interrupted> {
        let until =
            Instant::now() + self.limits.pause * 2_u32.saturating_pow(tries.saturating_sub(1)).min(16);
        loop {
            self.interrupt.check()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    /// What an error while reading a body means, `found` bytes into it.
    pub(crate) fn read_failure(&self, error: io::Error, found: u64, wanted: Option<u64>) -> Failure {
        let truncated = Answer::Truncated { found, wanted };
        match error.kind() {
            _ if self.interrupt.is_set() => Interrupted.into(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => truncated.into(),
            _ => match error.downcast::<ureq::Error>() {
                Ok(ureq::Error::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    truncated.into()
                }
                Ok(error) => self.failure(error),
                Err(error) => Answer::Unreachable(error.to_string()).into(),
            },
        }
    }

    fn failure(&self, error: ureq::Error) -> Failure {
        if self.interrupt.is_set() {
            return Interrupted.into();
        }
        match error {
            ureq::Error::Timeout(ureq::Timeout::Global | ureq::Timeout::PerCall) => {
                Answer::TimeUp(self.limits.total).into()
            }
            ureq::Error::Timeout(ureq::Timeout::PerRead | ureq::Timeout::PerWrite) => {
                Answer::Stalled(self.limits.stall).into()
            }
            ureq::Error::Timeout(timeout) => Answer::Unreachable(format!("time-out: {timeout}")).into(),
            ureq::Error::Protocol(error) => Answer::Nonsense(error.to_string()).into(),
            ureq::Error::LargeResponseHeader(..) => Answer::Nonsense("a huge header".to_owned()).into(),
            error => Answer::Unreachable(error.to_string()).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_may_be_asked() {
        for (text, allow_http, ok) in [
            ("https://example.org/a+b~c_1.tar.gz", false, true),
            ("https://example.org", false, true),
            ("http://example.org/a", false, false),
            ("http://example.org/a", true, true),
            ("file:///etc/passwd", true, false),
            ("ftp://example.org/a", true, false),
            ("https://user:secret@example.org/a", true, false),
            ("example.org/a", true, false),
            ("https://example.org/a b", true, false),
            ("https://exam\nple.org/", true, false),
            ("", true, false),
        ] {
            assert_eq!(Url::parse(text, allow_http).is_ok(), ok, "{text:?}");
        }
    }

    #[test]
    fn redirects_stay_in_their_scheme() {
        for (from, location, to) in [
            (
                "https://a.example/x/y",
                "https://b.example/z",
                Some("https://b.example/z"),
            ),
            (
                "https://a.example/x/y",
                "/z?q=1#part",
                Some("https://a.example/z?q=1"),
            ),
            ("https://a.example/x/y?q", "z", Some("https://a.example/x/z")),
            (
                "https://a.example/x/y/",
                "../../z/./w?..",
                Some("https://a.example/z/w?.."),
            ),
            ("https://a.example/x", "../../..", Some("https://a.example/")),
            ("https://a.example/x/y/z", "..", Some("https://a.example/x/")),
            ("https://a.example/x/y?q", "?r", Some("https://a.example/x/y?r")),
            ("https://a.example/", "//b.example/z", Some("https://b.example/z")),
            (
                "http://a.example/",
                "http://b.example/z",
                Some("http://b.example/z"),
            ),
            ("https://a.example/", "http://b.example/z", None),
            ("http://a.example/", "https://b.example/z", None),
            ("http://a.example/", "file:///etc/passwd", None),
            ("http://a.example/", "file:/etc/passwd", None),
            ("http://a.example/", "javascript:alert(1)", None),
            ("http://a.example/", "http://u:p@b.example/", None),
            ("http://a.example/", "a b", None),
        ] {
            let url = Url::parse(from, true).unwrap();
            let found = url.redirect(location).map(|url| url.to_string());
            assert_eq!(found.ok().as_deref(), to, "{from} → {location}");
        }
    }
}
