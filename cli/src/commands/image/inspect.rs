//! `keel image inspect`.

use std::{collections::BTreeMap, path::Path};

use keel_artefact::ImageName;
use keel_image::{
    files::Error,
    inspect::{self, FileSystem, Found, Image, Inspected, archive::Archive, container},
    manifest::MANIFEST,
};

use crate::{
    context::Context,
    failure::{Class, Failure},
    report,
};

pub(super) fn run(context: &Context<'_>, given: &Path) -> Result<(), Failure> {
    let what = format!("cannot look at {}", given.display());
    let failed = |error: Error| Failure::because(Class::Input, &what, &error);
    let scratch = context.store()?.temp_dir("files")?;
    let path = context.directory.join(given);
    let built = match fs_err::symlink_metadata(&path) {
        Ok(_) => {
            let is_of_image =
                path.is_dir() && !path.join("oci-layout").exists() && path.join(MANIFEST).exists();
            is_of_image.then(|| keel_image::of_folder(&path)).transpose()
        }
        Err(error) => match named(context, given) {
            Some(built) => built.map(Some),
            None => {
                let failure = Failure::because(Class::Input, &what, &error);
                return Err(failure.hint("no image of a tree here is called so, either: `keel image list`"));
            }
        },
    };
    let built = built.map_err(|error| {
        let failure = Failure::because(Class::Input, &what, &error);
        match path.exists() {
            true => failure,
            false => failure.hint(format!("keel image build {}", given.display())),
        }
    })?;
    match built {
        Some(built) => {
            let image = inspect::image(&built, scratch.path(), &context.interrupt).map_err(failed)?;
            report::print(context, &image, of_image)
        }
        None => {
            let found = inspect::inspect(&path, scratch.path(), &context.interrupt).map_err(failed)?;
            report::print(context, &found, |found| text(found, true))
        }
    }
}

/// The finished image of the tree that is called so; none: no image is.
fn named(context: &Context<'_>, given: &Path) -> Option<Result<keel_image::Built, keel_image::Error>> {
    let name: ImageName = given.to_str()?.parse().ok()?;
    let project = context.project().ok()?;
    let image = project.images.get(&name)?;
    Some(keel_image::existing(&project, image))
}

fn of_image(image: &Image) -> String {
    let title = format!(
        "{} {} for {}, {}",
        image.image,
        image.version,
        image.arch,
        image.dir.display()
    );
    let mut lines = vec![report::harmless_line(&title)];
    for file in &image.files {
        let line = format!("{}: {}, {}", file.name, file.format, report::bytes(file.size));
        lines.push(report::harmless_line(&line));
        let told = file.found.iter().map(|found| text(found, false));
        lines.extend(told.flat_map(|told| told.lines().map(|line| format!("  {line}")).collect::<Vec<_>>()));
    }
    lines.extend(packages(&image.packages));
    lines.join("\n")
}

fn text(found: &Found, with_packages: bool) -> String {
    let (mut lines, list) = match found {
        Found::Disk(disk) => (of_disk(disk), &disk.packages),
        Found::Container(container) => (of_container(container), &None),
        Found::Archive(archive) => (of_archive(archive), &archive.packages),
    };
    if let Some(list) = list.as_ref().filter(|_| with_packages) {
        lines.extend(packages(list));
    }
    lines.join("\n")
}

fn packages(list: &[String]) -> Vec<String> {
    let line = |package: &String| report::harmless_line(&format!("  {package}"));
    let count = format!("{} packages", list.len());
    [count].into_iter().chain(list.iter().map(line)).collect()
}

fn of_archive(archive: &Archive) -> Vec<String> {
    let format = match archive.format {
        "wsl" => "tar archive for WSL".to_owned(),
        format => format!("{format} archive"),
    };
    let packed = archive.compression.map(|method| format!(", {method}"));
    let names = &archive.names;
    let mut lines = vec![
        format!(
            "{format}{}: {} in files, {} in the file",
            packed.unwrap_or_default(),
            report::bytes(archive.content),
            report::bytes(archive.size)
        ),
        format!(
            "{} folders, {} files, {} symbolic links, {} others",
            names.folders, names.files, names.links, names.others
        ),
    ];
    lines.extend(archive.system.iter().map(|system| report::harmless_line(system)));
    lines
}

fn of_container(container: &container::Container) -> Vec<String> {
    let what = match container.format {
        "oci" => "OCI layout",
        _ => "OCI archive",
    };
    let images = container.images.len();
    let plural = if images == 1 { "image" } else { "images" };
    let mut lines = vec![format!(
        "{what} of {images} {plural}, {}",
        report::bytes(container.size)
    )];
    for index in &container.indexes {
        let tag = index
            .tag
            .as_ref()
            .map(|tag| format!(" {tag}"))
            .unwrap_or_default();
        lines.push(report::harmless_line(&format!(
            "index{tag}  sha256:{}",
            index.digest
        )));
        lines.push(report::harmless_line(&format!(
            "  {}",
            index.platforms.join(", ")
        )));
        lines.extend(pairs("annotation", &index.annotations));
    }
    container
        .images
        .iter()
        .for_each(|image| lines.extend(of_one(image)));
    lines
}

/// An image of a container.
fn of_one(image: &container::One) -> Vec<String> {
    let platform = image.platform.as_ref().map(ToString::to_string);
    let tag = image
        .tag
        .as_ref()
        .map(|tag| format!(" {tag}"))
        .unwrap_or_default();
    let platform = platform.unwrap_or_else(|| "for an unknown machine".to_owned());
    let mut lines = vec![report::harmless_line(&format!(
        "{platform}{tag}  sha256:{}",
        image.digest
    ))];
    let mut say = |what: &str, value: &str| {
        if !value.is_empty() {
            lines.push(report::harmless_line(&format!("  {what}: {value}")));
        }
    };
    if let Some(config) = &image.config {
        let words = |words: &[String]| match words.is_empty() {
            true => String::new(),
            false => serde_json::to_string(words).unwrap_or_default(),
        };
        let said = |text: &Option<String>| text.clone().unwrap_or_default();
        say("created", &said(&config.created));
        say("author", &said(&config.author));
        say("user", config.user.as_deref().unwrap_or("root"));
        say("entrypoint", &words(&config.entrypoint));
        say("cmd", &words(&config.cmd));
        say("workdir", &said(&config.workdir));
        config.env.iter().for_each(|env| say("env", env));
        say("ports", &config.ports.join(" "));
        say("volumes", &config.volumes.join(" "));
        say("stop signal", &said(&config.stop_signal));
        lines.extend(pairs("label", &config.labels));
    }
    lines.extend(pairs("annotation", &image.annotations));
    if !image.layers.is_empty() {
        let known = |size: Option<u64>| size.map_or_else(|| "?".to_owned(), report::bytes);
        let count = image.layers.len();
        let plural = if count == 1 { "layer" } else { "layers" };
        lines.push(format!(
            "  {count} {plural}, {}, unpacked {}",
            report::bytes(image.size),
            known(image.unpacked)
        ));
        let row = |layer: &container::Layer| {
            vec![
                layer.digest.short(),
                report::bytes(layer.size),
                known(layer.unpacked),
                report::harmless_line(
                    layer
                        .media_type
                        .rsplit_once(".layer.")
                        .map_or(&layer.media_type, |(_, end)| end),
                ),
                report::harmless_line(layer.title.as_deref().unwrap_or("-")),
            ]
        };
        let rows: Vec<_> = image.layers.iter().map(row).collect();
        let table = report::table(&["  layer", "size", "unpacked", "type", "of"], &rows_in(rows));
        lines.push(table);
    }
    let unread = image.unread.iter();
    lines.extend(unread.map(|what| report::harmless_line(&format!("  not as it should be: {what}"))));
    lines
}

/// Rows of a table that is set in.
fn rows_in(mut rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    rows.iter_mut().for_each(|row| row[0].insert_str(0, "  "));
    rows
}

fn pairs(what: &str, pairs: &BTreeMap<String, String>) -> Vec<String> {
    let line = |(key, value): (&String, &String)| report::harmless_line(&format!("  {what}: {key}={value}"));
    pairs.iter().map(line).collect()
}

fn of_disk(found: &Inspected) -> Vec<String> {
    let mut lines = vec![format!(
        "{} of {}, {} in the file",
        found.format,
        report::bytes(found.disk_size),
        report::bytes(found.size)
    )];
    let content = &found.content;
    if let Some(file_system) = &content.file_system {
        let table = match content.guid {
            None => "no partition table; ",
            Some(_) => "a medium with a partition table: ",
        };
        lines.push(format!("{table}{}", told(file_system).join(" ")));
    } else if content.guid.is_none() {
        lines.push("no partition table (GPT), and no file system that is known".to_owned());
    }
    if !content.partitions.is_empty() {
        let row = |partition: &keel_image::inspect::Partition| {
            let mut row = vec![
                partition.number.to_string(),
                report::harmless_line(&partition.label),
                report::bytes(partition.size),
            ];
            match &partition.file_system {
                Some(file_system) => row.extend(told(file_system)),
                None => row.extend(["-", "", ""].map(str::to_owned)),
            }
            row
        };
        let rows: Vec<_> = content.partitions.iter().map(row).collect();
        lines.push(report::table(
            &["partition", "name", "size", "holds", "label", "uuid"],
            &rows,
        ));
    }
    for kernel in &content.kernels {
        let release = kernel.release.as_deref().unwrap_or("of an unknown release");
        let path = &kernel.path;
        lines.push(report::harmless_line(&format!("{path}: Linux {release}")));
        if let Some(cmdline) = &kernel.cmdline {
            lines.push(report::harmless_line(&format!("  {cmdline}")));
        }
    }
    for unread in &content.unread {
        lines.push(report::harmless_line(&format!("not read: {unread}")));
    }
    lines
}

fn told(file_system: &FileSystem) -> Vec<String> {
    vec![
        file_system.kind.to_owned(),
        report::harmless_line(file_system.label.as_deref().unwrap_or_default()),
        file_system.uuid.clone().unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use keel_image::{
        inspect::{Content, Kernel},
        read::Format,
    };

    use super::*;

    #[test]
    fn words_of_a_foreign_disk_do_nothing_to_a_terminal() {
        let evil = "a\u{1b}]0;x\u{7}\nEFI: Linux 6.12";
        let found = Found::Disk(Inspected {
            file: "disk".into(),
            format: Format::Raw,
            size: 1,
            disk_size: 1,
            content: Content {
                guid: None,
                partitions: Vec::new(),
                file_system: Some(FileSystem {
                    kind: "ext4",
                    label: Some(evil.to_owned()),
                    uuid: None,
                }),
                kernels: vec![Kernel {
                    path: evil.to_owned(),
                    release: None,
                    cmdline: Some(evil.to_owned()),
                }],
                unread: vec![evil.to_owned()],
            },
            packages: Some(vec![evil.to_owned()]),
        });
        let text = text(&found, true);
        assert_eq!(text.lines().count(), 7, "{text}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }

    #[test]
    fn a_container_of_others_is_told_in_lines_that_do_nothing_either() {
        let evil = "a\u{1b}]0;x\u{7}\nb";
        let digest = keel_artefact::Sha256::of(b"");
        let one = container::One {
            tag: Some(evil.to_owned()),
            digest,
            media_type: evil.to_owned(),
            platform: None,
            annotations: BTreeMap::from([(evil.to_owned(), evil.to_owned())]),
            config: Some(container::Config {
                user: Some(evil.to_owned()),
                cmd: vec![evil.to_owned()],
                ports: vec![evil.to_owned()],
                ..container::Config::default()
            }),
            layers: vec![container::Layer {
                digest,
                media_type: "application/vnd.oci.image.layer.v1.tar+gzip".to_owned(),
                size: 2048,
                unpacked: None,
                title: Some(evil.to_owned()),
            }],
            size: 2048,
            unpacked: None,
            unread: vec![evil.to_owned()],
        };
        let found = Found::Container(container::Container {
            file: "box.oci".into(),
            format: "oci",
            size: 4096,
            indexes: Vec::new(),
            images: vec![one],
        });
        let expected = "\
OCI layout of 1 image, 4.0 KiB
for an unknown machine a^]0;x^^b  sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
  user: a^]0;x^^b
  cmd: [\"a\\u001b]0;x\\u0007\\nb\"]
  ports: a^]0;x^^b
  annotation: a^]0;x^^b=a^]0;x^^b
  1 layer, 2.0 KiB, unpacked ?
  layer         size     unpacked  type         of
  e3b0c44298fc  2.0 KiB  ?         v1.tar+gzip  a^]0;x^^b
  not as it should be: a^]0;x^^b";
        assert_eq!(text(&found, true), expected.replace('^', "\u{fffd}"));
    }
}
