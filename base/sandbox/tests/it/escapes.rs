//! Programs that try to get out, or to take what is not theirs: each must end as the kernel's refusal says, and the host be
//! what it was.

use std::{
    fs,
    os::unix::net::UnixListener,
    time::{Duration, Instant},
};

use keel_artefact::Interrupt;
use keel_sandbox::{Bind, Disk, Run, Sandbox, Status, User, run};

use crate::{Root, path, running::alive, said};

/// For all programs: system calls by number, which print how they were refused.
const PRELUDE: &str = r#"
import ctypes, errno, os, signal, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(number, *args):
    args = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    if libc.syscall(ctypes.c_long(number), *args) >= 0: print("ESCAPED")
    else: print(errno.errorcode[ctypes.get_errno()])
def attempt(what):
    try: what(); print("ESCAPED")
    except OSError as e: print(errno.errorcode[e.errno])
    except MemoryError: print("MemoryError")
HOST = int(sys.argv[1]); SECRET = sys.argv[2]; SOCKET = sys.argv[3]
"#;

/// Name, program, and what it must say: one of these words alone.
const REFUSED: &[(&str, &str, &[&str])] = &[
    // Other processes.
    ("trace the first process", "call(101, 16, 1, 0, 0)", &["EPERM"]),
    (
        "trace a process of the host",
        "call(101, 16, HOST, 0, 0)",
        &["ESRCH"],
    ),
    (
        "seize the first process",
        "call(101, 0x4206, 1, 0, 0)",
        &["EPERM"],
    ),
    (
        "read the first process's memory",
        "attempt(lambda: open('/proc/1/mem','rb').read(1))",
        &["EACCES", "EPERM"],
    ),
    (
        "enter the first process's root",
        "attempt(lambda: os.listdir('/proc/1/root/'))",
        &["EACCES", "EPERM"],
    ),
    (
        "take a file of the first process",
        "attempt(lambda: os.listdir('/proc/1/fd'))",
        &["EACCES", "EPERM"],
    ),
    (
        "copy memory of the first process",
        "b = ctypes.create_string_buffer(8); v = struct.pack('PN', ctypes.addressof(b), 8); call(310, 1, v, 1, v, 1, 0)",
        &["EPERM"],
    ),
    (
        "hold a process of the host",
        "attempt(lambda: os.pidfd_open(HOST))",
        &["ESRCH"],
    ),
    (
        "kill a process of the host",
        "attempt(lambda: os.kill(HOST, 9))",
        &["ESRCH"],
    ),
    (
        "kill the first process",
        "os.kill(1, 9); print('EIGNORED')",
        &["EIGNORED"],
    ),
    // Mounts and namespaces.
    (
        "mount memory",
        "call(165, b'x', b'/tmp', b'tmpfs', 0, 0)",
        &["EPERM"],
    ),
    (
        "make the root writable",
        "call(165, 0, b'/', 0, 4096 | 32, 0)",
        &["EPERM"],
    ),
    ("uncover a folder", "call(166, b'/proc/sys', 2)", &["EPERM"]),
    ("mount by the new calls", "call(430, b'tmpfs', 0)", &["EPERM"]),
    ("copy a mount", "call(428, -100, b'/', 1)", &["EPERM"]),
    (
        "change attributes of a mount",
        "call(442, -100, b'/', 0, 0, 0)",
        &["EPERM"],
    ),
    ("change the root by pivot", "call(155, b'.', b'.')", &["EPERM"]),
    (
        "make a user namespace",
        "call(272, 0x10000000)",
        &["ENOSPC", "EPERM"],
    ),
    ("make a mount namespace", "call(272, 0x00020000)", &["EPERM"]),
    (
        "enter another namespace",
        "call(308, os.open('/proc/self/ns/net', 0), 0)",
        &["EPERM"],
    ),
    (
        "mount by the x32 interface",
        "call(0x40000000 | 165, b'x', b'/tmp', b'tmpfs', 0, 0)",
        &["EPERM", "ENOSYS"],
    ),
    // The kernel.
    (
        "change a setting of the kernel",
        "attempt(lambda: open('/proc/sys/kernel/core_pattern','w'))",
        &["EROFS", "EACCES"],
    ),
    (
        "press a magic key",
        "attempt(lambda: open('/proc/sysrq-trigger','w'))",
        // Some kernels have none.
        &["EACCES", "EROFS", "ENOENT"],
    ),
    ("load a module", "call(175, b'x', 1, b'')", &["EPERM"]),
    ("load another kernel", "call(246, 0, 0, 0, 0)", &["EPERM"]),
    (
        "restart the machine",
        "call(169, 0xfee1dead, 672274793, 0x1234567, 0)",
        &["EPERM"],
    ),
    (
        "read the kernel's log",
        "call(103, 3, ctypes.create_string_buffer(64), 64)",
        &["EPERM"],
    ),
    (
        "load a program into the kernel",
        "call(321, 0, 0, 0)",
        &["ENOSYS"],
    ),
    ("watch the processor", "call(298, 0, 0, -1, -1, 0)", &["ENOSYS"]),
    ("handle page faults", "call(323, 0)", &["ENOSYS"]),
    (
        "use rings of the kernel",
        "call(425, 8, ctypes.create_string_buffer(256))",
        &["ENOSYS"],
    ),
    (
        "set the clock",
        "call(227, 0, struct.pack('qq', 0, 0))",
        &["EPERM"],
    ),
    (
        "bend the clock",
        "call(159, ctypes.create_string_buffer(256))",
        &["EPERM"],
    ),
    (
        "put a key into a keyring",
        "call(248, b'user', b'keel', b'x', 1, -3)",
        &["ENOSYS"],
    ),
    ("read a keyring", "call(250, 0, -3, 0)", &["ENOSYS"]),
    ("swap", "call(167, b'/tmp/x', 0)", &["EPERM"]),
    ("ports of the processor", "call(172, 3)", &["EPERM"]),
    (
        "type into a terminal",
        "call(16, os.openpty()[0], 0x5412, b'x')",
        &["EPERM"],
    ),
    (
        "name the machine",
        "attempt(lambda: socket.sethostname('x'))",
        &["EPERM"],
    ),
    (
        "be more important",
        "attempt(lambda: os.nice(-5))",
        &["EPERM", "EACCES"],
    ),
    // Files.
    (
        "read a file of the host",
        "attempt(lambda: open(SECRET))",
        &["ENOENT"],
    ),
    ("open a file by number", "call(304, 3, b'x' * 64, 0)", &["EPERM"]),
    (
        "make a device of the disk",
        "attempt(lambda: os.mknod('/tmp/disk', 0o60666, os.makedev(8, 0)))",
        &["EPERM", "EACCES"],
    ),
    (
        "open the kernel's memory",
        "attempt(lambda: open('/dev/mem'))",
        &["ENOENT"],
    ),
    (
        "write what is read-only, by its number",
        "attempt(lambda: open('/proc/self/fd/%d' % os.open('/etc/passwd', 0), 'r+'))",
        &["EROFS", "EACCES"],
    ),
    (
        "write where only reading is",
        "attempt(lambda: open('/usr/keel-was-here', 'w'))",
        &["EROFS", "EACCES"],
    ),
    (
        "link out of the root",
        "os.symlink(SECRET, '/tmp/out'); attempt(lambda: open('/tmp/out'))",
        &["ENOENT"],
    ),
    (
        "climb out",
        "attempt(lambda: open('../' * 40 + SECRET))",
        &["ENOENT"],
    ),
    // The network.
    (
        "a raw socket",
        "attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))",
        &["EPERM"],
    ),
    (
        "a packet socket",
        "attempt(lambda: socket.socket(17, socket.SOCK_RAW, 0))",
        &["EAFNOSUPPORT"],
    ),
    (
        "a socket to the hypervisor",
        "attempt(lambda: socket.socket(40, socket.SOCK_STREAM, 0))",
        &["EAFNOSUPPORT"],
    ),
    (
        "a socket into the kernel's cryptography",
        "attempt(lambda: socket.socket(38, socket.SOCK_SEQPACKET, 0))",
        &["EAFNOSUPPORT"],
    ),
    (
        "reach the world",
        "attempt(lambda: socket.create_connection(('192.0.2.1', 80), 2))",
        &["ENETUNREACH"],
    ),
    (
        "an abstract socket of the host",
        "s = socket.socket(socket.AF_UNIX)\nattempt(lambda: s.connect('\\0' + SOCKET))",
        &["ECONNREFUSED", "EPERM"],
    ),
];

fn python(sandbox: &Sandbox, program: &str, arguments: [&str; 3]) -> keel_sandbox::Exit {
    let program = format!("{PRELUDE}{program}");
    let argv = ["python3", "-c", &program].into_iter().chain(arguments);
    run(sandbox, Run::captured(argv), &Interrupt::default()).unwrap()
}

#[test]
#[cfg(target_arch = "x86_64")] // the numbers of the calls
fn who_tries_to_get_out_is_refused() {
    use std::os::linux::net::SocketAddrExt as _;
    let root = Root::new();
    let secret = root.folder.path().join("secret");
    fs::write(&secret, "x").unwrap();
    let name = format!("keel-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let pid = std::process::id().to_string();
    let mut wrong = Vec::new();
    for who in [User::Builder, User::Root] {
        for (what, program, expected) in REFUSED {
            let mut sandbox = root.sandbox();
            sandbox.user = who;
            let exit = python(&sandbox, program, [&pid, secret.to_str().unwrap(), &name]);
            let said = said(&exit);
            if !expected.contains(&said.as_str()) {
                let error = String::from_utf8_lossy(&exit.stderr);
                wrong.push(format!("{who:?}: {what}: {said} ({:?}, {error})", exit.status));
            }
        }
    }
    assert!(REFUSED.len() >= 40);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_interface_of_other_processors_ends_the_process() {
    // getpid by `int 0x80`, which is the interface of 32 bits.
    let program =
        "import mmap; m = mmap.mmap(-1, 4096, prot=7); m.write(b'\\xb8\\x14\\0\\0\\0\\xcd\\x80\\xc3')
f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m))); f(); print('ESCAPED')";
    let root = Root::new();
    let exit = python(&root.sandbox(), program, ["0", "", ""]);
    assert_eq!((exit.status, said(&exit).as_str()), (Status::Signal(31), ""));
}

#[test]
fn a_set_id_program_gives_nothing() {
    let root = Root::new();
    let folder = root.handed_over("out");
    fs::copy("/usr/bin/id", folder.join("id")).unwrap();
    keel_sandbox::hand_over(&folder).unwrap();
    let mut sandbox = root.sandbox();
    sandbox.binds.push(bind(&folder));
    let exit = run(
        &sandbox,
        Run::captured(["sh", "-c", "chmod 6755 /build/id; /build/id -u; /build/id -g"]),
        &Interrupt::default(),
    )
    .unwrap();
    assert_eq!(said(&exit), "1000\n1000");
}

/// The way out of every chroot that has a folder open: it leads to the sandbox's own root, and no further.
#[test]
fn leaving_a_chroot_leads_to_the_sandboxs_root() {
    let root = Root::new();
    fs::write(root.folder.path().join("secret"), "x").unwrap();
    let mut sandbox = root.sandbox();
    sandbox.user = User::Root;
    let program = "os.mkdir('/tmp/x'); fd = os.open('/', 0); os.chroot('/tmp/x'); os.fchdir(fd)
for _ in range(60): os.chdir('..')
os.chroot('.')
print(sorted(os.listdir('/')), os.path.exists(SECRET))";
    let secret = root.folder.path().join("secret");
    let exit = python(&sandbox, program, ["0", secret.to_str().unwrap(), ""]);
    let said = said(&exit);
    assert!(said.contains("'usr'") && said.ends_with("False"), "{said}");
}

#[test]
fn a_bomb_of_processes_is_bounded_and_dies() {
    let root = Root::new();
    let mut sandbox = root.sandbox();
    sandbox.limits.processes = Some(60);
    sandbox.limits.wall = Some(Duration::from_secs(3));
    // A word that can be found from outside.
    let word = format!("1234.{}", std::process::id());
    let script = format!("bomb() {{ sleep {word} & bomb | bomb & }}; bomb; sleep 1");
    let started = Instant::now();
    let exit = run(
        &sandbox,
        Run::captured(["sh", "-c", &script]),
        &Interrupt::default(),
    )
    .unwrap();
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", exit.status);
    assert!(!alive(&word));
}

fn bind(folder: &std::path::Path) -> Bind {
    Bind {
        host: folder.to_owned(),
        guest: path("/build"),
        writable: true,
    }
}

/// Runs a program that wants 30 GB, in a sandbox that may have a few MB; how it ended, and how much there was then.
fn greedy(script: &str) -> (Status, u64, u64) {
    let root = Root::new();
    let folder = root.handed_over("out");
    let mut sandbox = root.sandbox();
    sandbox.binds.push(bind(&folder));
    sandbox.limits.disk = Some(Disk {
        bytes: 64 << 20,
        files: 2_000,
    });
    sandbox.limits.wall = Some(Duration::from_secs(120));
    let exit = run(
        &sandbox,
        Run::captured(["sh", "-c", script]),
        &Interrupt::default(),
    )
    .unwrap();
    let opened = std::process::Command::new("chmod")
        .args(["-R", "u+rwx"])
        .arg(&folder)
        .status();
    assert!(opened.unwrap().success());
    let (mut bytes, mut files) = (0, 0);
    for entry in fs::read_dir(&folder).unwrap().flatten() {
        files += 1;
        bytes += std::os::unix::fs::MetadataExt::blocks(&entry.metadata().unwrap()) * 512;
    }
    (exit.status, bytes, files)
}

#[test]
fn thirty_gigabytes_are_not_written() {
    let (status, bytes, _) = greedy("head -c 30G /dev/zero > /build/one");
    assert_eq!(status, Status::DiskFull);
    assert!(bytes < 8 << 30, "{bytes}");
}

#[test]
fn thirty_gigabytes_are_not_written_in_a_million_files() {
    let (status, _, files) =
        greedy("cd /build; i=0; while [ $i -lt 1000000 ]; do head -c 30000 /dev/zero > $i; i=$((i+1)); done");
    assert_eq!(status, Status::DiskFull);
    assert!(files < 200_000, "{files}");
}

#[test]
fn a_million_empty_files_are_not_made() {
    let (status, _, files) = greedy("cd /build; i=0; while [ $i -lt 1000000 ]; do : > $i; i=$((i+1)); done");
    assert_eq!(status, Status::DiskFull);
    assert!(files < 500_000, "{files}");
}

/// What the caller cannot look into is bounded, too: folders that are deeper than a path is long, and closed ones.
#[test]
fn folders_that_cannot_be_read_hide_nothing() {
    let deep = "cd /build; n=$(head -c 200 /dev/zero | tr '\\0' d); i=0; \
                while [ $i -lt 25 ]; do mkdir $n; cd $n; i=$((i+1)); done; exec head -c 30G /dev/zero > x";
    let closed = "mkdir -m 0300 /build/d; exec head -c 30G /dev/zero > /build/d/x";
    for script in [deep, closed] {
        let (status, ..) = greedy(script);
        assert_eq!(status, Status::DiskFull, "{script}");
    }
}

#[test]
fn a_file_without_a_name_counts() {
    let (status, ..) = greedy("exec 3> /build/x; rm /build/x; head -c 30G /dev/zero >&3");
    assert_eq!(status, Status::DiskFull);
}

#[test]
fn what_is_within_the_bound_is_not_disturbed() {
    let (status, bytes, files) = greedy(
        "head -c 30M /dev/zero > /build/a; head -c 20M /dev/zero > /build/b; rm /build/b; head -c 20M /dev/zero > /build/c",
    );
    assert_eq!((status, files), (Status::Code(0), 2));
    assert!(bytes >= 50 << 20);
}

#[test]
fn memory_is_bounded_for_each_process_and_each_folder() {
    let root = Root::new();
    let mut sandbox = root.sandbox();
    sandbox.limits.memory = Some(512 << 20);
    sandbox.limits.tmpfs = Some(8 << 20);
    let exit = python(&sandbox, "attempt(lambda: bytearray(30 << 30))", ["0", "", ""]);
    assert_eq!(said(&exit), "MemoryError");
    for folder in ["/tmp", "/var/tmp", "/dev/shm"] {
        let program = format!(
            "f = open('{folder}/x', 'wb', 0)\nfor _ in range(8): f.write(bytes(1 << 20))\nattempt(lambda: f.write(bytes(1 << 20)))"
        );
        let exit = python(&sandbox, &program, ["0", "", ""]);
        assert_eq!(said(&exit), "ENOSPC", "{folder}");
    }
}

/// Where the machine lets the caller make control groups, memory is bounded for all together.
#[test]
fn memory_is_bounded_for_all_together() {
    let root = Root::new();
    let mut sandbox = root.sandbox();
    sandbox.limits.total_memory = Some(100 << 20);
    // Ten processes with 40 MB each, which they touch.
    let program = "for _ in range(10):
    if os.fork() == 0:
        b = bytearray(os.urandom(1 << 20) * 40); signal.pause()
codes = [os.wait()[1] for _ in range(1)]; sys.exit(3)";
    sandbox.limits.wall = Some(Duration::from_secs(20));
    let exit = python(&sandbox, program, ["0", "", ""]);
    let has_groups = crate::is_root() && fs::metadata("/sys/fs/cgroup/memory").is_ok();
    if has_groups {
        assert_eq!(exit.status, Status::OutOfMemory);
    } else {
        assert_eq!(exit.status, Status::TimedOut);
    }
    // No group outlives its sandbox.
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let memory = own.lines().find_map(|line| line.split_once(":memory:"));
    if let Some((_, group)) = memory {
        let name = format!("keel-{}-", std::process::id());
        let left = fs::read_dir(format!("/sys/fs/cgroup/memory{group}"));
        let left = left.into_iter().flatten().flatten();
        assert_eq!(
            left.filter(|entry| entry.file_name().to_string_lossy().starts_with(&name))
                .count(),
            0
        );
    }
}
