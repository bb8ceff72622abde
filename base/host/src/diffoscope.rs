//! `diffoscope`: what differs between two files (diffoscope(1)).
//!
//! Packages may be anybody's, and diffoscope hands them to dozens of programs that unpack and read: all of it runs in a sandbox that has
//! nothing of the machine but its programs, and no network.

use std::{os::unix::fs::symlink, path::Path, time::Duration};

use keel_artefact::{Interrupt, RootPath};
use keel_sandbox::{Bind, Limits, Output, Run, Sandbox, Status};
use keel_store::Store;

use crate::{Error, Program};

/// What one comparison may use.
const LIMITS: Limits = Limits {
    wall: Some(Duration::from_secs(600)),
    memory: None,
    total_memory: Some(8 << 30),
    processes: Some(1024),
    file_size: Some(2 << 30),
    disk: None,
    tmpfs: Some(4 << 30),
    nice: 10,
    cpus: None,
};
/// Where the programs of a machine are, and what they need to start. `/bin`, `/lib` and their like may be links into `/usr`.
const TOOLS: [&str; 9] = [
    "usr",
    "bin",
    "sbin",
    "lib",
    "lib32",
    "lib64",
    "libx32",
    "etc/alternatives",
    "etc/ld.so.cache",
];

/// Writes what differs between two files of one name, as text, into a third. False if it could not tell, or took too long.
pub fn explain(
    store: &Store,
    first: &Path,
    second: &Path,
    into: &Path,
    interrupt: &Interrupt,
) -> Result<bool, Error> {
    let program = Program::Diffoscope.find()?.display().to_string();
    compare(
        &[&program, "--text", "-"],
        store,
        [first, second],
        into,
        interrupt,
    )
}

/// Runs a program that prints what differs between the two files that are its last arguments, and ends with 1 where something does.
fn compare(
    program: &[&str],
    store: &Store,
    files: [&Path; 2],
    into: &Path,
    interrupt: &Interrupt,
) -> Result<bool, Error> {
    interrupt.check()?;
    let scratch = store.temp_dir("diffoscope")?;
    let mut sandbox = with_tools(scratch.path())?;
    let mut argv: Vec<String> = program.iter().map(|word| (*word).to_owned()).collect();
    for (folder, host) in ["/first", "/second"].into_iter().zip(files) {
        let name = host.file_name().unwrap_or_default().to_string_lossy();
        let guest = guest(folder).join(&name).map_err(|error| Error::Request {
            program: Program::Diffoscope.name(),
            why: error.to_string(),
        })?;
        argv.push(guest.to_string());
        sandbox.binds.push(read_only(host, guest));
    }
    let mut run = Run::captured(argv);
    run.stdout = Output::File(fs_err::File::create(into)?.into_parts().0);
    let exit = keel_sandbox::run(&sandbox, run, interrupt)?;
    // 1: they differ.
    Ok(exit.status == Status::Code(1) && fs_err::metadata(into)?.len() > 0)
}

/// A sandbox with the machine's programs, read-only. `root` becomes its root.
fn with_tools(root: &Path) -> Result<Sandbox, Error> {
    let mut sandbox = Sandbox::new(vec![root.to_owned()]);
    for name in TOOLS {
        let host = Path::new("/").join(name);
        let Ok(metadata) = fs_err::symlink_metadata(&host) else {
            continue;
        };
        if metadata.is_symlink() {
            symlink(fs_err::read_link(&host)?, root.join(name))?;
        } else {
            sandbox.binds.push(read_only(&host, guest(&format!("/{name}"))));
        }
    }
    for (name, value) in [("HOME", "/tmp"), ("LC_ALL", "C.UTF-8")] {
        sandbox.env.insert(name.to_owned(), value.to_owned());
    }
    sandbox.cwd = guest("/tmp");
    sandbox.limits = LIMITS;
    Ok(sandbox)
}

fn read_only(host: &Path, guest: RootPath) -> Bind {
    Bind {
        host: host.to_owned(),
        guest,
        writable: false,
    }
}

fn guest(text: &str) -> RootPath {
    text.parse().expect("a constant root path")
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Two files that differ, below a store.
    fn files(store: &Store) -> [std::path::PathBuf; 2] {
        ["1", "2"].map(|text| {
            let folder = store.dir().join(text);
            fs_err::create_dir(&folder).unwrap();
            fs_err::write(folder.join("a b.rpm"), format!("{text}\n")).unwrap();
            folder.join("a b.rpm")
        })
    }

    #[test]
    fn what_is_not_there_is_named_with_its_package() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let ([one, two], told) = (files(&store), dir.path().join("told"));
        match explain(&store, &one, &two, &told, &Interrupt::default()) {
            Ok(is_told) => {
                let text = fs_err::read_to_string(told).unwrap();
                assert!(is_told && text.contains("-1") && text.contains("+2"), "{text}");
            }
            Err(error) => assert!(error.to_string().contains("diffoscope"), "{error}"),
        }
    }

    #[test]
    fn it_sees_the_two_files_and_programs_and_nothing_else_of_the_machine() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let ([one, two], told) = (files(&store), dir.path().join("told"));
        let run = |program: &[&str]| {
            let differ = compare(program, &store, [&one, &two], &told, &Interrupt::default()).unwrap();
            (differ, fs_err::read_to_string(&told).unwrap())
        };
        let (differ, text) = run(&["diff", "-u"]);
        assert!(
            differ && text.contains("-1\n+2\n") && text.contains("/first/a b.rpm"),
            "{text}"
        );
        let (_, text) = run(&[
            "sh",
            "-c",
            "id -u; ls -A /; ls /etc /sys/class/net; cat /etc/passwd; echo x > \"$1\"; exit 1",
            "sh",
        ]);
        let words: Vec<&str> = text.split_whitespace().collect();
        for there in ["1000", "usr", "first", "second", "tmp"] {
            assert!(words.contains(&there), "{there}: {text}");
        }
        for absent in ["home", "root", "var/lib", "run", "passwd", "shadow"] {
            assert!(!words.contains(&absent), "{absent}: {text}");
        }
        assert!(!text.contains("root:"), "{text}");
        assert_eq!(fs_err::read_to_string(&one).unwrap(), "1\n");
    }

    #[test]
    fn it_ends_with_ctrl_c() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let ([one, two], told) = (files(&store), dir.path().join("told"));
        let (interrupt, started) = (Interrupt::default(), Instant::now());
        let waits = ["sh", "-c", "sleep 300 & sleep 300"];
        std::thread::scope(|scope| {
            let run = scope.spawn(|| compare(&waits, &store, [&one, &two], &told, &interrupt));
            std::thread::sleep(Duration::from_millis(700));
            interrupt.set();
            assert!(matches!(run.join().unwrap(), Err(Error::Interrupted(_))));
        });
        assert!(started.elapsed() < Duration::from_secs(60));
        let again = explain(&store, &one, &two, &told, &interrupt);
        assert!(
            matches!(again, Err(Error::Interrupted(_) | Error::NotFound { .. })),
            "{again:?}"
        );
    }
}
