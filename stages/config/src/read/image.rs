//! `[images.NAME]`, and Keel's image definition that it names.

use std::{collections::BTreeMap, path::Path};

use keel_artefact::{ImageName, PackageName};

use crate::{
    Group, Image,
    image::{Boot, Capabilities, Container, Disk, Format, Kind, Qcow2Compression, RootFs, Test},
    includes, model, size, strict,
    table::Table,
};

const MIB: u64 = 1 << 20;
/// Where nothing else is said: enough for a loader and two kernels.
const ESP_SIZE: u64 = 64 * MIB;
const MEMORY_MIB: u32 = 512;

/// All images; what is wrong is reported.
pub(crate) fn read(
    project_root: &Path,
    root: &Table<'_>,
    groups: &BTreeMap<String, Group>,
) -> BTreeMap<ImageName, Image> {
    let mut images = BTreeMap::new();
    for (name, table) in root.named("images") {
        let Ok(parsed) = name.parse::<ImageName>().map_err(|error| {
            table.report(table.at, error.to_string());
        }) else {
            continue;
        };
        if let Some(image) = image(project_root, &parsed, &table, groups) {
            images.insert(parsed, image);
        }
    }
    images
}

fn image(
    project_root: &Path,
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
            .map(|table| capabilities(&table))
            .unwrap_or_default(),
        definition: table.sources.resolve(path.at, path.value),
        kind,
        profile: definition.string("profile"),
        test_suites: suites.iter().filter_map(|suite| suite.string("name")).collect(),
        channels: table
            .table("publish")
            .map(|publish| publish.texts("channels"))
            .unwrap_or_default(),
        packages: Vec::new(),
        exclude: Vec::new(),
        install_weak_deps: false,
        formats: Vec::new(),
        container: None,
        disk: None,
        memory_mib: MEMORY_MIB,
        hostname: None,
        tests: Vec::new(),
        defined_at: table.location(),
    };
    if kind == Kind::Kiwi {
        return Some(image);
    }
    let file = definition.existing_file(path, "image definition")?;
    let (sources, problems) = (table.sources, table.problems);
    let before = problems.len();
    let value = includes::document(project_root, sources.tree(table.at), sources, problems, &file)?;
    strict::check(sources, problems, &model::DEFINITION, &value);
    let root = Table::new(sources, problems, String::new(), value.at, &value)?;
    fill(&mut image, &root);
    unfold(&mut image, &root, groups);
    if image.packages.is_empty() && problems.len() == before {
        table.problems.push(
            crate::Diagnostic::new(format!("image `{name}` has no packages")).at(image.defined_at.clone()),
        );
    }
    Some(image)
}

/// Packages of groups join those that are named.
fn unfold(image: &mut Image, root: &Table<'_>, groups: &BTreeMap<String, Group>) {
    for name in root.strings("package-groups") {
        let Some(group) = groups.get(name.value) else {
            let message = format!("unknown package group `{}`", name.value);
            let wrong = root.wrong(name.at, message);
            let known = groups.keys().map(String::as_str);
            root.problems.push(wrong.did_you_mean(name.value, known));
            continue;
        };
        for package in &group.packages {
            if !image.packages.contains(package) {
                image.packages.push(package.clone());
            }
        }
    }
}

fn capabilities(table: &Table<'_>) -> Capabilities {
    Capabilities {
        container: table.boolean("container"),
        machine_bootable: table.boolean("machine-bootable"),
        systemd: table.boolean("systemd"),
        runtime_package_management: table.boolean("runtime-package-management"),
    }
}

fn fill(image: &mut Image, root: &Table<'_>) {
    image.packages = root.parsed_strings("packages");
    image.exclude = root.parsed_strings("exclude");
    image.install_weak_deps = root.boolean("install-weak-deps");
    let mut said_formats = formats(image, root, false);
    image.hostname = root.string("hostname");
    if let Some(bytes) = bytes(root, "memory") {
        image.memory_mib = u32::try_from(bytes / MIB).unwrap_or(u32::MAX);
    }
    image.container = root.table("container").map(|table| container(&table));
    if let Some(table) = root.table("disk") {
        said_formats |= formats(image, &table, true);
        image.disk = Some(disk(&table, &image.name));
    }
    image.tests = tests(root);
    fit(image, root, said_formats);
}

/// Formats may stand at the top and, those of a disk, in `[disk]`. Whether any is there, right or wrong.
fn formats(image: &mut Image, table: &Table<'_>, of_disk: bool) -> bool {
    let texts = table.strings("formats");
    for text in &texts {
        let known = Format::NAMES.iter().find(|(name, _)| *name == text.value);
        let Some((_, format)) = known else { continue };
        if of_disk && !format.is_disk() {
            table.report(text.at, format!("`{format}` is not the format of a disk"));
        } else if of_disk && image.formats.contains(format) {
            table.report(text.at, format!("`{format}` is twice in `formats`"));
        } else if !image.formats.contains(format) {
            image.formats.push(*format);
        }
    }
    image.formats.sort();
    !texts.is_empty()
}

fn container(table: &Table<'_>) -> Container {
    let container = Container {
        entrypoint: table.texts("entrypoint"),
        cmd: table.texts("cmd"),
        env: table.map("env"),
        labels: table.map("labels"),
        workdir: table.parsed("workdir"),
        user: table.string("user"),
    };
    for name in container
        .env
        .keys()
        .filter(|name| name.is_empty() || name.contains(['=', '\0']))
    {
        table.report(
            table.key_at("env"),
            format!("`{name}` is not the name of an environment variable"),
        );
    }
    container
}

fn disk(table: &Table<'_>, name: &ImageName) -> Disk {
    let size = bytes(table, "size");
    let esp_size = bytes(table, "esp-size").unwrap_or(ESP_SIZE);
    if size.is_some_and(|size| size <= esp_size + 2 * MIB) {
        let message = "the disk is too small for its EFI system partition and a root beside it";
        table.report(table.key_at("size"), message);
    }
    Disk {
        size,
        esp_size,
        root_fs: RootFs::Erofs,
        root_label: table
            .string("root-label")
            .unwrap_or_else(|| format!("{name}-root")),
        qcow2_compression: match table.text("qcow2-compression") {
            Some(word) if word.value == "none" => Qcow2Compression::None,
            _ => Qcow2Compression::Zstd,
        },
        kernel: table.parsed("kernel"),
        kernel_cmdline: table.texts("cmdline"),
        boot: match table.text("boot") {
            Some(word) if word.value == "uki" => Boot::Uki,
            _ => Boot::SystemdBoot,
        },
        initrd: table.parsed("initrd"),
    }
}

fn tests(root: &Table<'_>) -> Vec<Test> {
    let mut tests: Vec<Test> = Vec::new();
    for table in root.tables("tests") {
        let (Some(name), Some(run)) = (table.text("name"), table.text("run")) else {
            continue;
        };
        if name.value.contains(char::is_control) {
            table.report(name.at, "the name of a test is one line");
        } else if tests.iter().any(|test| test.name == name.value) {
            table.report(name.at, format!("two tests are called `{}`", name.value));
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
fn fit(image: &mut Image, root: &Table<'_>, said_formats: bool) {
    let (container, disk) = (image.is_container(), image.is_disk());
    if image.formats.is_empty() && said_formats {
        // Those that are there were refused one by one.
    } else if image.formats.is_empty() {
        let known: Vec<&str> = Format::NAMES.iter().map(|(name, _)| *name).collect();
        let wrong = root.wrong(root.at, format!("image `{}` has no `formats`", image.name));
        root.problems
            .push(wrong.hint(format!("known formats: {}", known.join(", "))));
    } else {
        for (there, wanted, key) in [
            (image.container.is_some(), container, "container"),
            (image.disk.is_some(), disk, "disk"),
        ] {
            if there && !wanted {
                let message = format!("`[{key}]` is of no use: no entry of `formats` is a {key}");
                root.report(root.key_at(key), message);
            }
        }
        if disk && image.disk.is_none() {
            root.report(
                root.key_at("formats"),
                "the format of a disk needs the table `[disk]`",
            );
        }
        for (claimed, true_, claim) in [
            (image.capabilities.container, container, "container"),
            (image.capabilities.machine_bootable, disk, "machine-bootable"),
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
    if let Some(kernel) = image.disk.as_ref().and_then(|disk| disk.kernel.clone())
        && !image.packages.contains(&kernel)
    {
        image.packages.push(kernel);
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

/// A size in bytes; one that is none was reported.
fn bytes(table: &Table<'_>, key: &str) -> Option<u64> {
    size::parse(table.text(key)?.value).ok()
}
