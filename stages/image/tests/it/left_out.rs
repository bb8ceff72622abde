//! Documentation and languages that an image does without, judged by rpm: the database agrees with the tree, and with what rpm itself would
//! have installed.

use std::{fs, path::Path};

use keel_config::{Image, image::Format};

use crate::fixture::{Packages, Place, digests, image, is_root, is_root_or_says, judge, tool};

/// Documentation, languages and licences; a header that is on many pages of the database.
fn packages() -> Packages {
    let mut packages = Packages::base();
    packages.add(
        "manual",
        "Requires: base",
        "mkdir -p usr/share/doc/manual/many usr/share/licenses/manual usr/share/locale/de usr/share/locale/de_AT usr/share/locale/fr usr/share/manual/only\n\
         echo text > usr/share/doc/manual/README; ln usr/share/doc/manual/README usr/share/manual/linked\n\
         ln -s README usr/share/doc/manual/NEWS; echo licence > usr/share/licenses/manual/COPYING\n\
         for i in $(seq 3000); do echo $i > usr/share/doc/manual/many/chapter-$i; done\n\
         for i in de de_AT fr; do echo $i > usr/share/locale/$i/manual.mo; done; echo x > usr/share/manual/only/page",
        "%doc /usr/share/doc/manual\n%license /usr/share/licenses/manual\n%dir /usr/share/manual\n/usr/share/manual/linked\n\
         %dir /usr/share/manual/only\n%doc /usr/share/manual/only/page\n%lang(de) /usr/share/locale/de/manual.mo\n\
         %lang(de_AT) /usr/share/locale/de_AT/manual.mo\n%lang(fr) /usr/share/locale/fr/manual.mo",
    );
    // A licence that is documentation, too.
    packages.add(
        "both",
        "Epoch: 2",
        "mkdir -p usr/share/both; echo licence > usr/share/both/COPYING; echo news > usr/share/both/NEWS",
        "%dir %doc /usr/share/both\n%license %doc /usr/share/both/COPYING\n%doc /usr/share/both/NEWS",
    );
    packages
}

fn definition(documentation: bool, languages: Option<&[&str]>) -> Image {
    let mut image = image("lean", &["tool", "manual", "both"], &[Format::Tar]);
    image.documentation = documentation;
    image.languages = languages.map(|all| all.iter().map(|&language| language.to_owned()).collect());
    image
}

/// What rpm says of the root in a folder, sorted.
fn rpm(root: &Path, action: &[&str]) -> Vec<String> {
    let mut argv = if is_root() { vec![] } else { vec!["unshare", "-r"] };
    let root = root.to_string_lossy();
    argv.extend([
        "rpm",
        "--root",
        &root,
        "--dbpath",
        "/usr/lib/sysimage/rpm",
        "--nosignature",
    ]);
    argv.extend(action);
    if action == ["-Va"] && !is_root() {
        argv.extend(["--nouser", "--nogroup", "--nocaps"]);
    }
    let output = tool("rpm", &argv);
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The image's tree in a new folder.
fn unpacked(place: &Place, image: &Image, packages: &Packages) -> tempfile::TempDir {
    let built = place.build(image, packages).unwrap();
    let root = tempfile::tempdir().unwrap();
    let (archive, folder) = (built.file(Format::Tar).unwrap(), root.path().to_string_lossy());
    let unpack = [
        "tar",
        "-xpf",
        &archive.to_string_lossy(),
        "-C",
        &folder,
        "--xattrs",
        "--xattrs-include=*",
    ];
    judge("tar", &unpack);
    root
}

const STATES: [&str; 3] = ["-qa", "--qf", "[%{=NAME} %{FILENAMES} %{FILESTATES:fstate}\\n]"];

#[test]
fn what_is_left_out_is_not_there_and_rpm_knows() {
    let (place, packages) = (Place::new(), packages());
    let root = unpacked(&place, &definition(false, Some(&["de"])), &packages);
    let at = |name: &str| root.path().join("usr/share").join(name);
    for gone in [
        "doc",
        "manual/only",
        "locale/fr/manual.mo",
        "locale/de_AT/manual.mo",
        "both/NEWS",
    ] {
        assert!(fs::symlink_metadata(at(gone)).is_err(), "{gone}");
    }
    assert_eq!(fs::read_to_string(at("manual/linked")).unwrap(), "text\n");
    assert_eq!(fs::read_to_string(at("locale/de/manual.mo")).unwrap(), "de\n");
    for licence in ["licenses/manual/COPYING", "both/COPYING"] {
        assert_eq!(fs::read_to_string(at(licence)).unwrap(), "licence\n");
    }

    let nothing = Vec::<String>::new();
    assert_eq!(rpm(root.path(), &["-Va"]), nothing);
    let all = rpm(root.path(), &STATES);
    let is_out = |line: &&String| line.ends_with(" not installed");
    // 3000 chapters in 2 folders, README and NEWS, `only` and its page, 2 languages; the NEWS of the other.
    assert_eq!(all.iter().filter(is_out).count(), 3000 + 2 + 2 + 2 + 2 + 1);
    for line in &all {
        let path = line.split(' ').nth(1).unwrap();
        let is_there = fs::symlink_metadata(root.path().join(&path[1..])).is_ok();
        assert_eq!(is_there, line.ends_with(" normal"), "{line}");
    }
    let docs = rpm(root.path(), &["-q", "--docfiles", "-s", "manual"]);
    assert!(
        docs.len() > 3000 && docs.iter().all(|line| line.starts_with("not installed")),
        "{docs:?}"
    );
    // The headers are still what their digests say.
    judge(
        "rpm",
        &[
            "rpm",
            "--root",
            &root.path().to_string_lossy(),
            "--dbpath",
            "/usr/lib/sysimage/rpm",
            "--verifydb",
        ],
    );
    // Whoever has the file all the same is told of nothing; whoever lacks one that should be there is.
    fs::remove_file(at("manual/linked")).unwrap();
    assert_eq!(
        rpm(root.path(), &["-Va"]),
        ["missing     /usr/share/manual/linked"]
    );
}

#[test]
fn rpm_would_have_installed_the_same() {
    if !is_root_or_says("rpm installs with the owners that packages have") {
        return;
    }
    let (place, mut packages) = (Place::new(), packages());
    // Here alone rpm differs: it takes licences away that are documentation, too.
    packages
        .all
        .retain(|package| package.info.nevra.name.as_str() != "both");
    for (documentation, languages) in [
        (false, None),
        (true, Some(&["de_AT"][..])),
        (false, Some(&["fr", "de"])),
    ] {
        let mut image = definition(documentation, languages);
        image.packages.retain(|name| name.as_str() != "both");
        let ours = unpacked(&place, &image, &packages);
        let theirs = tempfile::tempdir().unwrap();
        let langs = format!(
            "--define=_install_langs {}",
            languages.map_or("all".to_owned(), |all| all.join(":"))
        );
        let files: Vec<String> = (packages.all.iter())
            .map(|package| package.file.display().to_string())
            .collect();
        let mut install = vec!["-i", "--nodeps", "--noscripts", "--nocaps", langs.as_str()];
        if !documentation {
            install.push("--excludedocs");
        }
        install.extend(files.iter().map(String::as_str));
        let said = rpm(theirs.path(), &install);
        assert!(said.iter().all(|line| !line.starts_with("error: ")), "{said:?}");
        let (one, other) = (rpm(ours.path(), &STATES), rpm(theirs.path(), &STATES));
        assert!(one.iter().any(|line| line.ends_with(" not installed")));
        assert_eq!(one, other);
    }
}

#[test]
fn what_is_left_out_is_the_same_in_two_builds_and_part_of_the_image() {
    let packages = packages();
    let (one, other) = (Place::new(), Place::new());
    let without = definition(false, Some(&[]));
    let first = one.build(&without, &packages).unwrap();
    let second = other.build(&without, &packages).unwrap();
    assert_eq!(digests(&first.dir), digests(&second.dir));
    let with = one.build(&definition(true, None), &packages).unwrap();
    assert_ne!(first.tree, with.tree);
    let languages = one.build(&definition(true, Some(&[])), &packages).unwrap();
    assert_ne!(with.tree, languages.tree);
}
