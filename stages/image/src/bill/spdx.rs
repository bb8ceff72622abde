//! SPDX 2.3 as JSON (<https://spdx.github.io/spdx-spec/v2.3/>; fields in `schemas/spdx-schema.json` of its repository).

use std::collections::BTreeMap;

use keel_artefact::Sha256;
use serde_json::{Value, json};

use super::{Bill, Item, Licence, SourcePackage, TOOL, TOOL_VERSION, Told, text};
use crate::{manifest::File, origin::Source, write::gpt};

const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const IMAGE: &str = "SPDXRef-Image";
const PACKAGE: &str = "SPDXRef-Package-";
const OUTPUT: &str = "SPDXRef-Output-";
const UNKNOWN: &str = "NOASSERTION";

/// The document.
pub(crate) fn write(bill: &Bill<'_>) -> Vec<u8> {
    let mut relations = vec![relation(DOCUMENT, "DESCRIBES", IMAGE)];
    let mut packages = vec![image(bill)];
    for file in bill.files {
        packages.push(output(file));
        relations.push(relation(&output_id(file), "GENERATED_FROM", IMAGE));
    }
    for item in &bill.packages {
        packages.push(package(item));
        relations.push(relation(IMAGE, "CONTAINS", &id(item)));
        let needs = item.needs.iter().map(|need| &bill.packages[*need]);
        relations.extend(needs.map(|need| relation(&id(item), "DEPENDS_ON", &id(need))));
        if let Some(source) = item.source {
            let source = source_id(&bill.sources[source]);
            relations.push(relation(&id(item), "GENERATED_FROM", &source));
        }
    }
    for source in &bill.sources {
        packages.push(source_package(source));
        for file in source.files() {
            packages.push(source_file(source, file));
            relations.push(relation(&source_id(source), "CONTAINS", &file_id(source, file)));
        }
    }
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": format!("{}-{}.{}", bill.image, bill.version, bill.arch),
        "creationInfo": {
            "created": bill.clock.rfc3339(),
            "creators": [format!("Tool: {TOOL}-{TOOL_VERSION}"), organization(bill.distro)],
        },
        "packages": packages,
        "relationships": relations,
    });
    let others = others(bill);
    if !others.is_empty() {
        document["hasExtractedLicensingInfos"] = others.into();
    }
    let uuid = gpt::uuid(&Sha256::of(&text(&document)), "spdx");
    document["documentNamespace"] = format!("https://spdx.org/spdxdocs/{}-{uuid}", safe(bill.image)).into();
    text(&document)
}

/// What a document says of packages and files. Whatever is not as [`write`] writes it is not seen.
pub(crate) fn read(document: &Value) -> Told {
    let mut told = Told::default();
    for package in document["packages"].as_array().into_iter().flatten() {
        let text = |key: &str| package[key].as_str().unwrap_or_default();
        let digest = package["checksums"][0]["checksumValue"].as_str();
        let Some(digest) = digest.and_then(|digest| digest.parse().ok()) else {
            continue;
        };
        if text("SPDXID").starts_with(PACKAGE) {
            let name = format!("{}-{}", text("name"), text("versionInfo"));
            told.packages.insert(name, digest);
        } else if text("SPDXID").starts_with(OUTPUT) {
            told.files.insert(text("name").to_owned(), digest);
        }
    }
    told
}

fn image(bill: &Bill<'_>) -> Value {
    let purpose = match bill.is_container {
        true => "CONTAINER",
        false => "OPERATING_SYSTEM",
    };
    json!({
        "SPDXID": IMAGE,
        "name": bill.image,
        "versionInfo": bill.version,
        "supplier": organization(bill.distro),
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": false,
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": UNKNOWN,
        "copyrightText": UNKNOWN,
        "primaryPackagePurpose": purpose,
        "comment": format!("for {}; digest of its files {}", bill.arch, bill.tree),
    })
}

fn output(file: &File) -> Value {
    json!({
        "SPDXID": output_id(file),
        "name": file.name,
        "packageFileName": file.name,
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": false,
        "checksums": checksums(&file.sha256),
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": UNKNOWN,
        "copyrightText": UNKNOWN,
        "primaryPackagePurpose": "FILE",
        "comment": format!("the image as {}", file.format),
    })
}

fn package(item: &Item<'_>) -> Value {
    let (info, origin) = (&item.package.info, &item.package.origin);
    let from = match &origin.repository {
        Some(address) => format!("fetched from {address}; digest there {}", origin.sha256),
        None => format!(
            "built from component `{}`; digest before it was signed {}",
            origin.component, origin.sha256
        ),
    };
    let mut value = json!({
        "SPDXID": id(item),
        "name": info.nevra.name,
        "versionInfo": info.nevra.evr.to_string(),
        "packageFileName": info.nevra.file_name(),
        "supplier": supplier(info.vendor.as_deref()),
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": false,
        "checksums": checksums(&item.package.sha256),
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": declared(&item.licence),
        "copyrightText": UNKNOWN,
        "summary": info.summary,
        "sourceInfo": from,
        "builtDate": info.build_time.rfc3339(),
        "externalRefs": [purl(&item.purl)],
    });
    let is_address = |url: &&str| url.starts_with("https://") || url.starts_with("http://");
    if let Some(url) = info.url.as_deref().filter(is_address) {
        value["homepage"] = url.into();
    }
    value
}

fn source_package(source: &SourcePackage<'_>) -> Value {
    json!({
        "SPDXID": source_id(source),
        "name": source.name,
        "versionInfo": source.evr,
        "packageFileName": source.file,
        "supplier": supplier(source.vendor),
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": false,
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": UNKNOWN,
        "copyrightText": UNKNOWN,
        "primaryPackagePurpose": "SOURCE",
        "externalRefs": [purl(&source.purl)],
    })
}

fn source_file(of: &SourcePackage<'_>, file: &Source) -> Value {
    let mut value = json!({
        "SPDXID": file_id(of, file),
        "name": file.name,
        "packageFileName": file.name,
        "downloadLocation": file.url.as_deref().unwrap_or(UNKNOWN),
        "filesAnalyzed": false,
        "checksums": checksums(&file.sha256),
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": UNKNOWN,
        "copyrightText": UNKNOWN,
        "primaryPackagePurpose": "SOURCE",
    });
    if let Some(changed) = &file.changed {
        value["comment"] = format!("overlays changed it; what was built has the digest {changed}").into();
    } else if file.in_tree {
        value["comment"] = "lies in the tree, beside the SPEC".into();
    }
    if let Some(name) = &file.purl {
        value["externalRefs"] = json!([purl(name)]);
    }
    value
}

/// Texts of licences that are no identifiers of SPDX, by name.
fn others(bill: &Bill<'_>) -> Vec<Value> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for item in &bill.packages {
        match &item.licence {
            Licence::Expression { others, .. } => {
                for name in others {
                    let text = format!("The packages name this licence `{name}`, and have its text.");
                    all.insert(name.clone(), text);
                }
            }
            Licence::Other(text) => _ = all.insert(Licence::reference(text), text.clone()),
            Licence::None => {}
        }
    }
    let info = |(id, text): (String, String)| json!({ "licenseId": id, "extractedText": text });
    all.into_iter().map(info).collect()
}

fn declared(licence: &Licence) -> String {
    match licence {
        Licence::Expression { text, .. } => text.clone(),
        Licence::Other(text) => Licence::reference(text),
        Licence::None => UNKNOWN.to_owned(),
    }
}

fn relation(from: &str, kind: &str, to: &str) -> Value {
    json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to })
}

fn checksums(digest: &Sha256) -> Value {
    json!([{ "algorithm": "SHA256", "checksumValue": digest }])
}

fn purl(name: &str) -> Value {
    json!({ "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": name })
}

fn supplier(vendor: Option<&str>) -> String {
    vendor.map_or_else(|| UNKNOWN.to_owned(), organization)
}

/// What is in brackets would be an address.
fn organization(name: &str) -> String {
    format!("Organization: {}", name.replace(['(', ')'], ""))
}

fn id(item: &Item<'_>) -> String {
    let (name, digest) = (&item.package.info.nevra.name, &item.package.sha256);
    format!("{PACKAGE}{}-{}", safe(name.as_str()), digest.short())
}

fn output_id(file: &File) -> String {
    format!("{OUTPUT}{}-{}", safe(&file.name), file.sha256.short())
}

fn source_id(source: &SourcePackage<'_>) -> String {
    let (component, file) = (source.component, source.file);
    let name = Sha256::of(format!("{component}/{file}").as_bytes());
    format!("SPDXRef-SourcePackage-{}-{}", safe(&source.name), name.short())
}

fn file_id(of: &SourcePackage<'_>, file: &Source) -> String {
    let name = Sha256::of(format!("{}/{}/{}", of.component, of.file, file.name).as_bytes());
    format!("SPDXRef-Source-{}-{}", safe(&file.name), name.short())
}

/// Letters, digits, `.` and `-`, which identifiers may have.
fn safe(text: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    text.chars().map(|c| if is_safe(c) { c } else { '-' }).collect()
}
