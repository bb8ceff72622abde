//! What is there without being a package.

use keel_artefact::Dependency;

use super::{super::*, repository, short};

#[test]
fn what_is_lent_is_met_and_brings_nothing_in() {
    let is_lent = |name: &str| matches!(name, "sh" | "gcc");
    let mut new = repository(
        "repo",
        &[
            "x 1-1 req:sh; req:(y if gcc); con:gcc",
            "y 1-1 req:(sh with gcc)",
            "sh 1-1",
        ],
    );
    let wish: Dependency = "(gcc and x)".parse().unwrap();
    let wishes = [lent(&wish, &is_lent)];
    let lender = lend(&mut new.packages, &[wish], &is_lent);
    let pool = Pool::new(&[lender, new], &Target::default()).unwrap();
    let solution = super::super::install(&pool, &wishes, &[], false, &Limits::default()).unwrap();
    let new: Vec<String> = solution
        .install
        .iter()
        .map(|chosen| short(&pool, chosen.package))
        .collect();
    assert_eq!(new, ["x-1", "y-1"]);
}

/// The name that stands for what is lent means nothing in a SPEC.
#[test]
fn who_writes_lent_is_lent_nothing() {
    let is_lent = |name: &str| name == "gcc";
    let mut new = repository("repo", &["x 1-1 req:lent(sh)"]);
    let lender = lend(
        &mut new.packages,
        &["gcc", "lent(cc)"].map(Dependency::any),
        &is_lent,
    );
    let pool = Pool::new(&[lender, new], &Target::default()).unwrap();
    for wish in ["x", "lent(cc)"] {
        let wishes = [Dependency::any(wish)];
        let answer = super::super::install(&pool, &wishes, &[], false, &Limits::default());
        assert!(
            matches!(answer, Err(super::super::NoAnswer::Refused(_))),
            "{answer:?}"
        );
    }
}
