//! `[os]` of a definition, the whole way.

use std::fs;

use keel_config::{
    Location,
    image::{
        Format, Layers,
        os::{Content, File, Owner, User},
    },
};

use crate::fixture::{Packages, Place, digests, image, judge};

const HASH: &str = "$5$1234567890$acHK/Mzdx5MlymPSt516oqDBBijw7A67GDgt6NfGL2.";

#[test]
fn what_a_definition_says_is_in_the_image_and_in_its_manifest() {
    let (place, packages) = (Place::new(), Packages::base());
    let source = place.dir.path().join("motd");
    fs::write(&source, "one\n").unwrap();
    let at = Location::line("box.image.toml", 3);
    let mut image = image("box", &["tool"], &[Format::Oci]);
    image.container.as_mut().unwrap().layers = Layers::One;
    image.os.users = vec![User {
        name: "alice".into(),
        uid: Some(1000),
        password: Some(HASH.into()),
        ssh_public_keys: vec!["ssh-ed25519 K".into()],
        primary_group: None,
        secondary_groups: vec!["tty".into()],
        home_directory: None,
        startup_command: Some("/usr/bin/tool".parse().unwrap()),
        defined_at: at.clone(),
    }];
    image.os.additional_files = vec![File {
        content: Content::Source(source.clone()),
        destination: "/etc/motd".parse().unwrap(),
        permissions: Some(0o640),
        owner: Owner {
            user: Some("alice".into()),
            group: Some("tty".into()),
        },
        defined_at: at,
    }];
    let built = place.build(&image, &packages).unwrap();
    let first = digests(&place.out());
    let named: Vec<&str> = built.changed["users"].iter().map(|path| path.as_str()).collect();
    assert_eq!(
        named,
        [
            "/etc",
            "/etc/group",
            "/etc/gshadow",
            "/etc/passwd",
            "/etc/shadow",
            "/home",
            "/home/alice",
            "/home/alice/.ssh",
            "/home/alice/.ssh/authorized_keys",
            "/usr/lib/sysusers.d/keel-image.conf"
        ]
    );
    assert_eq!(built.changed["files"].first().unwrap().as_str(), "/etc/motd");
    let manifest = fs::read_to_string(built.dir.join("manifest.json")).unwrap();
    assert!(
        manifest.contains("\"/home/alice/.ssh/authorized_keys\""),
        "{manifest}"
    );

    let layout = built.file(Format::Oci).unwrap();
    let listing = |layout: &std::path::Path| {
        let biggest = fs::read_dir(layout.join("blobs/sha256")).unwrap();
        let layer = biggest
            .map(|blob| blob.unwrap().path())
            .max_by_key(|path| fs::metadata(path).unwrap().len());
        let layer = layer.unwrap().to_string_lossy().into_owned();
        judge("tar", &["tar", "--numeric-owner", "-tvzf", &layer])
    };
    let names = listing(&layout);
    for expected in [
        "-rw-r----- 1000/5",
        "drwx------ 1000/1000",
        "-rw------- 1000/1000",
        "-r-------- 0/0",
    ] {
        assert!(names.contains(expected), "{expected} in {names}");
    }

    // The same again, from nothing; and the source's bytes are among what names an image.
    let again = Place::new();
    again.build(&image, &packages).unwrap();
    assert_eq!(first, digests(&again.out()));
    fs::write(&source, "two\n").unwrap();
    let other = place.build(&image, &packages).unwrap();
    assert_ne!(built.tree, other.tree);
}

#[test]
fn a_password_that_the_definition_does_not_give_stops_the_image() {
    let mut packages = Packages::base();
    packages.add(
        "door",
        "",
        &format!("mkdir -p etc; printf 'root:{HASH}:::::::\\ndaemon:!*:::::::\\n' > etc/shadow"),
        "/etc/shadow",
    );
    let place = Place::new();
    let image = image("box", &["tool", "door"], &[Format::Oci]);
    let told = place.build(&image, &packages).unwrap_err().to_string();
    assert!(
        told.contains("`root` has a password; an image gives only those of its definition"),
        "{told}"
    );
}
