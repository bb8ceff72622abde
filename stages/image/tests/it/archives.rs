//! Root file systems in one file, judged by tar, cpio, libarchive, gzip and zstd.

use std::{fs, path::Path};

use keel_config::image::{Compression, Format};

use crate::fixture::{Packages, Place, digests, image, is_root_or_says, judge};

const FORMATS: [Format; 3] = [Format::Tar, Format::Cpio, Format::Wsl];

/// The names in an archive, as `bsdtar` and another reader have them: sorted, without `./` and `/` at their ends.
fn names(text: &str) -> Vec<String> {
    let name = |line: &str| line.trim_start_matches("./").trim_end_matches('/').to_owned();
    let mut names: Vec<String> = text
        .lines()
        .map(name)
        .filter(|name| !name.is_empty() && name != ".")
        .collect();
    names.sort();
    names
}

fn shell(script: &str) -> String {
    judge("bash", &["sh", "-c", script])
}

#[test]
fn readers_of_archives_agree() {
    let place = Place::new();
    let mut packages = Packages::base();
    packages.add(
        "unit",
        "",
        "mkdir -p usr/lib/systemd/system; ln -s x usr/lib/systemd/systemd-x; echo > usr/lib/systemd/systemd\n\
         echo > usr/lib/systemd/system/tmp.mount",
        "/usr/lib/systemd",
    );
    let mut image = image("box", &["tool", "unit"], &FORMATS);
    image.capabilities.systemd = true;
    let built = place.build(&image, &packages).unwrap();
    let file = |format| built.file(format).unwrap().display().to_string();
    let (tar, cpio, wsl) = (file(Format::Tar), file(Format::Cpio), file(Format::Wsl));
    assert!(tar.ends_with("box.tar") && cpio.ends_with("box.cpio.zst") && wsl.ends_with("box.wsl"));

    let of_tar = names(&shell(&format!(
        "LC_ALL=C.UTF-8 tar -tf {tar} --quoting-style=literal"
    )));
    assert_eq!(of_tar, names(&shell(&format!("LC_ALL=C.UTF-8 bsdtar -tf {tar}"))));
    assert!(
        of_tar.iter().any(|name| name == "usr/share/tool/ünï"),
        "{of_tar:?}"
    );
    let long = "a".repeat(120);
    assert!(of_tar.contains(&format!("usr/share/tool/{long}/{long}")));

    // The RAM disk has one name more: what the kernel starts.
    let mut with_init = of_tar.clone();
    with_init.push("init".to_owned());
    with_init.sort();
    let of_cpio = names(&shell(&format!(
        "zstd -dc {cpio} | LC_ALL=C.UTF-8 cpio -it --quiet"
    )));
    assert_eq!(of_cpio, with_init);
    assert_eq!(
        of_cpio,
        names(&shell(&format!("zstd -dc {cpio} | LC_ALL=C.UTF-8 bsdtar -tf -")))
    );
    let modes = |list: &str| -> Vec<String> {
        let mut lines: Vec<String> = (list.lines())
            .filter(|line| {
                line.ends_with("/secret")
                    || line.ends_with("bin/tool")
                    || line.ends_with(" tmp")
                    || line.contains(" init ")
            })
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        lines.sort();
        lines
    };
    let listed = modes(&shell(&format!("zstd -dc {cpio} | TZ=UTC cpio -itvn --quiet")));
    assert_eq!(listed.len(), 4, "{listed:?}");
    for part in [
        "-rw-r----- 1 2 5 7 ",
        "drwxrwxrwt 2 0 0 0 ",
        "-rwxr-xr-x 1 0 0 10 ",
    ] {
        assert!(
            listed.iter().any(|line| line.starts_with(part)),
            "{part}: {listed:?}"
        );
    }
    assert!(
        listed
            .iter()
            .any(|line| line.ends_with("init -> usr/lib/systemd/systemd")),
        "{listed:?}"
    );

    // WSL's two files, and the unit that it must not start.
    let mut with_wsl = of_tar.clone();
    with_wsl.extend(
        [
            "etc/systemd",
            "etc/systemd/system",
            "etc/systemd/system/tmp.mount",
            "etc/wsl-distribution.conf",
            "etc/wsl.conf",
        ]
        .map(str::to_owned),
    );
    with_wsl.sort();
    with_wsl.dedup();
    assert_eq!(
        names(&shell(&format!("gzip -dc {wsl} | LC_ALL=C.UTF-8 bsdtar -tf -"))),
        with_wsl
    );
    let text = |name: &str| shell(&format!("gzip -dc {wsl} | tar -xO {name}"));
    assert_eq!(
        text("etc/wsl-distribution.conf"),
        "[oobe]\ndefaultName = keel\n\n[shortcut]\nenabled = true\n\n[windowsterminal]\nenabled = true\n"
    );
    assert_eq!(text("etc/wsl.conf"), "[boot]\nsystemd = true\n");

    let root = place.dir.path().join("root");
    fs::create_dir(&root).unwrap();
    let unpacked = root.display();
    if is_root_or_says("tar and bsdtar unpack owners and capabilities as they should be") {
        for unpack in [
            format!("tar -C {unpacked} --xattrs --xattrs-include='*' -xpf {tar}"),
            format!("bsdtar -C {unpacked} -xpf {tar}"),
        ] {
            shell(&unpack);
            let caps = judge("libcap2-bin", &["getcap", &format!("{unpacked}/usr/bin/tool")]);
            assert!(caps.contains("cap_net_raw=ep"), "{unpack}: {caps}");
            shell(&format!("rm -r {unpacked}/*"));
        }
    }
}

#[test]
fn archives_are_the_same_twice_and_gzip_is_gzip() {
    let packages = Packages::base();
    let built = |compression| {
        let place = Place::new();
        let mut image = image("box", &["tool"], &FORMATS);
        image.cpio = compression;
        let built = place.build(&image, &packages).unwrap();
        (digests(&built.dir), built, place)
    };
    let (one, _, _place) = built(Compression::Zstd);
    let (other, _, _place) = built(Compression::Zstd);
    assert_eq!(one, other);
    let (_, gzip, _place) = built(Compression::Gzip);
    let path = gzip.file(Format::Cpio).unwrap();
    assert_eq!(path.file_name(), Path::new("box.cpio.gz").file_name());
    let list = shell(&format!("gzip -dc {} | cpio -it --quiet", path.display()));
    assert!(names(&list).contains(&"usr/bin/tool".to_owned()));
}

#[test]
fn what_wsl_is_told_must_be_there() {
    let place = Place::new();
    let mut image = image("box", &["tool"], &[Format::Wsl]);
    image.wsl.icon = Some("/usr/share/icon.ico".parse().unwrap());
    let error = place.build(&image, &Packages::base()).unwrap_err().to_string();
    let wanted = "image `box` has no file `/usr/share/icon.ico`: `icon` of `[wsl]` names it";
    assert_eq!(error, wanted);
    image.wsl.icon = Some("/usr/lib64/data".parse().unwrap());
    image.wsl.default_uid = Some(1000);
    let built = place.build(&image, &Packages::base()).unwrap();
    let file = built.file(Format::Wsl).unwrap();
    let text = shell(&format!(
        "gzip -dc {} | tar -xO etc/wsl-distribution.conf",
        file.display()
    ));
    assert!(
        text.contains("defaultUid = 1000\n") && text.contains("icon = /usr/lib64/data\n"),
        "{text}"
    );
}
