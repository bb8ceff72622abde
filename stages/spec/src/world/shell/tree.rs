//! A command as a tree.

/// Pipelines, each run if what came before it allows.
#[derive(Debug, Default, PartialEq)]
pub(super) struct List(pub(super) Vec<(When, Pipeline)>);

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum When {
    Always,
    /// `&&`
    Success,
    /// `||`
    Failure,
}

#[derive(Debug, PartialEq)]
pub(super) struct Pipeline {
    /// `!`
    pub(super) negated: bool,
    pub(super) commands: Vec<Command>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Command {
    pub(super) what: What,
    pub(super) redirections: Vec<Redirection>,
}

#[derive(Debug, PartialEq)]
pub(super) enum What {
    Simple {
        assignments: Vec<(String, Word)>,
        words: Vec<Word>,
    },
    /// `{ …; }`
    Group(List),
    /// `( … )`
    Subshell(List),
    If {
        /// Condition and consequence.
        arms: Vec<(List, List)>,
        otherwise: List,
    },
}

#[derive(Debug, PartialEq)]
pub(super) enum Redirection {
    /// `N>/dev/null`
    Null(u8),
    /// `N>&M`
    Copy { from: u8, to: u8 },
    /// `<<< word`
    Text(Word),
    /// `</dev/null`
    Nothing,
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Word(pub(super) Vec<Part>);

#[derive(Debug, PartialEq)]
pub(super) enum Part {
    Text {
        text: String,
        quoted: bool,
    },
    /// `$name`, `${name…}`
    Parameter {
        name: String,
        change: Change,
        quoted: bool,
    },
    /// `$(…)`, `` `…` ``
    Command {
        list: List,
        quoted: bool,
    },
}

/// What `${…}` does with the value.
#[derive(Debug, PartialEq)]
pub(super) enum Change {
    None,
    /// `${#v}`
    Length,
    /// `${v:offset:length}`
    Slice {
        offset: usize,
        length: Option<usize>,
    },
    /// `${v-word}`, `${v:-word}`
    Default {
        word: Word,
        even_empty: bool,
    },
    /// `${v+word}`, `${v:+word}`
    Alternative {
        word: Word,
        even_empty: bool,
    },
    /// `${v#pattern}`, `${v##pattern}`, `${v%pattern}`, `${v%%pattern}`
    Strip {
        pattern: Word,
        longest: bool,
        at_end: bool,
    },
    /// `${v/pattern/with}`, `${v//pattern/with}`
    Replace {
        pattern: Word,
        with: Word,
        all: bool,
    },
    /// `${v,,}`
    Lower,
    /// `${v^^}`
    Upper,
}
