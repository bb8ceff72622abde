//! Expansion of words: parameters, commands, splitting.

use super::{
    LONGEST, Sure, Unsure,
    glob::{self, Glob},
    run::Shell,
    streams::Streams,
    tree::{Change, Part, Word},
};

/// Variables that bash sets, reads or treats in a way of its own. (bash(1), "Shell Variables", and readline's, locale's.)
const SPECIAL: &str = "_ CDPATH CHILD_MAX COLUMNS COPROC DIRSTACK EMACS ENV EUID EXECIGNORE FCEDIT FIGNORE FUNCNAME \
    FUNCNEST GLOBIGNORE GLOBSORT GROUPS HISTCMD HISTCONTROL HISTFILE HISTSIZE HOSTFILE HOSTNAME HOSTTYPE \
    IFS IGNOREEOF INPUTRC INSIDE_EMACS LANG LINENO LINES MACHTYPE MAIL MAILCHECK MAILPATH MAPFILE OLDPWD \
    OPTARG OPTERR OPTIND OSTYPE PATH PIPESTATUS POSIXLY_CORRECT PPID PWD RANDOM REPLY SECONDS SHELL \
    SHELLOPTS SHLVL SRANDOM TERM TZ UID";

/// And all that begin with one of these.
const PREFIXES: &str = "BASH COMP_ COMPREPLY EPOCH HIST LC_ PROMPT_ PS READLINE_ TIMEFORMAT TMOUT";

/// Does bash have its own idea of this variable?
pub(super) fn is_special(name: &str) -> bool {
    SPECIAL.split(' ').any(|special| special == name)
        || PREFIXES.split(' ').any(|prefix| name.starts_with(prefix))
}

impl Shell<'_> {
    /// The words of a command, after splitting.
    pub(super) fn fields(&mut self, words: &[Word], streams: &mut Streams) -> Sure<Vec<String>> {
        let mut fields = Vec::new();
        for word in words {
            // The field being filled; none yet, or none left after a split.
            let mut open: Option<String> = None;
            for part in &word.0 {
                let (text, quoted) = self.part(part, streams)?;
                if quoted || matches!(part, Part::Text { .. }) {
                    open.get_or_insert_default().push_str(&text);
                    continue;
                }
                if text.contains(['*', '?', '[', '\\']) {
                    return Err(Unsure);
                }
                let is_blank = |c| matches!(c, ' ' | '\t' | '\n');
                if text.starts_with(is_blank) {
                    fields.extend(open.take());
                }
                let mut pieces = text.split(is_blank).filter(|piece| !piece.is_empty()).peekable();
                while let Some(piece) = pieces.next() {
                    open.get_or_insert_default().push_str(piece);
                    if pieces.peek().is_some() || text.ends_with(is_blank) {
                        fields.extend(open.take());
                    }
                }
            }
            fields.extend(open);
        }
        self.within_limits(&fields)?;
        Ok(fields)
    }

    fn within_limits(&self, fields: &[String]) -> Sure<()> {
        let size: usize = fields.iter().map(|field| field.len() + 1).sum();
        // Each argument of a program may have 128 KiB (execve(2)).
        if size > LONGEST || fields.iter().any(|field| field.len() > 100_000) {
            Err(Unsure)
        } else {
            Ok(())
        }
    }

    /// A word as one text: the value of an assignment, or what is in double quotes.
    pub(super) fn text(&mut self, word: &Word, streams: &mut Streams) -> Sure<String> {
        let mut all = String::new();
        for part in &word.0 {
            all.push_str(&self.part(part, streams)?.0);
        }
        if all.len() > LONGEST { Err(Unsure) } else { Ok(all) }
    }

    /// A word as a pattern: what is quoted stands for itself.
    fn glob(&mut self, word: &Word, streams: &mut Streams) -> Sure<Glob> {
        let mut marked = Vec::new();
        for part in &word.0 {
            let (text, quoted) = self.part(part, streams)?;
            marked.extend(text.bytes().map(|byte| (byte, quoted)));
        }
        Glob::parse(&marked)
    }

    /// The value of a part, and whether it is protected from splitting.
    fn part(&mut self, part: &Part, streams: &mut Streams) -> Sure<(String, bool)> {
        Ok(match part {
            Part::Text { text, quoted } => (text.clone(), *quoted),
            Part::Command { list, quoted } => (self.substitute(list, streams)?, *quoted),
            Part::Parameter { name, change, quoted } => {
                let value = self.variable(name)?;
                (self.change(value, change, streams)?, *quoted)
            }
        })
    }

    fn change(&mut self, value: Option<String>, change: &Change, streams: &mut Streams) -> Sure<String> {
        let is_set = value.is_some();
        let value = value.unwrap_or_default();
        Ok(match change {
            Change::None => value,
            Change::Length => value.len().to_string(),
            Change::Slice { offset, length } => {
                let rest = value.get(*offset..).unwrap_or_default();
                rest[..length.unwrap_or(rest.len()).min(rest.len())].to_owned()
            }
            Change::Default { word, even_empty } => {
                if is_set && !(*even_empty && value.is_empty()) {
                    value
                } else {
                    self.text(word, streams)?
                }
            }
            Change::Alternative { word, even_empty } => {
                if is_set && !(*even_empty && value.is_empty()) {
                    self.text(word, streams)?
                } else {
                    String::new()
                }
            }
            Change::Strip {
                pattern,
                longest,
                at_end,
            } => {
                let pattern = self.glob(pattern, streams)?;
                glob::strip(&value, &pattern, *longest, *at_end)?.to_owned()
            }
            Change::Replace { pattern, with, all } => {
                let pattern = self.glob(pattern, streams)?;
                let with = self.text(with, streams)?;
                glob::replace(&value, &pattern, &with, *all)?
            }
            Change::Lower => value.to_ascii_lowercase(),
            Change::Upper => value.to_ascii_uppercase(),
        })
    }
}
