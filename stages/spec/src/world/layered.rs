//! A SPEC's world with the macro files of an environment over it.

use std::io;

use super::SpecWorld;
use crate::{
    environment::Tree,
    macros::{Complaint, World},
};

/// Macro files as the environment has them, everything else as the surroundings have it.
pub struct Layered {
    /// What lies at `/usr/lib/rpm` and `/etc/rpm`.
    pub tree: Tree,
    /// The rest.
    pub rest: SpecWorld,
}

impl World for Layered {
    fn shell(&self, command: &[u8]) -> Result<Vec<u8>, String> {
        self.rest.shell(command)
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.rest.variable(name)
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        match self.tree.covers(path) {
            true => self.tree.read(path),
            false => self.rest.read(path),
        }
    }

    fn exists(&self, path: &str) -> bool {
        self.tree.exists(path) || self.rest.exists(path)
    }

    fn list(&self, path: &str) -> Vec<String> {
        match self.tree.covers(path) {
            true => self.tree.list(path),
            false => self.rest.list(path),
        }
    }

    fn complaints(&self) -> Vec<Complaint> {
        self.rest.complaints()
    }

    fn processors(&self) -> usize {
        self.rest.processors()
    }

    fn now(&self) -> i64 {
        self.rest.now()
    }

    fn is_interrupted(&self) -> bool {
        self.rest.is_interrupted()
    }
}
