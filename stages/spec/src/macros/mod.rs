//! The macro language of rpm: definitions, expansion, built-ins, expressions, Lua.
//!
//! Purpose: to give for any text what rpm gives for it, with a chosen rpm's oddities ([`Behaviour`]) and within limits.
//!
//! - [`text`]: bytes as text, brackets.
//! - [`Table`]: definitions by name, in stacks; cheap to share.
//! - [`Engine`]: expands; `expand.rs` walks text, `arguments.rs` splits and binds what parametric macros are given,
//!   `define.rs` reads definitions, `builtins.rs` has the functions of the engine, `expression.rs` the arithmetic of
//!   `%if` and `%[…]`, `lua.rs` the Lua of `%{lua:…}`, `files.rs` reads macro files,
//!   `pattern.rs` finds files.
//! - [`World`]: all that a macro can ask about its surroundings.
//!
//! Rules come from rpm's documentation and from watching rpm 4.18, 4.20 and 6.0; where a rule is odd, the code says so.
//!
//! Never: a process, a file or the environment but through [`World`].

mod arguments;
mod builtins;
mod define;
mod expand;
mod expression;
mod files;
mod lua;
mod message;
mod pattern;
mod table;
#[cfg(test)]
pub(crate) mod tests;
pub mod text;
mod version;

use std::{
    collections::BTreeMap,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

pub(crate) use expand::macro_end;
pub use message::{Complaint, Message, Place, Severity, Within};
pub use pattern::pattern_matches;
pub use table::{Definition, Table, level};

use builtins::{BUILTINS, Builtin, Builtin as B};
use table::Body;

use crate::eval::Prep;

/// Which rpm is followed where they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub enum Behaviour {
    /// rpm 4.18: Debian 12, Azure Linux 3.
    Rpm418,
    /// rpm 4.20: Debian 13, Fedora 41.
    #[default]
    Rpm420,
    /// rpm 6.0: Fedora 43, Azure Linux 4.
    Rpm6,
}

impl Behaviour {
    /// What `%{rpmversion}` says.
    pub fn version(self) -> &'static str {
        match self {
            Self::Rpm418 => "4.18.2",
            Self::Rpm420 => "4.20.1",
            Self::Rpm6 => "6.0.1",
        }
    }
}

impl std::str::FromStr for Behaviour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "4.18" => Ok(Self::Rpm418),
            "4.20" => Ok(Self::Rpm420),
            "6" | "6.0" => Ok(Self::Rpm6),
            _ => Err(format!("`{text}` is none of 4.18, 4.20, 6")),
        }
    }
}

/// What macros can ask about the machine that they are expanded for.
pub trait World: Send + Sync {
    /// What the shell prints for this command, with its end of line; a command that fails gives what it printed so far.
    fn shell(&self, command: &[u8]) -> Result<Vec<u8>, String>;
    /// A variable of the environment.
    fn variable(&self, name: &str) -> Option<String>;
    /// A whole file.
    fn read(&self, path: &str) -> io::Result<Vec<u8>>;
    /// Is there such a file?
    fn exists(&self, path: &str) -> bool;
    /// The folder's entries, sorted; none when there is no such folder.
    fn list(&self, path: &str) -> Vec<String>;
    /// How many processors a build has.
    fn processors(&self) -> usize;
    /// Seconds since 1970, for what asks for the time.
    fn now(&self) -> i64;
    /// Has somebody asked to stop?
    fn is_interrupted(&self) -> bool {
        false
    }
    /// What commands wrote to standard error since this was asked.
    fn complaints(&self) -> Vec<Complaint> {
        Vec::new()
    }
}

/// Is this a macro of the engine itself?
pub(crate) fn is_builtin(name: &str) -> bool {
    let of_spec = ["__file_name", "__file_lineno", "setup", "patch"];
    BUILTINS.iter().any(|(builtin, _)| *builtin == name) || of_spec.contains(&name)
}

/// An expansion that failed; why is in the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed;

/// How much one engine may use before it stops.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Time from its making, without that of commands.
    pub time: Duration,
    /// Text made by all its expansions, in bytes.
    pub text: usize,
    /// Memory of its Lua, in bytes.
    pub lua_memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(5),
            text: 256 << 20,
            lua_memory: 64 << 20,
        }
    }
}

/// What one evaluation expands macros with.
#[derive(Default)]
pub struct Engine {
    /// All macros.
    table: Table,
    behaviour: Behaviour,
    /// None only while the engine is lent to Lua.
    world: Option<Arc<dyn World>>,
    /// How deep expansions are nested.
    depth: u32,
    /// The level of the parametric macro that Lua or an expression is called from.
    level: i32,
    /// The file and line that `%{__file_name}` and `%{__file_lineno}` say.
    place: Option<Place>,
    /// The macros that are being expanded, the outermost first.
    calls: Vec<Arc<Definition>>,
    /// What Lua set in the environment, or took out of it.
    variables: BTreeMap<String, Option<String>>,
    is_verbose: bool,
    messages: Vec<Message>,
    /// Text of all messages so far, in bytes.
    said: usize,
    /// What `%setup` and `%patch` must know.
    pub(crate) prep: Prep,
    lua: Option<lua::State>,
    limits: Limits,
    /// When time is up.
    deadline: Option<Instant>,
    /// Text made so far, in bytes.
    made: usize,
    steps: u32,
    /// Why nothing is expanded any more.
    stopped: Option<String>,
}

impl Engine {
    /// An engine with these macros, to which the built-ins belong ([`Self::builtins`]).
    pub fn new(table: Table, behaviour: Behaviour, world: Arc<dyn World>, limits: Limits) -> Self {
        Self {
            table,
            behaviour,
            world: Some(world),
            limits,
            deadline: Instant::now().checked_add(limits.time),
            ..Self::default()
        }
    }

    /// An engine with the macros, the world and the limits that this one has now; its time begins.
    pub(crate) fn fresh(&self) -> Self {
        let (table, world) = (self.table.clone(), self.world().clone());
        Self {
            is_verbose: self.is_verbose,
            ..Self::new(table, self.behaviour, world, self.limits)
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Sets limits; the time begins.
    pub(crate) fn limit(&mut self, limits: Limits) {
        self.limits = limits;
        self.deadline = Instant::now().checked_add(limits.time);
    }

    /// The macros that every table starts with.
    pub fn builtins(behaviour: Behaviour) -> Table {
        let mut table = Table::default();
        for (name, builtin) in BUILTINS {
            if builtin.since() <= behaviour {
                let options = builtin.takes_arguments().then_some("");
                let body = Body::Builtin(*builtin);
                table.push(Definition::new(name, options, body, level::BUILTIN));
            }
        }
        table
    }

    /// The macros.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Which rpm is followed.
    pub fn behaviour(&self) -> Behaviour {
        self.behaviour
    }

    fn world(&self) -> &Arc<dyn World> {
        self.world.as_ref().expect("an engine in use has a world")
    }

    /// Defines a macro whose body is `body`; without `options` it takes no arguments.
    pub fn push(&mut self, name: &str, options: Option<&str>, body: &str, level: i32) {
        let body = Body::Text(body.into());
        self.table.push(Definition::new(name, options, body, level));
    }

    /// Defines a macro whose body is not expanded.
    pub fn push_literal(&mut self, name: &str, body: &str, level: i32) {
        let body = Body::Literal(body.into());
        self.table.push(Definition::new(name, None, body, level));
    }

    /// Takes the newest definition of `name` away.
    pub fn pop(&mut self, name: &str) {
        self.table.pop(name);
    }

    /// Defines what `definition` says, as `--define 'NAME BODY'` does.
    pub fn define(&mut self, definition: &str, level: i32) -> Result<(), Failed> {
        let mut frame = self.frame();
        self.define_from(&mut frame, definition, level, false, true);
        frame.result().map(drop)
    }

    /// Is `name` defined?
    pub fn is_defined(&self, name: &str) -> bool {
        self.table.get(name).is_some()
    }

    /// As rpm's `--define` does, which takes `%my-name body` for `my_name body`.
    pub fn define_option(&mut self, text: &str) -> Result<(), Failed> {
        let end = text.find(|c: char| c == '(' || c.is_ascii_whitespace());
        let (name, rest) = text.split_at(end.unwrap_or(text.len()));
        let name = name.replace('-', "_");
        let name = name.strip_prefix('%').unwrap_or(&name);
        self.define(&format!("{name}{rest}"), level::CMDLINE)
    }

    /// What `%{verbose}` says.
    pub fn set_verbose(&mut self, is_verbose: bool) {
        self.is_verbose = is_verbose;
    }

    /// The expansion of `text`.
    pub fn expand(&mut self, text: &str) -> Result<String, Failed> {
        self.expand_far(text).map_err(|_| Failed)
    }

    /// The expansion of `text`, or as much of it as was made when it failed.
    pub fn expand_far(&mut self, text: &str) -> Result<String, String> {
        if memchr::memchr(b'%', text.as_bytes()).is_none() {
            return Ok(text.to_owned());
        }
        let mut frame = self.frame();
        self.run(&mut frame, text);
        if frame.failed {
            Err(frame.out)
        } else {
            Ok(frame.out)
        }
    }

    /// The expansion of `text` as far as it got.
    pub fn expand_leniently(&mut self, text: &str) -> String {
        self.expand_far(text).unwrap_or_else(|far| far)
    }

    /// What rpm makes a number of: of an expansion that begins with y or Y one; 0 where it is none.
    pub fn expand_number(&mut self, text: &str) -> i64 {
        let value = self.expand_leniently(text);
        match value.bytes().next() {
            Some(b'y' | b'Y') => 1,
            _ => number(&value).unwrap_or(0),
        }
    }

    /// Is this expression true? Macros in it were expanded before.
    pub fn is_true(&mut self, expression: &str) -> Result<bool, Failed> {
        expression::evaluate(self, expression, false).map(|value| value.is_true())
    }

    /// Sets what `%{__file_name}` and `%{__file_lineno}` say and gives what they said.
    pub fn set_place(&mut self, place: Option<Place>) -> Option<Place> {
        std::mem::replace(&mut self.place, place)
    }

    /// Lets macros see the file and line of [`Self::set_place`].
    pub(crate) fn push_place(&mut self) {
        self.push_builtin("__file_name", B::FileName);
        self.push_builtin("__file_lineno", B::FileLine);
    }

    /// Takes back [`Self::push_place`].
    pub(crate) fn pop_place(&mut self) {
        self.pop("__file_name");
        self.pop("__file_lineno");
    }

    /// The line of [`Self::set_place`], or 0.
    pub(crate) fn place_line(&self) -> u32 {
        self.place.as_ref().map_or(0, |(_, line)| *line)
    }

    /// `%setup` and `%patch` are macros while `%prep` is read; since rpm 4.20.
    pub(crate) fn push_prep_macros(&mut self) {
        self.push_builtin("setup", B::Setup);
        self.push_builtin("patch", B::Patch);
    }

    /// Takes back [`Self::push_prep_macros`].
    pub(crate) fn pop_prep_macros(&mut self) {
        self.pop("patch");
        self.pop("setup");
    }

    fn push_builtin(&mut self, name: &str, builtin: Builtin) {
        let options = builtin.takes_arguments().then_some("-");
        let body = Body::Builtin(builtin);
        self.table.push(Definition::new(name, options, body, level::SPEC));
    }

    /// Is this a file that is not compressed?
    pub(crate) fn is_plain_file(&self, path: &str) -> bool {
        const MAGIC: [&[u8]; 8] = [
            b"\x1f\x8b",
            b"BZh",
            b"PK\x03\x04",
            b"PK00PK",
            b"\xfd7zXZ\0",
            b"\x28\xb5\x2f\xfd",
            b"LZIP",
            b"7z\xbc\xaf\x27\x1c",
        ];
        let read = self.world().clone().read(path);
        read.is_ok_and(|bytes| bytes.len() >= 13 && !MAGIC.iter().any(|magic| bytes.starts_with(magic)))
    }

    /// A variable of the environment, as Lua may have changed it.
    fn variable(&self, name: &str) -> Option<String> {
        match self.variables.get(name) {
            Some(value) => value.clone(),
            None => self.world().variable(name),
        }
    }

    /// What the shell must do first, so that a command sees the environment that Lua made.
    fn shell_variables(&self) -> String {
        let line = |(name, value): (&String, &Option<String>)| match value {
            Some(value) => format!("export {name}={}\n", quoted_for_shell(value)),
            None => format!("unset {name}\n"),
        };
        self.variables.iter().map(line).collect()
    }

    /// A file as text, of what the world shows.
    pub fn read_file(&self, path: &str) -> io::Result<String> {
        let bytes = self.world().clone().read(path)?;
        Ok(text::decode(&bytes).into_owned())
    }

    /// What was said so far; it is not said again.
    pub fn take_messages(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.messages)
    }

    /// Why the engine stopped for good: a limit.
    pub fn stopped(&self) -> Option<&str> {
        self.stopped.as_deref()
    }

    /// Says something.
    pub fn say(&mut self, severity: Severity, text: impl Into<String>) {
        const ENOUGH: usize = 10_000;
        const ENOUGH_TEXT: usize = 16 << 20;
        let text = text.into();
        self.said = self.said.saturating_add(text.len());
        if self.messages.len() >= ENOUGH || self.said > ENOUGH_TEXT {
            return;
        }
        let mut message = Message::new(severity, text);
        if matches!(severity, Severity::Warning | Severity::Error) {
            message.place = self.place.clone();
            let within = |call: &Arc<Definition>| Within {
                name: call.name.clone(),
                defined: call.place.clone(),
            };
            message.within = self.calls.iter().map(within).collect();
        }
        self.messages.push(message);
    }

    /// What commands wrote to standard error, which nobody sees in what they print.
    pub(crate) fn hear_complaints(&mut self) {
        for Complaint { text, .. } in self.world().complaints() {
            self.say(Severity::Complaint, text);
        }
    }

    /// Says something with file and line in front, as rpm's engine does.
    fn say_here(&mut self, severity: Severity, text: &str) {
        let prefix = match &self.place {
            Some((file, line)) => format!("{file}: line {line}: "),
            None => String::new(),
        };
        self.say(severity, prefix + text);
    }

    /// Counts `bytes` of text made, and looks at the clock now and then.
    pub(crate) fn pay(&mut self, bytes: usize) -> bool {
        self.made = self.made.saturating_add(bytes);
        self.steps = self.steps.wrapping_add(1);
        if self.stopped.is_none() {
            if self.made > self.limits.text {
                self.stop(format!("it expands to more than {} MiB", self.limits.text >> 20));
            } else if self.steps.is_multiple_of(256) {
                self.look_at_the_clock();
            }
        }
        self.stopped.is_none()
    }

    fn look_at_the_clock(&mut self) {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            self.stop(format!("it takes longer than {:?}", self.limits.time));
        } else if self.world.as_ref().is_some_and(|world| world.is_interrupted()) {
            self.stop("it is interrupted".to_owned());
        }
    }

    fn stop(&mut self, why: String) {
        self.say_here(Severity::Error, &why);
        self.stopped = Some(why);
    }

    fn frame(&self) -> expand::Frame {
        expand::Frame::new(self.depth, self.level)
    }
}

fn quoted_for_shell(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// A number as C's `strtol` reads it with base 0, if it is nothing but a number.
fn number(text: &str) -> Option<i64> {
    let text = text::trim_start(text);
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    let lower = digits.to_ascii_lowercase();
    let value = match lower.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16),
        None if lower.len() > 1 && lower.starts_with('0') => i64::from_str_radix(&lower, 8),
        None => lower.parse(),
    };
    value
        .ok()
        .filter(|_| !lower.starts_with(['+', '-']))
        .map(|value| sign * value)
}
