//! The sandbox against the real kernel, over a root that is the host's `/usr` and nothing else.
//!
//! Run by root, everything is run once more as an ordinary user ([`again_as_an_ordinary_user`]).

#![allow(clippy::unwrap_used, clippy::print_stdout)] // tests

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use keel_artefact::{Interrupt, RootPath};
use keel_sandbox::{
    Bind, Error, Exit, Output, Run, Sandbox, Status, Stdin, User, hand_over, owner, run, take_back,
};

fn path(text: &str) -> RootPath {
    text.parse().unwrap()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A root with merged /usr, and the host's /usr bound into it.
struct Root {
    folder: tempfile::TempDir,
}

impl Root {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let lower = folder.path().join("lower");
        fs::create_dir_all(lower.join("etc")).unwrap();
        fs::create_dir_all(lower.join("usr")).unwrap();
        for link in ["bin", "sbin", "lib", "lib64"] {
            symlink(format!("usr/{link}"), lower.join(link)).unwrap();
        }
        fs::write(
            lower.join("etc/passwd"),
            "root:x:0:0::/:/bin/sh\nbuilder:x:1000:1000::/:/bin/sh\n",
        )
        .unwrap();
        hand_over(&lower).unwrap();
        Self { folder }
    }

    fn lower(&self) -> PathBuf {
        self.folder.path().join("lower")
    }

    /// A folder that the sandbox's user owns.
    fn handed_over(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        fs::create_dir(&folder).unwrap();
        hand_over(&folder).unwrap();
        folder
    }

    fn sandbox(&self) -> Sandbox {
        let mut sandbox = Sandbox::new(vec![self.lower()]);
        sandbox.binds.push(Bind {
            host: "/usr".into(),
            guest: path("/usr"),
            writable: false,
        });
        sandbox
    }
}

fn sh_in(sandbox: &Sandbox, script: &str) -> Exit {
    run(
        sandbox,
        Run::captured(["sh", "-c", script]),
        &Interrupt::default(),
    )
    .unwrap()
}

/// What a script prints in a new root, with errors, trimmed.
fn sh(script: &str) -> String {
    said(&sh_in(&Root::new().sandbox(), &format!("exec 2>&1; {script}")))
}

fn said(exit: &Exit) -> String {
    String::from_utf8_lossy(&exit.stdout).trim().to_owned()
}

fn user(user: User) -> (Root, Sandbox) {
    let root = Root::new();
    let mut sandbox = root.sandbox();
    sandbox.user = user;
    (root, sandbox)
}

#[test]
fn a_command_is_who_and_where_it_should_be() {
    for (who, id) in [(User::Builder, "1000"), (User::Root, "0")] {
        let (_root, mut sandbox) = user(who);
        sandbox.hostname = "fixed-name".to_owned();
        sandbox.env = BTreeMap::from([("PATH".into(), "/usr/bin".into()), ("ONLY".into(), "this".into())]);
        let exit = sh_in(
            &sandbox,
            "id -u; id -g; uname -n; pwd; umask; ulimit -c; env | sort; stat -c %u /etc; ls /; test -t 0 || echo no tty",
        );
        let expected = format!(
            "{id}\n{id}\nfixed-name\n/\n0022\n0\nONLY=this\nPATH=/usr/bin\nPWD=/\n{id}\nbin\ndev\netc\nlib\nlib64\nproc\nsbin\ntmp\nusr\nvar\nno tty"
        );
        assert_eq!(
            said(&exit),
            expected,
            "{who:?}: {}",
            String::from_utf8_lossy(&exit.stderr)
        );
    }
}

#[test]
fn there_is_no_network_but_a_loopback() {
    let names = sh("cat /proc/net/dev | tail -n +3 | cut -d: -f1");
    assert_eq!(names, "lo");
    let talk = "import socket; s=socket.create_server(('127.0.0.1',0)); c=socket.create_connection(s.getsockname()); print('loop')
try: socket.create_connection(('192.0.2.1', 80), 2)
except OSError as e: print(e.strerror)";
    let (_root, sandbox) = user(User::Builder);
    let exit = run(
        &sandbox,
        Run::captured(["python3", "-c", talk]),
        &Interrupt::default(),
    )
    .unwrap();
    assert_eq!(
        said(&exit),
        "loop\nNetwork is unreachable",
        "{}",
        String::from_utf8_lossy(&exit.stderr)
    );
}

#[test]
fn the_hosts_files_and_processes_are_not_there() {
    let root = Root::new();
    let secret = root.folder.path().join("secret");
    fs::write(&secret, "x").unwrap();
    let script = format!(
        "test ! -e {}; echo $?; test ! -e /etc/shadow; echo $?; test ! -e /sys/kernel; echo $?; ls -d /proc/[0-9]* | wc -l; ls /proc/self/fd | wc -l; kill -9 {} 2>&1",
        secret.display(),
        std::process::id()
    );
    let said = said(&sh_in(&root.sandbox(), &script));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..3], ["0", "0", "0"]);
    assert!(lines[3].parse::<u32>().unwrap() <= 5, "{said}"); // the first process, sh, ls, wc
    assert!(lines[4].parse::<u32>().unwrap() <= 4, "{said}"); // three streams and the folder being listed
    assert!(lines[5].contains("No such process"), "{said}");
}

#[test]
fn the_root_is_read_only_and_tmp_is_not() {
    for who in [User::Builder, User::Root] {
        let (_root, sandbox) = user(who);
        let exit = sh_in(
            &sandbox,
            "for f in /x /etc/x /etc/passwd /usr/x /dev/x /proc/sys/kernel/hostname; do echo > $f && echo WRITTEN $f; done 2>/dev/null; echo ok > /tmp/x; cat /tmp/x; echo ok > /dev/shm/y; echo > /dev/null; cat /var/tmp/none /dev/shm/y 2>/dev/null",
        );
        assert_eq!(said(&exit), "ok\nok", "{who:?}");
    }
}

#[test]
fn nothing_can_be_mounted_and_no_privilege_gained() {
    let probe = r#"
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
    done = getattr(libc, name)(*args)
    print(name, "OK" if done == 0 else os.strerror(ctypes.get_errno()))
call("mount", b"none", b"/tmp", b"tmpfs", 0, None)
call("mount", None, b"/", None, 4096 | 32, None)
call("umount2", b"/tmp", 2)
call("umount2", b"/proc/sys", 2)
call("unshare", 0x10000000)
call("unshare", 0x00020000)
call("sethostname", b"x", 1)
call("ptrace", 16, 1, 0, 0)
status = dict(line.split(":\t") for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
print(status["NoNewPrivs"], int(status["CapEff"], 16) >> 21 & 1, int(status["CapBnd"], 16) >> 21 & 1)
"#;
    for who in [User::Builder, User::Root] {
        let (_root, sandbox) = user(who);
        let exit = run(
            &sandbox,
            Run::captured(["python3", "-c", probe]),
            &Interrupt::default(),
        )
        .unwrap();
        let said = said(&exit);
        assert!(!said.contains("OK"), "{who:?}: {said}");
        assert!(
            said.ends_with("1 0 0"),
            "{who:?}: {said}\n{}",
            String::from_utf8_lossy(&exit.stderr)
        );
    }
    // The host's own limit is what it was.
    assert_ne!(
        fs::read_to_string("/proc/sys/user/max_user_namespaces")
            .unwrap()
            .trim(),
        "0"
    );
}

#[test]
fn processes_are_unprivileged_outside() {
    let root = Root::new();
    let folder = root.handed_over("out");
    for (who, name) in [(User::Root, "root"), (User::Builder, "builder")] {
        let mut sandbox = root.sandbox();
        sandbox.user = who;
        sandbox.binds.push(Bind {
            host: folder.clone(),
            guest: path("/build"),
            writable: true,
        });
        let script = format!(
            "echo x > /build/{name}; mkdir -m 0 /build/d-{name}; chmod 0 /build/{name}; grep Uid /proc/self/status; cat /proc/self/uid_map"
        );
        let exit = sh_in(&sandbox, &script);
        assert!(exit.success(), "{}", String::from_utf8_lossy(&exit.stderr));
        let metadata = fs::symlink_metadata(folder.join(name)).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), owner());
        assert_ne!(metadata.uid(), 0);
    }
    take_back(&folder).unwrap();
    assert_eq!(fs::read_to_string(folder.join("root")).unwrap(), "x\n");
    assert_eq!(
        fs::metadata(folder.join("builder")).unwrap().uid(),
        rustix::process::geteuid().as_raw()
    );
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn links_in_the_root_lead_no_bind_out_of_it() {
    let root = Root::new();
    let outside = root.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let lower = root.folder.path().join("evil");
    fs::create_dir(&lower).unwrap();
    symlink(&outside, lower.join("absolute")).unwrap();
    symlink("../../../../../../../../tmp", lower.join("relative")).unwrap();
    symlink("/proc/1/root", lower.join("magic")).unwrap();
    let shared = root.handed_over("shared");
    for (guest, fails) in [
        ("/absolute/in", false),
        ("/relative/in", false),
        ("/magic/in", false),
        ("/absolute", false),
        ("/etc/passwd", true),
    ] {
        let mut sandbox = root.sandbox();
        sandbox.lowers.insert(0, lower.clone());
        sandbox.binds.push(Bind {
            host: shared.clone(),
            guest: path(guest),
            writable: true,
        });
        let done = run(
            &sandbox,
            Run::captured(["touch", &format!("{guest}/touched")]),
            &Interrupt::default(),
        );
        match done {
            Ok(exit) => assert!(
                exit.success() && !fails,
                "{guest}: {}",
                String::from_utf8_lossy(&exit.stderr)
            ),
            Err(Error::Setup { .. }) => {}
            Err(other) => panic!("{guest}: {other}"),
        }
        assert_eq!(
            fs::read_dir(&outside).unwrap().count(),
            0,
            "{guest} left the root"
        );
        assert!(!Path::new("/tmp/in").exists());
    }
}

#[test]
fn ends_are_told() {
    for (script, status) in [
        ("exit 0", Status::Code(0)),
        ("exit 77", Status::Code(77)),
        ("kill -SEGV $$", Status::Signal(11)),
        ("kill -9 $$", Status::Signal(9)),
        // Whoever is left when the command ends dies with it, streams open or not.
        ("sleep 1000 & exit 3", Status::Code(3)),
        ("(setsid sleep 1000 &) ; kill -9 1; exit 4", Status::Code(4)),
    ] {
        assert_eq!(sh_in(&Root::new().sandbox(), script).status, status, "{script}");
    }
    let root = Root::new();
    let missing = run(
        &root.sandbox(),
        Run::captured(["/no/such"]),
        &Interrupt::default(),
    );
    assert!(matches!(missing, Err(Error::Exec { .. })), "{missing:?}");
    let mut sandbox = root.sandbox();
    sandbox.cwd = path("/nowhere");
    let nowhere = run(&sandbox, Run::captured(["true"]), &Interrupt::default()).unwrap_err();
    assert_eq!(
        nowhere.to_string(),
        "cannot set up the sandbox for `true`: enter /nowhere"
    );
    sandbox = Sandbox::new(vec!["/no/such/lower".into()]);
    let lower = run(&sandbox, Run::captured(["true"]), &Interrupt::default()).unwrap_err();
    assert_eq!(
        lower.to_string(),
        "cannot set up the sandbox for `true`: open the folder /no/such/lower"
    );
}

#[test]
fn time_limits_and_interrupts_kill_everything() {
    let marker = format!("{}", 100_000 + std::process::id());
    let mut sandbox = Root::new().sandbox();
    let root = Root::new();
    sandbox.lowers = vec![root.lower()];
    sandbox.limits.wall = Some(Duration::from_millis(500));
    let started = Instant::now();
    let exit = sh_in(
        &sandbox,
        &format!("echo begun; setsid sleep {marker} & trap '' TERM; sleep {marker}; sleep {marker}"),
    );
    assert_eq!((exit.status, said(&exit)), (Status::TimedOut, "begun".to_owned()));
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(!alive(&marker));

    sandbox.limits.wall = None;
    let interrupt = Interrupt::default();
    let later = interrupt.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        later.set();
    });
    let done = run(&sandbox, Run::captured(["sleep", &marker]), &interrupt);
    assert!(matches!(done, Err(Error::Interrupted(_))), "{done:?}");
    thread.join().unwrap();
    assert!(!alive(&marker));
}

/// Is there a process with this word on its command line?
fn alive(word: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|part| part == word.as_bytes())
    })
}

#[test]
fn output_is_neither_lost_nor_hoarded() {
    let root = Root::new();
    let sandbox = root.sandbox();
    let script =
        "yes 0123456789 | head -c 30000000; yes abcdefghij | head -c 30000000 >&2; echo end; echo fin >&2";
    let (mut lines, mut bytes) = (0_u64, 0_u64);
    let mut count = |line: &[u8]| {
        lines += 1;
        bytes += line.len() as u64 + 1;
    };
    let both = Run {
        argv: ["sh", "-c", script].map(Into::into).into(),
        stdin: Stdin::Null,
        stdout: Output::Lines(&mut count),
        stderr: Output::WithStdout,
    };
    assert!(run(&sandbox, both, &Interrupt::default()).unwrap().success());
    assert_eq!(bytes, 60_000_000 + 8);
    assert!(lines > 5_000_000);
    let capped = Run {
        argv: ["sh", "-c", script].map(Into::into).into(),
        stdin: Stdin::Null,
        stdout: Output::Capture { limit: 5 },
        stderr: Output::Tail { limit: 4 },
    };
    let exit = run(&sandbox, capped, &Interrupt::default()).unwrap();
    assert_eq!(
        (&exit.stdout[..], &exit.stderr[..], exit.truncated),
        (&b"01234"[..], &b"fin\n"[..], true)
    );
}

#[test]
fn input_reaches_the_command() {
    let root = Root::new();
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let file = root.folder.path().join("out");
    let copy = Run {
        argv: vec!["cat".into()],
        stdin: Stdin::Bytes(bytes.clone()),
        stdout: Output::File(fs::File::create(&file).unwrap()),
        stderr: Output::Null,
    };
    assert!(
        run(&root.sandbox(), copy, &Interrupt::default())
            .unwrap()
            .success()
    );
    assert!(fs::read(file).unwrap() == bytes);
}

#[test]
fn usage_is_measured_and_limits_hold() {
    let root = Root::new();
    let mut sandbox = root.sandbox();
    let burn = "python3 -c 'x = bytearray(100 << 20); s = sum(range(5000000))'";
    let exit = sh_in(&sandbox, burn);
    assert!(exit.usage.user > Duration::from_millis(30), "{:?}", exit.usage);
    assert!(exit.usage.max_rss > 100 << 20, "{:?}", exit.usage);
    assert!(exit.usage.wall >= exit.usage.user / 8);
    sandbox.limits.memory = Some(50 << 20);
    assert!(!sh_in(&sandbox, burn).success());
    sandbox.limits.cpus = Some(1);
    assert_eq!(said(&sh_in(&sandbox, "nproc")), "1");
    sandbox.limits.processes = Some(3);
    assert!(!sh_in(&sandbox, "sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait").success());
    sandbox.limits.file_size = Some(1000);
    assert!(!sh_in(&sandbox, "head -c 2000 /dev/zero > /tmp/x").success());
}

#[test]
fn a_hundred_and_twenty_lowers_make_one_root() {
    let root = Root::new();
    let mut sandbox = root.sandbox();
    for number in 0..120 {
        let lower = root.folder.path().join(format!(
            "a-folder-with-a-rather-long-name-to-fill-a-page-of-options-{number}"
        ));
        fs::create_dir_all(lower.join("etc/parts")).unwrap();
        fs::write(lower.join(format!("etc/parts/{number}")), "").unwrap();
        fs::write(lower.join("etc/first"), number.to_string()).unwrap();
        hand_over(&lower).unwrap();
        sandbox.lowers.push(lower);
    }
    let exit = sh_in(
        &sandbox,
        "ls /etc/parts | wc -l; cat /etc/first; echo; stat -c %D /etc /etc/first | uniq | wc -l; cat /proc/self/mounts",
    );
    assert!(said(&exit).starts_with("120\n0\n1\n"), "{}", said(&exit));
    assert!(
        !said(&exit).contains("a-folder-with"),
        "the mount table shows host paths"
    );
}

#[test]
fn an_upper_folder_takes_what_is_written() {
    let root = Root::new();
    let upper = root.handed_over("upper");
    let mut sandbox = root.sandbox();
    sandbox.user = User::Root;
    sandbox.upper = Some(upper.clone());
    let exit = sh_in(
        &sandbox,
        "echo new > /etc/new; echo more >> /etc/passwd; rm -r /var; mkdir -p /build/x; cat /etc/passwd | wc -l",
    );
    assert_eq!(said(&exit), "3", "{}", String::from_utf8_lossy(&exit.stderr));
    take_back(&upper).unwrap();
    assert_eq!(fs::read_to_string(upper.join("etc/new")).unwrap(), "new\n");
    assert!(
        !upper.join("dev").exists() && !upper.join("proc").exists(),
        "mount points are not written to it"
    );
    assert!(!root.folder.path().join("upper.overlay-work").exists());
    assert_eq!(
        fs::read_to_string(root.lower().join("etc/passwd"))
            .unwrap()
            .lines()
            .count(),
        2
    );
}

#[test]
fn closed_parents_do_not_matter_and_mount_points_are_made() {
    let root = Root::new();
    let closed = root.folder.path().join("closed");
    fs::create_dir_all(closed.join("lower/etc")).unwrap();
    fs::write(closed.join("lower/etc/inside"), "seen\n").unwrap();
    fs::write(closed.join("file"), "a file\n").unwrap();
    fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();
    let mut sandbox = root.sandbox();
    sandbox.lowers.insert(0, closed.join("lower"));
    sandbox.binds.push(Bind {
        host: closed.join("file"),
        guest: path("/lib/deep/er/file"),
        writable: false,
    });
    sandbox.binds.push(Bind {
        host: closed.join("file"),
        guest: path("/etc/a/file"),
        writable: false,
    });
    sandbox.binds.push(Bind {
        host: closed.join("file"),
        guest: path("/tmp/b/file"),
        writable: false,
    });
    sandbox.binds.push(Bind {
        host: closed.join("lower"),
        guest: path("/tmp/c/d"),
        writable: false,
    });
    // Inside the bound /usr nothing can be made: an error, not a change of the host.
    let failed = run(&sandbox, Run::captured(["true"]), &Interrupt::default());
    assert!(matches!(failed, Err(Error::Setup { .. })), "{failed:?}");
    assert!(!Path::new("/usr/lib/deep").exists());
    sandbox
        .binds
        .retain(|bind| bind.guest != path("/lib/deep/er/file"));
    let exit = sh_in(
        &sandbox,
        "cat /etc/inside /etc/a/file /tmp/b/file; ls /tmp/c/d; echo x > /etc/a/file",
    );
    assert_eq!(
        said(&exit),
        "seen\na file\na file\netc",
        "{}",
        String::from_utf8_lossy(&exit.stderr)
    );
    // Not /usr, but a folder behind a link.
    let mut linked = root.sandbox();
    let lower = root.folder.path().join("linked");
    fs::create_dir_all(lower.join("real/part")).unwrap();
    fs::set_permissions(lower.join("real"), PermissionsExt::from_mode(0o751)).unwrap();
    symlink("real", lower.join("link")).unwrap();
    linked.lowers.insert(0, lower);
    linked.binds.push(Bind {
        host: closed.join("file"),
        guest: path("/link/new/file"),
        writable: false,
    });
    let exit = sh_in(
        &linked,
        "cat /real/new/file; test -L /link; echo $?; stat -c %a /real; ls /real",
    );
    assert_eq!(
        said(&exit),
        "a file\n0\n751\nnew\npart",
        "{}",
        String::from_utf8_lossy(&exit.stderr)
    );
}

/// The caller of [`killing_the_caller_kills_everything`]: a test binary of its own, killed while this runs.
#[test]
#[ignore = "started by killing_the_caller_kills_everything"]
fn caller_to_be_killed() {
    let word = std::env::var("KEEL_TEST_WORD").unwrap();
    let root = Root::new();
    let script = format!("setsid sleep {word} & trap '' TERM INT HUP; echo; sleep {word}");
    sh_in(&root.sandbox(), &script);
}

#[test]
fn killing_the_caller_kills_everything() {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    for round in 0..6 {
        let word = format!("{}", 200_000 + std::process::id() * 10 + round);
        let mut caller = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "caller_to_be_killed"])
            .env("KEEL_TEST_WORD", &word)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Once in full run, then at ever other moments of the set-up.
        let full = Instant::now();
        while round == 0 && !alive(&word) && full.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(round != 0 || alive(&word));
        std::thread::sleep(Duration::from_millis(3 * u64::from(round)));
        caller.kill().unwrap();
        caller.wait().unwrap();
        let killed = Instant::now();
        while alive(&word) && killed.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(!alive(&word), "round {round}: a process outlives its caller");
    }
    assert_eq!(fs::read_to_string("/proc/self/mounts").unwrap(), mounts);
}

#[test]
fn a_sandbox_starts_in_milliseconds() {
    let root = Root::new();
    let sandbox = root.sandbox();
    let mut times: Vec<Duration> = (0..10)
        .map(|_| {
            let started = Instant::now();
            assert!(
                run(&sandbox, Run::captured(["true"]), &Interrupt::default())
                    .unwrap()
                    .success()
            );
            started.elapsed()
        })
        .collect();
    times.sort();
    println!(
        "sandbox start to end: median {:?}, slowest {:?}",
        times[5], times[9]
    );
    assert!(times[5] < Duration::from_secs(1), "{times:?}");
}

/// Everything above, once more, by a user without any privilege. Needs root to become one.
#[test]
fn again_as_an_ordinary_user() {
    if !is_root() {
        println!("not root: the other tests have just run as an ordinary user");
        return;
    }
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o1777)).unwrap();
    let binary = folder.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid", "1001", "--regid", "1001", "--clear-groups"])
        .arg(&binary)
        .env("TMPDIR", folder.path())
        .current_dir("/")
        .output()
        .expect("setpriv is missing: apt install util-linux");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    println!("{}", String::from_utf8_lossy(&output.stdout));
}
