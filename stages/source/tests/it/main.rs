//! Tests of the source stage against servers of their own, with every failure that a network has.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod archive;
mod fetching;
mod fixture;
mod local;
mod locking;
mod refreshing;
mod registries;
mod server;
mod signatures;
mod transfers;
mod updating;
mod upstream;
