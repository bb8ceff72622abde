//! `[components.NAME]` and whatever components inherit: one table, read loudly where it is written, and quietly
//! once it is merged.

use std::collections::BTreeMap;

use crate::{
    BuildOptions, Channels, Check, Exception, Failure, PackageSettings, Settings, Spec, Upstream,
    model::is_macro_name,
    overlay::{Calculation, Semantics},
    read::{overlay, source_file},
    size,
    table::Table,
};

/// What a table of a component says. Its `overlay-files` are not read here.
pub(crate) fn read(table: &Table<'_>) -> Settings {
    let release = table.table("release").and_then(|release| {
        Some(match release.text("calculation")?.value {
            "autorelease" => Calculation::Autorelease,
            "static" => Calculation::Static,
            "manual" => Calculation::Manual,
            _ => Calculation::Auto,
        })
    });
    let semantics = match table.text("overlay-semantics") {
        Some(word) if word.value == "structural" => Semantics::Structural,
        _ => Semantics::Lines,
    };
    Settings {
        spec: table.table("spec").and_then(|spec| spec_source(&spec)),
        release: release.unwrap_or_default(),
        semantics,
        overlays: (table.tables("overlays").iter())
            .filter_map(overlay::overlay)
            .collect(),
        licence: table.string("licence"),
        build: table
            .table("build")
            .map(|build| build_options(&build))
            .unwrap_or_default(),
        skip_file_filter: table
            .table("render")
            .is_some_and(|render| render.boolean("skip-file-filter")),
        source_files: source_file::read(table),
        packages: packages(table),
        publish: table
            .table("publish")
            .map(|publish| channels(&publish))
            .unwrap_or_default(),
        exceptions: table
            .table("package-checks")
            .map(|checks| (checks.tables("allow").iter()).filter_map(exception).collect())
            .unwrap_or_default(),
    }
}

fn exception(table: &Table<'_>) -> Option<Exception> {
    if let Some(path) = table
        .text("path")
        .filter(|path| !path.value.starts_with(['/', '*']))
    {
        table.report(
            path.at,
            format!("`{}` is no path of a package: it begins with `/`", path.value),
        );
    }
    Some(Exception {
        rule: table.string("rule")?,
        package: table.string("package"),
        path: table.string("path"),
        reason: table.string("reason")?,
        defined_at: table.location(),
    })
}

/// What only a whole fragment can show: what a component itself may not say, though its defaults may.
pub(crate) fn check_own(table: &Table<'_>) {
    let distro = table.table("spec").and_then(|spec| spec.table("upstream-distro"));
    if let Some(distro) = distro
        && distro.has("snapshot")
    {
        let wrong = table.wrong(
            distro.key_at("snapshot"),
            format!("{} has a `snapshot` of its own", table.title()),
        );
        table.problems.push(wrong.hint(
            "pin one component with `upstream-commit`; a `snapshot` belongs into a `default-component-config`",
        ));
    }
}

fn spec_source(table: &Table<'_>) -> Option<Spec> {
    match table.text("type").map_or("", |text| text.value) {
        "local" => {
            let path = table.text("path")?;
            if !path.value.ends_with(".spec") {
                return None;
            }
            Some(Spec::Local {
                path: table.existing_file(path, "SPEC")?,
            })
        }
        "upstream" => {
            let distro = table.table("upstream-distro");
            let of_distro = |key: &str| distro.as_ref().and_then(|distro| distro.string(key));
            Some(Spec::Upstream(Upstream {
                distro: of_distro("name"),
                version: of_distro("version"),
                snapshot: of_distro("snapshot"),
                name: table.string("upstream-name"),
                commit: table.string("upstream-commit"),
            }))
        }
        _ => None,
    }
}

fn build_options(table: &Table<'_>) -> BuildOptions {
    let check = table.table("check").map(|check| Check {
        skip: check.boolean("skip"),
        skip_reason: check.string("skip_reason"),
    });
    if let Some(check) = table.table("check") {
        needs_reason(&check, "skip", "skip_reason", "skips the tests");
    }
    let failure = table.table("failure").map(|failure| {
        needs_reason(
            &failure,
            "expected",
            "expected-reason",
            "says that the build fails",
        );
        Failure {
            expected: failure.boolean("expected"),
            reason: failure.string("expected-reason"),
        }
    });
    let hints = table.table("hints");
    let cpu_seconds = hints.as_ref().and_then(|hints| {
        let seconds = hints.number("cpu-seconds")?;
        if seconds >= 1e9 {
            hints.report(
                hints.key_at("cpu-seconds"),
                "`cpu-seconds` is a number of seconds up to 1e9",
            );
            return None;
        }
        Some(seconds)
    });
    let options = BuildOptions {
        with: table.texts("with"),
        without: table.texts("without"),
        defines: table.map("defines"),
        undefines: table.texts("undefines"),
        emit_upstream_provenance: table.boolean("emit-upstream-provenance"),
        bootstrap_libc: table.boolean("bootstrap-libc"),
        borrowed_libc: table.boolean("borrowed-libc"),
        check: check.unwrap_or_default(),
        failure: failure.unwrap_or_default(),
        cpu_seconds,
        // One that is no size was reported.
        memory: hints
            .as_ref()
            .and_then(|hints| size::parse(hints.text("memory")?.value).ok()),
        expensive: hints.is_some_and(|hints| hints.boolean("expensive")),
    };
    for name in options.with.iter().filter(|name| options.without.contains(name)) {
        table.report(
            table.key_at("without"),
            format!("`{name}` is in both `with` and `without`"),
        );
    }
    for name in options.defines.keys().filter(|name| !is_macro_name(name)) {
        table.report(
            table.key_at("defines"),
            format!("`{name}` is not the name of a macro"),
        );
    }
    options
}

/// A switch that is on needs a reason beside it.
fn needs_reason(table: &Table<'_>, switch: &str, reason: &str, what: &str) {
    let is_blank = table
        .text(reason)
        .is_none_or(|reason| reason.value.trim().is_empty());
    if table.boolean(switch) && is_blank {
        let article = if reason.starts_with('e') { "an" } else { "a" };
        table.report(
            table.key_at(switch),
            format!("{} {what} and needs {article} `{reason}`", table.title()),
        );
    }
}

fn packages(table: &Table<'_>) -> BTreeMap<String, PackageSettings> {
    let named = table.named("packages").into_iter();
    named
        .map(|(name, table)| (name.to_owned(), package_settings(&table)))
        .collect()
}

/// `[default-package-config]` and its like.
pub(crate) fn package_settings(table: &Table<'_>) -> PackageSettings {
    let Some(publish) = table.table("publish") else {
        return PackageSettings::default();
    };
    let (old, new) = (publish.text("channel"), publish.text("rpm-channel"));
    if let (Some(old), Some(new)) = (old, new)
        && old.value != new.value
        && old.at.file == new.at.file
    {
        publish.report(
            old.at,
            "`channel` is the older name of `rpm-channel`, and the two differ",
        );
    }
    // Of two layers, the later one counts, under whichever name.
    let said = [old, new].into_iter().flatten();
    let channel = said.max_by_key(|text| publish.sources.order(text.at));
    PackageSettings {
        rpm_channel: channel.map(|channel| channel.value.to_owned()),
        debuginfo_channel: publish.string("debuginfo-channel"),
    }
}

fn channels(publish: &Table<'_>) -> Channels {
    Channels {
        rpm: publish.string("rpm-channel"),
        srpm: publish.string("srpm-channel"),
        debuginfo: publish.string("debuginfo-channel"),
    }
}
