//! What a SPEC can see while it is read, and the digest of that.
//!
//! A SPEC sees itself, the files beside it up to [`MOST_BYTES`] (for `%include`, `%(cat …)` and the like; no folders: rpm's
//! `SOURCES` is flat), the distribution's macro files, and stage0. All of it is in the key of the memo.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use keel_artefact::{Arch, Fingerprint, RootPath, Sha256};
use keel_config::{Component, Project};

use crate::{Additions, Error};

/// Files beyond this size beside a SPEC are sources to unpack, not to include; reading a SPEC does not see them.
pub(crate) const MOST_BYTES: u64 = 4 << 20;

/// One SPEC to be read.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The SPEC, inside. The files beside it are its sources.
    pub(crate) spec: RootPath,
    /// Macros to define.
    pub(crate) defines: BTreeMap<String, String>,
    /// Macros to undefine.
    pub(crate) undefines: Vec<String>,
    /// The counter that `%dist` ends with; 0 is none.
    pub(crate) rebuild: u32,
}

/// Macro files, read.
pub(crate) struct Macros {
    files: Vec<(String, Vec<u8>)>,
    pub(crate) digest: Sha256,
}

impl Macros {
    pub(crate) fn read(project: &Project) -> Result<Self, Error> {
        let mut print = Fingerprint::new(crate::MACROS_PROTOCOL);
        let mut files = Vec::new();
        for path in &project.macros {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let bytes = fs_err::read(path)?;
            print.add(&name, &bytes);
            files.push((name, bytes));
        }
        Ok(Self {
            files,
            digest: print.finish(),
        })
    }
}

/// One component, with everything that its SPEC can see.
pub(crate) struct Inputs<'a> {
    pub(crate) component: &'a Component,
    /// The SPEC. Absolute.
    pub(crate) spec_file: PathBuf,
    /// The SPEC's text; what is not UTF-8 is replaced, for messages only.
    pub(crate) text: String,
    pub(crate) spec_digest: Sha256,
    pub(crate) key: Sha256,
    pub(crate) request: Request,
    /// The SPEC and what lies beside it, by name: kept, so that what is evaluated is what the key was made of.
    files: Vec<(String, Vec<u8>)>,
}

/// What all components have in common.
pub(crate) struct Surroundings<'a> {
    pub(crate) macros: &'a Macros,
    pub(crate) arch: Arch,
    pub(crate) stage0: Sha256,
    /// The folder of the SPECs' folders, inside.
    pub(crate) base: &'a RootPath,
}

impl<'a> Inputs<'a> {
    pub(crate) fn read(
        component: &'a Component,
        spec_file: PathBuf,
        additions: &Additions,
        around: &Surroundings<'_>,
    ) -> Result<Self, Error> {
        let folder = spec_file.parent().unwrap_or(Path::new("/"));
        let spec_name = spec_file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut paths = Vec::new();
        for entry in fs_err::read_dir(folder)? {
            let entry = entry?;
            let metadata = fs_err::metadata(entry.path());
            let name = entry.file_name().to_string_lossy().into_owned();
            // What a link points to may be gone; then rpm does not see it either.
            if metadata.is_ok_and(|metadata| {
                metadata.is_file() && (metadata.len() <= MOST_BYTES || name == spec_name)
            }) {
                paths.push((name, entry.path()));
            }
        }
        paths.sort();

        let build = &component.build;
        let mut defines = build.defines.clone();
        // What rpmbuild's own `--with` and `--without` define (rpmpopt).
        defines.extend(
            build
                .with
                .iter()
                .map(|name| (format!("_with_{name}"), format!("--with-{name}"))),
        );
        defines.extend(
            build
                .without
                .iter()
                .map(|name| (format!("_without_{name}"), format!("--without-{name}"))),
        );
        defines.extend(
            (additions.overrides.get(&component.name).into_iter())
                .flatten()
                .map(|(name, value)| (name.clone(), value.clone())),
        );

        let spec = format!(
            "{}/{}/{spec_name}",
            around.base.as_str().trim_end_matches('/'),
            component.name
        );
        let request = Request {
            spec: spec.parse().map_err(|_| Error::Name {
                component: component.name.clone(),
                file: spec_name.clone(),
            })?,
            defines,
            undefines: build.undefines.clone(),
            rebuild: additions.rebuilds.get(&component.name).copied().unwrap_or(0),
        };

        let mut print = Fingerprint::new(crate::PROTOCOL);
        print.add("arch", around.arch.rpm());
        print.add_digest("stage0", &around.stage0);
        print.add_digest("macros", &around.macros.digest);
        print.add("spec", request.spec.as_str());
        for (name, value) in &request.defines {
            print.add("define", name).add("value", value);
        }
        for name in &request.undefines {
            print.add("undefine", name);
        }
        if request.rebuild > 0 {
            print.add("rebuild", request.rebuild.to_string());
        }
        let (mut text, mut spec_digest) = (String::new(), Sha256::of(b""));
        let mut files = Vec::with_capacity(paths.len());
        for (name, path) in paths {
            let bytes = fs_err::read(path)?;
            let digest = Sha256::of(&bytes);
            print.add("file", &name).add_digest("bytes", &digest);
            if name == spec_name {
                text = String::from_utf8_lossy(&bytes).into_owned();
                spec_digest = digest;
            }
            files.push((name, bytes));
        }
        Ok(Self {
            component,
            spec_file,
            text,
            spec_digest,
            key: print.finish(),
            request,
            files,
        })
    }
}

/// Writes what `inputs` and `macros` can be seen through below `layer`, which stands for the root.
pub(crate) fn lay_out(
    layer: &Path,
    base: &RootPath,
    inputs: &[&Inputs<'_>],
    macros: &Macros,
) -> Result<(), Error> {
    let rpm = layer.join("usr/lib/rpm");
    // rpm reads `macros.d` before its platform file and `vendor/macros` after it; a distribution's macros win over both.
    make_folder(layer, &rpm.join("macros.d"))?;
    make_folder(layer, &rpm.join("vendor"))?;
    let mut all = Vec::new();
    for (name, bytes) in &macros.files {
        write(&rpm.join("macros.d").join(name), bytes)?;
        all.extend_from_slice(bytes);
        all.push(b'\n');
    }
    if !all.is_empty() {
        write(&rpm.join("vendor/macros"), &all)?;
    }
    for inputs in inputs {
        let folder = base.under(layer).join(inputs.component.name.as_str());
        make_folder(layer, &folder)?;
        for (name, bytes) in &inputs.files {
            write(&folder.join(name), bytes)?;
        }
    }
    Ok(())
}

/// Makes folders that everybody may enter, whatever this process's umask.
fn make_folder(layer: &Path, folder: &Path) -> Result<(), Error> {
    fs_err::create_dir_all(folder)?;
    for part in folder.ancestors().take_while(|part| part.starts_with(layer)) {
        set_mode(part, 0o755)?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs_err::write(path, bytes)?;
    set_mode(path, 0o644)
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs_err::set_permissions(
        path,
        std::fs::Permissions::from_mode(mode),
    )?)
}
