//! `[images.NAME]`, and Keel's image definition that it names.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use keel_artefact::{ImageName, PackageName};

use crate::{
    Further, Group, Image,
    image::{Capabilities, Compression, Container, Format, Kind, Os, Test, Wsl},
    read::{
        container,
        definition::{Definition, Definitions, items_of},
        disk, live, os, scripts,
    },
    size,
    table::{Table, Text},
    tree::{Place, Value},
};

const MIB: u64 = 1 << 20;
const MEMORY_MIB: u32 = 512;
/// What stands for every language, in place of one.
const ALL_LANGUAGES: &str = "all";

/// All images; what is wrong is reported.
pub(crate) fn read(
    project_root: &Path,
    root: &Table<'_>,
    groups: &BTreeMap<String, Group>,
) -> BTreeMap<ImageName, Image> {
    let mut images = BTreeMap::new();
    let definitions = Definitions::new(project_root, root);
    for (name, table) in root.named("images") {
        let Ok(parsed) = name.parse::<ImageName>().map_err(|error| {
            table.report(table.at, error.to_string());
        }) else {
            continue;
        };
        if let Some(image) = image(&definitions, &parsed, &table, groups) {
            images.insert(parsed, image);
        }
    }
    // What is wrong with a definition is wrong with all that inherit from it.
    root.problems.once();
    images
}

fn image(
    definitions: &Definitions<'_>,
    name: &ImageName,
    table: &Table<'_>,
    groups: &BTreeMap<String, Group>,
) -> Option<Image> {
    if !table.has("definition") {
        table.report(table.at, format!("{} needs the key `definition`", table.title()));
        return None;
    }
    let definition = table.table("definition")?;
    let kind = match definition.text("type")?.value {
        "keel" => Kind::Keel,
        "kiwi" => Kind::Kiwi,
        _ => return None,
    };
    let path = definition.text("path")?;
    let suites = table
        .table("tests")
        .map(|tests| tests.tables("test-suites"))
        .unwrap_or_default();
    let mut image = Image {
        name: name.clone(),
        description: table.string_or_empty("description"),
        capabilities: table
            .table("capabilities")
            .map(|table| capabilities(&[Some(table)]))
            .unwrap_or_default(),
        definition: table.sources.resolve(path.at, path.value),
        kind,
        profile: definition.string("profile"),
        test_suites: suites.iter().filter_map(|suite| suite.string("name")).collect(),
        channels: table
            .table("publish")
            .map(|publish| publish.texts("channels"))
            .unwrap_or_default(),
        inherits: None,
        purpose: None,
        packages: Vec::new(),
        exclude: Vec::new(),
        install_weak_deps: false,
        documentation: true,
        languages: None,
        formats: Vec::new(),
        container: None,
        disk: None,
        live: None,
        cpio: Compression::default(),
        wsl: Wsl::default(),
        memory_mib: MEMORY_MIB,
        os: Os::default(),
        scripts: Vec::new(),
        tests: Vec::new(),
        defined_at: table.location(),
    };
    if kind == Kind::Kiwi {
        return Some(image);
    }
    let (sources, problems) = (table.sources, table.problems);
    let before = problems.len();
    let said = definitions.of(name, table)?;
    let root = Table::new(sources, problems, String::new(), said.merged.at, &said.merged)?;
    image.capabilities = definitions.capabilities(&said);
    image.inherits = said.inherits().cloned();
    let packages = packages(&said, &root, groups);
    image.packages = packages.into_iter().map(|package| package.name).collect();
    fill(&mut image, &root, &said);
    if image.packages.is_empty() && problems.len() == before {
        table.problems.push(
            crate::Diagnostic::new(format!("image `{name}` has no packages")).at(image.defined_at.clone()),
        );
    }
    Some(image)
}

/// A package that an image asks for, and where that is said.
pub(crate) struct Wanted {
    pub(crate) name: PackageName,
    /// Of its name, or of its group's.
    pub(crate) at: Place,
    /// The group that it came with.
    pub(crate) group: Option<String>,
}

/// The packages of all levels: each adds its own and its groups', in the order of the files, and takes away what it removes.
pub(crate) fn packages(
    definition: &Definition,
    root: &Table<'_>,
    groups: &BTreeMap<String, Group>,
) -> Vec<Wanted> {
    let mut all: Vec<Wanted> = Vec::new();
    for level in &definition.levels {
        let inherited = all.len();
        for key in ["packages", "package-groups"] {
            let Some(value) = level.value.get(&[key]) else {
                continue;
            };
            if value.get(&["replace"]).is_some() {
                all.retain(|wanted| wanted.group.is_some() != (key == "package-groups"));
            }
            for text in texts(items_of(value)) {
                if key == "packages" {
                    add(&mut all, text.value.parse().ok(), text.at, None);
                } else {
                    unfold(&mut all, text, root, groups);
                }
            }
        }
        let removed = level
            .value
            .get(&["remove-packages"])
            .map(items_of)
            .unwrap_or_default();
        for text in texts(removed) {
            let before = all.len();
            all.retain(|wanted| wanted.name.as_str() != text.value);
            if all.len() == before {
                let message = format!(
                    "there is no `{}` to remove: nothing that is inherited asks for it",
                    text.value
                );
                let known = all.iter().take(inherited).map(|wanted| wanted.name.as_str());
                let wrong = root.wrong(text.at, message).did_you_mean(text.value, known);
                root.problems.push(wrong);
            }
        }
    }
    all
}

fn texts(items: &[Value]) -> impl Iterator<Item = Text<'_>> {
    items.iter().filter_map(|item| {
        let value = item.text()?;
        Some(Text { value, at: item.at })
    })
}

fn add(all: &mut Vec<Wanted>, name: Option<PackageName>, at: Place, group: Option<&str>) {
    if let Some(name) = name.filter(|name| all.iter().all(|wanted| wanted.name != *name)) {
        let group = group.map(str::to_owned);
        all.push(Wanted { name, at, group });
    }
}

/// Packages of a group join those that are named.
fn unfold(all: &mut Vec<Wanted>, name: Text<'_>, root: &Table<'_>, groups: &BTreeMap<String, Group>) {
    let Some(group) = groups.get(name.value) else {
        let message = format!("unknown package group `{}`", name.value);
        let wrong = root.wrong(name.at, message);
        let known = groups.keys().map(String::as_str);
        root.problems.push(wrong.did_you_mean(name.value, known));
        return;
    };
    for package in &group.packages {
        add(all, Some(package.clone()), name.at, Some(name.value));
    }
}

/// Capabilities of a row of tables, of which a later one wins.
pub(crate) fn capabilities(levels: &[Option<Table<'_>>]) -> Capabilities {
    let said = |key: &str| levels.iter().rev().flatten().find_map(|table| table.flag(key));
    let said = |key: &str| said(key).unwrap_or_default();
    Capabilities {
        container: said("container"),
        machine_bootable: said("machine-bootable"),
        systemd: said("systemd"),
        runtime_package_management: said("runtime-package-management"),
    }
}

fn fill(image: &mut Image, root: &Table<'_>, said: &Definition) {
    let mut seen = BTreeSet::new();
    image.exclude = root.parsed_strings("exclude");
    image.exclude.retain(|name| seen.insert(name.clone()));
    image.purpose = root.string("purpose");
    image.install_weak_deps = root.boolean("install-weak-deps");
    image.documentation = root.flag("documentation").unwrap_or(true);
    image.languages = root.has("languages").then(|| languages(root)).flatten();
    let said_formats = formats(image, root);
    if let Some(bytes) = bytes(root, "memory") {
        image.memory_mib = u32::try_from(bytes / MIB).unwrap_or(u32::MAX);
    }
    image.container = root.table("container").map(|table| container::container(&table));
    if let Some(table) = root.table("disk") {
        image.disk = Some(disk::read(&table, &image.name));
    }
    if let Some(table) = root.table("live") {
        image.live = Some(live::read(&table));
    }
    if let Some(table) = root.table("cpio")
        && table.text("compression").is_some_and(|word| word.value == "gzip")
    {
        image.cpio = Compression::Gzip;
    }
    if let Some(table) = root.table("wsl") {
        image.wsl = container::wsl(&table);
    }
    if let Some(table) = root.table("os") {
        image.os = os::read(&table);
    }
    if let Some(table) = root.table("scripts") {
        image.scripts = scripts::read(&table);
    }
    image.tests = tests(root);
    fit(image, root, said, said_formats);
}

/// The languages asked for; none if one of them is the word for all.
fn languages(root: &Table<'_>) -> Option<Vec<String>> {
    let mut languages = Vec::new();
    for language in root.texts("languages") {
        if language == ALL_LANGUAGES {
            return None;
        }
        if !languages.contains(&language) {
            languages.push(language);
        }
    }
    Some(languages)
}

/// Whether any format is there, right or wrong.
fn formats(image: &mut Image, table: &Table<'_>) -> bool {
    let texts = table.strings("formats");
    for text in &texts {
        let known = Format::NAMES.iter().find(|(name, _)| *name == text.value);
        if let Some((_, format)) = known.filter(|(_, format)| !image.formats.contains(format)) {
            image.formats.push(*format);
        }
    }
    image.formats.sort();
    !texts.is_empty()
}

fn tests(root: &Table<'_>) -> Vec<Test> {
    let mut tests: Vec<Test> = Vec::new();
    for table in root.tables("tests") {
        let (Some(name), Some(run)) = (table.text("name"), table.text("run")) else {
            continue;
        };
        if name.value.contains(char::is_control) {
            table.report(name.at, "the name of a test is one line");
        } else {
            tests.push(Test {
                name: name.value.to_owned(),
                run: run.value.to_owned(),
            });
        }
    }
    tests
}

/// Do formats, parts and capabilities fit each other?
fn fit(image: &mut Image, root: &Table<'_>, said: &Definition, said_formats: bool) {
    let (container, disk, live) = (image.is_container(), image.is_disk(), image.is_live());
    if image.formats.is_empty() && said_formats {
        // Those that are there were refused one by one.
    } else if image.formats.is_empty() {
        let known: Vec<&str> = Format::NAMES.iter().map(|(name, _)| *name).collect();
        let wrong = root.wrong(root.at, format!("image `{}` has no `formats`", image.name));
        root.problems
            .push(wrong.hint(format!("known formats: {}", known.join(", "))));
    } else {
        let formats = image.formats.clone();
        let has = |format| formats.contains(&format);
        for (there, wanted, key, what) in [
            (image.container.is_some(), container, "container", "a container"),
            (image.disk.is_some(), disk, "disk", "a disk"),
            (image.live.is_some(), live, "live", "`iso` or `pxe`"),
            (root.has("cpio"), has(Format::Cpio), "cpio", "`cpio`"),
            (root.has("wsl"), has(Format::Wsl), "wsl", "`wsl`"),
        ] {
            if !there || wanted {
                continue;
            }
            if said.is_own(&[key]) {
                let message = format!("`[{key}]` is of no use: no entry of `formats` is {what}");
                root.report(root.key_at(key), message);
            }
            // What is inherited is for formats that this image does not have.
            match key {
                "container" => image.container = None,
                "disk" => image.disk = None,
                "live" => image.live = None,
                "wsl" => image.wsl = Wsl::default(),
                _ => image.cpio = Compression::default(),
            }
        }
        for (wanted, is_there, key) in [
            (disk, image.disk.is_some(), "disk"),
            (live, image.live.is_some(), "live"),
        ] {
            if wanted && !is_there {
                lacks(image, root, said, key);
            }
        }
        if disk && live {
            let message = format!(
                "image `{}` is a disk and a live system: each mounts its root in a way of its own",
                image.name
            );
            let wrong = root.wrong(root.key_at("formats"), message);
            let hint = "make two images: the live one says `inherits` and `formats.replace = [\"iso\"]`";
            root.problems.push(wrong.hint(hint));
        }
        fit_os(image, root, said);
        for (claimed, true_, claim) in [
            (
                image.capabilities.container,
                container || has(Format::Tar),
                "container",
            ),
            (
                image.capabilities.machine_bootable,
                disk || live,
                "machine-bootable",
            ),
        ] {
            if claimed && !true_ {
                let message = format!(
                    "image `{}` has the capability `{claim}` ({}), but no such format",
                    image.name, image.defined_at
                );
                root.report(root.key_at("formats"), message);
            }
        }
    }
    if container && image.container.is_none() {
        image.container = Some(Container::default());
    }
    let of_disk = image.disk.as_ref().and_then(|disk| disk.kernel.clone());
    let of_live = image.live.as_ref().and_then(|live| live.kernel.clone());
    for kernel in of_disk.into_iter().chain(of_live) {
        if !image.packages.contains(&kernel) {
            image.packages.push(kernel);
        }
    }
    let both: Vec<&PackageName> = (image.exclude.iter())
        .filter(|name| image.packages.contains(name))
        .collect();
    for name in both {
        root.report(
            root.key_at("exclude"),
            format!("package `{name}` is both wanted and excluded"),
        );
    }
}

/// Says that a format needs a table that is not there.
fn lacks(image: &Image, root: &Table<'_>, said: &Definition, key: &str) {
    // Lists of formats add up: the key is that of the first file, the entry may be another's.
    let is_meant = |text: &Text<'_>| {
        let format = Format::NAMES.iter().find(|(name, _)| *name == text.value);
        format.is_some_and(|(_, format)| {
            if key == "disk" {
                format.is_disk()
            } else {
                format.is_live()
            }
        })
    };
    let format = root.strings("formats").into_iter().find(is_meant);
    let at = format.map_or(root.key_at("formats"), |format| format.at);
    let place = root.sources.location(at);
    let own = said.own().map(|own| own.value.at);
    let what = if key == "disk" { "a disk" } else { "a live system" };
    let message = format!(
        "image `{}`: the format of {what} needs the table `[{key}]`",
        image.name
    );
    let wrong = match own.filter(|own| root.sources.location(*own).file != place.file) {
        Some(own) => {
            let mut inherited = Further::new("the format is inherited from");
            inherited.location = Some(place);
            root.wrong(own, message).further(inherited)
        }
        None => root.wrong(at, message),
    };
    root.problems.push(wrong);
}

/// What only a machine has, or systemd.
fn fit_os(image: &mut Image, root: &Table<'_>, said: &Definition) {
    let Some(table) = root.table("os") else { return };
    let (machine, boots) = (image.is_machine(), image.boots());
    let of_no_use = |key: &&str| !(boots || *key == "modules" && image.formats.contains(&Format::Cpio));
    let unused: Vec<&str> = image.os.of_a_machine().into_iter().filter(of_no_use).collect();
    for key in unused {
        match key {
            "modules" => image.os.modules.clear(),
            _ => image.os.kernel_command_line.clear(),
        }
        if !said.is_own(&["os", key]) {
            continue;
        }
        let message =
            format!("`{key}` in `[os]` is of no use: no entry of `formats` is a disk or a live system");
        table.report(table.key_at(key), message);
    }
    if image.os.selinux.is_some() && !image.formats.iter().any(|format| format.has_labels()) {
        image.os.selinux = None;
        if said.is_own(&["os", "selinux"]) {
            let message = "`[os.selinux]` is of no use: files of no entry of `formats` have labels";
            table.report(table.key_at("selinux"), message);
        }
    }
    if boots {
        os::say_selinux(&table, &mut image.os);
    }
    let services = &image.os.services;
    let is_said = !(services.enable.is_empty() && services.disable.is_empty());
    if is_said && !(machine && image.capabilities.systemd) {
        if !said.is_own(&["os", "services"]) {
            image.os.services = Default::default();
            return;
        }
        let message = format!(
            "`[os.services]` is of no use: image `{}` ({}) is no machine whose first process is systemd",
            image.name, image.defined_at
        );
        let wrong = table.wrong(table.key_at("services"), message);
        let says = |says: &str| format!("`[images.{}]` says so: `{says}`", image.name);
        let hint = match (boots, machine) {
            (true, _) => says("capabilities = { machine-bootable = true, systemd = true }"),
            (false, true) => says("capabilities = { systemd = true }"),
            (false, false) => "leave it out: a container starts what `[container]` says".to_owned(),
        };
        table.problems.push(wrong.hint(hint));
    }
}

/// A size in bytes; one that is none was reported.
fn bytes(table: &Table<'_>, key: &str) -> Option<u64> {
    size::parse(table.text(key)?.value).ok()
}
