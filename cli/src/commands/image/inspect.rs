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
    report::print(context, &found, text)
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
    if let Some(packages) = &found.packages {
        lines.push(format!("{} packages", packages.len()));
        let line = |package: &String| report::harmless_line(&format!("  {package}"));
        lines.extend(packages.iter().map(line));
    }
    lines.join("\n")
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
        let found = Inspected {
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
        };
        let text = text(&found);
        assert_eq!(text.lines().count(), 7, "{text}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }
}
