//! `primary`, `filelists` and `other`: written through rpmrepo_metadata, which agrees with createrepo_c element for
//! element; of `primary`, read back is what says which packages there are.

use keel_artefact::{Epoch, Evr, Nevra, PackageArch, Sha256};
use keel_rpm::PackageInfo;
use rpmrepo_metadata::{
    Checksum, FilelistsXml, MetadataError, OtherXml, Package, PackageOptions, PackageSource, PrimaryXml,
    utils,
};

use crate::{
    Error,
    manifest::{self, Record, Walked, digest, number, walk},
};

/// Names of the three kinds, in the order of `repomd.xml`.
pub(crate) const KINDS: [&str; 3] = ["primary", "filelists", "other"];

/// The most that a metadata file may have when decompressed.
const LARGEST: u64 = 1 << 30;

/// The description of one package, from its header. Its location and the time of the file are Keel's choice, so that
/// they are the same in every run.
pub(crate) fn describe(
    info: &PackageInfo,
    header: &rpm::PackageMetadata,
    digest: &Sha256,
) -> Result<Package, MetadataError> {
    let source = PackageSource {
        checksum: Some(Checksum::Sha256(digest.to_hex())),
        size_package: Some(info.file_size),
        time_file: info.build_time.0,
        location_href: location(&info.nevra),
        location_base: None,
    };
    Package::from_package_metadata(header, source, PackageOptions::default())
}

/// Where a package lies in its section: `Packages/z/zlib-….rpm`.
pub(crate) fn location(nevra: &Nevra) -> String {
    let first = nevra
        .name
        .as_str()
        .chars()
        .next()
        .unwrap_or('_')
        .to_ascii_lowercase();
    format!("Packages/{first}/{}", nevra.file_name())
}

/// The three documents, in the order of [`KINDS`].
pub(crate) fn documents(packages: &[Package]) -> Result<[Vec<u8>; 3], MetadataError> {
    let (mut primary, mut filelists, mut other) = (Vec::new(), Vec::new(), Vec::new());
    let mut writer = PrimaryXml::new_writer(utils::create_xml_writer(&mut primary));
    writer.write_header(packages.len())?;
    packages
        .iter()
        .try_for_each(|package| writer.write_package(package))?;
    writer.finish()?;
    let mut writer = FilelistsXml::new_writer(utils::create_xml_writer(&mut filelists));
    writer.write_header(packages.len())?;
    packages
        .iter()
        .try_for_each(|package| writer.write_package(package))?;
    writer.finish()?;
    let mut writer = OtherXml::new_writer(utils::create_xml_writer(&mut other));
    writer.write_header(packages.len())?;
    packages
        .iter()
        .try_for_each(|package| writer.write_package(package))?;
    writer.finish()?;
    Ok([primary, filelists, other])
}

/// A document as it lies on disk, and its record.
pub(crate) fn pack(kind: &str, document: &[u8]) -> Result<(Record, Vec<u8>), Error> {
    // One thread and a fixed level: the same bytes wherever it runs.
    let packed = zstd::bulk::compress(document, 15).map_err(Error::write)?;
    let digest = Sha256::of(&packed);
    let record = Record {
        kind: kind.to_owned(),
        file: format!("{digest}-{kind}.xml.zst"),
        digest,
        size: packed.len() as u64,
        open_digest: Sha256::of(document),
        open_size: document.len() as u64,
    };
    Ok((record, packed))
}

/// Are a file's bytes what `record` says? The error says what differs.
pub(crate) fn check_packed(record: &Record, packed: &[u8]) -> Result<(), String> {
    if packed.len() as u64 != record.size {
        return Err(format!(
            "it has {} bytes, repomd.xml says {}",
            packed.len(),
            record.size
        ));
    }
    let found = Sha256::of(packed);
    if found != record.digest {
        return Err(format!(
            "its digest is {found}, repomd.xml says {}",
            record.digest
        ));
    }
    Ok(())
}

/// The document in a file's bytes, if they are what `record` says. The error says what differs.
pub(crate) fn unpack(record: &Record, packed: &[u8]) -> Result<String, String> {
    check_packed(record, packed)?;
    if record.open_size > LARGEST {
        return Err(format!("it would unpack to {} bytes", record.open_size));
    }
    let document =
        zstd::bulk::decompress(packed, record.open_size as usize).map_err(|error| error.to_string())?;
    let found = Sha256::of(&document);
    if found != record.open_digest {
        return Err(format!(
            "its content's digest is {found}, repomd.xml says {}",
            record.open_digest
        ));
    }
    String::from_utf8(document).map_err(|error| error.to_string())
}

/// What `primary` says of one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) nevra: Nevra,
    pub(crate) digest: Sha256,
    pub(crate) size: u64,
    pub(crate) built: Epoch,
    /// Relative to the section's folder. It is [`location`] of the package; anything else is refused.
    pub(crate) location: String,
}

/// Reads `primary`. The error says what is wrong.
pub(crate) fn read_primary(xml: &str) -> Result<Vec<Listed>, String> {
    let mut packages = Vec::new();
    let mut stated = None;
    let mut draft = Draft::default();
    walk(xml, &mut |path, event| {
        match (path, event) {
            ([root], Walked::Start(tag)) if root == "metadata" => {
                stated = tag.attribute("packages")?;
            }
            ([root, package], event) if root == "metadata" && package == "package" => match event {
                Walked::Start(_) => draft = Draft::default(),
                Walked::Text(_) => {}
                Walked::End => packages.push(std::mem::take(&mut draft).complete()?),
            },
            ([root, package, field], event) if root == "metadata" && package == "package" => {
                draft.take(field, event)?;
            }
            _ => {}
        }
        Ok(())
    })?;
    match stated.map(|text| number(&text)).transpose()? {
        Some(count) if count == packages.len() as u64 => Ok(packages),
        Some(count) => Err(format!("it holds {} packages and says {count}", packages.len())),
        None => Err("it does not say how many packages it holds".to_owned()),
    }
}

#[derive(Default)]
struct Draft {
    name: Option<String>,
    arch: Option<PackageArch>,
    evr: Option<Evr>,
    digest: Option<Sha256>,
    size: Option<u64>,
    built: Option<u64>,
    location: Option<String>,
}

impl Draft {
    fn take(&mut self, field: &str, event: Walked<'_>) -> Result<(), String> {
        match (field, event) {
            ("name", Walked::Text(text)) => self.name = Some(text.to_owned()),
            ("arch", Walked::Text(text)) => {
                self.arch = Some(
                    text.parse()
                        .map_err(|error: keel_artefact::arch::ParseError| error.to_string())?,
                );
            }
            ("checksum", Walked::Start(tag)) if tag.attribute("type")?.as_deref() != Some("sha256") => {
                return Err("a package's checksum is not a SHA-256".to_owned());
            }
            ("checksum", Walked::Text(text)) => self.digest = Some(digest(text)?),
            ("version", Walked::Start(tag)) => {
                let part = |name| Ok::<_, String>(tag.attribute(name)?.unwrap_or_default());
                let epoch = part("epoch")?;
                self.evr = Some(Evr {
                    epoch: epoch.parse().map_err(|_| format!("`{epoch}` is not an epoch"))?,
                    version: part("ver")?,
                    release: part("rel")?,
                });
            }
            ("size", Walked::Start(tag)) => {
                self.size = tag.attribute("package")?.map(|text| number(&text)).transpose()?;
            }
            ("time", Walked::Start(tag)) => {
                self.built = tag.attribute("build")?.map(|text| number(&text)).transpose()?;
            }
            ("location", Walked::Start(tag)) => self.location = tag.attribute("href")?,
            _ => {}
        }
        Ok(())
    }

    fn complete(self) -> Result<Listed, String> {
        let name = self.name.ok_or("a package has no name")?;
        let missing = |what: &str| format!("the package `{name}` has no {what}");
        let nevra = Nevra {
            name: name
                .parse()
                .map_err(|error: keel_artefact::name::ParseError| error.to_string())?,
            evr: self.evr.ok_or_else(|| missing("version"))?,
            arch: self.arch.ok_or_else(|| missing("architecture"))?,
        };
        let found = self.location.ok_or_else(|| missing("location"))?;
        if found != location(&nevra) || !manifest::is_plain_name(&nevra.file_name()) {
            return Err(format!(
                "`{nevra}` lies at `{found}` instead of `{}`",
                location(&nevra)
            ));
        }
        Ok(Listed {
            digest: self.digest.ok_or_else(|| missing("checksum"))?,
            size: self.size.ok_or_else(|| missing("size"))?,
            built: Epoch(self.built.ok_or_else(|| missing("time of build"))?),
            location: found,
            nevra,
        })
    }
}
