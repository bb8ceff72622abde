//! What a SPEC uses of rpmautospec, by its lines alone.

/// What a SPEC uses of rpmautospec.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Features {
    /// The Release is `%autorelease`.
    pub autorelease: bool,
    /// The changelog is `%autochangelog`.
    pub autochangelog: bool,
    /// The line of `%changelog`, from 0.
    pub changelog: Option<usize>,
    /// The line of `%autochangelog`, from 0, where it stands outside of a changelog.
    pub autochangelog_line: Option<usize>,
    /// rpmautospec was here.
    pub processed: bool,
}

impl Features {
    /// Looks through a SPEC.
    pub fn of(spec: &str) -> Self {
        let mut features = Self::default();
        let mut decided = false;
        for (index, line) in spec.lines().enumerate() {
            features.processed |= line == "## START: Set by rpmautospec";
            if features.changelog.is_none() {
                if is_header(line) {
                    features.changelog = Some(index);
                } else if is_autochangelog(line) {
                    features.autochangelog = true;
                    features.autochangelog_line.get_or_insert(index);
                }
                features.autorelease |= is_autorelease(line);
            } else if !decided && !line.trim().is_empty() && !line.trim_start().starts_with('#') {
                decided = true;
                features.autochangelog |= is_autochangelog(line);
            }
        }
        features
    }

    /// A changelog must be made: it is asked for, or there is none.
    pub fn needs_changelog(&self) -> bool {
        self.autochangelog || self.changelog.is_none()
    }

    /// Is there anything to do?
    pub fn need_processing(&self) -> bool {
        !self.processed && (self.autorelease || self.needs_changelog())
    }
}

fn is_header(line: &str) -> bool {
    let token = line
        .get(..10)
        .filter(|token| token.eq_ignore_ascii_case("%changelog"));
    token.is_some() && line[10..].chars().next().is_none_or(char::is_whitespace)
}

fn is_autochangelog(line: &str) -> bool {
    let line = line.trim_start();
    ["%autochangelog", "%{autochangelog}", "%{?autochangelog}"]
        .iter()
        .any(|word| line.starts_with(word))
}

fn is_autorelease(line: &str) -> bool {
    let line = line.trim_start();
    let Some(rest) = line.get(..7).filter(|name| name.eq_ignore_ascii_case("release")) else {
        return false;
    };
    let Some(value) = line[rest.len()..].trim_start().strip_prefix(':') else {
        return false;
    };
    let trimmed = value.trim_start();
    if trimmed.len() == value.len() {
        return false;
    }
    if let Some(rest) = trimmed.strip_prefix("%autorelease") {
        return rest.chars().next().is_none_or(char::is_whitespace);
    }
    let Some(inner) = trimmed.strip_prefix("%{") else {
        return false;
    };
    let inner = inner.strip_prefix('?').unwrap_or(inner);
    inner.strip_prefix("autorelease").is_some_and(|rest| {
        rest.starts_with('}') || (rest.starts_with(char::is_whitespace) && rest.contains('}'))
    })
}
