//! What a package says of itself: the header, as values.

use std::{io::BufReader, ops::Range, path::Path};

use keel_artefact::{Comparison, Dependency, Epoch, Evr, Nevra, PackageArch, PackageName, Provide, Sha256};
use rpm::{Header, IndexTag};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Fault, FileInfo,
    blob::Frame,
    files::{self, counted, optional},
};

/// The header of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageInfo {
    /// Identity. The architecture of a source package is [`PackageArch::Src`].
    pub nevra: Nevra,
    /// File name of the source package that it was built from; none for a source package.
    pub source_rpm: Option<String>,
    /// When it was built: `SOURCE_DATE_EPOCH` where the build clamps it.
    pub build_time: Epoch,
    /// The host it says it was built on.
    pub build_host: Option<String>,
    /// Capabilities it provides.
    pub provides: Vec<Provide>,
    /// What it needs, `rpmlib(…)` included; build requirements for a source package.
    pub requires: Vec<Dependency>,
    /// What it cannot be installed with.
    pub conflicts: Vec<Dependency>,
    /// What it replaces.
    pub obsoletes: Vec<Dependency>,
    /// What should be installed with it.
    pub recommends: Vec<Dependency>,
    /// What may be installed with it.
    pub suggests: Vec<Dependency>,
    /// With what it should be installed.
    pub supplements: Vec<Dependency>,
    /// With what it may be installed.
    pub enhances: Vec<Dependency>,
    /// Its files, in the order of the header (sorted by path, for packages of rpmbuild).
    pub files: Vec<FileInfo>,
    /// Names of its scriptlets and triggers: `%post`, `%triggerin`. Keel's own packages have none.
    pub scripts: Vec<String>,
    /// Digest of their texts and interpreters; none if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scripts_digest: Option<Sha256>,
    /// Licence expression.
    pub licence: String,
    /// One line.
    pub summary: String,
    /// Paragraphs.
    pub description: String,
    /// Home page.
    pub url: Option<String>,
    /// Who made it.
    pub vendor: Option<String>,
    /// Bytes of its files when installed, by the header.
    pub installed_size: u64,
    /// Bytes of the package file.
    pub file_size: u64,
    /// Where its header lies in the file (`<rpm:header-range>`); the payload begins at its end.
    pub header_range: Range<u64>,
    /// SHA-256 of the compressed payload, as the header states it.
    pub payload_digest: Option<Sha256>,
    /// How the payload is compressed: `zstd`, `gzip`, `xz`, `lzma`, `bzip2`, `none`.
    pub payload_compressor: String,
}

/// Reads the header of the package file at `path`. The payload is not touched, signatures are not looked at.
pub fn read(path: &Path) -> Result<PackageInfo, Error> {
    Ok(open(path)?.0)
}

/// [`read`], with the header as the `rpm` crate has it: for metadata generators that take it. Its frame was checked.
pub fn read_with_metadata(path: &Path) -> Result<(PackageInfo, rpm::PackageMetadata), Error> {
    let unreadable = |source| Error::Read {
        package: path.to_owned(),
        source,
    };
    let file = fs_err::File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    Frame::read(&mut BufReader::new(file), size)
        .and_then(|frame| Ok((PackageInfo::of(&frame, size)?, frame.metadata)))
        .map_err(|fault| Error::Unsound {
            package: path.to_owned(),
            fault,
        })
}

/// Reads the header, and leaves the file at its payload.
pub(crate) fn open(path: &Path) -> Result<(PackageInfo, BufReader<fs_err::File>), Error> {
    let unreadable = |source| Error::Read {
        package: path.to_owned(),
        source,
    };
    let file = fs_err::File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let mut reader = BufReader::with_capacity(128 * 1024, file);
    let info = Frame::read(&mut reader, size)
        .and_then(|frame| PackageInfo::of(&frame, size))
        .map_err(|fault| Error::Unsound {
            package: path.to_owned(),
            fault,
        })?;
    Ok((info, reader))
}

impl PackageInfo {
    /// From a sound frame of a file of `size` bytes.
    pub(crate) fn of(frame: &Frame, size: u64) -> Result<Self, Fault> {
        use IndexTag as T;
        let metadata = &frame.metadata;
        let header = &metadata.header;
        let text = |tag| Ok::<_, Fault>(optional(header.get_entry_data_as_string(tag))?.map(str::to_owned));
        let said = |tag| -> Result<String, Fault> {
            Ok(optional(header.get_entry_data_as_i18n_string(tag))?
                .unwrap_or_default()
                .to_owned())
        };
        let is_source = metadata.is_source_package();
        let dependencies = |name, flags, version, tag| dependencies(header, name, flags, version, tag);
        let provides = dependencies(
            T::RPMTAG_PROVIDENAME,
            T::RPMTAG_PROVIDEFLAGS,
            T::RPMTAG_PROVIDEVERSION,
            "PROVIDEVERSION",
        )?;
        let installed_size = match optional(header.get_entry_data_as_u64(T::RPMTAG_LONGSIZE))? {
            Some(size) => size,
            None => optional(header.get_entry_data_as_u32(T::RPMTAG_SIZE))?
                .unwrap_or(0)
                .into(),
        };
        let payload_digest = match optional(header.get_entry_data_as_string(T::RPMTAG_PAYLOADSHA256))? {
            Some(text) => Some(text.parse().map_err(|error| Fault::Tag {
                tag: "PAYLOADSHA256",
                why: format!("{error}"),
            })?),
            None => None,
        };
        Ok(Self {
            nevra: nevra(header, is_source)?,
            source_rpm: text(T::RPMTAG_SOURCERPM)?.filter(|name| name != "(none)"),
            build_time: Epoch(
                optional(header.get_entry_data_as_u32(T::RPMTAG_BUILDTIME))?
                    .unwrap_or(0)
                    .into(),
            ),
            build_host: text(T::RPMTAG_BUILDHOST)?,
            provides: (provides.into_iter())
                .map(|dependency| Provide {
                    name: dependency.name,
                    evr: dependency.version.map(|(_, evr)| evr),
                })
                .collect(),
            requires: dependencies(
                T::RPMTAG_REQUIRENAME,
                T::RPMTAG_REQUIREFLAGS,
                T::RPMTAG_REQUIREVERSION,
                "REQUIREVERSION",
            )?,
            conflicts: dependencies(
                T::RPMTAG_CONFLICTNAME,
                T::RPMTAG_CONFLICTFLAGS,
                T::RPMTAG_CONFLICTVERSION,
                "CONFLICTVERSION",
            )?,
            obsoletes: dependencies(
                T::RPMTAG_OBSOLETENAME,
                T::RPMTAG_OBSOLETEFLAGS,
                T::RPMTAG_OBSOLETEVERSION,
                "OBSOLETEVERSION",
            )?,
            recommends: dependencies(
                T::RPMTAG_RECOMMENDNAME,
                T::RPMTAG_RECOMMENDFLAGS,
                T::RPMTAG_RECOMMENDVERSION,
                "RECOMMENDVERSION",
            )?,
            suggests: dependencies(
                T::RPMTAG_SUGGESTNAME,
                T::RPMTAG_SUGGESTFLAGS,
                T::RPMTAG_SUGGESTVERSION,
                "SUGGESTVERSION",
            )?,
            supplements: dependencies(
                T::RPMTAG_SUPPLEMENTNAME,
                T::RPMTAG_SUPPLEMENTFLAGS,
                T::RPMTAG_SUPPLEMENTVERSION,
                "SUPPLEMENTVERSION",
            )?,
            enhances: dependencies(
                T::RPMTAG_ENHANCENAME,
                T::RPMTAG_ENHANCEFLAGS,
                T::RPMTAG_ENHANCEVERSION,
                "ENHANCEVERSION",
            )?,
            files: files::list(header)?,
            scripts: scripts(header)?,
            scripts_digest: scripts_digest(header),
            licence: text(T::RPMTAG_LICENSE)?.unwrap_or_default(),
            summary: said(T::RPMTAG_SUMMARY)?,
            description: said(T::RPMTAG_DESCRIPTION)?,
            url: text(T::RPMTAG_URL)?,
            vendor: text(T::RPMTAG_VENDOR)?,
            installed_size,
            file_size: size,
            header_range: frame.header.clone(),
            payload_digest,
            payload_compressor: text(T::RPMTAG_PAYLOADCOMPRESSOR)?.unwrap_or_else(|| "gzip".to_owned()),
        })
    }

    /// Is it a source package?
    pub fn is_source(&self) -> bool {
        self.nevra.arch == PackageArch::Src
    }

    /// Its file of that path.
    pub fn file(&self, path: &keel_artefact::RootPath) -> Option<&FileInfo> {
        self.files.iter().find(|file| &file.path == path)
    }
}

/// Name, version and release become file names and lines of metadata: they are checked here.
fn nevra(header: &Header<IndexTag>, is_source: bool) -> Result<Nevra, Fault> {
    let get = |tag, what| match optional(header.get_entry_data_as_string(tag))? {
        Some(text) => Ok(text),
        None => Err(Fault::Tag {
            tag: what,
            why: "it is missing".to_owned(),
        }),
    };
    let part = |tag, what| -> Result<String, Fault> {
        let text = get(tag, what)?;
        // rpm's ALLOWED_CHARS_VERREL (build/parsePreamble.c).
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._+~^".contains(c);
        if text.is_empty() || text.len() > 200 || !text.chars().all(allowed) {
            return Err(Fault::Identity {
                what,
                text: text.to_owned(),
                source: None,
            });
        }
        Ok(text.to_owned())
    };
    let name = get(IndexTag::RPMTAG_NAME, "NAME")?;
    let arch = get(IndexTag::RPMTAG_ARCH, "ARCH")?;
    Ok(Nevra {
        name: name.parse::<PackageName>().map_err(|error| Fault::Identity {
            what: "name",
            text: name.to_owned(),
            source: Some(error.into()),
        })?,
        evr: Evr {
            epoch: optional(header.get_entry_data_as_u32(IndexTag::RPMTAG_EPOCH))?.unwrap_or(0),
            version: part(IndexTag::RPMTAG_VERSION, "VERSION")?,
            release: part(IndexTag::RPMTAG_RELEASE, "RELEASE")?,
        },
        arch: if is_source {
            PackageArch::Src
        } else {
            arch.parse()
                .map_err(|error: keel_artefact::arch::ParseError| Fault::Identity {
                    what: "architecture",
                    text: arch.to_owned(),
                    source: Some(error.into()),
                })?
        },
    })
}

/// One kind of dependency: three parallel arrays.
fn dependencies(
    header: &Header<IndexTag>,
    name_tag: IndexTag,
    flags_tag: IndexTag,
    version_tag: IndexTag,
    what: &'static str,
) -> Result<Vec<Dependency>, Fault> {
    let names = optional(header.get_entry_data_as_string_array(name_tag))?.unwrap_or_default();
    let flags = counted(header.get_entry_data_as_u32_array(flags_tag), names.len(), what)?;
    let versions = counted(
        header.get_entry_data_as_string_array(version_tag),
        names.len(),
        what,
    )?;
    let mut all = Vec::with_capacity(names.len());
    for ((name, flags), version) in names.into_iter().zip(flags).zip(versions) {
        // RPMSENSE_LESS, GREATER, EQUAL (rpmds.h).
        let comparison = match flags & 0xe {
            2 => Some(Comparison::Less),
            4 => Some(Comparison::Greater),
            8 => Some(Comparison::Equal),
            10 => Some(Comparison::LessOrEqual),
            12 => Some(Comparison::GreaterOrEqual),
            _ => None,
        };
        let version = match comparison {
            Some(comparison) if !version.is_empty() => {
                let evr = version.parse().map_err(|error| Fault::Tag {
                    tag: what,
                    why: format!("`{name}`: {error}"),
                })?;
                Some((comparison, evr))
            }
            _ => None,
        };
        all.push(Dependency {
            name: name.to_owned(),
            version,
        });
    }
    Ok(all)
}

/// Scriptlets: the name in a SPEC, the tags of body and interpreter.
const SCRIPTLETS: [(&str, IndexTag, IndexTag); 9] = {
    use IndexTag as T;
    [
        ("%pretrans", T::RPMTAG_PRETRANS, T::RPMTAG_PRETRANSPROG),
        ("%pre", T::RPMTAG_PREIN, T::RPMTAG_PREINPROG),
        ("%post", T::RPMTAG_POSTIN, T::RPMTAG_POSTINPROG),
        ("%preun", T::RPMTAG_PREUN, T::RPMTAG_PREUNPROG),
        ("%postun", T::RPMTAG_POSTUN, T::RPMTAG_POSTUNPROG),
        ("%posttrans", T::RPMTAG_POSTTRANS, T::RPMTAG_POSTTRANSPROG),
        ("%preuntrans", T::RPMTAG_PREUNTRANS, T::RPMTAG_PREUNTRANSPROG),
        ("%postuntrans", T::RPMTAG_POSTUNTRANS, T::RPMTAG_POSTUNTRANSPROG),
        (
            "%verifyscript",
            T::RPMTAG_VERIFYSCRIPT,
            T::RPMTAG_VERIFYSCRIPTPROG,
        ),
    ]
};

/// What all scriptlets and triggers say, in one digest.
fn scripts_digest(header: &Header<IndexTag>) -> Option<Sha256> {
    use IndexTag as T;
    let triggers = [
        ("%trigger", T::RPMTAG_TRIGGERSCRIPTS, T::RPMTAG_TRIGGERSCRIPTPROG),
        (
            "%filetrigger",
            T::RPMTAG_FILETRIGGERSCRIPTS,
            T::RPMTAG_FILETRIGGERSCRIPTPROG,
        ),
        (
            "%transfiletrigger",
            T::RPMTAG_TRANSFILETRIGGERSCRIPTS,
            T::RPMTAG_TRANSFILETRIGGERSCRIPTPROG,
        ),
    ];
    let mut print = keel_artefact::Fingerprint::new("scripts/1");
    let mut is_there = false;
    for (name, body, program) in SCRIPTLETS.into_iter().chain(triggers) {
        for (what, tag) in [("body", body), ("program", program)] {
            // One or several: both are there, in the versions of rpm.
            let texts = match header.get_entry_data_as_string_array(tag) {
                Ok(texts) => texts.iter().map(ToString::to_string).collect(),
                Err(_) => match header.get_entry_data_as_string(tag) {
                    Ok(text) => vec![text.to_owned()],
                    Err(_) => Vec::new(),
                },
            };
            for text in texts {
                is_there = true;
                print.add("script", name).add(what, text);
            }
        }
    }
    is_there.then(|| print.finish())
}

/// The version of what counts as a scriptlet or trigger ([`PackageInfo::scripts`]). Raised when that changes: it is in keys of what is
/// remembered of packages.
pub const SCRIPTS: keel_artefact::format::Version = keel_artefact::format::Version(1);

/// The scriptlets and triggers that are there, by their names in a SPEC.
fn scripts(header: &Header<IndexTag>) -> Result<Vec<String>, Fault> {
    use IndexTag as T;
    // A scriptlet without a body (`%post -p /sbin/ldconfig`) has only an interpreter.
    let mut names: Vec<String> = (SCRIPTLETS.iter())
        .filter(|(_, body, program)| header.entry_is_present(*body) || header.entry_is_present(*program))
        .map(|(name, ..)| (*name).to_owned())
        .collect();
    // RPMSENSE_TRIGGERIN, UN, POSTUN, PREIN (rpmds.h).
    let kinds = [
        (1 << 16, "in"),
        (1 << 17, "un"),
        (1 << 18, "postun"),
        (1 << 25, "prein"),
    ];
    for (prefix, tag) in [
        ("%trigger", T::RPMTAG_TRIGGERFLAGS),
        ("%filetrigger", T::RPMTAG_FILETRIGGERFLAGS),
        ("%transfiletrigger", T::RPMTAG_TRANSFILETRIGGERFLAGS),
    ] {
        let flags = optional(header.get_entry_data_as_u32_array(tag))?.unwrap_or_default();
        for (bit, kind) in kinds {
            if flags.iter().any(|flags| flags & bit != 0) {
                names.push(format!("{prefix}{kind}"));
            }
        }
    }
    Ok(names)
}
