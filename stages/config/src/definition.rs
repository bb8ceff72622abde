//! `[images.NAME]`, and Keel's image definition that it names.

use std::path::Path;

use keel_artefact::{ImageName, PackageName};

use crate::{
    Diagnostic, Image,
    image::{Boot, Capabilities, Container, Disk, Format, RootFs, Test},
    includes,
    settings::{Draft, existing_file, twice},
    size,
    table::{Placed, Source, Table},
};

const MIB: u64 = 1 << 20;
/// Where nothing else is said: enough for a loader and two kernels.
const ESP_SIZE: u64 = 64 * MIB;
const MEMORY_MIB: u32 = 512;

/// An image whose package groups are not unfolded yet.
pub(crate) struct ImageDraft {
    pub(crate) image: Image,
    /// Group names, each with an error about it that only lacks its message.
    pub(crate) groups: Vec<(String, Diagnostic)>,
}

pub(crate) fn read(project_root: &Path, root: &Table<'_>, draft: &mut Draft) {
    for (name, table) in root.named_tables("images") {
        let parsed: Option<ImageName> = table.parse(&name);
        let description = table
            .string("description")
            .map(|text| text.value)
            .unwrap_or_default();
        let capabilities = table
            .table("capabilities")
            .map(|table| capabilities(&table))
            .unwrap_or_default();
        let definition = definition(&table);
        table.finish(&["tests", "publish"]);
        let (Some(parsed), Some(definition)) = (parsed, definition) else {
            continue;
        };
        if let Some(first) = draft.images.get(&parsed) {
            table
                .problems
                .push(twice(&table, &name, "image", &first.image.defined_at));
            continue;
        }
        let text = match includes::read_text(&definition) {
            Ok(text) => text,
            Err(why) => {
                table
                    .problems
                    .push(includes::unreadable(project_root, &definition, &why));
                continue;
            }
        };
        let shown = crate::diagnostic::shown(project_root, &definition);
        let source = Source {
            path: definition.clone(),
            shown,
            text,
        };
        if !draft.files.contains(&definition) {
            draft.files.push(definition.clone());
        }
        let Some(tables) = includes::parse(&source, table.problems) else {
            continue;
        };
        let mut image = Image {
            name: parsed.clone(),
            description,
            capabilities,
            definition,
            packages: Vec::new(),
            exclude: Vec::new(),
            formats: Vec::new(),
            container: None,
            disk: None,
            memory_mib: MEMORY_MIB,
            hostname: None,
            tests: Vec::new(),
            defined_at: table.location(),
        };
        let groups = fill(&mut image, &Table::root(&source, table.problems, &tables));
        draft.images.insert(parsed, ImageDraft { image, groups });
    }
}

fn capabilities(table: &Table<'_>) -> Capabilities {
    let flag = |key| table.boolean(key).unwrap_or_default();
    let capabilities = Capabilities {
        container: flag("container"),
        machine_bootable: flag("machine-bootable"),
        systemd: flag("systemd"),
        runtime_package_management: flag("runtime-package-management"),
    };
    table.finish(&[]);
    capabilities
}

fn definition(image: &Table<'_>) -> Option<std::path::PathBuf> {
    if !image.has("definition") {
        image.report(
            &image.span,
            format!("{} needs the key `definition`", image.title()),
        );
        return None;
    }
    let table = image.table("definition")?;
    let kind = table.required("type");
    let path = table.required("path");
    table.finish(&["profile"]);
    let kind = kind?;
    if kind.value == "kiwi" {
        table.report(
            &kind.span,
            "this version of Keel does not support image definitions of type `kiwi`",
        );
        return None;
    }
    table.choose("type", &kind, &[("keel", ())])?;
    existing_file(&table, &path?, "image definition")
}

fn fill(image: &mut Image, root: &Table<'_>) -> Vec<(String, Diagnostic)> {
    image.packages = root.parsed_strings("packages");
    image.exclude = root.parsed_strings("exclude");
    let groups = (root.strings("package-groups").into_iter())
        .map(|name| {
            let wrong = root.source.wrong(&name.span, "");
            (name.value, wrong)
        })
        .collect();
    let mut said_formats = formats(image, root, root);
    if let Some(name) = root.string("hostname") {
        if is_hostname(&name.value) {
            image.hostname = Some(name.value);
        } else {
            root.report(&name.span, format!("`{}` is not a host name", name.value));
        }
    }
    if let Some(bytes) = mebibytes(root, "memory") {
        image.memory_mib = u32::try_from(bytes / MIB).unwrap_or(u32::MAX);
    }
    image.container = root.table("container").map(|table| container(&table));
    if let Some(table) = root.table("disk") {
        said_formats |= formats(image, root, &table);
        image.disk = disk(&table, &image.name);
    }
    image.tests = tests(root);
    root.finish(&[]);
    fit(image, root, said_formats);
    groups
}

/// Formats may stand at the top and, those of a disk, in `[disk]`. Whether any is there, right or wrong.
fn formats(image: &mut Image, root: &Table<'_>, table: &Table<'_>) -> bool {
    let texts = table.strings("formats");
    let said = !texts.is_empty();
    for text in texts {
        let Some(format) = table.choose("formats", &text, &Format::NAMES) else {
            continue;
        };
        if !std::ptr::eq(root, table) && !format.is_disk() {
            table.report(&text.span, format!("`{format}` is not the format of a disk"));
        } else if image.formats.contains(&format) {
            table.report(&text.span, format!("`{format}` is twice in `formats`"));
        } else {
            image.formats.push(format);
        }
    }
    image.formats.sort();
    said
}

fn container(table: &Table<'_>) -> Container {
    let container = Container {
        entrypoint: table.texts("entrypoint"),
        cmd: table.texts("cmd"),
        env: table.map("env"),
        labels: table.map("labels"),
        workdir: table.parsed("workdir"),
        user: table.string("user").map(|text| text.value),
    };
    for name in container
        .env
        .keys()
        .filter(|name| name.is_empty() || name.contains(['=', '\0']))
    {
        table.report(
            &table.key_span("env"),
            format!("`{name}` is not the name of an environment variable"),
        );
    }
    table.finish(&[]);
    container
}

fn disk(table: &Table<'_>, name: &ImageName) -> Option<Disk> {
    let size = mebibytes(table, "size");
    let esp_size = mebibytes(table, "esp-size");
    let esp_size = esp_size.unwrap_or(ESP_SIZE);
    if size.is_some_and(|size| size <= esp_size + 2 * MIB) {
        let message = "the disk is too small for its EFI system partition and a root beside it";
        table.report(&table.key_span("size"), message);
    }
    let root_fs = table.choice("root-fs", &[("erofs", RootFs::Erofs)]);
    let boot = table.choice("boot", &[("systemd-boot", Boot::SystemdBoot), ("uki", Boot::Uki)]);
    let label = table.string("root-label");
    if let Some(label) = label.as_ref().filter(|label| !is_label(&label.value)) {
        table.report(&label.span, "`root-label` has 1 to 36 letters, digits or `._-`");
    }
    let cmdline = table.strings("cmdline");
    for word in cmdline
        .iter()
        .filter(|word| word.value.is_empty() || word.value.contains(char::is_control))
    {
        table.report(
            &word.span,
            "a word of `cmdline` is empty or has control characters",
        );
    }
    let disk = Disk {
        size,
        esp_size,
        root_fs: root_fs.unwrap_or(RootFs::Erofs),
        root_label: label.map_or_else(|| format!("{name}-root"), |label| label.value),
        kernel: table.parsed("kernel"),
        kernel_cmdline: cmdline.into_iter().map(|word| word.value).collect(),
        boot: boot.unwrap_or(Boot::SystemdBoot),
        initrd: table.parsed("initrd"),
    };
    table.finish(&[]);
    Some(disk)
}

fn tests(root: &Table<'_>) -> Vec<Test> {
    let mut tests: Vec<Test> = Vec::new();
    for table in root.tables("tests") {
        let (name, run) = (table.required("name"), table.required("run"));
        table.finish(&[]);
        let (Some(name), Some(run)) = (name, run) else {
            continue;
        };
        if name.value.contains(char::is_control) {
            table.report(&name.span, "the name of a test is one line");
        } else if tests.iter().any(|test| test.name == name.value) {
            table.report(&name.span, format!("two tests are called `{}`", name.value));
        } else {
            tests.push(Test {
                name: name.value,
                run: run.value,
            });
        }
    }
    tests
}

/// Do formats, parts and capabilities fit each other?
fn fit(image: &mut Image, root: &Table<'_>, said_formats: bool) {
    let top = 0..0;
    let (container, disk) = (image.is_container(), image.is_disk());
    if image.formats.is_empty() && said_formats {
        // Those that are there were refused one by one.
    } else if image.formats.is_empty() {
        let known: Vec<&str> = Format::NAMES.iter().map(|(name, _)| *name).collect();
        let wrong = root
            .source
            .wrong(&top, format!("image `{}` has no `formats`", image.name));
        root.problems
            .push(wrong.hint(format!("known formats: {}", known.join(", "))));
    } else {
        for (there, wanted, key) in [
            (image.container.is_some(), container, "container"),
            (image.disk.is_some(), disk, "disk"),
        ] {
            if there && !wanted {
                let message = format!("`[{key}]` is of no use: no entry of `formats` is a {key}");
                root.report(&root.key_span(key), message);
            }
        }
        if disk && image.disk.is_none() {
            root.report(
                &root.key_span("formats"),
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
                root.report(&root.key_span("formats"), message);
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
            &root.key_span("exclude"),
            format!("package `{name}` is both wanted and excluded"),
        );
    }
}

/// A size in bytes that is a multiple of 1 MiB, and not 0.
fn mebibytes(table: &Table<'_>, key: &'static str) -> Option<u64> {
    let text: Placed<String> = table.string(key)?;
    match size::parse(&text.value) {
        Ok(bytes) if bytes > 0 && bytes % MIB == 0 => return Some(bytes),
        Ok(_) => table.report(&text.span, format!("`{key}` must be a multiple of 1M, and not 0")),
        Err(error) => table.report(&text.span, error.to_string()),
    }
    None
}

/// RFC 1123, one label or several.
fn is_hostname(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 64 && name.split('.').all(is_label)
}

/// What fits a GPT partition's name and needs no quoting.
fn is_label(label: &str) -> bool {
    (1..=36).contains(&label.len())
        && label
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}
