//! The walk over a text.

use std::{sync::Arc, time::Instant};

use memchr::memchr;

use super::{
    Behaviour, Engine, Failed, Severity, expression,
    table::{Body, Definition},
    text,
};

/// How deep expansions may be nested, as in rpm.
const DEEPEST: u32 = 64;

/// One expansion: what came out so far, and where in the calls it is.
pub(super) struct Frame {
    pub out: String,
    pub depth: u32,
    /// Parametric macros around this, each with arguments of its own.
    pub level: i32,
    pub failed: bool,
    /// The macro that is being expanded and its arguments, for Lua.
    pub caller: Option<Arc<Definition>>,
    pub arguments: Option<Arc<[String]>>,
    /// Quotes (ASCII 31) stay in the text, for arguments are split later; since rpm 4.19.
    pub keep_quotes: bool,
    pub has_quotes: bool,
}

impl Frame {
    pub fn new(depth: u32, level: i32) -> Self {
        Self {
            out: String::new(),
            depth,
            level,
            failed: false,
            caller: None,
            arguments: None,
            keep_quotes: false,
            has_quotes: false,
        }
    }

    pub fn result(self) -> Result<String, Failed> {
        if self.failed { Err(Failed) } else { Ok(self.out) }
    }
}

/// What stands after a `%`.
struct Call<'t> {
    /// The name, without `?` and `!`.
    name: &'t str,
    /// `?` was there: it is asked whether the macro is defined.
    asks: bool,
    negated: bool,
    /// After a colon: an argument, or what is expanded if the question is answered with yes.
    argument: Option<(usize, usize)>,
    /// Where arguments on the same line, or before the brace, end.
    words_end: Option<usize>,
    /// Where the name ends.
    name_end: usize,
    /// Where the text goes on after the call.
    end: usize,
    /// Where the text goes on if this turns out to be no call.
    resume: usize,
}

impl<'t> Call<'t> {
    /// Reads the call whose `%` is before `at`; `end` is after it.
    fn read(source: &'t str, at: usize, end: usize) -> Self {
        let bytes = source.as_bytes();
        let in_braces = bytes[at] == b'{';
        let start = if in_braces { at + 1 } else { at };
        let (mut from, mut asks, mut negated) = (start, false, false);
        while let Some(sign @ (b'?' | b'!')) = bytes.get(from) {
            match sign {
                b'!' => negated = !negated,
                _ => asks = true,
            }
            from += 1;
        }
        let (mut argument, mut words_end) = (None, None);
        let name_end = if in_braces {
            let stop = |byte: &u8| matches!(byte, b' ' | b':' | b'}');
            let length = bytes[from..].iter().position(stop);
            let name_end = length.map_or(bytes.len(), |length| from + length);
            match bytes.get(name_end) {
                Some(b':') => argument = Some((name_end + 1, end - 1)),
                Some(b' ') => words_end = Some(end - 1),
                _ => {}
            }
            name_end
        } else {
            if bytes.get(end).copied().is_some_and(text::is_blank) {
                let line = bytes[end..].iter().position(|byte| *byte == b'\n');
                words_end = Some(line.map_or(bytes.len(), |length| end + length));
            }
            end
        };
        Self {
            name: source.get(from..name_end).unwrap_or(""),
            asks,
            negated,
            argument,
            words_end,
            name_end,
            end,
            // rpm drops `?` and `!` of what it leaves as it is, unless they stand in braces.
            resume: if in_braces { at } else { from },
        }
    }
}

/// The position after the macro whose `%` is before `at`.
pub(crate) fn macro_end(source: &[u8], at: usize) -> Option<usize> {
    match source.get(at) {
        Some(b'(') => return text::after_match(source, at, b')'),
        Some(b'{') => return text::after_match(source, at, b'}'),
        Some(b'[') => return text::after_match(source, at, b']'),
        _ => {}
    }
    let mut end = at;
    let is = |end: usize, wanted: fn(u8) -> bool| source.get(end).copied().is_some_and(wanted);
    while is(end, |byte| matches!(byte, b'?' | b'!')) {
        end += 1;
    }
    if is(end, |byte| byte == b'-') {
        end += 1;
    }
    while is(end, |byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        end += 1;
    }
    if source[end.min(source.len())..].starts_with(b"**") {
        end += 2;
    } else if is(end, |byte| matches!(byte, b'*' | b'#')) {
        end += 1;
    }
    Some(end)
}

impl Engine {
    /// Expands `source` into the frame's text.
    pub(super) fn run(&mut self, frame: &mut Frame, source: &str) {
        if self.stopped.is_some() {
            frame.failed = true;
            return;
        }
        frame.depth += 1;
        if frame.depth > DEEPEST {
            frame.depth -= 1;
            self.fail(
                frame,
                "Too many levels of recursion in macro expansion. It is likely caused by recursive macro declaration.",
            );
            return;
        }
        let bytes = source.as_bytes();
        let mut at = 0;
        while !frame.failed && at < bytes.len() {
            let percent = memchr(b'%', &bytes[at..]);
            let plain = percent.map_or(bytes.len(), |length| at + length);
            frame.out.push_str(&source[at..plain]);
            if !self.pay(plain - at) {
                frame.failed = true;
                break;
            }
            at = plain;
            if percent.is_some() {
                at = self.call(frame, source, at + 1);
            }
        }
        frame.depth -= 1;
    }

    /// Expands what stands after a `%`; gives where the text goes on.
    fn call(&mut self, frame: &mut Frame, source: &str, at: usize) -> usize {
        let bytes = source.as_bytes();
        match bytes.get(at) {
            None => {
                frame.out.push('%');
                return at;
            }
            Some(b'%') => {
                frame.out.push('%');
                return at + 1;
            }
            _ => {}
        }
        let Some(end) = macro_end(bytes, at) else {
            let rest = &source[at..];
            self.fail(frame, &format!("Unterminated {}: {rest}", &rest[..1]));
            return at;
        };
        match bytes[at] {
            b'(' => {
                self.shell(frame, &source[at + 1..end - 1]);
                return end;
            }
            b'[' => {
                self.expression(frame, &source[at + 1..end - 1]);
                return end;
            }
            _ => {}
        }
        let call = Call::read(source, at, end);
        if call.name.is_empty() {
            frame.out.push('%');
            return call.resume;
        }
        let found = self.table.get(call.name).cloned();
        // Arguments of a macro are not seen by the macros that it calls.
        let found = found.filter(|found| !found.automatic || frame.level <= found.level);
        if let Some(found) = &found {
            found.mark_used();
        }
        if call.asks || call.name.starts_with('-') {
            if found.is_some() != call.negated {
                match (call.argument, found) {
                    (Some((from, to)), _) if from < to => self.run(frame, &source[from..to]),
                    (_, Some(found)) => self.apply(frame, &found, None),
                    _ => {}
                }
            }
            return call.end;
        }
        match found {
            None => {
                frame.out.push('%');
                call.resume
            }
            Some(found) => self.call_with_arguments(frame, source, &call, &found),
        }
    }

    fn call_with_arguments(
        &mut self,
        frame: &mut Frame,
        source: &str,
        call: &Call<'_>,
        found: &Arc<Definition>,
    ) -> usize {
        if found.options.is_none() && !found.is_builtin() {
            let braced = call
                .words_end
                .is_some_and(|end| source.as_bytes().get(end) == Some(&b'}'));
            if self.behaviour >= Behaviour::Rpm420 && (call.argument.is_some() || braced) {
                let name = &found.name;
                self.say_here(
                    Severity::Warning,
                    &format!("unexpected argument to non-parametric macro %{name}"),
                );
            }
            self.apply(frame, found, None);
            return call.end;
        }
        let free = call.name_end == call.end;
        let parses = match found.body {
            Body::Builtin(builtin) => builtin.parses(),
            _ => false,
        };
        let mut arguments = vec![found.name.to_string()];
        if parses && free {
            // `%define` and its like take what follows, and say how much.
            let Body::Builtin(builtin) = found.body else {
                return call.end;
            };
            arguments.push(source[call.end..].to_owned());
            return call.end + self.builtin_on_the_rest(frame, builtin, found, &arguments);
        }
        let words_end = call.words_end.filter(|_| !(found.options.is_none() && free));
        let mut end = call.end;
        if let Some((from, to)) = call.argument {
            end = self.grab(frame, parses, &mut arguments, source, (from, to), false);
        } else if let Some(to) = words_end {
            end = self.grab(frame, parses, &mut arguments, source, (call.name_end, to), true);
        }
        self.apply(frame, found, Some(arguments.into()));
        end
    }

    /// Expands one macro. `arguments[0]` is its name.
    pub(super) fn apply(
        &mut self,
        frame: &mut Frame,
        definition: &Arc<Definition>,
        arguments: Option<Arc<[String]>>,
    ) {
        let (caller, outer) = (frame.caller.clone(), frame.arguments.clone());
        let before = frame.out.len();
        self.calls.push(definition.clone());
        match &definition.body {
            Body::Builtin(builtin) => self.builtin(frame, *builtin, definition, arguments.as_deref()),
            Body::Literal(text) => {
                frame.out.push_str(text);
                self.pay(text.len());
            }
            Body::Text(text) if text.is_empty() => {}
            Body::Text(text) => {
                let has_arguments = arguments.is_some();
                if let Some(arguments) = arguments {
                    self.bind(frame, definition, arguments);
                }
                if definition.quoted && frame.keep_quotes {
                    self.run_quoted(frame, text);
                } else {
                    self.run(frame, text);
                }
                if has_arguments {
                    self.unbind(frame);
                }
            }
        }
        self.calls.pop();
        if definition.quoted {
            match frame.keep_quotes {
                true => frame.has_quotes = true,
                false => {
                    let made = frame.out.split_off(before);
                    frame
                        .out
                        .extend(made.chars().filter(|c| *c != super::arguments::QUOTE));
                }
            }
        }
        frame.caller = caller;
        frame.arguments = outer;
    }

    /// Expands text with quotes in it: what is inside is expanded without keeping quotes of its own.
    fn run_quoted(&mut self, frame: &mut Frame, source: &str) {
        for (index, part) in source.split(super::arguments::QUOTE).enumerate() {
            if index > 0 {
                frame.out.push(super::arguments::QUOTE);
                frame.keep_quotes = !frame.keep_quotes;
            }
            if !part.is_empty() {
                self.run(frame, part);
            }
        }
        frame.keep_quotes = true;
    }

    /// Expands `source` into a text of its own; a failure is the frame's too.
    pub(super) fn apart(
        &mut self,
        frame: &mut Frame,
        source: &str,
        keep_quotes: bool,
    ) -> (String, bool, bool) {
        let mut own = Frame {
            out: String::new(),
            depth: frame.depth,
            level: frame.level,
            failed: false,
            caller: frame.caller.clone(),
            arguments: frame.arguments.clone(),
            keep_quotes,
            has_quotes: false,
        };
        self.run(&mut own, source);
        frame.failed |= own.failed;
        (own.out, own.failed, own.has_quotes)
    }

    /// Expands one macro with these arguments, which are neither split nor expanded.
    pub(super) fn expand_one(&mut self, name: &str, words: Vec<String>) -> Result<String, Failed> {
        let Some(definition) = self.table.get(name).cloned() else {
            return Err(Failed);
        };
        let mut frame = self.frame();
        frame.depth += 1;
        if frame.depth > DEEPEST {
            return Err(Failed);
        }
        let mut arguments = vec![name.to_owned()];
        arguments.extend(words);
        let arguments = definition.options.is_some().then(|| arguments.into());
        self.apply(&mut frame, &definition, arguments);
        frame.result()
    }

    fn shell(&mut self, frame: &mut Frame, command: &str) {
        let (command, failed, _) = self.apart(frame, command, false);
        if failed {
            return;
        }
        let command = self.shell_variables() + &command;
        let started = Instant::now();
        let said = self.world().clone().shell(&text::encode(&command));
        // Commands have limits of their own.
        if let Some(deadline) = &mut self.deadline {
            *deadline += started.elapsed();
        }
        self.hear_complaints();
        match said {
            Ok(output) => {
                let output = text::decode(&output);
                let output = output.trim_end_matches(['\n', '\r']);
                frame.out.push_str(output);
                self.pay(output.len());
            }
            Err(why) => self.fail(frame, &why),
        }
    }

    fn expression(&mut self, frame: &mut Frame, source: &str) {
        let value = self.called_from(frame, |engine| expression::evaluate(engine, source, true));
        match value {
            Ok(value) => frame.out.push_str(&value.to_string()),
            Err(Failed) => frame.failed = true,
        }
    }

    /// Does `work`, which may expand macros, at the depth and level of this frame.
    pub(super) fn called_from<R>(&mut self, frame: &Frame, work: impl FnOnce(&mut Self) -> R) -> R {
        let before = (self.depth, self.level);
        (self.depth, self.level) = (frame.depth, frame.level);
        let result = work(self);
        (self.depth, self.level) = before;
        result
    }

    pub(super) fn fail(&mut self, frame: &mut Frame, text: &str) {
        self.say_here(Severity::Error, text);
        frame.failed = true;
    }
}
