//! keel-rpm against the real tools: rpmbuild makes the packages, rpm, rpmkeys, gpg, cpio and readelf judge.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod elf;
mod fixture;
mod hostile;
mod read;
mod sign;
mod unpack;
