//! The lines of a SPEC as its sections see them: joined, expanded, and only those whose condition holds.

use std::sync::Arc;

use memchr::memchr;

use crate::macros::{
    Behaviour, Engine, Place, Severity,
    text::{Open, is_space, trim_start},
};

use super::{
    Stop,
    directive::Directive::{self, self as D},
};

/// What is taken out of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Strip {
    /// White space at the end, the end of line included.
    pub trailing: bool,
    /// Lines that begin with `#`.
    pub comments: bool,
    /// The line does not count as parsed text: what becomes of it does.
    pub parsed: bool,
}

impl Strip {
    pub const NOTHING: Self = Self {
        trailing: false,
        comments: false,
        parsed: false,
    };
    pub const COMMENTS: Self = Self {
        comments: true,
        ..Self::NOTHING
    };
    pub const BOTH: Self = Self {
        trailing: true,
        ..Self::COMMENTS
    };
}

/// One open `%if`.
struct Level {
    /// Lines count.
    reading: bool,
    /// No branch so far was taken, and the `%if` itself counts.
    readable: bool,
    line: u32,
    has_else: bool,
}

/// A file that is being read.
struct File {
    name: Arc<str>,
    text: String,
    /// Where the next line begins.
    at: usize,
    line: u32,
}

impl File {
    fn new(name: &str, text: &str) -> Self {
        Self {
            name: name.into(),
            text: text.to_owned(),
            at: 0,
            line: 0,
        }
    }

    /// The next line with its end.
    fn next(&mut self) -> Option<&str> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let length = memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |end| end + 1);
        self.at += length;
        self.line += 1;
        Some(&rest[..length])
    }
}

/// How many files may include each other.
const DEEPEST: usize = 32;

/// Gives the lines of a SPEC one by one.
pub(super) struct Lines {
    files: Vec<File>,
    /// What is left of the text that the last lines of the file expanded to.
    pending: String,
    at: usize,
    /// Nothing of that text was taken yet: a line whose macros are empty is still a line.
    fresh: bool,
    levels: Vec<Level>,
    /// The line as it is seen by its section.
    pub line: String,
    /// Its number in its file.
    pub number: u32,
    /// All that counted, as `rpmspec -P` prints it.
    pub parsed: String,
}

/// Is there a line?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Line,
    End,
}

impl Lines {
    pub fn new(name: &str, text: &str) -> Self {
        Self {
            files: vec![File::new(name, text)],
            pending: String::new(),
            at: 0,
            fresh: false,
            levels: Vec::new(),
            line: String::new(),
            number: 0,
            parsed: String::new(),
        }
    }

    /// Reads on in another text, before what is left.
    pub fn open(&mut self, engine: &mut Engine, name: &str, text: &str) {
        self.files.push(File::new(name, text));
        self.say_where(engine);
    }

    fn say_where(&self, engine: &mut Engine) {
        let place = self.files.last().map(|file| (file.name.clone(), file.line));
        engine.set_place(place);
    }

    /// The file, and the line that was read last.
    pub fn place(&self) -> Option<Place> {
        Some((self.files.last()?.name.clone(), self.number))
    }

    fn file_name(&self) -> &str {
        self.files.last().map_or("", |file| &file.name)
    }

    /// The file's line number, which stays when the text's lines go on.
    fn file_line(&self) -> u32 {
        self.files.last().map_or(self.number, |file| file.line)
    }

    fn is_reading(&self) -> bool {
        self.levels.last().is_none_or(|level| level.reading)
    }

    /// Reads the next line into [`Self::line`]; one that does not count is empty.
    pub fn read(&mut self, engine: &mut Engine, strip: Strip) -> Result<Read, Stop> {
        loop {
            if !self.fresh && self.at >= self.pending.len() && !self.fill(engine, strip)? {
                return Ok(Read::End);
            }
            let directive = self.take(strip);
            if let Some((directive, text)) = directive
                && self.direct(engine, directive, text)?
            {
                continue;
            }
            if !self.is_reading() {
                self.line.clear();
            }
            if !strip.parsed {
                self.parsed.push_str(&self.line);
                if strip.trailing {
                    self.parsed.push('\n');
                }
            }
            return Ok(Read::Line);
        }
    }

    /// Reads as many lines of the file as belong together, and expands them. False at the end.
    fn fill(&mut self, engine: &mut Engine, strip: Strip) -> Result<bool, Stop> {
        let mut joined = String::new();
        let mut open = Open::default();
        let mut first_line = 0;
        loop {
            let before = joined.len();
            if !self.raw_line(engine, &mut joined) {
                if let Some(level) = self.levels.last() {
                    let line = level.line;
                    return Err(Stop::error(engine, format!("line {line}: Unclosed %if")));
                }
                if first_line > 0 {
                    let text = format!("line {first_line}: unclosed macro or bad line continuation");
                    return Err(Stop::error(engine, text));
                }
                return Ok(false);
            }
            open.scan(&joined.as_bytes()[before..]);
            if !open.goes_on() {
                break;
            }
            if first_line == 0 {
                first_line = self.number;
            }
        }
        if !engine.pay(joined.len()) {
            return Err(Stop::said(engine));
        }
        self.pending = self.expand(engine, joined, strip)?;
        self.at = 0;
        self.fresh = true;
        Ok(true)
    }

    /// Adds the next line of the files to `joined`. False at the end.
    fn raw_line(&mut self, engine: &mut Engine, joined: &mut String) -> bool {
        loop {
            let several = self.files.len() > 1;
            let Some(file) = self.files.last_mut() else {
                return false;
            };
            if let Some(line) = file.next() {
                joined.push_str(line);
                self.number = file.line;
                return true;
            }
            if !several {
                return false;
            }
            self.files.pop();
            self.say_where(engine);
        }
    }

    fn expand(&mut self, engine: &mut Engine, joined: String, strip: Strip) -> Result<String, Stop> {
        let start = trim_start(&joined);
        let directive = Directive::of(start);
        if let Some((directive, text)) = directive
            && directive.takes_nothing()
            && !trim_start(&start[text.len()..]).is_empty()
        {
            let line = self.number;
            let shown = start.trim_end_matches('\n');
            engine.say(
                Severity::Warning,
                format!("extra tokens at the end of {text} directive in line {line}:  {shown}"),
            );
        }
        let counts = match directive {
            Some((directive, _)) if directive.is_elif() => {
                self.levels.last().is_none_or(|level| level.readable)
            }
            _ => self.is_reading(),
        };
        if !counts || memchr(b'%', joined.as_bytes()).is_none() {
            return Ok(joined);
        }
        let is_comment = start.starts_with('#');
        self.say_where(engine);
        let expanded = engine.expand(&joined);
        let expanded = expanded.map_err(|_| Stop::said(engine))?;
        if is_comment && strip.comments && joined.replace("%%", "%") != expanded {
            let line = self.number;
            let shown = joined.trim_end_matches('\n');
            engine.say(
                Severity::Warning,
                format!("Macro expanded in comment on line {line}: {shown}"),
            );
        }
        Ok(expanded)
    }

    /// Takes one line out of the expanded text.
    fn take(&mut self, strip: Strip) -> Option<(Directive, &'static str)> {
        self.fresh = false;
        let rest = &self.pending[self.at..];
        let start = rest
            .trim_start_matches(|c: char| u8::try_from(c).is_ok_and(|byte| byte != b'\n' && is_space(byte)));
        let directive = Directive::of(start);
        let mut end = memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |end| end + 1);
        if directive.is_some() {
            // Conditions may go on in the next line.
            while rest[..end].ends_with("\\\n") {
                let more = &rest[end..];
                end += memchr(b'\n', more.as_bytes()).map_or(more.len(), |more| more + 1);
                if more.is_empty() {
                    break;
                }
            }
            self.line = rest[..end].replace("\\\n", "  ");
        } else {
            self.line.clear();
            self.line.push_str(&rest[..end]);
        }
        self.at += end;
        let body = trim_start(&self.line);
        if strip.comments && body.starts_with('#') {
            // The blanks before it stay: rpm looks for those at the end of a line before it takes the comment away.
            let indent = self.line.len() - body.len();
            self.line.truncate(indent);
        } else if strip.trailing {
            let length = crate::macros::text::trim_end(&self.line).len();
            self.line.truncate(length);
        }
        directive
    }

    /// Follows a directive. True if the line is gone altogether (`%include`).
    fn direct(
        &mut self,
        engine: &mut Engine,
        directive: Directive,
        text: &'static str,
    ) -> Result<bool, Stop> {
        let line = trim_start(&self.line).to_owned();
        let argument = line.get(text.len()..).unwrap_or("");
        match directive {
            D::If | D::IfArch | D::IfNArch | D::IfOs | D::IfNOs => {
                let outer = self.is_reading();
                let holds = self.holds(engine, directive, text, argument, outer)?;
                let reading = outer && holds;
                self.levels.push(Level {
                    reading,
                    readable: !reading && outer,
                    line: self.file_line(),
                    has_else: false,
                });
                self.line.clear();
            }
            D::Elif | D::ElifArch | D::ElifOs => {
                self.in_order(engine, text)?;
                let readable = self.levels.last().is_some_and(|level| level.readable);
                let holds = self.holds(engine, directive, text, argument, readable)?;
                if let Some(level) = self.levels.last_mut() {
                    level.reading = level.readable && holds;
                    level.readable &= !level.reading;
                }
                self.line.clear();
            }
            D::Else => {
                self.in_order(engine, text)?;
                let outer = self.levels.len() < 2 || self.levels[self.levels.len() - 2].reading;
                if let Some(level) = self.levels.last_mut() {
                    level.reading = outer && level.readable;
                    level.has_else = true;
                }
                self.line.clear();
            }
            D::Endif => {
                if self.levels.pop().is_none() {
                    return Err(self.no_if(engine, text));
                }
                self.line.clear();
            }
            D::Include if self.is_reading() => {
                self.include(engine, argument)?;
                return Ok(true);
            }
            D::Include => {}
        }
        Ok(false)
    }

    fn no_if(&self, engine: &mut Engine, text: &str) -> Stop {
        let (file, line) = (self.file_name(), self.file_line());
        Stop::error(engine, format!("{file}: line {line}: {text} with no %if"))
    }

    /// `%else` and `%elif` need an open `%if` that has had no `%else`.
    fn in_order(&self, engine: &mut Engine, text: &str) -> Result<(), Stop> {
        match self.levels.last() {
            None => Err(self.no_if(engine, text)),
            Some(level) if level.has_else => {
                let (file, line) = (self.file_name(), self.file_line());
                let text = format!("{file}: line {line}: {text} after %else");
                Err(Stop::error(engine, text))
            }
            Some(_) => Ok(()),
        }
    }

    fn holds(
        &self,
        engine: &mut Engine,
        directive: Directive,
        text: &str,
        argument: &str,
        matters: bool,
    ) -> Result<bool, Stop> {
        let is_one_of = |engine: &mut Engine, macro_: &str| {
            let value = engine.expand_leniently(macro_);
            argument
                .split(|c: char| u8::try_from(c).is_ok_and(is_space))
                .any(|word| word.eq_ignore_ascii_case(&value))
        };
        if matches!(directive, D::If | D::Elif) {
            if !matters {
                return Ok(false);
            }
            return engine.is_true(argument).map_err(|_| {
                let (file, line) = (self.file_name(), self.file_line());
                let shown = argument.trim_end_matches('\n');
                Stop::error(engine, format!("{file}:{line}: bad {text} condition: {shown}"))
            });
        }
        if trim_start(argument).is_empty() && (engine.behaviour() == Behaviour::Rpm418 || matters) {
            let (file, line) = (self.file_name(), self.file_line());
            let text = format!("{file}:{line}: Argument expected for {text}");
            return Err(Stop::error(engine, text));
        }
        Ok(match directive {
            D::IfArch | D::ElifArch => is_one_of(engine, "%{_target_cpu}"),
            D::IfNArch => !is_one_of(engine, "%{_target_cpu}"),
            D::IfNOs => !is_one_of(engine, "%{_target_os}"),
            _ => is_one_of(engine, "%{_target_os}"),
        })
    }

    fn include(&mut self, engine: &mut Engine, argument: &str) -> Result<(), Stop> {
        let (file, line) = (self.file_name().to_owned(), self.file_line());
        let name = crate::macros::text::trim(argument);
        if name.is_empty() {
            let text = format!("{file}:{line}: malformed %include statement");
            return Err(Stop::error(engine, text));
        }
        if self.files.len() >= DEEPEST {
            let text = format!("{file}:{line}: %include is nested too deeply");
            return Err(Stop::error(engine, text));
        }
        match engine.read_file(name) {
            Ok(text) => {
                self.open(engine, name, &text);
                Ok(())
            }
            Err(error) => {
                let why = match error.kind() {
                    std::io::ErrorKind::NotFound => "No such file or directory".to_owned(),
                    _ => error.to_string(),
                };
                Err(Stop::error(engine, format!("Unable to open {name}: {why}")))
            }
        }
    }
}

/// The level of what a SPEC's tags define.
pub(super) const TAG: i32 = crate::macros::level::SPEC;
