//! What a command sees, is and may not do.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use keel_artefact::Interrupt;
use keel_sandbox::{Bind, Error, Run, User, owner, run, take_back};

use crate::{Root, path, said, sh, sh_in, user};

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
