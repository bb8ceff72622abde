//! Object files and static libraries: what is linked into other programs.

use crate::fixture::{build, check, found, spec};

/// Compiles `f.c`, in which is one function, to `path`.
fn object(path: &str, flags: &str) -> String {
    format!(
        "echo 'int f(int n) {{ return n * n; }}' > %{{_builddir}}/f.c; gcc -O2 -c %{{_builddir}}/f.c -o .{path} {flags}\n"
    )
}

/// `strip` as the macros of Keel Linux call it (`_keel_strip_lto`).
const STRIP: &str = "strip -p -R '.gnu.lto_*' -R '.gnu.debuglto_*' -N __gnu_lto_v1";

#[test]
fn objects_are_marked_and_without_what_an_optimiser_reads() {
    let lib = "/usr/lib64";
    let install = [
        object(&format!("{lib}/good.o"), "-fcf-protection=full"),
        object(&format!("{lib}/unmarked.o"), "-fcf-protection=none"),
        object(
            &format!("{lib}/fat.o"),
            "-fcf-protection=full -flto -ffat-lto-objects",
        ),
        object(
            &format!("{lib}/slim.o"),
            "-fcf-protection=full -flto -fno-fat-lto-objects",
        ),
        format!("cd .{lib}; for kind in good unmarked fat slim; do ar rcD lib$kind.a good.o $kind.o; done\n"),
        format!("for kind in fat slim; do cp lib$kind.a $kind-stripped.a; {STRIP} $kind-stripped.a; done\n"),
        // A start file for the kernel's modules is nobody's business.
        "mkdir -p ../lib/modules/1; cp unmarked.o ../lib/modules/1/x.ko\n".to_owned(),
        "echo 'no archive' > libscript.a; printf '!<arch>\\nand then nothing' > libbroken.a".to_owned(),
    ]
    .concat();
    let tags = "%global __os_install_post %{nil}\n%global debug_package %{nil}";
    let all = build(&spec("objects", tags, &install, "/usr/lib64/*\n/usr/lib/modules"));
    let found = found(&check(&all));
    for (path, rules) in [
        ("good.o", &[][..]),
        ("unmarked.o", &["object-no-control-flow"]),
        ("fat.o", &["object-lto"]),
        ("slim.o", &["object-lto"]),
        ("libgood.a", &[]),
        ("libunmarked.a", &["object-no-control-flow"]),
        ("libfat.a", &["object-lto"]),
        ("libslim.a", &["object-lto"]),
        ("fat-stripped.a", &[]),
        // Nothing is left in it: the mark of such objects outlives the strip.
        ("slim-stripped.a", &["object-lto"]),
        ("libscript.a", &[]),
        ("libbroken.a", &[]),
        ("../lib/modules/1/x.ko", &[]),
    ] {
        let path = match path.strip_prefix("../") {
            Some(rest) => format!("/usr/{rest}"),
            None => format!("{lib}/{path}"),
        };
        let end = format!(" objects {path}");
        let told = found.iter().filter_map(|text| text.strip_suffix(&end));
        let told: Vec<&str> = told.filter(|rule| rule.starts_with("object-")).collect();
        assert_eq!(told, rules, "{path}: {found:?}");
    }
}
