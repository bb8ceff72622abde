use std::collections::BTreeMap;

use keel_artefact::{Epoch, event::Silent};

use super::*;
use crate::{
    BuiltPackage,
    built::{self, Links},
    fingerprint::tests::job,
};

/// `1-1` becomes `1-1.N`, as with a Release that ends with %dist.
pub(crate) fn raise(job: &Job, rebuild: u32) -> Result<Recipe, keel_spec::Error> {
    let mut recipe = job.recipe.clone();
    let base = match job.recipe.rebuild {
        0 => recipe.evr.release.clone(),
        _ => recipe.evr.release.rsplit_once('.').unwrap().0.to_owned(),
    };
    recipe.rebuild = rebuild;
    recipe.evr.release = format!("{base}.{rebuild}");
    recipe.defines.insert("dist".into(), format!(".{rebuild}"));
    for package in &mut recipe.packages {
        package.nevra.evr = recipe.evr.clone();
    }
    Ok(recipe)
}

pub(crate) fn names(lock: &Lock) -> Names<'_> {
    Names {
        lock,
        raise: &raise,
        locked: false,
    }
}

/// The result of a job: a package of each of its recipe's names, and the source package.
fn built(job: &Job, bytes: &str, source: &str) -> Arc<Built> {
    let output = |mut nevra: Nevra, kind, bytes: &str| {
        if kind == Kind::Source {
            nevra.arch = keel_artefact::PackageArch::Src;
        }
        Output {
            package: BuiltPackage {
                nevra,
                component: job.component.clone(),
                kind,
                rpm: Sha256::of(bytes.as_bytes()),
                size: 1,
                epoch: Epoch(0),
                scriptlets: false,
            },
            provides: vec![],
            requires: vec![],
            conflicts: vec![],
            obsoletes: vec![],
            files: vec![],
        }
    };
    let nevra = &job.recipe.packages[0].nevra;
    Arc::new(Built {
        format: built::FORMAT,
        fingerprint: Sha256::of(bytes.as_bytes()),
        outputs: vec![
            output(nevra.clone(), Kind::Binary, bytes),
            output(nevra.clone(), Kind::Source, source),
        ],
        root: vec![],
        log: Sha256::of(b"log"),
        wall: std::time::Duration::ZERO,
        cpu: std::time::Duration::ZERO,
        memory: 0,
        links: Links::default(),
        scriptlets: None,
        generated: vec![],
        checked: None,
    })
}

/// The lock after this is published, with the source package of the lock where that is to stay.
fn publish(lock: &Lock, job: &Job, built: &Arc<Built>) -> Lock {
    publish_with(lock, job, built, published_source(lock, job, built))
}

/// The same, with another source package than was made, if one is named.
fn publish_with(lock: &Lock, job: &Job, built: &Arc<Built>, source: Option<Sha256>) -> Lock {
    let plan = Plan {
        format: keel_plan::FORMAT,
        arch: job.arch,
        jobs: vec![job.clone()],
        published: vec![],
        providers: BTreeMap::new(),
    };
    let finished = crate::job::Finished {
        built: Arc::clone(built),
        findings: Arc::default(),
        was_cached: false,
        failures: 0,
        raised: None,
    };
    let results = Results::from([(job.component.clone(), finished)]);
    let mut packages = Packages::of(&plan, &results);
    for package in &mut packages.packages {
        package.rpm = source
            .filter(|_| package.kind == Kind::Source)
            .unwrap_or(package.rpm);
    }
    record(lock, &plan, &results, &packages, &|_| true)
}

/// N3 to N6: what raises the counter, and what does not.
#[test]
fn a_counter_goes_up_where_a_published_name_gets_other_bytes() {
    let first = job("demo", "1");
    let nothing = Lock::default();
    assert_eq!(
        names(&nothing).differences(&first, &built(&first, "a", "s")),
        None
    );
    let lock = publish(&nothing, &first, &built(&first, "a", "s"));
    let names = names(&lock);
    // The same, and the same with another comment in its SPEC.
    assert_eq!(names.differences(&first, &built(&first, "a", "s")), None);
    assert_eq!(names.differences(&first, &built(&first, "a", "other")), None);
    let other = names.differences(&first, &built(&first, "b", "s")).unwrap();
    assert_eq!(other.to_string(), "other bytes in demo-1-1.noarch");
    // Another version has no published name.
    let next = job("demo", "2");
    assert_eq!(names.differences(&next, &built(&next, "b", "s")), None);
    // With the counter it is newer, and has no published name either.
    let raised = names.raised(&first).unwrap();
    assert_eq!(raised.recipe.evr.to_string(), "1-1.1");
    assert_eq!(names.differences(&raised, &built(&raised, "b", "s")), None);
    // Packages that come and go count, too.
    let mut more = built(&first, "a", "s");
    let mut package = more.outputs[0].clone();
    package.package.nevra.name = "demo-more".parse().unwrap();
    Arc::make_mut(&mut more).outputs.push(package);
    let new = names.differences(&first, &more).unwrap();
    assert_eq!(new.to_string(), "new demo-more-1-1.noarch");
}

/// N7, N8: what was published with a counter is compared with it, and goes on from there: old bytes do not get an old name.
#[test]
fn a_counter_that_is_published_never_goes_back() {
    let first = job("demo", "1");
    let lock = publish(&Lock::default(), &first, &built(&first, "a", "s"));
    let raised = names(&lock).raised(&first).unwrap();
    let lock = publish(&lock, &raised, &built(&raised, "b", "s"));
    let published = lock.published.values().next().unwrap();
    assert_eq!(
        (published.rebuild, published.evr.to_string()),
        (1, "1-1".to_owned())
    );
    let names = names(&lock);
    assert_eq!(names.differences(&raised, &built(&raised, "b", "s")), None);
    // The change is undone: the bytes that 1-1 had, as 1-1.1, are not those of 1-1.1.
    assert!(names.differences(&raised, &built(&raised, "a1", "s")).is_some());
    assert_eq!(names.raised(&raised).unwrap().recipe.evr.to_string(), "1-1.2");
    // A new version begins anew.
    let next = job("demo", "2");
    let lock = publish(&lock, &next, &built(&next, "c", "s"));
    let published = lock.published.values().next().unwrap();
    assert_eq!((published.rebuild, lock.published.len()), (0, 1));
}

/// N9: the source package that is published stays while the others are the same.
#[test]
fn comments_publish_no_other_source_package() {
    let first = job("demo", "1");
    let lock = publish(&Lock::default(), &first, &built(&first, "a", "s"));
    let commented = built(&first, "a", "other");
    assert_eq!(
        published_source(&lock, &first, &commented),
        Some(Sha256::of(b"s"))
    );
    assert_eq!(publish(&lock, &first, &commented), lock);
    // It is lost, and the new one is published: that is what is recorded.
    let lost = publish_with(&lock, &first, &commented, None);
    let published = lost.published.values().next().unwrap();
    assert_eq!(published.source, Some(Sha256::of(b"other")));
    assert_eq!(published_source(&lost, &first, &commented), None);
    assert_eq!(published_source(&lock, &first, &built(&first, "a", "s")), None);
    assert_eq!(
        published_source(&lock, &first, &built(&first, "b", "other")),
        None
    );
}

/// N10: a counter must make every package newer, and change nothing else.
#[test]
fn a_counter_that_helps_nothing_is_refused() {
    let first = job("demo", "1");
    let lock = Lock::default();
    let with = |change: &'static (dyn Fn(&mut Recipe) + Sync)| {
        let raise = move |job: &Job, rebuild: u32| {
            let mut recipe = raise(job, rebuild)?;
            change(&mut recipe);
            Ok(recipe)
        };
        let names = Names {
            lock: &lock,
            raise: &raise,
            locked: false,
        };
        names.raised(&first).map(drop).unwrap_err().to_string()
    };
    let same = with(&|recipe| recipe.evr.release = "1".to_owned());
    assert!(
        same.contains("makes no newer `demo` of 1-1, but 1-1 (a.spec)"),
        "{same}"
    );
    let package = with(&|recipe| recipe.packages[0].nevra.evr.release = "0.1".to_owned());
    assert!(
        package.contains("makes no newer `demo` of 1-1, but 1-0.1"),
        "{package}"
    );
    let needs = with(&|recipe| {
        recipe.build_requires.push(keel_spec::BuildRequire {
            dependency: "make".parse().unwrap(),
            line: None,
        });
    });
    assert!(needs.contains("changes what its SPEC needs or makes"), "{needs}");
    let mut high = first.clone();
    high.recipe.rebuild = MOST_REBUILDS;
    assert!(matches!(names(&lock).raised(&high), Err(Error::TooManyRebuilds)));
}

/// N11: records of other architectures, and of components that were not built, stay; of those that are gone, they go.
#[test]
fn records_are_of_one_architecture() {
    let first = job("demo", "1");
    let mut lock = publish(&Lock::default(), &first, &built(&first, "a", "s"));
    let record_of_demo = lock.published.values().next().unwrap().clone();
    let key = |name: &str, arch| (name.parse().unwrap(), arch);
    for (name, arch) in [
        ("demo", keel_artefact::Arch::Aarch64),
        ("known", keel_artefact::Arch::X86_64),
        ("gone", keel_artefact::Arch::X86_64),
    ] {
        lock.published.insert(key(name, arch), record_of_demo.clone());
    }
    let plan = Plan {
        format: keel_plan::FORMAT,
        arch: first.arch,
        jobs: vec![],
        published: vec![],
        providers: BTreeMap::new(),
    };
    let is_known = |name: &keel_artefact::ComponentName| name.as_str() != "gone";
    let nothing = Packages::of(&plan, &Results::new());
    let after = record(&lock, &plan, &Results::new(), &nothing, &is_known);
    let left: Vec<String> = after
        .published
        .keys()
        .map(|(name, arch)| format!("{name} {arch}"))
        .collect();
    assert_eq!(left, ["demo x86_64", "demo aarch64", "known x86_64"]);
}

/// N12: `--locked` raises nothing.
#[test]
fn locked_is_an_error() {
    let first = job("demo", "1");
    let lock = publish(&Lock::default(), &first, &built(&first, "a", "s"));
    let ask = |locked, built| {
        let names = Names {
            locked,
            ..names(&lock)
        };
        names.instead(&first, built, &Silent)
    };
    let other = built(&first, "b", "s");
    let error = ask(true, &other).map(drop).unwrap_err().to_string();
    assert!(
        error.contains("1-1 is published with other bytes (other bytes in demo-1-1.noarch)"),
        "{error}"
    );
    let raised = ask(false, &other).unwrap().unwrap();
    assert_eq!(raised.job.recipe.rebuild, 1);
    assert!(ask(true, &built(&first, "a", "s")).unwrap().is_none());
}
