//! A world in which nothing is.

use std::{io, sync::Arc, time::Duration};

use keel_spec::macros::{Behaviour, Engine, Limits, World};

struct Nothing;

impl World for Nothing {
    fn shell(&self, command: &[u8]) -> Result<Vec<u8>, String> {
        Ok(command.to_vec())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        match path {
            "/a" => Ok(b"%a %b\n%b(x:) {%1 %{-x*}}\n".to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn exists(&self, path: &str) -> bool {
        path == "/a"
    }

    fn list(&self, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn processors(&self) -> usize {
        1
    }

    fn now(&self) -> i64 {
        0
    }
}

/// An engine of the rpm that the first byte chooses, within small limits.
pub fn engine(choice: u8) -> Engine {
    let behaviour = match choice % 3 {
        0 => Behaviour::Rpm418,
        1 => Behaviour::Rpm420,
        _ => Behaviour::Rpm6,
    };
    let limits = Limits {
        time: Duration::from_secs(1),
        text: 16 << 20,
        lua_memory: 16 << 20,
    };
    let mut engine = Engine::new(Engine::builtins(behaviour), behaviour, Arc::new(Nothing), limits);
    for definition in ["_target_cpu x86_64", "_target_os linux", "buildroot /b", "_sourcedir /s", "_builddir /b"] {
        let _ = engine.define(definition, keel_spec::macros::level::MACROFILES);
    }
    engine
}
