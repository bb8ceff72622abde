//! Finding out what a file is to be pinned as: Debian's signed index, a registry's checksum, or a first look.

use std::collections::{BTreeMap, BTreeSet};

use keel_artefact::{Sha512, Sink};
use keel_config::Project;
use keel_store::Store;

use super::{Found, Todo, binary_package, listed::Listed};
use crate::{
    Answer, Asked, Error, Errors, Options, Origin, Trust,
    archive::{Archive, Listing},
    debian::index::{self, Package},
    download,
    fetch::Progress,
    http::Client,
    origin::{Ask, Vouched},
};

/// For each file, in the same order; all that cannot be found is told together.
pub(super) fn find_all(
    client: &Client<'_>,
    project: &Project,
    store: &Store,
    options: &Options,
    trust: &Trust,
    sink: &dyn Sink,
    todo: &[Todo<'_>],
) -> Result<Vec<Found>, Errors> {
    let archive = Archive::open(client, store, options, trust, sink)?;
    let listings = read_listings(&archive, todo)?;
    let (mut all, mut errors) = (Vec::new(), Vec::new());
    for todo in todo {
        let ask = Ask {
            client,
            options,
            root: &project.root,
            file_name: &todo.name,
        };
        match find(&ask, store, &archive, &listings, sink, todo) {
            Ok(found) => all.push(found),
            Err(error) => errors.push(error),
        }
    }
    Errors::check(all, errors)
}

/// Packages of all suites that are asked, by suite and listing: each index is read once.
type Listings = BTreeMap<(String, Listing), Vec<Package>>;

fn listing(binary: bool, todo: &Todo<'_>) -> Listing {
    match binary {
        true => Listing::Packages(todo.arch.debian()),
        false => Listing::Sources,
    }
}

/// Does the file need Debian's index: for its digest, or for its path?
fn needs_index(todo: &Todo<'_>, path: Option<&String>) -> bool {
    path.is_none() || todo.configured.is_none_or(|file| file.digest.is_none())
}

fn read_listings(archive: &Archive<'_>, todo: &[Todo<'_>]) -> Result<Listings, Errors> {
    let mut names: BTreeMap<(String, Listing), BTreeSet<&str>> = BTreeMap::new();
    for todo in todo {
        for origin in &todo.origins {
            if let keel_config::Origin::Debian {
                source,
                suite,
                path,
                binary,
            } = origin
                && needs_index(todo, path.as_ref())
            {
                let package = if *binary {
                    binary_package(&todo.name)
                } else {
                    source
                };
                names
                    .entry((suite.clone(), listing(*binary, todo)))
                    .or_default()
                    .insert(package);
            }
        }
    }
    let (mut listings, mut errors) = (Listings::new(), Vec::new());
    for ((suite, listing), names) in names {
        match archive.packages(&suite, &listing, &|name| names.contains(name)) {
            Ok(packages) => drop(listings.insert((suite, listing), packages)),
            Err(error) => errors.push(error),
        }
    }
    Errors::check(listings, errors)
}

/// What to pin a file as: by the configuration's digest, or by the first origin that knows one.
fn find(
    ask: &Ask<'_>,
    store: &Store,
    archive: &Archive<'_>,
    listings: &Listings,
    sink: &dyn Sink,
    todo: &Todo<'_>,
) -> Result<Found, Error> {
    let known = todo.configured.and_then(|file| file.sha256());
    let mut found = known.map(|digest| Found {
        name: todo.name.clone(),
        digest,
        origins: Vec::new(),
        how: "as configured".to_owned(),
    });
    let (mut asked, mut not_in_archive) = (Vec::new(), None);
    let mut origins = Vec::new();
    for origin in &todo.origins {
        let result = match origin {
            keel_config::Origin::Debian {
                source,
                suite,
                path,
                binary,
            } if needs_index(todo, path.as_ref()) => {
                find_in_archive(archive, listings, todo, (source, suite, *binary))
            }
            _ => find_elsewhere(ask, store, sink, origin, todo.listed.as_ref(), found.is_some()),
        };
        match result {
            Ok((new, one)) => {
                let is_other = match (&found, &one) {
                    (Some(known), Some(one)) => known.digest != one.digest,
                    _ => false,
                };
                if !is_other {
                    push_new(&mut origins, new);
                    found = found.or(one);
                }
            }
            Err(Problem::Asked(one)) => asked.push(*one),
            Err(Problem::Error(error)) if matches!(*error, Error::NotInArchive { .. }) => {
                not_in_archive = Some(error);
            }
            Err(Problem::Error(error)) => return Err(*error),
        }
    }
    match (found, not_in_archive) {
        (Some(mut found), _) if !origins.is_empty() => {
            found.origins = origins;
            Ok(found)
        }
        (_, Some(error)) if asked.is_empty() => Err(*error),
        _ => Err(Error::Unavailable {
            component: todo.component.clone(),
            name: todo.name.clone(),
            pinned: None,
            location: Some(Box::new(todo.location.clone())),
            asked,
        }),
    }
}

fn push_new(origins: &mut Vec<Origin>, new: Vec<Origin>) {
    for origin in new {
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
}

enum Problem {
    Asked(Box<Asked>),
    Error(Box<Error>),
}

impl<T: Into<Error>> From<T> for Problem {
    fn from(error: T) -> Self {
        Self::Error(Box::new(error.into()))
    }
}

fn find_in_archive(
    archive: &Archive<'_>,
    listings: &Listings,
    todo: &Todo<'_>,
    (source, suite, binary): (&str, &String, bool),
) -> Result<(Vec<Origin>, Option<Found>), Problem> {
    let name = if binary {
        binary_package(&todo.name)
    } else {
        source
    };
    let packages = listings
        .get(&(suite.clone(), listing(binary, todo)))
        .map_or(&[][..], Vec::as_slice);
    let packages: Vec<Package> = packages
        .iter()
        .filter(|package| package.name == name)
        .cloned()
        .collect();
    let Some((package, file)) = index::newest(&packages, &todo.name, None) else {
        return Err(Problem::from(Error::NotInArchive {
            component: todo.component.clone(),
            name: todo.name.clone(),
            package: name.to_owned(),
            suite: suite.clone(),
            location: Some(Box::new(todo.location.clone())),
            versions: packages.iter().map(|package| package.version.clone()).collect(),
        }));
    };
    let date = archive.date(&package.suite);
    let mut how = format!("the signed index of {} of {date}", package.suite);
    if file.name() != todo.name {
        how = format!(
            "{how}; `{}` is not in it any more, this is the newest of its series: set the SPEC's version to {}",
            todo.name,
            package.upstream()
        );
    }
    let found = Found {
        name: file.name().to_owned(),
        digest: file.digest,
        origins: Vec::new(),
        how,
    };
    Ok((index::origins(&packages, suite, file), Some(found)))
}

/// By a registry's checksum, or else by what the origin gives now; only the origin if the digest `is_known`.
fn find_elsewhere(
    ask: &Ask<'_>,
    store: &Store,
    sink: &dyn Sink,
    origin: &keel_config::Origin,
    listed: Option<&Listed>,
    is_known: bool,
) -> Result<(Vec<Origin>, Option<Found>), Problem> {
    let Some(origin) = Origin::from_config(origin, ask.root) else {
        let answer = Answer::NotMade;
        let (origin, place) = ("a program or an overlay of the tree".to_owned(), None);
        return Err(Problem::Asked(Box::new(Asked {
            origin,
            place,
            answer,
        })));
    };
    if is_known {
        return Ok((vec![origin], None));
    }
    let told = |place: Option<String>, answer| {
        let origin = origin.to_string();
        Problem::Asked(Box::new(Asked {
            origin,
            place,
            answer,
        }))
    };
    let found = |digest, how: &str| Found {
        name: ask.file_name.to_owned(),
        digest,
        origins: Vec::new(),
        how: how.to_owned(),
    };
    let mut vouched = None;
    match origin.source().indexed(ask) {
        Ok(Some(Vouched::Sha256(digest))) => {
            return Ok((vec![origin], Some(found(digest, "the registry's checksum"))));
        }
        Ok(Some(Vouched::Sha512(digest))) => vouched = Some(digest),
        Ok(None) => {}
        Err(failure) => return Err(told(None, failure.into_answer()?)),
    }
    let places = match origin.source().places(ask) {
        Ok(places) => places,
        Err(failure) => return Err(told(None, failure.into_answer()?)),
    };
    let id = format!("fetch:{}", ask.file_name);
    let progress = Progress::new(sink, &id);
    let mut last = None;
    for place in &places {
        match download::fetch_unpinned(ask.client, store, (ask.root, ask.file_name), place, &|done| {
            progress.tell(done)
        }) {
            Ok((digest, _)) if vouched.is_some() => {
                // Keel names bytes by SHA-256: they are held against what the registry says when they are here.
                let object = store.object(&digest)?;
                let sha512 = Sha512::of_file(&object).map_err(keel_store::Error::from)?;
                if vouched != Some(sha512) {
                    last = Some((place.to_string(), Answer::WrongBytes { found: digest }));
                    continue;
                }
                return Ok((vec![origin], Some(found(digest, "the registry's SHA-512"))));
            }
            Ok((digest, _)) => {
                let how = match listed {
                    Some(listed)
                        if !listed
                            .is_of(&store.object(&digest)?)
                            .map_err(keel_store::Error::from)? =>
                    {
                        last = Some((place.to_string(), Answer::WrongBytes { found: digest }));
                        continue;
                    }
                    Some(listed) => listed.how(),
                    None => "trusted on first use: nothing but this one download vouches for it".to_owned(),
                };
                return Ok((vec![origin], Some(found(digest, &how))));
            }
            Err(error) => last = Some((place.to_string(), error.into_answer()?)),
        }
    }
    let (place, answer) = last.map_or((None, Answer::NoMirror(String::new())), |(place, answer)| {
        (Some(place), answer)
    });
    Err(told(place, answer))
}
