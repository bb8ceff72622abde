//! Containers to and from registries.
//!
//! Protocol: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md> 1.1 and, for tokens,
//! <https://distribution.github.io/distribution/spec/auth/token/>.
//!
//! 1. [`reference`](mod@reference): which image, where.
//! 2. [`login`]: who asks.
//! 3. `client`: requests, with what proves it; new tries after what may pass.
//! 4. [`push`]: what the registry lacks, and then the manifest. [`pull`]: the manifest, and then what it names.
//!
//! Invariants: everything that comes from a registry is checked against the digest that names it before anybody else sees it, and
//! has a bound; nothing that it says becomes a path. Passwords and tokens go to the registry and to the token server that it
//! names, over TLS, and nowhere else: not to where it redirects to. Without TLS only a registry on this machine is asked.
//!
//! Never: reads the environment, or a login of another registry.

mod client;
mod error;
pub mod login;
pub mod pull;
pub mod push;
pub mod reference;
mod words;

use std::{path::PathBuf, time::Duration};

pub use error::{Answer, Error};
pub use login::Login;
pub use reference::Reference;

/// How a registry is asked.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Files of certificates (PEM) that servers are checked against; the built-in ones if there is none.
    pub certificates: Vec<PathBuf>,
    /// Who asks; none: nobody in particular.
    pub login: Option<Login>,
    /// Without TLS; refused where the registry is not on this machine.
    pub insecure_http: bool,
    /// A proxy for all requests (`http://HOST:PORT`).
    pub proxy: Option<String>,
    /// How long and how much.
    pub limits: Limits,
}

/// How long and how much.
#[derive(Debug, Clone)]
pub struct Limits {
    /// For finding a host, and for connecting to it.
    pub connect: Duration,
    /// Without a byte.
    pub stall: Duration,
    /// Tries in which nothing new gets through.
    pub tries: u32,
    /// Before the second try; doubled before each further one. A registry may ask for more, up to a minute.
    pub pause: Duration,
    /// Bytes of one part of an upload: what is sent again, at most, after a broken connection.
    pub chunk: u64,
    /// Of one blob that is pulled, in bytes.
    pub blob: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            stall: Duration::from_secs(60),
            tries: 4,
            pause: Duration::from_secs(1),
            chunk: 16 << 20,
            blob: 32 << 30,
        }
    }
}
