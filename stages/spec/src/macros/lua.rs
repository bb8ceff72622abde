//! The Lua of `%{lua:…}`: one state for an evaluation, with rpm's tables, without a way out.
//!
//! What a SPEC's Lua may call is rpm's `rpm`, `macros` and what reads of `posix`, `io` and `os`; all of it answers from
//! the engine and its [`World`](super::World). `safety.lua` and `world.lua` are the parts that are easier said in Lua.
//!
//! While Lua runs, the engine lies in the state's own data, where the functions that rpm offers find it.

mod compiled;
mod functions;
mod matching;
mod strings;

use std::{cell::Cell, rc::Rc, sync::Arc};

use mlua::{
    Function, HookTriggers, Lua, LuaOptions, LuaString, MultiValue, StdLib, Table, Value as LuaValue, VmState,
};

use crate::eval::{Source, SourceKind};

use super::{Engine, Failed, Severity, arguments, expand::Frame, expression::Value, table::Definition, text};

/// What a script is told that is stopped.
const TOO_LONG: &str = "the script takes too long";
/// How many instructions Lua runs between two looks at the clock.
const SLICE: u32 = 500;

/// A Lua state, and what its scripts print.
pub(super) struct State {
    lua: Lua,
    /// One buffer for each script that is being run.
    printed: Vec<Vec<u8>>,
    deadline: strings::Deadline,
    /// How many of the SPEC's sources the tables `sources` and `patches` have.
    sources: usize,
}

impl State {
    fn new(engine: &Engine) -> mlua::Result<Self> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::UTF8 | StdLib::MATH;
        let lua = Lua::new_with(libraries, LuaOptions::new().catch_rust_panics(true))?;
        lua.set_memory_limit(engine.limits.lua_memory)?;
        let deadline = Rc::new(strings::Clock {
            end: Cell::new(engine.deadline),
            made: Cell::default(),
            world: engine.world.clone(),
        });
        let clock = deadline.clone();
        lua.set_global_hook(HookTriggers::new().every_nth_instruction(SLICE), move |_, _| {
            match strings::is_late(&clock) {
                true => Err(mlua::Error::runtime(TOO_LONG)),
                false => Ok(VmState::Continue),
            }
        })?;
        strings::install(&lua, &deadline, engine.limits.lua_memory)?;
        functions::install(&lua)?;
        let clock = deadline.clone();
        let check_time = lua.create_function(move |_, ()| match strings::is_late(&clock) {
            true => Err(mlua::Error::runtime(TOO_LONG)),
            false => Ok(()),
        })?;
        let more = lua.create_function(|lua, ()| {
            let (date, time, difftime) = clock_functions(lua)?;
            let world = include_bytes!("lua/world.lua");
            let given = (functions::world_table(lua)?, date, time, difftime);
            compiled::load(lua, "=world", world)?.call::<()>(given)
        })?;
        let (load, words) = (functions::load(&lua)?, functions::words(&lua)?);
        let safety = include_bytes!("lua/safety.lua");
        compiled::load(&lua, "=safety", safety)?.call::<()>((
            load,
            check_time,
            words,
            more,
            functions::check_list(&lua)?,
        ))?;
        // Most scripts end before there is anything to collect; at the limit of memory Lua collects all the same.
        lua.gc_stop();
        Ok(Self {
            lua,
            printed: Vec::new(),
            deadline,
            sources: usize::MAX,
        })
    }
}

/// What `opt` and `arg` are in a script.
struct Given {
    options: Vec<arguments::Given>,
    words: Vec<String>,
}

impl Engine {
    /// `%{lua:…}`.
    pub(super) fn lua(&mut self, frame: &mut Frame, script: &str) {
        let caller = frame.caller.clone();
        let name = caller.as_ref().map_or("<lua>", |caller| &caller.name).to_owned();
        let given = match self.given(caller.as_deref(), frame.arguments.as_ref()) {
            Ok(given) => given,
            Err(letter) => {
                let options = caller.as_ref().and_then(|caller| caller.options.as_deref());
                let options = options.unwrap_or("");
                self.say(
                    Severity::Error,
                    format!("Unknown option {letter} in {name}({options})"),
                );
                frame.failed = true;
                return;
            }
        };
        let run = self.called_from(frame, |engine| engine.lua_script(&name, script, &given));
        self.printed_into(frame, run);
    }

    fn given(&self, caller: Option<&Definition>, words: Option<&Arc<[String]>>) -> Result<Given, char> {
        let Some(words) = words else {
            return Ok(Given {
                options: Vec::new(),
                words: Vec::new(),
            });
        };
        match caller.and_then(|caller| caller.options.as_deref()) {
            Some(letters) => {
                let (options, words) = arguments::options(letters, &words[1..])?;
                Ok(Given { options, words })
            }
            None => Ok(Given {
                options: Vec::new(),
                words: words.to_vec(),
            }),
        }
    }

    /// `%{len:…}` and its like: a function of Lua's `string`, of whose results the first counts.
    pub(super) fn lua_string_function(&mut self, frame: &mut Frame, function: &str, words: &[String]) {
        let script = format!("return (string.{function}(table.unpack(arg)))");
        let given = Given {
            options: Vec::new(),
            words: words.to_vec(),
        };
        let run = self.called_from(frame, |engine| engine.lua_script(function, &script, &given));
        self.printed_into(frame, run);
    }

    fn printed_into(&mut self, frame: &mut Frame, printed: Result<Vec<u8>, Failed>) {
        match printed {
            Ok(printed) => {
                let printed = text::decode(&printed);
                frame.out.push_str(&printed);
                self.pay(printed.len());
            }
            Err(Failed) => frame.failed = true,
        }
    }

    /// Runs a script; gives what it printed, and what it returned as if it had printed that too.
    fn lua_script(&mut self, name: &str, script: &str, given: &Given) -> Result<Vec<u8>, Failed> {
        let lua = self.lua_state()?;
        let source = format!("local opt, arg = ...;{script}");
        let chunk = compiled::load(&lua, name, &text::encode(&source));
        let function = match chunk {
            Ok(function) => function,
            Err(error) => {
                let why = message(&error);
                self.say(Severity::Error, format!("invalid syntax in lua script: {why}"));
                return Err(Failed);
            }
        };
        let result = self.lend(&lua, |lua| {
            let options = lua.create_table()?;
            for (letter, argument) in &given.options {
                let argument = argument.as_deref().unwrap_or("");
                options.raw_set(letter.to_string(), lua.create_string(text::encode(argument))?)?;
            }
            let words = lua.create_table()?;
            for word in &given.words {
                words.raw_push(lua.create_string(text::encode(word))?)?;
            }
            let returned: MultiValue = function.call((options, words))?;
            if !returned.is_empty() {
                lua.globals().get::<Function>("print")?.call::<()>(returned)?;
            }
            Ok(())
        });
        match result {
            Ok((printed, ())) => Ok(printed),
            Err(why) => {
                self.say(Severity::Error, format!("lua script failed: {why}"));
                Err(Failed)
            }
        }
    }

    /// A function of Lua called from an expression.
    pub(super) fn lua_function(&mut self, name: &str, arguments: Vec<Value>) -> Result<String, Failed> {
        let lua = self.lua_state()?;
        let source = format!("return ({name})(...)");
        let chunk = compiled::load(&lua, name, source.as_bytes());
        let result = chunk.map_err(|error| message(&error)).and_then(|function| {
            self.lend(&lua, |lua| {
                let mut given = MultiValue::new();
                for argument in arguments {
                    given.push_back(match argument {
                        Value::Integer(value) => LuaValue::Integer(value.into()),
                        Value::Text(value) | Value::Version(value) => {
                            LuaValue::String(lua.create_string(text::encode(&value))?)
                        }
                    });
                }
                match function.call::<LuaValue>(given)? {
                    LuaValue::Nil | LuaValue::Boolean(false) => Ok(String::new()),
                    LuaValue::Boolean(true) => Ok("1".to_owned()),
                    other => {
                        let tostring: Function = lua.globals().get("tostring")?;
                        let shown: LuaString = tostring.call(other)?;
                        Ok(text::decode(&shown.as_bytes()).into_owned())
                    }
                }
            })
        });
        match result {
            Ok((_, value)) => Ok(value),
            Err(why) => {
                self.say(Severity::Error, format!("{name}: {why}"));
                Err(Failed)
            }
        }
    }

    fn lua_state(&mut self) -> Result<Lua, Failed> {
        if self.lua.is_none() {
            match State::new(self) {
                Ok(state) => self.lua = Some(state),
                Err(error) => {
                    self.say(Severity::Error, format!("cannot start Lua: {error}"));
                    return Err(Failed);
                }
            }
        }
        let state = self.lua.as_mut().ok_or(Failed)?;
        state.deadline.end.set(self.deadline);
        if state.sources != self.prep.sources.len() {
            let sources = &self.prep.sources;
            let from = state.sources;
            state.sources = sources.len();
            // The tables begin anew when the SPEC is read again.
            let from = Some(from).filter(|from| *from <= sources.len());
            if let Err(error) = show_sources(&state.lua, sources, from) {
                self.say(Severity::Error, format!("cannot show sources to Lua: {error}"));
                return Err(Failed);
            }
        }
        Ok(state.lua.clone())
    }

    /// Lets Lua have the engine while `work` runs; gives what was printed and what `work` gave, or the error's text.
    fn lend<R>(
        &mut self,
        lua: &Lua,
        work: impl FnOnce(&Lua) -> mlua::Result<R>,
    ) -> Result<(Vec<u8>, R), String> {
        if let Some(state) = &mut self.lua {
            state.printed.push(Vec::new());
        }
        lua.set_app_data(std::mem::take(self));
        let result = work(lua);
        if let Some(engine) = lua.remove_app_data::<Self>() {
            *self = engine;
        }
        let printed = self.lua.as_mut().and_then(|state| state.printed.pop());
        match result {
            Ok(result) => Ok((printed.unwrap_or_default(), result)),
            Err(error) => {
                if self.stopped.is_none() {
                    self.look_at_the_clock();
                }
                Err(message(&error))
            }
        }
    }
}

/// `date`, `time` and `difftime` of Lua's own `os`, of which no script may ever see the rest, whatever fails.
fn clock_functions(lua: &Lua) -> mlua::Result<(Function, Function, Function)> {
    let loaded = lua.load_std_libs(StdLib::OS);
    let os = lua.globals().raw_get::<Option<Table>>("os");
    lua.globals().raw_set("os", LuaValue::Nil)?;
    loaded?;
    let os = os?.ok_or_else(|| mlua::Error::runtime("Lua has no os"))?;
    Ok((os.raw_get("date")?, os.raw_get("time")?, os.raw_get("difftime")?))
}

/// Adds sources to the tables that Lua finds them in, or makes these anew.
fn show_sources(lua: &Lua, sources: &[Source], from: Option<usize>) -> mlua::Result<()> {
    let globals = lua.globals();
    if from.is_none() {
        for name in ["sources", "source_nums", "patches", "patch_nums"] {
            globals.set(name, lua.create_table()?)?;
        }
    }
    for source in &sources[from.unwrap_or(0)..] {
        let (paths, numbers) = match source.kind {
            SourceKind::Source => ("sources", "source_nums"),
            SourceKind::Patch => ("patches", "patch_nums"),
        };
        let path = lua.create_string(text::encode(&source.path))?;
        globals.get::<Table>(paths)?.raw_push(path)?;
        globals.get::<Table>(numbers)?.raw_push(source.number)?;
    }
    Ok(())
}

/// Lua's own words, without the trace that mlua adds.
fn message(error: &mlua::Error) -> String {
    match error {
        mlua::Error::CallbackError { cause, .. } => message(cause),
        mlua::Error::RuntimeError(text) | mlua::Error::MemoryError(text) => {
            text.split("\nstack traceback:").next().unwrap_or(text).to_owned()
        }
        mlua::Error::SyntaxError { message, .. } => message.clone(),
        other => other.to_string(),
    }
}
