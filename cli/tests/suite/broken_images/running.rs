//! Runs a build in its surroundings, and looks for what it left.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{Around, Place, Row};
use crate::{
    harness::{Fixture, cache, judge},
    killed::leftovers,
};

/// Builds the image of a row: exit code, the errors, and what is left of the run.
pub fn build(row: &Row, place: &Place) -> (Option<i32>, Vec<String>, Vec<String>) {
    let (folder, name) = row.image;
    let work = tempfile::tempdir().unwrap();
    let images = place.fixture.path(folder).join("out/images");
    let mut command = place
        .fixture
        .command(folder, &["image", "build", name, "--output", "json"]);
    let mut around = match row.around {
        Around::Usual => None,
        Around::SmallFiles(bytes) => {
            let mut around = Command::new("prlimit");
            around.arg(format!("--fsize={bytes}"));
            Some(around)
        }
        Around::Full(_) | Around::ReadOnly => {
            let mut around = Command::new("unshare");
            around.args(["--mount", "sh", "-ec", ON_A_DISK, "sh"]);
            around.arg(work.path()).arg(&images);
            around.arg(match row.around {
                Around::Full(kib) => kib.to_string(),
                _ => String::new(),
            });
            Some(around)
        }
    };
    if let Some(around) = &mut around {
        around.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => around.env(name, value),
                None => around.env_remove(name),
            };
        }
    }
    let command = around.as_mut().unwrap_or(&mut command);
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let mut pid = child.id();
    let output = child.wait_with_output().unwrap();
    if let Ok(text) = fs_err::read_to_string(work.path().join("pid")) {
        pid = text.trim().parse().unwrap();
    }
    let said = String::from_utf8(output.stderr).unwrap();
    let errors = said
        .lines()
        .filter_map(|line| told(line, &place.fixture, pid))
        .collect();
    let mut left = left_by(pid, &place.fixture);
    let on_disk = fs_err::read_to_string(work.path().join("left")).unwrap_or_default();
    left.extend(on_disk.lines().map(str::to_owned));
    (output.status.code(), errors, left)
}

/// `sh -ec … WORK IMAGES KIB COMMAND`: runs a command where the folder of images, as it is, lies on a disk with so much room, or on one
/// that is read-only. Notes the command's process, and what differs in the folder afterwards. Mounts are seen by nobody else.
const ON_A_DISK: &str = r#"
    work=$1 images=$2 kib=$3
    shift 3
    cp -a "$images" "$work/before"
    if [ -n "$kib" ]; then
        mount -t tmpfs -o size=$(($(du -sk "$images" | cut -f1) + kib))k none "$images"
        cp -a "$work/before/." "$images"
    else
        mount --bind "$images" "$images"
        mount -o remount,bind,ro "$images"
    fi
    "$@" &
    echo $! > "$work/pid"
    code=0
    wait $! || code=$?
    diff -rq "$work/before" "$images" > "$work/left" || true
    exit $code
"#;

/// An error of a line of JSON, without what differs from run to run: the message, and a line each for place, reasons and hints.
pub fn told(line: &str, fixture: &Fixture, pid: u32) -> Option<String> {
    let said: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    if said["level"] != "error" {
        return None;
    }
    let texts = |key: &str| -> Vec<String> {
        let all = said[key].as_array().unwrap().iter();
        all.map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut lines = vec![said["message"].as_str().unwrap().to_owned()];
    if let Some(file) = said["location"]["file"].as_str() {
        let location = &said["location"];
        let note = said["note"].as_str().map(|note| format!(" {note}"));
        lines.push(format!(
            "at {file}:{}:{}{}",
            location["line"],
            location["column"],
            note.unwrap_or_default()
        ));
    }
    lines.extend(texts("causes"));
    lines.extend(texts("hints").into_iter().map(|hint| format!("hint: {hint}")));
    let text = lines
        .join("\n")
        .replace(&fixture.path("").display().to_string(), "[FIXTURE]/")
        .replace(&cache().display().to_string(), "[STORE]");
    let text = masked(&text, "[STORE]/objects/", "[OBJECT]", |c| {
        c.is_ascii_hexdigit() || c == '/'
    });
    let text = masked(&text, &format!("-{pid}-"), "[RUN]", |c| {
        c.is_ascii_hexdigit() || c == '-'
    });
    // A package has as many bytes as the folder that it was built in makes it.
    let text = masked(&text, "the pinned file has ", "[SIZE]", |c| c.is_ascii_digit());
    Some(without_digests(&text))
}

/// The text with `mask` in the place of each `start` and the characters that follow it, as long as they are `like` that.
fn masked(text: &str, start: &str, mask: &str, like: impl Fn(char) -> bool) -> String {
    let mut parts = text.split(start);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |whole, part| whole + mask + part.trim_start_matches(&like))
}

fn without_digests(text: &str) -> String {
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    let one = |word: &str| match word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()) {
        digest if digest.len() >= 40 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            word.replace(digest, "[DIGEST]")
        }
        _ => word.to_owned(),
    };
    words.map(one).collect()
}

/// What is left of the run with this process id: processes, mounts, loop devices, and files in the store's temporary folder.
fn left_by(pid: u32, fixture: &Fixture) -> Vec<String> {
    let patience = Instant::now() + Duration::from_secs(10);
    while !leftovers(pid, false).is_empty() && Instant::now() < patience {
        sleep(Duration::from_millis(50));
    }
    let mut left = leftovers(pid, true);
    let (here, mark) = (fixture.path("").display().to_string(), format!("-{pid}-"));
    let mounts = fs_err::read_to_string("/proc/self/mountinfo").unwrap();
    left.extend(
        mounts
            .lines()
            .filter(|line| line.contains(&here))
            .map(str::to_owned),
    );
    for entry in fs_err::read_dir(cache().join("tmp")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        left.extend(Some(name).filter(|name| name.contains(&mark)));
    }
    left.extend(
        loop_devices()
            .into_iter()
            .filter(|file| file.contains(&here) || file.contains(&cache().display().to_string())),
    );
    left
}

/// The files of the machine's loop devices.
fn loop_devices() -> Vec<String> {
    let Ok(devices) = std::fs::read_dir("/sys/block") else {
        return Vec::new();
    };
    devices
        .filter_map(|device| std::fs::read_to_string(device.ok()?.path().join("loop/backing_file")).ok())
        .collect()
}

/// Whether this is root. If not, what is not tested for that reason goes into the file that `KEEL_TEST_NOT_RUN` names:
/// `make test` ends with it.
pub fn is_root_or_says(not_run: &str) -> bool {
    let is_root = judge("id", &["-u"]).trim() == "0";
    if !is_root && let Some(path) = std::env::var_os("KEEL_TEST_NOT_RUN") {
        let mut file = fs_err::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        writeln!(file, "{not_run}").unwrap();
    }
    is_root
}

/// Every file and folder below, with its mode and digest. What `keel` hands out before it makes images is left out.
pub fn listing(folder: &Path) -> String {
    let all = "find . -path '*/out/packages' -prune -o";
    let script = format!(
        "cd '{}'; {all} -type f -print0 | sort -z | xargs -0r sha256sum; {all} -printf '%p %y %m %l\\n' | sort",
        folder.display()
    );
    judge("sh", &["-ec", &script])
}
