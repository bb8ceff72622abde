//! `[container]` and `[wsl]` of an image definition.

use crate::{
    image::{Container, Layers, Wsl},
    table::Table,
};

/// What the table says; what is wrong is reported.
pub(crate) fn container(table: &Table<'_>) -> Container {
    let container = Container {
        entrypoint: table.texts("entrypoint"),
        cmd: table.texts("cmd"),
        env: table.map("env"),
        labels: table.map("labels"),
        workdir: table.parsed("workdir"),
        user: table.string("user"),
        layers: match table.text("layers") {
            Some(word) if word.value == "one" => Layers::One,
            _ => Layers::Packages,
        },
        said_at: (["entrypoint", "cmd", "workdir", "user"].into_iter())
            .map(|key| (key, table.sources.location(table.key_at(key))))
            .collect(),
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

/// What the table says; what is wrong is reported.
pub(crate) fn wsl(table: &Table<'_>) -> Wsl {
    Wsl {
        default_name: table.string("default-name"),
        default_uid: uid(table),
        oobe_command: table.parsed("oobe-command"),
        icon: table.parsed("icon"),
        terminal_profile: table.parsed("terminal-profile"),
    }
}

/// A user's number.
fn uid(table: &Table<'_>) -> Option<u32> {
    let number = table.integer("default-uid")?;
    let uid = u32::try_from(number);
    if uid.is_err() {
        table.report(
            table.key_at("default-uid"),
            format!("{number} is no user's number"),
        );
    }
    uid.ok()
}
