//! The whole of it: what SPECs may see, what they cannot do.
//!
//! Run by root, everything is run once more as an ordinary user ([`again_as_an_ordinary_user`]).

mod sandbox;

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use keel_artefact::Arch;

use super::*;
use crate::macros::World as _;

struct Fixture {
    folder: tempfile::TempDir,
    options: Options,
}

impl Fixture {
    /// This machine's programs, and a folder of sources.
    fn host() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        fs::create_dir(folder.path().join("sources")).unwrap();
        fs::write(folder.path().join("sources/version"), "1.2.3\n").unwrap();
        let options = Options {
            root: Root::Host {
                cache: folder.path().join("cache"),
            },
            facts: Facts::profile("azurelinux-3", Arch::X86_64).unwrap(),
            readable: vec![folder.path().join("sources")],
            writable: ["/root", "/build/BUILD", "/build/BUILDROOT"]
                .map(|path| path.parse().unwrap())
                .into(),
            processors: 3,
            now: 12,
            ..Options::default()
        };
        Self { folder, options }
    }

    /// A root that is a folder with files of all kinds and no programs.
    fn folder() -> Self {
        let mut new = Self::host();
        let root = new.folder.path().join("target");
        for folder in ["etc/rpm", "usr/lib/rpm/macros.d", "usr/bin", "tmp"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(root.join("usr/lib/rpm/macros"), "%a b\n").unwrap();
        fs::write(root.join("usr/lib/rpm/macros.d/macros.b"), "").unwrap();
        fs::write(root.join("usr/lib/rpm/macros.d/macros.a"), "").unwrap();
        for (link, target) in [
            ("lib", "usr/lib"),
            ("etc/absolute", "/usr/lib/rpm/macros"),
            ("etc/up", "../../../../../../usr/lib/rpm/macros"),
            ("etc/secret", "/../../../../etc/shadow"),
            ("etc/loop", "loop"),
            ("etc/temporary", "/tmp/x"),
            ("etc/sources", new.path("sources/version").to_str().unwrap()),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        rustix::fs::mkfifoat(rustix::fs::CWD, root.join("etc/pipe"), 0o644.into()).unwrap();
        fs::File::create(root.join("etc/huge"))
            .unwrap()
            .set_len(files::LARGEST + 1)
            .unwrap();
        fs::write(root.join("tmp/x"), "hidden").unwrap();
        symlink("../target/usr/lib/rpm/macros", new.path("sources/out")).unwrap();
        new.options.root = Root::Folder(root);
        new
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn surroundings(&self) -> Arc<Surroundings> {
        Surroundings::new(self.options.clone()).unwrap()
    }

    fn world(&self) -> SpecWorld {
        self.surroundings().of_spec("a")
    }
}

/// What a command prints, or why it does not, without the end of line.
fn ask(world: &SpecWorld, command: &str) -> String {
    match world.shell(command.as_bytes()) {
        Ok(output) => String::from_utf8(output).unwrap().trim_end().to_owned(),
        Err(why) => why,
    }
}

#[test]
fn commands_are_answered_by_policy() {
    let mut fixture = Fixture::host();
    let pure = "c=0123456789; echo ${c:0:7}";
    let fact = "eval \"`/usr/bin/perl -V:version`\"; echo $version";
    let other = "seq 3 | tac | paste -sd+";
    for (policy, answers) in [
        (Policy::Sandbox, ["0123456", "5.38.2", "3+2+1"]),
        (
            Policy::Facts,
            [
                "0123456",
                "5.38.2",
                "cannot run `seq 3 | tac | paste -sd+`: no fact answers it",
            ],
        ),
        (
            Policy::Deny,
            [
                "cannot run `c=0123456789; echo ${c:0:7}`: commands are denied",
                "cannot run `eval \"`/usr/bin/perl -V:version`\"; echo $version`: commands are denied",
                "cannot run `seq 3 | tac | paste -sd+`: commands are denied",
            ],
        ),
    ] {
        fixture.options.policy = policy;
        let world = fixture.world();
        for (command, answer) in [pure, fact, other].into_iter().zip(answers) {
            assert_eq!(ask(&world, command), answer, "{policy:?}");
            assert_eq!(ask(&world, command), answer, "{policy:?}, from the memo");
        }
    }
    fixture.options.policy = Policy::Facts;
    fixture.options.root = Root::Nothing;
    let file = "test -f /etc/passwd && echo 1 || echo 0";
    assert_eq!(ask(&fixture.world(), fact), "5.38.2");
    assert_eq!(
        ask(&fixture.world(), file),
        format!("cannot run `{file}`: no fact answers it")
    );
    assert_eq!((fixture.world().processors(), fixture.world().now()), (3, 12));
    assert_eq!("facts".parse(), Ok(Policy::Facts));
    assert!("x".parse::<Policy>().is_err());
}

#[test]
fn commands_that_fail_give_what_they_printed() {
    let fixture = Fixture::host();
    let world = fixture.world();
    for (command, output) in [
        ("seq 2; exit 3", "1\n2"),
        ("seq 2; kill -9 $$", "1\n2"),
        ("seq 2; no-such-program", "1\n2"),
        ("seq 2; (", ""),
        ("v=$(seq 1); echo $0 ${v}2 <(true)x >/dev/null; echo $0", "sh"),
        ("cat; echo no input", "no input"),
        ("(sleep 0.2; seq 1) & echo 0", "0\n1"),
        ("cat ../../../../../etc/hostname || seq 1", "1"),
    ] {
        assert_eq!(ask(&world, command), output, "{command}");
    }
    let said: Vec<String> = world
        .complaints()
        .into_iter()
        .map(|complaint| complaint.text)
        .collect();
    assert_eq!(said[0], "sh: line 1: no-such-program: command not found");
    assert!(
        said[1].starts_with("sh: ") && said[1].contains(": syntax error"),
        "{said:?}"
    );
    assert!(world.complaints().is_empty());
    let odd = world.shell(b"v='\xff'; seq 1; printf '%s' \"$v\"").unwrap();
    assert_eq!(odd, b"1\n\xff");
    let long = format!("seq 1 # {}", "x".repeat(200_000));
    assert!(ask(&world, &long).ends_with("it is longer than 128 KiB, or has a NUL in it"));
}

#[test]
fn what_is_sure_without_bash_is_what_bash_says() {
    let fixture = Fixture::host();
    let surroundings = fixture.surroundings();
    let world = surroundings.of_spec("a");
    let sources = fixture.path("sources").display().to_string();
    for command in [
        "test -f /etc/shadow && echo 1 || echo 0",
        "test -d /usr/bin && echo 1 || echo 0",
        "[ -x /bin/sh ] && echo 1 || echo 0",
        "[ -e /home ] && echo 1 || echo 0",
        "no-such-program 2>/dev/null || echo $?",
        "/usr/bin/no-such-program 2>/dev/null || echo $?",
        "head -1 /etc/passwd",
        &format!("cut -d. -f1-2 {sources}/version"),
        &format!("test -s {sources}/version && cat {sources}/version"),
        &format!("cat {sources}/none 2>/dev/null || echo none"),
        "sed s/x/y/ /etc/group",
    ] {
        let ours = shell::run(command, &fixture.options.environment, &*surroundings)
            .unwrap()
            .stdout;
        assert_eq!(
            ours.trim_end(),
            ask(&world, &format!("/bin/true $$; {command}")),
            "{command}"
        );
    }
}

#[test]
fn a_record_answers_without_running_anything() {
    let mut fixture = Fixture::host();
    let record = fixture.path("record");
    fixture.options.record = Some(record.clone());
    let surroundings = fixture.surroundings();
    let commands = [
        "echo 1.2 | cut -d. -f1",
        "seq 2; seq 9 >&2; nothing",
        "ls /tmp",
        "mktemp -d /tmp/XXXXXX",
        "ls /tmp | wc -l",
        "ls /tmp",
        "mktemp -d /tmp/XXXXXX",
        "ls /tmp | wc -l",
        "printf '\\xff\\x00x'",
        "nproc",
    ];
    let answers = |surroundings: &Arc<Surroundings>| {
        let world = surroundings.of_spec("a");
        let answers = commands.map(|command| world.shell(command.as_bytes()));
        (
            answers,
            world.complaints(),
            surroundings.of_spec("b").shell(b"ls /tmp"),
        )
    };
    let first = answers(&surroundings);
    assert_ne!(first.0[3], first.0[6]);
    surroundings.finish().unwrap();

    let text = fs::read_to_string(&record).unwrap();
    assert!(
        text.starts_with("{\"format\":1,\"environment\":{\"HOME\":\"/root\","),
        "{text}"
    );
    fixture.options.record = None;
    fixture.options.replay = Some(record.clone());
    fixture.options.root = Root::Nothing;
    fixture.options.facts = Facts::default();
    let replayed = fixture.surroundings();
    assert_eq!(answers(&replayed), first);
    assert_eq!(
        ask(&replayed.of_spec("a"), "seq 3"),
        "cannot run `seq 3`: it is not in the record that is replayed"
    );

    // Recorded again, it is the same file.
    fixture.options.record = Some(fixture.path("again"));
    let again = fixture.surroundings();
    assert_eq!(answers(&again), first);
    again.finish().unwrap();
    assert_eq!(fs::read_to_string(fixture.path("again")).unwrap(), text);

    fixture
        .options
        .environment
        .insert("LANG".to_owned(), "C".to_owned());
    let error = Surroundings::new(fixture.options.clone())
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.ends_with("record:1: it was recorded with another value of the variable `LANG`"),
        "{error}"
    );
    fs::write(
        &record,
        text.lines().next().unwrap().to_owned() + "\n{\"command\":\"x\"}\n",
    )
    .unwrap();
    fixture.options.environment = Options::default().environment;
    let error = Surroundings::new(fixture.options.clone())
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.ends_with("record:2: it has not one of `output` and `error`"),
        "{error}"
    );
}

#[test]
fn files_are_the_targets() {
    let fixture = Fixture::folder();
    let world = fixture.world();
    let sources = fixture.path("sources");
    let sources = sources.to_str().unwrap();
    let text = |path: &str| world.read(path).map(|bytes| String::from_utf8(bytes).unwrap());
    for path in [
        "/usr/lib/rpm/macros",
        "/lib/rpm/macros",
        "//usr//lib/./rpm/macros.d/../macros",
        "/../../usr/lib/rpm/macros",
        "usr/lib/rpm/macros",
        "/etc/absolute",
        "/etc/up",
    ] {
        assert_eq!(text(path).unwrap(), "%a b\n", "{path}");
        assert!(world.exists(path), "{path}");
    }
    for path in [
        format!("{sources}/version"),
        format!("{sources}/../sources/version"),
        "/etc/sources".to_owned(),
    ] {
        assert_eq!(text(&path).unwrap(), "1.2.3\n", "{path}");
    }
    for (path, kind) in [
        ("/etc/secret", io::ErrorKind::NotFound),
        ("/tmp/x", io::ErrorKind::NotFound),
        ("/etc/temporary", io::ErrorKind::NotFound),
        ("/proc/self/environ", io::ErrorKind::NotFound),
        ("/dev/zero", io::ErrorKind::NotFound),
        ("/etc", io::ErrorKind::IsADirectory),
        ("/usr/lib/rpm/macros/x", io::ErrorKind::NotADirectory),
        ("/etc/pipe", io::ErrorKind::Other),
        ("/etc/huge", io::ErrorKind::FileTooLarge),
        (&format!("{sources}/out"), io::ErrorKind::NotFound),
        (
            &fixture.path("cache").display().to_string(),
            io::ErrorKind::NotFound,
        ),
        ("", io::ErrorKind::IsADirectory),
        ("/a\0b", io::ErrorKind::InvalidInput),
    ] {
        assert_eq!(world.read(path).unwrap_err().kind(), kind, "{path}");
    }
    assert_eq!(
        world.read("/etc/loop").unwrap_err().raw_os_error(),
        Some(rustix::io::Errno::LOOP.raw_os_error())
    );
    assert_eq!(world.list("/lib/rpm/macros.d"), ["macros.a", "macros.b"]);
    assert!(world.list("/no").is_empty() && world.list("/etc/absolute").is_empty());
    assert_eq!(world.variable("HOME").as_deref(), Some("/root"));
    assert_eq!(world.variable("USER"), None);
    // A root without a shell says nothing about programs, and runs none.
    assert_eq!(ask(&world, "echo 1.2 | cut -d. -f1"), "1");
    assert_eq!(
        ask(&world, "seq 1"),
        "cannot run `seq 1`: there is no bash in the root"
    );
    assert_eq!(ask(&world, "cat /etc/absolute"), "%a b");
}

#[test]
fn a_wrong_choice_of_folders_is_an_error() {
    let fixture = Fixture::host();
    let error = |change: &dyn Fn(&mut Options)| {
        let mut options = fixture.options.clone();
        change(&mut options);
        let error = Surroundings::new(options).err().unwrap();
        let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
        format!("{error}{}", source.unwrap_or_default())
    };
    for (message, text) in [
        (
            error(&|options| options.root = Root::Folder("/".into())),
            "it is the host's own, with all that is in it",
        ),
        (
            error(&|options| options.root = Root::Folder("/no/such".into())),
            "cannot use /no/such for SPECs to read: No such",
        ),
        (
            error(&|options| options.readable = vec!["/".into()]),
            "it is the host's own root",
        ),
        (
            error(&|options| options.readable = vec!["src".into()]),
            "cannot use src for SPECs to read",
        ),
        (
            error(&|options| options.writable = vec![RootPath::root()]),
            "commands cannot have / to write in",
        ),
        (
            error(&|options| options.replay = Some("/no/record".into())),
            "cannot read or write the record /no/record of commands",
        ),
    ] {
        assert!(message.contains(text), "{message}");
    }
}

#[test]
fn layers_lie_over_each_other() {
    let mut fixture = Fixture::host();
    let layers = ["top", "bottom"].map(|name| fixture.path(name));
    for (layer, files) in layers.iter().zip([["a", "b"], ["b", "c"]]) {
        fs::create_dir_all(layer.join("usr/d")).unwrap();
        for file in files {
            fs::write(
                layer.join("usr/d").join(file),
                layer.file_name().unwrap().as_encoded_bytes(),
            )
            .unwrap();
        }
    }
    symlink("usr", layers[1].join("all")).unwrap();
    fixture.options.root = Root::Layers(layers.into());
    let world = fixture.world();
    assert_eq!(world.list("/all/d"), ["a", "b", "c"]);
    assert_eq!(world.read("/all/d/b").unwrap(), b"top");
    assert_eq!(world.read("/usr/d/c").unwrap(), b"bottom");
}

/// Everything above, once more, by a user without any privilege. Needs root to become one.
#[test]
fn again_as_an_ordinary_user() {
    if !rustix::process::geteuid().is_root() {
        println!("not root: the other tests have just run as an ordinary user");
        return;
    }
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o1777)).unwrap();
    let binary = folder.path().join("test");
    // By another process: one that other tests start here while the file is written would keep it open, and nobody could execute it.
    let copied = std::process::Command::new("cp")
        .arg(std::env::current_exe().unwrap())
        .arg(&binary)
        .status();
    assert!(copied.unwrap().success());
    let output = std::process::Command::new("setpriv")
        .args(["--reuid", "1001", "--regid", "1001", "--clear-groups"])
        .arg(&binary)
        .arg("world::tests::")
        .env("TMPDIR", folder.path())
        .current_dir("/")
        .output()
        .expect("setpriv is missing: apt install util-linux");
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
