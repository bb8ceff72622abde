//! File capabilities: rpm keeps them as text (cap_from_text(3)), file systems as `security.capability`
//! (`struct vfs_cap_data`, include/uapi/linux/capability.h).

/// Bit number by name (include/uapi/linux/capability.h of Linux 6.12).
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];
/// Version 2 of the attribute: 64 bits each, no user namespace.
const REVISION_2: u32 = 0x0200_0000;
const EFFECTIVE: u32 = 1;

/// The attribute's value; none when the text sets nothing, an error's reason when it cannot be read.
pub(crate) fn attribute(text: &str) -> Result<Option<Vec<u8>>, String> {
    let (mut effective, mut permitted, mut inheritable) = (0_u64, 0_u64, 0_u64);
    for clause in text.split_whitespace() {
        let at = clause
            .find(['=', '+', '-'])
            .ok_or_else(|| format!("`{clause}` has no operator"))?;
        let (names, mut rest) = clause.split_at(at);
        let mask = mask(names)?;
        while let Some(operator) = rest.chars().next() {
            let end = rest[1..].find(['=', '+', '-']).map_or(rest.len(), |at| at + 1);
            let flags = &rest[1..end];
            rest = &rest[end..];
            for (letter, set) in [
                ('e', &mut effective),
                ('p', &mut permitted),
                ('i', &mut inheritable),
            ] {
                let named = flags.contains(letter);
                match operator {
                    '=' if named => *set |= mask,
                    '=' => *set &= !mask,
                    '+' if named => *set |= mask,
                    '-' if named => *set &= !mask,
                    _ => {}
                }
            }
            if let Some(other) = flags.chars().find(|c| !"eip".contains(*c)) {
                return Err(format!("unknown flag `{other}`"));
            }
        }
    }
    if permitted | inheritable == 0 {
        return Ok(None);
    }
    // A file's effective set is one bit: all that is permitted or inherited becomes effective, or nothing.
    if effective != 0 && effective != permitted | inheritable {
        return Err("the effective set must be empty or all of the others".into());
    }
    let mut value = (REVISION_2 | if effective == 0 { 0 } else { EFFECTIVE })
        .to_le_bytes()
        .to_vec();
    for shift in [0, 32] {
        value.extend(((permitted >> shift) as u32).to_le_bytes());
        value.extend(((inheritable >> shift) as u32).to_le_bytes());
    }
    Ok(Some(value))
}

/// The capabilities that an attribute lets a program have, by name; none: it is no such attribute.
pub(crate) fn told(value: &[u8]) -> Option<Vec<String>> {
    let word = |at: usize| {
        value
            .get(at..at + 4)
            .and_then(|bytes| bytes.try_into().ok())
            .map(u32::from_le_bytes)
    };
    // Revision 3 has a user namespace at its end.
    if !matches!((word(0)? >> 24, value.len()), (2, 20) | (3, 24)) {
        return None;
    }
    let (low, high) = (word(4)? | word(8)?, word(12)? | word(16)?);
    let set = u64::from(low) | u64::from(high) << 32;
    let name = |bit: usize| {
        NAMES
            .get(bit)
            .map_or_else(|| bit.to_string(), |name| format!("cap_{name}"))
    };
    Some((0..64).filter(|bit| set >> bit & 1 == 1).map(name).collect())
}

fn mask(names: &str) -> Result<u64, String> {
    if names.is_empty() || names == "all" {
        return Ok((1 << NAMES.len()) - 1);
    }
    names.split(',').try_fold(0, |mask, name| {
        let bare = name.strip_prefix("cap_").unwrap_or(name);
        let bit = NAMES.iter().position(|known| *known == bare);
        bit.map(|bit| mask | 1 << bit)
            .ok_or_else(|| format!("unknown capability `{name}`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_setcap() {
        // As `setcap TEXT file; getfattr -e hex -n security.capability file` shows them.
        for (text, value) in [
            (
                "cap_net_raw=ep",
                Ok(Some("0100000200200000000000000000000000000000")),
            ),
            (
                "= cap_net_raw+ep",
                Ok(Some("0100000200200000000000000000000000000000")),
            ),
            (
                "cap_setuid,cap_bpf=p",
                Ok(Some("0000000280000000000000008000000000000000")),
            ),
            (
                "cap_net_bind_service=i",
                Ok(Some("0000000200000000000400000000000000000000")),
            ),
            ("=", Ok(None)),
            ("", Ok(None)),
            ("cap_nonsense=ep", Err("unknown capability `cap_nonsense`")),
            ("cap_kill=x", Err("unknown flag `x`")),
            ("cap_kill", Err("`cap_kill` has no operator")),
        ] {
            if let Ok(Some(bytes)) = attribute(text) {
                let names = told(&bytes).unwrap().join(",");
                assert_eq!(
                    names,
                    text.trim_start_matches("= ").split(['=', '+']).next().unwrap()
                );
            }
            let found = attribute(text).map(|value| value.map(|bytes| hex(&bytes)));
            assert_eq!(
                found.as_ref().map(Option::as_deref).map_err(String::as_str),
                value,
                "{text}"
            );
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
