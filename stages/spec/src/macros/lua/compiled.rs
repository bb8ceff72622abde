//! Scripts, compiled once for all SPECs of a run: macro files have the same ones again and again.
//!
//! What is loaded in binary form was compiled here, from text, by the same Lua; a SPEC's own binary never is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use mlua::{Function, Lua, chunk::ChunkMode};

/// How many scripts are kept.
const MOST: usize = 4096;
/// The longest that is, in bytes.
const LONGEST: usize = 256 << 10;

/// A script's name and text.
type Key = (Box<str>, Box<[u8]>);

fn cache() -> &'static Mutex<HashMap<Key, Arc<[u8]>>> {
    static CACHE: OnceLock<Mutex<HashMap<Key, Arc<[u8]>>>> = OnceLock::new();
    CACHE.get_or_init(Mutex::default)
}

/// A function out of a script; `name` is what errors call it, as Lua takes it.
pub(super) fn load(lua: &Lua, name: &str, text: &[u8]) -> mlua::Result<Function> {
    let key: Key = (name.into(), text.into());
    let known = || cache().lock().unwrap_or_else(PoisonError::into_inner);
    let found = known().get(&key).cloned();
    if let Some(binary) = found {
        let chunk = lua.load(&*binary).set_name(name).set_mode(ChunkMode::Binary);
        return chunk.into_function();
    }
    let chunk = lua.load(text).set_name(name).set_mode(ChunkMode::Text);
    let function = chunk.into_function()?;
    if text.len() <= LONGEST {
        let binary = function.dump(false);
        let mut known = known();
        if known.len() < MOST {
            known.insert(key, binary.into());
        }
    }
    Ok(function)
}
