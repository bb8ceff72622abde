//! What Lua can call: rpm's functions on macros, and the few looks at files that SPECs take.

use mlua::{
    AnyUserData, FromLuaMulti, Function, IntoLuaMulti, Lua, MetaMethod, MultiValue, Table, UserData,
    UserDataMethods, Value,
};

use crate::macros::{Behaviour, Engine, Failed, Severity, arguments, level, pattern, text, version};

/// How many variables a SPEC may set.
const MOST_VARIABLES: usize = 1_000;

/// Calls `work` with the engine that Lua was called from.
fn engine<R>(lua: &Lua, work: impl FnOnce(&mut Engine) -> R) -> mlua::Result<R> {
    let mut engine = lua
        .remove_app_data::<Engine>()
        .ok_or_else(|| mlua::Error::runtime("there is no macro engine here"))?;
    let result = work(&mut engine);
    lua.set_app_data(engine);
    Ok(result)
}

fn fail<T>(result: Result<T, Failed>, what: &str) -> mlua::Result<T> {
    result.map_err(|Failed| mlua::Error::runtime(what))
}

pub(super) type Text = mlua::LuaString;

fn decoded(text_: &Text) -> String {
    text::decode(&text_.as_bytes()).into_owned()
}

fn lua_text(lua: &Lua, value: &str) -> mlua::Result<Text> {
    lua.create_string(text::encode(value))
}

/// A function that fails as one of rpm's does: its errors begin with the place that it was called from.
pub(super) fn named<A, R>(
    lua: &Lua,
    name: &str,
    function: impl Fn(&Lua, A) -> mlua::Result<R> + mlua::MaybeSend + 'static,
) -> mlua::Result<Function>
where
    A: FromLuaMulti,
    R: IntoLuaMulti,
{
    let name = name.to_owned();
    lua.create_function(move |lua, given: MultiValue| {
        let kinds: Vec<&str> = given.iter().map(Value::type_name).collect();
        let result = match A::from_lua_args(given, 1, Some(&name), lua) {
            Ok(arguments) => function(lua, arguments),
            Err(mlua::Error::BadArgument { pos, cause, .. }) => {
                let wanted = match &*cause {
                    mlua::Error::FromLuaConversionError { to, .. } => to.to_lowercase(),
                    other => other.to_string(),
                };
                let got = kinds.get(pos - 1).copied().unwrap_or("no value");
                let what = format!("bad argument #{pos} to '{name}' ({wanted} expected, got {got})");
                Err(mlua::Error::runtime(what))
            }
            Err(other) => Err(other),
        };
        result.map_err(|error| match error {
            mlua::Error::RuntimeError(what) if !what.contains("\nstack traceback:") => {
                let place = lua.inspect_stack(1, |caller| {
                    let source = caller.source().short_src.unwrap_or_default().into_owned();
                    Some(format!("{source}:{}: ", caller.current_line()?))
                });
                mlua::Error::RuntimeError(place.flatten().unwrap_or_default() + &what)
            }
            other => other,
        })
    })
}

/// Puts into the globals what nearly every script uses.
pub(super) fn install(lua: &Lua) -> mlua::Result<()> {
    let globals = lua.globals();
    globals.set("print", lua.create_function(print)?)?;
    globals.set("rpm", rpm_table(lua)?)?;
    globals.set("macros", macros_table(lua)?)
}

/// What `load` is made of: a function out of a text, or why there is none.
pub(super) fn load(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(
        |lua, (chunk, name, environment): (Text, Option<Text>, Option<Table>)| {
            let name = name.as_ref().map_or_else(|| decoded(&chunk), decoded);
            match super::compiled::load(lua, &name, &chunk.as_bytes()) {
                Ok(function) => {
                    if let Some(environment) = environment {
                        function.set_environment(environment)?;
                    }
                    Ok((Value::Function(function), Value::Nil))
                }
                Err(error) => Ok((
                    Value::Nil,
                    Value::String(lua.create_string(super::message(&error))?),
                )),
            }
        },
    )
}

/// Fails for a list whose length is what a function says: no function of Lua that loops over it may be given one.
pub(super) fn check_list(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|_, list: Value| match list {
        Value::Table(list)
            if list
                .metatable()
                .is_some_and(|meta| meta.contains_key("__len").unwrap_or(true)) =>
        {
            Err(mlua::Error::runtime(
                "a list with `__len` is not allowed while a SPEC is read",
            ))
        }
        _ => Ok(()),
    })
}

/// What is caught is Lua's own text, not the error of the library that Lua comes with.
pub(super) fn words(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|lua, caught: Value| match caught {
        Value::Error(error) => lua_text(lua, &super::message(&error)).map(Value::String),
        other => Ok(other),
    })
}

/// Lua's `print`, which puts tabs between and no end of line after, as rpm's.
fn print(lua: &Lua, values: MultiValue) -> mlua::Result<()> {
    let line = joined(lua, values, b"\t")?;
    engine(lua, |engine| {
        let limit = engine.limits.text;
        let buffer = engine.lua.as_mut().and_then(|state| state.printed.last_mut());
        match buffer {
            Some(buffer) if buffer.len() + line.len() <= limit => {
                buffer.extend_from_slice(&line);
                Ok(())
            }
            Some(_) => Err(mlua::Error::runtime("the script prints too much")),
            None => Ok(()),
        }
    })?
}

/// Lua's `io.write`, which rpm's standard output gets, not the expansion.
fn write(lua: &Lua, values: MultiValue) -> mlua::Result<()> {
    let text = text::decode(&joined(lua, values, b"")?).into_owned();
    engine(lua, |engine| {
        if engine.pay(text.len()) {
            engine.say(Severity::Output, text);
        }
    })
}

fn joined(lua: &Lua, values: MultiValue, between: &[u8]) -> mlua::Result<Vec<u8>> {
    let tostring: Function = lua.globals().get("tostring")?;
    let limit = engine(lua, |engine| engine.limits.lua_memory)?;
    let mut line = Vec::new();
    for (index, value) in values.into_iter().enumerate() {
        if index > 0 {
            line.extend_from_slice(between);
        }
        match value {
            Value::String(text) => line.extend_from_slice(&text.as_bytes()),
            other => line.extend_from_slice(&tostring.call::<Text>(other)?.as_bytes()),
        }
        if line.len() > limit {
            return Err(mlua::Error::runtime("the script prints too much"));
        }
    }
    Ok(line)
}

fn rpm_table(lua: &Lua) -> mlua::Result<Table> {
    let rpm = lua.create_table()?;
    let add = |name: &str, function: mlua::Function| rpm.set(name, function);
    add(
        "expand",
        named(lua, "expand", |lua, source: Text| {
            let expanded = engine(lua, |engine| engine.expand(&decoded(&source)))?;
            lua_text(lua, &fail(expanded, "error expanding macro")?)
        })?,
    )?;
    add(
        "define",
        named(lua, "define", |lua, source: Text| {
            let made = engine(lua, |engine| engine.define(&decoded(&source), level::GLOBAL))?;
            fail(made, "error defining macro")
        })?,
    )?;
    add(
        "undefine",
        named(lua, "undefine", |lua, name: Text| {
            let taken = engine(lua, |engine| engine.undefine(&decoded(&name)))?;
            fail(taken, "error undefining macro")
        })?,
    )?;
    add(
        "isdefined",
        named(lua, "isdefined", |lua, name: Text| {
            engine(lua, |engine| {
                let found = engine.table.get(&decoded(&name));
                (found.is_some(), found.is_some_and(|found| found.is_parametric()))
            })
        })?,
    )?;
    add(
        "load",
        named(lua, "load", |lua, path: Text| {
            let loaded = engine(lua, |engine| engine.load(&decoded(&path)))?;
            Ok(if loaded.is_ok() { 0.0 } else { -1.0 })
        })?,
    )?;
    add(
        "vercmp",
        named(lua, "vercmp", |lua, (one, other): (Text, Text)| {
            let (one, other) = (decoded(&one), decoded(&other));
            let behaviour = engine(lua, |engine| engine.behaviour)?;
            let ordering = match behaviour {
                Behaviour::Rpm418 => keel_artefact::nevra::rpmvercmp(&one, &other),
                _ => version::compare_versions(&one, &other),
            };
            Ok(ordering as i64)
        })?,
    )?;
    add(
        "splitargs",
        named(lua, "splitargs", |lua, source: Text| {
            let words = arguments::split(&decoded(&source), &[' ', '\t']);
            let words: Result<Vec<_>, _> = words.iter().map(|word| lua_text(lua, word)).collect();
            lua.create_sequence_from(words?)
        })?,
    )?;
    add(
        "unsplitargs",
        named(lua, "unsplitargs", |lua, words: Vec<Text>| {
            let words: Vec<String> = words.iter().map(decoded).collect();
            lua_text(lua, &arguments::quote(&words, " "))
        })?,
    )?;
    add("ver", named(lua, "ver", new_version)?)?;
    Ok(rpm)
}

/// `macros.name`: its expansion, or a function if it takes arguments; `macros.name = …` defines it.
fn macros_table(lua: &Lua) -> mlua::Result<Table> {
    let meta = lua.create_table()?;
    let index = named(lua, "index", |lua, (_, name): (Value, Text)| {
        let name = decoded(&name);
        let parametric = engine(lua, |engine| {
            engine.table.get(&name).map(|found| found.is_parametric())
        })?;
        match parametric {
            None => Ok(Value::Nil),
            Some(false) => {
                let expanded = engine(lua, |engine| engine.expand(&format!("%{{{name}}}")))?;
                lua_text(lua, &fail(expanded, "error expanding macro")?).map(Value::String)
            }
            Some(true) => {
                let called = name.clone();
                let call = move |lua: &Lua, arguments: MultiValue| call_macro(lua, &name, arguments);
                named(lua, &called, call).map(Value::Function)
            }
        }
    })?;
    let new_index = named(
        lua,
        "newindex",
        |lua, (_, name, body): (Value, Text, Option<Text>)| {
            let name = decoded(&name);
            match body {
                None => {
                    let taken = engine(lua, |engine| engine.undefine(&name))?;
                    fail(taken, &format!("error undefining macro {name}"))
                }
                Some(body) => {
                    let definition = format!("{name} {}", decoded(&body));
                    let made = engine(lua, |engine| engine.define(&definition, level::GLOBAL))?;
                    fail(made, &format!("error defining macro {name}"))
                }
            }
        },
    )?;
    meta.set("__index", index)?;
    meta.set("__newindex", new_index)?;
    let macros = lua.create_table()?;
    macros.set_metatable(Some(meta))?;
    Ok(macros)
}

/// A call as in `macros.name("a b")`, which is split, or `macros.name({"a", "b"})`, which is not.
fn call_macro(lua: &Lua, name: &str, arguments: MultiValue) -> mlua::Result<Text> {
    if arguments.len() > 1 {
        return Err(mlua::Error::runtime("too many arguments"));
    }
    let expanded = match arguments.into_iter().next() {
        Some(Value::Table(words)) => {
            let mut given = Vec::new();
            for index in 1..=words.raw_len() {
                match words.raw_get::<Option<Text>>(index) {
                    Ok(Some(word)) => given.push(decoded(&word)),
                    _ => {
                        let what = format!("bad argument #{index} to '{name}' (cannot convert to string)");
                        return Err(mlua::Error::runtime(what));
                    }
                }
            }
            engine(lua, |engine| engine.expand_one(name, given))?
        }
        Some(value @ (Value::String(_) | Value::Integer(_) | Value::Number(_))) => {
            let text = lua
                .coerce_string(value)?
                .map_or_else(String::new, |text| decoded(&text));
            engine(lua, |engine| engine.expand(&format!("%{{{name} {text}}}")))?
        }
        _ => {
            let what = format!("bad argument #1 to '{name}' (string or table expected)");
            return Err(mlua::Error::runtime(what));
        }
    };
    lua_text(lua, &fail(expanded, "error expanding macro")?)
}

/// What `world.lua` makes `io`, `os` and `posix` of.
pub(super) fn world_table(lua: &Lua) -> mlua::Result<Table> {
    let world = lua.create_table()?;
    world.set(
        "read",
        lua.create_function(|lua, path: Text| {
            let read = engine(lua, |engine| engine.world().clone().read(&decoded(&path)))?;
            match read {
                Ok(bytes) => Ok((Some(lua.create_string(bytes)?), None)),
                Err(error) => Ok((None, Some(error_text(&error)))),
            }
        })?,
    )?;
    world.set(
        "exists",
        lua.create_function(|lua, path: Text| engine(lua, |engine| engine.world().exists(&decoded(&path))))?,
    )?;
    world.set(
        "list",
        lua.create_function(|lua, path: Text| engine(lua, |engine| engine.world().list(&decoded(&path))))?,
    )?;
    world.set(
        "variable",
        lua.create_function(|lua, name: Text| engine(lua, |engine| engine.variable(&decoded(&name))))?,
    )?;
    world.set(
        "set_variable",
        lua.create_function(|lua, (name, value): (Text, Option<Text>)| {
            let (name, value) = (decoded(&name), value.as_ref().map(decoded));
            let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            let is_legal =
                !name.is_empty() && !name.as_bytes()[0].is_ascii_digit() && name.bytes().all(legal);
            engine(lua, |engine| {
                let bytes = name.len() + value.as_ref().map_or(0, String::len);
                let has_room =
                    engine.variables.len() < MOST_VARIABLES || engine.variables.contains_key(&name);
                let has_room = has_room && engine.pay(bytes);
                if is_legal && has_room {
                    engine.variables.insert(name, value);
                }
                is_legal && has_room
            })
        })?,
    )?;
    world.set("write", lua.create_function(write)?)?;
    world.set("null", Value::NULL)?;
    world.set(
        "glob",
        lua.create_function(|lua, pattern: Text| {
            let found = engine(lua, |engine| pattern::glob(&**engine.world(), &decoded(&pattern)))?;
            let found: Result<Vec<_>, _> = found.iter().map(|path| lua_text(lua, path)).collect();
            lua.create_sequence_from(found?)
        })?,
    )?;
    world.set(
        "now",
        lua.create_function(|lua, ()| engine(lua, |engine| engine.world().now()))?,
    )?;
    world.set(
        "shell",
        lua.create_function(|lua, command: Text| {
            let ran = engine(lua, |engine| {
                let first = engine.shell_variables().into_bytes();
                let command = [&first, &*command.as_bytes()].concat();
                let said = engine.world().clone().shell(&command);
                engine.hear_complaints();
                said
            })?;
            lua.create_string(ran.map_err(mlua::Error::runtime)?)
        })?,
    )?;
    Ok(world)
}

/// The error as C's `strerror` says it.
fn error_text(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "No such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "Permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// `rpm.ver`: a version that can be compared.
struct Version(String);

fn new_version(_: &Lua, arguments: MultiValue) -> mlua::Result<Option<Version>> {
    let words: Vec<Option<String>> = arguments
        .iter()
        .map(|value| match value {
            Value::String(text) => Some(decoded(text)),
            Value::Integer(number) => Some(number.to_string()),
            _ => None,
        })
        .collect();
    let text = match words.as_slice() {
        [Some(text)] => text.clone(),
        [epoch, Some(version), release] => {
            let epoch = epoch.as_ref().map_or(String::new(), |epoch| format!("{epoch}:"));
            let release = release
                .as_ref()
                .map_or(String::new(), |release| format!("-{release}"));
            format!("{epoch}{version}{release}")
        }
        _ => {
            let what = format!("invalid number of arguments: {}", words.len());
            return Err(mlua::Error::runtime(what));
        }
    };
    Ok(version::split_version(&text).is_some().then_some(Version(text)))
}

impl UserData for Version {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Index, |_, this, key: String| {
            let (_, version, release) = version::split_version(&this.0).unwrap_or((0, "", None));
            match key.as_str() {
                "e" => Ok(this.0.split_once(':').map(|(epoch, _)| epoch.to_owned())),
                "v" => Ok(Some(version.to_owned())),
                "r" => Ok(release.map(str::to_owned)),
                _ => Err(mlua::Error::runtime(format!("invalid attribute: {key}"))),
            }
        });
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| Ok(this.0.clone()));
        let compare = |this: &Self, other: &AnyUserData| -> mlua::Result<std::cmp::Ordering> {
            let other = other.borrow::<Self>()?;
            Ok(version::compare_versions(&this.0, &other.0))
        };
        methods.add_meta_method(MetaMethod::Eq, move |_, this, other: AnyUserData| {
            Ok(compare(this, &other)?.is_eq())
        });
        methods.add_meta_method(MetaMethod::Lt, move |_, this, other: AnyUserData| {
            Ok(compare(this, &other)?.is_lt())
        });
        methods.add_meta_method(MetaMethod::Le, move |_, this, other: AnyUserData| {
            Ok(compare(this, &other)?.is_le())
        });
    }
}
