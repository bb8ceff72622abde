use keel_artefact::{Epoch, Provide, Sha256};
use keel_build::{Kind, foreign};

use super::*;

/// `package: what it provides; what it requires`
fn output(text: &str) -> Output {
    let (name, rest) = text.split_once(':').unwrap();
    let (provides, requires) = rest.split_once(';').unwrap();
    let provides = provides.split_whitespace().chain([name]);
    Output {
        package: BuiltPackage {
            nevra: format!("{name}-1-1.noarch").parse().unwrap(),
            component: "made".parse().unwrap(),
            kind: Kind::Binary,
            rpm: Sha256::of(name.as_bytes()),
            size: 1,
            epoch: Epoch(0),
            scriptlets: false,
        },
        provides: (provides.map(|name| Provide {
            name: name.to_owned(),
            evr: None,
        }))
        .collect(),
        requires: (requires.split_whitespace().map(|need| need.parse().unwrap())).collect(),
        conflicts: Vec::new(),
        obsoletes: Vec::new(),
        files: Vec::new(),
    }
}

fn component(packages: &[&str]) -> Arc<keel_build::Built> {
    let outputs = packages.iter().map(|text| output(text)).collect();
    Arc::new(foreign::component(outputs))
}

fn names(names: &[&str]) -> Vec<PackageName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// The tree makes `app`; two packages of the base are a shell (the shorter name is chosen), and one of these comes with a third.
fn chosen_without(exclude: &[&str]) -> Result<String, closure::Error> {
    let all = [
        component(&["app: ; shell"]),
        component(&["bash: shell; ", "bash-doc: ; "]),
        component(&["busybox: shell; terminfo", "terminfo: ; "]),
    ];
    let exclude = names(exclude);
    let chosen = chosen(&names(&["app"]), &exclude, all.into_iter(), &Interrupt::default())?;
    let names = chosen.iter().map(|package| package.nevra.name.as_str());
    Ok(names.collect::<Vec<_>>().join(" "))
}

#[test]
fn what_an_image_excludes_is_not_chosen_of_the_base() {
    assert_eq!(chosen_without(&[]).unwrap(), "app bash");
    assert_eq!(chosen_without(&["bash"]).unwrap(), "app busybox terminfo");
    assert_eq!(
        chosen_without(&["busybox", "bash-doc", "elsewhere"]).unwrap(),
        "app bash"
    );
    // Then the image stage says what is missing, and what is excluded.
    for exclude in [["bash", "busybox"], ["bash", "terminfo"]] {
        let error = chosen_without(&exclude).unwrap_err();
        assert!(matches!(error, closure::Error::Unmet(_)), "{error}");
    }
}

#[test]
fn of_a_component_the_other_packages_stay() {
    let built = component(&["bash: ; ", "bash-doc: ; "]);
    let less = without(Arc::clone(&built), &names(&["bash-doc"]));
    assert_eq!(less.outputs, built.outputs[..1]);
    // Where there is nothing to take away, nothing is copied: candidates are known by their addresses.
    let same = without(Arc::clone(&built), &names(&["elsewhere"]));
    assert!(Arc::ptr_eq(&same, &built));
}
