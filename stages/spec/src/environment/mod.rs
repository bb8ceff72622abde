//! Macro environments: everything that is the same for all SPECs of a distribution, read once.
//!
//! Purpose: rpm reads some sixty macro files whenever it starts, which is half of what a question to `rpmspec` costs.
//! Here they are read once into a table that every evaluation takes a cheap copy of.
//!
//! Input: [`Options`]: a tree of macro files ([`Tree`]), a [`Target`], definitions of the caller, which rpm to follow.
//! Output: an [`Environment`], and what rpm would have said meanwhile.
//!
//! 1. `%{_target}` and its like are defined, for the target; the machine that this runs on has no part in it.
//! 2. `rpmrc` files are read ([`rpmrc`]), then macro files ([`order`]), then the caller's extra files.
//! 3. `%{optflags}` and the target's macros are set, for `rpmrc` and macro files may have set them differently.
//! 4. The caller's definitions are made, and taken away what he takes away.
//!
//! Which rpm to follow is told by the macros, where the caller does not say it (`release.rs`). [`assemble`] makes the tree of Azure Linux from a checkout of its SPECs.
//!
//! Never: the user's own macro files; the machine's processor, name or environment.

pub mod assemble;
mod fallback;
mod options;
mod order;
mod release;
mod rpmrc;
mod target;
mod tree;

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::macros::{Behaviour, Engine, Message, Severity, Table, level, text};

pub use assemble::Distribution;
pub use options::Options;
pub use rpmrc::Rpmrc;
pub use target::{ParseError as TargetError, Target};
pub use tree::{CONFIG, ETC, Tree};

/// The macros that all SPECs start with. A clone of the table is as good as free.
#[derive(Debug)]
pub struct Environment {
    /// The macros.
    pub table: Table,
    /// Which rpm is followed.
    pub behaviour: Behaviour,
    /// What is built for.
    pub target: Target,
    /// The architecture of the machine that builds.
    pub host: String,
    /// Architectures and their compiler flags.
    pub rpmrc: Rpmrc,
    /// What macros may read at `/usr/lib/rpm` and `/etc/rpm`.
    pub tree: Tree,
    /// What rpm would have said while it read all that.
    pub messages: Vec<Message>,
    /// What can be built on the host, with rpm's score.
    buildable: Vec<(String, u32)>,
}

impl Environment {
    /// Reads all that `options` name.
    pub fn load(options: &Options) -> Result<Self, Error> {
        let mut loading = Loading {
            options,
            engine: Engine::for_loading(Engine::builtins(options.behaviour), options.behaviour),
        };
        let vendor = loading.vendor();
        let vendor = vendor.as_deref();
        loading.set_target(false);
        let rpmrc = loading.read_rpmrc(vendor)?;
        loading.read_macros(vendor)?;
        loading.read_extra()?;
        loading.set_target(true);
        loading.set_optflags(&rpmrc);
        loading.apply_the_callers()?;
        Ok(Self {
            behaviour: options.behaviour,
            target: options.target.clone(),
            host: options.host().to_owned(),
            buildable: rpmrc.buildable_on(options.host()),
            rpmrc,
            tree: options.tree.clone(),
            messages: loading.engine.take_messages(),
            table: loading.engine.into_table().freeze(),
        })
    }

    /// How near `arch` is to the machine that builds: 1 is the same, more is further, 0 is that it cannot be built.
    pub fn machine_score(&self, arch: &str) -> u32 {
        let found = self
            .buildable
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(arch));
        found.map_or(0, |(_, score)| *score)
    }
}

/// An environment on its way.
struct Loading<'a> {
    options: &'a Options,
    engine: Engine,
}

impl Loading<'_> {
    fn warn(&mut self, text: String) {
        self.engine.say(Severity::Warning, text);
    }

    fn vendor(&mut self) -> Option<String> {
        if self.options.vendor.is_some() {
            return self.options.vendor.clone();
        }
        let vendors = order::vendors(&self.options.tree);
        if let [first, _, ..] = vendors.as_slice() {
            let all = vendors.join(", ");
            self.warn(format!(
                "several folders in {CONFIG} have macros ({all}): `{first}` is taken for the vendor's"
            ));
        }
        vendors.into_iter().next()
    }

    /// Defines what is asked of the target. rpm does so twice, and in between a macro file may do it too.
    fn set_target(&mut self, again: bool) {
        let target = &self.options.target;
        for (name, value) in [
            ("_target", target.to_string()),
            ("_target_cpu", target.cpu.clone()),
            ("_target_os", target.os.clone()),
        ] {
            if again {
                self.engine.pop(name);
            }
            self.engine.push(name, None, &value, level::RPMRC);
        }
    }

    fn read_rpmrc(&mut self, vendor: Option<&str>) -> Result<Rpmrc, Error> {
        let tree = &self.options.tree;
        let files = |path: &str| tree.read(path).map(|bytes| text::decode(&bytes).into_owned());
        let mut reader = rpmrc::Reader {
            rpmrc: Rpmrc::default(),
            host: self.options.host(),
            optflags: Vec::new(),
            errors: Vec::new(),
            ignored: Vec::new(),
            files: &files,
        };
        let paths = order::rpmrc_files(tree, vendor);
        if paths.is_empty() {
            reader.read("rpmrc", fallback::RPMRC);
        }
        for path in &paths {
            let bytes = tree
                .read(path)
                .map_err(|source| Error::read(Path::new(path), source))?;
            reader.read(path, &text::decode(&bytes));
        }
        for flags in &reader.optflags {
            self.engine.push("optflags", None, flags, level::RPMRC);
        }
        for error in reader.errors {
            self.engine.say(Severity::Error, error);
        }
        if self.options.behaviour == Behaviour::Rpm6 {
            for place in reader.ignored {
                self.engine
                    .say(Severity::Warning, format!("Ignoring macrofiles at {place}"));
            }
        }
        Ok(reader.rpmrc)
    }

    fn read_macros(&mut self, vendor: Option<&str>) -> Result<(), Error> {
        let Options {
            tree,
            target,
            behaviour,
            ..
        } = self.options;
        let files = order::macro_files(tree, vendor, target, *behaviour);
        let platform = format!("{CONFIG}/platform/{target}/macros");
        if !files.contains(&platform) {
            self.warn(format!("nothing says what {target} is: there is no {platform}"));
        }
        for path in files {
            let bytes = tree
                .read(&path)
                .map_err(|source| Error::read(Path::new(&path), source))?;
            self.engine.load_text(&path, &text::decode(&bytes));
        }
        Ok(())
    }

    fn read_extra(&mut self) -> Result<(), Error> {
        for path in self.options.extra_files()? {
            let bytes = fs_err::read(&path).map_err(|source| Error::read(&path, source))?;
            self.engine
                .load_text(&path.to_string_lossy(), &text::decode(&bytes));
        }
        Ok(())
    }

    /// The target's compiler flags. rpm 4.18 leaves the host's where the target has none; later ones ask what the host
    /// builds for.
    fn set_optflags(&mut self, rpmrc: &Rpmrc) {
        let of_target = rpmrc.optflags(&self.options.target.cpu);
        let flags = match self.options.behaviour {
            Behaviour::Rpm418 => of_target,
            _ => of_target.or_else(|| rpmrc.optflags(rpmrc.built_on(self.options.host()))),
        };
        if let Some(flags) = flags {
            self.engine.pop("optflags");
            self.engine.push("optflags", None, flags, level::RPMRC);
        }
    }

    fn apply_the_callers(&mut self) -> Result<(), Error> {
        for define in &self.options.defines {
            let before = self.engine.take_messages();
            let made = self.engine.define_option(define);
            let said = self.engine.take_messages();
            if made.is_err() {
                let why = said.into_iter().map(|message| message.text).collect::<Vec<_>>();
                return Err(Error::Define {
                    define: define.clone(),
                    why: why.join("; "),
                });
            }
            for message in before.into_iter().chain(said) {
                self.engine.say(message.severity, message.text);
            }
        }
        for name in &self.options.undefines {
            self.engine.pop(name.strip_prefix('%').unwrap_or(name));
        }
        Ok(())
    }
}

/// Why there is no macro environment.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read.
    #[error("cannot read macros from {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A folder holds no macros.
    #[error(
        "there are no macros in {folder}: it has no `macros` file, no `usr/lib/rpm`, and is no checkout of Azure Linux"
    )]
    NoMacros {
        /// Which.
        folder: PathBuf,
    },
    /// A definition of the caller cannot be made.
    #[error("cannot define `{define}`: {why}")]
    Define {
        /// What was to be defined.
        define: String,
        /// rpm's words.
        why: String,
    },
}

impl Error {
    fn read(path: &Path, source: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }
}

#[cfg(test)]
mod tests;
