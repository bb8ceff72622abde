//! crates.io, and registries like it: cargo's sparse index.

use serde::Deserialize;

use super::{Ask, Crate, MAX_DOCUMENT, Place, Source, Vouched};
use crate::{
    Answer,
    http::{Failure, Url},
};

/// A line of cargo's registry index.
#[derive(Deserialize)]
struct CrateLine {
    vers: String,
    cksum: String,
}

/// cargo's `config.json` of a registry.
#[derive(Deserialize)]
struct CrateConfig {
    dl: String,
}

impl Crate {
    pub(crate) fn ask_index<T>(
        &self,
        ask: &Ask<'_>,
        path: &str,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, Failure> {
        let base = ask
            .options
            .registries
            .crates
            .as_deref()
            .ok_or(Answer::NoRegistry("crates"))?;
        let base = base.strip_prefix("sparse+").unwrap_or(base).trim_end_matches('/');
        let url = Url::parse(&format!("{base}/{path}"), false)?;
        let bytes = ask.client.document(&url, MAX_DOCUMENT)?;
        Ok(read(&bytes)
            .ok_or_else(|| Answer::Nonsense(format!("{url} is not what cargo's index has there")))?)
    }

    /// Where the index keeps the crate: cargo's layout by the length of the name.
    pub(crate) fn index_path(&self) -> String {
        let name = self.name.to_ascii_lowercase();
        match name.len() {
            1 | 2 => format!("{}/{name}", name.len()),
            3 => format!("3/{}/{name}", &name[..1]),
            _ => format!("{}/{}/{name}", &name[..2], &name[2..4]),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Answer> {
        let fits = |text: &str, more: &str| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        let good = fits(&self.name, "-_") && fits(&self.version, ".+-");
        good.then_some(())
            .ok_or_else(|| Answer::Nonsense(format!("`{}` is no crate and version", self.version)))
    }
}

impl Source for Crate {
    fn places(&self, ask: &Ask<'_>) -> Result<Vec<Place>, Failure> {
        self.check()?;
        let config: CrateConfig =
            self.ask_index(ask, "config.json", |bytes| serde_json::from_slice(bytes).ok())?;
        let url = if config.dl.contains("{crate}") {
            config
                .dl
                .replace("{crate}", &self.name)
                .replace("{version}", &self.version)
        } else {
            format!(
                "{}/{}/{}/download",
                config.dl.trim_end_matches('/'),
                self.name,
                self.version
            )
        };
        Ok(vec![Place::Url(Url::parse(&url, false)?)])
    }

    fn indexed(&self, ask: &Ask<'_>) -> Result<Option<Vouched>, Failure> {
        self.check()?;
        self.ask_index(ask, &self.index_path(), |bytes| {
            let lines = std::str::from_utf8(bytes).ok()?.lines();
            let mut lines = lines.filter_map(|line| serde_json::from_str::<CrateLine>(line).ok());
            let line = lines.find(|line| line.vers == self.version)?;
            line.cksum
                .parse()
                .ok()
                .map(|digest| Some(Vouched::Sha256(digest)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_lie_where_cargo_looks() {
        for (name, path) in [
            ("a", "1/a"),
            ("ab", "2/ab"),
            ("abc", "3/a/abc"),
            ("Serde", "se/rd/serde"),
        ] {
            let version = "1.0.0".to_owned();
            let name = name.to_owned();
            assert_eq!(Crate { name, version }.index_path(), path);
        }
    }
}
