//! The functions of the engine that are called like macros.

use std::sync::Arc;

use crate::eval::prep;

use super::{
    Behaviour, Engine, Severity, arguments, expand::Frame, expression, level, quoted_for_shell,
    table::Definition, text,
};

/// A function of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Builtin {
    PatchOrSource(&'static str),
    Basename,
    Define,
    Dirname,
    Dnl,
    Dump,
    Output(Severity),
    Exists,
    Expand,
    Expr,
    GetConfDir,
    GetEnv,
    GetNCpus,
    Global,
    Load,
    Lua,
    MacroBody,
    Quote,
    RpmVersion,
    Shrink,
    Span,
    String(&'static str),
    Suffix,
    Trace,
    UrlToPath,
    ShEscape,
    Uncompress,
    Undefine,
    Verbose,
    Xdg,
    FileName,
    FileLine,
    Setup,
    Patch,
}

use Builtin as B;

/// All of them by name; [`Builtin::since`] says which rpm had them first.
pub(super) const BUILTINS: &[(&str, Builtin)] = &[
    ("P", B::PatchOrSource("PATCH")),
    ("S", B::PatchOrSource("SOURCE")),
    ("basename", B::Basename),
    ("define", B::Define),
    ("dirname", B::Dirname),
    ("dnl", B::Dnl),
    ("dump", B::Dump),
    ("echo", B::Output(Severity::Output)),
    ("error", B::Output(Severity::Error)),
    ("exists", B::Exists),
    ("expand", B::Expand),
    ("expr", B::Expr),
    ("getconfdir", B::GetConfDir),
    ("getenv", B::GetEnv),
    ("getncpus", B::GetNCpus),
    ("global", B::Global),
    ("gsub", B::String("gsub")),
    ("len", B::String("len")),
    ("load", B::Load),
    ("lower", B::String("lower")),
    ("lua", B::Lua),
    ("macrobody", B::MacroBody),
    ("quote", B::Quote),
    ("rep", B::String("rep")),
    ("reverse", B::String("reverse")),
    ("rpmversion", B::RpmVersion),
    ("shescape", B::ShEscape),
    ("shrink", B::Shrink),
    ("span", B::Span),
    ("sub", B::String("sub")),
    ("suffix", B::Suffix),
    ("trace", B::Trace),
    ("u2p", B::UrlToPath),
    ("uncompress", B::Uncompress),
    ("undefine", B::Undefine),
    ("upper", B::String("upper")),
    ("url2path", B::UrlToPath),
    ("verbose", B::Verbose),
    ("warn", B::Output(Severity::Warning)),
    ("xdg", B::Xdg),
];

/// How many arguments a function wants.
#[derive(PartialEq)]
enum Wants {
    Nothing,
    Something,
    Either,
}

impl Builtin {
    pub(super) fn since(self) -> Behaviour {
        match self {
            Self::String(_) => Behaviour::Rpm420,
            Self::Span | Self::Xdg => Behaviour::Rpm6,
            _ => Behaviour::Rpm418,
        }
    }

    /// Does it take its arguments as they are, without expanding or splitting them?
    pub(super) fn parses(self) -> bool {
        matches!(
            self,
            Self::Define | Self::Dnl | Self::Global | Self::Lua | Self::Verbose
        )
    }

    /// Is it called as a parametric macro?
    pub(super) fn takes_arguments(self) -> bool {
        self.wants(Behaviour::Rpm6) != Wants::Nothing
    }

    fn wants(self, behaviour: Behaviour) -> Wants {
        match self {
            Self::GetNCpus if behaviour == Behaviour::Rpm418 => Wants::Nothing,
            Self::GetNCpus | Self::Verbose | Self::Setup | Self::Patch => Wants::Either,
            Self::Dump
            | Self::GetConfDir
            | Self::RpmVersion
            | Self::Trace
            | Self::FileName
            | Self::FileLine => Wants::Nothing,
            _ => Wants::Something,
        }
    }
}

impl Engine {
    /// Calls a function with what follows it (`%define name body`); gives the bytes that it took.
    pub(super) fn builtin_on_the_rest(
        &mut self,
        frame: &mut Frame,
        builtin: Builtin,
        definition: &Arc<Definition>,
        arguments: &[String],
    ) -> usize {
        let rest = &arguments[1];
        match builtin {
            B::Define => self.define_from(frame, rest, frame.level, false, true),
            B::Global => self.define_from(frame, rest, level::GLOBAL, true, true),
            B::Dnl => rest.find(['\n', '\r']).map_or(rest.len(), |end| end + 1),
            B::Verbose => {
                frame.out.push(if self.is_verbose { '1' } else { '0' });
                0
            }
            _ => {
                self.builtin(frame, builtin, definition, Some(arguments));
                0
            }
        }
    }

    /// Calls a function; `arguments[0]` is its name.
    pub(super) fn builtin(
        &mut self,
        frame: &mut Frame,
        builtin: Builtin,
        definition: &Arc<Definition>,
        arguments: Option<&[String]>,
    ) {
        let given = arguments.map_or(&[][..], |arguments| &arguments[1..]);
        let wants = builtin.wants(self.behaviour);
        if wants != Wants::Either && (wants == Wants::Something) == given.is_empty() {
            let name = &definition.name;
            let what = match wants {
                Wants::Something => "argument expected",
                _ => "unexpected argument",
            };
            return self.fail(frame, &format!("%{name}: {what}"));
        }
        let first = given.first().map_or("", String::as_str);
        match builtin {
            B::Define => self.define_given(frame, given, frame.level, false),
            B::Global => self.define_given(frame, given, level::GLOBAL, true),
            B::Undefine => {
                if self.may_define(frame, first, "%undefine") {
                    self.table.pop(first);
                }
            }
            B::Dnl => {}
            B::Expand => {
                if !first.is_empty() {
                    self.run(frame, first);
                }
            }
            B::PatchOrSource(which) => self.run(frame, &format!("%{which}{first}")),
            B::Uncompress if first.is_empty() => {}
            B::Uncompress => {
                self.run(frame, "%__rpmuncompress ");
                frame.out.push_str(first);
            }
            B::Output(Severity::Output) => self.say(Severity::Output, format!("{first}\n")),
            B::Output(severity) => {
                self.say(severity, first);
                frame.failed |= severity == Severity::Error;
            }
            B::Dump => self.dump(),
            B::Trace => {}
            B::Verbose if given.is_empty() => frame.out.push(if self.is_verbose { '1' } else { '0' }),
            B::Verbose if self.is_verbose => self.run(frame, first),
            B::Verbose => {}
            B::Quote => self.quote(frame, given),
            B::Lua => self.lua(frame, first),
            B::String(function) => self.lua_string_function(frame, function, given),
            B::Load => self.load_asked(frame, first),
            B::MacroBody => self.macro_body(frame, first),
            B::Expr => {
                let value = self.called_from(frame, |engine| expression::evaluate(engine, first, false));
                match value {
                    Ok(value) => frame.out.push_str(&value.to_string()),
                    Err(_) => frame.failed = true,
                }
            }
            B::GetNCpus => self.processors(frame, given),
            B::Span => self.span(frame, given),
            B::Setup | B::Patch => self.prep_macro(frame, builtin, arguments.unwrap_or_default()),
            B::Xdg => self.xdg(frame, first),
            _ => {
                let made = self.simple(builtin, given, first);
                frame.out.push_str(&made);
            }
        }
    }

    /// The functions that make one text of their argument and nothing else.
    fn simple(&self, builtin: Builtin, given: &[String], first: &str) -> String {
        match builtin {
            B::Basename => basename(first, self.behaviour).to_owned(),
            B::Dirname => dirname(first, self.behaviour).to_owned(),
            B::Suffix => first.rsplit_once('.').map_or("", |(_, suffix)| suffix).to_owned(),
            B::Shrink => shrink(first),
            B::UrlToPath => url_to_path(first).to_owned(),
            B::Exists => if self.world().exists(first) { "1" } else { "0" }.to_owned(),
            B::GetEnv => self.variable(first).unwrap_or_default(),
            B::GetConfDir => "/usr/lib/rpm".to_owned(),
            B::RpmVersion => self.behaviour.version().to_owned(),
            B::ShEscape => {
                let words = match self.behaviour {
                    Behaviour::Rpm418 => &given[..1],
                    _ => given,
                };
                let quoted = words.iter().map(|word| quoted_for_shell(word));
                quoted.collect::<Vec<_>>().join(" ")
            }
            B::FileName => self.place.as_ref().map_or("", |(file, _)| file).to_owned(),
            B::FileLine => self
                .place
                .as_ref()
                .map_or(String::new(), |(_, line)| line.to_string()),
            _ => String::new(),
        }
    }

    fn define_given(&mut self, frame: &mut Frame, given: &[String], level: i32, expand: bool) {
        let (mut text, free) = (given[0].clone(), false);
        if let Some(body) = given.get(1) {
            text = format!("{text} {body}");
        }
        self.define_from(frame, &text, level, expand, free);
    }

    fn quote(&mut self, frame: &mut Frame, given: &[String]) {
        if self.behaviour == Behaviour::Rpm418 || frame.keep_quotes {
            let quoted = arguments::quote(given, " ");
            frame.has_quotes |= !quoted.is_empty();
            frame.out.push_str(&quoted);
        } else {
            frame.out.push_str(&given.join(" "));
        }
    }

    fn load_asked(&mut self, frame: &mut Frame, path: &str) {
        if self.load(path).is_err() {
            self.fail(frame, &format!("failed to load macro file {path}"));
        }
    }

    fn macro_body(&mut self, frame: &mut Frame, name: &str) {
        if name.is_empty() {
            return;
        }
        match self.table.get(name).cloned() {
            Some(definition) => frame.out.push_str(definition.text()),
            None => self.fail(frame, &format!("no such macro: '{name}'")),
        }
    }

    fn processors(&mut self, frame: &mut Frame, given: &[String]) {
        let processors = self.world().processors().max(1);
        let count = match given.first().map_or("total", String::as_str) {
            "total" => processors,
            kind @ ("proc" | "thread") => {
                // rpm asks for the machine's memory here; a build that must not depend on it gets 4 GiB for each processor.
                let size = match kind {
                    "proc" => "%{?_smp_tasksize_proc}",
                    _ => "%{?_smp_tasksize_thread}",
                };
                let size = self.called_from(frame, |engine| engine.expand_number(size));
                let size = usize::try_from(size).ok().filter(|size| *size > 0).unwrap_or(512);
                processors.min(processors * 4096 / size).max(1)
            }
            other => return self.fail(frame, &format!("invalid argument: {other}")),
        };
        frame.out.push_str(&count.to_string());
    }

    fn span(&mut self, frame: &mut Frame, given: &[String]) {
        // `%{span:…}` only groups lines.
        if let Some(first) = given.first() {
            self.run(frame, first);
        }
    }

    fn prep_macro(&mut self, frame: &mut Frame, builtin: Builtin, words: &[String]) {
        let line = words.join(" ");
        let number = self.place_line();
        let made = self.called_from(frame, |engine| match builtin {
            B::Setup => prep::setup(engine, &line, number),
            _ => prep::patch(engine, &line),
        });
        match made {
            Ok(made) => frame.out.push_str(&made),
            Err(why) => self.fail(frame, &why),
        }
    }

    fn xdg(&mut self, frame: &mut Frame, kind: &str) {
        let (variable, folder) = match kind {
            "cache" => ("XDG_CACHE_HOME", ".cache"),
            "config" => ("XDG_CONFIG_HOME", ".config"),
            "data" => ("XDG_DATA_HOME", ".local/share"),
            "state" => ("XDG_STATE_HOME", ".local/state"),
            _ => return self.fail(frame, &format!("unknown xdg parameter: {kind}")),
        };
        let path = self
            .variable(variable)
            .filter(|path| path.starts_with('/'))
            .unwrap_or_else(|| format!("{}/{folder}", self.variable("HOME").unwrap_or_default()));
        frame.out.push_str(&path);
    }

    fn dump(&mut self) {
        let rule = "========================";
        let mut lines = vec![rule.to_owned()];
        let mut count = 0;
        for (name, definition) in self.table.sorted() {
            let used = if definition.is_used() { '=' } else { ':' };
            let mut line = format!("{:3}{used} {name}", definition.level);
            if let Some(options) = definition
                .options
                .as_deref()
                .filter(|options| !options.is_empty())
            {
                line += &format!("({options})");
            }
            if !definition.text().is_empty() {
                line += &format!("\t{}", definition.text());
            }
            lines.push(line);
            count += 1;
        }
        lines.push(format!("{rule} active {count} empty 0"));
        self.say(Severity::Note, lines.join("\n"));
    }
}

/// White space at both ends removed, and between words one space.
fn shrink(text: &str) -> String {
    let words = text.split(|c: char| u8::try_from(c).is_ok_and(text::is_space));
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn basename(path: &str, behaviour: Behaviour) -> &str {
    let last = |path: &'_ str| path.rfind('/').map_or(0, |slash| slash + 1);
    if behaviour == Behaviour::Rpm418 {
        return &path[last(path)..];
    }
    // As C's basename(3).
    let trimmed = path.trim_end_matches('/');
    match (path.is_empty(), trimmed.is_empty()) {
        (true, _) => ".",
        (_, true) => "/",
        _ => &trimmed[last(trimmed)..],
    }
}

fn dirname(path: &str, behaviour: Behaviour) -> &str {
    if behaviour == Behaviour::Rpm418 {
        return path.rfind('/').map_or(path, |slash| &path[..slash]);
    }
    // As C's dirname(3).
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() {
        return if path.is_empty() { "." } else { "/" };
    }
    match trimmed.rfind('/') {
        None => ".",
        Some(slash) => match trimmed[..slash].trim_end_matches('/') {
            "" => "/",
            parent => parent,
        },
    }
}

fn url_to_path(url: &str) -> &str {
    const SCHEMES: [&str; 7] = [
        "file://", "ftp://", "hkp://", "http://", "https://", "-", "git://",
    ];
    let scheme = SCHEMES
        .iter()
        .find(|scheme| **scheme != "-" && url.starts_with(**scheme));
    let path = match scheme {
        None => url,
        Some(scheme) => {
            let rest = &url[scheme.len()..];
            rest.find('/').map_or("", |slash| &rest[slash..])
        }
    };
    if path.is_empty() { "/" } else { path }
}
