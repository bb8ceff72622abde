//! The command line, as clap reads it. What each option means is said here once: help, man page and completions
//! come from it.

pub mod component;
pub mod config;
pub mod image;
pub mod package;
pub mod plan;
pub mod shell;
pub mod spec;

use std::{num::NonZeroUsize, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use keel_artefact::{Arch, ComponentName, ImageName};

pub use image::{Boot, Cat, Compare, Convert, DiskFormat, Extract, Firmware, Image, Medium};

const AFTER_HELP: &str = "\
Examples:
  keel check                       is the tree right, and what would be built?
  keel build zlib                  build one component and what it needs
  keel image build core            from source to a container image
  keel image test micro            boot the machine image under QEMU and run its checks
  keel repo serve                  hand the packages to dnf

Exit codes: 0 done, 1 a build or check failed, 2 wrong input, 3 wrong environment, 70 a bug in keel, 130 stopped by Ctrl-C.";

/// Builds Linux distributions: one tree of TOML and SPEC files becomes signed packages, repositories and images.
#[derive(Debug, Parser)]
#[command(name = "keel", version, after_help = AFTER_HELP, disable_help_subcommand = true)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Run as if started in DIR
    #[arg(short = 'C', long = "directory", value_name = "DIR", global = true, value_hint = ValueHint::DirPath)]
    pub directory: Option<PathBuf>,
    /// Folder of the store [default: $XDG_CACHE_HOME/keel, else ~/.cache/keel]
    #[arg(long, value_name = "DIR", global = true, env = "KEEL_CACHE_DIR", value_hint = ValueHint::DirPath)]
    pub cache_dir: Option<PathBuf>,
    /// Form of what is printed on standard output
    #[arg(long, value_name = "FORM", global = true, default_value = "text")]
    pub output: Form,
    /// When to use colours (NO_COLOR is respected)
    #[arg(long, value_name = "WHEN", global = true, default_value = "auto")]
    pub color: When,
    /// Say nothing but errors, and what was asked for: no warnings, notes or progress
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more: each finished step, also when it was in the store
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Write what happens to FILE as lines of JSON, `-` for standard output (docs/reference/events.md)
    #[arg(long, value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    pub events: Option<PathBuf>,
    /// Architecture to build for
    #[arg(long, value_name = "ARCH", global = true, default_value = "x86_64")]
    pub arch: Arch,
    /// Debian mirror, instead of the one in this machine's apt configuration
    #[arg(long, value_name = "URL", global = true, env = "KEEL_MIRROR", value_hint = ValueHint::Url)]
    pub mirror: Option<String>,
    /// Where a language's registry is, instead of its public one: `crates`, `pypi` or `npm`, and a URL
    #[arg(
        long = "registry",
        value_name = "NAME=URL",
        global = true,
        env = "KEEL_REGISTRIES",
        value_delimiter = ' '
    )]
    pub registries: Vec<String>,
    /// Fetch nothing: use what is in the store
    #[arg(long, global = true)]
    pub offline: bool,
}

/// Form of the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people.
    Text,
    /// For programs: one JSON document.
    Json,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the whole tree without building: configuration, SPECs, pinned sources, plan
    Check,
    /// Look at the configuration: is it right, what does it say, and why?
    #[command(
        subcommand,
        after_help = "\
Examples:
  keel config check                read all TOML, and count
  keel config explain components.bash.build.check
                                   which file and layer says it, and which counts
  keel config schema > keel.schema.json
                                   for editors: `\"$schema\" = \"keel.schema.json\"` at the top of keel.toml"
    )]
    Config(config::Config),
    /// Under which licence each SPEC is, and what it builds
    #[command(after_help = "\
Examples:
  keel licenses                    by licence
  keel licenses --check            in CI: fails where a SPEC has none, or one that SPDX does not know

The licence of a SPEC is `licence` of its component, said or inherited; that of what it builds is the SPEC's `License`.")]
    Licenses(Licenses),
    /// Look at components
    #[command(
        subcommand,
        after_help = "\
Examples:
  keel component list              all of them
  keel component list 'python-*' -g web
                                   some of them
  keel component show bash         packages, requirements, sources"
    )]
    Component(component::Component),
    /// Fetch and pin source files
    #[command(
        subcommand,
        after_help = "\
Examples:
  keel source fetch                all sources into the store, to build offline afterwards
  keel source lock zlib            pin the files of one component in keel.lock
  keel source update               is there a newer version of what is pinned?"
    )]
    Source(Source),
    /// Show what would be built, in which order and why; nothing is built or fetched
    #[command(after_help = "\
Examples:
  keel plan                        everything
  keel plan --image core           what one image needs
  keel plan --explain bash         why bash is in the plan, why it is built again, what it waits for
  keel plan --changed-since HEAD~1
                                   what the last commit, and what is not committed, builds again
  keel plan --graph html > plan.html

States: `cached`, the store has it; `build`, it will be built; `maybe`, it will be built unless
what it waits for comes out with the same bytes as before.")]
    Plan(plan::Plan),
    /// Build packages from source
    #[command(after_help = "\
Examples:
  keel build                       everything
  keel build bash coreutils        these two and what they need
  keel build --image core          what the image needs
  keel build --twice zlib          build again under another clock, host, user and locale, and compare the bytes

A build that failed or was stopped goes on where it was: finished packages are in the store.")]
    Build(Build),
    /// Build again under another clock, host, user, locale, time zone and umask, on one core, with folders in another order: are
    /// the bytes the same?
    #[command(after_help = "\
Examples:
  keel reproduce zlib              one component
  keel reproduce --image core      all that an image needs

Both packages are kept where they differ, and diffoscope shows how, if it is installed.")]
    Reproduce(shell::Reproduce),
    /// Go into the build root of a component: where its last build failed, or one made for it
    #[command(after_help = "\
Examples:
  keel build --keep-root bash      if it fails, what it was built in stays
  keel shell bash                  then: a shell there
  keel shell bash -- cat /build/BUILD/bash-5.2/config.log
  keel shell --fresh bash          a new root, sources in place, nothing run

The root is read-only but for /build and folders in memory, and has no network: as in a build.")]
    Shell(shell::Shell),
    /// Check finished packages, and compare two builds
    #[command(subcommand, after_help = package::EXAMPLES)]
    Package(package::Package),
    /// Make, check and serve package repositories
    #[command(
        subcommand,
        after_help = "\
Examples:
  keel repo create                 build what is missing, sign, publish in out/repo/ARCH
  keel repo create --key my.key    signed with a key of your own
  keel repo verify                 is every byte as it was signed?
  keel repo serve                  then: docs/how-to/use-the-repository.md"
    )]
    Repo(Repo),
    /// Make, boot, test and convert images
    #[command(
        subcommand,
        after_help = "\
Examples:
  keel image build core            build its packages, then the image, in out/images/core
  keel image test micro --firmware both
                                   boot it without and with UEFI, run its checks inside
  keel image boot micro            watch its console; Ctrl-C ends it
  keel image convert out/images/micro/micro.raw micro.vhdx
                                   the same disk for Hyper-V
  keel image push core registry.example.org/keel/core"
    )]
    Image(Image),
    /// Read, ask, check and lay out SPEC files, without rpm
    #[command(
        subcommand,
        after_help = "\
Examples:
  keel spec query --buildrequires zlib.spec
  keel spec parse zlib.spec        macros expanded, conditions decided
  keel spec lint SPECS             what is wrong with a folder of SPECs?
  keel spec graph --macros CHECKOUT CHECKOUT/SPECS"
    )]
    Spec(Box<spec::Spec>),
    /// Signing keys
    #[command(
        subcommand,
        after_help = "\
Examples:
  keel key generate my.key         makes my.key (secret) and my.key.pub.asc (for those who install)"
    )]
    Key(Key),
    /// The store: everything fetched and made, by digest
    #[command(
        subcommand,
        after_help = "\
Examples:
  keel store stat                  how much is there, of what?
  keel store gc --days 30          remove what was not used for thirty days"
    )]
    Store(Store),
    /// Remove the output folder (the store stays; see `keel store gc`)
    Clean,
    /// Print a completion script
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff), or write one a command into DIR
    Man {
        /// Folder for the pages
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
    },
}

/// `keel source`.
#[derive(Debug, Subcommand)]
pub enum Source {
    /// Fetch pinned source files into the store
    Fetch(Fetch),
    /// Pin source files that are not pinned yet, in keel.lock; without names, the state of a base's repository, too
    Lock {
        /// Components; all if none is named
        components: Vec<ComponentName>,
    },
    /// Make source packages: SPEC, sources and patches in one file that `rpmbuild --rebuild` builds
    Srpm {
        /// Components; all if none is named
        components: Vec<ComponentName>,
        /// Where to put them [default: srpms in the project's output folder]
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        to: Option<PathBuf>,
        /// Options of fetching
        #[command(flatten)]
        refresh: Refresh,
    },
    /// Ask origins for newer versions of what is pinned; versions that stand in TOML alone are changed and pinned
    #[command(after_help = "\
Examples:
  keel source update               what is newer, and what to do about it
  keel source update --check-only  in CI: fails where something is newer, and changes nothing

Asked are Debian's signed index, crates.io, PyPI, npm and the tags of git repositories; addresses and files cannot be. A
version that a SPEC names is told: Keel edits no SPEC. Without names, the newest state of a base's repository is pinned, too.")]
    Update {
        /// Components; all if none is named
        components: Vec<ComponentName>,
        /// Change nothing; fail if something is newer
        #[arg(long)]
        check_only: bool,
    },
    /// Read all pinned files in the store again; those whose bytes changed are removed, for `fetch` to get again
    Verify,
}

/// Which components, and how to fetch for them.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Fetch {
    /// Components; all if none is named
    pub components: Vec<ComponentName>,
    /// Options of fetching
    #[command(flatten)]
    pub refresh: Refresh,
}

/// What to do about sources that vanished.
#[derive(Debug, Clone, Copy, Default, Args)]
#[group(skip)]
pub struct Refresh {
    /// Replace a pinned file that none of its origins has any more by the newest of the same upstream series
    #[arg(long)]
    pub refresh: bool,
}

/// What a plan or build is for.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct Targets {
    /// Components; everything if neither a component nor an image is named
    pub components: Vec<ComponentName>,
    /// What this image needs (may be given more than once)
    #[arg(long = "image", value_name = "NAME", conflicts_with = "components")]
    pub images: Vec<ImageName>,
}

/// `keel licenses`.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Licenses {
    /// Fail for a component without a licence, and for an expression that SPDX does not know
    #[arg(long)]
    pub check: bool,
}

/// `keel build`.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Build {
    /// For what
    #[command(flatten)]
    pub targets: Targets,
    /// How
    #[command(flatten)]
    pub how: How,
    /// Build each named component a second time in other surroundings and compare the bytes
    #[arg(long)]
    pub twice: bool,
    /// Leave out `%check` of the named components, or of all if none is named; what they need is tested as ever
    #[arg(long)]
    pub no_check: bool,
}

/// How to build.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
pub struct How {
    /// Builds at once [default: one a core]
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// After a failure, go on with what does not need it
    #[arg(short, long)]
    pub keep_going: bool,
    /// Keep what a build that fails was built in, for `keel shell`
    #[arg(long)]
    pub keep_root: bool,
    /// Run a build that failed again, up to N times; each failure is told, and its log kept
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub retry: usize,
    /// Memory for all builds together: those start that are expected to fit [default: what the machine or its control group has]
    #[arg(long, value_name = "SIZE", value_parser = keel_config::size::parse)]
    pub memory: Option<u64>,
    /// Fail where a package is published with other bytes, rather than raise its rebuild counter, and where an image's packages are
    /// not those of image.lock
    #[arg(long)]
    pub locked: bool,
    /// Options of fetching
    #[command(flatten)]
    pub refresh: Refresh,
}

/// `keel repo`.
#[derive(Debug, Subcommand)]
pub enum Repo {
    /// Make the signed repository out of all built packages
    Create {
        /// How to build what is missing
        #[command(flatten)]
        how: How,
        /// Write into keel.lock which bytes each name stands for now: what others get other bytes of has a rebuild counter from then on
        #[arg(long)]
        record: bool,
        /// Signing
        #[command(flatten)]
        signing: Signing,
    },
    /// Sign the metadata of a repository
    Sign {
        /// The repository [default: out/repo/ARCH]
        #[arg(value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
        /// Signing
        #[command(flatten)]
        signing: Signing,
    },
    /// Check every digest and signature of a repository
    Verify {
        /// The repository [default: out/repo/ARCH]
        #[arg(value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
        /// Public key to trust [default: the development key]
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        certificate: Option<PathBuf>,
    },
    /// Serve a repository over HTTP, for dnf
    Serve {
        /// The repository [default: out/repo/ARCH]
        #[arg(value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
        /// Address and port to listen on
        #[arg(long, default_value = "127.0.0.1:8043")]
        listen: std::net::SocketAddr,
    },
}

/// With which key.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct Signing {
    /// Secret key to sign with [default: this machine's development key, made at first use]
    #[arg(long, value_name = "FILE", env = "KEEL_SIGNING_KEY", value_hint = ValueHint::FilePath)]
    pub key: Option<PathBuf>,
}

/// `keel key`.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make an OpenPGP key pair (Ed25519): FILE is secret, FILE.pub.asc is its public certificate
    Generate {
        /// Where to write it; never overwritten
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Whose key it is
        #[arg(
            long,
            value_name = "NAME <MAIL>",
            default_value = "Keel development key <keel@localhost>"
        )]
        user_id: String,
    },
}

/// `keel store`.
#[derive(Debug, Subcommand)]
pub enum Store {
    /// Remove what was not used for a while
    Gc {
        /// Keep what was used in the last N days
        #[arg(long, value_name = "N", default_value_t = 30)]
        days: u64,
        /// Only say what would be removed
        #[arg(short = 'n', long)]
        dry_run: bool,
    },
    /// What the store holds
    Stat,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
