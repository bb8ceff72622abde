//! Images of other builders as definitions of Keel's: Image Customizer's YAML, and the JSON of Azure Linux's toolkit.
//!
//! Formats: <https://github.com/microsoft/azure-linux-image-tools> (`docs/imagecustomizer/api/configuration`) and
//! <https://github.com/microsoft/azurelinux> (branch 3.0, `toolkit/docs/formats/imageconfig.md`). Whatever a file says is either
//! carried over, or named with its place and why it is not: nothing is dropped in silence. Files are not trusted: their size, depth
//! and number of values have limits, and a value that would be wrong in a definition is left behind.

mod customizer;
mod importing;
mod input;
mod packages;
mod storage;
mod toolkit;

use std::path::{Component, Path};

use serde::Serialize;

use crate::{
    Diagnostic, Location,
    dump::{Dump, Plain},
    includes,
};
use importing::{Importing, below};
use input::{Data, Node};
pub use packages::Packages;

/// What became of a file.
#[derive(Debug, Clone, Serialize)]
pub struct Import {
    /// Whose form it has.
    pub form: FormOf,
    /// The definition, as TOML.
    pub definition: String,
    /// What is in it, in the order of the input.
    pub carried: Vec<Carried>,
    /// What is not.
    pub left: Vec<Left>,
}

/// Whose form a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FormOf {
    /// A configuration of Image Customizer.
    ImageCustomizer,
    /// An image configuration of Azure Linux's toolkit.
    Toolkit,
    /// A list of packages, of either.
    PackageList,
}

/// A value that was carried over.
#[derive(Debug, Clone, Serialize)]
pub struct Carried {
    /// Its key in the input: `os.users[0].name`.
    pub key: String,
    /// Where.
    pub at: Location,
}

/// A value that was not.
#[derive(Debug, Clone, Serialize)]
pub struct Left {
    /// Its key in the input.
    pub key: String,
    /// Where.
    pub at: Location,
    /// Why not, or what to do instead.
    pub why: String,
}

/// Reads a file beside the input, which names it: its text, or why there is none.
pub type Beside<'a> = dyn Fn(&str) -> Result<String, String> + 'a;

/// Makes a definition of `text`, the content of `file`; lists of packages that it names are read by `beside`, and what packages
/// are called here `packages` knows.
///
/// Fails for what is no YAML or JSON, or no image of either form.
pub fn import(
    file: &Path,
    text: &str,
    beside: &Beside<'_>,
    packages: &Packages,
) -> Result<Import, Diagnostic> {
    let node = input::parse(file, text)?;
    let mut importing = Importing {
        file,
        beside,
        packages,
        out: Vec::new(),
        carried: Vec::new(),
        left: Vec::new(),
        unnumbered: Vec::new(),
    };
    let Data::Map(entries) = &node.data else {
        return Err(importing.unknown(&node));
    };
    let has = |names: &[&str]| entries.iter().any(|entry| names.contains(&entry.key.as_str()));
    let form = if has(&["SystemConfigs", "Disks"]) {
        toolkit::image(&mut importing, &node);
        FormOf::Toolkit
    } else if has(&customizer::TOP) {
        customizer::image(&mut importing, &node);
        FormOf::ImageCustomizer
    } else if has(&["packages"]) {
        importing.package_list(&node, "");
        FormOf::PackageList
    } else if entries.is_empty() {
        FormOf::ImageCustomizer
    } else {
        return Err(importing.unknown(&node));
    };
    Ok(Import {
        form,
        definition: toml::to_string_pretty(&Dump(Plain::Table(importing.out))).unwrap_or_default(),
        carried: importing.carried,
        left: importing.left,
    })
}

/// As [`import`], of the file `path`, which messages call `shown`. Lists of packages lie in its folder.
pub fn of_file(path: &Path, shown: &Path, packages: &Packages) -> Result<Import, Diagnostic> {
    let text = includes::read_text(path).map_err(|why| includes::unreadable(Path::new(""), shown, &why))?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let beside = |name: &str| {
        let is_inside = Path::new(name)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        match is_inside {
            true => includes::read_text(&folder.join(name)),
            false => Err("it is not in the folder of the configuration".to_owned()),
        }
    };
    import(shown, &text, &beside, packages)
}

impl Import {
    /// The definition, with what it lacks as comments at its end.
    pub fn annotated(&self) -> String {
        let mut text = self.definition.clone();
        if !self.left.is_empty() {
            text.push_str("\n# Not carried over:\n");
        }
        for left in &self.left {
            let key = if left.key.is_empty() {
                "the whole"
            } else {
                &left.key
            };
            let line = format!("{}: {key}: {}", left.at, left.why);
            let line: String = line
                .chars()
                .map(|c| if c.is_control() { '\u{fffd}' } else { c })
                .collect();
            text.push_str(&format!("# {line}\n"));
        }
        text
    }
}
