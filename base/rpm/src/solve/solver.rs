//! One problem being solved: its clauses, and what is known so far.

use rustc_hash::FxHashMap;

use super::{
    Action, Job, Limits, Request,
    agenda::Agenda,
    choose::Ranks,
    jobs::Lift,
    pool::{Id, Pool},
    problem::{Culprit, Found},
    rules::Kind,
    sat::{ClauseId, Lit, Sat},
    set::Bits,
    update::Maps,
    world::World,
};

/// Several packages could have been taken.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    pub level: i32,
    /// Candidates, best first; negative once tried.
    pub options: Vec<Lit>,
    pub because: Option<ClauseId>,
}

pub(super) struct Solver<'a> {
    pub world: World<'a>,
    pub jobs: &'a [Job],
    pub maps: Maps,
    pub sat: Sat,
    /// Of every clause; learnt ones have none.
    pub kinds: Vec<Kind>,
    pub ranks: Ranks,
    pub agenda: Agenda,
    pub favor: Vec<i32>,
    pub favored: i32,
    /// A variable that is always true.
    pub ground: Lit,
    /// Packages with clauses.
    pub added: Bits,
    /// Clauses before this one are the packages' own: they cannot be given up.
    pub package_end: ClauseId,
    /// Of every package, where the clauses end that begin with it.
    pub group_end: Vec<ClauseId>,
    /// And where they begin.
    pub group_start: Vec<ClauseId>,
    pub feature: Vec<Option<ClauseId>>,
    pub update: Vec<Option<ClauseId>>,
    pub job_clauses: Vec<(ClauseId, usize)>,
    pub best: Vec<(ClauseId, Kind)>,
    pub inferior: Vec<ClauseId>,
    pub unwanted: Vec<ClauseId>,
    pub low: Vec<ClauseId>,
    pub yum: Vec<ClauseId>,
    pub choices: Vec<(ClauseId, ClauseId)>,
    /// Recommendations that are clauses, and their copies without what is disfavoured.
    pub strong: Vec<ClauseId>,
    pub copies: Vec<ClauseId>,
    /// Installed packages that no repository has.
    pub orphaned: Vec<Id>,
    /// Installed package → packages that could stand beside it instead of replacing it.
    pub special: FxHashMap<Id, Vec<Id>>,
    pub locked: Bits,
    /// Installed packages that jobs deal with: they need not stay.
    pub noupdate: Bits,
    /// Installed packages that go unless they are needed.
    pub cleaned: Bits,
    pub mistakes: Vec<Id>,
    pub branches: Vec<Branch>,
    /// How often a choice was taken back for a better one.
    pub steps_back: u32,
    /// Jobs are being looked at while installed packages are still open.
    pub early: bool,
    /// Where to go on with installed packages.
    pub next_installed: Id,
    pub found: Vec<Found>,
}

impl<'a> Solver<'a> {
    pub fn new(pool: &'a Pool, request: &'a Request, limits: &Limits) -> Self {
        let mut world = World::new(pool, request);
        for job in request
            .jobs
            .iter()
            .filter(|job| job.action == Action::MultiVersion)
        {
            for id in world.select(&job.select) {
                world.multi.add(id);
            }
        }
        let ground = pool.entries.len() as Lit;
        let mut solver = Self {
            sat: Sat::new(pool.entries.len() + 1, limits),
            world,
            jobs: &request.jobs,
            maps: Maps::default(),
            kinds: Vec::new(),
            ranks: Ranks::default(),
            agenda: Agenda::default(),
            favor: Vec::new(),
            favored: 0,
            ground,
            added: pool.all(),
            package_end: 0,
            group_end: Vec::new(),
            group_start: Vec::new(),
            feature: Vec::new(),
            update: Vec::new(),
            job_clauses: Vec::new(),
            best: Vec::new(),
            inferior: Vec::new(),
            unwanted: Vec::new(),
            low: Vec::new(),
            yum: Vec::new(),
            choices: Vec::new(),
            strong: Vec::new(),
            copies: Vec::new(),
            orphaned: Vec::new(),
            special: FxHashMap::default(),
            locked: Bits::default(),
            noupdate: Bits::default(),
            cleaned: Bits::default(),
            mistakes: Vec::new(),
            branches: Vec::new(),
            steps_back: 0,
            early: false,
            next_installed: 0,
            found: Vec::new(),
        };
        solver.build();
        solver
    }

    fn build(&mut self) {
        self.add(&[self.ground], Kind::Learnt);
        self.read_jobs();
        let seeds = self.job_seeds();
        self.add_package_clauses(&seeds);
        if self.maps.has_upgrade {
            self.read_upgrades();
        }
        self.add_feature_clauses();
        self.add_update_clauses();
        self.add_job_clauses();
        self.add_arch_clauses();
        self.add_upgrade_clauses();
        self.add_best_clauses();
        self.add_yum_clauses();
        self.add_recommends_copies();
        self.add_priority_clauses();
        self.add_choice_clauses();
        self.find_involved();
        self.sat.start();
        self.lift_policies();
    }

    pub fn kind(&self, clause: ClauseId) -> Kind {
        self.kinds.get(clause as usize).copied().unwrap_or(Kind::Learnt)
    }

    /// Is anything to be cleaned?
    pub fn cleans(&self) -> bool {
        self.maps.clean || !self.maps.clean_updates.is_empty()
    }

    /// Everything is open again.
    pub fn restart(&mut self) {
        self.sat.reset();
        self.ranks.forget();
        self.agenda.forget();
        self.branches.clear();
    }

    /// What the jobs in force lift.
    pub fn lifts_of_jobs(&mut self) -> Vec<Lift> {
        let (clean, updates) = (self.maps.clean, std::mem::take(&mut self.maps.clean_updates));
        self.maps.clean = false;
        let all = self.lifts(None);
        self.maps.clean = clean;
        self.maps.clean_updates = updates;
        all
    }

    /// Puts what is to blame out of force.
    pub fn disable(&mut self, culprit: Culprit) {
        match culprit {
            Culprit::Job(number) => {
                let clauses: Vec<ClauseId> = self
                    .job_clauses
                    .iter()
                    .filter(|(_, of)| *of == number)
                    .map(|(clause, _)| *clause)
                    .collect();
                for clause in &clauses {
                    self.sat.enable(*clause, false);
                }
                for (clause, of) in &self.best {
                    if matches!(of, Kind::BestJob(job) if clauses.contains(job)) {
                        self.sat.enable(*clause, false);
                    }
                }
            }
            Culprit::Clause(clause) => match self.kind(clause) {
                kind @ (Kind::InferiorArch(id) | Kind::NotInUpgrade(id)) => {
                    let list = match kind {
                        Kind::InferiorArch(_) => self.inferior.clone(),
                        _ => self.unwanted.clone(),
                    };
                    let name = self.world.entry(id).name;
                    for clause in list {
                        let of = self.sat.literals(clause)[0].unsigned_abs();
                        if self.world.entry(of).name == name {
                            self.sat.enable(clause, false);
                        }
                    }
                }
                _ => self.sat.enable(clause, false),
            },
        }
    }

    /// As [`Solver::disable`]; the policies that a job had lifted are in force again.
    pub fn give_up(&mut self, culprit: Culprit) {
        self.disable(culprit);
        let Culprit::Job(number) = culprit else {
            return;
        };
        let mut back = self.lifts(Some(number));
        let still = self.lifts(None);
        back.retain(|lift| !still.contains(lift));
        for lift in back {
            self.lift(lift, true);
        }
    }

    pub fn culprit(&self, clause: ClauseId) -> Culprit {
        let job = |clause: ClauseId| {
            self.job_clauses
                .iter()
                .find(|(id, _)| *id == clause)
                .map(|(_, number)| *number)
        };
        match self.kind(clause) {
            Kind::Job(number) => Culprit::Job(number as usize),
            Kind::BestJob(of) => job(of).map_or(Culprit::Clause(clause), Culprit::Job),
            _ => Culprit::Clause(clause),
        }
    }

    pub fn is_job(&self, number: usize, action: Action) -> bool {
        self.jobs.get(number).is_some_and(|job| job.action == action)
    }
}
