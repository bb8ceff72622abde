//! What is asked for.

use keel_artefact::{Dependency, Rich};

use super::PackageId;

/// What a wish speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Select {
    /// Every package.
    All,
    /// Every package of the repository with this number.
    Repository(usize),
    /// This one.
    Package(PackageId),
    /// Any of these.
    OneOf(Vec<PackageId>),
    /// Packages of a name, perhaps of some versions, perhaps of one architecture.
    Name(Dependency, Option<String>),
    /// Packages that provide a capability (a path, too); boolean expressions only to install.
    Provides(Rich, Option<String>),
}

impl Select {
    /// Packages of this name.
    pub fn name(name: &str) -> Self {
        Self::Name(Dependency::any(name), None)
    }
}

/// What is to happen with the packages of a [`Select`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// One of them shall be installed.
    Install,
    /// None of them shall be installed.
    Erase,
    /// Those that are installed shall be replaced by the best that may replace them.
    Update,
    /// As update, but to what the repositories have, lower or not; what they have no more may go.
    DistUpgrade,
    /// What is installed stays, what is not does not come.
    Lock,
    /// Preferred where there is a choice; the later wish wins.
    Favor,
    /// Avoided where there is a choice, and never installed for a weak dependency.
    Disfavor,
    /// Several versions may be installed side by side (kernels).
    MultiVersion,
    /// Broken dependencies of what is installed are mended.
    Verify,
    /// What is installed may be removed if nothing else helps.
    AllowUninstall,
    /// What no repository has may be removed.
    DropOrphaned,
    /// Somebody asked for it once: cleaning leaves it alone.
    UserInstalled,
    /// Never installed for a weak dependency.
    ExcludeFromWeak,
    /// Nothing.
    Nothing,
}

/// Refinements of a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Refine {
    /// Dropped where it cannot be had.
    pub weak: bool,
    /// Only the best will do: an error instead of a lower version.
    pub best: bool,
    /// What only the old packages needed goes, too.
    pub clean: bool,
    /// The packages are what to update to, even if some of them are installed.
    pub targeted: bool,
    /// The version was chosen on purpose: downgrades are fine.
    pub evr: bool,
    /// The architecture was chosen on purpose.
    pub arch: bool,
    /// The vendor was chosen on purpose.
    pub vendor: bool,
    /// The repository was chosen on purpose.
    pub repository: bool,
    /// The name was chosen on purpose.
    pub name: bool,
    /// Nothing is taken to be on purpose but what these switches say.
    pub no_auto: bool,
}

/// One wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// What is to happen.
    pub action: Action,
    /// With what.
    pub select: Select,
    /// How.
    pub refine: Refine,
}

impl Job {
    /// A wish without refinements.
    pub fn new(action: Action, select: Select) -> Self {
        Self {
            action,
            select,
            refine: Refine::default(),
        }
    }
}

/// What is decided first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Focus {
    /// Wishes, then what is installed, then what they need.
    #[default]
    Wishes,
    /// What is installed.
    Installed,
    /// Wishes and the new packages that they need.
    New,
    /// Wishes and what they need, at its best, even if that updates what is installed.
    Best,
}

/// What may change without having been asked for, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Policy {
    /// Recommends and Supplements install packages.
    pub weak: bool,
    /// Recommends are wishes: other packages may be updated for them.
    pub strong_recommends: bool,
    /// What installed packages recommend is installed, too.
    pub already_recommended: bool,
    /// Installed packages may be removed if nothing else helps.
    pub allow_uninstall: bool,
    /// Updates may go down.
    pub allow_downgrade: bool,
    /// Updates may change the name (by Obsoletes).
    pub allow_name_change: bool,
    /// Updates may change the architecture.
    pub allow_arch_change: bool,
    /// Updates may change the vendor.
    pub allow_vendor_change: bool,
    /// As [`Policy::allow_downgrade`], in a distribution upgrade.
    pub upgrade_allow_downgrade: bool,
    /// As [`Policy::allow_name_change`], in a distribution upgrade.
    pub upgrade_allow_name_change: bool,
    /// As [`Policy::allow_arch_change`], in a distribution upgrade.
    pub upgrade_allow_arch_change: bool,
    /// As [`Policy::allow_vendor_change`], in a distribution upgrade.
    pub upgrade_allow_vendor_change: bool,
    /// What no repository has any more stays.
    pub keep_orphans: bool,
    /// Of several packages that obsolete one, all are installed (yum's way).
    pub yum_obsoletes: bool,
    /// The best is what the policy lets an update be.
    pub best_obeys_policy: bool,
    /// Packages of which several versions may be installed still remove what they obsolete.
    pub keep_explicit_obsoletes: bool,
    /// A package replaces those of its name only if both are 32-bit or both 64-bit (multilib).
    pub colors: bool,
    /// Any architecture will do for new packages, not only the best that there is.
    pub any_arch: bool,
    /// A wish to update means what is installed only.
    pub no_auto_target: bool,
    /// Packages of a lower priority never hide behind a better version.
    pub strict_priority: bool,
    /// What no package provides is passed over, and told ([`Solution::missing`](super::Solution::missing)): to say all that is
    /// missing, and not only what makes each wish impossible.
    pub allow_missing: bool,
    /// What is decided first.
    pub focus: Focus,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            weak: true,
            strong_recommends: false,
            already_recommended: false,
            allow_uninstall: false,
            allow_downgrade: false,
            allow_name_change: true,
            allow_arch_change: false,
            allow_vendor_change: false,
            upgrade_allow_downgrade: true,
            upgrade_allow_name_change: true,
            upgrade_allow_arch_change: true,
            upgrade_allow_vendor_change: true,
            keep_orphans: false,
            yum_obsoletes: false,
            best_obeys_policy: false,
            keep_explicit_obsoletes: true,
            colors: false,
            any_arch: false,
            no_auto_target: false,
            strict_priority: false,
            allow_missing: false,
            focus: Focus::Wishes,
        }
    }
}

/// A problem to solve.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Wishes, the first first.
    pub jobs: Vec<Job>,
    /// Packages that are as good as not there; installed ones stay.
    pub disabled: Vec<PackageId>,
    /// How.
    pub policy: Policy,
}

impl Request {
    /// Packages of these names, into nothing.
    pub fn install<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let wish = |name| Job::new(Action::Install, Select::name(name));
        Self {
            jobs: names.into_iter().map(wish).collect(),
            ..Self::default()
        }
    }
}
