//! Names, checked once: a value of these types can be a file name and a line of output.

use std::{fmt, str::FromStr};

/// Serialises a type through its `Display` and `FromStr`.
macro_rules! serde_as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use serde_as_text;

/// A text cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` cannot be the name of {what}: use letters, digits and `._+-`, starting with a letter, digit or `_`"
)]
pub struct ParseError {
    /// What it should have named.
    pub what: &'static str,
    /// The text.
    pub text: String,
}

fn check(what: &'static str, text: &str) -> Result<String, ParseError> {
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let all_well = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c));
    if starts_well && all_well && text.len() <= 200 {
        Ok(text.to_owned())
    } else {
        Err(ParseError {
            what,
            text: text.to_owned(),
        })
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                check($what, text).map(Self)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        serde_as_text!($type);
    };
}

name! {
    /// The name of a component: one source package and how it is built.
    ComponentName, "a component"
}
name! {
    /// The name of a binary or source package, as in its RPM header.
    PackageName, "a package"
}
name! {
    /// The name of an image.
    ImageName, "an image"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_folder() {
        for good in ["zlib", "gtk+", "python3.13", "glibc-devel", "_x"] {
            assert_eq!(good.parse::<PackageName>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a/b", "-x", "a b", "a\n"] {
            assert!(bad.parse::<PackageName>().is_err(), "{bad:?}");
        }
    }
}
