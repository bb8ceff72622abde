//! `keel component`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use keel_artefact::ComponentName;

use super::config::Select;

/// `keel component`.
#[derive(Debug, Subcommand)]
pub enum Component {
    /// Append components to the project's main file, all of whose other bytes stay
    #[command(after_help = "\
Examples:
  keel component add curl jq                    with the SPECs that they inherit, another distribution's
  keel component add hello --spec hello/hello.spec")]
    Add(Add),
    /// Which components differ between two revisions of the project, and why: keys of the configuration, files
    #[command(after_help = "\
Examples:
  keel component changed --from origin/main
  keel component changed --from v1 --to v2 --output json

Inherited configuration counts, and where it is written does not. Compared are the folders of local SPECs, and the files
that overlays and sources name.")]
    Changed(Changed),
    /// What rendering changes: the folder of the SPEC before and after, as one unified diff
    #[command(after_help = "\
Examples:
  keel component diff curl
  keel component diff -g web --output json")]
    Diff(Diff),
    /// The commits that touched a component, newest first: the file that defines it, its overlays, the folder of its SPEC
    History(History),
    /// Components, one a line: where their SPECs come from, how many overlays they have. Only TOML is read
    List(Select),
    /// Make a folder of which `rpmbuild -bs` makes a source package: SPEC, patches, macros, and the source files
    #[command(after_help = "\
Examples:
  keel component prepare-sources curl --to /tmp/curl
  rpmbuild -bs --define '_sourcedir /tmp/curl' --define '_srcrpmdir /tmp' /tmp/curl/curl.spec

Source files come from where the configuration or keel.lock pins them, or else from the lookaside of the SPEC's
distribution, by the SHA-512 in `sources`. Overlays of archives are applied, too.")]
    PrepareSources(PrepareSources),
    /// What rendered SPECs build: name, version and release of the source package, names of the others
    #[command(after_help = "\
Examples:
  keel component query curl
  keel component query --all --output json")]
    Query(Query),
    /// Write the folders that are checked in and built: SPECs with overlays, macros and all, and the files that they name
    #[command(after_help = "\
Examples:
  keel component render --all
  keel component render --all --check-only        in CI: fails where a folder is not as it would be rendered
  keel component render curl 'python-*' --output json

SPECs of other distributions are taken from their git repositories, at the commit or the snapshot that the
configuration says, and kept in the store. A folder whose component cannot be rendered holds a file that says so.
%autorelease and %autochangelog are filled in from the history of that repository and of the project.")]
    Render(Render),
    /// One component: versions, packages, sources, needs
    Show {
        /// Its name
        name: ComponentName,
    },
}

/// `keel component render`.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Render {
    /// Which
    #[command(flatten)]
    pub select: Select,
    /// Write nothing; fail if a folder is not as it would be rendered, and name it
    #[arg(long)]
    pub check_only: bool,
    /// Remove rendered folders of components that there are no more; what rendering did not make stays, and is told
    #[arg(long)]
    pub clean_stale: bool,
    /// Where to put the folders [default: the project's `rendered-specs-dir`]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub to: Option<PathBuf>,
    /// Macros
    #[command(flatten)]
    pub macros: Macros,
}

/// What SPECs are read with.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
pub struct Macros {
    /// Macros that tell which files SPECs name: rpm's folder, a root, or a checkout of Azure Linux
    /// [default: the tree's own, else stage0's, else this machine's]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub macros: Option<PathBuf>,
}

/// `keel component diff`.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Diff {
    /// Which
    #[command(flatten)]
    pub select: Select,
    /// Macros
    #[command(flatten)]
    pub macros: Macros,
}

/// `keel component prepare-sources`.
#[derive(Debug, Args)]
#[group(skip)]
pub struct PrepareSources {
    /// Its name
    pub component: ComponentName,
    /// The folder; it must not be there, or be empty
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub to: PathBuf,
    /// Write into a folder that is not empty, over files of the same names
    #[arg(long)]
    pub force: bool,
    /// Fetch nothing, and leave archives alone
    #[arg(long)]
    pub skip_sources: bool,
    /// Render nothing: the SPEC's folder as it was, with its source files
    #[arg(long)]
    pub skip_overlays: bool,
    /// Macros
    #[command(flatten)]
    pub macros: Macros,
}

/// `keel component changed`.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Changed {
    /// The older revision: a commit, a branch, a tag
    #[arg(long, value_name = "REV")]
    pub from: String,
    /// The newer revision [default: the files as they are now]
    #[arg(long, value_name = "REV")]
    pub to: Option<String>,
    /// Name the others, too
    #[arg(long)]
    pub include_unchanged: bool,
}

/// `keel component history`.
#[derive(Debug, Args)]
#[group(skip)]
pub struct History {
    /// Their names
    #[arg(required = true)]
    pub components: Vec<ComponentName>,
}

/// `keel component add`.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Add {
    /// Their names
    #[arg(required = true)]
    pub components: Vec<ComponentName>,
    /// The SPEC, in the project's folder [default: what is inherited]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub spec: Option<PathBuf>,
}

/// `keel component query`.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Query {
    /// Which
    #[command(flatten)]
    pub select: Select,
    /// Macros
    #[command(flatten)]
    pub macros: Macros,
}
