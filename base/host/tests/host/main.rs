//! Real programs, really run: stage0 and what is in it, and QEMU of this machine.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // tests

mod disorderfs;
mod erofs;
mod ext4;
mod media;
mod qemu;
mod stage0;
