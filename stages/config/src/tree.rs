//! A file as a tree of values, each with its place.
//!
//! Values are shared, not copied: 7,000 components that say nothing of their own cost little.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    ops::Range,
    path::{Component as Part, Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

use toml::de::{DeTable, DeValue};

use crate::{Diagnostic, Excerpt, Location};

/// A place: a file by its number, and bytes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) file: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// A value with its place.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) at: Place,
    pub(crate) data: Data,
}

#[derive(Debug, Clone)]
pub(crate) enum Data {
    Text(Arc<str>),
    Whole(i64),
    Number(f64),
    Flag(bool),
    Date(Arc<str>),
    List(Arc<Vec<Value>>),
    Table(Arc<Entries>),
}

/// What a table holds.
pub(crate) type Entries = BTreeMap<Arc<str>, Entry>;

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Where the key stands.
    pub(crate) key: Place,
    pub(crate) value: Value,
}

impl Value {
    pub(crate) fn entries(&self) -> Option<&Entries> {
        match &self.data {
            Data::Table(entries) => Some(entries),
            _ => None,
        }
    }

    pub(crate) fn items(&self) -> Option<&[Value]> {
        match &self.data {
            Data::List(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value below, by keys.
    pub(crate) fn get(&self, path: &[&str]) -> Option<&Value> {
        path.iter()
            .try_fold(self, |value, key| Some(&value.entries()?.get(*key)?.value))
    }

    /// A table without entries.
    pub(crate) fn empty(at: Place) -> Self {
        Self {
            at,
            data: Data::Table(Arc::default()),
        }
    }

    /// What azldev's merging takes for nothing said.
    pub(crate) fn is_zero(&self) -> bool {
        match &self.data {
            Data::Text(text) | Data::Date(text) => text.is_empty(),
            Data::Whole(number) => *number == 0,
            Data::Number(number) => *number == 0.0,
            Data::Flag(flag) => !flag,
            Data::List(items) => items.is_empty(),
            Data::Table(_) => false,
        }
    }

    /// How messages call its type.
    pub(crate) fn kind(&self) -> &'static str {
        match self.data {
            Data::Text(_) => "a string",
            Data::Whole(_) => "an integer",
            Data::Number(_) => "a float",
            Data::Flag(_) => "a boolean",
            Data::Date(_) => "a date",
            Data::List(_) => "an array",
            Data::Table(_) => "a table",
        }
    }
}

/// A TOML file, read.
#[derive(Debug)]
pub(crate) struct Source {
    /// Absolute.
    pub(crate) path: PathBuf,
    /// As people should see it.
    pub(crate) shown: PathBuf,
    pub(crate) text: String,
    /// Its tree: 0 is the project's own, others are trees it stands on.
    pub(crate) tree: usize,
    lines: Vec<u32>,
}

impl Source {
    pub(crate) fn new(path: PathBuf, shown: PathBuf, text: String, tree: usize) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0)
            .chain(ends.map(|(at, _)| number(at + 1)))
            .collect();
        Self {
            path,
            shown,
            text,
            tree,
            lines,
        }
    }

    fn line(&self, start: u32) -> usize {
        self.lines
            .partition_point(|line| *line <= start)
            .saturating_sub(1)
    }

    fn location(&self, at: Place) -> Location {
        let line = self.line(at.start);
        let from = self.lines[line] as usize;
        let before = self.text.get(from..at.start as usize).unwrap_or("");
        Location {
            file: self.shown.clone(),
            line: number(line + 1),
            column: number(before.chars().count() + 1),
        }
    }

    fn excerpt(&self, at: Place) -> Excerpt {
        let location = self.location(at);
        let from = self.lines[self.line(at.start)] as usize;
        let text = self.text.get(from..).unwrap_or("");
        let part = self
            .text
            .get(at.start as usize..at.end as usize)
            .unwrap_or("")
            .lines()
            .next()
            .unwrap_or("");
        Excerpt {
            text: text.lines().next().unwrap_or("").to_owned(),
            column: location.column,
            width: number(part.trim_end().chars().count().max(1)),
        }
    }
}

/// All files, by number. Files that a table names are added while it is read.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    files: RefCell<Vec<Rc<Source>>>,
    /// By tree: whether what a later layer says always wins, be it empty or false.
    explicit: RefCell<Vec<bool>>,
    /// By tree: its folder.
    roots: RefCell<Vec<PathBuf>>,
}

impl Sources {
    pub(crate) fn add(&self, source: Source) -> u32 {
        let mut files = self.files.borrow_mut();
        files.push(Rc::new(source));
        number(files.len() - 1)
    }

    pub(crate) fn get(&self, file: u32) -> Rc<Source> {
        Rc::clone(&self.files.borrow()[file as usize])
    }

    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        let files = self.files.borrow();
        files.iter().map(|source| source.path.clone()).collect()
    }

    /// The number of the next tree, whose folder is `root`.
    pub(crate) fn add_tree(&self, root: PathBuf, explicit: bool) -> usize {
        self.roots.borrow_mut().push(root);
        let mut trees = self.explicit.borrow_mut();
        trees.push(explicit);
        trees.len() - 1
    }

    pub(crate) fn set_explicit(&self, tree: usize, explicit: bool) {
        if let Some(is_explicit) = self.explicit.borrow_mut().get_mut(tree) {
            *is_explicit = explicit;
        }
    }

    pub(crate) fn tree(&self, at: Place) -> usize {
        self.files.borrow()[at.file as usize].tree
    }

    /// What is laid over what: a base before the tree that stands on it, a file before those that it includes.
    pub(crate) fn order(&self, at: Place) -> (std::cmp::Reverse<usize>, Place) {
        (std::cmp::Reverse(self.tree(at)), at)
    }

    /// Does `path` lie in the tree that says it, links followed? What is not there does by its name.
    pub(crate) fn is_inside(&self, at: Place, path: &Path) -> bool {
        let roots = self.roots.borrow();
        let Some(root) = roots.get(self.tree(at)) else {
            return false;
        };
        let real = |path: &Path| fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        real(path).starts_with(real(root))
    }

    pub(crate) fn is_explicit(&self, at: Place) -> bool {
        let tree = self.tree(at);
        self.explicit.borrow().get(tree).copied().unwrap_or(true)
    }

    pub(crate) fn location(&self, at: Place) -> Location {
        self.get(at.file).location(at)
    }

    pub(crate) fn resolve(&self, at: Place, path: &str) -> PathBuf {
        normalise(&self.folder(at).join(path))
    }

    /// The folder of the file.
    pub(crate) fn folder(&self, at: Place) -> PathBuf {
        let source = self.get(at.file);
        source.path.parent().unwrap_or(Path::new("/")).to_owned()
    }

    /// A diagnostic about a place.
    pub(crate) fn wrong(&self, at: Place, message: impl Into<String>) -> Diagnostic {
        let source = self.get(at.file);
        Diagnostic::new(message)
            .at(source.location(at))
            .excerpt(Some(source.excerpt(at)))
    }
}

/// Drops `.` and resolves `..` by name.
pub(crate) fn normalise(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Part::CurDir => {}
            Part::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

/// Deeper than any table of the model; it bounds what recursion meets.
const MOST_DEPTH: usize = 64;

/// The tree of file `file`, and its syntax errors.
pub(crate) fn parse(sources: &Sources, file: u32) -> Result<Value, Vec<Diagnostic>> {
    let source = sources.get(file);
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    let mut wrong: Vec<Diagnostic> = (errors.iter())
        .map(|error| {
            let span = error.span().unwrap_or(0..0);
            let message = format!("not valid TOML: {}", error.message());
            sources.wrong(place(&source, file, span), message)
        })
        .collect();
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let reading = Reading {
        source: &source,
        file,
    };
    match reading.table(table.get_ref(), 0) {
        Ok(entries) => Ok(Value {
            at: Place {
                file,
                start: 0,
                end: 0,
            },
            data: entries,
        }),
        Err(at) => {
            let message = format!("more than {MOST_DEPTH} tables and arrays are nested here");
            wrong.push(sources.wrong(at, message));
            Err(wrong)
        }
    }
}

/// Never inside a character.
fn place(source: &Source, file: u32, span: Range<usize>) -> Place {
    let text = &source.text;
    let inside = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        number(at)
    };
    Place {
        file,
        start: inside(span.start),
        end: inside(span.end),
    }
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

struct Reading<'s> {
    source: &'s Source,
    file: u32,
}

impl Reading<'_> {
    fn table(&self, table: &DeTable<'_>, depth: usize) -> Result<Data, Place> {
        let mut entries = Entries::new();
        for (key, value) in table.iter() {
            let at = place(self.source, self.file, key.span());
            let value = self.value(value.get_ref(), value.span(), depth + 1)?;
            entries.insert(key.get_ref().as_ref().into(), Entry { key: at, value });
        }
        Ok(Data::Table(Arc::new(entries)))
    }

    fn value(&self, value: &DeValue<'_>, span: Range<usize>, depth: usize) -> Result<Value, Place> {
        let at = place(self.source, self.file, span);
        if depth > MOST_DEPTH {
            return Err(at);
        }
        let data = match value {
            DeValue::String(text) => Data::Text(text.as_ref().into()),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Data::Whole(number),
                Err(_) => Data::Number(f64::INFINITY),
            },
            DeValue::Float(number) => Data::Number(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(flag) => Data::Flag(*flag),
            DeValue::Datetime(date) => Data::Date(date.to_string().into()),
            DeValue::Array(items) => {
                let items: Result<Vec<Value>, Place> = (items.iter())
                    .map(|item| self.value(item.get_ref(), item.span(), depth + 1))
                    .collect();
                Data::List(Arc::new(items?))
            }
            DeValue::Table(table) => self.table(table, depth)?,
        };
        Ok(Value { at, data })
    }
}
