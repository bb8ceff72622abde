//! What must not become an image: each gets one error, no file under the final name, and leaves nothing behind.
//!
//! A row of the table breaks a copy of the fixture in one way. The image is then built twice: where a good one has its name
//! already, and where nothing has. More cases of one kind, without the command around them: packages, disks and partitions
//! in `stages/image/tests/it/refusals.rs`; definitions in `stages/config/tests/it/errors.txt`; scripts in `scripted`; a base's
//! packages and keys in `base`; disks that are full, and long series of kills, in `make full-disk` and
//! `make kills`.

use std::{process::Stdio, thread::sleep, time::Instant};

use crate::{
    base::{flip, forget, sign},
    harness::{Fixture, judge},
    killed::leftovers,
};

mod breaking;
mod running;

use breaking::{add, add_format, cut, edit, in_store, odd, partition, published, script, team, wish};
use running::{build, is_root_or_says, listing};

/// A way to be wrong.
struct Row {
    what: &'static str,
    /// The folder of the tree, and the image.
    image: (&'static str, &'static str),
    /// Before the good image is made.
    lay_out: fn(&Fixture),
    /// Before each build that must fail.
    break_it: fn(&Place),
    around: Around,
    code: i32,
    /// As [`told`] puts it.
    error: &'static str,
}

/// In which surroundings `keel` runs.
enum Around {
    Usual,
    /// The folder of images is on a disk that has room for so many KiB more.
    Full(u64),
    /// No file gets larger than so many bytes.
    SmallFiles(u64),
    /// The folder of images is read-only.
    ReadOnly,
}

/// The fixture, and a copy of the image as it was when all was well.
struct Place {
    fixture: Fixture,
    good: tempfile::TempDir,
}

const BOX: (&str, &str) = (".", "box");
const MINI: (&str, &str) = (".", "mini");
/// A tree that stands on the fixture, and makes no package of its own.
const TEAM: (&str, &str) = ("team", "small");

const TABLE: &[Row] = &[
    Row {
        what: "a package of the base that is cut short",
        image: TEAM,
        lay_out: team,
        break_it: |place| {
            let package = published(&place.fixture);
            forget(&package);
            cut(&package);
        },
        around: Around::Usual,
        code: 1,
        error: "cannot use packages of the base for image `small`\n\
               cannot get file://[FIXTURE]/out/repo/x86_64/os/Packages/h/hello-1.0-1.fx1.x86_64.rpm: it offers 3000 bytes, [SIZE]\n\
               hint: where the repository has another state by now, `keel source update` takes that",
    },
    Row {
        what: "a package of the base with another byte in its payload",
        image: TEAM,
        lay_out: team,
        break_it: |place| {
            let package = published(&place.fixture);
            forget(&package);
            let is_broken = place.fixture.path("team/broken");
            if !is_broken.exists() {
                flip(&package);
                fs_err::write(is_broken, "").unwrap();
            }
        },
        around: Around::Usual,
        code: 1,
        error: "cannot use packages of the base for image `small`\n\
               file://[FIXTURE]/out/repo/x86_64/os/Packages/h/hello-1.0-1.fx1.x86_64.rpm has other bytes than its repository says: it is [DIGEST], and should be [DIGEST]\n\
               hint: where the repository has another state by now, `keel source update` takes that",
    },
    Row {
        what: "a package of the base that somebody else signed",
        image: TEAM,
        lay_out: team,
        break_it: |place| {
            let fixture = &place.fixture;
            if !fixture.path("keys/stranger").exists() {
                fixture.keel(&["key", "generate", "keys/stranger"]).ok();
                fixture.keel(&["repo", "create", "--key", "keys/stranger"]).ok();
                sign(&fixture.path("out/repo/x86_64/os"), &fixture.path("keys/base"));
                fixture.keel_in("team", &["source", "update"]).ok();
            }
            forget(&published(fixture));
        },
        around: Around::Usual,
        code: 1,
        error: "cannot use packages of the base for image `small`\n\
               file://[FIXTURE]/out/repo/x86_64/os/Packages/f/fixture-filesystem-1-1.fx1.noarch.rpm: the package `[OBJECT]` is signed by [DIGEST], which is not a trusted key",
    },
    Row {
        what: "a package that is cut short in the store",
        image: BOX,
        lay_out: odd,
        break_it: |place| cut(&in_store(place, "odd")),
        around: Around::Usual,
        code: 3,
        error: "the repository failed\n\
               package `odd-1-1.noarch` cannot be taken from the store\n\
               object [DIGEST] in the store is damaged: its bytes have the digest [DIGEST]; it was removed, and the same command makes or fetches it again",
    },
    Row {
        what: "a package with another byte in the store",
        image: BOX,
        lay_out: odd,
        break_it: |place| flip(&in_store(place, "odd")),
        around: Around::Usual,
        code: 3,
        error: "the repository failed\n\
               package `odd-1-1.noarch` cannot be taken from the store\n\
               object [DIGEST] in the store is damaged: its bytes have the digest [DIGEST]; it was removed, and the same command makes or fetches it again",
    },
    Row {
        what: "packages that conflict",
        image: BOX,
        lay_out: odd,
        break_it: |place| wish(&place.fixture, "odd-hater"),
        around: Around::Usual,
        code: 2,
        error: "the packages of image `box` cannot be installed together\n\
               asked for: install hello\n\
               asked for: install odd-hater\n\
               odd-hater-1-1.noarch conflicts with hello-1.0-1.fx1.x86_64",
    },
    Row {
        what: "a package that nobody makes",
        image: BOX,
        lay_out: |_| {},
        break_it: |place| wish(&place.fixture, "helllo"),
        around: Around::Usual,
        code: 2,
        error: "no component makes the package `helllo`\n\
               hint: did you mean `hello`?\n\
               hint: image `box` installs it",
    },
    Row {
        what: "a requirement that nobody meets",
        image: BOX,
        lay_out: |_| {},
        break_it: |place| {
            add(
                &place.fixture,
                "needy",
                "Requires: libnothing.so.9()(64bit)\n",
                "one",
            );
            wish(&place.fixture, "needy");
        },
        around: Around::Usual,
        code: 2,
        error: "nothing provides what `needy` requires\n\
               at specs/needy/needy.spec:0:0 Requires: libnothing.so.9()(64bit)\n\
               no package of this distribution provides `libnothing.so.9()(64bit)`, and stage0 does not lend it",
    },
    Row {
        what: "two packages with one file",
        image: BOX,
        lay_out: odd,
        break_it: |place| {
            add(&place.fixture, "odder", "", "another");
            wish(&place.fixture, "odd\", \"odder");
        },
        around: Around::Usual,
        code: 1,
        error: "the image failed\n\
               packages `odd-1-1.noarch` and `odder-1-1.noarch` both have `/usr/share/odd`, and their contents differ",
    },
    Row {
        what: "a disk that is smaller than its partitions",
        image: MINI,
        lay_out: |_| {},
        break_it: |place| edit(&place.fixture, "mini", "[os]", &partition("large", "200M")),
        around: Around::Usual,
        code: 2,
        error: "the disk is too small: of its 96 MiB, the EFI system partition, other partitions and the partition table take 250 MiB, so that 155 MiB are missing for the root\n\
               at images/mini.image.toml:7:1",
    },
    Row {
        what: "a disk that is smaller than its content",
        image: MINI,
        lay_out: |_| {},
        break_it: |place| edit(&place.fixture, "mini", "size = \"96M\"", "size = \"51M\""),
        around: Around::Usual,
        code: 2,
        error: "the image failed\n\
               image `mini` does not fit: the disk needs 64 of 51 MiB, 13 MiB are missing. The EFI system partition takes 48 MiB, the compressed root 14 MiB, the partition table 2 MiB. Largest packages, uncompressed: fixture-kernel-6.12.107-1.fx1.x86_64 12 MiB, fixture-shell-1.37.0-1.fx1.x86_64 2 MiB, hello-1.0-1.fx1.x86_64 1 MiB, fixture-init-1-1.fx1.x86_64 1 MiB, keel image 1 MiB. Raise `size`, or leave packages out.",
    },
    Row {
        what: "a partition that is smaller than its content",
        image: MINI,
        lay_out: |_| {},
        break_it: |place| edit(&place.fixture, "mini", "[os]", &partition("small", "1M")),
        around: Around::Usual,
        code: 2,
        error: "the image failed\n\
               image `mini` does not fit: partition `small` needs 11 of 1 MiB, 10 MiB are missing. Raise its `size`, or leave packages out.",
    },
    Row {
        what: "a label of 37 characters",
        image: MINI,
        lay_out: |_| {},
        break_it: |place| edit(&place.fixture, "mini", "[os]", &partition(LONG, "8M")),
        around: Around::Usual,
        code: 2,
        error: "`label` has 1 to 36 letters, digits or `._-`\n\
               at images/mini.image.toml:15:9",
    },
    Row {
        what: "a script that fails",
        image: BOX,
        lay_out: |_| {},
        break_it: |place| script(&place.fixture, "mkdir /srv; echo said >&2; exit 3"),
        around: Around::Usual,
        code: 1,
        error: "the image failed\n\
               script `bad` (images/box.image.toml:6:1) failed (exit code 3)\n\
               \x20 | said",
    },
    Row {
        what: "a script that a signal ends, with a process in the background",
        image: BOX,
        lay_out: |_| {},
        break_it: |place| script(&place.fixture, "sleep 1000 & kill -TERM $$"),
        around: Around::Usual,
        code: 1,
        error: "the image failed\n\
               script `bad` (images/box.image.toml:6:1) failed (signal 15 (SIGTERM))\n\
               \x20 it said nothing",
    },
    Row {
        what: "no space for a container",
        image: BOX,
        lay_out: |_| {},
        break_it: |place| script(&place.fixture, "true"),
        around: Around::Full(700),
        code: 3,
        error: "the image failed\n\
               failed to copy file from `[OBJECT]` to `[FIXTURE]/out/images/.box.new/box.oci/blobs/sha256/[DIGEST]`: No space left on device (os error 28)",
    },
    Row {
        what: "no space for a disk",
        image: MINI,
        lay_out: |_| {},
        break_it: |place| edit(&place.fixture, "mini", "\"fixture\"", "\"other\""),
        around: Around::Full(20 << 10),
        code: 3,
        error: "the image failed\n\
               cannot write [FIXTURE]/out/images/.mini.new/mini.raw\n\
               failed to write to file `[FIXTURE]/out/images/.mini.new/mini.raw`: No space left on device (os error 28)",
    },
    Row {
        what: "an archive that is larger than files may be",
        image: BOX,
        lay_out: |_| {},
        break_it: |place| {
            // Nothing but headers: what is gathered on the way stays small.
            let files = "mkdir /srv; i=0; while [ $i -lt 8000 ]; do : > /srv/$i; i=$((i+1)); done";
            script(&place.fixture, files);
            add_format(&place.fixture, "tar");
        },
        around: Around::SmallFiles(5 << 20),
        code: 3,
        error: "the image failed\n\
               cannot write `/usr/bin/busybox` to a tar archive\n\
               failed to write to file `[FIXTURE]/out/images/.box.new/box.tar`: File too large (os error 27)",
    },
    Row {
        what: "packages that are larger than files may be",
        image: MINI,
        lay_out: |_| {},
        break_it: |place| edit(&place.fixture, "mini", "\"fixture\"", "\"other\""),
        around: Around::SmallFiles(4 << 20),
        code: 3,
        error: "the repository failed\n\
               cannot write the repository\n\
               failed to copy file from `[OBJECT]` to `[STORE]/tmp/repository[RUN]/x86_64/os/Packages/f/fixture-kernel-6.12.107-1.fx1.x86_64.rpm.part`: File too large (os error 27)",
    },
    Row {
        what: "a read-only folder of images",
        image: BOX,
        lay_out: |_| {},
        break_it: |place| script(&place.fixture, "true"),
        around: Around::ReadOnly,
        code: 3,
        error: "nothing can be written to the output folder [FIXTURE]/out/images\n\
               Read-only file system (os error 30)\n\
               hint: `output-dir` in `[project]` says where it is",
    },
    Row {
        what: "a file where the folder of images should be",
        image: BOX,
        lay_out: |_| {},
        break_it: |place| {
            let images = place.fixture.path("out/images");
            if images.is_dir() {
                fs_err::remove_dir_all(&images).unwrap();
            }
            fs_err::write(images, "somebody's").unwrap();
        },
        around: Around::Usual,
        code: 3,
        error: "nothing can be written to the output folder [FIXTURE]/out/images\n\
               Not a directory (os error 20)\n\
               hint: `output-dir` in `[project]` says where it is",
    },
];

/// One character more than a partition's name has.
const LONG: &str = "a-label-of-thirty-seven-letters-in-al";

#[test]
fn each_broken_input_has_one_error_and_leaves_nothing() {
    let mut wrong = Vec::new();
    for row in TABLE {
        let needs_root = matches!(row.around, Around::Full(_) | Around::ReadOnly);
        if needs_root
            && !is_root_or_says(&format!(
                "images, broken inputs: {} (needs root, to mount)",
                row.what
            ))
        {
            continue;
        }
        let started = Instant::now();
        let fixture = Fixture::new();
        (row.lay_out)(&fixture);
        let (folder, name) = row.image;
        fixture.keel_in(folder, &["image", "build", name]).ok();
        let good = tempfile::tempdir().unwrap();
        let image = fixture.path(folder).join("out/images").join(name);
        judge(
            "cp",
            &["-a", image.to_str().unwrap(), good.path().to_str().unwrap()],
        );
        let place = Place { fixture, good };
        for is_there in [true, false] {
            if !is_there && image.exists() {
                fs_err::remove_dir_all(&image).unwrap();
            }
            (row.break_it)(&place);
            let before = listing(&place.fixture.path("."));
            let (code, errors, left) = build(row, &place);
            let what = format!(
                "{}, {}",
                row.what,
                if is_there { "over a good one" } else { "alone" }
            );
            if code != Some(row.code) || errors != [row.error] {
                wrong.push(format!("{what}: code {code:?}\n{}", errors.join("\n")));
            }
            wrong.extend(left.iter().map(|left| format!("{what}: {left} is left")));
            let after = listing(&place.fixture.path("."));
            let changes = after.lines().filter(|line| !before.contains(line));
            wrong.extend(changes.map(|line| format!("{what}: {line} is new")));
            let changes = before.lines().filter(|line| !after.contains(line));
            wrong.extend(changes.map(|line| format!("{what}: {line} is gone")));
        }
        println!("{}: {:.1} s", row.what, started.elapsed().as_secs_f32());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Killed at any moment, an image is as it was before, as it is to be, or not there; the next build is the same as ever, and nothing of
/// the killed ones is left.
#[test]
fn an_image_killed_at_any_time_is_whole_or_not_there() {
    const ROUNDS: u32 = 6;
    let fixture = Fixture::new();
    let sums = || fs_err::read_to_string(fixture.path("out/images/mini/SHA256SUMS")).ok();
    let name = |host: &str| edit(&fixture, "mini", "\"fixture\"", &format!("\"{host}\""));
    name("other");
    fixture.keel(&["image", "build", "mini"]).ok();
    let old = sums();
    name("fixture");
    let started = Instant::now();
    fixture.keel(&["image", "build", "mini"]).ok();
    let (whole, new) = (started.elapsed(), sums());
    let before = listing(&fixture.path("."));
    // What a run left that was killed between two names goes, also where the image needs no build.
    for end in ["new", "old"] {
        fs_err::create_dir(fixture.path(&format!("out/images/.mini.{end}"))).unwrap();
    }
    fixture.keel(&["image", "build", "mini"]).ok();
    assert_eq!(listing(&fixture.path(".")), before);
    let (mut killed, mut cut_short) = (Vec::new(), 0);
    for round in 0..ROUNDS {
        match round % 2 {
            0 => fs_err::remove_dir_all(fixture.path("out/images/mini")).unwrap(),
            _ => {
                name("other");
                fixture.keel(&["image", "build", "mini"]).ok();
                name("fixture");
            }
        }
        let mut command = fixture.command(".", &["image", "build", "mini"]);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        sleep(whole * (2 * round + 1) / (2 * ROUNDS));
        child.kill().unwrap();
        cut_short += u32::from(!child.wait().unwrap().success());
        killed.push(child.id());
        if let Some(there) = sums() {
            assert!(
                Some(&there) == old.as_ref() || Some(&there) == new.as_ref(),
                "round {round}: {there}"
            );
            let folder = fixture.path("out/images/mini").display().to_string();
            judge(
                "sh",
                &["-ec", &format!("cd '{folder}'; sha256sum --quiet -c SHA256SUMS")],
            );
        }
        fixture.keel(&["image", "build", "mini"]).ok();
        assert_eq!(listing(&fixture.path(".")), before, "round {round}");
    }
    assert!(cut_short >= ROUNDS / 2, "only {cut_short} runs were cut short");
    for pid in killed {
        assert_eq!(leftovers(pid, true), Vec::<String>::new());
    }
}
