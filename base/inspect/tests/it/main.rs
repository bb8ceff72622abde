//! The checks, on packages that this machine's rpmbuild made.
#![allow(clippy::unwrap_used)]

mod fixture;
mod objects;
mod reference;
mod registry;
mod repositories;
mod single;
mod versions;
