//! What a client needs to be told.

use keel_artefact::Arch;

use crate::Section;

/// The text of a `.repo` file for dnf (dnf.conf(5)) and Keel's own client.
///
/// `id` names it (`keel`), `base` is the URL of the folder with the sections in it (`http://127.0.0.1:8080/x86_64`),
/// `key` the URL of the certificate, or none for the one that the repository itself carries. Packages and metadata are
/// both verified; debugging information and sources are there, but not enabled.
pub fn client_config(id: &str, title: &str, arch: Arch, base: &str, key: Option<&str>) -> String {
    let base = base.trim_end_matches('/');
    let mut text = String::new();
    for section in Section::ALL {
        let (suffix, what, enabled) = match section {
            Section::Os => ("", "", 1),
            Section::Debug => ("-debug", " (debugging information)", 0),
            Section::Source => ("-source", " (sources)", 0),
        };
        let url = format!("{base}/{}", section.folder());
        let key = key.map_or_else(|| format!("{url}/repodata/repomd.xml.key"), str::to_owned);
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!(
            "[{id}{suffix}]\nname={title} for {arch}{what}\nbaseurl={url}/\nenabled={enabled}\ngpgcheck=1\n\
             repo_gpgcheck=1\ngpgkey={key}\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_verified() {
        let text = client_config("keel", "Keel", Arch::X86_64, "http://localhost/r/", None);
        assert_eq!(text.matches("gpgcheck=1\n").count(), 6);
        assert_eq!(text.matches("enabled=1").count(), 1);
        assert!(
            text.starts_with("[keel]\nname=Keel for x86_64\nbaseurl=http://localhost/r/os/\n"),
            "{text}"
        );
        assert!(text.contains("gpgkey=http://localhost/r/source/repodata/repomd.xml.key"));
        let text = client_config(
            "keel",
            "Keel",
            Arch::X86_64,
            "http://localhost/r",
            Some("file:///key"),
        );
        assert_eq!(text.matches("gpgkey=file:///key\n").count(), 3);
    }
}
