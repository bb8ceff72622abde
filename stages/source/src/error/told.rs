//! Errors as users see them: where, what was asked, what may help.

use keel_config::{Diagnostic, Location};

use super::Error;
use crate::{Answer, debian::release};

impl Error {
    /// As the user should see it.
    pub fn diagnostic(&self) -> Diagnostic {
        if let Self::Overlay(error) = self {
            return (*error.diagnostic).clone();
        }
        let mut diagnostic = Diagnostic::new(self.to_string());
        if let Some(location) = self.location() {
            diagnostic = diagnostic.at(location.clone());
        }
        match self {
            Self::Unavailable { asked, .. } | Self::NotTold { asked, .. } | Self::Archive { asked, .. } => {
                if let Self::Unavailable {
                    pinned: Some((digest, size)),
                    ..
                } = self
                    && asked.iter().any(|asked| asked.answer.is_other())
                {
                    let size = size.map_or(String::new(), |size| format!(", {size} bytes"));
                    diagnostic = diagnostic.note(format!("pinned: SHA-256 {digest}{size}"));
                }
                for asked in asked {
                    diagnostic = diagnostic.cause(asked.to_string());
                }
            }
            Self::NotInArchive { versions, .. } if !versions.is_empty() => {
                diagnostic = diagnostic.cause(format!("it has: {}", versions.join(", ")));
            }
            Self::Signature { pinned, .. } if !pinned.is_empty() => {
                diagnostic = diagnostic.note(format!("keys that may sign: {}", pinned.join(", ")));
            }
            Self::BecameOther { stated, computed, .. } => {
                diagnostic = diagnostic.note(format!("stated:   {stated}"));
                diagnostic = diagnostic.note(format!("computed: {computed}"));
            }
            Self::Unpinned { excerpt, .. } => diagnostic = diagnostic.excerpt(excerpt.as_deref().cloned()),
            _ => {}
        }
        if let Some(source) = std::error::Error::source(self) {
            diagnostic = diagnostic.caused_by(source);
        }
        for hint in self.hints() {
            diagnostic = diagnostic.hint(hint);
        }
        diagnostic
    }

    fn location(&self) -> Option<&Location> {
        match self {
            Self::Unpinned { location, .. }
            | Self::FileName { location, .. }
            | Self::Twice { location, .. }
            | Self::NoOrigin { location, .. }
            | Self::OtherBytes { location, .. }
            | Self::NotNamed { location, .. }
            | Self::BecameOther { location, .. }
            | Self::Edit { location, .. }
            | Self::Signature { location, .. }
            | Self::Disagree { location, .. } => Some(location),
            Self::Unavailable { location, .. }
            | Self::NotTold { location, .. }
            | Self::NotInArchive { location, .. } => location.as_deref(),
            _ => None,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NoLookaside { distro, .. } => {
                format!("`lookaside-base-uri` of `[distros.{distro}]` says it")
            }
            Self::Weak { component, .. } => {
                format!("`keel source lock {component}` checks that, and pins the file by SHA-256")
            }
            Self::Unpinned { near: Some(near), .. } => format!("did you mean `{near}`?"),
            Self::Unpinned { component, name, .. } => format!(
                "put `{name}` beside the SPEC, or say where it may be had in `[[components.{component}.source-files]]` \
                 and run `keel source lock {component}`"
            ),
            Self::Twice { name, .. } => {
                format!("remove one of the two; a file beside the SPEC needs no entry for `{name}`")
            }
            Self::Disagree { .. } => "run `keel source lock` if the configuration is right".to_owned(),
            Self::Unavailable { asked, .. } if self.is_gone() => {
                match asked.iter().any(|asked| asked.origin.starts_with("debian:")) {
                    true => "Debian's pool drops superseded versions; `--refresh` takes the newest of the same upstream series".to_owned(),
                    false => "pin another origin of the same bytes".to_owned(),
                }
            }
            Self::Unavailable { asked, .. } | Self::NotTold { asked, .. } | Self::Archive { asked, .. } => {
                match asked.first().map(|asked| &asked.answer) {
                    Some(Answer::Offline) => "run it again without `--offline`".to_owned(),
                    Some(Answer::NoMirror(_)) => {
                        "say where Debian's archive is: in the machine's apt configuration or with `--mirror`"
                            .to_owned()
                    }
                    _ => return Vec::new(),
                }
            }
            Self::NoOrigin { component, .. } => {
                format!("name an origin in `[[components.{component}.source-files]]`")
            }
            Self::NoKeyring => "install the package `debian-archive-keyring`".to_owned(),
            Self::Release { source, .. } if matches!(**source, release::Error::Signature(_)) => {
                "is `debian-archive-keyring` up to date on this machine?".to_owned()
            }
            _ => return Vec::new(),
        };
        vec![hint]
    }
}
