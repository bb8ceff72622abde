//! `repomd.xml`: the list of metadata files, which is what gets signed.
//!
//! Format: the files that createrepo_c writes; there is no other specification.

use std::fmt::Write as _;

use keel_artefact::{Arch, Epoch, Sha256};
use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};

use crate::Section;

/// Its file name in `repodata`.
pub(crate) const MANIFEST: &str = "repomd.xml";
/// The armoured detached signature of it.
pub(crate) const SIGNATURE: &str = "repomd.xml.asc";
/// The armoured certificate of the signer.
pub(crate) const KEY: &str = "repomd.xml.key";

/// One metadata file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// `primary`, `filelists`, `other`.
    pub(crate) kind: String,
    /// The name of the file in `repodata`.
    pub(crate) file: String,
    /// Digest and size as it lies there.
    pub(crate) digest: Sha256,
    pub(crate) size: u64,
    /// Digest and size decompressed.
    pub(crate) open_digest: Sha256,
    pub(crate) open_size: u64,
}

/// `repomd.xml`, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// The newest package's time of build.
    pub(crate) revision: Epoch,
    pub(crate) arch: Arch,
    pub(crate) section: Section,
    pub(crate) records: Vec<Record>,
}

impl Manifest {
    pub(crate) fn to_xml(&self) -> String {
        let mut xml = String::from(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<repomd xmlns=\"http://linux.duke.edu/metadata/repo\" \
             xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\">\n",
        );
        let revision = self.revision.0;
        let _ = writeln!(
            xml,
            "  <revision>{revision}</revision>\n  <tags>\n    <content>{}</content>\n  </tags>",
            self.section.content_tag(self.arch)
        );
        for record in &self.records {
            let Record {
                kind,
                file,
                digest,
                size,
                open_digest,
                open_size,
            } = record;
            let _ = writeln!(
                xml,
                "  <data type=\"{kind}\">\n    <checksum type=\"sha256\">{digest}</checksum>\n    \
                 <open-checksum type=\"sha256\">{open_digest}</open-checksum>\n    \
                 <location href=\"repodata/{file}\"/>\n    <timestamp>{revision}</timestamp>\n    \
                 <size>{size}</size>\n    <open-size>{open_size}</open-size>\n  </data>"
            );
        }
        xml.push_str("</repomd>\n");
        xml
    }

    /// Reads what [`Self::to_xml`] writes. The error says what is wrong.
    pub(crate) fn parse(xml: &str) -> Result<Self, String> {
        let mut draft = Draft::default();
        walk(xml, &mut |path, event| draft.take(path, event))?;
        let content = draft.content.ok_or("it does not say what its content is")?;
        let (kind, arch) = content
            .split_once('-')
            .ok_or("its content tag is not one of Keel's")?;
        Ok(Self {
            revision: Epoch(draft.revision.ok_or("it has no revision")?),
            arch: arch
                .parse()
                .map_err(|error: keel_artefact::arch::ParseError| error.to_string())?,
            section: match kind {
                "binary" => Section::Os,
                "debug" => Section::Debug,
                "source" => Section::Source,
                _ => return Err(format!("its content tag `{content}` is not one of Keel's")),
            },
            records: draft
                .records
                .into_iter()
                .map(PartialRecord::complete)
                .collect::<Result<_, _>>()?,
        })
    }
}

/// The record of `kind` in any `repomd.xml` (Keel's has more in it); what others are like does not matter. The error says what is
/// wrong.
pub(crate) fn record(xml: &str, kind: &str) -> Result<Record, String> {
    let mut found: Option<PartialRecord> = None;
    let mut is_inside = false;
    walk(xml, &mut |path, event| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match (path.as_slice(), event, &mut found) {
            (["repomd", "data"], Walked::Start(tag), found) => {
                is_inside = tag.attribute("type")?.as_deref() == Some(kind);
                if is_inside && found.replace(PartialRecord::of(kind)).is_some() {
                    return Err(format!("it names `{kind}` twice"));
                }
            }
            (["repomd", "data", field], event, Some(record)) if is_inside => record.take(field, event)?,
            _ => {}
        }
        Ok(())
    })?;
    let mut record = found.ok_or_else(|| format!("it does not name `{kind}`"))?;
    // Of what is not packed, createrepo_c says it once.
    if record.file.as_ref().is_some_and(|file| file.ends_with(".xml")) {
        record.open_digest = record.open_digest.or(record.digest);
        record.open_size = record.open_size.or(record.size);
    }
    record.complete()
}

#[derive(Default)]
struct Draft {
    revision: Option<u64>,
    content: Option<String>,
    records: Vec<PartialRecord>,
}

#[derive(Default)]
struct PartialRecord {
    kind: String,
    file: Option<String>,
    digest: Option<Sha256>,
    size: Option<u64>,
    open_digest: Option<Sha256>,
    open_size: Option<u64>,
}

impl Draft {
    fn take(&mut self, path: &[String], event: Walked<'_>) -> Result<(), String> {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match (path.as_slice(), event) {
            (["repomd", "revision"], Walked::Text(text)) => self.revision = Some(number(text)?),
            (["repomd", "tags", "content"], Walked::Text(text)) => self.content = Some(text.to_owned()),
            (["repomd", "data"], Walked::Start(tag)) => {
                let kind = tag.attribute("type")?.ok_or("a record has no type")?;
                self.records.push(PartialRecord::of(&kind));
            }
            (["repomd", "data", field], event) => {
                if let Some(record) = self.records.last_mut() {
                    record.take(field, event)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl PartialRecord {
    fn of(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            ..Self::default()
        }
    }

    fn take(&mut self, field: &str, event: Walked<'_>) -> Result<(), String> {
        match (field, event) {
            ("checksum" | "open-checksum", Walked::Start(tag))
                if tag.attribute("type")?.as_deref() != Some("sha256") =>
            {
                return Err(format!("the {field} of `{}` is not a SHA-256", self.kind));
            }
            ("checksum", Walked::Text(text)) => self.digest = Some(digest(text)?),
            ("open-checksum", Walked::Text(text)) => self.open_digest = Some(digest(text)?),
            ("size", Walked::Text(text)) => self.size = Some(number(text)?),
            ("open-size", Walked::Text(text)) => self.open_size = Some(number(text)?),
            ("location", Walked::Start(tag)) => {
                let href = tag.attribute("href")?.ok_or("a location has no href")?;
                let file = href.strip_prefix("repodata/").filter(|file| is_plain_name(file));
                self.file = Some(
                    file.ok_or_else(|| format!("the location `{href}` is not in repodata"))?
                        .to_owned(),
                );
            }
            _ => {}
        }
        Ok(())
    }

    fn complete(self) -> Result<Record, String> {
        let kind = self.kind;
        let missing = |what: &str| format!("the record `{kind}` has no {what}");
        Ok(Record {
            file: self.file.ok_or_else(|| missing("location"))?,
            digest: self.digest.ok_or_else(|| missing("checksum"))?,
            size: self.size.ok_or_else(|| missing("size"))?,
            open_digest: self.open_digest.ok_or_else(|| missing("open-checksum"))?,
            open_size: self.open_size.ok_or_else(|| missing("open-size"))?,
            kind,
        })
    }
}

/// A file name and nothing more.
pub(crate) fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0', '\\']) && name.len() < 255
}

pub(crate) fn digest(text: &str) -> Result<Sha256, String> {
    text.parse()
        .map_err(|error: keel_artefact::digest::ParseError| error.to_string())
}

pub(crate) fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number"))
}

/// What [`walk`] comes across.
pub(crate) enum Walked<'a> {
    /// The start of an element.
    Start(Tag<'a>),
    /// Text inside one, without blanks around it.
    Text(&'a str),
    /// Its end.
    End,
}

/// The start of an element, for its attributes.
pub(crate) struct Tag<'a>(&'a BytesStart<'a>);

impl Tag<'_> {
    pub(crate) fn attribute(&self, name: &str) -> Result<Option<String>, String> {
        for attribute in self.0.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            if attribute.key.as_ref() == name {
                let value = attribute
                    .normalized_value(XmlVersion::Explicit1_0)
                    .map_err(|error| error.to_string())?;
                return Ok(Some(value.into_owned()));
            }
        }
        Ok(None)
    }
}

/// Takes what [`walk`] comes across, under the path of element names that it lies at.
pub(crate) type Each<'a> = &'a mut dyn FnMut(&[String], Walked<'_>) -> Result<(), String>;

/// Walks through an XML document: `each` gets the path of element names and what is there. Ends at the end of the
/// text, whatever the text is; nesting is bounded.
pub(crate) fn walk(xml: &str, each: Each<'_>) -> Result<(), String> {
    const DEEPEST: usize = 16;
    let mut reader = Reader::from_str(xml);
    reader.config_mut().expand_empty_elements = true;
    let mut path: Vec<String> = Vec::new();
    let mut text = String::new();
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(tag) => {
                text.clear();
                if path.len() == DEEPEST {
                    return Err("its elements are nested too deeply".to_owned());
                }
                path.push(tag.name().as_ref().to_owned());
                each(&path, Walked::Start(Tag(&tag)))?;
            }
            Event::Text(part) => text.push_str(&part),
            Event::GeneralRef(reference) => {
                let entity = format!("&{};", &*reference);
                text.push_str(&quick_xml::escape::unescape(&entity).map_err(|error| error.to_string())?);
            }
            Event::End(_) => {
                each(&path, Walked::Text(text.trim()))?;
                text.clear();
                each(&path, Walked::End)?;
                path.pop();
            }
            Event::DocType(_) => return Err("it has a document type".to_owned()),
            Event::Eof => break,
            _ => {}
        }
    }
    match path.last() {
        Some(open) => Err(format!("it ends inside `{open}`")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            revision: Epoch(1_790_000_000),
            arch: Arch::X86_64,
            section: Section::Debug,
            records: vec![Record {
                kind: "primary".into(),
                file: "aa-primary.xml.zst".into(),
                digest: Sha256::of(b"a"),
                size: 7,
                open_digest: Sha256::of(b"b"),
                open_size: 70,
            }],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Manifest::parse(&manifest().to_xml()), Ok(manifest()));
    }

    #[test]
    fn every_cut_and_every_evil_change_is_an_error() {
        let xml = manifest().to_xml();
        for end in 0..xml.len() - 1 {
            assert!(Manifest::parse(&xml[..end]).is_err(), "{}", &xml[..end]);
        }
        for (from, to) in [
            ("repodata/aa", "repodata/../aa"),
            ("repodata/aa", "/etc/aa"),
            ("sha256", "md5"),
            ("<size>7", "<size>seven"),
            ("debug-x86_64", "debug-vax"),
            ("debug-x86_64", "other"),
            ("<?xml", "<!DOCTYPE x [<!ENTITY a \"b\">]><?xml"),
        ] {
            assert!(Manifest::parse(&xml.replace(from, to)).is_err(), "{to}");
        }
        assert!(Manifest::parse(&"<a>".repeat(100_000)).is_err());
    }

    /// `createrepo_c --general-compress-type=none`, and what other tools and plug-ins add.
    #[test]
    fn of_foreign_records_only_the_wanted_one_has_to_be_right() {
        let digest = Sha256::of(b"a");
        let primary = format!(
            "<data type=\"primary\"><checksum type=\"sha256\">{digest}</checksum>\
             <location href=\"repodata/primary.xml\"/><size>7</size></data>"
        );
        let other = "<data type=\"modules\"><checksum type=\"sha512\">00</checksum>\
                     <location href=\"elsewhere/m.yaml\"/><size>many</size></data><data/>";
        let wanted = Ok(Record {
            kind: "primary".into(),
            file: "primary.xml".into(),
            digest,
            size: 7,
            open_digest: digest,
            open_size: 7,
        });
        let of = |text: String| record(&format!("<repomd>{text}</repomd>"), "primary");
        assert_eq!(of(format!("{other}{primary}{other}")), wanted);
        for (wrong, message) in [
            (other.to_owned(), "it does not name `primary`"),
            (primary.repeat(2), "it names `primary` twice"),
            (primary.replace("sha256", "sha512"), "is not a SHA-256"),
            (primary.replace("repodata/", "x/"), "is not in repodata"),
            (primary.replace(".xml", ".xml.gz"), "has no open-checksum"),
        ] {
            let error = of(wrong).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}
