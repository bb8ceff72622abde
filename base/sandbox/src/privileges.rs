//! Limits, and giving up privileges.

use std::{io, os::fd::OwnedFd};

use rustix::{
    fs::{Mode, OFlags},
    process::{DumpableBehavior, Resource, Rlimit},
    thread::{CapabilitySet, CapabilitySets, CpuSet},
};

use crate::{
    Limits, User,
    wire::{Failure, Step},
};

/// What [`User::Root`] keeps: to administrate files and to change root; not to mount, trace, load or reach the network.
const OF_ROOT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::SYS_CHROOT);

/// The limits that are always the same, whatever the caller's own are, and those that the caller asks for.
pub(crate) fn set_limits(limits: &Limits, first_cpu: usize) -> Result<(), Failure> {
    set(Resource::Core, 0, Some(0))?;
    set(Resource::Nofile, 1024, None)?;
    set(Resource::Stack, 8 << 20, None)?;
    for (resource, limit) in [
        (Resource::Data, limits.memory),
        (Resource::Nproc, limits.processes),
        (Resource::Fsize, limits.file_size),
    ] {
        if let Some(limit) = limit {
            set(resource, limit, Some(limit))?;
        }
    }
    if let Some(wanted) = limits.cpus {
        let allowed = rustix::thread::sched_getaffinity(None).step(|| "ask for the CPUs".into())?;
        let chosen = choose(&allowed, wanted.max(1), first_cpu);
        rustix::thread::sched_setaffinity(None, &chosen).step(|| format!("take {wanted} CPUs"))?;
    }
    if limits.nice > 0 {
        rustix::process::nice(limits.nice).step(|| format!("be nicer by {}", limits.nice))?;
    }
    // When memory runs out, builds die before the caller does. Some containers forbid it, which is no harm.
    let _ = std::fs::write("/proc/self/oom_score_adj", "500");
    Ok(())
}

/// `wanted` of the allowed CPUs, from the `first` on, around.
fn choose(allowed: &CpuSet, wanted: usize, first: usize) -> CpuSet {
    let all: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
    let mut chosen = CpuSet::new();
    for cpu in all
        .iter()
        .cycle()
        .skip(first % all.len().max(1))
        .take(wanted.min(all.len()))
    {
        chosen.set(*cpu);
    }
    chosen
}

/// Sets a soft limit, and a hard one if given; never above the hard limit there is.
fn set(resource: Resource, soft: u64, hard: Option<u64>) -> Result<(), Failure> {
    let now = rustix::process::getrlimit(resource);
    let at_most = |value: u64| now.maximum.map_or(value, |maximum| value.min(maximum));
    let limit = Rlimit {
        current: Some(at_most(soft)),
        maximum: hard.map(at_most).or(now.maximum),
    };
    rustix::process::setrlimit(resource, limit).step(|| format!("limit {resource:?} to {soft}"))
}

/// No user namespace may be made inside this one: in it, the command could mount again. `sysctl` is the folder
/// `/proc/sys`, opened before it became read-only.
pub(crate) fn forbid_user_namespaces(sysctl: &OwnedFd) -> Result<(), Failure> {
    let step = || "forbid user namespaces".to_owned();
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(sysctl, "user/max_user_namespaces", flags, Mode::empty()).step(step)?;
    rustix::io::write(&file, b"0").step(step)?;
    Ok(())
}

/// After the change of user with kept capabilities: what is permitted becomes effective again.
pub(crate) fn raise_permitted() -> Result<(), Failure> {
    let step = || "use kept capabilities".to_owned();
    let mut sets = rustix::thread::capabilities(None).step(step)?;
    sets.effective = sets.permitted;
    rustix::thread::set_capabilities(None, sets).step(step)
}

/// Keeps only what the user is for, for ever: no set-id program and no file capability gives anything back.
pub(crate) fn drop_all(user: User) -> Result<(), Failure> {
    let kept = match user {
        User::Root => OF_ROOT,
        User::Builder => CapabilitySet::empty(),
    };
    for number in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if kept.contains(one) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(one) {
            Ok(()) => {}
            // The kernel's last capability is behind us.
            Err(rustix::io::Errno::INVAL) => break,
            Err(errno) => return Err(errno).step(|| format!("drop capability {number}")),
        }
    }
    rustix::thread::clear_ambient_capability_set().step(|| "drop ambient capabilities".into())?;
    let sets = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets).step(|| "drop capabilities".into())?;
    rustix::thread::set_no_new_privs(true).step(|| "give up new privileges".into())?;
    // The command may not trace this process, though both have one user.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(io::Error::from)
        .step(|| "hide this process".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_taken_around() {
        let mut allowed = CpuSet::new();
        for cpu in [1, 3, 5] {
            allowed.set(cpu);
        }
        for (wanted, first, expected) in [
            (1, 0, vec![1]),
            (1, 2, vec![5]),
            (2, 2, vec![1, 5]),
            (9, 7, vec![1, 3, 5]),
        ] {
            let chosen = choose(&allowed, wanted, first);
            let list: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| chosen.is_set(*cpu)).collect();
            assert_eq!(list, expected);
        }
    }
}
