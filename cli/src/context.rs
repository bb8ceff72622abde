//! What every command starts from: where it runs, the project, the store, stage0, the key.

use std::{
    cell::OnceCell,
    path::{Path, PathBuf},
    sync::Arc,
};

use keel_artefact::{Arch, Epoch, Event, Interrupt, Interrupted, Sink};
use keel_config::{GitBase, Project};
use keel_host::stage0::{self, Stage0};
use keel_rpm::sign::{Certificates, Key};
use keel_store::{FolderLock, Store};

use crate::{
    args::{Form, Global, Signing},
    failure::{Class, Failure},
    terminal::Terminal,
};

/// One run of `keel`.
pub struct Context<'a> {
    /// Options of every command.
    pub global: Global,
    /// Told of progress.
    pub terminal: &'a Terminal,
    /// Set by Ctrl-C.
    pub interrupt: Interrupt,
    /// The folder that it runs in, absolute.
    pub directory: PathBuf,
    store: OnceCell<Store>,
}

impl<'a> Context<'a> {
    /// Reads what commands may not: the environment, and signals.
    pub fn new(global: Global, terminal: &'a Terminal) -> Result<Self, Failure> {
        let interrupt = Interrupt::default();
        for signal in [
            signal_hook::consts::SIGINT,
            signal_hook::consts::SIGTERM,
            signal_hook::consts::SIGHUP,
        ] {
            // A second Ctrl-C ends the run at once: the sandboxes die with this process.
            signal_hook::flag::register_conditional_shutdown(signal, 130, interrupt.flag())?;
            signal_hook::flag::register(signal, interrupt.flag())?;
        }
        // Writing more than the limit of a file's size is an error like that of a full disk, and not the end.
        signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default())?;
        let here = global.directory.clone().unwrap_or_else(|| PathBuf::from("."));
        let directory = fs_err::canonicalize(&here).map_err(|error| {
            Failure::because(Class::Input, format!("cannot work in {}", here.display()), &error)
        })?;
        Ok(Self {
            global,
            terminal,
            interrupt,
            directory,
            store: OnceCell::new(),
        })
    }

    /// The listener, as libraries want it.
    pub fn sink(&self) -> &dyn Sink {
        self.terminal
    }

    /// One run at a time writes a folder: waits for another one, and says what that does.
    pub fn lock_folder(&self, folder: &Path, does: &str) -> Result<FolderLock, Failure> {
        let mut waits = |owner: Option<u32>| {
            let owner = owner.map_or(String::new(), |process| format!(" (process {process})"));
            let text = format!("another keel{owner} {does} {}: waiting for it", folder.display());
            self.sink().event(Event::Note { text: &text });
        };
        let lock = FolderLock::take(folder, &self.interrupt, &mut waits)?;
        lock.ok_or_else(|| Interrupted.into())
    }

    /// Is JSON wanted?
    pub fn wants_json(&self) -> bool {
        self.global.output == Form::Json
    }

    /// The architecture to build for.
    pub fn arch(&self) -> Arch {
        self.global.arch
    }

    /// The project that the folder is in.
    pub fn project(&self) -> Result<Project, Failure> {
        Ok(keel_config::load_with(&self.directory, &|base| {
            self.checkout(base)
        })?)
    }

    /// The files of a base tree that is a commit of a repository.
    pub fn checkout(&self, base: &GitBase) -> Result<PathBuf, String> {
        let told = |failure: Failure| {
            let all: Vec<String> = failure
                .diagnostics
                .iter()
                .map(|one| one.message.clone())
                .collect();
            all.join("; ")
        };
        let store = self.store().map_err(told)?;
        let options = crate::pipeline::source_options(self).map_err(told)?;
        keel_source::dist_git::checkout(&base.git, &base.commit, store, &options, &self.interrupt).map_err(
            |error| {
                let mut text = error.to_string();
                let mut cause = std::error::Error::source(&error);
                while let Some(error) = cause {
                    text = format!("{text}: {error}");
                    cause = error.source();
                }
                text
            },
        )
    }

    /// The folder of the store.
    pub fn cache_dir(&self) -> Result<PathBuf, Failure> {
        if let Some(dir) = &self.global.cache_dir {
            return Ok(std::path::absolute(dir)?);
        }
        let of_user = |variable: &str| {
            std::env::var_os(variable)
                .map(PathBuf::from)
                .filter(|dir| dir.is_absolute())
        };
        let cache = of_user("XDG_CACHE_HOME").or_else(|| of_user("HOME").map(|home| home.join(".cache")));
        let cache = cache.ok_or_else(|| {
            Failure::new(
                Class::Environment,
                "no folder for the store: neither XDG_CACHE_HOME nor HOME is set",
            )
            .hint("name one with --cache-dir")
        })?;
        Ok(cache.join("keel"))
    }

    /// The store.
    pub fn store(&self) -> Result<&Store, Failure> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let dir = self.cache_dir()?;
        let opened = Store::open(&dir).map_err(|error| {
            Failure::because(
                Class::Environment,
                format!("cannot open the store in {}", dir.display()),
                &error,
            )
            .hint("name another folder with --cache-dir")
        })?;
        for left in opened.left() {
            let why = std::error::Error::source(left).map_or(String::new(), |why| format!(": {why}"));
            let text = format!("{left}{why} (removed by hand, it is told no more)");
            self.sink().event(keel_artefact::Event::Warning { text: &text });
        }
        Ok(self.store.get_or_init(|| opened))
    }

    /// The root that lends compiler and tools, made at first use.
    pub fn stage0(&self, project: &Project) -> Result<Stage0, Failure> {
        if project.stage0.suite.is_empty() {
            let failure =
                Failure::input("this project does not say which Debian suite lends compiler and tools");
            return Err(failure.hint("[keel.stage0]\n  suite = \"trixie\""));
        }
        let here = std::env::consts::ARCH;
        if self.arch().rpm() != here {
            let arch = self.arch();
            let text = format!(
                "this machine is {here}: what is built for {arch} is built on a machine of that kind"
            );
            let failure = Failure::new(Class::Environment, text);
            return Err(failure.hint(format!(
                "say `--arch {here}`; `keel spec` and `keel component render --macros DIR` read SPECs for any"
            )));
        }
        let wanted = stage0::Stage0Spec {
            suite: project.stage0.suite.clone(),
            mirror: self.mirror_of(&project.stage0.suite)?,
            arch: self.arch(),
            packages: project.stage0.packages.clone(),
            libc_dev_packages: project.stage0.libc_dev.clone(),
        };
        if self.global.offline && !stage0::is_prepared(self.store()?, &wanted) {
            let text = "stage0, the root that lends compiler and tools, is not in the store, and `--offline` fetches nothing";
            return Err(Failure::new(Class::Environment, text));
        }
        Ok(stage0::prepare(
            self.store()?,
            &wanted,
            self.sink(),
            &self.interrupt,
        )?)
    }

    /// Debian mirrors: the one asked for, else those of this machine's apt configuration.
    pub fn mirrors(&self) -> Result<keel_source::Mirrors, Failure> {
        let mirrors = crate::commands::source::apt_mirrors()?;
        Ok(mirrors.with_base(self.global.mirror.as_deref(), None))
    }

    /// Registries: the public ones, but for those that were named.
    pub fn registries(&self) -> Result<keel_source::Registries, Failure> {
        let mut registries = keel_source::Registries::public();
        for text in &self.global.registries {
            let wrong = |what: &str| {
                Failure::input(format!("`--registry {text}`: {what}"))
                    .hint("name one so: `--registry pypi=https://example.org/simple`")
            };
            let (name, url) = text.split_once('=').ok_or_else(|| wrong("there is no `=`"))?;
            let address = url.strip_prefix("sparse+").unwrap_or(url);
            if !address.starts_with("https://") {
                return Err(wrong("the address does not begin with `https://`"));
            }
            let place = match name {
                "crates" => &mut registries.crates,
                "pypi" => &mut registries.pypi,
                "npm" => &mut registries.npm,
                _ => return Err(wrong("there is no such registry")),
            };
            *place = Some(url.to_owned());
        }
        Ok(registries)
    }

    /// The mirror to make stage0 from.
    fn mirror_of(&self, suite: &str) -> Result<String, Failure> {
        self.mirrors()?.of(suite).first().cloned().ok_or_else(|| {
            Failure::new(
                Class::Environment,
                format!("no Debian mirror for `{suite}` in this machine's apt configuration"),
            )
            .hint("name one with --mirror")
        })
    }

    /// Now, for keys and caches; never for an artefact.
    pub fn now(&self) -> Epoch {
        let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Epoch(elapsed.map_or(0, |elapsed| elapsed.as_secs()))
    }

    /// The key to sign with: the one given, or this machine's development key, made at first use.
    pub fn key(&self, signing: &Signing) -> Result<Key, Failure> {
        let file = match &signing.key {
            Some(file) => self.directory.join(file),
            None => self.development_key()?,
        };
        if signing.key.is_none() && !file.exists() {
            // Of a run that was killed in between, or goes on at the same time; that run's secret key wins.
            let _ = fs_err::remove_file(format!("{}.pub.asc", file.display()));
            let made = crate::commands::key::write(self, &file, "Keel development key <keel@localhost>");
            if !file.exists() {
                made?;
            }
            let text = format!(
                "made a development signing key, {}; sign what others install with --key",
                file.display()
            );
            self.sink().event(keel_artefact::Event::Note { text: &text });
        }
        Key::load(&file, self.now()).map_err(|error| {
            Failure::because(
                Class::Input,
                format!("cannot sign with the key {}", file.display()),
                &error,
            )
            .hint("`keel key generate FILE` makes one")
        })
    }

    /// The certificates to trust: the one given, or the development key's.
    pub fn certificates(&self, given: Option<&Path>) -> Result<Certificates, Failure> {
        let (file, is_own) = match given {
            Some(file) => (self.directory.join(file), false),
            None => (self.development_key()?, true),
        };
        if is_own && !file.exists() {
            return Err(
                Failure::input("no certificate to trust: this machine has no development key")
                    .hint("name the public key with --certificate"),
            );
        }
        let read = || match is_own {
            true => Key::load(&file, self.now())?.certificates(self.now()),
            false => Certificates::load(&file, self.now()),
        };
        read().map_err(|error| {
            Failure::because(Class::Input, format!("cannot trust {}", file.display()), &error)
        })
    }

    fn development_key(&self) -> Result<PathBuf, Failure> {
        Ok(self.cache_dir()?.join("keys/development.key"))
    }
}
