//! A finished container to a registry: what it lacks, then the manifest.
//!
//! A blob is asked for first (`HEAD`), and not sent when it is there; or it is taken over from another repository of the registry.
//! A small one is sent whole, a larger one in parts (`PATCH`): when the connection breaks, the registry is asked how much it has,
//! and the rest is sent.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use keel_artefact::{Event, Interrupt, Sha256, Sink, parallel};
use serde::Serialize;
use ureq::{
    Body as Answered,
    http::{Method, Response, Uri, header},
};

use super::{
    Answer, Error, Options, Reference,
    client::{Ask, Body, Client, with_client},
    error::Failure,
    words::{escaped, scope},
};
use crate::layout::{Descriptor, Layout, Place, TAG, digest};

const BYTES: &str = "application/octet-stream";

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pushed {
    /// Under which name it can be pulled.
    pub reference: String,
    /// Its digest: of its manifest, or index.
    pub digest: Sha256,
    /// Blobs that were sent.
    pub sent: Vec<Sha256>,
    /// Blobs that the registry took over from another repository.
    pub mounted: Vec<Sha256>,
    /// Blobs that were there.
    pub there: Vec<Sha256>,
    /// Bytes of the blobs that were sent.
    pub bytes: u64,
}

/// How a blob got there.
enum How {
    Sent,
    Mounted,
    There,
}

/// Pushes the image of `layout` as `reference`, under the layout's tag if that has none. Blobs may be taken over from the repository
/// `mount_from`.
pub fn push(
    layout: &Layout,
    reference: &Reference,
    mount_from: Option<&str>,
    options: &Options,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<Pushed, Error> {
    let image = layout.image(None)?;
    if reference.digest.is_some_and(|digest| digest != image.digest) {
        let (reference, found) = (Box::new(reference.clone()), image.digest);
        return Err(Error::OtherImage { reference, found });
    }
    let mut reference = reference.clone();
    if reference.tag.is_none() && reference.digest.is_none() {
        reference.tag = image.annotations.get(TAG).cloned().filter(|tag| !tag.is_empty());
        if let Some(tag) = reference.tag.take_if(|tag| !super::reference::is_tag(tag)) {
            return Err(Error::NoTag { tag });
        }
    }
    let blobs = layout.blobs_of(&image)?;
    let (documents, blobs): (Vec<Descriptor>, Vec<Descriptor>) = blobs
        .into_iter()
        .partition(|blob| blob.is_manifest() || blob.is_index());
    let mut scopes = vec![scope(&reference.repository, "pull,push")];
    scopes.extend(mount_from.map(|repository| scope(repository, "pull")));
    with_client(&reference, scopes, options, interrupt, |client| {
        let work = Push {
            client,
            layout,
            mount_from,
            sink,
            done: AtomicU64::new(0),
        };
        let hows = parallel::map(&blobs, interrupt, |blob| {
            work.blob(blob)
                .map_err(|failure| failure.when("push", format_args!("blob {}", blob.digest), &reference))
        })?;
        for document in &documents {
            work.manifest(document, document.digest == image.digest)?;
        }
        let mut pushed = Pushed {
            reference: reference.to_string(),
            digest: image.digest,
            sent: Vec::new(),
            mounted: Vec::new(),
            there: Vec::new(),
            bytes: 0,
        };
        for (blob, how) in blobs.iter().zip(hows) {
            match how {
                How::Sent => {
                    pushed.sent.push(blob.digest);
                    pushed.bytes += blob.size;
                }
                How::Mounted => pushed.mounted.push(blob.digest),
                How::There => pushed.there.push(blob.digest),
            }
        }
        Ok(pushed)
    })
}

struct Push<'a> {
    client: &'a Client<'a>,
    layout: &'a Layout,
    mount_from: Option<&'a str>,
    sink: &'a dyn Sink,
    done: AtomicU64,
}

/// What a registry answered to the offer of a blob.
enum Offered {
    Mounted,
    Upload(Uri),
}

impl Push<'_> {
    fn blob(&self, blob: &Descriptor) -> Result<How, Failure> {
        let place = self
            .layout
            .blob(blob)
            .map_err(|error| Answer::Nonsense(error.to_string()))?;
        let uri = self.client.uri(&format!("blobs/sha256:{}", blob.digest))?;
        let head = Ask::new(Method::HEAD, uri);
        let is_there = self.client.retry(&|| 0, || {
            let response = self.client.download(head.clone())?;
            match self.client.wanted(response, &[200]) {
                Ok(_) => Ok(true),
                Err(Failure::Answer(Answer::Absent)) => Ok(false),
                Err(failure) => Err(failure),
            }
        })?;
        if is_there {
            return Ok(How::There);
        }
        let sent = AtomicU64::new(0);
        let mut upload = None;
        // An upload that the registry lost, or mixed up, begins again, once.
        let mut may_restart = true;
        let how = self.client.retry(&|| sent.load(Ordering::Relaxed), || {
            let uri = match upload.take() {
                Some(uri) => uri,
                None => match self.offer(blob)? {
                    Offered::Mounted => return Ok(How::Mounted),
                    Offered::Upload(uri) => uri,
                },
            };
            let mut session = Session {
                uri,
                is_known: sent.load(Ordering::Relaxed) == 0,
            };
            let result = self.send(&mut session, blob, &place, &sent);
            match result {
                Err(Failure::Answer(answer)) if answer.is_passing() => {
                    upload = (sent.load(Ordering::Relaxed) > 0).then_some(session.uri);
                    Err(answer.into())
                }
                Err(Failure::Answer(
                    Answer::Absent
                    | Answer::Status {
                        status: 400 | 416, ..
                    },
                )) if sent.load(Ordering::Relaxed) > 0 && may_restart => {
                    may_restart = false;
                    sent.store(0, Ordering::Relaxed);
                    Err(Answer::Unreachable("the upload was lost".to_owned()).into())
                }
                other => other.map(|()| How::Sent),
            }
        })?;
        self.done.fetch_add(blob.size, Ordering::Relaxed);
        Ok(how)
    }

    /// Opens an upload, or has the blob taken over.
    fn offer(&self, blob: &Descriptor) -> Result<Offered, Failure> {
        let query = match self.mount_from {
            Some(from) => format!("?mount=sha256%3A{}&from={}", blob.digest, escaped(from)),
            None => String::new(),
        };
        let uri = self.client.uri(&format!("blobs/uploads/{query}"))?;
        let response = self.client.ask(&Ask::new(Method::POST, uri.clone()))?;
        let response = self.client.wanted(response, &[201, 202])?;
        match response.status().as_u16() {
            201 if self.mount_from.is_some() => Ok(Offered::Mounted),
            201 => Err(Answer::Nonsense("a blob that was not sent is there".to_owned()).into()),
            _ => Ok(Offered::Upload(self.client.location(&uri, &response)?)),
        }
    }

    /// Sends what the registry has not of the blob yet, and closes the upload. `sent` says how much it has.
    fn send(
        &self,
        session: &mut Session,
        blob: &Descriptor,
        place: &Place,
        sent: &AtomicU64,
    ) -> Result<(), Failure> {
        let chunk = self.client.options.limits.chunk.max(1);
        if blob.size > chunk {
            if !session.is_known {
                self.ask_for_offset(session, blob, sent)?;
            }
            while sent.load(Ordering::Relaxed) < blob.size {
                let from = sent.load(Ordering::Relaxed);
                let length = chunk.min(blob.size - from);
                let body = Body::Part {
                    place,
                    skip: from,
                    length,
                };
                let ask = Ask::new(Method::PATCH, session.uri.clone())
                    .header(header::CONTENT_TYPE, BYTES)
                    .header(header::CONTENT_RANGE, format!("{from}-{}", from + length - 1))
                    .body(body);
                let response = self.client.ask(&ask)?;
                if response.status() == 416 {
                    self.ask_for_offset(session, blob, sent)?;
                    match sent.load(Ordering::Relaxed) <= from {
                        true => {
                            return Err(self.client.wanted(response, &[202]).err().unwrap_or_else(unheard));
                        }
                        false => continue,
                    }
                }
                let response = self.client.wanted(response, &[202, 204])?;
                session.uri = self.client.location(&session.uri, &response)?;
                let now = offset(&response, blob.size)?.unwrap_or(from + length);
                if now <= from {
                    let why = format!("it took {length} bytes and says that it has {now}, as before");
                    return Err(Answer::Nonsense(why).into());
                }
                sent.store(now, Ordering::Relaxed);
            }
        }
        let separator = if session.uri.query().is_some() { '&' } else { '?' };
        let closing = format!("{}{separator}digest=sha256%3A{}", session.uri, blob.digest);
        let closing = closing
            .parse()
            .map_err(|_| Answer::Nonsense("its upload has no address".to_owned()))?;
        let ask = Ask::new(Method::PUT, closing).header(header::CONTENT_TYPE, BYTES);
        let ask = match blob.size > chunk {
            true => ask.body(Body::Bytes(b"")),
            false => ask.body(Body::Part {
                place,
                skip: 0,
                length: blob.size,
            }),
        };
        let response = self.client.wanted(self.client.ask(&ask)?, &[201, 204])?;
        self.same(&response, &blob.digest)
    }

    /// Asks how much of an upload came through before it broke.
    fn ask_for_offset(
        &self,
        session: &mut Session,
        blob: &Descriptor,
        sent: &AtomicU64,
    ) -> Result<(), Failure> {
        let response = self.client.ask(&Ask::new(Method::GET, session.uri.clone()))?;
        let response = self.client.wanted(response, &[204, 202, 200])?;
        // Where it is not said anew, the upload is where it was.
        if response.headers().contains_key(header::LOCATION) {
            session.uri = self.client.location(&session.uri, &response)?;
        }
        sent.store(offset(&response, blob.size)?.unwrap_or(0), Ordering::Relaxed);
        session.is_known = true;
        self.sink.event(Event::Note {
            text: &format!(
                "goes on with blob {} at byte {}",
                blob.digest.short(),
                sent.load(Ordering::Relaxed)
            ),
        });
        Ok(())
    }

    fn manifest(&self, document: &Descriptor, is_image: bool) -> Result<(), Error> {
        let reference = self.client.reference;
        let bytes = self.layout.document(document)?;
        let version = match (is_image, &reference.tag) {
            // A digest beside it was compared before.
            (true, Some(tag)) => tag.clone(),
            (true, None) => reference.version(),
            (false, _) => format!("sha256:{}", document.digest),
        };
        let put = || {
            let uri = self.client.uri(&format!("manifests/{version}"))?;
            let ask = Ask::new(Method::PUT, uri)
                .header(header::CONTENT_TYPE, document.media_type.clone())
                .body(Body::Bytes(&bytes));
            let response = self.client.wanted(self.client.ask(&ask)?, &[201])?;
            self.same(&response, &document.digest)
        };
        self.client
            .retry(&|| 0, put)
            .map_err(|failure| failure.when("push", format_args!("manifest {version}"), reference))
    }

    /// Fails if the registry says that it has something else than what it was sent.
    fn same(&self, response: &Response<Answered>, wanted: &Sha256) -> Result<(), Failure> {
        let said = response.headers().get("docker-content-digest");
        match said.and_then(|value| digest::parse(value.to_str().ok()?)) {
            Some(found) if found != *wanted => Err(Answer::WrongBytes {
                found,
                wanted: *wanted,
            }
            .into()),
            _ => Ok(()),
        }
    }
}

/// An upload that is open.
struct Session {
    uri: Uri,
    /// Is it known how much of it came through?
    is_known: bool,
}

fn unheard() -> Failure {
    Answer::Nonsense("it refuses a part, and takes it".to_owned()).into()
}

/// How many bytes the registry has, from `Range: 0-LAST`. Some say `0-0` of none: that is read so, a byte more is sent again.
fn offset(response: &Response<Answered>, size: u64) -> Result<Option<u64>, Failure> {
    let Some(range) = response.headers().get(header::RANGE) else {
        return Ok(None);
    };
    let text = range.to_str().unwrap_or_default();
    let last = text
        .trim_start_matches("bytes=")
        .strip_prefix("0-")
        .and_then(|last| last.parse::<u64>().ok());
    match last {
        Some(0) => Ok(Some(0)),
        Some(last) if last < size => Ok(Some(last + 1)),
        _ => Err(Answer::Nonsense(format!("it has the bytes `{text}` of {size}")).into()),
    }
}

/// Blobs of a push by what became of them, for people.
pub fn told(pushed: &Pushed) -> String {
    let counts = BTreeMap::from([
        ("sent", pushed.sent.len()),
        ("taken over", pushed.mounted.len()),
        ("there already", pushed.there.len()),
    ]);
    let parts: Vec<String> = counts
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    parts.join(", ")
}
