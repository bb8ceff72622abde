//! What a job costs, and how it is built.

use super::*;

#[test]
fn costs_and_switches_come_from_the_configuration() {
    let world = small()
        .build("glibc", |build| build.cpu_seconds = Some(100.0))
        .build("zlib", |build| build.expensive = true)
        .build("kernel-headers", |build| {
            (build.bootstrap_libc, build.check.skip) = (true, true)
        });
    let plan = world.plan(&Targets::All).unwrap();
    let job = |name: &str| plan.job(&name.parse().unwrap()).unwrap();
    assert_eq!(job("bash").cpu_seconds, 20.0);
    assert_eq!(job("zlib").cpu_seconds, 600.0);
    assert_eq!(job("glibc").cpu_seconds, 100.0);
    assert!(job("kernel-headers").bootstrap_libc && job("kernel-headers").skip_check);
    assert!(!job("glibc").bootstrap_libc);
}

#[test]
fn what_was_measured_counts_before_hints() {
    let world = small().build("glibc", |build| build.cpu_seconds = Some(100.0));
    let cost = Cost {
        cpu: 7.0,
        wall: 3.5,
        memory: 9,
    };
    let costs = [("glibc", cost), ("zlib", cost)].map(|(name, cost)| (name.parse().unwrap(), cost));
    let plan = plan(
        &world.project,
        &world.recipes,
        &world.sources(),
        &Targets::All,
        &costs.into(),
        &known(&Generated::new(), &Published::default(), &Interrupt::default()),
    )
    .unwrap();
    let job = |name: &str| plan.job(&name.parse().unwrap()).unwrap();
    assert_eq!(
        (job("glibc").cpu_seconds, job("glibc").wall_seconds),
        (7.0, Some(3.5))
    );
    assert_eq!(job("glibc").cost_from, CostFrom::Measured);
    assert_eq!(
        (job("bash").cost_from, job("bash").wall_seconds),
        (CostFrom::Guess, None)
    );
    assert_eq!(
        job("bash").why,
        Why::Package {
            package: "bash".parse().unwrap(),
            image: Some("core".into())
        }
    );
    assert_eq!(job("bash").because["glibc"].line, Some(13));
}
