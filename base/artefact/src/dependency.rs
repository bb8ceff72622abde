//! What a package provides and what it asks for, in rpm's terms.

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Evr;

/// How the version of a provider must compare with the one asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `=`
    Equal,
    /// `>=`
    GreaterOrEqual,
    /// `>`
    Greater,
}

impl Comparison {
    /// Does `ordering` (provider against asked) satisfy it?
    pub fn accepts(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Equal => ordering.is_eq(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Greater => ordering.is_gt(),
        }
    }

    /// rpm's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Equal => "=",
            Self::GreaterOrEqual => ">=",
            Self::Greater => ">",
        }
    }
}

/// A requirement, conflict or the like: a capability, and perhaps which versions of it.
///
/// A rich dependency (`(a if b)`) is kept whole as its text in `name`, with [`Dependency::is_rich`] true.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dependency {
    /// The capability: a package name, `libz.so.1()(64bit)`, `/usr/bin/sh`, `pkgconfig(zlib)`.
    pub name: String,
    /// Which versions will do; none means any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<(Comparison, Evr)>,
}

impl Dependency {
    /// Any version of `name`.
    pub fn any(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: None,
        }
    }

    /// Is it a boolean expression over dependencies?
    pub fn is_rich(&self) -> bool {
        self.name.starts_with('(')
    }

    /// Is it about rpm itself (`rpmlib(…)`, `config(…)` is not), satisfied by no package?
    pub fn is_rpmlib(&self) -> bool {
        self.name.starts_with("rpmlib(")
    }

    /// Does this provide satisfy it? rpm's rule: an unversioned provide satisfies only an unversioned request.
    pub fn is_satisfied_by(&self, provide: &Provide) -> bool {
        if self.name != provide.name {
            return false;
        }
        match (&self.version, &provide.evr) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((comparison, asked)), Some(have)) => comparison.accepts(have.compare(asked)),
        }
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some((comparison, evr)) = &self.version {
            write!(f, " {} {evr}", comparison.as_str())?;
        }
        Ok(())
    }
}

/// A text is not a dependency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a dependency (`name` or `name OP version`)")]
pub struct ParseError(pub String);

impl FromStr for Dependency {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let text = text.trim();
        let error = || ParseError(text.to_owned());
        if text.starts_with('(') {
            return Ok(Self::any(text));
        }
        let mut words = text.split_whitespace();
        let name = words.next().ok_or_else(error)?;
        let version = match (words.next(), words.next(), words.next()) {
            (None, ..) => None,
            (Some(op), Some(evr), None) => {
                let comparison = match op {
                    "<" => Comparison::Less,
                    "<=" | "=<" => Comparison::LessOrEqual,
                    "=" | "==" => Comparison::Equal,
                    ">=" | "=>" => Comparison::GreaterOrEqual,
                    ">" => Comparison::Greater,
                    _ => return Err(error()),
                };
                Some((comparison, evr.parse().map_err(|_| error())?))
            }
            _ => return Err(error()),
        };
        Ok(Self {
            name: name.to_owned(),
            version,
        })
    }
}

/// A capability that a package provides, with its version if it has one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Provide {
    /// The capability.
    pub name: String,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub evr: Option<Evr>,
}

impl fmt::Display for Provide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(evr) = &self.evr {
            write!(f, " = {evr}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versioned_requests_need_versioned_provides() {
        let provide = Provide {
            name: "cmake".into(),
            evr: Some("3.28.1-2".parse().unwrap()),
        };
        for (text, satisfied) in [
            ("cmake", true),
            ("cmake >= 3.28", true),
            ("cmake = 3.28.1", true),
            ("cmake >= 3.30", false),
            ("cmake < 3.28.1-2", false),
            ("make", false),
        ] {
            assert_eq!(
                text.parse::<Dependency>().unwrap().is_satisfied_by(&provide),
                satisfied,
                "{text}"
            );
        }
        let bare = Provide {
            name: "cmake".into(),
            evr: None,
        };
        assert!(!"cmake >= 1".parse::<Dependency>().unwrap().is_satisfied_by(&bare));
        assert!("cmake >= ".parse::<Dependency>().is_err());
    }
}
