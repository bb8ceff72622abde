//! What a package says of its licence, as far as SPDX understands it.

use keel_artefact::Sha256;
use spdx::{Expression, LicenseItem, ParseMode, expression::ExpressionReq};

/// What counts as an expression: SPDX's, and identifiers that it knows and would write otherwise today.
const MODE: ParseMode = ParseMode {
    allow_deprecated: true,
    allow_postfix_plus_on_gpl: true,
    ..ParseMode::STRICT
};

/// What a package says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Licence {
    /// An expression of SPDX, with licences that are none of SPDX's: `LicenseRef-…`.
    Expression { text: String, others: Vec<String> },
    /// Anything else, as older packages say it (`GPLv2+`).
    Other(String),
    /// Nothing.
    None,
}

impl Licence {
    pub(super) fn of(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return Self::None;
        }
        let other = Self::Other(text.to_owned());
        let Ok(expression) = Expression::parse_mode(text, MODE) else {
            return other;
        };
        let mut others = Vec::new();
        for ExpressionReq { req, .. } in expression.requirements() {
            if req
                .addition
                .as_ref()
                .is_some_and(|addition| addition.id().is_none())
            {
                return other;
            }
            match &req.license {
                LicenseItem::Spdx { .. } => {}
                // Of another document: there is none here.
                LicenseItem::Other(licence) if licence.doc_ref.is_some() => return other,
                LicenseItem::Other(licence) => others.push(format!("LicenseRef-{}", licence.lic_ref)),
            }
        }
        Self::Expression {
            text: text.to_owned(),
            others,
        }
    }

    /// Under which name a document of SPDX speaks of a text that is no expression.
    pub(super) fn reference(text: &str) -> String {
        format!("LicenseRef-{}", Sha256::of(text.as_bytes()).short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_told_from_other_texts() {
        for text in [
            "MIT",
            "GPL-2.0-or-later WITH GCC-exception-3.1 AND (MIT OR BSD-3-Clause)",
            "GPL-2.0+",
        ] {
            let expected = Licence::Expression {
                text: text.to_owned(),
                others: vec![],
            };
            assert_eq!(Licence::of(text), expected);
        }
        assert_eq!(
            Licence::of(" MIT AND LicenseRef-Public-Domain"),
            Licence::Expression {
                text: "MIT AND LicenseRef-Public-Domain".into(),
                others: vec!["LicenseRef-Public-Domain".into()]
            }
        );
        for text in [
            "GPLv2+",
            "MIT and BSD",
            "DocumentRef-a:LicenseRef-b",
            "see COPYING",
        ] {
            assert_eq!(Licence::of(text), Licence::Other(text.to_owned()));
        }
        assert_eq!(Licence::of(""), Licence::None);
    }
}
