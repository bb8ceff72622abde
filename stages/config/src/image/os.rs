//! `[os]`: what an image is made to be, besides its packages.
//!
//! Numbers that are not said here are those that packages declare; that only the image stage can know, and so each part keeps
//! its place, for what is found wrong then. Places and folders of this machine are not serialised: they change no image.

use std::{collections::BTreeMap, path::PathBuf};

use keel_artefact::RootPath;
use serde::Serialize;

use crate::Location;

/// `[os]`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Os {
    /// Static host name, if the image has one.
    pub hostname: Option<String>,
    /// Words that are added to the kernel's command line.
    pub kernel_command_line: Vec<String>,
    /// Groups, in the order given; names are unique.
    pub groups: Vec<Group>,
    /// Users, in the order given; names are unique.
    pub users: Vec<User>,
    /// Which units start.
    pub services: Services,
    /// `[os.selinux]`, if it is there.
    pub selinux: Option<Selinux>,
    /// Modules of the kernel, in the order given; names are unique.
    pub modules: Vec<Module>,
    /// Folders to add, before files.
    pub additional_dirs: Vec<Dir>,
    /// Files to add, in the order given; destinations are unique.
    pub additional_files: Vec<File>,
}

/// One `[[os.groups]]`.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its number; none: that which a package declares.
    pub gid: Option<u32>,
    /// Where it is said.
    #[serde(skip)]
    pub defined_at: Location,
}

/// One `[[os.users]]`: a new user, or what is to be different about one that a package declares.
#[derive(Debug, Clone, Serialize)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its number; none: that which a package declares.
    pub uid: Option<u32>,
    /// A hash of crypt(5); none: no password lets anybody in.
    pub password: Option<String>,
    /// Lines of `authorized_keys`, those of files, too.
    pub ssh_public_keys: Vec<String>,
    /// Name of the group; none: that which it has, or one of its own.
    pub primary_group: Option<String>,
    /// Names of further groups.
    pub secondary_groups: Vec<String>,
    /// Home folder; none: that which it has, or `/home/NAME`.
    pub home_directory: Option<RootPath>,
    /// Login shell; none: that which it has, or `/bin/sh`.
    pub startup_command: Option<RootPath>,
    /// Where it is said.
    #[serde(skip)]
    pub defined_at: Location,
}

/// `[os.services]`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Services {
    /// Units that start.
    pub enable: Vec<Unit>,
    /// Units that do not, whatever presets say.
    pub disable: Vec<Unit>,
}

/// A unit of systemd.
#[derive(Debug, Clone, Serialize)]
pub struct Unit {
    /// With its suffix: `sshd.service`, `serial-getty@ttyS0.service`.
    pub name: String,
    /// Where it is said.
    #[serde(skip)]
    pub defined_at: Location,
}

/// `[os.selinux]`.
#[derive(Debug, Clone, Serialize)]
pub struct Selinux {
    /// What it does.
    pub mode: SelinuxMode,
    /// Which policy counts; none: that which packages say, or the only one.
    pub policy: Option<String>,
    /// Where it is said.
    #[serde(skip)]
    pub defined_at: Location,
}

/// What SELinux does in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelinuxMode {
    /// Nothing.
    Disabled,
    /// It tells what it would refuse.
    Permissive,
    /// It refuses.
    Enforcing,
    /// It refuses, whatever `/etc/selinux/config` says later.
    ForceEnforcing,
}

impl SelinuxMode {
    /// The value of `SELINUX=` (selinux_config(5)).
    pub fn config(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Permissive => "permissive",
            Self::Enforcing | Self::ForceEnforcing => "enforcing",
        }
    }

    /// Its words on the kernel's command line.
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Self::Disabled => &["selinux=0"],
            Self::Permissive | Self::Enforcing => &["selinux=1", "security=selinux"],
            Self::ForceEnforcing => &["selinux=1", "security=selinux", "enforcing=1"],
        }
    }
}

/// One `[[os.modules]]`.
#[derive(Debug, Clone, Serialize)]
pub struct Module {
    /// Its name.
    pub name: String,
    /// When it is loaded; none: as without this entry.
    pub load_mode: Option<LoadMode>,
    /// Its parameters.
    pub options: BTreeMap<String, String>,
    /// Where it is said.
    #[serde(skip)]
    pub defined_at: Location,
}

/// When a module of the kernel is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadMode {
    /// At each boot.
    Always,
    /// When something needs it, as without an entry.
    Auto,
    /// Never by itself.
    Disable,
}

/// One `[[os.additional-files]]`.
#[derive(Debug, Clone, Serialize)]
pub struct File {
    /// What is in it.
    pub content: Content,
    /// Where it lands.
    pub destination: RootPath,
    /// Permission bits; none: 0644, or 0755 if the source is a program.
    pub permissions: Option<u32>,
    /// Whose it is.
    pub owner: Owner,
    /// Where it is said.
    #[serde(skip)]
    pub defined_at: Location,
}

/// What is in a file.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// This.
    Text(String),
    /// The bytes of a file of the tree. Absolute.
    Source(#[serde(skip)] PathBuf),
}

/// One `[[os.additional-dirs]]`.
#[derive(Debug, Clone, Serialize)]
pub struct Dir {
    /// A folder of the tree, all of which is added; none: an empty folder. Absolute.
    #[serde(skip)]
    pub source: Option<PathBuf>,
    /// Where it lands.
    pub destination: RootPath,
    /// Permission bits of folders that were not there; none: 0755.
    pub new_dir_permissions: Option<u32>,
    /// Permission bits of folders that were there; none: they stay.
    pub merged_dir_permissions: Option<u32>,
    /// Permission bits of files; none: 0644, or 0755 if the source is a program.
    pub child_file_permissions: Option<u32>,
    /// Whose all of it is.
    pub owner: Owner,
    /// Where it is said.
    #[serde(skip)]
    pub defined_at: Location,
}

/// Names or numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// Of a user; none: root.
    pub user: Option<String>,
    /// Of a group; none: root.
    pub group: Option<String>,
}

impl Os {
    /// Does a part of it need a machine, and which?
    pub fn of_a_machine(&self) -> Vec<&'static str> {
        let said = [
            ("kernel-command-line", !self.kernel_command_line.is_empty()),
            ("modules", !self.modules.is_empty()),
        ];
        said.into_iter()
            .filter_map(|(key, is_said)| is_said.then_some(key))
            .collect()
    }
}

/// Where Keel itself writes, and what says what is in there.
pub(crate) const OURS: [(&str, &str); 8] = [
    ("/etc/passwd", "[[os.users]]"),
    ("/etc/shadow", "[[os.users]]"),
    ("/etc/group", "[[os.groups]]"),
    ("/etc/gshadow", "[[os.groups]]"),
    ("/etc/hostname", "[os] hostname"),
    ("/etc/machine-id", ""),
    ("/usr/lib/sysimage/rpm", ""),
    ("/usr/share/keel/keys", ""),
];

/// What is mounted over while the image runs.
pub(crate) const HIDDEN: [&str; 4] = ["/dev", "/proc", "/run", "/sys"];

pub(crate) fn is_in(path: &RootPath, folder: &str) -> bool {
    let below = path.as_str().strip_prefix(folder);
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The place of Keel's own that this path is in, and what says what is in there; empty where nothing does.
pub fn ours(path: &RootPath) -> Option<(&'static str, &'static str)> {
    OURS.into_iter().find(|(folder, _)| is_in(path, folder))
}

/// The place of Keel's own, or one that is mounted over, that this path is in: nothing may be added there.
pub fn taken(path: &RootPath) -> Option<&'static str> {
    let ours = OURS.iter().map(|(ours, _)| *ours).chain(HIDDEN);
    ours.into_iter().find(|folder| is_in(path, folder))
}
