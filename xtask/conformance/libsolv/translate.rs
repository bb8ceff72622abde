//! A block of a testcase as a request to Keel's solver.

use anyhow::{Context as _, Result, bail};
use keel_artefact::Rich;
use keel_rpm::solve::{Action, Focus, Job, PackageId, Policy, Pool, Refine, Request, Select};

use super::{
    case::{Block, File},
    words::dependency,
};

/// Why a block is not for Keel.
pub fn out_of_scope(file: &File, block: &Block) -> Option<String> {
    if !matches!(file.kind.as_str(), "rpm" | "*" | "") {
        return Some(format!("packages of another kind: {}", file.kind));
    }
    if let Some(word) = block.strange.first() {
        return Some(format!("`{word}`: libsolv's own interfaces"));
    }
    if !block.versions.is_empty() {
        return None;
    }
    let job = |word: &str| {
        block
            .jobs
            .iter()
            .any(|job| job.split_whitespace().next() == Some(word))
    };
    if job("blacklist") {
        return Some("SUSE's blacklist and PTF packages".to_owned());
    }
    if block.jobs.iter().any(|job| job.contains(" selection")) {
        return Some("libsolv's selections".to_owned());
    }
    if !block.about.iter().any(|about| about == "transaction") {
        return Some(format!("`result {}`: libsolv's insides", block.about.join(",")));
    }
    None
}

/// The request.
pub fn request(file: &File, pool: &Pool, block: &Block) -> Result<Request> {
    let mut request = Request {
        policy: policy(block)?,
        ..Request::default()
    };
    for package in &block.disabled {
        request.disabled.push(find(file, pool, package)?);
    }
    for line in &block.jobs {
        request.jobs.push(job(file, pool, line)?);
    }
    Ok(request)
}

fn policy(block: &Block) -> Result<Policy> {
    // What testsolv begins with.
    let mut policy = Policy {
        keep_explicit_obsoletes: false,
        ..Policy::default()
    };
    for flag in &block.flags {
        let (on, name) = flag
            .strip_prefix('!')
            .map_or((true, flag.as_str()), |name| (false, name));
        match name {
            "ignorerecommended" => policy.weak = !on,
            "strongrecommends" => policy.strong_recommends = on,
            "addalreadyrecommended" => policy.already_recommended = on,
            "allowuninstall" => policy.allow_uninstall = on,
            "allowdowngrade" => policy.allow_downgrade = on,
            "allownamechange" => policy.allow_name_change = on,
            "allowarchchange" => policy.allow_arch_change = on,
            "allowvendorchange" => policy.allow_vendor_change = on,
            "dupallowdowngrade" => policy.upgrade_allow_downgrade = on,
            "dupallownamechange" => policy.upgrade_allow_name_change = on,
            "dupallowarchchange" => policy.upgrade_allow_arch_change = on,
            "dupallowvendorchange" => policy.upgrade_allow_vendor_change = on,
            "keeporphans" => policy.keep_orphans = on,
            "yumobsoletes" => policy.yum_obsoletes = on,
            "bestobeypolicy" => policy.best_obeys_policy = on,
            "keepexplicitobsoletes" => policy.keep_explicit_obsoletes = on,
            "noautotarget" => policy.no_auto_target = on,
            "noinfarchcheck" => policy.any_arch = on,
            "strictrepopriority" => policy.strict_priority = on,
            "focusinstalled" if on => policy.focus = Focus::Installed,
            "focusnew" if on => policy.focus = Focus::New,
            "focusbest" if on => policy.focus = Focus::Best,
            _ => bail!("solver flag {flag}"),
        }
    }
    for flag in &block.pool {
        match flag.as_str() {
            "implicitobsoleteusescolors" => policy.colors = true,
            "!implicitobsoleteusescolors" => policy.colors = false,
            // Only what the solver begins with; disabled packages are never taken, either way.
            "noobsoletesmultiversion" | "!noobsoletesmultiversion" | "whatprovideswithdisabled" => {}
            _ => bail!("pool flag {flag}"),
        }
    }
    Ok(policy)
}

/// `name-evr.arch@repository`
fn find(file: &File, pool: &Pool, text: &str) -> Result<PackageId> {
    let (nevra, repository) = text.split_once('@').context("a package without a repository")?;
    let fits = |id: &PackageId| {
        pool.nevra(*id) == nevra && file.repositories[pool.repository(*id)].name == repository
    };
    pool.packages()
        .find(fits)
        .with_context(|| format!("there is no package {text}"))
}

fn job(file: &File, pool: &Pool, line: &str) -> Result<Job> {
    let (line, flags) = match line.rsplit_once('[') {
        Some((line, flags)) => (line.trim(), flags.trim_end_matches(']')),
        None => (line.trim(), ""),
    };
    let (word, rest) = line.split_once(' ').context("a job of one word")?;
    let (kind, what) = rest.split_once(' ').unwrap_or((rest, ""));
    let action = match word {
        "install" => Action::Install,
        "erase" => Action::Erase,
        "update" => Action::Update,
        "distupgrade" => Action::DistUpgrade,
        "lock" => Action::Lock,
        "favor" => Action::Favor,
        "disfavor" => Action::Disfavor,
        "multiversion" => Action::MultiVersion,
        "verify" => Action::Verify,
        "allowuninstall" => Action::AllowUninstall,
        "droporphaned" => Action::DropOrphaned,
        "userinstalled" => Action::UserInstalled,
        "excludefromweak" => Action::ExcludeFromWeak,
        "noop" => Action::Nothing,
        _ => bail!("job {word}"),
    };
    let select = match kind {
        "all" => Select::All,
        "repo" => {
            let number = file
                .repositories
                .iter()
                .position(|repository| repository.name == what);
            Select::Repository(number.with_context(|| format!("no repository {what}"))?)
        }
        "pkg" => Select::Package(find(file, pool, what)?),
        "oneof" => {
            let ids: Result<Vec<PackageId>> = what
                .split_whitespace()
                .map(|package| find(file, pool, package))
                .collect();
            Select::OneOf(ids?)
        }
        "name" => {
            let (what, arch) = arch(what);
            match dependency(&what)? {
                Rich::Simple(dependency) => Select::Name(dependency, arch),
                rich => bail!("a name that is an expression: {rich}"),
            }
        }
        "provides" => {
            let (what, arch) = arch(what);
            Select::Provides(dependency(&what)?, arch)
        }
        _ => bail!("selection {kind}"),
    };
    Ok(Job {
        action,
        select,
        refine: refine(flags)?,
    })
}

/// `name . arch`
fn arch(what: &str) -> (String, Option<String>) {
    match what.split_once(" . ") {
        Some((name, arch)) => (name.to_owned(), Some(arch.to_owned())),
        None => (what.to_owned(), None),
    }
}

fn refine(flags: &str) -> Result<Refine> {
    let mut refine = Refine::default();
    for flag in flags.split(',').filter(|flag| !flag.is_empty()) {
        match flag {
            "weak" => refine.weak = true,
            "forcebest" => refine.best = true,
            "cleandeps" => refine.clean = true,
            "targeted" => refine.targeted = true,
            "setevr" => refine.evr = true,
            "setarch" => refine.arch = true,
            "setvendor" => refine.vendor = true,
            "setrepo" => refine.repository = true,
            "setname" => refine.name = true,
            "noautoset" => refine.no_auto = true,
            _ => bail!("flag {flag}"),
        }
    }
    Ok(refine)
}
