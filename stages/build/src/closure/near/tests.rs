use keel_artefact::Interrupt;

use super::*;
use crate::closure::{
    close,
    tests::{built, with},
};

/// Numbers that look random, and are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }

    /// Something to ask for: a name, a path, or an expression of such.
    fn need(&mut self, all: usize) -> String {
        let simple = |dice: &mut Self| match dice.below(8) {
            0 => format!("/usr/bin/f{}", dice.below(all)),
            1 => "gcc".to_owned(),
            2 => format!("c{}", dice.below(all)),
            3 => format!("p{} = 1.0", dice.below(all)),
            _ => format!("p{}", dice.below(all)),
        };
        let (one, other) = (simple(self), simple(self));
        match self.below(12) {
            0 => format!("({one} or {other})"),
            1 => format!("({one} if {other})"),
            2 => format!("({one} unless {other})"),
            3 => format!("({one} with {other})"),
            _ => one,
        }
    }
}

fn world(dice: &mut Dice, all: usize) -> Vec<Arc<Built>> {
    let component = |number: usize| {
        let mut provides = vec![format!("c{}", dice.below(all))];
        if dice.below(6) == 0 {
            provides.push(format!("p{}", dice.below(all)));
        }
        let requires: Vec<String> = (0..dice.below(3)).map(|_| dice.need(all)).collect();
        let texts = |list: &[String]| list.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
        let (provides, requires) = (texts(&provides), texts(&requires));
        let lines = |text: &'static str| text.lines().collect::<Vec<_>>();
        let file = format!("/usr/bin/f{}", dice.below(all));
        let one = built(
            &format!("p{number}"),
            &lines(provides.leak()),
            &lines(requires.leak()),
            &[&file],
        );
        let against = dice.below(20) == 0;
        let replaces = dice.below(20) == 0;
        let other = format!("p{}", dice.below(all));
        with(one, |output| {
            if against {
                output.conflicts.push(other.parse().unwrap());
            }
            if replaces && output.package.nevra.name.as_str() != other {
                output.obsoletes.push(other.parse().unwrap());
            }
        })
    };
    (0..all).map(component).collect()
}

/// What cannot be come to changes no answer, and no refusal.
#[test]
fn a_root_is_the_same_from_near_ones_alone() {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let lent = |name: &str| name == "gcc";
    let (mut roots, mut refused, mut fewer) = (0, 0, 0);
    for _ in 0..60 {
        let all = world(&mut dice, 60);
        let index = Index::default();
        for _ in 0..20 {
            let asked: Vec<String> = (0..=dice.below(3)).map(|_| dice.need(60)).collect();
            let asked: Vec<Dependency> = asked.iter().map(|text| text.parse().unwrap()).collect();
            // Other jobs come after others.
            let some: Vec<Arc<Built>> = (all.iter())
                .filter(|_| dice.below(8) != 0)
                .map(Arc::clone)
                .collect();
            let near = index.near(&asked, &some, &lent);
            fewer += usize::from(near.len() < some.len() / 2);
            let root = |candidates: &[Arc<Built>]| {
                let packages = close(&asked, candidates, &lent, &Interrupt::default());
                packages.map(|packages| {
                    let names = packages.iter().map(|package| package.nevra.name.to_string());
                    names.collect::<Vec<_>>()
                })
            };
            let (whole, small) = (root(&some), root(&near));
            match &whole {
                Ok(_) => roots += 1,
                Err(_) => refused += 1,
            }
            assert_eq!(whole, small, "{asked:?}");
        }
    }
    assert!(
        roots > 300 && refused > 100 && fewer > 300,
        "{roots} roots, {refused} refused, {fewer} of few"
    );
}
