//! `keel image`: from source to images, and booting them.

mod check;
mod convert;
mod describe;
mod files;
mod inspect;
mod junit;
mod record;
mod verify;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use keel_artefact::{ComponentName, Dependency, Event, ImageName, Interrupt, PackageName};
use keel_build::{BuiltPackage, Results, built::Output, closure};
use keel_config::{Image, Project};
use keel_image::{
    Built, Ingredients, Record,
    boot::{Ending, Limits, Medium, Mode, Options, TestReport},
    lock::Locked,
    provenance::Signer,
    seed::Seed,
};
use serde::Serialize;

use super::registry;
use crate::{
    args::{self, Firmware},
    base::{self, Bringer},
    context::Context,
    failure::{Class, Failure},
    pipeline::{self, Planned},
    report, terminal,
};

/// Does what was asked for.
pub fn run(context: &Context<'_>, command: args::Image) -> Result<(), Failure> {
    match command {
        args::Image::List => list(context),
        args::Image::Show { image } => {
            let checkout = |base: &keel_config::GitBase| context.checkout(base);
            let shown = keel_config::show(&context.directory, &checkout, &image)?;
            report::print(context, &shown, keel_config::Shown::toml)
        }
        args::Image::Import {
            file,
            map,
            known,
            out,
        } => {
            let packages = super::import::packages(context, map.as_deref(), known)?;
            super::import::run(context, &file, out.as_deref(), &packages)
        }
        args::Image::Build(options) => build(context, options),
        args::Image::Verify(options) => verify::run(context, &options),
        args::Image::Boot {
            image,
            boot: options,
            forward,
            user,
            ssh_key,
        } => {
            let seed = user.map(|user| seed(&user, &ssh_key)).transpose()?;
            let given = Options {
                forwards: forward,
                seed,
                ..given(&options)
            };
            boot(context, &image, &options, given)
        }
        args::Image::Test {
            images,
            boot: options,
            junit,
        } => test(context, &images, &options, junit.as_deref()),
        args::Image::Index { file, layouts } => registry::index(context, &file, &layouts),
        args::Image::Push {
            image,
            reference,
            mount_from,
            registry: asked,
        } => registry::push(context, &image, &reference, mount_from.as_deref(), &asked),
        args::Image::Pull {
            reference,
            dir,
            all_platforms,
            registry: asked,
        } => registry::pull(context, &reference, &dir, all_platforms, &asked),
        args::Image::Describe(options) => describe::run(context, &options),
        args::Image::Inspect { file } => inspect::run(context, &file),
        args::Image::Extract(options) => files::extract(context, &options),
        args::Image::Cat(options) => files::cat(context, &options),
        args::Image::Diff(options) => files::diff(context, &options),
        args::Image::Convert(options) => convert::run(context, &options),
    }
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a ImageName,
    formats: Vec<&'static str>,
    description: &'a str,
    built: bool,
}

fn list(context: &Context<'_>) -> Result<(), Failure> {
    let project = context.project()?;
    let row = |image: &'_ Image| -> Row<'_> {
        let (name, _) = project
            .images
            .get_key_value(&image.name)
            .expect("it is from there");
        Row {
            name,
            formats: image.formats.iter().map(|format| format.as_str()).collect(),
            description: &project.images[name].description,
            built: keel_image::existing(&project, image).is_ok(),
        }
    };
    let rows: Vec<Row<'_>> = project.images.values().map(row).collect();
    report::print(context, &rows, |rows| {
        let cells = |row: &Row<'_>| {
            let built = if row.built { "built" } else { "-" };
            vec![
                row.name.to_string(),
                built.to_owned(),
                row.formats.join(" "),
                row.description.to_owned(),
            ]
        };
        report::table(
            &["image", "", "formats", "description"],
            &rows.iter().map(cells).collect::<Vec<_>>(),
        )
    })
}

/// Builds what the images need, and each image as soon as its packages are there.
fn build(context: &Context<'_>, options: args::image::Build) -> Result<(), Failure> {
    let args::image::Build {
        images: mut names,
        how,
        signing,
        record: is_recorded,
        check: is_checked,
        builder,
    } = options;
    if names.is_empty() {
        let project = context.project()?;
        let buildable = project
            .images
            .values()
            .filter(|image| image.check_buildable().is_ok());
        names = buildable.map(|image| image.name.clone()).collect();
    }
    let targets = args::Targets {
        components: Vec::new(),
        images: names,
    };
    let planned = pipeline::plan(context, &targets, pipeline::Files::Fetched(how.refresh))?;
    pipeline::check_output(&planned.project)?;
    let key = context.key(&signing)?;
    let locked = match how.locked {
        true => Some(record::locked(context, &planned.project, &planned.images)?),
        false => None,
    };
    let tree = record::revision(context, &planned.project);
    let recipe = Recorded {
        signer: Signer {
            key: &key,
            builder: &builder,
            tree: tree.as_ref(),
        },
        locked: locked.as_deref(),
    };
    context.sink().event(Event::Stage {
        title: "Building packages",
    });
    let mut done: Vec<Option<Result<Built, Failure>>> = planned.images.iter().map(|_| None).collect();
    let mut on_progress = |planned: &Planned, results: &Results| {
        // What is complete only at the end is composed at the end, after the packages were put where users look.
        for (index, group) in planned.groups.iter().enumerate() {
            let is_complete = group.iter().all(|component| results.contains_key(component));
            let is_worth_it = results.len() < planned.plan.jobs.len();
            if done[index].is_none() && is_complete && is_worth_it {
                done[index] = Some(compose(context, planned, results, &recipe, index));
            }
        }
    };
    let built = pipeline::build(context, planned, &how, &mut on_progress);
    let (planned, results) = match built {
        Ok(built) => built,
        // An image that could not be composed is told before a package that failed later.
        Err(failure) => {
            return Err(done
                .into_iter()
                .flatten()
                .find_map(Result::err)
                .unwrap_or(failure));
        }
    };
    super::build::export(context, &planned, &results)?;
    let mut built = Vec::new();
    for (index, early) in done.into_iter().enumerate() {
        built.push(match early {
            Some(early) => early?,
            None => compose(context, &planned, &results, &recipe, index)?,
        });
    }
    if is_checked {
        check::all(context, &planned, &results, &recipe, &built)?;
    }
    match is_recorded {
        true => record::record(context, &planned.project, &built)?,
        false => record::tell(context, &planned.project, &built)?,
    }
    report::print(context, &built, |built| {
        built.iter().map(describe).collect::<Vec<_>>().join("\n")
    })
}

/// What is recorded of all images of a run.
struct Recorded<'a> {
    signer: Signer<'a>,
    /// What they must consist of, in their order.
    locked: Option<&'a [Locked]>,
}

/// Makes one image from a repository of its own: just what it needs, whatever else is built, so that it is the same
/// whether it comes first or last. What is published is not touched.
fn compose(
    context: &Context<'_>,
    planned: &Planned,
    results: &Results,
    recorded: &Recorded<'_>,
    index: usize,
) -> Result<Built, Failure> {
    let out = planned.project.output_dir.join("images");
    with_ingredients(context, planned, results, recorded, index, |of| {
        let (store, sink) = (context.store()?, context.sink());
        Ok(keel_image::build(of, &out, store, sink, &context.interrupt)?)
    })
}

/// Works with what an image is made of: a repository of just the packages that it needs, which is gone afterwards.
fn with_ingredients<T>(
    context: &Context<'_>,
    planned: &Planned,
    results: &Results,
    recorded: &Recorded<'_>,
    index: usize,
    work: impl FnOnce(&Ingredients<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let group: &BTreeSet<ComponentName> = &planned.groups[index];
    let of_group: Results = results
        .iter()
        .filter(|(component, _)| group.contains(*component))
        .map(|(component, finished)| (component.clone(), finished.clone()))
        .collect();
    let scratch = context.store()?.temp_dir("repository")?;
    let mut packages = pipeline::packages(planned, &of_group);
    packages.add(foreign(context, planned, &of_group, index)?);
    let repository = keel_repo::lay_out(
        &packages,
        context.store()?,
        Some(recorded.signer.key),
        &scratch.path().join(context.arch().rpm()),
        &context.interrupt,
    )?;
    let record = Record {
        origins: &record::origins(planned, &of_group, &packages)?,
        signer: recorded.signer,
        locked: recorded.locked.map(|locked| &locked[index]),
    };
    work(&Ingredients {
        image: &planned.images[index],
        repository: &repository,
        project: &planned.project,
        arch: context.arch(),
        stage0: &planned.stage0,
        record,
    })
}

/// Packages of a base's repository that an image may hold, in the store. Which of them it does hold, the image stage says, which
/// reads headers; where that cannot be known before, all that are there of what it needs.
fn foreign(
    context: &Context<'_>,
    planned: &Planned,
    of_group: &Results,
    index: usize,
) -> Result<Vec<BuiltPackage>, Failure> {
    let (image, base) = (&planned.images[index], planned.base());
    let of_base = planned.foreign[index].iter();
    let of_base: Vec<Arc<_>> = of_base
        .filter_map(|component| base.components.get(component).cloned())
        .collect();
    if of_base.is_empty() {
        return Ok(Vec::new());
    }
    let own = of_group.values().map(|finished| Arc::clone(&finished.built));
    let all = own.chain(of_base.iter().cloned());
    let mut packages = match chosen(&image.all_packages(), &image.exclude, all, &context.interrupt) {
        Ok(chosen) if !image.install_weak_deps => chosen,
        _ => keel_build::job::all_packages(of_base.iter().map(|built| &**built)),
    };
    packages.retain(|package| base.has(&package.component));
    let wanted: Vec<&BuiltPackage> = packages.iter().collect();
    Bringer::new(context, base)?.bring(&wanted).map_err(|error| {
        let text = format!("cannot use packages of the base for image `{}`", image.name);
        let failure = Failure::because(Class::Failed, text, &*error);
        match base::hint(&*error) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })?;
    Ok(packages)
}

/// What an image asks for of all that there is, and what that requires, but nothing that it excludes.
fn chosen(
    packages: &[PackageName],
    exclude: &[PackageName],
    all: impl Iterator<Item = Arc<keel_build::Built>>,
    interrupt: &Interrupt,
) -> Result<Vec<BuiltPackage>, closure::Error> {
    let candidates: Vec<Arc<_>> = all.map(|built| without(built, exclude)).collect();
    let names = packages.iter().map(|name| Dependency::any(name.as_str()));
    closure::close(&names.collect::<Vec<_>>(), &candidates, &|_| false, interrupt)
}

/// A component without packages of these names.
fn without(built: Arc<keel_build::Built>, names: &[PackageName]) -> Arc<keel_build::Built> {
    let is_in = |output: &Output| names.contains(&output.package.nevra.name);
    if !built.outputs.iter().any(is_in) {
        return built;
    }
    let mut less = keel_build::Built::clone(&built);
    less.outputs.retain(|output| !is_in(output));
    Arc::new(less)
}

fn describe(built: &Built) -> String {
    let mut lines = vec![format!(
        "{}  {} packages, tree {}",
        built.image,
        built.packages.len(),
        built.tree.short()
    )];
    for file in &built.files {
        lines.push(format!(
            "  {:>10}  {}",
            report::bytes(file.size),
            built.dir.join(&file.name).display()
        ));
    }
    lines.join("\n")
}

/// An image that was built before, for booting.
fn find(context: &Context<'_>, project: &Project, name: &ImageName) -> Result<(Image, Built), Failure> {
    let image = pipeline::images(project, std::slice::from_ref(name))?.remove(0);
    pipeline::check_bootable(&image)?;
    let built = keel_image::existing(project, &image).map_err(|error| {
        Failure::because(Class::Input, format!("image `{name}` is not built"), &error)
            .hint(format!("keel image build {name}"))
    })?;
    let changed = keel_image::changed(project, &image, &built)?;
    if let Some(first) = changed.first() {
        let more = match changed.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let text = format!(
            "image `{name}` is not what the tree says now: since it was built, {first}{more} changed (`keel image build {name}` makes it anew)"
        );
        context.sink().event(Event::Warning { text: &text });
    }
    Ok((image, built))
}

/// How long a guest under test may take until it is ready.
const READY: Duration = Duration::from_secs(300);

fn given(options: &args::Boot) -> Options {
    let timeout = options.timeout.map(Duration::from_secs);
    let limits = Limits {
        ready: timeout.unwrap_or(READY),
        ..Limits::default()
    };
    Options {
        limits,
        timeout,
        medium: match options.medium {
            args::Medium::Cd => Medium::Cd,
            args::Medium::Disk => Medium::Disk,
        },
        kvm: options.kvm,
        tpm: options.tpm,
        ..Options::default()
    }
}

/// The user of `keel image boot`, whose keys are in `files`.
fn seed(user: &str, files: &[PathBuf]) -> Result<Seed, Failure> {
    let keys = files.iter().map(fs_err::read_to_string);
    let keys: Vec<String> = keys.collect::<Result<_, _>>()?;
    Ok(Seed::new(user, &keys)?)
}

fn boot(
    context: &Context<'_>,
    name: &ImageName,
    options: &args::Boot,
    given: Options,
) -> Result<(), Failure> {
    let project = context.project()?;
    let (mut image, built) = find(context, &project, name)?;
    image.memory_mib = options.memory.unwrap_or(image.memory_mib);
    let mode = match options.firmware {
        Firmware::Direct => Mode::Direct,
        Firmware::Uefi => Mode::Uefi,
        Firmware::Bios => Mode::Bios,
        Firmware::Pxe => Mode::Pxe,
        Firmware::Both => {
            return Err(Failure::input(
                "`both` is for `keel image test`; boot one way at a time",
            ));
        }
    };
    let given = Options { mode, ..given };
    context
        .terminal
        .line("the console follows; Ctrl-C ends the machine");
    let (store, sink) = (context.store()?, context.sink());
    let ending = keel_image::boot(&image, &built, &given, store, sink, &context.interrupt)?;
    context.terminal.line(match ending {
        Ending::Off => "the machine powered off",
        Ending::Stopped => "the machine was ended",
    });
    Ok(())
}

fn test(
    context: &Context<'_>,
    names: &[ImageName],
    options: &args::Boot,
    junit: Option<&Path>,
) -> Result<(), Failure> {
    let project = context.project()?;
    let bootable = || {
        project
            .images
            .values()
            .filter(|image| match options.firmware {
                // No disk of Keel's starts without UEFI, or from the network.
                Firmware::Bios | Firmware::Pxe => image.is_live(),
                _ => image.boots(),
            })
            .map(|image| image.name.clone())
    };
    let names: Vec<ImageName> = if names.is_empty() {
        bootable().collect()
    } else {
        names.to_vec()
    };
    if names.is_empty() {
        return Err(Failure::input("this project has no image that boots"));
    }
    let modes: &[Mode] = match options.firmware {
        Firmware::Direct => &[Mode::Direct],
        Firmware::Uefi => &[Mode::Uefi],
        Firmware::Bios => &[Mode::Bios],
        Firmware::Pxe => &[Mode::Pxe],
        Firmware::Both => &[Mode::Direct, Mode::Uefi],
    };
    let (mut reports, mut broken) = (Vec::new(), None);
    'all: for name in &names {
        let (mut image, built) = find(context, &project, name)?;
        image.memory_mib = options.memory.unwrap_or(image.memory_mib);
        for mode in modes {
            let store = context.store()?;
            let sink = context.sink();
            let given = Options {
                mode: *mode,
                ..given(options)
            };
            match keel_image::test(&image, &built, &given, store, sink, &context.interrupt) {
                Ok(report) => reports.push(report),
                // What was found before is told first.
                Err(error) => {
                    broken = Some((format!("{name} ({mode})"), error));
                    break 'all;
                }
            }
        }
    }
    report::print(context, &reports, |reports| {
        reports.iter().map(tell).collect::<Vec<_>>().join("\n\n")
    })?;
    let failed: usize = reports
        .iter()
        .flat_map(|report| &report.checks)
        .filter(|check| !check.passed())
        .count();
    if let Some(file) = junit {
        fs_err::write(file, junit::write(&reports, broken.as_ref()))?;
    }
    if let Some((_, error)) = broken {
        return Err(error.into());
    }
    if failed == 0 {
        Ok(())
    } else {
        let checks = if failed == 1 { "check" } else { "checks" };
        Err(Failure::new(Class::Failed, format!("{failed} {checks} failed")))
    }
}

fn tell(found: &TestReport) -> String {
    let mut lines = vec![format!(
        "{} ({}): ready {} after the kernel's start ({} with firmware and QEMU), {} of {} memory in use, disk {}",
        found.image,
        found.mode,
        terminal::readable(found.ready),
        terminal::readable(found.wall),
        report::bytes(found.memory_used),
        report::bytes(found.memory_total),
        report::bytes(found.disk_size),
    )];
    for check in &found.checks {
        let verdict = if check.passed() { "ok    " } else { "FAILED" };
        lines.push(format!(
            "  {verdict} {} ({})",
            check.name,
            terminal::readable(check.elapsed)
        ));
        if !check.passed() {
            lines.extend(check.output.lines().map(|line| format!("         {line}")));
        }
    }
    lines.push(format!("  console: {}", found.console.display()));
    lines.join("\n")
}

#[cfg(test)]
mod tests;
