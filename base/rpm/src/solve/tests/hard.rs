//! Questions that a search cannot answer in time.

use std::time::{Duration, Instant};

use keel_artefact::{Dependency, Interrupt, Interrupted};

use super::{super::*, *};

/// More pigeons than holes, each hole for one.
fn pigeons(pigeons: usize, holes: usize) -> Pool {
    let mut all = Vec::new();
    for pigeon in 0..pigeons {
        let any: Vec<String> = (0..holes).map(|hole| format!("h{hole}in{pigeon}")).collect();
        all.push(format!("pig{pigeon} 1-1 req:({})", any.join(" or ")));
        for hole in 0..holes {
            let others = (0..pigeons).filter(|other| *other != pigeon);
            let conflicts: Vec<String> = others.map(|other| format!("con:h{hole}in{other}")).collect();
            all.push(format!("h{hole}in{pigeon} 1-1 {}", conflicts.join("; ")));
        }
    }
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    pool(&[repository("repo", &all)])
}

fn wishes(pigeons: usize) -> Vec<Dependency> {
    (0..pigeons)
        .map(|pigeon| Dependency::any(format!("pig{pigeon}")))
        .collect()
}

#[test]
fn a_question_that_is_too_hard_ends_with_an_error() {
    let (pool, wishes) = (pigeons(11, 10), wishes(11));
    let begin = Instant::now();
    let answer = install(&pool, &wishes, &[], false, &Limits::default());
    let took = begin.elapsed();
    let Err(NoAnswer::Stopped(stopped)) = answer else {
        panic!("{answer:?}")
    };
    let told = stopped.to_string();
    assert!(told.contains("too hard to tell"), "{told}");
    assert!(
        told.contains("`install pig0`") && told.ends_with("and 3 more"),
        "{told}"
    );
    assert!(took < Duration::from_secs(120), "{took:?}");
}

#[test]
fn a_smaller_one_of_its_kind_has_an_answer() {
    let answer = install(&pigeons(5, 4), &wishes(5), &[], false, &Limits::default());
    assert!(matches!(answer, Err(NoAnswer::Refused(_))), "{answer:?}");
    assert!(install(&pigeons(5, 5), &wishes(5), &[], false, &Limits::default()).is_ok());
}

#[test]
fn an_interrupt_ends_a_search() {
    let (pool, interrupt) = (pigeons(11, 10), Interrupt::default());
    let limits = Limits {
        conflicts: u32::MAX,
        ..Limits::until(&interrupt)
    };
    let answer = std::thread::scope(|scope| {
        let search = scope.spawn(|| install(&pool, &wishes(11), &[], false, &limits));
        std::thread::sleep(Duration::from_millis(100));
        interrupt.set();
        search.join().unwrap()
    });
    assert_eq!(answer, Err(NoAnswer::Stopped(Stopped::Interrupted(Interrupted))));
}

#[test]
fn what_is_too_large_is_not_told_as_missing() {
    // Each part has a provider; all ways to put them together are more than a clause may have.
    let parts: Vec<String> = (0..24).map(|i| format!("(a{i} and b{i})")).collect();
    let large = format!("({})", parts.join(" or "));
    let mut all: Vec<String> = (0..24)
        .flat_map(|i| [format!("a{i} 1-1"), format!("b{i} 1-1")])
        .collect();
    all.push(format!("x 1-1 req:{large}"));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let pool = pool(&[repository("repo", &all)]);
    for wish in ["x", large.as_str()] {
        let wish: Dependency = wish.parse().unwrap();
        let answer = install(&pool, &[wish], &[], false, &Limits::default());
        let Err(NoAnswer::Refused(refusal)) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(refusal.missing, []);
        let told = refusal.problems[0].to_string();
        assert!(told.contains("too large"), "{told}");
    }
}
