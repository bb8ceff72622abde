//! Tests of edits.

use super::*;

const SPEC: &str = "\
Name:     a
Source0:  x
%if 1
Source1:  y
%endif
Requires(post): sh

%package devel
Summary: d
# about z
%package -n z
Requires: a

%prep
%setup

# about build

%build
make
%if 2
%files
/a
%files devel
/b
%endif

%changelog
";

fn edited(text: &str, edit: impl FnOnce(&Tree<'_>, &Names<'_>) -> Result<Vec<Edit>, Error>) -> String {
    let tree = Tree::parse(text);
    let names = tree.names();
    apply(text, edit(&tree, &names).unwrap()).unwrap()
}

/// The lines that were not there before, and those that are there no more.
fn difference(before: &str, after: &str) -> (Vec<String>, Vec<String>) {
    let missing = |from: &str, to: &str| -> Vec<String> {
        let mut left: Vec<&str> = to.lines().collect();
        let unmatched = |line: &&str| match left.iter().position(|other| other == line) {
            Some(at) => {
                left.remove(at);
                false
            }
            None => true,
        };
        from.lines().filter(unmatched).map(str::to_owned).collect()
    };
    (missing(after, before), missing(before, after))
}

fn section<'t>(tree: &'t Tree<'_>, kind: SectionKind) -> &'t Section {
    tree.sections()
        .iter()
        .find(|section| section.kind == kind)
        .unwrap()
}

#[test]
fn values_are_set() {
    let out = edited(SPEC, |tree, names| {
        tree.set_tag(Package::Main, "source1", "new", names)
    });
    assert_eq!(
        difference(SPEC, &out),
        (vec!["Source1:  new".to_owned()], vec!["Source1:  y".to_owned()])
    );
    let out = edited("Name:\nVersion: 1\n", |tree, names| {
        tree.set_tag(Package::Main, "Name", "a", names)
    });
    assert_eq!(out, "Name: a\nVersion: 1\n");
    let out = edited(SPEC, |tree, names| {
        tree.set_tag(Package::Named("z"), "Requires", "b", names)
    });
    assert!(out.contains("-n z\nRequires: b\n"));
}

#[test]
fn tags_are_inserted_after_their_kind_and_outside_of_conditions() {
    for (package, name, before, line) in [
        (Package::Main, "Source2", "%endif\n", "Source2:  v\n"),
        (
            Package::Main,
            "Requires",
            "Requires(post): sh\n",
            "Requires:       v\n",
        ),
        (
            Package::Main,
            "URL",
            "Requires(post): sh\n",
            "URL:            v\n",
        ),
        (
            Package::Named("devel"),
            "Requires",
            "Summary: d\n",
            "Requires: v\n",
        ),
        (
            Package::Named("a-devel"),
            "Requires",
            "Summary: d\n",
            "Requires: v\n",
        ),
    ] {
        let out = edited(SPEC, |tree, names| {
            Ok(vec![tree.insert_tag(package, name, "v", names)?])
        });
        assert!(out.contains(&format!("{before}{line}")), "{name} in:\n{out}");
    }
    let straddling = "Name: a\n%if 1\nURL: b\n%package x\n%endif\n";
    let out = edited(straddling, |tree, names| {
        Ok(vec![tree.insert_tag(Package::Main, "VCS", "v", names)?])
    });
    assert!(out.starts_with("Name: a\nVCS: v\n%if 1\n"), "{out}");
    let out = edited("Name:\ta", |tree, names| {
        Ok(vec![tree.insert_tag(Package::Main, "URL", "v", names)?])
    });
    assert_eq!(out, "Name:\ta\nURL:\tv\n");
    let out = edited("", |tree, names| {
        Ok(vec![tree.insert_tag(Package::Main, "URL", "v", names)?])
    });
    assert_eq!(out, "URL:            v\n");
    let out = edited("Name: a\r\n", |tree, names| {
        Ok(vec![tree.append_tag(Package::Main, "URL", "v", names)?])
    });
    assert_eq!(out, "Name: a\r\nURL:  v\r\n");
}

#[test]
fn tags_are_removed() {
    let out = edited(SPEC, |tree, names| {
        tree.remove_tag(Package::Main, "Source0", Some("X"), names)
    });
    assert_eq!(difference(SPEC, &out), (vec![], vec!["Source0:  x".to_owned()]));
    let tree = Tree::parse(SPEC);
    let names = tree.names();
    let error = tree
        .remove_tag(Package::Main, "Source0", Some("z"), &names)
        .unwrap_err();
    assert_eq!(error.to_string(), "there is no tag `Source0` with the value `z`");
    let error = tree
        .insert_tag(Package::Named("q"), "URL", "v", &names)
        .unwrap_err();
    assert_eq!(error.to_string(), "there is no package `q`");
}

#[test]
fn lines_go_to_sections() {
    let one = |edit: fn(&Tree<'_>) -> Edit| edited(SPEC, |tree, _| Ok(vec![edit(tree)]));
    let out = one(|tree| tree.append(section(tree, SectionKind::Prep), "true\n"));
    assert!(out.contains("%setup\ntrue\n\n# about build\n"), "{out}");
    let out = one(|tree| tree.append(section(tree, SectionKind::Build), "true"));
    assert!(out.contains("make\ntrue\n%if 2\n"), "{out}");
    let out = one(|tree| tree.prepend(section(tree, SectionKind::Build), "true\n"));
    assert!(out.contains("%build\ntrue\nmake\n"), "{out}");
    let out = one(|tree| tree.replace_body(section(tree, SectionKind::Build), "x\ny\n"));
    assert!(out.contains("%build\nx\ny\n%if 2\n"), "{out}");
    let out = one(|tree| tree.append(section(tree, SectionKind::Changelog), "x"));
    assert!(out.ends_with("%changelog\nx\n"), "{out}");
}

#[test]
fn sections_are_removed_and_added() {
    let remove = |kind| {
        edited(SPEC, |tree, _| {
            Ok(vec![tree.remove_section(section(tree, kind))?])
        })
    };
    let lines = |list: &[&str]| list.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        difference(SPEC, &remove(SectionKind::Build)).1,
        lines(&["%build", "make"])
    );
    let out = edited(SPEC, |tree, names| tree.remove_package("devel", names));
    assert_eq!(
        difference(SPEC, &out).1,
        lines(&["%package devel", "Summary: d", "# about z", "%files devel", "/b"])
    );
    assert_eq!(Tree::parse(&out).defects(), []);
    let out = edited(SPEC, |tree, _| {
        Ok(vec![tree.add_section(
            "%check\ntrue\n",
            Some(section(tree, SectionKind::Files)),
        )?])
    });
    assert!(out.contains("make\n\n%check\ntrue\n\n%if 2\n%files\n"), "{out}");
    let out = edited(SPEC, |tree, _| {
        Ok(vec![tree.add_section("%check\ntrue\n", None)?])
    });
    assert!(out.ends_with("%changelog\n\n%check\ntrue\n"), "{out}");
}

#[test]
fn what_is_not_only_a_sections_own_is_not_removed() {
    let text = "%if 1\n%post\nx\n%endif\ny\n%files\n";
    let tree = Tree::parse(text);
    let error = tree
        .remove_section(section(&tree, SectionKind::Post))
        .unwrap_err();
    assert_eq!(error, Error::Straddles { line: 5 });
    assert_eq!(tree.remove_section(&tree.sections()[0]), Err(Error::Preamble));
}

#[test]
fn edits_do_not_overlap() {
    let text = "aé\nb";
    let edit = |start, end| Edit::replace(Span::new(start, end), "x");
    assert_eq!(
        apply(text, [edit(4, 5), edit(0, 1), edit(1, 1)]).unwrap(),
        "xxé\nx"
    );
    assert_eq!(
        apply(text, [edit(0, 4), edit(3, 5)]),
        Err(Error::Overlap { line: 1 })
    );
    assert_eq!(
        apply(text, [edit(2, 3)]),
        Err(Error::NotInText { start: 2, end: 3 })
    );
    assert_eq!(
        apply(text, [edit(5, 9)]),
        Err(Error::NotInText { start: 5, end: 9 })
    );
}
