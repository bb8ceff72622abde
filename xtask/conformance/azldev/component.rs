//! The part of a component's TOML that rendering asks for.
//!
//! To be replaced by `keel_config`'s own reader as soon as that reads azldev's tables.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use keel_config::{
    Location,
    overlay::{Calculation, Change, Overlay},
};
use toml::{Table, Value};

#[derive(Default)]
pub struct Component {
    pub overlays: Vec<Overlay>,
    pub with: Vec<String>,
    pub without: Vec<String>,
    pub defines: BTreeMap<String, String>,
    pub undefines: Vec<String>,
    pub skip_check: Option<String>,
    pub calculation: Calculation,
}

impl Component {
    /// Takes in what a file says of `name`; none means that there is no such file.
    pub fn read(name: &str, text: Option<&[u8]>) -> Result<Self> {
        let mut component = Self::default();
        let Some(text) = text else { return Ok(component) };
        let file: Table = std::str::from_utf8(text)?.parse()?;
        let Some(table) = file
            .get("components")
            .and_then(|all| all.get(name))
            .and_then(Value::as_table)
        else {
            return Ok(component);
        };
        for (index, overlay) in list(table, "overlays").iter().enumerate() {
            let table = overlay.as_table().context("an overlay is a table")?;
            component.overlays.push(Overlay {
                change: change(table)?,
                description: text_of(table, "description"),
                archive: text_of(table, "archive"),
                metadata: None,
                defined_at: Location::line(format!("{name}.comp.toml"), u32::try_from(index + 1)?),
            });
        }
        if let Some(build) = table.get("build").and_then(Value::as_table) {
            component.take_build(build)?;
        }
        let release = table
            .get("release")
            .and_then(|release| release.get("calculation"));
        component.calculation = match release.and_then(Value::as_str) {
            None | Some("auto") => Calculation::Auto,
            Some("autorelease") => Calculation::Autorelease,
            Some("static") => Calculation::Static,
            Some("manual") => Calculation::Manual,
            Some(other) => bail!("release.calculation = {other:?}"),
        };
        Ok(component)
    }

    fn take_build(&mut self, build: &Table) -> Result<()> {
        self.with.extend(strings(build, "with"));
        self.without.extend(strings(build, "without"));
        self.undefines.extend(strings(build, "undefines"));
        if let Some(defines) = build.get("defines").and_then(Value::as_table) {
            for (name, body) in defines {
                let body = body.as_str().context("a macro's body is a text")?;
                self.defines.insert(name.clone(), body.to_owned());
            }
        }
        self.take_check(build);
        Ok(())
    }

    fn take_check(&mut self, build: &Table) {
        if let Some(check) = build.get("check").and_then(Value::as_table)
            && check.get("skip").and_then(Value::as_bool) == Some(true)
        {
            self.skip_check = text_of(check, "skip_reason");
        }
    }

    /// What groups say of `name`, where the component says nothing itself.
    pub fn take_groups(&mut self, name: &str, groups: &Table) {
        let groups = groups.get("component-groups").and_then(Value::as_table);
        for group in groups
            .into_iter()
            .flat_map(Table::values)
            .filter_map(Value::as_table)
        {
            let build = group
                .get("default-component-config")
                .and_then(|config| config.get("build"));
            let is_in = strings(group, "components").iter().any(|member| member == name);
            if let Some(build) = build.and_then(Value::as_table)
                && is_in
                && self.skip_check.is_none()
            {
                self.take_check(build);
            }
        }
    }
}

fn change(table: &Table) -> Result<Change> {
    let optional = |key: &str| text_of(table, key).filter(|text| !text.is_empty());
    let required = |key: &str| text_of(table, key).with_context(|| format!("an overlay has no {key}"));
    let lines = || strings(table, "lines");
    let source = || required("source").map(PathBuf::from);
    let (package, section) = (optional("package"), optional("section"));
    Ok(match required("type")?.as_str() {
        "spec-add-tag" => Change::SpecAddTag {
            package,
            tag: required("tag")?,
            value: required("value")?,
        },
        "spec-insert-tag" => Change::SpecInsertTag {
            package,
            tag: required("tag")?,
            value: required("value")?,
        },
        "spec-set-tag" => Change::SpecSetTag {
            package,
            tag: required("tag")?,
            value: required("value")?,
        },
        "spec-update-tag" => Change::SpecUpdateTag {
            package,
            tag: required("tag")?,
            value: required("value")?,
        },
        "spec-remove-tag" => Change::SpecRemoveTag {
            package,
            tag: required("tag")?,
            value: optional("value"),
        },
        "spec-prepend-lines" => Change::SpecPrependLines {
            section,
            package,
            lines: lines(),
        },
        "spec-append-lines" => Change::SpecAppendLines {
            section,
            package,
            lines: lines(),
        },
        "spec-search-replace" => Change::SpecSearchReplace {
            section,
            package,
            regex: required("regex")?,
            replacement: text_of(table, "replacement").unwrap_or_default(),
        },
        "spec-remove-section" => Change::SpecRemoveSection {
            section: required("section")?,
            package,
        },
        "spec-remove-subpackage" => Change::SpecRemoveSubpackage {
            package: required("package")?,
        },
        "patch-add" => Change::PatchAdd {
            source: source()?,
            file: optional("file"),
        },
        "patch-remove" => Change::PatchRemove {
            file: required("file")?,
        },
        "file-prepend-lines" => Change::FilePrependLines {
            file: required("file")?,
            lines: lines(),
        },
        "file-search-replace" => Change::FileSearchReplace {
            file: required("file")?,
            regex: required("regex")?,
            replacement: text_of(table, "replacement").unwrap_or_default(),
        },
        "file-add" => Change::FileAdd {
            file: required("file")?,
            source: source()?,
        },
        "file-remove" => Change::FileRemove {
            file: required("file")?,
        },
        "file-rename" => Change::FileRename {
            file: required("file")?,
            replacement: required("replacement")?,
        },
        other => bail!("there is no overlay of type `{other}`"),
    })
}

fn text_of(table: &Table, key: &str) -> Option<String> {
    table.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn list<'t>(table: &'t Table, key: &str) -> &'t [Value] {
    table
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn strings(table: &Table, key: &str) -> Vec<String> {
    list(table, key)
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}
