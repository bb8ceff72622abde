//! System calls that no build needs, and that would touch what namespaces do not divide: kernel modules, clocks, keyrings,
//! tracing of the kernel, interfaces with a history of holes.
//!
//! It is a deny list: a call that the kernel will have tomorrow is allowed until it stands here, because a build must not
//! fail by the age of this list. What matters is denied by namespaces and missing capabilities already; this is the second
//! wall. Numbers of the x32 interface (bit 30) are denied alike, and other architectures' interfaces end the process
//! (seccomp(2)), since the list would not hold there.

use std::{collections::BTreeMap, io};

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use crate::wire::{Failure, Step};

/// "Not permitted": a program asks for what only an administrator of a machine does.
const PRIVILEGED: &[libc::c_long] = &[
    // Mounts: the old calls and the new ones.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    // The kernel itself.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_vhangup,
    // Clocks of the machine.
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    // Files by number instead of by name: around every mount.
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
];

/// The same, of one architecture.
#[cfg(target_arch = "x86_64")]
const PRIVILEGED_HERE: &[libc::c_long] = &[libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt];
#[cfg(not(target_arch = "x86_64"))]
const PRIVILEGED_HERE: &[libc::c_long] = &[];

/// "No such call": programs that use them ask whether they are there, and do without.
const ABSENT: &[libc::c_long] = &[
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // Keyrings belong to users, not to namespaces.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
];

/// Changes of owners.
const OWNERS: &[libc::c_long] = &[libc::SYS_fchown, libc::SYS_fchownat];

/// The same, of one architecture.
#[cfg(target_arch = "x86_64")]
const OWNERS_HERE: &[libc::c_long] = &[libc::SYS_chown, libc::SYS_lchown];
#[cfg(not(target_arch = "x86_64"))]
const OWNERS_HERE: &[libc::c_long] = &[];

/// ioctl(2) that put characters into a terminal as if somebody had typed them.
const TYPING: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

/// Families of sockets that a build may have: of its own machine, which has a loopback only, and of the kernel's tables.
const FAMILIES: [libc::c_int; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// personality(2): the usual one, 32 bits, without random addresses (debuggers, emacs), and the question which it is.
const PERSONALITIES: [u64; 4] = [0, 0x0008, 0x0004_0000, 0xffff_ffff];

/// The bit of the x32 interface.
const X32: i64 = 0x4000_0000;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// For this process and all that come of it, for ever. With `ignore_owners`, changes of owners "succeed" without being made:
/// an error of 0 is success (seccomp(2), `SECCOMP_RET_ERRNO`).
pub(crate) fn deny(ignore_owners: bool) -> Result<(), Failure> {
    let lists = lists().map_err(io::Error::other);
    let mut lists: Vec<(i32, Rules)> = lists.step(|| "list system calls".into())?.into();
    if ignore_owners {
        lists.push((0, whole(&[OWNERS, OWNERS_HERE].concat())));
    }
    for (errno, rules) in lists {
        let arch = std::env::consts::ARCH.try_into();
        let filter = arch.and_then(|arch| {
            let deny = SeccompAction::Errno(errno.unsigned_abs());
            SeccompFilter::new(rules, SeccompAction::Allow, deny, arch)
        });
        let program = filter.and_then(BpfProgram::try_from);
        let program = program.map_err(io::Error::other);
        let program = program.step(|| "make a filter of system calls".into())?;
        let applied = seccompiler::apply_filter(&program).map_err(io::Error::other);
        applied.step(|| "deny system calls".into())?;
    }
    Ok(())
}

/// What is denied, and with which error.
fn lists() -> Result<[(i32, Rules); 3], seccompiler::BackendError> {
    let mut privileged = whole(&[PRIVILEGED, PRIVILEGED_HERE].concat());
    let typing = TYPING
        .iter()
        // The kernel looks at 32 bits of it.
        .map(|request| SeccompRule::new(vec![SeccompCondition::new(1, Len::Dword, Op::Eq, *request)?]));
    add(
        &mut privileged,
        libc::SYS_ioctl,
        typing.collect::<Result<_, _>>()?,
    );
    let personality = none_of(0, &PERSONALITIES)?;
    add(&mut privileged, libc::SYS_personality, vec![personality]);

    let mut families = Rules::new();
    let known = FAMILIES.map(|family| u64::from(family.unsigned_abs()));
    add(&mut families, libc::SYS_socket, vec![none_of(0, &known)?]);
    add(&mut families, libc::SYS_socketpair, vec![none_of(0, &known)?]);

    Ok([
        (libc::EPERM, privileged),
        (libc::ENOSYS, whole(ABSENT)),
        (libc::EAFNOSUPPORT, families),
    ])
}

/// Calls that are denied whatever their arguments.
fn whole(calls: &[libc::c_long]) -> Rules {
    let mut rules = Rules::new();
    for call in calls {
        add(&mut rules, *call, Vec::new());
    }
    rules
}

fn add(rules: &mut Rules, call: libc::c_long, chain: Vec<SeccompRule>) {
    if cfg!(target_arch = "x86_64") {
        rules.insert(call | X32, chain.clone());
    }
    rules.insert(call, chain);
}

/// An argument of 32 bits has none of these values.
fn none_of(argument: u8, values: &[u64]) -> Result<SeccompRule, seccompiler::BackendError> {
    let conditions = values
        .iter()
        .map(|value| SeccompCondition::new(argument, Len::Dword, Op::Ne, *value));
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}
