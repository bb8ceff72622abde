//! Metadata against createrepo_c, element by element.

use std::{collections::BTreeMap, path::Path, process::Command};

use quick_xml::{Reader, XmlVersion, events::Event};

use crate::fixture::{World, ending, run, tool};

/// The elements of each package: name, attributes in order of name, text.
type Elements = BTreeMap<String, Vec<String>>;

fn elements(xml: &str) -> Elements {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().expand_empty_elements = true;
    let (mut all, mut current, mut name) = (Elements::new(), Vec::new(), String::new());
    let mut text = String::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) => {
                text.clear();
                let mut attributes: Vec<String> = tag
                    .attributes()
                    .map(|attribute| {
                        let attribute = attribute.unwrap();
                        let value = attribute.normalized_value(XmlVersion::Explicit1_0).unwrap();
                        format!("{}={value}", attribute.key.as_ref())
                    })
                    .collect();
                attributes.sort();
                let element = tag.name().as_ref().to_owned();
                if element == "package" {
                    current = Vec::new();
                    name = attributes
                        .iter()
                        .find(|text| text.starts_with("pkgid="))
                        .cloned()
                        .unwrap_or_default();
                }
                current.push(format!("<{element} {}>", attributes.join(" ")));
            }
            Event::Text(part) => text.push_str(&part),
            Event::GeneralRef(part) => {
                text.push_str(&quick_xml::escape::unescape(&format!("&{};", &*part)).unwrap());
            }
            Event::End(tag) => {
                let element = tag.name().as_ref().to_owned();
                if element == "checksum" {
                    name = format!("pkgid={}", text.trim());
                }
                current.push(format!("{}</{element}>", text.trim()));
                text.clear();
                if element == "package" {
                    all.insert(std::mem::take(&mut name), std::mem::take(&mut current));
                }
            }
            Event::Eof => return all,
            _ => {}
        }
    }
}

fn decompressed(repodata: &Path, kind: &str) -> String {
    let path = ending(repodata, &format!("{kind}.xml.zst"));
    String::from_utf8(zstd::stream::decode_all(std::fs::File::open(path).unwrap()).unwrap()).unwrap()
}

#[test]
fn metadata_is_what_createrepo_c_makes() {
    let world = World::new();
    world.create();
    for section in ["os", "debug", "source"] {
        let (ours, theirs) = (
            world.out().join(section),
            world.dir.path().join("theirs").join(section),
        );
        run(Command::new("mkdir").arg("-p").arg(&theirs));
        run(Command::new("cp")
            .arg("-a")
            .arg(ours.join("Packages"))
            .arg(&theirs));
        let createrepo = tool("createrepo_c", "createrepo-c");
        run(Command::new(createrepo)
            .args(["--no-database", "--quiet"])
            .arg(&theirs));
        for kind in ["primary", "filelists", "other"] {
            let gz = ending(&theirs.join("repodata"), &format!("{kind}.xml.gz"));
            let reference = elements(&run(Command::new("zcat").arg(gz)));
            let found = elements(&decompressed(&ours.join("repodata"), kind));
            assert!(!reference.is_empty());
            assert_eq!(
                found.keys().collect::<Vec<_>>(),
                reference.keys().collect::<Vec<_>>(),
                "{section} {kind}"
            );
            for (package, elements) in &reference {
                assert_eq!(&found[package], elements, "{section} {kind}");
            }
        }
    }
}
