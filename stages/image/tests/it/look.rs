//! What `inspect` says of containers and archives, beside what skopeo and tar say.

use std::{fs, io::Write as _, path::Path};

use flate2::{Compression, write::GzEncoder};
use keel_artefact::{Interrupt, Sha256};
use keel_config::image::Format;
use keel_image::{
    describe::{Privileged, describe},
    files::Error,
    inspect::{Found, archive::Archive, container::Container, image as of_image, inspect},
};
use serde_json::{Value, json};

use crate::fixture::{Packages, Place, image, judge};

fn look(path: &Path) -> Result<Found, Error> {
    inspect(path, &std::env::temp_dir(), &Interrupt::default())
}

fn container(path: &Path) -> Container {
    match look(path).unwrap() {
        Found::Container(container) => container,
        other => panic!("{other:?}"),
    }
}

fn archive(path: &Path) -> Archive {
    match look(path).unwrap() {
        Found::Archive(archive) => archive,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_container_is_told_as_skopeo_tells_it() {
    let place = Place::new();
    let definition = image("box", &["tool"], &[Format::Oci, Format::OciArchive]);
    let built = place.build(&definition, &Packages::base()).unwrap();
    let (folder, file) = (
        built.file(Format::Oci).unwrap(),
        built.file(Format::OciArchive).unwrap(),
    );
    let reference = format!("oci:{}:0.1", folder.display());
    let parse = |text: String| serde_json::from_str::<Value>(&text).unwrap();
    let theirs = parse(judge("skopeo", &["skopeo", "inspect", &reference]));
    let config = parse(judge("skopeo", &["skopeo", "inspect", "--config", &reference]));
    let raw = parse(judge("skopeo", &["skopeo", "inspect", "--raw", &reference]));
    let (of_folder, of_file) = (container(&folder), container(&file));
    assert_eq!((of_folder.format, of_file.format), ("oci", "oci-archive"));
    let of_size = built.files.iter().find(|one| one.format == "oci").unwrap().size;
    assert_eq!(of_folder.size, of_size);
    assert_eq!(of_file.size, fs::metadata(&file).unwrap().len());
    for told in [&of_folder, &of_file] {
        assert!(told.indexes.is_empty());
        let [one] = told.images.as_slice() else {
            panic!("{told:?}")
        };
        assert_eq!(one.unread, Vec::<String>::new());
        assert_eq!(one.tag.as_deref(), Some("0.1"));
        assert_eq!(theirs["Digest"], format!("sha256:{}", one.digest));
        let platform = one.platform.as_ref().unwrap();
        assert_eq!(theirs["Architecture"], platform.architecture);
        assert_eq!(theirs["Os"], platform.os);
        let run = one.config.as_ref().unwrap();
        assert_eq!(theirs["Created"], *run.created.as_ref().unwrap());
        let ours = json!({
            "User": run.user, "Env": run.env, "Entrypoint": run.entrypoint, "Cmd": run.cmd,
            "WorkingDir": run.workdir, "Labels": run.labels,
        });
        for (key, value) in config["config"].as_object().unwrap() {
            assert_eq!(ours[key], *value, "{key}");
        }
        let layers = raw["layers"].as_array().unwrap();
        assert_eq!(layers.len(), one.layers.len());
        let mut sum = 0;
        for (layer, theirs) in one.layers.iter().zip(layers) {
            assert_eq!(theirs["digest"], format!("sha256:{}", layer.digest));
            assert_eq!(theirs["size"], layer.size);
            assert_eq!(theirs["mediaType"], layer.media_type);
            let blob = folder.join(format!("blobs/sha256/{}", layer.digest));
            let length = format!("gzip -dc '{}' | wc -c", blob.display());
            let length: u64 = judge("gzip", &["sh", "-c", &length]).trim().parse().unwrap();
            assert_eq!(layer.unpacked, Some(length));
            sum += length;
        }
        assert_eq!(one.unpacked, Some(sum));
        let title = one.layers.last().unwrap().title.as_deref();
        assert_eq!(
            title,
            config["history"].as_array().unwrap().last().unwrap()["comment"].as_str()
        );
    }
}

#[test]
fn archives_are_told_by_what_is_in_them() {
    let place = Place::new();
    let formats = [Format::Tar, Format::Cpio, Format::Wsl, Format::Raw];
    let definition = image("box", &["tool", "kernel", "boot"], &formats);
    let built = place.build(&definition, &Packages::bootable()).unwrap();
    let path = |format| built.file(format).unwrap();
    let tar = archive(&path(Format::Tar));
    assert_eq!((tar.format, tar.compression), ("tar", None));
    assert_eq!(tar.system.as_deref(), Some("Test 1"));
    let listing = judge("tar", &["tar", "-tvf", &path(Format::Tar).to_string_lossy()]);
    let count = |kinds: &str| {
        listing
            .lines()
            .filter(|line| line.starts_with(|c| kinds.contains(c)))
            .count()
    };
    // The root itself is a folder, whether it is listed or not.
    let root = usize::from(!listing.lines().any(|line| line.ends_with(" ./")));
    assert_eq!(tar.names.folders, count("d") + root, "{listing}");
    assert_eq!(tar.names.files, count("-h"), "{listing}");
    assert_eq!(tar.names.links, count("l"), "{listing}");
    let nevras: Vec<String> = built.packages.iter().map(|one| one.nevra.to_string()).collect();
    assert_eq!(tar.packages.as_ref(), Some(&nevras));
    let cpio = archive(&path(Format::Cpio));
    assert_eq!(cpio.format, "cpio");
    assert!(cpio.compression.is_some());
    let wsl = archive(&path(Format::Wsl));
    assert_eq!((wsl.format, wsl.compression), ("wsl", Some("gzip")));
    assert_eq!(cpio.content, tar.content);
    // What a page says of it.
    let page = describe(&definition, &built, place.dir.path(), &Interrupt::default()).unwrap();
    assert_eq!(page.installed, tar.content);
    let tool = Privileged {
        path: "/usr/bin/tool".to_owned(),
        what: vec!["cap_net_raw".to_owned()],
    };
    assert_eq!(page.privileged, [tool]);
    let rpm = page
        .packages
        .iter()
        .find(|package| package.nevra.starts_with("kernel-"))
        .unwrap();
    assert!(
        rpm.size.is_some_and(|size| size > 3_000_000 && size < 3_100_000),
        "{rpm:?}"
    );
    assert_eq!(page.cmdline, built.boot.as_ref().map(|boot| boot.cmdline.clone()));
    assert!(page.tests.is_empty() && page.listening.is_none() && page.logins.is_empty());
    // And all of the image at once.
    let whole = of_image(&built, place.dir.path(), &Interrupt::default()).unwrap();
    assert_eq!(whole.packages, nevras);
    assert_eq!(whole.files.len(), built.files.len());
    for file in &whole.files {
        let kind = match (&file.found, file.format.as_str()) {
            (Some(Found::Archive(archive)), _) => archive.format,
            (Some(Found::Disk(disk)), _) => disk.format.as_str(),
            // A RAM disk is an archive of its own making.
            (Some(Found::Container(_)), _) => panic!("{file:?}"),
            (None, format) => format,
        };
        assert_eq!(kind, file.format);
    }
    let mut odd = built;
    odd.files[0].name = "../box/box.tar".into();
    let error = of_image(&odd, place.dir.path(), &Interrupt::default()).unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{error}");
}

/// A layout in a folder, put together by hand.
struct Made(tempfile::TempDir);

impl Made {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("blobs/sha256")).unwrap();
        fs::write(dir.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Self(dir)
    }

    fn put(&self, kind: &str, bytes: &[u8]) -> Value {
        let digest = Sha256::of(bytes);
        fs::write(self.blob(&digest.to_hex()), bytes).unwrap();
        let media = format!("application/vnd.oci.image.{kind}");
        json!({"mediaType": media, "digest": format!("sha256:{digest}"), "size": bytes.len()})
    }

    fn json(&self, kind: &str, value: &Value) -> Value {
        self.put(kind, value.to_string().as_bytes())
    }

    fn blob(&self, digest: &str) -> std::path::PathBuf {
        self.0.path().join("blobs/sha256").join(digest)
    }

    fn index(&self, manifests: Value) {
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        fs::write(self.0.path().join("index.json"), index.to_string()).unwrap();
    }

    /// An image of one layer with these bytes, compressed.
    fn image(&self, bytes: &[u8], config: &Value) -> (Value, Value) {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(bytes).unwrap();
        let layer = self.put("layer.v1.tar+gzip", &packed.finish().unwrap());
        let config = self.json("config.v1+json", config);
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
        (self.json("manifest.v1+json", &manifest), layer)
    }
}

fn hex(descriptor: &Value) -> &str {
    &descriptor["digest"].as_str().unwrap()["sha256:".len()..]
}

#[test]
fn what_a_layout_lacks_or_has_wrong_is_told() {
    let made = Made::new();
    let config = |bytes: &[u8]| {
        json!({
            "architecture": "arm64", "os": "linux", "config": {
                "Cmd": null, "Entrypoint": ["/app"], "Labels": null, "User": "",
                "ExposedPorts": {"443/tcp": {}, "80/tcp": {}}, "Volumes": {"/data": {}}, "StopSignal": "SIGINT",
            },
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", Sha256::of(bytes))]},
            "history": [{"created_by": "COPY . /", "comment": "buildkit.dockerfile.v0"}, {"created_by": "CMD", "empty_layer": true}],
        })
    };
    let (good, layer) = made.image(&[7; 5000], &config(&[7; 5000]));
    let (other, _) = made.image(&[8; 100], &config(&[9; 100]));
    let mut away = good.clone();
    away["digest"] = json!(format!("sha256:{}", Sha256::of(b"away")));
    away["platform"] = json!({"os": "linux", "architecture": "s390x"});
    let unknown = made.put("something+json", b"{}");
    let inner =
        json!({"schemaVersion": 2, "manifests": [good, other, away, unknown], "annotations": {"of": "all"}});
    let mut index = made.json("index.v1+json", &inner);
    index["annotations"] = json!({"org.opencontainers.image.ref.name": "7"});
    made.index(json!([index]));
    let told = container(made.0.path());
    assert_eq!(told.indexes[0].annotations["of"], "all");
    assert_eq!(told.indexes[0].tag.as_deref(), Some("7"));
    assert_eq!(told.indexes[0].platforms[2], "linux/s390x");
    let unread: Vec<usize> = told.images.iter().map(|image| image.unread.len()).collect();
    assert_eq!(unread, [0, 1, 1, 1], "{told:#?}");
    let one = &told.images[0];
    assert_eq!(one.platform.as_ref().unwrap().to_string(), "linux/arm64");
    let run = one.config.as_ref().unwrap();
    assert_eq!(run.ports, ["443/tcp", "80/tcp"]);
    assert_eq!(
        (run.volumes.as_slice(), run.stop_signal.as_deref()),
        (&["/data".to_owned()][..], Some("SIGINT"))
    );
    assert_eq!((run.user.as_deref(), run.cmd.len()), (None, 0));
    assert_eq!(one.layers[0].title.as_deref(), Some("COPY . /"));
    assert_eq!(one.layers[0].unpacked, Some(5000));
    assert!(told.images[1].unread[0].ends_with("is not the one that its configuration names"));
    assert_eq!(told.images[2].unread, ["its manifest is not there"]);

    // A layer that is damaged, and one that is gone; what is known of it is told all the same.
    let blob = made.blob(hex(&layer));
    let mut bytes = fs::read(&blob).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&blob, bytes).unwrap();
    let one = &container(made.0.path()).images[0];
    assert!(one.unread[0].ends_with(": it is damaged"), "{:?}", one.unread);
    fs::remove_file(&blob).unwrap();
    let one = &container(made.0.path()).images[0];
    assert!(one.unread[0].ends_with(": it is not there"), "{:?}", one.unread);
    assert_eq!(
        (one.layers[0].size, one.layers[0].unpacked, one.unpacked),
        (layer["size"].as_u64().unwrap(), None, None)
    );
    // Nobody waits for what a pipe may give.
    judge("coreutils", &["mkfifo", &blob.to_string_lossy()]);
    assert!(container(made.0.path()).images[0].unread[0].ends_with(": it is not there"));
    fs::remove_file(made.0.path().join("index.json")).unwrap();
    judge(
        "coreutils",
        &["mkfifo", &made.0.path().join("index.json").to_string_lossy()],
    );
    assert!(
        look(made.0.path())
            .unwrap_err()
            .to_string()
            .contains("`index.json` is no file")
    );
}

#[test]
fn layouts_without_an_end_are_refused() {
    let made = Made::new();
    let (image, _) = made.image(b"x", &json!({}));
    let many: Vec<&Value> = std::iter::repeat_n(&image, 300).collect();
    made.index(json!(many));
    let error = look(made.0.path()).unwrap_err().to_string();
    assert!(error.contains("it has more than 256 images"), "{error}");
    let mut inner = image;
    for _ in 0..5 {
        inner = made.json(
            "index.v1+json",
            &json!({"schemaVersion": 2, "manifests": [inner]}),
        );
    }
    made.index(json!([inner]));
    let error = look(made.0.path()).unwrap_err().to_string();
    assert!(error.contains("too deep in each other"), "{error}");
    // A name in an archive that claims to be as long as the disk is large: nothing of it is read.
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_path("././@LongLink").unwrap();
    header.set_size(1 << 40);
    header.set_cksum();
    let path = made.0.path().join("long.tar");
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len((1 << 40) + 1024).unwrap();
    let error = look(&path).unwrap_err();
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.contains("a header of tar has 1099511627776 bytes"), "{why}");
}
