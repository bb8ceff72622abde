//! Requests to one registry, for one repository.

use std::{
    io::{self, Read},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use keel_artefact::{Interrupt, interrupt::Interrupted};
use serde::Deserialize;
use ureq::{
    Agent, Body as Answered, SendBody,
    http::{HeaderName, Method, Request, Response, Uri, header},
    tls::{PemItem, RootCerts, TlsConfig},
};

use super::{
    Answer, Error, Login, Options, Reference,
    error::Failure,
    reference::is_loopback,
    words::{Challenge, escaped, said},
};
use crate::layout::Place;

/// How many redirects of a download are followed.
const MAX_REDIRECTS: usize = 5;
/// The largest answer of a token server, and the largest text of an error, in bytes.
const MAX_TALK: u64 = 256 * 1024;
/// The longest that a registry may ask to wait for.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Makes requests.
pub(crate) struct Client<'a> {
    agent: Agent,
    /// `https://HOST` or, on this machine, `http://HOST`.
    base: String,
    pub(crate) reference: &'a Reference,
    pub(crate) options: &'a Options,
    interrupt: &'a Interrupt,
    /// What is asked of a token server: `repository:NAME:pull,push`.
    scopes: Vec<String>,
    /// What proves who asks, as it was accepted last.
    proof: Mutex<Option<String>>,
}

/// What is sent.
#[derive(Clone, Copy)]
pub(crate) enum Body<'b> {
    Bytes(&'b [u8]),
    /// `length` bytes of a file from `skip` on.
    Part {
        place: &'b Place,
        skip: u64,
        length: u64,
    },
}

/// One request.
#[derive(Clone)]
pub(crate) struct Ask<'b> {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) body: Body<'b>,
}

impl Ask<'static> {
    pub(crate) fn new(method: Method, uri: Uri) -> Self {
        Self {
            method,
            uri,
            headers: Vec::new(),
            body: Body::Bytes(b""),
        }
    }
}

impl<'b> Ask<'b> {
    pub(crate) fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body<'c>(self, body: Body<'c>) -> Ask<'c> {
        Ask {
            method: self.method,
            uri: self.uri,
            headers: self.headers,
            body,
        }
    }
}

/// Runs `work` with a client whose connections are shut down as soon as the user interrupts.
pub(crate) fn with_client<T>(
    reference: &Reference,
    scopes: Vec<String>,
    options: &Options,
    interrupt: &Interrupt,
    work: impl FnOnce(&Client<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    if options.insecure_http && !reference.is_local() {
        return Err(Error::Insecure(reference.registry.clone()));
    }
    let scheme = if options.insecure_http { "http" } else { "https" };
    let client = Client {
        agent: agent(options)?,
        base: format!("{scheme}://{}", reference.host()),
        reference,
        options,
        interrupt,
        scopes,
        proof: Mutex::new(None),
    };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                if interrupt.is_set() {
                    client.agent.clone().shutdown();
                    return;
                }
                std::thread::park_timeout(Duration::from_millis(100));
            }
        });
        let _stop = OnDrop(|| {
            done.store(true, Ordering::Release);
            watcher.thread().unpark();
        });
        work(&client)
    })
}

/// Does something on leaving a block, by a panic too: the watcher must not wait for ever.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn agent(options: &Options) -> Result<Agent, Error> {
    let limits = &options.limits;
    let mut certificates = Vec::new();
    for file in &options.certificates {
        let error = |source| Error::Certificates {
            file: file.clone(),
            source,
        };
        let bytes = fs_err::read(file).map_err(error)?;
        let before = certificates.len();
        certificates.extend(ureq::tls::parse_pem(&bytes).filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        }));
        if certificates.len() == before {
            let none = io::Error::new(io::ErrorKind::InvalidData, "no certificate in it");
            return Err(error(none));
        }
    }
    let mut tls = TlsConfig::builder();
    if !certificates.is_empty() {
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
        // A registry may look at all of a large blob before it answers.
        .timeout_recv_response(Some(limits.stall * 5))
        .build();
    Ok(config.new_agent())
}

impl Client<'_> {
    /// The address of something of the repository: `blobs/DIGEST`.
    pub(crate) fn uri(&self, what: &str) -> Result<Uri, Failure> {
        let text = format!("{}/v2/{}/{what}", self.base, self.reference.repository);
        Ok(text
            .parse()
            .map_err(|_| Answer::Nonsense(format!("`{text}` is no address")))?)
    }

    /// Asks, and says who asks if the registry wants to know. Redirects are given back.
    pub(crate) fn ask(&self, ask: &Ask<'_>) -> Result<Response<Answered>, Failure> {
        let is_registry = self.is_registry(&ask.uri);
        let mut proof = is_registry.then(|| self.proof().clone()).flatten();
        let mut is_first = true;
        loop {
            let response = self.send(ask, proof.as_deref())?;
            if response.status() != 401 || !is_registry || !is_first {
                return Ok(response);
            }
            is_first = false;
            match self.prove(&response)? {
                Some(new) => proof = Some(new),
                None => return Ok(response),
            }
            self.proof().clone_from(&proof);
        }
    }

    /// Asks for something that may lie elsewhere; who asks is told to the registry alone.
    pub(crate) fn download(&self, mut ask: Ask<'_>) -> Result<Response<Answered>, Failure> {
        for _ in 0..=MAX_REDIRECTS {
            let response = self.ask(&ask)?;
            match response.status().as_u16() {
                301 | 302 | 303 | 307 | 308 => ask.uri = self.location(&ask.uri, &response)?,
                _ => return Ok(response),
            }
        }
        let (to, why) = (ask.uri.to_string(), "it is one redirect too many");
        Err(Answer::Elsewhere { to, why }.into())
    }

    fn send(&self, ask: &Ask<'_>, proof: Option<&str>) -> Result<Response<Answered>, Failure> {
        self.interrupt.check()?;
        let mut request = Request::builder().method(ask.method.clone()).uri(ask.uri.clone());
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        if let Some(proof) = proof {
            request = request.header(header::AUTHORIZATION, proof);
        }
        let unsound = |error: ureq::http::Error| Answer::Nonsense(error.to_string());
        let answered = match (&ask.method, ask.body) {
            (&Method::GET | &Method::HEAD, _) => self.agent.run(request.body(()).map_err(unsound)?),
            (_, Body::Bytes(bytes)) => self.agent.run(request.body(bytes).map_err(unsound)?),
            (_, Body::Part { place, skip, length }) => {
                let mut reader = place.open(skip)?.take(length);
                let request = request.header(header::CONTENT_LENGTH, length);
                let body = SendBody::from_reader(&mut reader);
                self.agent.run(request.body(body).map_err(unsound)?)
            }
        };
        answered.map_err(|error| self.failure(error))
    }

    fn proof(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.proof.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What proves who asks, as the registry wants it; none where nobody asks, or it wants what keel does not know.
    fn prove(&self, response: &Response<Answered>) -> Result<Option<String>, Failure> {
        let wanted = response.headers().get_all(header::WWW_AUTHENTICATE);
        for wanted in wanted.iter().filter_map(|value| value.to_str().ok()) {
            match Challenge::parse(wanted) {
                Some(Challenge::Basic) => return Ok(self.options.login.as_ref().and_then(Login::basic)),
                Some(Challenge::Bearer { realm, service }) => {
                    return self.token(&realm, service.as_deref()).map(Some);
                }
                None => {}
            }
        }
        Ok(None)
    }

    /// A token of the server that the registry names.
    fn token(&self, realm: &str, service: Option<&str>) -> Result<String, Failure> {
        let login = self.options.login.as_ref();
        let mut pairs = Vec::new();
        pairs.extend(service.map(|service| ("service", service)));
        pairs.extend(self.scopes.iter().map(|scope| ("scope", scope.as_str())));
        if let Some(Login::Token(token)) = login {
            pairs.extend([
                ("grant_type", "refresh_token"),
                ("client_id", "keel"),
                ("refresh_token", token),
            ]);
        }
        let query: Vec<String> = pairs
            .iter()
            .map(|(key, value)| format!("{key}={}", escaped(value)))
            .collect();
        let query = query.join("&");
        let is_form = matches!(login, Some(Login::Token(_)));
        let separator = if realm.contains('?') { '&' } else { '?' };
        let uri = self.checked(&match is_form {
            true => realm.to_owned(),
            false => format!("{realm}{separator}{query}"),
        })?;
        let ask = match is_form {
            true => Ask::new(Method::POST, uri)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Body::Bytes(query.as_bytes())),
            false => Ask::new(Method::GET, uri),
        };
        let response = self.send(&ask, login.and_then(Login::basic).as_deref())?;
        let response = self.wanted(response, &[200])?;
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }
        let bytes = self.bytes(response, MAX_TALK)?;
        // What serde says could quote the token.
        let parsed: Option<Token> = serde_json::from_slice(&bytes).ok();
        let token = parsed.and_then(|parsed| parsed.token.or(parsed.access_token));
        let token = token.filter(|token| !token.is_empty() && token.chars().all(|c| c.is_ascii_graphic()));
        let nonsense = || Answer::Nonsense("its token server gives no token".to_owned());
        Ok(format!("Bearer {}", token.ok_or_else(nonsense)?))
    }

    /// The response, if its status is one of these; else what the registry says.
    pub(crate) fn wanted(
        &self,
        response: Response<Answered>,
        statuses: &[u16],
    ) -> Result<Response<Answered>, Failure> {
        let status = response.status().as_u16();
        if statuses.contains(&status) {
            return Ok(response);
        }
        let wait = response.headers().get(header::RETRY_AFTER);
        let wait = wait.and_then(|value| value.to_str().ok()?.parse().ok());
        if status == 404 {
            return Err(Answer::Absent.into());
        }
        // What cannot be read of an error is no other error.
        let mut bytes = Vec::new();
        let _ = response
            .into_body()
            .into_reader()
            .take(MAX_TALK)
            .read_to_end(&mut bytes);
        let said = said(&bytes);
        Err(match status {
            401 | 403 => Answer::Denied { status, said },
            _ => Answer::Status { status, said, wait },
        }
        .into())
    }

    /// All bytes of a body, at most `limit`.
    pub(crate) fn bytes(&self, response: Response<Answered>, limit: u64) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        let mut reader = response.into_body().into_reader().take(limit + 1);
        match reader.read_to_end(&mut bytes) {
            Ok(_) if bytes.len() as u64 > limit => Err(Answer::TooBig { limit }.into()),
            Ok(_) => Ok(bytes),
            Err(error) => Err(self.read_failure(&error)),
        }
    }

    /// Where a `Location` leads.
    pub(crate) fn location(&self, from: &Uri, response: &Response<Answered>) -> Result<Uri, Failure> {
        let location = response
            .headers()
            .get(header::LOCATION)
            .and_then(|value| value.to_str().ok());
        let location = location.ok_or_else(|| Answer::Nonsense("it leads nowhere".to_owned()))?;
        let authority = from.authority().map_or("", |authority| authority.as_str());
        let scheme = from.scheme_str().unwrap_or("https");
        let absolute = match location {
            _ if location.starts_with("//") => format!("{scheme}:{location}"),
            _ if location.starts_with('/') => format!("{scheme}://{authority}{location}"),
            _ => location.to_owned(),
        };
        self.checked(&absolute)
    }

    /// An address that the registry gave, if it may be asked.
    fn checked(&self, text: &str) -> Result<Uri, Failure> {
        let refuse = |why| Answer::Elsewhere {
            to: text.chars().take(200).collect(),
            why,
        };
        let text = text.split('#').next().unwrap_or_default();
        let uri: Uri = text.parse().map_err(|_| refuse("that is no address"))?;
        let Some(authority) = uri.authority().map(|authority| authority.as_str()) else {
            return Err(refuse("that is no whole address").into());
        };
        if authority.contains('@') {
            return Err(refuse("it carries credentials").into());
        }
        match uri.scheme_str() {
            Some("https") => Ok(uri),
            Some("http") if self.options.insecure_http && is_loopback(authority) => Ok(uri),
            _ => Err(refuse("it is not https").into()),
        }
    }

    fn is_registry(&self, uri: &Uri) -> bool {
        let origin = |uri: &Uri| {
            Some((
                uri.scheme_str()?.to_owned(),
                uri.authority()?.as_str().to_ascii_lowercase(),
            ))
        };
        let own = self.base.parse::<Uri>().ok();
        own.and_then(|own| origin(&own))
            .is_some_and(|own| origin(uri) == Some(own))
    }

    /// Does `work` again, after longer and longer pauses, as long as its failures may pass. What it gets through counts: `progress`
    /// says how far it is.
    pub(crate) fn retry<T>(
        &self,
        progress: &dyn Fn() -> u64,
        mut work: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let (mut tries, mut before) = (1, progress());
        loop {
            match work() {
                Err(Failure::Answer(answer)) if answer.is_passing() && tries < self.options.limits.tries => {
                    let now = progress();
                    tries = if now > before { 1 } else { tries + 1 };
                    before = before.max(now);
                    let wait = match answer {
                        Answer::Status {
                            wait: Some(seconds), ..
                        } => Duration::from_secs(seconds).min(MAX_WAIT),
                        _ => Duration::ZERO,
                    };
                    self.pause(tries.saturating_sub(1), wait)?;
                }
                other => return other,
            }
        }
    }

    fn pause(&self, tries: u32, at_least: Duration) -> Result<(), Interrupted> {
        let pause = self.options.limits.pause * 2_u32.saturating_pow(tries.saturating_sub(1)).min(16);
        let until = Instant::now() + pause.max(at_least);
        loop {
            self.interrupt.check()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    /// What an error while reading a body means.
    pub(crate) fn read_failure(&self, error: &io::Error) -> Failure {
        match self.interrupt.is_set() {
            true => Interrupted.into(),
            false => Answer::Unreachable(error.to_string()).into(),
        }
    }

    fn failure(&self, error: ureq::Error) -> Failure {
        if self.interrupt.is_set() {
            return Interrupted.into();
        }
        match error {
            ureq::Error::Timeout(timeout) => Answer::Unreachable(format!("time-out: {timeout}")).into(),
            ureq::Error::Protocol(error) => Answer::Nonsense(error.to_string()).into(),
            ureq::Error::LargeResponseHeader(..) => Answer::Nonsense("a huge header".to_owned()).into(),
            error => Answer::Unreachable(error.to_string()).into(),
        }
    }
}
