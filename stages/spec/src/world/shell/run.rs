//! Runs commands: lists, pipelines, redirections, and the built-ins that only look and print.

use std::collections::BTreeMap;

use super::{
    Machine, Presence, Sure, Unsure,
    condition::test,
    parse, print,
    streams::{Input, Sink, Streams},
    tools,
    tree::{Command, List, Part, Redirection, What, When, Word},
    words::is_special,
};

/// What bash does itself, and this shell does not.
const BUILTINS: &str = ". alias bg bind break builtin caller cd command compgen complete compopt continue declare dirs \
    disown enable exec exit export fc fg getopts hash help history jobs kill let local logout mapfile \
    popd pushd pwd read readarray readonly return set shift shopt source suspend times trap type typeset \
    ulimit umask unalias unset wait";

/// More commands than this are left to the real shell.
const MOST_STEPS: u32 = 10_000;

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
        Self {
            machine,
            variables: environment.clone(),
            status: 0,
            substituted: None,
            steps: 0,
            depth: 0,
        }
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
                // Values would be found before the streams change.
                if words.is_empty() && !assignments.is_empty() && !command.redirections.is_empty() {
                    return Err(Unsure);
                }
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

    fn simple(
        &mut self,
        assignments: &[(String, Word)],
        words: Vec<String>,
        streams: &mut Streams,
    ) -> Sure<()> {
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
        let is_builtin = matches!(
            name.as_str(),
            ":" | "true" | "false" | "echo" | "printf" | "test" | "[" | "eval"
        );
        if is_builtin && !assignments.is_empty() || BUILTINS.split(' ').any(|builtin| builtin == name) {
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
            "test" => test(self.machine, arguments)?,
            "[" => match arguments {
                [arguments @ .., last] if last == "]" => test(self.machine, arguments)?,
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
            let why = if name.contains('/') {
                "No such file or directory"
            } else {
                "command not found"
            };
            streams.complain(&format!("sh: line 1: {name}: {why}\n"))?;
            return Ok(127);
        }
        let tool = ["/usr/bin/", "/bin/"]
            .iter()
            .find_map(|folder| name.strip_prefix(folder))
            .unwrap_or(name);
        let done = tools::run(tool, arguments, &|| streams.stdin.read(), self.machine)?;
        streams.print(&done.stdout)?;
        if !done.complaint.is_empty() {
            streams.complain(&done.complaint)?;
        }
        Ok(done.code)
    }
}

/// Is this a variable, with a value, that no fact and no tool here depends on?
fn is_harmless(name: &str, value: &Word) -> bool {
    match (name, value.0.as_slice()) {
        ("RPM_BUILD_ROOT" | "LANG" | "LC_ALL", []) => true,
        ("LANG" | "LC_ALL", [Part::Text { text, .. }]) => {
            matches!(text.as_str(), "" | "C" | "POSIX" | "C.UTF-8")
        }
        _ => false,
    }
}
