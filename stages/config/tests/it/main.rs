//! Projects as users write them.

#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod asking;
mod cases;
mod import;
mod projects;
mod rules;
