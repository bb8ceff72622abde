//! An import on its way: what is carried over, what is left, and how values are held against the model.

use std::{collections::BTreeSet, path::Path};

use super::{
    Beside, Carried, Left, Packages,
    input::{self, Data, Node},
};
use crate::{
    Diagnostic, Location,
    dump::Plain,
    image::Format,
    model::{self, DEFINITION, Form, Table},
};

/// An import on its way.
pub(super) struct Importing<'i> {
    pub(super) file: &'i Path,
    pub(super) beside: &'i Beside<'i>,
    /// What packages are called here.
    pub(super) packages: &'i Packages,
    /// The definition.
    pub(super) out: Vec<(String, Plain)>,
    pub(super) carried: Vec<Carried>,
    pub(super) left: Vec<Left>,
    /// Users without numbers: name, and what to tell.
    pub(super) unnumbered: Vec<(String, Left)>,
}

/// Numbers for users that have none begin here, as useradd(8) counts.
const FIRST_UID: i64 = 1000;

/// Below a key.
pub(super) fn below(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

impl Importing<'_> {
    pub(super) fn unknown(&self, node: &Node) -> Diagnostic {
        let message =
            "this is neither a configuration of Image Customizer nor an image of Azure Linux's toolkit";
        Diagnostic::new(message).at(self.at(node))
    }

    pub(super) fn at(&self, node: &Node) -> Location {
        Location {
            file: self.file.to_owned(),
            line: node.line,
            column: node.column,
        }
    }

    pub(super) fn leave(&mut self, node: &Node, path: &str, why: impl Into<String>) {
        let at = self.at(node);
        let (key, why) = (path.to_owned(), why.into());
        self.left.push(Left { key, at, why });
    }

    pub(super) fn carry(&mut self, node: &Node, path: &str) {
        let at = self.at(node);
        let key = path.to_owned();
        self.carried.push(Carried { key, at });
    }

    /// Hands over each entry of a map; what `take` does not know is left.
    pub(super) fn each(
        &mut self,
        node: &Node,
        path: &str,
        mut take: impl FnMut(&mut Self, &str, &Node, &str) -> bool,
    ) {
        let Data::Map(entries) = &node.data else {
            if !matches!(node.data, Data::Null) {
                self.leave(node, path, "a table is wanted here");
            }
            return;
        };
        for entry in entries {
            let path = below(path, &entry.key);
            if !take(self, &entry.key, &entry.value, &path) {
                self.leave(&entry.value, &path, "Keel has nothing like it");
            }
        }
    }

    /// Hands over each item of a list; one that is none stands for a list of it.
    pub(super) fn items(&mut self, node: &Node, path: &str, mut take: impl FnMut(&mut Self, &Node, &str)) {
        match &node.data {
            Data::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    take(self, item, &format!("{path}[{index}]"));
                }
            }
            Data::Null => {}
            _ => take(self, node, path),
        }
    }

    /// A text that fits the key of a definition; one that does not is left.
    pub(super) fn text(
        &mut self,
        node: &Node,
        path: &str,
        model: &'static Table,
        key: &str,
    ) -> Option<Plain> {
        let Some(text) = node.text() else {
            self.leave(node, path, "a text is wanted here");
            return None;
        };
        match fits(model, key, text) {
            Ok(()) => {
                self.carry(node, path);
                Some(Plain::Text(text.to_owned()))
            }
            Err(why) => {
                self.leave(node, path, why);
                None
            }
        }
    }

    /// A whole number.
    pub(super) fn number(&mut self, node: &Node, path: &str) -> Option<Plain> {
        let number = node.text().and_then(|text| text.parse::<u32>().ok());
        match number {
            Some(number) => {
                self.carry(node, path);
                Some(Plain::Whole(i64::from(number)))
            }
            None => {
                self.leave(node, path, "a number from 0 is wanted here");
                None
            }
        }
    }

    /// Texts that fit the items of a key.
    pub(super) fn texts(&mut self, node: &Node, path: &str, model: &'static Table, key: &str) -> Vec<Plain> {
        let mut all = Vec::new();
        self.items(node, path, |this, item, path| {
            if let Some(text) = this.text(item, path, model, key)
                && !all.contains(&text)
            {
                all.push(text);
            }
        });
        all
    }

    /// Texts of a list, those that are there more than once, too.
    pub(super) fn all_texts(&mut self, node: &Node, path: &str) -> Vec<Plain> {
        let mut all = Vec::new();
        self.items(node, path, |this, item, path| match item.text() {
            Some(text) => {
                this.carry(item, path);
                all.push(Plain::Text(text.to_owned()));
            }
            None => this.leave(item, path, "a text is wanted here"),
        });
        all
    }

    /// May a definition say this?
    pub(super) fn is_right(&self, model: &'static Table, key: &str, text: &str) -> bool {
        fits(model, key, text).is_ok()
    }

    /// This name, or the first with a number after it that no script has.
    pub(super) fn free_script_name(&mut self, wanted: &str) -> String {
        let lists = self.slot(&["scripts"]).iter().map(|(_, list)| list);
        let scripts = lists.flat_map(|list| match list {
            Plain::List(scripts) => scripts.as_slice(),
            _ => &[],
        });
        let name_of = |script: &Plain| match script {
            Plain::Table(fields) => fields.iter().find_map(|(key, value)| match value {
                Plain::Text(name) if key == "name" => Some(name.clone()),
                _ => None,
            }),
            _ => None,
        };
        let taken: BTreeSet<String> = scripts.filter_map(name_of).collect();
        let numbered = (2..).map(|number| format!("{wanted} {number}"));
        let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
        names
            .find(|name| !taken.contains(name))
            .expect("there are more numbers than scripts")
    }

    /// The value at a place of the definition, which is made if it is not there.
    pub(super) fn slot(&mut self, place: &[&str]) -> &mut Vec<(String, Plain)> {
        let mut table = &mut self.out;
        for part in place {
            let index = table.iter().position(|(key, _)| key == part).unwrap_or_else(|| {
                table.push(((*part).to_owned(), Plain::Table(Vec::new())));
                table.len() - 1
            });
            match &mut table[index].1 {
                Plain::Table(entries) => table = entries,
                _ => unreachable!("a place of the definition is either a table or a value"),
            }
        }
        table
    }

    pub(super) fn set(&mut self, place: &[&str], key: &str, value: Option<Plain>) {
        let Some(value) = value else { return };
        let table = self.slot(place);
        match table.iter_mut().find(|(there, _)| there == key) {
            Some((_, there)) => *there = value,
            None => table.push((key.to_owned(), value)),
        }
    }

    /// Adds what is not there yet to a list.
    pub(super) fn add(&mut self, place: &[&str], key: &str, values: Vec<Plain>) {
        if values.is_empty() {
            return;
        }
        let table = self.slot(place);
        let index = table
            .iter()
            .position(|(there, _)| there == key)
            .unwrap_or_else(|| {
                table.push((key.to_owned(), Plain::List(Vec::new())));
                table.len() - 1
            });
        if let Plain::List(items) = &mut table[index].1 {
            for value in values {
                if !items.contains(&value) {
                    items.push(value);
                }
            }
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.out.iter().any(|(there, _)| there == key)
    }

    /// Packages; a version is not carried over, for a repository has one of each.
    pub(super) fn packages(&mut self, node: &Node, path: &str) {
        self.items(node, path, |this, item, path| match item.text() {
            Some(text) => this.package(text, item, path),
            None => this.leave(item, path, "the name of a package is wanted here"),
        });
    }

    /// A package, which an entry asks for.
    pub(super) fn package(&mut self, text: &str, node: &Node, path: &str) {
        let name = text.split(['=', '<', '>']).next().unwrap_or_default().trim_end();
        if name != text {
            let why = format!("`{name}` is carried over without a version: the repository's is taken");
            self.leave(node, path, why);
        }
        match self.called(name) {
            Ok((here, missing)) => {
                if !here.is_empty() {
                    self.carry(node, path);
                }
                for why in missing {
                    self.leave(node, path, why);
                }
                self.add(&[], "packages", here.into_iter().map(Plain::Text).collect());
            }
            Err(why) => self.leave(node, path, why),
        }
    }

    /// What SELinux does. Says whether that is something.
    pub(super) fn selinux(&mut self, node: &Node, path: &str) -> bool {
        // The toolkit's word for it.
        let mode = node.text().unwrap_or_default().replace('_', "-");
        if mode.is_empty() {
            self.carry(node, path);
            return false;
        }
        match fits(&model::OS_SELINUX, "mode", &mode) {
            Ok(()) => {
                self.carry(node, path);
                let is_on = mode != "disabled";
                self.set(&["os", "selinux"], "mode", Some(Plain::Text(mode)));
                is_on
            }
            Err(why) => {
                self.leave(node, path, why);
                false
            }
        }
    }

    /// What a package is called here: the names that there are, and why others are not among them.
    fn called(&self, name: &str) -> Result<(Vec<String>, Vec<String>), String> {
        let mapped = self.packages.map.get(name);
        let names = match mapped {
            Some(names) if names.is_empty() => {
                return Err(format!(
                    "nothing takes the place of `{name}`, says the map of names"
                ));
            }
            Some(names) => names.iter().map(ToString::to_string).collect(),
            None => {
                fits(&DEFINITION, "packages", name)?;
                vec![name.to_owned()]
            }
        };
        let is_known = |name: &str| match &self.packages.known {
            None => true,
            Some(known) => known.iter().any(|one| one.as_str() == name),
        };
        let (here, missing): (Vec<String>, Vec<String>) = names.into_iter().partition(|name| is_known(name));
        let why = |one: String| match mapped {
            None => format!("there is no package `{one}` here"),
            Some(_) => format!("there is no package `{one}` here, which takes the place of `{name}`"),
        };
        Ok((here, missing.into_iter().map(why).collect()))
    }

    /// Files with lists of packages.
    pub(super) fn package_lists(&mut self, node: &Node, path: &str) {
        self.items(node, path, |this, item, path| {
            let Some(name) = item.text() else {
                this.leave(item, path, "the name of a file is wanted here");
                return;
            };
            let read = (this.beside)(name)
                .and_then(|text| input::parse(Path::new(name), &text).map_err(|wrong| wrong.message));
            match read {
                Ok(list) => {
                    this.carry(item, path);
                    let list_file = Path::new(name).to_owned();
                    let mut of_list = Importing {
                        file: &list_file,
                        beside: this.beside,
                        packages: this.packages,
                        out: std::mem::take(&mut this.out),
                        carried: Vec::new(),
                        left: Vec::new(),
                        unnumbered: Vec::new(),
                    };
                    of_list.package_list(&list, "");
                    this.out = of_list.out;
                    this.carried.extend(of_list.carried);
                    this.left.extend(of_list.left);
                }
                Err(why) => this.leave(item, path, format!("its packages are not carried over: {why}")),
            }
        });
    }

    /// `packages` of a list.
    pub(super) fn package_list(&mut self, node: &Node, path: &str) {
        self.each(node, path, |this, key, value, path| {
            if key == "packages" {
                this.packages(value, path);
            }
            key == "packages"
        });
    }

    /// Words of a command line; blanks in quotes do not separate them.
    pub(super) fn command_line(&mut self, node: &Node, path: &str, table: &str) {
        let mut words = Vec::new();
        self.items(node, path, |this, item, path| {
            let Some(text) = item.text() else {
                this.leave(item, path, "words are wanted here");
                return;
            };
            let mut quoted = false;
            let split = text.split(|c: char| {
                quoted ^= c == '"';
                c.is_whitespace() && !quoted
            });
            let split: Vec<&str> = split.filter(|word| !word.is_empty()).collect();
            if split
                .iter()
                .any(|word| fits(&model::OS, "kernel-command-line", word).is_err())
            {
                this.leave(item, path, "it has characters that no command line can have");
                return;
            }
            this.carry(item, path);
            words.extend(split.into_iter().map(|word| Plain::Text(word.to_owned())));
        });
        self.add(&[table], "kernel-command-line", words);
    }

    /// A format, by the other builder's word for it.
    pub(super) fn format(&mut self, node: &Node, path: &str) {
        let word = node.text().unwrap_or_default();
        let name = match word {
            "vhd-fixed" => "vhd",
            "pxe-dir" | "pxe-tar" => "pxe",
            word => word,
        };
        if Format::NAMES.iter().any(|(known, _)| *known == name) {
            self.carry(node, path);
            self.add(&[], "formats", vec![Plain::Text(name.to_owned())]);
        } else {
            let known: Vec<&str> = Format::NAMES.iter().map(|(name, _)| *name).collect();
            self.leave(
                node,
                path,
                format!("Keel has no format `{word}`; it has {}", known.join(", ")),
            );
        }
    }

    /// A file system that Keel makes; ext4 in the place of one that is written to.
    pub(super) fn file_system(&mut self, node: &Node, path: &str) -> Option<Plain> {
        let said = node.text().unwrap_or_default();
        let kind = match said {
            "ext2" | "ext3" | "xfs" | "btrfs" => "ext4",
            "linux-swap" => "swap",
            said => said,
        };
        if kind == "ext4" && said != kind {
            self.leave(node, path, format!("it becomes an ext4: Keel makes no {said}"));
            return Some(Plain::Text(kind.to_owned()));
        }
        match fits(&model::PARTITION, "filesystem", kind) {
            Ok(()) => {
                self.carry(node, path);
                Some(Plain::Text(kind.to_owned()))
            }
            Err(why) => {
                self.leave(node, path, why);
                None
            }
        }
    }

    /// A size of a whole number of MiB.
    pub(super) fn size(&mut self, node: &Node, path: &str, key: &str, mib: bool) {
        let said = node.text().unwrap_or_default();
        let text = if mib { format!("{said}M") } else { said.to_owned() };
        match fits(&model::DISK, key, &text) {
            Ok(()) => {
                self.carry(node, path);
                self.set(&["disk"], key, Some(Plain::Text(text)));
            }
            Err(why) => self.leave(node, path, why),
        }
    }

    /// Notes that a user needs a number, unless it has one or is always there.
    pub(super) fn needs_number(&mut self, node: &Node, path: &str, fields: &[(String, Plain)]) {
        let Some((_, Plain::Text(name))) = fields.iter().find(|(key, _)| key == "name") else {
            return;
        };
        if name != "root" && fields.iter().all(|(key, _)| key != "uid") {
            let left = Left {
                key: format!("{path}.uid"),
                at: self.at(node),
                why: String::new(),
            };
            self.unnumbered.push((name.clone(), left));
        }
    }

    /// Gives users the lowest numbers that no other has.
    pub(super) fn number_users(&mut self) {
        let unnumbered = std::mem::take(&mut self.unnumbered);
        if unnumbered.is_empty() {
            return;
        }
        let users = self.slot(&["os"]).iter_mut().find(|(key, _)| key == "users");
        let Some((_, Plain::List(users))) = users else {
            return;
        };
        let uid_of = |user: &Plain| match user {
            Plain::Table(fields) => fields.iter().find_map(|(key, value)| match value {
                Plain::Whole(uid) if key == "uid" => Some(*uid),
                _ => None,
            }),
            _ => None,
        };
        let mut taken: BTreeSet<i64> = users.iter().filter_map(uid_of).collect();
        let mut told = Vec::new();
        for (name, mut left) in unnumbered {
            let Some(uid) = (FIRST_UID..).find(|uid| taken.insert(*uid)) else {
                continue;
            };
            let named = ("name".to_owned(), Plain::Text(name));
            for user in users.iter_mut() {
                if let Plain::Table(fields) = user
                    && fields.contains(&named)
                    && fields.iter().all(|(key, _)| key != "uid")
                {
                    fields.insert(1, ("uid".to_owned(), Plain::Whole(uid)));
                }
            }
            left.why = format!(
                "it has no number: the definition says `uid = {uid}`; take it away if a package declares the user"
            );
            told.push(left);
        }
        self.left.extend(told);
    }

    /// What a definition cannot be without.
    pub(super) fn complete(&mut self, node: &Node) {
        self.number_users();
        if !self.has("formats") {
            self.leave(
                node,
                "",
                "it names no format that Keel has: the definition says `raw`",
            );
            self.add(&[], "formats", vec![Plain::Text("raw".to_owned())]);
        }
        let has = |wanted: fn(Format) -> bool| {
            let is_wanted = |item: &Plain| match item {
                Plain::Text(text) => Format::NAMES
                    .iter()
                    .any(|(name, format)| name == text && wanted(*format)),
                _ => false,
            };
            self.out.iter().any(
                |(key, value)| matches!(value, Plain::List(items) if key == "formats" && items.iter().any(is_wanted)),
            )
        };
        let (is_disk, is_live) = (has(Format::is_disk), has(Format::is_live));
        if is_disk {
            self.slot(&["disk"]);
        } else if self.has("disk") {
            self.out.retain(|(key, _)| key != "disk");
            let what = if is_live { "a live system" } else { "a container" };
            let why = format!("{what} has no disk: its size is not carried over");
            self.leave(node, "", why);
        }
        if is_live {
            let packages = vec![Plain::Text(LIVE.to_owned())];
            self.slot(&["live"]);
            self.add(&["live"], "initrd-packages", packages);
            let why =
                format!("a live system's initial RAM disk is made of packages: the definition says `{LIVE}`");
            self.leave(node, "", why);
        } else if self.has("live") {
            self.out.retain(|(key, _)| key != "live");
            let why = "what is said of an ISO or PXE is not carried over: it names no such format";
            self.leave(node, "", why);
        }
        self.out.sort_by_key(|(key, _)| {
            ["packages", "formats", "disk", "live", "os", "scripts"]
                .iter()
                .position(|known| known == key)
        });
    }
}

/// Keel Linux's package of what finds a live system's root.
const LIVE: &str = "keel-live";

/// May a definition say this?
fn fits(model: &'static Table, key: &str, text: &str) -> Result<(), String> {
    let form = model.key(key).map(|key| &key.form);
    let form = match form {
        Some(Form::List(item) | Form::OneOrMore(item) | Form::Map(item)) => Some(*item),
        form => form,
    };
    match form {
        Some(Form::Text(pattern)) => (pattern.wrong)(key, text).map_or(Ok(()), Err),
        Some(Form::Words(words)) if !words.contains(&text) => Err(format!("Keel has {}", words.join(", "))),
        _ => Ok(()),
    }
}
