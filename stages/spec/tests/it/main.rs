//! What rpm and Keel make of the same SPECs, with the macros of this machine's rpm.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod generated;
mod overlays;
mod rpmspec;
