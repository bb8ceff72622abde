//! What the TOML may hold: every table and key, described once, as data.
//!
//! From this description come the strict check of a file ([`crate::strict`]), how layers merge ([`crate::merge`]), the
//! JSON Schema ([`crate::schema`]) and the reference page. Adding a key starts here.

mod component;
mod image;
mod os;
mod overlay;
mod pattern;
mod project;
mod scripts;

pub(crate) use component::{COMPONENT, POOL_PATH};
pub(crate) use image::{DEFINITION, DISK, PARTITION};
pub(crate) use os::{OS, OS_DIR, OS_FILE, OS_GROUP, OS_MODULE, OS_SELINUX, OS_SERVICES, OS_USER};
pub(crate) use overlay::OVERLAY_FILE;
pub(crate) use pattern::{Fetched, GLOB, Pattern, REPOSITORY, is_macro_name, is_plain_name, not_fetched};
pub(crate) use project::ROOT;
pub(crate) use scripts::SCRIPT_TABLE;

/// A table.
#[derive(Debug)]
pub(crate) struct Table {
    /// Unique; the name of its schema.
    pub(crate) id: &'static str,
    /// Where it stands: `components.NAME.spec`; empty for a whole file. One place stands for all.
    pub(crate) path: &'static str,
    /// What to know about it, in Markdown.
    pub(crate) doc: &'static str,
    pub(crate) keys: &'static [Key],
    /// What else decides which keys there are.
    pub(crate) kinds: Option<&'static Kinds>,
}

impl Table {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// What messages call it: `image`, `component group`.
    pub(crate) fn noun(&self) -> String {
        self.id.replace('-', " ")
    }
}

/// A key of a table.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    /// What it means, in Markdown.
    pub(crate) doc: &'static str,
    pub(crate) required: bool,
    /// What holds where it is not said; empty: nothing in particular.
    pub(crate) default: &'static str,
    /// azldev does not know it.
    pub(crate) ours: bool,
    /// A thing may be in the list once.
    pub(crate) distinct: bool,
    pub(crate) merge: Merge,
}

/// A key of azldev's.
pub(crate) const fn key(name: &'static str, form: Form, doc: &'static str) -> Key {
    Key {
        name,
        form,
        doc,
        required: false,
        default: "",
        ours: false,
        distinct: false,
        merge: Merge::Natural,
    }
}

/// A key of Keel's own.
pub(crate) const fn ours(name: &'static str, form: Form, doc: &'static str) -> Key {
    let mut key = key(name, form, doc);
    key.ours = true;
    key
}

impl Key {
    pub(crate) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(crate) const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    pub(crate) const fn distinct(mut self) -> Self {
        self.distinct = true;
        self
    }

    pub(crate) const fn merge(mut self, merge: Merge) -> Self {
        self.merge = merge;
        self
    }
}

/// What a later layer does to an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merge {
    /// A table merges key by key; anything else takes the place of what was there.
    Natural,
    /// A list goes to the end of the one that was there.
    Append,
    /// Tables of an array are told apart by this key: those of the same name merge key by key, others are added.
    By(&'static str),
    /// As `Natural`, but an empty text says nothing, in every project.
    Said,
    /// It takes the place of what was there, even if it is empty.
    Always,
    /// Tables by name: entries merge key by key, in azldev's projects, too.
    Fields,
    /// Tables by name: a name occurs once in a tree.
    Union,
    /// Tables by name: an entry takes the place of the one that was there, whole.
    Entries,
    /// It is said once in a tree.
    Once,
    /// As `Natural`, but what a tree says is not for those that stand on it.
    Private,
}

impl Merge {
    /// Is a list added to the one that was there, unless it is written as `{ replace = […] }`?
    pub(crate) fn adds(self) -> bool {
        matches!(self, Self::Append | Self::By(_))
    }
}

/// The form of a value.
#[derive(Debug)]
pub(crate) enum Form {
    Text(&'static Pattern),
    Words(&'static [&'static str]),
    Flag,
    /// A string or, where the kind of its table says so, true or false.
    TextOrFlag,
    /// An integer of 0 or more.
    Whole,
    /// A number above 0.
    Number,
    List(&'static Form),
    /// One or several.
    OneOrMore(&'static Form),
    /// Names that people choose, with values of one form.
    Map(&'static Form),
    Table(&'static Table),
    /// Names that people choose, with tables.
    Named(&'static Table),
    /// An array of tables.
    Tables(&'static Table),
}

/// A table whose keys depend on one of them.
#[derive(Debug)]
pub(crate) struct Kinds {
    /// That key.
    pub(crate) tag: &'static str,
    pub(crate) kinds: &'static [Kind],
    /// azldev ignores the keys of other kinds.
    pub(crate) loose: bool,
}

/// One of the kinds.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) word: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) required: &'static [&'static str],
    pub(crate) optional: &'static [&'static str],
    pub(crate) ours: bool,
}

impl Kinds {
    /// Is the key one of a kind, and not of all?
    pub(crate) fn is_special(&self, key: &str) -> bool {
        self.kinds.iter().any(|kind| kind.has(key))
    }

    pub(crate) fn words(&self) -> Vec<&'static str> {
        self.kinds.iter().map(|kind| kind.word).collect()
    }
}

impl Kind {
    pub(crate) fn has(&self, key: &str) -> bool {
        self.required.contains(&key) || self.optional.contains(&key)
    }
}

const fn kind(
    word: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    doc: &'static str,
) -> Kind {
    Kind {
        word,
        doc,
        required,
        optional,
        ours: false,
    }
}

const fn our_kind(
    word: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    doc: &'static str,
) -> Kind {
    let mut kind = kind(word, required, optional, doc);
    kind.ours = true;
    kind
}
