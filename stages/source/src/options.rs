//! What a run may do, and with whom it may talk. The command line fills it in; this crate reads no environment.

use std::{path::PathBuf, time::Duration};

use keel_artefact::Epoch;

use crate::debian::apt::Mirrors;

/// How files are fetched.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where Debian's archive may be had.
    pub mirrors: Mirrors,
    /// Where language registries are.
    pub registries: Registries,
    /// Certificates (PEM) that servers are checked against, instead of the built-in ones.
    pub certificates: Option<PathBuf>,
    /// A proxy for all requests (`http://HOST:PORT`).
    pub proxy: Option<String>,
    /// Nothing is asked over the network; what the store lacks is an error.
    pub offline: bool,
    /// Files that are in the store are read and held against their digests first.
    pub verify: bool,
    /// The time: what a snapshot of the future is, is not kept.
    pub now: Epoch,
    /// The layers of the root in which programs of the tree make files, the top one first; none: they are not run.
    pub tools: Vec<PathBuf>,
    /// How many files are fetched at once.
    pub jobs: usize,
    /// The lock that a [`refresh`](crate::refresh()) wrote: its files take the place of those that are gone.
    pub refreshed: Option<PathBuf>,
    /// How long and how much.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mirrors: Mirrors::default(),
            registries: Registries::default(),
            certificates: None,
            proxy: None,
            offline: false,
            verify: false,
            now: Epoch(0),
            tools: Vec::new(),
            jobs: 4,
            refreshed: None,
            limits: Limits::default(),
        }
    }
}

/// Bases of language registries; none where nobody said.
#[derive(Debug, Clone, Default)]
pub struct Registries {
    /// A sparse index of cargo (what `registries.NAME.index` says in cargo's configuration), with `https`.
    pub crates: Option<String>,
    /// A simple index of Python's packages that answers in JSON, with `https`.
    pub pypi: Option<String>,
    /// A server with npm's documents at `/NAME/VERSION`, with `https`.
    pub npm: Option<String>,
}

impl Registries {
    /// The languages' own.
    pub fn public() -> Self {
        Self {
            crates: Some("sparse+https://index.crates.io/".to_owned()),
            pypi: Some("https://pypi.org/simple".to_owned()),
            npm: Some("https://registry.npmjs.org".to_owned()),
        }
    }
}

/// How long and how much.
#[derive(Debug, Clone)]
pub struct Limits {
    /// For finding a host, and for connecting to it.
    pub connect: Duration,
    /// Without a byte.
    pub stall: Duration,
    /// For one file from one place, pauses and new tries included.
    pub total: Duration,
    /// Tries in which nothing new comes.
    pub tries: u32,
    /// Before the second try; doubled before each further one.
    pub pause: Duration,
    /// Of a file whose size is not pinned, in bytes.
    pub size: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            total: Duration::from_secs(3600),
            tries: 4,
            pause: Duration::from_secs(1),
            size: 4 << 30,
        }
    }
}

/// Whose word on Debian's archive is taken.
#[derive(Debug, Clone)]
pub struct Trust {
    /// Keyring files of the archive.
    pub keyrings: Vec<PathBuf>,
    /// The time at which keys and indexes must be valid.
    pub now: Epoch,
}
