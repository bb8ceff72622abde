//! Macros by name, each a stack of definitions; what a whole distribution shares is shared.

use std::{collections::BTreeMap, sync::Arc};

use rustc_hash::FxHashMap as HashMap;

use super::builtins::Builtin;

/// Where a definition comes from, as rpm numbers it; definitions inside a parametric macro count up from 1.
pub mod level {
    /// Built into the engine.
    pub const BUILTIN: i32 = -20;
    /// A macro file.
    pub const MACROFILES: i32 = -13;
    /// rpmrc and the target.
    pub const RPMRC: i32 = -11;
    /// Defined by the caller (`--define`).
    pub const CMDLINE: i32 = -7;
    /// A tag of the SPEC.
    pub const SPEC: i32 = -3;
    /// `%global`, and `%define` outside of any macro.
    pub const GLOBAL: i32 = 0;
}

/// What a macro stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    /// Text that is expanded.
    Text(Arc<str>),
    /// Text that is not.
    Literal(Arc<str>),
    /// A function of the engine.
    Builtin(Builtin),
}

/// One definition of a macro.
#[derive(Debug)]
pub struct Definition {
    pub(crate) name: Arc<str>,
    /// The options of a parametric macro, as getopt takes them.
    pub(crate) options: Option<Box<str>>,
    pub(crate) body: Body,
    pub(crate) level: i32,
    /// An argument of the parametric macro that is being expanded: not seen by macros called from it.
    pub(crate) automatic: bool,
    /// The body holds quotes (ASCII 31) that split arguments; since rpm 4.19.
    pub(crate) quoted: bool,
    /// Where it was defined, if in a file.
    pub(crate) place: Option<super::Place>,
    used: std::sync::atomic::AtomicBool,
}

impl Definition {
    pub(crate) fn new(name: &str, options: Option<&str>, body: Body, level: i32) -> Self {
        Self {
            name: name.into(),
            options: options.map(Into::into),
            body,
            level,
            automatic: false,
            quoted: false,
            place: None,
            used: false.into(),
        }
    }

    /// The text; what rpm shows for a built-in.
    pub fn text(&self) -> &str {
        match &self.body {
            Body::Text(text) | Body::Literal(text) => text,
            Body::Builtin(_) => "<builtin>",
        }
    }

    /// Where it comes from ([`level`]).
    pub fn level(&self) -> i32 {
        self.level
    }

    /// Does it take arguments?
    pub fn is_parametric(&self) -> bool {
        self.options.is_some()
    }

    pub(crate) fn is_builtin(&self) -> bool {
        matches!(self.body, Body::Builtin(_))
    }

    pub(crate) fn mark_used(&self) {
        self.used.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    pub(crate) fn is_used(&self) -> bool {
        self.used.load(std::sync::atomic::Ordering::Relaxed)
    }
}

type Stack = Vec<Arc<Definition>>;

/// All macros. A clone of it is as good as free, and changes of a clone are its own.
#[derive(Debug, Clone, Default)]
pub struct Table {
    shared: Arc<HashMap<Arc<str>, Stack>>,
    /// Names touched since; an empty stack hides the shared one.
    own: HashMap<Arc<str>, Stack>,
    /// Names that have, or had, a definition of a level above 0.
    scoped: Vec<Arc<str>>,
}

impl Table {
    /// The definition that counts.
    pub fn get(&self, name: &str) -> Option<&Arc<Definition>> {
        let stack = match self.own.get(name) {
            Some(stack) => stack,
            None => self.shared.get(name)?,
        };
        stack.last()
    }

    pub(crate) fn push(&mut self, definition: Definition) {
        if definition.level > level::GLOBAL {
            self.scoped.push(definition.name.clone());
        }
        let definition = Arc::new(definition);
        self.own_stack(&definition.name).push(definition);
    }

    /// Takes the definition that counts away; gives the one before it.
    pub(crate) fn pop(&mut self, name: &str) -> Option<&Arc<Definition>> {
        self.get(name)?;
        let name: Arc<str> = name.into();
        let stack = self.own_stack(&name);
        stack.pop();
        stack.last()
    }

    fn own_stack(&mut self, name: &Arc<str>) -> &mut Stack {
        if !self.own.contains_key(name) {
            let stack = self.shared.get(name).cloned().unwrap_or_default();
            self.own.insert(name.clone(), stack);
        }
        self.own.get_mut(name).expect("inserted above")
    }

    /// Names whose definition has at least this level (above 0), sorted.
    pub(crate) fn scoped(&self, level: i32) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self
            .scoped
            .iter()
            .filter(|name| self.get(name).is_some_and(|macro_| macro_.level >= level))
            .cloned()
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Forgets names that have no definition of a level above 0 any more.
    pub(crate) fn tidy_scoped(&mut self) {
        let mut scoped = std::mem::take(&mut self.scoped);
        scoped.retain(|name| self.get(name).is_some_and(|macro_| macro_.level > level::GLOBAL));
        self.scoped = scoped;
    }

    /// The same macros, made cheap to clone.
    pub fn freeze(mut self) -> Self {
        if !self.own.is_empty() {
            let mut all = Arc::unwrap_or_clone(self.shared);
            for (name, stack) in self.own.drain() {
                match stack.is_empty() {
                    true => all.remove(&name),
                    false => all.insert(name, stack),
                };
            }
            self.shared = Arc::new(all);
        }
        self
    }

    /// The definitions that count, by name.
    pub fn sorted(&self) -> BTreeMap<&str, &Arc<Definition>> {
        let own = self.own.keys();
        let shared = self.shared.keys().filter(|name| !self.own.contains_key(*name));
        own.chain(shared)
            .filter_map(|name| Some((&**name, self.get(name)?)))
            .collect()
    }
}
