//! Rules about two builds of one package.

use keel_inspect::{Package, Policy, check::versions};

use crate::fixture::{binary, build, found, spec};

/// A library with these functions and a table of `size` numbers.
fn library(functions: &[&str], size: usize, soname: &str, extra: &str) -> Vec<Package> {
    let code: String = functions
        .iter()
        .map(|name| format!("int {name}(void) {{ return 1; }} "))
        .collect();
    let install = format!(
        "echo '{code} int table[{size}] = {{1}};' > %{{_builddir}}/l.c\n\
         echo 'V_1 {{ global: *; }};' > %{{_builddir}}/l.map\n\
         gcc -shared -fPIC %{{_builddir}}/l.c -o usr/lib64/{soname} -Wl,-soname,{soname} -Wl,--version-script=%{{_builddir}}/l.map\n\
         chmod 755 usr/lib64/{soname}; mkdir -p usr/share/x; {extra}"
    );
    build(&spec(
        "lib",
        "Requires: other",
        &install,
        "/usr/lib64/*\n/usr/share/x",
    ))
}

#[test]
fn what_is_published_still_runs() {
    let old = library(&["one", "two", "three"], 4, "libl.so.1", "");
    let same = versions(&old, &old, &Policy::default());
    assert!(same.1.0.is_empty() && same.0[0].is_empty(), "{same:?}");

    let new = library(
        &["one", "three", "four"],
        8,
        "libl.so.1",
        "head -c 200000 /dev/zero > usr/share/x/large",
    );
    let (differences, findings) = versions(&old, &new, &Policy::default());
    let library = &differences[0].libraries[0];
    assert_eq!(library.gone, ["two@V_1"]);
    assert_eq!(library.new, ["four@V_1"]);
    assert_eq!(library.changed, ["table@V_1: 32 bytes, were 16"]);
    let mut rules = found(&findings);
    rules.sort();
    let expected = [
        "abi-break lib /usr/lib64/libl.so.1",
        "files-changed lib -",
        "size-changed lib -",
        "symbols-new lib /usr/lib64/libl.so.1",
    ];
    assert_eq!(rules, expected);

    let mut new = library_named_anew();
    let facts = binary(&mut new, "lib");
    facts.info.requires.retain(|need| need.name != "other");
    let (_, findings) = versions(&old, &new, &Policy::default());
    let found = found(&findings);
    for rule in ["soname-gone", "capabilities-changed", "requirements-changed"] {
        assert!(
            found.iter().any(|text| text.starts_with(rule)),
            "{rule}: {found:?}"
        );
    }
    assert!(
        found.iter().all(|text| !text.starts_with("abi-break")),
        "{found:?}"
    );
}

fn library_named_anew() -> Vec<Package> {
    library(&["one"], 4, "libl.so.2", "")
}
