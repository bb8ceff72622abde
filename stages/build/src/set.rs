//! The layer of a set of packages: what depends on all packages of a root and on no single one. Made once for each set.
//!
//! 1. The loader's cache, without which no borrowed program finds its libraries beside Keel's libc.
//! 2. rpm's database, so that `rpm -q` in a root tells the truth about the Keel packages in it. stage0's rpm looks for it in
//!    `/var/lib/rpm`, which is a link to where Keel has it. It was all installed when the youngest package was built.
//! 3. If a package has scriptlets or triggers (none of Keel's has): what a real transaction of rpm makes of the set, as one
//!    tree instead of the packages' own; the users that scriptlets added; the [record](Changes) of what they did; and a digest of that tree
//!    and these users, which is an input of every build in the root: scriptlets may do other things each time. One job of one run makes
//!    it, under a [claim](keel_store::Claim).

use std::{
    collections::{BTreeMap, HashMap},
    io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use keel_artefact::{Epoch, Fingerprint, Sha256};
use keel_host::{ldconfig, rpmdb};
use keel_rpm::PackageInfo;
use keel_sandbox::{Limits, Sandbox};
use keel_store::Store;

use crate::{
    BuiltPackage, Error,
    job::Workshop,
    root::UNPACKED,
    scriptlets::{self, Changes, Seen},
};

/// Where stage0's rpm looks for the database, and what is there instead of a folder.
const DEBIAN_DATABASE: (&str, &str) = ("var/lib/rpm", "../../usr/lib/sysimage/rpm");
const CACHE: &str = "etc/ld.so.cache";
const LAYER: &str = "layer";
const INSTALLED: &str = "installed";
const RECORD: &str = "scriptlets.json";
/// The digest of what scriptlets made.
const DIGEST: &str = "scriptlets.sha256";

/// Files of rpm's database, by name.
type Database = BTreeMap<String, Vec<u8>>;
/// Files of users, by their path in the root.
type Users = BTreeMap<PathBuf, String>;

/// A set of packages.
pub(crate) struct Set<'a> {
    /// The packages, sorted by name.
    pub(crate) packages: &'a [BuiltPackage],
    /// The layers that their trees are.
    pub(crate) layers: &'a [PathBuf],
    /// Layers of stage0: the fixes, and what is below the packages.
    pub(crate) borrowed: &'a [PathBuf],
    /// A libc is among the packages.
    pub(crate) has_libc: bool,
    /// Debian's libc is below the packages.
    pub(crate) bootstrap_libc: bool,
}

/// Sets that rpm could not install, of one run: each job that needs one is told why, and none tries it again.
#[derive(Debug, Default)]
pub struct Refused(Mutex<HashMap<Sha256, Arc<Error>>>);

impl Refused {
    fn check(&self, key: &Sha256) -> Result<(), Error> {
        let refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match refused.get(key) {
            Some(error) => Err(Error::Before(Arc::clone(error))),
            None => Ok(()),
        }
    }

    /// The error itself, noted if it is one of the packages: another one may not come again.
    fn note(&self, key: &Sha256, error: Error) -> Error {
        if !matches!(error, Error::Transaction { .. } | Error::TooLarge { .. }) {
            return error;
        }
        let error = Arc::new(error);
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refused.insert(*key, Arc::clone(&error));
        Error::Before(error)
    }
}

/// What was made of it.
pub(crate) struct Made {
    /// The layer; on top of all packages.
    pub(crate) layer: PathBuf,
    /// Instead of the packages' own trees: what a transaction gave.
    pub(crate) installed: Option<(PathBuf, Changes)>,
}

/// What scriptlets made of a root of these packages.
pub(crate) fn seen(
    store: &Store,
    stage0: &Sha256,
    bootstrap_libc: bool,
    packages: &[BuiltPackage],
) -> Result<Seen, keel_store::Error> {
    if !packages.iter().any(|package| package.scriptlets) {
        return Ok(Seen::Nothing);
    }
    let Some(place) = store.existing_tree(&key(stage0, bootstrap_libc, packages)) else {
        return Ok(Seen::NotRun);
    };
    let file = place.join(DIGEST);
    let digest = fs_err::read_to_string(&file)?.parse();
    let digest = digest.map_err(|error| io::Error::other(format!("{}: {error}", file.display())))?;
    Ok(Seen::Made(digest))
}

impl Set<'_> {
    /// Its layer, from the store or made now.
    pub(crate) fn layer(&self, shop: &Workshop<'_>) -> Result<Made, Error> {
        let key = self.key(&shop.stage0.digest);
        // Scriptlets may do something else each time, and take theirs: one job of one run has them run, and all others use that.
        let is_to_install = self.packages.iter().any(|package| package.scriptlets)
            && shop.store.existing_tree(&key).is_none();
        let _claim = match is_to_install {
            true => Some(shop.claim_work(&key, "installs the same foreign packages")?),
            false => None,
        };
        shop.refused.check(&key)?;
        let place = (shop.store)
            .tree(&key, |folder| self.make(shop, folder))
            .map_err(|error| shop.refused.note(&key, error))?;
        let installed = place.join(INSTALLED);
        let installed = match installed.is_dir() {
            true => Some((installed, Changes::read(&place.join(RECORD))?)),
            false => None,
        };
        let layer = place.join(LAYER);
        Ok(Made { layer, installed })
    }

    fn key(&self, stage0: &Sha256) -> Sha256 {
        key(stage0, self.bootstrap_libc, self.packages)
    }

    fn make(&self, shop: &Workshop<'_>, folder: &Path) -> Result<(), Error> {
        let objects = self
            .packages
            .iter()
            .map(|package| shop.store.object(&package.rpm));
        let objects = objects.collect::<Result<Vec<_>, _>>()?;
        let infos = objects.iter().map(|object| keel_rpm::read(object));
        let infos = infos.collect::<Result<Vec<_>, _>>()?;
        for (package, info) in self.packages.iter().zip(&infos) {
            if !package.scriptlets && !info.scripts.is_empty() {
                // What they do would be in no fingerprint.
                let (package, scripts) = (info.nevra.clone(), info.scripts.clone());
                return Err(Error::Scriptlets { package, scripts });
            }
        }
        let clock = infos.iter().map(|info| info.build_time).max().unwrap_or(Epoch(0));
        let layer = folder.join(LAYER);
        let (cache, database) = if infos.iter().any(|info| !info.scripts.is_empty()) {
            let before = self.cache(shop, self.layers)?;
            let (database, users) = self.install(shop, folder, (&objects, &infos), clock, &before)?;
            let digest = scriptlets::digest(&folder.join(INSTALLED), &users, shop.interrupt)?;
            write(&folder.join(DIGEST), digest.to_hex().as_bytes())?;
            for (path, text) in users {
                write(&layer.join(path), text.as_bytes())?;
            }
            (self.cache(shop, &[folder.join(INSTALLED)])?, database)
        } else {
            // Two sandboxes that do not need each other.
            std::thread::scope(|scope| -> Result<_, Error> {
                let cache = scope.spawn(|| self.cache(shop, self.layers));
                let database = rpmdb::make(shop.stage0, shop.store, &objects, clock, shop.interrupt);
                let cache = cache
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                Ok((cache?, database?))
            })?
        };
        write(&layer.join(CACHE), &cache)?;
        for (name, bytes) in &database {
            write(&layer.join(&rpmdb::FOLDER[1..]).join(name), bytes)?;
        }
        let (link, target) = DEBIAN_DATABASE;
        fs_err::create_dir_all(layer.join(link).parent().unwrap_or(&layer))?;
        symlink(target, layer.join(link))?;
        Ok(keel_sandbox::hand_over(folder)?)
    }

    /// `/etc/ld.so.cache` for these layers over what is borrowed.
    fn cache(&self, shop: &Workshop<'_>, layers: &[PathBuf]) -> Result<Vec<u8>, Error> {
        let below = crate::root::below(self.borrowed, layers);
        let scratch = shop.store.temp_dir("ldconfig")?;
        Ok(ldconfig::cache(&below, &scratch, shop.interrupt)?)
    }

    /// A real transaction, into `installed` in `folder`. Gives rpm's database and the files of users that were changed.
    fn install(
        &self,
        shop: &Workshop<'_>,
        folder: &Path,
        (objects, infos): (&[PathBuf], &[PackageInfo]),
        clock: Epoch,
        cache: &[u8],
    ) -> Result<(Database, Users), Error> {
        let (installed, scratch) = (folder.join(INSTALLED), shop.store.temp_dir("transaction")?);
        let first = scratch.path().join("first");
        write(&first.join(CACHE), cache)?;
        fs_err::create_dir(&installed)?;
        keel_sandbox::hand_over(&first)?;
        keel_sandbox::hand_over(&installed)?;
        let stage0 = shop.stage0;
        // Nothing of the set is there before rpm puts it there; until then, rpm itself needs Debian's libc. Names in the
        // cache that are not there yet are passed over by either loader.
        let fix = if self.has_libc {
            &stage0.fix
        } else {
            &stage0.fix_bootstrap
        };
        let lowers = [&first, fix, &stage0.libc, &stage0.tools].map(PathBuf::clone);
        let mut sandbox = Sandbox::new(lowers.into());
        sandbox.upper = Some(installed.clone());
        sandbox.env = stage0.sandbox().env;
        sandbox.limits = Limits::of_a_build(0);
        let done = rpmdb::install(sandbox, shop.store, objects, clock, shop.interrupt);
        let done = done.map_err(|source| Error::Transaction {
            packages: with_scripts(infos),
            source: Box::new(source),
        })?;
        for text in &done.warnings {
            let text = format!("installing foreign packages into a build root: {text}");
            shop.sink.event(keel_artefact::Event::Warning { text: &text });
        }
        let (stop, with) = (shop.interrupt, with_scripts(infos));
        scriptlets::bound(&installed, stop)?;
        let users = scriptlets::users(&installed, &self.borrowed[0], self.layers, stop)?;
        let changes = Changes::of(&installed, self.layers, with, done.warnings, stop)?;
        scriptlets::settle(&installed, clock, stop)?;
        changes.write(&folder.join(RECORD))?;
        Ok((done.database, users))
    }
}

/// The packages say whether there is a libc among them, and so what is borrowed.
fn key(stage0: &Sha256, bootstrap_libc: bool, packages: &[BuiltPackage]) -> Sha256 {
    let mut key = Fingerprint::new("set-layer/3");
    key.add("unpacked", UNPACKED).add_digest("stage0", stage0);
    key.add("scripts", keel_rpm::SCRIPTS.0.to_le_bytes());
    key.add("bootstrap-libc", [u8::from(bootstrap_libc)]);
    for package in packages {
        key.add_digest("rpm", &package.rpm);
    }
    key.finish()
}

/// The packages with scriptlets, and which.
fn with_scripts(infos: &[PackageInfo]) -> BTreeMap<String, Vec<String>> {
    let with = infos.iter().filter(|info| !info.scripts.is_empty());
    with.map(|info| (info.nevra.to_string(), info.scripts.clone()))
        .collect()
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs_err::create_dir_all(path.parent().unwrap_or(path))?;
    Ok(fs_err::write(path, bytes)?)
}

#[cfg(test)]
mod tests;
