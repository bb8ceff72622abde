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

/// A package whose files, relations, scripts and header say something.
fn told(tags: &str, install: &str, more: &str) -> Vec<Package> {
    let files = format!("/usr/share/t\n/usr/lib64/link\n{more}");
    let install = format!("mkdir -p usr/share/t usr/lib64\n{install}");
    build(&spec(
        "told",
        &format!("BuildArch: noarch\n{tags}"),
        &install,
        &files,
    ))
}

#[test]
fn what_became_of_each_file_is_told() {
    let old = told(
        "Recommends: a\nConflicts: x < 1",
        "echo one > usr/share/t/text; echo same > usr/share/t/mode; echo same > usr/share/t/same; ln -s t usr/lib64/link\n\
         echo gone > usr/share/t/gone",
        "%post\ntrue\n",
    );
    let same = versions(&old, &old, &Policy::default()).0.remove(0);
    assert!(same.is_empty(), "{same:?}");
    let new = told(
        "Recommends: b\nConflicts: x < 1\nVendor: Somebody",
        "echo three > usr/share/t/text; echo same > usr/share/t/mode; chmod 755 usr/share/t/mode; echo same > usr/share/t/same\n\
         ln -s /t usr/lib64/link; echo new > usr/share/t/new",
        "%post\nfalse\n%preun\ntrue\n",
    );
    let difference = versions(&old, &new, &Policy::default()).0.remove(0);
    let changed: Vec<String> = (difference.changed.iter())
        .map(|file| {
            let what: Vec<&str> = file.aspects.iter().map(|aspect| aspect.what).collect();
            format!("{}: {}", file.path, what.join(" "))
        })
        .collect();
    assert_eq!(
        changed,
        [
            "/usr/lib64/link: target",
            "/usr/share/t/mode: mode",
            "/usr/share/t/text: content size",
        ]
    );
    let mode = &difference.changed[1].aspects[0];
    assert_eq!((mode.was.as_str(), mode.is.as_str()), ("0644", "0755"));
    assert_eq!(difference.files.new, ["/usr/share/t/new"]);
    assert_eq!(difference.files.gone, ["/usr/share/t/gone"]);
    assert_eq!(
        (&difference.scripts.new[..], difference.scripts.gone.len()),
        (&["%preun".to_owned()][..], 0)
    );
    let header: Vec<&str> = difference.header.iter().map(|aspect| aspect.what).collect();
    assert_eq!(header, ["vendor", "text of scripts"]);
    assert_eq!(difference.relations.keys().collect::<Vec<_>>(), [&"recommends"]);
    assert_eq!(difference.relations["recommends"].new, ["b"]);
}

fn library_named_anew() -> Vec<Package> {
    library(&["one"], 4, "libl.so.2", "")
}
