//! keel-repo against the real tools: rpmbuild makes the packages, createrepo_c, rpmkeys, gpg and dnf judge.
#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::print_stdout)]

mod clients;
mod create;
mod fixture;
mod metadata;
mod serve;
mod standing;
mod verify;
