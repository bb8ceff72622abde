//! The streams of a command.

use std::{cell::Cell, rc::Rc};

use super::{LONGEST, Said, Sure, Unsure};

/// Where a stream goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sink {
    Out,
    Err,
    Nowhere,
}

/// What a command reads, shared with the commands that inherit it.
#[derive(Debug, Clone, Default)]
pub(super) struct Input(Rc<(String, Cell<bool>)>);

impl Input {
    pub(super) fn new(text: String) -> Self {
        Self(Rc::new((text, Cell::new(false))))
    }

    /// All of it. Who reads after another would get what the buffers of that one left.
    pub(super) fn read(&self) -> Sure<String> {
        let (text, used) = &*self.0;
        if used.replace(true) && !text.is_empty() {
            Err(Unsure)
        } else {
            Ok(text.clone())
        }
    }
}

/// The streams of a command.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) stdin: Input,
    pub(super) said: Said,
    /// Descriptor 1.
    pub(super) out: Sink,
    /// Descriptor 2.
    pub(super) err: Sink,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            stdin: Input::default(),
            said: Said::default(),
            out: Sink::Out,
            err: Sink::Err,
        }
    }
}

impl Streams {
    pub(super) fn reading(stdin: Input) -> Self {
        Self {
            stdin,
            ..Self::default()
        }
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
        if self.said.stdout.len().max(self.said.stderr.len()) > LONGEST {
            Err(Unsure)
        } else {
            Ok(())
        }
    }

    pub(super) fn print(&mut self, text: &str) -> Sure<()> {
        self.write(self.out, text)
    }

    /// A message in the words of one version of one program: fit for people, not for a value.
    pub(super) fn complain(&mut self, text: &str) -> Sure<()> {
        if self.err == Sink::Out {
            Err(Unsure)
        } else {
            self.write(self.err, text)
        }
    }
}
