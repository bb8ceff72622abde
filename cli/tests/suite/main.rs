//! Tests of the `keel` program as users run it, on the fixture distribution (`tests/fixture`).
//!
//! - `arrows`: dependencies between crates follow the flow.
//! - `components`: differences, sources, changes, history and licences of components.
//! - `config`: what `keel config` and `keel component list` say.
//! - `distro`: what Keel Linux says twice.
//! - `made_sources`: files that programs of the tree make.
//! - `sources`: newer versions of sources.
//! - `spec`: `keel spec` as people type it.
//! - `spec_messages`: what `keel spec` says of wrong SPECs.
//! - `render`: SPECs with their overlays, of this tree and of other distributions.
//! - `wrong_input`: every mistake a user can make: exit code and text.
//! - `whole_way`: from SPECs to a tested machine, and what real tools say of each result.
//! - `killed`: a build that is killed at any time goes on, and leaves nothing behind.
//!
//! They share one store (`KEEL_TEST_CACHE_DIR`, default in `target/tmp`), so that stage0 is made once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod arrows;
mod components;
mod config;
mod distro;
mod harness;
mod killed;
mod made_sources;
mod packages;
mod render;
mod sources;
mod spec;
mod spec_messages;
mod whole_way;
mod wrong_input;
