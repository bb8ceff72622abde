//! Whole projects: what a good one becomes, and what people are told about a bad one.

use keel_artefact::Sha256;
use keel_config::{
    Origin, Spec,
    image::{Compression, Format, Layers},
    load,
};

use crate::cases::{BASE, hold, project, write};

/// `errors.txt` holds a case for every mistake that can be made, with the exact text. After a change of wording:
/// `KEEL_BLESS=1 cargo test -p keel-config`, then read the difference.
#[test]
fn every_mistake_is_told_at_its_place() {
    hold("errors.txt");
}

#[test]
fn a_whole_project() {
    let digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let component = format!(
        "[components.zlib]\nspec = {{ type = \"local\", path = \"../a.spec\" }}\n\
         [components.zlib.build]\nwith = [\"x\"]\ndefines = {{ abc = \"1\" }}\nbootstrap-libc = true\n\
         check = {{ skip = true, skip_reason = \"slow\" }}\nhints = {{ expensive = true, cpu-seconds = 2.5, memory = \"3G\" }}\n\
         [[components.zlib.source-files]]\nfilename = \"z.tar.xz\"\nhash = \"{digest}\"\nhash-type = \"SHA256\"\n\
         size = 12\norigin = {{ type = \"debian\", source = \"zlib\", suite = \"trixie\", path = \"pool/z/z.tar.xz\" }}\n\
         [[components.zlib.source-files]]\nfilename = \"p.patch\"\n\
         origins = [{{ type = \"file\", path = \"p\" }}, {{ type = \"download\", uri = \"https://x.org/p\" }},\n\
         {{ type = \"crates\", name = \"c\", version = \"1\" }}]\n"
    );
    let images = "[images.vm]\ndescription = \"d\"\ndefinition = { type = \"keel\", path = \"vm.image.toml\" }\n\
                  capabilities = { machine-bootable = true, systemd = true }\n\
                  [package-groups.base]\npackages = [\"bash\", \"grep\"]\n";
    let definition = "packages = [\"grep\"]\npackage-groups = [\"base\"]\nformats = [\"oci-archive\", \"qcow2\", \"raw\"]\nmemory = \"1G\"\n\
                      [os]\nhostname = \"keel\"\nkernel-command-line = [\"quiet\"]\n[container]\ncmd = [\"/usr/bin/bash\"]\nworkdir = \"/root\"\n\
                      [disk]\nsize = \"512M\"\nkernel = \"kernel-micro\"\n\
                      boot = \"uki\"\n[[tests]]\nname = \"t\"\nrun = \"true\"\n";
    let keel = "[keel]\nstage0.lends.tar = [\"tar\"]\nmacros = [\"../a.spec\"]\nbase-requires = [\"m\"]\nstage0.lends.\"/usr/bin/sh\" = \"bash\"\n";
    let (dir, loaded) = project(&[
        ("more/zlib.toml", &component),
        ("more/images.toml", images),
        ("more/keel.toml", keel),
        ("more/vm.image.toml", definition),
        ("more/.#zlib.toml", "not TOML"),
    ]);
    let project = loaded.unwrap();

    let root = fs_err::canonicalize(dir.path()).unwrap();
    assert_eq!(
        (project.name.as_str(), project.distro.version.as_str()),
        ("demo", "1.0")
    );
    assert_eq!(project.lock_file, root.join("keel.lock"));
    assert_eq!(project.output_dir, root.join("out"));
    assert_eq!(project.macros, [root.join("a.spec")]);
    assert_eq!(project.stage0.lends["/usr/bin/sh"], ["bash"]);
    let zlib = &project.components["zlib"];
    assert_eq!(
        zlib.spec,
        Some(Spec::Local {
            path: root.join("a.spec")
        })
    );
    assert_eq!(zlib.defined_at.to_string(), "more/zlib.toml:1:13");
    assert!(zlib.build.bootstrap_libc && zlib.build.expensive && zlib.build.check.skip);
    assert_eq!(zlib.build.cpu_seconds, Some(2.5));
    assert_eq!(zlib.build.memory, Some(3 << 30));
    assert_eq!(zlib.source_files[0].sha256(), Some(Sha256::of(b"")));
    assert_eq!(zlib.source_files[0].size, Some(12));
    assert_eq!(zlib.source_files[1].digest, None);
    assert_eq!(
        zlib.source_files[1].origins[0],
        Origin::File {
            path: root.join("more/p")
        }
    );
    assert_eq!(
        zlib.source_files[1].origins[1],
        Origin::Https {
            url: "https://x.org/p".into()
        }
    );
    let vm = &project.images["vm"];
    let packages: Vec<&str> = vm.packages.iter().map(|name| name.as_str()).collect();
    assert_eq!(packages, ["grep", "bash", "kernel-micro"]);
    assert_eq!(vm.formats, [Format::OciArchive, Format::Raw, Format::Qcow2]);
    assert_eq!((vm.memory_mib, vm.os.hostname.as_deref()), (1024, Some("keel")));
    let disk = vm.disk.as_ref().unwrap();
    assert_eq!(
        (disk.size, disk.esp_size, disk.root_label.as_str()),
        (Some(512 << 20), 64 << 20, "vm-root")
    );
    assert_eq!(project.files.len(), 5);
    let json = serde_json::to_string(&project).unwrap();
    assert!(json.contains("\"qcow2\""), "{json}");
}

#[test]
fn a_project_is_found_from_a_folder_inside() {
    let (dir, _) = project(&[("more/deep/x", "")]);
    let inside = dir.path().join("more/deep");
    let root = fs_err::canonicalize(dir.path()).unwrap();
    assert_eq!(load(&inside).unwrap().root, root);
    fs_err::rename(root.join("keel.toml"), root.join("azldev.toml")).unwrap();
    assert_eq!(load(&inside).unwrap().files, [root.join("azldev.toml")]);
}

#[test]
fn a_file_is_read_once_however_often_it_is_included() {
    let (_dir, loaded) = project(&[
        ("more/a.toml", "includes = [\"../deep/*.toml\"]"),
        ("more/b.toml", "includes = [\"../deep/*.toml\"]"),
        (
            "deep/c.toml",
            "[components.c]\nspec = { type = \"local\", path = \"../a.spec\" }\n",
        ),
    ]);
    assert_eq!(loaded.unwrap().components.len(), 1);
}

#[test]
fn no_input_makes_the_reader_panic() {
    let text = BASE[0].1.to_owned()
        + "[components.a]\nspec = { type = \"local\", path = \"a.spec\" }\n# é\u{1f980}\n";
    let dir = tempfile::tempdir().unwrap();
    for (file, text) in BASE {
        write(dir.path(), file, text);
    }
    // Cut at many places, and put something odd there.
    for at in (0..text.len()).step_by(7).filter(|at| text.is_char_boundary(*at)) {
        for odd in ["", "\"", "[", "\u{0}", "=", "\n", "é", "{"] {
            let (left, right) = text.split_at(at);
            for candidate in [format!("{left}{odd}"), format!("{left}{odd}{right}")] {
                write(dir.path(), "keel.toml", &candidate);
                if let Err(errors) = load(dir.path()) {
                    assert!(errors.to_string().starts_with("error: "));
                }
            }
        }
    }
    for open in ["[", "{a=", "a.", "[["] {
        write(dir.path(), "keel.toml", &format!("a = {}", open.repeat(100_000)));
        assert!(load(dir.path()).is_err());
        write(dir.path(), "keel.toml", &open.repeat(100_000));
        assert!(load(dir.path()).is_err());
    }
    fs_err::write(dir.path().join("keel.toml"), [0xff, 0xfe]).unwrap();
    assert!(
        load(dir.path())
            .unwrap_err()
            .to_string()
            .contains("not UTF-8 at byte 0")
    );
}

/// B2: what the tree says about a component of its base, without an entry of its own for it, is a change of it, too.
#[test]
fn changes_without_an_entry_are_known() {
    let spec =
        |name: &str| format!("[components.{name}]\nspec = {{ type = \"local\", path = \"../a.spec\" }}\n");
    let group = "[component-groups.old]\ncomponents = [\"zlib\", \"bash\"]\n\
                 [component-groups.old.default-component-config]\nbuild.with = [\"old\"]\n";
    let base = format!("{}{}{group}", spec("zlib"), spec("bash"));
    let (dir, loaded) = project(&[("more/base.toml", &base)]);
    loaded.unwrap();
    let changed_in = |more: &str| -> Vec<(String, usize, usize)> {
        let text = format!("[project]\ndescription = \"t\"\n[keel.base]\npath = \"..\"\n{more}");
        write(dir.path(), "team/keel.toml", &text);
        let team = load(&dir.path().join("team")).unwrap_or_else(|error| panic!("{more}: {error}"));
        let components = team.components.values();
        let told = components.map(|one| (one.name.to_string(), one.tree, one.changed_in));
        told.collect()
    };
    let both = |bash, zlib| vec![("bash".to_owned(), 1, bash), ("zlib".to_owned(), 1, zlib)];
    assert_eq!(changed_in(""), both(1, 1));
    let group = "[component-groups.ours]\ncomponents = [\"zlib\"]\n";
    assert_eq!(changed_in(group), both(1, 1), "a group that says nothing");
    let config = "[component-groups.ours.default-component-config]\n";
    let overlay = "overlays = [{ type = \"spec-remove-tag\", tag = \"URL\" }]\n";
    assert_eq!(changed_in(&format!("{group}{config}{overlay}")), both(1, 0));
    let defines = "build.defines = { abc = \"1\" }\n";
    assert_eq!(changed_in(&format!("{group}{config}{defines}")), both(1, 0));
    let default = format!("[default-component-config]\n{defines}");
    assert_eq!(changed_in(&default), both(0, 0), "what all inherit");
}

#[test]
fn formats_have_tables_of_their_own() {
    let images = "[images.a]\ndefinition = { type = \"keel\", path = \"a.image.toml\" }\n\
                  capabilities = { container = true }\n\
                  [images.b]\ndefinition = { type = \"keel\", path = \"b.image.toml\" }\n";
    let definition = "packages = [\"x\"]\nformats = [\"wsl\", \"cpio\", \"tar\", \"oci\"]\n\
                      [container]\nlayers = \"one\"\n[cpio]\ncompression = \"gzip\"\n\
                      [wsl]\ndefault-name = \"Keel\"\ndefault-uid = 1000\nicon = \"/i.ico\"\n";
    let (_dir, loaded) = project(&[
        ("more/images.toml", images),
        ("more/a.image.toml", definition),
        (
            "more/b.image.toml",
            "packages = [\"x\"]\nformats = [\"oci\", \"cpio\"]\n",
        ),
    ]);
    let project = loaded.unwrap();
    let (a, b) = (&project.images["a"], &project.images["b"]);
    let formats: Vec<&str> = a.formats.iter().map(|format| format.as_str()).collect();
    assert_eq!(formats, ["oci", "tar", "cpio", "wsl"]);
    assert!(a.is_container() && a.is_machine() && !a.is_disk());
    assert_eq!(
        (a.wsl.default_name.as_deref(), a.wsl.default_uid),
        (Some("Keel"), Some(1000))
    );
    assert_eq!(a.wsl.icon.as_ref().unwrap().as_str(), "/i.ico");
    let said = |image: &keel_config::Image| (image.container.as_ref().unwrap().layers, image.cpio);
    assert_eq!(said(a), (Layers::One, Compression::Gzip));
    assert_eq!(said(b), (Layers::Packages, Compression::Zstd));
}
