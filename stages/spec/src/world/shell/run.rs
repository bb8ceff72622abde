//! Runs commands: lists, pipelines, redirections, and the built-ins that only look and print.

use std::{cell::Cell, collections::BTreeMap, rc::Rc};

use super::{
    LONGEST, Machine, Presence, Said, Sure, Unsure,
    parse, print, tools,
    tree::{Command, List, Part, Redirection, What, When, Word},
    words::is_special,
};

/// What bash does itself, and this shell does not.
const BUILTINS: [&str; 53] = [
    ".", "alias", "bg", "bind", "break", "builtin", "caller", "cd", "command", "compgen", "complete", "compopt",
    "continue", "declare", "dirs", "disown", "enable", "exec", "exit", "export", "fc", "fg", "getopts", "hash", "help",
    "history", "jobs", "kill", "let", "local", "logout", "mapfile", "popd", "pushd", "pwd", "read", "readarray",
    "readonly", "return", "set", "shift", "shopt", "source", "suspend", "times", "trap", "type", "typeset", "ulimit",
    "umask", "unalias", "unset", "wait",
];

/// More commands than this are left to the real shell.
const MOST_STEPS: u32 = 10_000;

/// Where a stream goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sink {
    Out,
    Err,
    Nowhere,
}

/// What a command reads, shared with the commands that inherit it.
#[derive(Debug, Clone, Default)]
struct Input(Rc<(String, Cell<bool>)>);

impl Input {
    fn new(text: String) -> Self {
        Self(Rc::new((text, Cell::new(false))))
    }

    /// All of it. Who reads after another would get what the buffers of that one left.
    fn read(&self) -> Sure<String> {
        let (text, used) = &*self.0;
        if used.replace(true) && !text.is_empty() { Err(Unsure) } else { Ok(text.clone()) }
    }
}

/// The streams of a command.
#[derive(Debug)]
pub(super) struct Streams {
    stdin: Input,
    said: Said,
    /// Descriptor 1.
    out: Sink,
    /// Descriptor 2.
    err: Sink,
}

impl Default for Streams {
    fn default() -> Self {
        Self { stdin: Input::default(), said: Said::default(), out: Sink::Out, err: Sink::Err }
    }
}

impl Streams {
    fn reading(stdin: Input) -> Self {
        Self { stdin, ..Self::default() }
    }

    pub(super) fn said(self) -> Said {
        self.said
    }

    fn write(&mut self, to: Sink, text: &str) -> Sure<()> {
        match to {
            Sink::Out => self.said.stdout.push_str(text),
            Sink::Err => self.said.stderr.push_str(text),
            Sink::Nowhere => {}
        }
        if self.said.stdout.len().max(self.said.stderr.len()) > LONGEST { Err(Unsure) } else { Ok(()) }
    }

    pub(super) fn print(&mut self, text: &str) -> Sure<()> {
        self.write(self.out, text)
    }

    /// A message in the words of one version of one program: fit for people, not for a value.
    fn complain(&mut self, text: &str) -> Sure<()> {
        if self.err == Sink::Out { Err(Unsure) } else { self.write(self.err, text) }
    }
}

/// The state of a shell.
pub(super) struct Shell<'a> {
    machine: &'a dyn Machine,
    variables: BTreeMap<String, String>,
    /// `$?`
    status: i32,
    /// Of the last command substitution in the command being run.
    substituted: Option<i32>,
    steps: u32,
    depth: u32,
}

impl<'a> Shell<'a> {
    pub(super) fn new(machine: &'a dyn Machine, environment: &BTreeMap<String, String>) -> Self {
        Self { machine, variables: environment.clone(), status: 0, substituted: None, steps: 0, depth: 0 }
    }

    /// What bash gives for a variable.
    pub(super) fn variable(&self, name: &str) -> Sure<Option<String>> {
        match name {
            "?" => Ok(Some(self.status.to_string())),
            _ if is_special(name) => Err(Unsure),
            // bash may look it up in the user database.
            "HOME" if !self.variables.contains_key(name) => Err(Unsure),
            _ => Ok(self.variables.get(name).cloned()),
        }
    }

    pub(super) fn list(&mut self, list: &List, streams: &mut Streams) -> Sure<()> {
        for (when, pipeline) in &list.0 {
            let runs = match when {
                When::Always => true,
                When::Success => self.status == 0,
                When::Failure => self.status != 0,
            };
            if runs {
                self.pipeline(&pipeline.commands, streams)?;
                if pipeline.negated {
                    self.status = i32::from(self.status == 0);
                }
            }
        }
        Ok(())
    }

    fn pipeline(&mut self, commands: &[Command], streams: &mut Streams) -> Sure<()> {
        if let [only] = commands {
            return self.command(only, streams);
        }
        let mut stdin = streams.stdin.clone();
        let mut last = String::new();
        for command in commands {
            let mut own = Streams::reading(stdin);
            self.apart(|shell| shell.command(command, &mut own))?;
            if !own.said.stderr.is_empty() {
                streams.complain(&own.said.stderr)?;
            }
            last = own.said.stdout;
            stdin = Input::new(last.clone());
        }
        streams.print(&last)
    }

    /// Does `work` in a subshell, whose variables are lost after it.
    fn apart(&mut self, work: impl FnOnce(&mut Self) -> Sure<()>) -> Sure<()> {
        self.depth += 1;
        if self.depth > 50 {
            return Err(Unsure);
        }
        let variables = self.variables.clone();
        work(self)?;
        self.variables = variables;
        self.depth -= 1;
        Ok(())
    }

    /// What a command substitution stands for.
    pub(super) fn substitute(&mut self, list: &List, streams: &mut Streams) -> Sure<String> {
        let mut own = Streams::reading(streams.stdin.clone());
        self.apart(|shell| shell.list(list, &mut own))?;
        if list.0.is_empty() {
            self.status = 0;
        }
        self.substituted = Some(self.status);
        if !own.said.stderr.is_empty() {
            streams.complain(&own.said.stderr)?;
        }
        let output = own.said.stdout;
        Ok(output.trim_end_matches('\n').to_owned())
    }

    fn command(&mut self, command: &Command, streams: &mut Streams) -> Sure<()> {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Err(Unsure);
        }
        let before = (streams.out, streams.err, streams.stdin.clone());
        // bash expands the words before it redirects; the words it says something about go to the old streams.
        let simple = match &command.what {
            What::Simple { assignments, words } => {
                self.substituted = None;
                Some((assignments, self.fields(words, streams)?))
            }
            _ => None,
        };
        self.redirect(&command.redirections, streams)?;
        match (&command.what, simple) {
            (What::Simple { .. }, Some((assignments, words))) => self.simple(assignments, words, streams)?,
            (What::Group(list), _) => self.list(list, streams)?,
            (What::Subshell(list), _) => self.apart(|shell| shell.list(list, streams))?,
            (What::If { arms, otherwise }, _) => self.conditional(arms, otherwise, streams)?,
            (What::Simple { .. }, None) => return Err(Unsure),
        }
        (streams.out, streams.err, streams.stdin) = before;
        Ok(())
    }

    fn redirect(&mut self, redirections: &[Redirection], streams: &mut Streams) -> Sure<()> {
        for redirection in redirections {
            match redirection {
                Redirection::Null(0) => (streams.out, streams.err) = (Sink::Nowhere, Sink::Nowhere),
                Redirection::Null(1) => streams.out = Sink::Nowhere,
                Redirection::Null(_) => streams.err = Sink::Nowhere,
                Redirection::Copy { from: 2, to: 1 } => streams.err = streams.out,
                Redirection::Copy { from: 1, to: 2 } => streams.out = streams.err,
                Redirection::Copy { .. } => {}
                Redirection::Text(word) => streams.stdin = Input::new(self.text(word, streams)? + "\n"),
                Redirection::Nothing => streams.stdin = Input::default(),
            }
        }
        Ok(())
    }

    fn conditional(&mut self, arms: &[(List, List)], otherwise: &List, streams: &mut Streams) -> Sure<()> {
        for (condition, consequence) in arms {
            self.list(condition, streams)?;
            if self.status == 0 {
                return self.list(consequence, streams);
            }
        }
        self.status = 0;
        self.list(otherwise, streams)
    }

    fn simple(&mut self, assignments: &[(String, Word)], words: Vec<String>, streams: &mut Streams) -> Sure<()> {
        let Some((name, arguments)) = words.split_first() else {
            for (name, word) in assignments {
                if is_special(name) {
                    return Err(Unsure);
                }
                let value = self.text(word, streams)?;
                self.variables.insert(name.clone(), value);
            }
            self.status = self.substituted.unwrap_or(0);
            return Ok(());
        };
        if !assignments.iter().all(|(name, word)| is_harmless(name, word)) {
            return Err(Unsure);
        }
        let is_builtin = matches!(name.as_str(), ":" | "true" | "false" | "echo" | "printf" | "test" | "[" | "eval");
        if is_builtin && !assignments.is_empty() || BUILTINS.contains(&name.as_str()) {
            return Err(Unsure);
        }
        self.status = match name.as_str() {
            ":" | "true" => 0,
            "false" => 1,
            "echo" => {
                let text = print::echo(arguments)?;
                streams.print(&text)?;
                0
            }
            "printf" => {
                let text = print::printf(arguments)?;
                streams.print(&text)?;
                0
            }
            "test" => self.test(arguments)?,
            "[" => match arguments {
                [arguments @ .., last] if last == "]" => self.test(arguments)?,
                _ => return Err(Unsure),
            },
            "eval" => {
                let list = parse::parse(&arguments.join(" "))?;
                self.depth += 1;
                if self.depth > 50 {
                    return Err(Unsure);
                }
                self.list(&list, streams)?;
                self.depth -= 1;
                if list.0.is_empty() { 0 } else { self.status }
            }
            _ => self.program(&words, streams)?,
        };
        Ok(())
    }

    fn program(&mut self, words: &[String], streams: &mut Streams) -> Sure<i32> {
        let (name, arguments) = words.split_first().ok_or(Unsure)?;
        if let Some((output, code)) = self.machine.fact(words) {
            streams.print(&output)?;
            return Ok(code);
        }
        if self.machine.program(name) == Presence::Absent {
            let why = if name.contains('/') { "No such file or directory" } else { "command not found" };
            streams.complain(&format!("sh: line 1: {name}: {why}\n"))?;
            return Ok(127);
        }
        let tool = ["/usr/bin/", "/bin/"].iter().find_map(|folder| name.strip_prefix(folder)).unwrap_or(name);
        let done = tools::run(tool, arguments, &|| streams.stdin.read(), self.machine)?;
        streams.print(&done.stdout)?;
        if !done.complaint.is_empty() {
            streams.complain(&done.complaint)?;
        }
        Ok(done.code)
    }

    /// `test`: POSIX's rules by the number of arguments.
    fn test(&self, arguments: &[String]) -> Sure<i32> {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let holds = match words.as_slice() {
            [] => false,
            [one] => !one.is_empty(),
            ["!", one] => one.is_empty(),
            [operator, operand] => self.unary(operator, operand)?,
            [one, operator, other] => match binary(one, operator, other)? {
                Some(holds) => holds,
                None if *one == "!" => !self.unary(operator, other)?,
                None => return Err(Unsure),
            },
            ["!", one, operator, other] => !binary(one, operator, other)?.ok_or(Unsure)?,
            _ => return Err(Unsure),
        };
        Ok(i32::from(!holds))
    }

    fn unary(&self, operator: &str, operand: &str) -> Sure<bool> {
        match operator {
            "-n" => return Ok(!operand.is_empty()),
            "-z" => return Ok(operand.is_empty()),
            "-e" | "-a" | "-f" | "-d" | "-s" | "-r" | "-x" => {}
            _ => return Err(Unsure),
        }
        if operand.is_empty() {
            return Ok(false);
        }
        let Some(seen) = self.machine.look(operand)? else { return Ok(false) };
        Ok(match operator {
            "-f" => seen.is_file,
            "-d" => seen.is_folder,
            "-s" if seen.is_file => seen.size > 0,
            "-r" | "-x" => permission(seen.mode, if operator == "-r" { 0o4 } else { 0o1 })?,
            "-s" => return Err(Unsure),
            _ => true,
        })
    }
}

/// Is this a variable, with a value, that no fact and no tool here depends on?
fn is_harmless(name: &str, value: &Word) -> bool {
    match (name, value.0.as_slice()) {
        ("RPM_BUILD_ROOT" | "LANG" | "LC_ALL", []) => true,
        ("LANG" | "LC_ALL", [Part::Text { text, .. }]) => matches!(text.as_str(), "" | "C" | "POSIX" | "C.UTF-8"),
        _ => false,
    }
}

/// Whose file it is does not matter when everybody may, or nobody.
fn permission(mode: u32, bit: u32) -> Sure<bool> {
    match mode & (bit | bit << 3 | bit << 6) {
        0 => Ok(false),
        all if all == (bit | bit << 3 | bit << 6) => Ok(true),
        _ => Err(Unsure),
    }
}

/// None if there is no such operator.
fn binary(one: &str, operator: &str, other: &str) -> Sure<Option<bool>> {
    let number = |text: &str| -> Sure<i64> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { text.parse().map_err(|_| Unsure) } else { Err(Unsure) }
    };
    Ok(Some(match operator {
        "=" | "==" => one == other,
        "!=" => one != other,
        "-a" => !one.is_empty() && !other.is_empty(),
        "-o" => !one.is_empty() || !other.is_empty(),
        "-eq" => number(one)? == number(other)?,
        "-ne" => number(one)? != number(other)?,
        "-lt" => number(one)? < number(other)?,
        "-le" => number(one)? <= number(other)?,
        "-gt" => number(one)? > number(other)?,
        "-ge" => number(one)? >= number(other)?,
        "<" | ">" | "-nt" | "-ot" | "-ef" => return Err(Unsure),
        _ => return Ok(None),
    }))
}
