//! Images of small packages made by rpmbuild, judged by the programs that will read them.
//!
//! Needs: apt-get install --no-install-recommends rpm skopeo umoci erofs-utils squashfs-tools xorriso dosfstools mtools gdisk fdisk
//! qemu-utils binutils cpio gpg util-linux e2fsprogs libarchive-tools zstd docker-registry. A tool that is missing is a failure, not a skip.

#![allow(clippy::unwrap_used)] // tests

mod archives;
mod container;
mod convert;
mod customised;
mod disk;
mod documents;
mod fake;
mod fixture;
mod inspect;
mod labels;
mod left_out;
mod live;
mod look;
mod refusals;
mod registry;
