//! Tests of the `keel` program as users run it, on the fixture distribution (`tests/fixture`).
//!
//! - `arrows`: dependencies between crates follow the flow.
//! - `base`: a tree that stands on another one and its repository.
//! - `broken_images`: whatever is wrong, an image is there as a whole or not at all, and nothing else is left.
//! - `components`: differences, sources, changes, history and licences of components.
//! - `config`: what `keel config` and `keel component list` say.
//! - `distro`: what Keel Linux says twice.
//! - `every_command`: what holds for all commands: `--quiet`, the keys of JSON.
//! - `errors`: where and how often errors are told, and in which form.
//! - `histories`: what histories count into Releases, and say in changelogs.
//! - `listed`: files that another distribution's `sources` lists.
//! - `made_sources`: files that programs of the tree make.
//! - `overlaid`: archives that overlays change.
//! - `names`: the rebuild counter, what is published already, two runs at once.
//! - `plan`: what would be built, and why.
//! - `sources`: newer versions of sources.
//! - `spec`: `keel spec` as people type it.
//! - `spec_messages`: what `keel spec` says of wrong SPECs.
//! - `registries`: containers of several architectures, and containers in registries.
//! - `render`: SPECs with their overlays, of this tree and of other distributions.
//! - `reproduce`: built twice.
//! - `shell`: into build roots.
//! - `rendered`: that rendered folders are what rendering gives.
//! - `served`: where a repository is served.
//! - `scheduling`: what runs when, what is tried again, what is told of it.
//! - `wrong_input`: every mistake a user can make: exit code and text.
//! - `whole_way`: from SPECs to a tested machine, and what real tools say of each result.
//! - `killed`: a build that is killed at any time goes on, and leaves nothing behind.
//!
//! They share one store (`KEEL_TEST_CACHE_DIR`, default in `target/tmp`), so that stage0 is made once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod arrows;
mod base;
mod broken_images;
mod components;
mod config;
mod converted;
mod distro;
mod errors;
mod every_command;
mod generated;
mod harness;
mod histories;
mod killed;
mod listed;
mod made_sources;
mod names;
mod overlaid;
mod packages;
mod plan;
mod registries;
mod render;
mod rendered;
mod reproduce;
mod scheduling;
mod scripted;
mod served;
mod shell;
mod sources;
mod spec;
mod spec_messages;
mod trusted;
mod whole_way;
mod wrong_input;
