//! The short cut for requests that leave no choice: every wish and every requirement has one provider, or is met by what is
//! there for another reason. The answer is the one that a search would find: what is forced is in every answer, and
//! where that is one, a search adds nothing to it.

use super::{
    Action, Job, Policy, Pool, Refine, Request, Select, Solution,
    jobs::is_set,
    pool::{Id, List, Need},
    set::Bits,
    solution,
    world::World,
};

/// The answer, if nothing has to be chosen.
pub(super) fn forced(pool: &Pool, request: &Request) -> Option<Solution> {
    let policy = Policy {
        weak: false,
        allow_missing: request.policy.allow_missing,
        ..Policy::default()
    };
    let is_plain = |job: &Job| {
        let speaks_of_one = match &job.select {
            Select::Provides(rich, _) => is_set(rich),
            _ => true,
        };
        job.action == Action::Install && job.refine == Refine::default() && speaks_of_one
    };
    if request.policy != policy || !request.jobs.iter().all(is_plain) {
        return None;
    }
    let world = World::new(pool, request);
    let mut quick = Quick {
        world: &world,
        set: pool.all(),
        queue: Vec::new(),
        open: Vec::new(),
    };
    for id in world.installed() {
        if !world.list(id, List::Requires).is_empty()
            || world.siblings(id).next().is_some()
            || world.replacers(id).next().is_some()
        {
            return None;
        }
        quick.set.add(id);
    }
    let wishes: Vec<Vec<Id>> = (request.jobs.iter())
        .map(|job| world.select(&job.select))
        .collect();
    for wish in &wishes {
        let missing = wish.is_empty();
        if missing && !policy.allow_missing {
            return None;
        }
        if !missing {
            quick.ask(wish);
        }
    }
    let members = quick.run(policy.allow_missing)?;
    let there = |id: Id| quick.set.has(id);
    let asked: Vec<(usize, &[Id])> = wishes.iter().map(Vec::as_slice).enumerate().collect();
    Some(solution::of_new(&world, request, &there, members, &asked))
}

struct Quick<'a> {
    world: &'a World<'a>,
    set: Bits,
    queue: Vec<Id>,
    /// Providers of what has several.
    open: Vec<Vec<Id>>,
}

impl Quick<'_> {
    /// One of `candidates` has to be there; none of them, if none can be.
    fn ask(&mut self, candidates: &[Id]) {
        if candidates.iter().any(|id| self.set.has(*id)) {
            return;
        }
        match candidates {
            [one] => {
                self.set.add(*one);
                self.queue.push(*one);
            }
            several => self.open.push(several.to_vec()),
        }
    }

    /// Follows what is forced; gives it, by id, if that is an answer.
    fn run(&mut self, allow_missing: bool) -> Option<Vec<Id>> {
        let world = self.world;
        let mut members: Vec<Id> = Vec::new();
        let mut conditions: Vec<Need> = Vec::new();
        while let Some(id) = self.queue.pop() {
            members.push(id);
            if !world.is_installable(id)
                || world
                    .list(id, List::Conflicts)
                    .iter()
                    .any(|need| world.is_rich(*need))
            {
                return None;
            }
            for &need in world.list(id, List::Requires) {
                if world.is_rich(need) {
                    conditions.push(need);
                    continue;
                }
                let providers: Vec<Id> = world.providers(need).collect();
                match providers.is_empty() {
                    true if !allow_missing => return None,
                    true => {}
                    false => self.ask(&providers),
                }
            }
        }
        let has = |id: Id| self.set.has(id);
        let is_met = self.open.iter().all(|any| any.iter().any(|id| has(*id)))
            && conditions.iter().all(|need| world.holds(*need, &has));
        let stands = || members.iter().all(|id| self.stands(*id));
        (is_met && stands()).then(|| {
            members.sort_unstable();
            members
        })
    }

    /// Can the rest be beside it?
    fn stands(&self, id: Id) -> bool {
        let world = self.world;
        let has = |other: Id| other != id && self.set.has(other);
        let conflicts = (world.list(id, List::Conflicts).iter()).any(|need| world.providers(*need).any(has));
        let obsoletes =
            (world.list(id, List::Obsoletes).iter()).any(|need| world.obsoleted_by(id, *need).any(has));
        !conflicts && !obsoletes && !world.siblings(id).any(has)
    }
}
