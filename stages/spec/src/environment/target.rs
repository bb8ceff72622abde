//! What is built for.

use std::{fmt, str::FromStr};

/// The processor and system that packages are for, as `--target` says them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// rpm's name of the processor: `x86_64`.
    pub cpu: String,
    /// The system: `linux`.
    pub os: String,
}

impl fmt::Display for Target {
    /// What `%{_target}` says: `x86_64-linux`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.cpu, self.os)
    }
}

/// A text is no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no target (`x86_64`, `x86_64-linux`, `x86_64-pc-linux-gnu`)")]
pub struct ParseError(pub String);

impl FromStr for Target {
    type Err = ParseError;

    /// `CPU`, `CPU-OS` or `CPU-VENDOR-OS`, each with `-gnu` after it or not; the vendor says nothing.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let lower = text.to_ascii_lowercase();
        let (cpu, rest) = lower.split_once('-').unwrap_or((&lower, "linux"));
        let rest = match rest.strip_suffix("-gnu") {
            Some(before) => before,
            None => rest,
        };
        let os = rest.rsplit('-').next().unwrap_or(rest);
        let is_name = |part: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '+');
            !part.is_empty() && part.chars().all(fits)
        };
        match is_name(cpu) && is_name(os) {
            true => Ok(Self {
                cpu: cpu.to_owned(),
                os: os.to_owned(),
            }),
            false => Err(ParseError(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_as_rpm_reads_them() {
        let cases = [
            ("x86_64", "x86_64-linux"),
            ("X86_64-Linux", "x86_64-linux"),
            ("aarch64-unknown-linux-gnu", "aarch64-linux"),
            ("i686-pc-linux", "i686-linux"),
            ("noarch-gnu", "noarch-gnu"),
        ];
        for (text, target) in cases {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), target, "{text}");
        }
        for text in ["", "x86_64-", "-linux", "../x", "a b"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
