//! Which rpm a folder of macros belongs to.

use crate::macros::{
    Behaviour,
    text::{is_space, trim_start},
};

/// A macro of rpm's own `macros` file, the rpm that is followed where it is defined, and why. The first one that is there
/// decides.
const MARKS: [(&str, Behaviour, &str); 3] = [
    (
        "_rpmformat",
        Behaviour::Rpm6,
        "rpm 6 can write packages of two formats",
    ),
    (
        "_smp_tasksize_proc",
        Behaviour::Rpm420,
        "since 4.19 memory limits how much is built at once; 4.19 is nearer to 4.20 than to 4.18",
    ),
    (
        "_buildrootdir",
        Behaviour::Rpm418,
        "up to 4.19 build roots have a folder of their own",
    ),
];

/// The rpm that a `macros` file is of, if it can be told.
pub(super) fn of(macros: &str) -> Option<Behaviour> {
    let defines = |name: &str| {
        macros.lines().any(|line| {
            let rest = trim_start(line).strip_prefix('%').map(trim_start);
            let after = rest.and_then(|rest| rest.strip_prefix(name));
            after.is_some_and(|after| after.bytes().next().is_some_and(is_space))
        })
    };
    let mark = MARKS.iter().find(|(name, ..)| defines(name));
    mark.map(|(_, behaviour, _)| *behaviour)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macros_tell_which_rpm_they_are_of() {
        use Behaviour::{Rpm6, Rpm418, Rpm420};
        for (macros, behaviour) in [
            ("%a b\n%_buildrootdir\t%{_topdir}/x\n", Some(Rpm418)),
            ("%_smp_tasksize_proc 512\n", Some(Rpm420)),
            // 4.19 has both.
            ("%_buildrootdir x\n\t%_smp_tasksize_proc 512\n", Some(Rpm420)),
            ("%_smp_tasksize_proc 512\n%_rpmformat 6\n", Some(Rpm6)),
            (
                "#%_rpmformat 6\n%_rpmformats 6\n%x %_rpmformat 6\n%_rpmformat\n",
                None,
            ),
            ("", None),
        ] {
            assert_eq!(of(macros), behaviour, "{macros:?}");
        }
        for (name, behaviour, _) in MARKS {
            assert_eq!(of(&format!("%{name} 1\n")), Some(behaviour));
        }
    }
}
