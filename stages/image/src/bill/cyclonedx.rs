//! CycloneDX 1.6 as JSON (<https://cyclonedx.org/docs/1.6/json/>).

use std::collections::BTreeMap;

use keel_artefact::Sha256;
use serde_json::{Value, json};

use super::{Bill, Item, Licence, SourcePackage, TOOL, TOOL_VERSION, Told, text};
use crate::{manifest::File, origin::Source, write::gpt};

/// The document.
pub(crate) fn write(bill: &Bill<'_>) -> Vec<u8> {
    let image = format!("image:{}", bill.image);
    let refs = |places: &mut dyn Iterator<Item = &Item<'_>>| -> Vec<String> {
        places.map(|item| item.purl.clone()).collect()
    };
    let mut dependencies = vec![json!({ "ref": image, "dependsOn": refs(&mut bill.packages.iter()) })];
    for item in &bill.packages {
        let mut needs = item.needs.iter().map(|need| &bill.packages[*need]);
        dependencies.push(json!({ "ref": item.purl, "dependsOn": refs(&mut needs) }));
    }
    let kind = match bill.is_container {
        true => "container",
        false => "operating-system",
    };
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": bill.clock.rfc3339(),
            "tools": { "components": [{ "type": "application", "name": TOOL, "version": TOOL_VERSION }] },
            "supplier": { "name": bill.distro },
            "component": {
                "type": kind,
                "bom-ref": image,
                "name": bill.image,
                "version": bill.version,
                "components": bill.files.iter().map(output).collect::<Vec<_>>(),
                "properties": [
                    { "name": "keel:arch", "value": bill.arch.rpm() },
                    { "name": "keel:tree", "value": bill.tree },
                ],
            },
        },
        "components": bill.packages.iter().map(|item| package(bill, item)).collect::<Vec<_>>(),
        "dependencies": dependencies,
    });
    let uuid = gpt::uuid(&Sha256::of(&text(&document)), "cyclonedx");
    document["serialNumber"] = format!("urn:uuid:{uuid}").into();
    text(&document)
}

/// What a document says of packages and files. Whatever is not as [`write`] writes it is not seen.
pub(crate) fn read(document: &Value) -> Told {
    let all = |components: &Value, name: &dyn Fn(&Value) -> Option<String>| {
        let mut found = BTreeMap::new();
        for component in components.as_array().into_iter().flatten() {
            let digest = component["hashes"][0]["content"].as_str();
            if let (Some(name), Some(digest)) = (name(component), digest.and_then(|text| text.parse().ok())) {
                found.insert(name, digest);
            }
        }
        found
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let versioned = |package: &Value| {
        Some(format!(
            "{}-{}",
            text(&package["name"])?,
            text(&package["version"])?
        ))
    };
    let named = |file: &Value| text(&file["name"]);
    Told {
        packages: all(&document["components"], &versioned),
        files: all(&document["metadata"]["component"]["components"], &named),
    }
}

fn output(file: &File) -> Value {
    json!({
        "type": "file",
        "bom-ref": format!("file:{}", file.name),
        "name": file.name,
        "hashes": hashes(&file.sha256),
        "properties": [{ "name": "keel:format", "value": file.format }],
    })
}

fn package(bill: &Bill<'_>, item: &Item<'_>) -> Value {
    let (info, origin) = (&item.package.info, &item.package.origin);
    let mut properties = vec![
        json!({ "name": "keel:component", "value": origin.component }),
        json!({ "name": "keel:sha256-before-signing", "value": origin.sha256 }),
    ];
    if let Some(address) = &origin.repository {
        properties.push(json!({ "name": "keel:repository", "value": address }));
    }
    let mut value = json!({
        "type": "library",
        "bom-ref": item.purl,
        "name": info.nevra.name,
        "version": info.nevra.evr.to_string(),
        "description": info.summary,
        "hashes": hashes(&item.package.sha256),
        "purl": item.purl,
        "properties": properties,
    });
    match &item.licence {
        Licence::Expression { text, .. } => value["licenses"] = json!([{ "expression": text }]),
        Licence::Other(text) => value["licenses"] = json!([{ "license": { "name": text } }]),
        Licence::None => {}
    }
    if let Some(vendor) = &info.vendor {
        value["supplier"] = json!({ "name": vendor });
    }
    let is_address = |url: &&str| url.starts_with("https://") || url.starts_with("http://");
    if let Some(url) = info.url.as_deref().filter(is_address) {
        value["externalReferences"] = json!([{ "type": "website", "url": url }]);
    }
    if let Some(source) = item.source {
        value["pedigree"] = json!({ "ancestors": [ancestor(&bill.sources[source])] });
    }
    value
}

/// The source package: it has no reference of its own, for it is told with each package that was made from it.
fn ancestor(source: &SourcePackage<'_>) -> Value {
    let mut value = json!({
        "type": "library",
        "name": source.name,
        "version": source.evr,
        "purl": source.purl,
    });
    if !source.files().is_empty() {
        value["components"] = source.files().iter().map(source_file).collect();
    }
    value
}

fn source_file(file: &Source) -> Value {
    let mut value = json!({ "type": "file", "name": file.name, "hashes": hashes(&file.sha256) });
    if let Some(url) = &file.url {
        let hashes = hashes(&file.sha256);
        value["externalReferences"] =
            json!([{ "type": "source-distribution", "url": url, "hashes": hashes }]);
    }
    if let Some(purl) = &file.purl {
        value["purl"] = purl.as_str().into();
    }
    let mut properties = Vec::new();
    if file.in_tree {
        properties.push(json!({ "name": "keel:in-tree", "value": "true" }));
    }
    if let Some(changed) = &file.changed {
        properties.push(json!({ "name": "keel:sha256-after-overlays", "value": changed }));
    }
    if !properties.is_empty() {
        value["properties"] = properties.into();
    }
    value
}

fn hashes(digest: &Sha256) -> Value {
    json!([{ "alg": "SHA-256", "content": digest }])
}
