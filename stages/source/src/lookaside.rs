//! Source files as other distributions keep them: beside the repository of a SPEC, by the digests that its `sources` lists.
//!
//! A file is had from where the configuration or the lock pins it, or else from the distribution's lookaside, whose address
//! is a template (`lookaside-base-uri`). Its SHA-512 is checked before it becomes an object; the store remembers which it was.

use std::{collections::BTreeSet, path::PathBuf};

use keel_artefact::{Fingerprint, Interrupt, Sha256, Sha512, Sink};
use keel_config::{Component, Project, Spec};
use keel_spec::render::sources_file::{self, Listed};
use keel_store::Store;
use serde::{Deserialize, Serialize};

use crate::{
    Asked, Error, Errors, Kind, Lock, Options, Origin, PinnedFile, download,
    fetch::{fetch_pins, in_parallel, is_here, object_size},
    http::{Client, with_client},
    origin::{Ask, File, Https},
    wanted::{self, Locks, Pin},
};

/// The kind of action under which the store remembers which object has a SHA-512.
const KNOWN: &str = "sha512";

#[derive(Serialize, Deserialize)]
struct Known {
    digest: Sha256,
}

/// A file that is only known by its SHA-512.
struct By512 {
    name: String,
    digest: Sha512,
    origins: Vec<Origin>,
}

/// Brings files of a component into the store, by their names: what a folder lacks to be a source package's. `listed` is the
/// text of the pristine `sources`.
///
/// All that is wrong is told together; what was fetched before an error stays.
pub fn files(
    project: &Project,
    component: &Component,
    names: &BTreeSet<String>,
    listed: &str,
    (store, options): (&Store, &Options),
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<Vec<PinnedFile>, Errors> {
    let listed = sources_file::listed(listed).map_err(|source| Error::Listed {
        component: component.name.clone(),
        source,
    })?;
    let locks = Locks {
        project: Lock::read(&project.lock_file)?,
        refreshed: Lock::default(),
    };
    let (mut pins, mut others, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        match wanted(project, component, name, &listed, &locks) {
            Ok(One::Pin(pin)) => pins.push(pin),
            Ok(One::By512(other)) => others.push(other),
            Err(error) => errors.push(error),
        }
    }
    Errors::check((), errors)?;
    let failures = fetch_pins(&project.root, &pins, store, options, sink, interrupt)?;
    let mut errors: Vec<Error> = failures.into_iter().map(|(_, error)| error).collect();
    let mut files = Vec::new();
    for pin in pins.into_iter().filter(|_| errors.is_empty()) {
        files.push(file(store, pin.name, pin.digest)?);
    }
    let found = with_client(options, interrupt, |client| {
        in_parallel(options.jobs, &others, |other| {
            by_sha512(client, project, component, other, store)
        })
    })
    .map_err(Error::from)?;
    for (other, found) in others.into_iter().zip(found) {
        match found {
            Ok(digest) => files.push(file(store, other.name, digest)?),
            Err(error) => errors.push(error),
        }
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Errors::check(files, errors)
}

fn file(store: &Store, name: String, digest: Sha256) -> Result<PinnedFile, Error> {
    Ok(PinnedFile {
        name,
        digest,
        size: object_size(store, &digest)?,
        kind: Kind::Fetched,
        locked: true,
        origin: None,
        overlaid: None,
    })
}

enum One {
    Pin(Pin),
    By512(By512),
}

/// By configuration or lock, or else by `sources`.
fn wanted(
    project: &Project,
    component: &Component,
    name: &str,
    listed: &[Listed<'_>],
    locks: &Locks,
) -> Result<One, Error> {
    wanted::check_file_name(name).map_err(|source| Error::FileName {
        component: component.name.clone(),
        location: Box::new(component.defined_at.clone()),
        source,
    })?;
    let configured = wanted::configured(project, &component.name).find(|file| file.filename == name);
    let servers = Servers::of(project, component);
    if configured.is_some() || !listed.iter().any(|line| line.file == name) {
        if let Some(mut pin) = wanted::pin(project, &component.name, name, locks)? {
            servers.add(&mut pin.origins, name, "sha256", &pin.digest.to_hex());
            return Ok(One::Pin(pin));
        }
        if let Some((file, digest)) = configured.and_then(|file| Some((file, wanted::sha512(file)?))) {
            let from_config = |origin| Origin::from_config(origin, &project.root);
            let mut origins = file.origins.iter().filter_map(from_config).collect();
            servers.add(&mut origins, name, "sha512", &digest.to_string());
            let name = name.to_owned();
            return Ok(One::By512(By512 {
                name,
                digest,
                origins,
            }));
        }
    }
    let Some(line) = listed.iter().find(|line| line.file == name) else {
        return Err(Error::Unpinned {
            component: component.name.clone(),
            name: name.to_owned(),
            location: Box::new(component.defined_at.clone()),
            excerpt: None,
            near: None,
        });
    };
    let hash = line.hash.to_ascii_lowercase();
    if !matches!(line.algorithm, "SHA512" | "SHA256") {
        // The lock may know it by more than that.
        let mut pin = wanted::pin(project, &component.name, name, locks)?.ok_or_else(|| Error::Weak {
            component: component.name.clone(),
            name: name.to_owned(),
            algorithm: line.algorithm.to_owned(),
        })?;
        servers.add(
            &mut pin.origins,
            name,
            &line.algorithm.to_ascii_lowercase(),
            &hash,
        );
        return Ok(One::Pin(pin));
    }
    let mut origins = Vec::new();
    servers.add(&mut origins, name, &line.algorithm.to_ascii_lowercase(), &hash);
    if origins.is_empty() {
        return Err(Error::NoLookaside {
            component: component.name.clone(),
            name: name.to_owned(),
            distro: servers.distro,
        });
    }
    let name = name.to_owned();
    match (line.algorithm, hash.parse(), hash.parse()) {
        ("SHA512", Ok(digest), _) => Ok(One::By512(By512 {
            name,
            digest,
            origins,
        })),
        ("SHA256", _, Ok(digest)) => Ok(One::Pin(Pin {
            component: component.name.clone(),
            name,
            digest,
            size: None,
            origins,
            locked: true,
            series: None,
            location: None,
        })),
        _ => Err(Error::Weak {
            component: component.name.clone(),
            name,
            algorithm: line.algorithm.to_owned(),
        }),
    }
}

/// Where the distribution of a component's SPEC keeps source files.
struct Servers {
    distro: String,
    package: String,
    template: Option<String>,
    /// Nobody else is to be asked.
    only: bool,
}

impl Servers {
    fn of(project: &Project, component: &Component) -> Self {
        let named = match &component.spec {
            Some(Spec::Upstream(upstream)) => upstream.distro.as_ref(),
            _ => None,
        };
        let name = named.unwrap_or(&project.name);
        let distro = project.distros.get(name);
        let template = distro.and_then(|distro| distro.lookaside_base_uri.clone());
        Self {
            distro: name.clone(),
            package: component.upstream_name().to_owned(),
            only: template.is_some() && distro.is_some_and(|distro| distro.disable_origins),
            template,
        }
    }

    /// Adds the lookaside to those that are asked, or puts it in their place.
    fn add(&self, origins: &mut Vec<Origin>, name: &str, algorithm: &str, hash: &str) {
        if self.only {
            origins.clear();
        }
        if let Some(template) = &self.template {
            origins.push(address(template, &self.package, name, algorithm, hash));
        }
    }
}

/// Where the distribution of a component's SPEC keeps a file of that name, algorithm and digest (both in small letters), and
/// whether it is the only one to be asked.
pub(crate) fn kept_at(
    project: &Project,
    component: &Component,
    (name, algorithm, hash): (&str, &str, &str),
) -> (Option<keel_config::Origin>, bool) {
    let servers = Servers::of(project, component);
    let origin = servers.template.as_deref().map(|template| {
        match address(template, &servers.package, name, algorithm, hash) {
            Origin::File(File { path }) => keel_config::Origin::File { path },
            origin => keel_config::Origin::Https {
                url: origin.to_string(),
            },
        }
    });
    (origin, servers.only)
}

fn address(template: &str, package: &str, name: &str, algorithm: &str, hash: &str) -> Origin {
    // What is put in is not looked at again: a file may be called `$hash`.
    let mut address = String::new();
    let is_local = template.starts_with("file:///");
    let mut rest = template;
    let values = [
        ("$filename", name),
        ("$hashtype", algorithm),
        ("$hash", hash),
        ("$pkg", package),
    ];
    while let Some(at) = rest.find('$') {
        address.push_str(&rest[..at]);
        rest = &rest[at..];
        match values.iter().find(|(variable, _)| rest.starts_with(variable)) {
            Some((variable, value)) if is_local => {
                address.push_str(value);
                rest = &rest[variable.len()..];
            }
            Some((variable, value)) => {
                address.push_str(&escaped(value));
                rest = &rest[variable.len()..];
            }
            None => {
                address.push('$');
                rest = &rest[1..];
            }
        }
    }
    address.push_str(rest);
    match address.strip_prefix("file://") {
        Some(path) if is_local => Origin::File(File {
            path: PathBuf::from(path),
        }),
        _ => Origin::Https(Https { url: address }),
    }
}

/// With escapes for all that has no place in a path's part (RFC 3986, 3.3).
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => out.push(char::from(byte)),
            b'-' | b'.' | b'_' | b'~' | b'+' | b'!' | b'=' | b',' | b'@' | b':' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// From the first of its origins, and the first of their places, that gives bytes of that digest.
fn by_sha512(
    client: &Client<'_>,
    project: &Project,
    component: &Component,
    wanted: &By512,
    store: &Store,
) -> Result<Sha256, Error> {
    let key = Fingerprint::new("sha512/1")
        .add("sha512", wanted.digest.to_string())
        .finish();
    if let Some(Known { digest }) = store.action::<Known>(KNOWN, &key)? {
        let pin = Pin {
            component: component.name.clone(),
            name: wanted.name.clone(),
            digest,
            size: None,
            origins: Vec::new(),
            locked: true,
            series: None,
            location: None,
        };
        if is_here(store, &pin)? {
            return Ok(digest);
        }
    }
    let ask = Ask {
        client,
        options: client.options,
        root: &project.root,
        file_name: &wanted.name,
    };
    let mut asked = Vec::new();
    for origin in &wanted.origins {
        let told = |place: Option<String>, answer| Asked {
            origin: origin.to_string(),
            place,
            answer,
        };
        let places = match origin.source().places(&ask) {
            Ok(places) => places,
            Err(failure) => {
                asked.push(told(None, failure.into_answer()?));
                continue;
            }
        };
        for place in places {
            match download::fetch_by_sha512(client, store, (ask.root, ask.file_name), &place, &wanted.digest)
            {
                Ok(digest) => {
                    store.record(KNOWN, &key, &Known { digest })?;
                    return Ok(digest);
                }
                Err(error) => asked.push(told(Some(place.to_string()), error.into_answer()?)),
            }
        }
    }
    Err(Error::Unavailable {
        component: component.name.clone(),
        name: wanted.name.clone(),
        pinned: None,
        location: Some(Box::new(component.defined_at.clone())),
        asked,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_the_templates() {
        let fedora = "https://src.example.org/lookaside/$pkg/$filename/$hashtype/$hash/$filename";
        for (template, name, wanted) in [
            (
                fedora,
                "a+1~b.tar",
                "https://src.example.org/lookaside/p/a+1~b.tar/sha512/00/a+1~b.tar",
            ),
            (
                fedora,
                "$hash?#/..",
                "https://src.example.org/lookaside/p/%24hash%3F%23%2F../sha512/00/%24hash%3F%23%2F..",
            ),
            ("https://x.org/$pkgs/$", "a", "https://x.org/ps/$"),
            ("file:///srv/$hash", "a", "file:/srv/00"),
        ] {
            let origin = address(template, "p", name, "sha512", "00").to_string();
            assert_eq!(origin.replace("https:https:", "https:"), wanted, "{template}");
        }
    }
}
