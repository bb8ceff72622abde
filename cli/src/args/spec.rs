//! `keel spec`: its subcommands and options.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::{ArgMatches, Args, FromArgMatches, Subcommand, ValueEnum, ValueHint};
use keel_spec::{environment::Target, macros::Behaviour};

/// `keel spec`.
#[derive(Debug, Subcommand)]
pub enum Spec {
    /// What SPEC files mean, as JSON: one object a line and SPEC
    Eval {
        /// Which
        #[command(flatten)]
        files: Files,
        /// How
        #[command(flatten)]
        how: How,
    },
    /// Ask of SPEC files what `rpmspec -q` answers
    #[command(after_help = "\
Examples:
  keel spec query --builtrpms bash.spec           the packages that it builds
  keel spec query --srpm --qf '%{version}\\n' *.spec
  keel spec query --buildrequires .               of every SPEC in this folder

With `--output json`, one object a line and package: all that is known of it, or `package` with the list
that was asked for (`requires`: capabilities with `name`, `version` and the like), or with `text`.")]
    Query {
        /// Which
        #[command(flatten)]
        files: Files,
        /// What
        #[command(flatten)]
        what: What,
        /// How
        #[command(flatten)]
        how: How,
    },
    /// SPEC files with macros expanded and conditions decided, as `rpmspec -P` prints them
    Parse {
        /// Which
        #[command(flatten)]
        files: Files,
        /// How
        #[command(flatten)]
        how: How,
    },
    /// Expand macros in TEXT, as `rpm -E` does
    #[command(after_help = "\
Examples:
  keel spec expand '%{_libdir}'
  keel spec expand -D 'name zlib' '%[\"%{name}\" == \"zlib\" ? 1 : 2]'
  keel spec expand -E '%dist' -D 'dist .kl1' -E '%dist'     before and after

Definitions and texts count in the order that they are typed; relative paths begin in this folder.
With `--output json`, one object a line and text: `text`, its `value`, and what macros `printed`.")]
    Expand {
        /// What to do, in the order that it was typed
        #[command(flatten)]
        steps: Steps,
        /// The text
        #[arg(required_unless_present = "evals")]
        text: Vec<String>,
        /// One more text
        #[arg(short = 'E', long = "eval", value_name = "TEXT", allow_hyphen_values = true)]
        evals: Vec<String>,
        /// How
        #[command(flatten)]
        how: How,
    },
    /// Lay SPEC files out in one style, without changing what they mean
    Fmt {
        /// Which
        #[command(flatten)]
        files: Files,
        /// Change nothing; fail if a file would change, and name it
        #[arg(long)]
        check: bool,
    },
    /// Look for what is wrong, or unwise, in SPEC files
    #[command(after_help = "\
Examples:
  keel spec lint SPECS
  keel spec lint --fix zlib.spec                  mend what has one right answer
  keel spec lint --list                           all rules, with their reasons

A rule is turned off by the comment `# keel-lint: allow(NAME)` above the line, or at the top for the whole file.
Exit code 1 if there is an error; warnings do not count.")]
    Lint {
        /// Which
        #[command(flatten)]
        files: Files,
        /// Mend what has one right answer
        #[arg(long)]
        fix: bool,
        /// What this distribution asks of its SPECs (TOML)
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        rules: Option<PathBuf>,
        /// Print the rules and stop
        #[arg(long)]
        list: bool,
    },
    /// The shape of SPEC files: sections, tags and conditions, with their lines
    #[command(after_help = "\
Examples:
  keel spec syntax bash.spec                      an outline, indented by conditions
  keel spec syntax SPECS --output json            one object a line and SPEC

Nothing is evaluated: macros stay as they are written, and all branches of conditions are shown.
Each file is read into a tree that keeps every byte, and printed back from it: in JSON, `sha256` is
the digest of what was printed, and so the file's own; `within` are the lines of the directives
around something.")]
    Syntax {
        /// Which
        #[command(flatten)]
        files: Files,
        /// SPECs at once [default: one a core]
        #[arg(short, long, value_name = "N")]
        jobs: Option<NonZeroUsize>,
    },
    /// Which SPEC needs which to be built: numbers, cycles, what nobody provides
    Graph {
        /// Which
        #[command(flatten)]
        files: Files,
        /// Print the graph of build requirements in Graphviz' language
        #[arg(long)]
        dot: bool,
        /// How
        #[command(flatten)]
        how: How,
    },
    /// In which order SPECs can be built, with no project and no sources; what a toolchain must provide for that
    #[command(after_help = "\
Examples:
  keel spec plan --macros CHECKOUT CHECKOUT/SPECS --suggest > toolchain.list
  keel spec plan --macros CHECKOUT CHECKOUT/SPECS --assume-provided toolchain.list
  keel spec plan SPECS --assume-provided gcc,make,/usr/bin/perl --graph html > plan.html

What is assumed is borrowed everywhere, even where a SPEC makes it, and brings nothing else along.
All else that a SPEC, or a package in its build root, asks for must be made by a SPEC. Of packages
of the same name, that of the first SPEC by path counts.")]
    Plan {
        /// Which
        #[command(flatten)]
        files: Files,
        /// Capabilities that are there before anything is built: a file with one a line (`#` begins a comment), or names
        /// with commas between them (may be given more than once)
        #[arg(long, value_name = "FILE|NAMES")]
        assume_provided: Vec<String>,
        /// Print what would have to be assumed, in the form of such a file: what no SPEC provides, and enough of what is on cycles
        #[arg(long, conflicts_with = "graph")]
        suggest: bool,
        /// Print the graph of builds
        #[arg(long, value_name = "FORM")]
        graph: Option<super::plan::Graph>,
        /// How
        #[command(flatten)]
        how: How,
    },
}

/// What `expand` does, one after the other.
#[derive(Debug, Clone, Default)]
pub struct Steps(pub Vec<Step>);

/// One thing that `expand` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Defines a macro.
    Define(String),
    /// Takes a definition away.
    Undefine(String),
    /// Reads a macro file.
    Load(PathBuf),
    /// Expands a text.
    Expand(String),
}

impl FromArgMatches for Steps {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut steps: Vec<(usize, Step)> = Vec::new();
        type Make = fn(&String) -> Step;
        let texts: [(&str, Make); 6] = [
            ("defines", |text| Step::Define(text.clone())),
            ("undefines", |name| Step::Undefine(name.clone())),
            ("with", |name| Step::Define(with(name))),
            ("without", |name| Step::Define(without(name))),
            ("text", |text| Step::Expand(text.clone())),
            ("evals", |text| Step::Expand(text.clone())),
        ];
        for (id, make) in texts {
            let values = matches.get_many(id).into_iter().flatten().map(make);
            steps.extend(matches.indices_of(id).into_iter().flatten().zip(values));
        }
        let files = matches.get_many::<PathBuf>("load").into_iter().flatten();
        let files = files.cloned().map(Step::Load);
        steps.extend(matches.indices_of("load").into_iter().flatten().zip(files));
        steps.sort_by_key(|(index, _)| *index);
        Ok(Self(steps.into_iter().map(|(_, step)| step).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Steps {
    fn augment_args(command: clap::Command) -> clap::Command {
        command
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        command
    }
}

/// What `--with NAME` defines.
pub fn with(name: &str) -> String {
    format!("_with_{name} --with-{name}")
}

/// What `--without NAME` defines.
pub fn without(name: &str) -> String {
    format!("_without_{name} --without-{name}")
}

/// SPEC files.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Files {
    /// SPEC files, and folders in which they are looked for
    #[arg(value_name = "FILE", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
}

/// What `query` asks.
#[derive(Debug, Args)]
#[group(skip)]
pub struct What {
    /// The source package, instead of what is built
    #[arg(long, group = "which")]
    pub srpm: bool,
    /// The packages that are built: those with files
    #[arg(long, group = "which")]
    pub builtrpms: bool,
    /// All packages of the SPEC (this is what is asked when nothing is said, as with rpmspec)
    #[arg(long, group = "which")]
    pub rpms: bool,
    /// What is needed to build it
    #[arg(long, group = "asked")]
    pub buildrequires: bool,
    /// What conflicts with its build
    #[arg(long, group = "asked")]
    pub buildconflicts: bool,
    /// What packages require
    #[arg(long, group = "asked")]
    pub requires: bool,
    /// What packages provide
    #[arg(long, group = "asked")]
    pub provides: bool,
    /// What packages conflict with
    #[arg(long, group = "asked")]
    pub conflicts: bool,
    /// What packages make obsolete
    #[arg(long, group = "asked")]
    pub obsoletes: bool,
    /// What packages recommend
    #[arg(long, group = "asked")]
    pub recommends: bool,
    /// What packages suggest
    #[arg(long, group = "asked")]
    pub suggests: bool,
    /// What packages supplement
    #[arg(long, group = "asked")]
    pub supplements: bool,
    /// What packages enhance
    #[arg(long, group = "asked")]
    pub enhances: bool,
    /// A format for each package, as rpm takes it: '%{name} %{version}\n'
    #[arg(
        long = "queryformat",
        visible_alias = "qf",
        value_name = "FORMAT",
        group = "asked"
    )]
    pub format: Option<String>,
}

/// With which macros, and what they may ask.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub struct How {
    /// Macros: rpm's folder, a root that has one, or a checkout of Azure Linux [default: /usr/lib/rpm]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Macros")]
    pub macros: Option<PathBuf>,
    /// Which rpm to follow [default: what the macros are of, else 4.20]
    #[arg(long, value_name = "VERSION", help_heading = "Macros")]
    pub rpm: Option<Behaviour>,
    /// For what to build [default: the architecture of --arch]
    #[arg(long, value_name = "TARGET", help_heading = "Macros")]
    pub target: Option<Target>,
    /// Define a macro
    #[arg(
        short = 'D',
        long = "define",
        value_name = "NAME BODY",
        allow_hyphen_values = true,
        help_heading = "Macros"
    )]
    pub defines: Vec<String>,
    /// Take a definition away
    #[arg(long = "undefine", value_name = "NAME", help_heading = "Macros")]
    pub undefines: Vec<String>,
    /// Turn a build condition on
    #[arg(long = "with", value_name = "NAME", help_heading = "Macros")]
    pub with: Vec<String>,
    /// Turn a build condition off
    #[arg(long = "without", value_name = "NAME", help_heading = "Macros")]
    pub without: Vec<String>,
    /// Read one more macro file, or a folder of them
    #[arg(long = "load", value_name = "FILE", value_hint = ValueHint::AnyPath, help_heading = "Macros")]
    pub load: Vec<PathBuf>,
    /// What `%(command)` may do
    #[arg(
        long,
        value_name = "POLICY",
        default_value = "sandbox",
        help_heading = "Commands in macros"
    )]
    pub shell: Shell,
    /// What commands say on the machine that is built for: a profile's name, or a file
    #[arg(long, value_name = "PROFILE", help_heading = "Commands in macros")]
    pub facts: Option<String>,
    /// Where commands run, read-only [default: this machine's /usr]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Commands in macros")]
    pub root: Option<PathBuf>,
    /// Write down what each command said
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Commands in macros")]
    pub record: Option<PathBuf>,
    /// Run nothing: each command says what was written down
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "record", help_heading = "Commands in macros")]
    pub replay: Option<PathBuf>,
    /// How to say what is wrong
    #[arg(long, value_name = "STYLE", default_value = "full")]
    pub messages: Messages,
    /// SPECs at once [default: one a core]
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
}

/// What `%(command)` may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
pub enum Shell {
    /// Nothing: it is an error.
    Deny,
    /// What a table says, and what only works on its own text.
    Facts,
    #[default]
    /// What a table says; all else runs in a sandbox.
    Sandbox,
}

/// How to say what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
pub enum Messages {
    #[default]
    /// With the place, the macros around it and hints; several errors at once.
    Full,
    /// The lines that rpm would write, up to its first error.
    Rpm,
}
