//! `keel image inspect`.

use std::path::Path;

use keel_image::inspect::{FileSystem, Inspected, inspect};

use crate::{
    context::Context,
    failure::{Class, Failure},
    report,
};

pub(super) fn run(context: &Context<'_>, file: &Path) -> Result<(), Failure> {
    let found = inspect(&context.directory.join(file)).map_err(|error| {
        Failure::because(Class::Input, format!("cannot look at {}", file.display()), &error)
    })?;
    report::print(context, &found, |found| report::harmless(&text(found)))
}

fn text(found: &Inspected) -> String {
    let mut lines = vec![format!(
        "{} of {}, {} in the file",
        found.format,
        report::bytes(found.disk_size),
        report::bytes(found.size)
    )];
    let content = &found.content;
    if let Some(file_system) = &content.file_system {
        lines.push(format!("no partition table; {}", told(file_system).join(" ")));
    } else if content.guid.is_none() {
        lines.push("no partition table (GPT), and no file system that is known".to_owned());
    }
    if !content.partitions.is_empty() {
        let row = |partition: &keel_image::inspect::Partition| {
            let mut row = vec![
                partition.number.to_string(),
                partition.label.clone(),
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
        lines.push(format!("{}: Linux {release}", kernel.path));
        if let Some(cmdline) = &kernel.cmdline {
            lines.push(format!("  {cmdline}"));
        }
    }
    for unread in &content.unread {
        lines.push(format!("not read: {unread}"));
    }
    if let Some(packages) = &found.packages {
        lines.push(format!("{} packages", packages.len()));
        lines.extend(packages.iter().map(|package| format!("  {package}")));
    }
    lines.join("\n")
}

fn told(file_system: &FileSystem) -> Vec<String> {
    vec![
        file_system.kind.to_owned(),
        file_system.label.clone().unwrap_or_default(),
        file_system.uuid.clone().unwrap_or_default(),
    ]
}
