//! What may start now: a state machine without threads and without a clock.
//!
//! Tasks are put in an order once: by rank (the group that a user waits for), then by the longest way that starts with
//! them, then as they were given. Of those that are ready the first is the *head*. It starts as soon as a place and its
//! memory are free. While its memory is not, others may go before it, but only such as fit beside it: then it waits for
//! what ran before and for nothing else, and nothing big is ever starved.
//!
//! Each decision costs the logarithm of the number of tasks.

/// One piece of work.
#[derive(Debug, Clone, Default)]
pub struct Task {
    /// Tasks that must be done before, by index.
    pub needs: Vec<usize>,
    /// Which group it belongs to; lower runs first.
    pub rank: usize,
    /// How long it is expected to take.
    pub seconds: f64,
    /// How much memory it is expected to need at its peak, in bytes.
    pub memory: u64,
}

/// What there is, and what to do when something fails.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Tasks at once; none counts as one.
    pub jobs: usize,
    /// Bytes that running tasks may be expected to need together. A task that wants more runs alone.
    pub memory: u64,
    /// After a failure, go on with everything that does not need what failed.
    pub keep_going: bool,
    /// How often a task that failed runs again.
    pub retries: usize,
}

impl Policy {
    /// So many at once, and nothing else.
    pub fn jobs(jobs: usize) -> Self {
        Self {
            jobs,
            memory: u64::MAX,
            keep_going: false,
            retries: 0,
        }
    }
}

/// Which of the ready tasks is the first. All but the first are there to be compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The lowest rank, then the longest way.
    LongestWay,
    /// As they were given.
    Given,
    /// The one that has been ready for longest.
    FirstReady,
}

/// What has become of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It has not started, or is to run again.
    Waiting,
    /// It runs.
    Running,
    /// It ran.
    Done,
    /// It ran and failed.
    Failed,
    /// It does not run: something it needs (named by index) failed, or the run was stopped.
    Skipped(Option<usize>),
}

/// A task that is to start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Start {
    /// Which.
    pub index: usize,
    /// How often it has failed before.
    pub failures: usize,
    /// Its share of the processors, up to 1. Shares of all that run add up to 2 where much is to do, so that processors are busy
    /// while builds read and link; what the end waits for has more, up to all.
    pub share: f64,
}

/// The queue of a run.
#[derive(Debug, Clone)]
pub struct Queue {
    policy: Policy,
    first_ready: bool,
    users: Vec<Vec<usize>>,
    /// How long the longest chain is that starts with each task, and how long all will take at least.
    ways: Vec<f64>,
    span: f64,
    /// Needs that are not done.
    missing: Vec<usize>,
    memory: Vec<u64>,
    states: Vec<State>,
    failures: Vec<usize>,
    /// The place of each task in the order, and the task at each place.
    place: Vec<usize>,
    at: Vec<usize>,
    next_place: usize,
    ready: Ready,
    ready_count: usize,
    running: usize,
    in_use: u64,
    open: usize,
    reserved: Option<Reservation>,
    /// The reservation that a task went before.
    went_before: Vec<usize>,
    reservations: usize,
    stopped: bool,
}

/// The head waits for memory.
#[derive(Debug, Clone, Copy)]
struct Reservation {
    head: usize,
    number: usize,
    /// Memory of the running tasks that went before it.
    beside: u64,
}

impl Queue {
    /// A queue of these tasks, none of which has run.
    pub fn new(tasks: &[Task], policy: Policy, order: Order) -> Self {
        let users = users(tasks);
        let ways = ways(tasks, &users);
        let mut at: Vec<usize> = (0..tasks.len()).collect();
        if order == Order::LongestWay {
            at.sort_by(|one, other| {
                let by_rank = tasks[*one].rank.cmp(&tasks[*other].rank);
                by_rank.then_with(|| ways[*other].total_cmp(&ways[*one]))
            });
        }
        let mut place = vec![0; tasks.len()];
        for (position, index) in at.iter().enumerate() {
            place[*index] = position;
        }
        let work: f64 = tasks.iter().map(|task| task.seconds).sum();
        let span = work / policy.jobs.max(1) as f64;
        let mut queue = Self {
            policy,
            span: ways.iter().copied().fold(span, f64::max),
            ways,
            first_ready: order == Order::FirstReady,
            users,
            missing: tasks.iter().map(|task| task.needs.len()).collect(),
            memory: tasks.iter().map(|task| task.memory.min(policy.memory)).collect(),
            states: vec![State::Waiting; tasks.len()],
            failures: vec![0; tasks.len()],
            place,
            at,
            next_place: 0,
            ready: Ready::new(tasks.len()),
            ready_count: 0,
            running: 0,
            in_use: 0,
            open: tasks.len(),
            reserved: None,
            went_before: vec![0; tasks.len()],
            reservations: 0,
            stopped: false,
        };
        for index in 0..tasks.len() {
            if queue.missing[index] == 0 {
                queue.becomes_ready(index);
            }
        }
        queue
    }

    /// The task to start now, if there is one; it counts as running from here.
    pub fn start(&mut self) -> Option<Start> {
        if self.stopped || self.running >= self.policy.jobs.max(1) {
            return None;
        }
        let head = self.at[self.ready.first(u64::MAX - 1)?];
        let free = self.policy.memory.saturating_sub(self.in_use);
        let index = if self.memory[head] <= free || self.running == 0 {
            self.reserved = None;
            head
        } else {
            self.beside(head, free)?
        };
        self.ready.clear(self.place[index]);
        self.ready_count -= 1;
        self.running += 1;
        self.in_use += self.memory[index];
        self.states[index] = State::Running;
        Some(Start {
            index,
            failures: self.failures[index],
            share: self.share(index),
        })
    }

    fn share(&self, index: usize) -> f64 {
        let company = self.policy.jobs.max(1).min(self.running + self.ready_count);
        let urgency = match self.span > 0.0 {
            true => self.ways[index] / self.span,
            false => 1.0,
        };
        urgency.max(2.0 / company as f64).min(1.0)
    }

    /// A task that may go before the head, whose memory is not free.
    fn beside(&mut self, head: usize, free: u64) -> Option<usize> {
        let mut reserved = match self.reserved {
            Some(reserved) if reserved.head == head => reserved,
            _ => {
                self.reservations += 1;
                Reservation {
                    head,
                    number: self.reservations,
                    beside: 0,
                }
            }
        };
        let room = self.policy.memory - self.memory[head];
        let room = room.saturating_sub(reserved.beside).min(free);
        let found = self.ready.first(room).map(|place| self.at[place]);
        if let Some(index) = found {
            reserved.beside += self.memory[index];
            self.went_before[index] = reserved.number;
        }
        self.reserved = Some(reserved);
        found
    }

    /// A running task is done.
    pub fn done(&mut self, index: usize) {
        self.ended(index, State::Done);
        for user in std::mem::take(&mut self.users[index]) {
            self.missing[user] -= 1;
            if self.missing[user] == 0 && self.states[user] == State::Waiting {
                self.becomes_ready(user);
            }
        }
    }

    /// A running task failed. Is it to run again?
    pub fn failed(&mut self, index: usize, may_run_again: bool) -> bool {
        self.failures[index] += 1;
        if may_run_again && !self.stopped && self.failures[index] <= self.policy.retries {
            self.ended(index, State::Waiting);
            self.ready_again(index);
            return true;
        }
        self.ended(index, State::Failed);
        if self.policy.keep_going {
            self.skip_users(index);
        } else {
            self.stop();
        }
        false
    }

    /// A running task can only be done in another run. Everything goes on that does not need it.
    pub fn postponed(&mut self, index: usize) {
        self.ended(index, State::Skipped(None));
        self.skip_users(index);
    }

    /// Starts nothing more.
    pub fn stop(&mut self) {
        self.stopped = true;
        for index in 0..self.states.len() {
            if self.states[index] == State::Waiting {
                self.states[index] = State::Skipped(None);
                self.open -= 1;
            }
        }
    }

    /// Has everything run that will?
    pub fn is_over(&self) -> bool {
        self.open == 0
    }

    /// Is there something left that nothing will ever make ready? Only where needs go round in a circle.
    pub fn is_stuck(&self) -> bool {
        self.open > 0 && self.running == 0 && self.ready_count == 0
    }

    /// What has become of each task.
    pub fn states(&self) -> &[State] {
        &self.states
    }

    /// How often a task has failed.
    pub fn failures(&self, index: usize) -> usize {
        self.failures[index]
    }

    fn ended(&mut self, index: usize, state: State) {
        self.running -= 1;
        self.in_use -= self.memory[index];
        self.states[index] = state;
        self.open -= usize::from(state != State::Waiting);
        if let Some(reserved) = &mut self.reserved
            && self.went_before[index] == reserved.number
        {
            reserved.beside -= self.memory[index];
            self.went_before[index] = 0;
        }
    }

    fn becomes_ready(&mut self, index: usize) {
        if self.first_ready {
            self.place[index] = self.next_place;
            self.at[self.next_place] = index;
            self.next_place += 1;
        }
        self.ready_again(index);
    }

    fn ready_again(&mut self, index: usize) {
        self.ready.set(self.place[index], self.memory[index]);
        self.ready_count += 1;
    }

    fn skip_users(&mut self, failed: usize) {
        let mut lost = vec![failed];
        while let Some(cause) = lost.pop() {
            for user in std::mem::take(&mut self.users[cause]) {
                if self.states[user] == State::Waiting {
                    self.states[user] = State::Skipped(Some(cause));
                    self.open -= 1;
                    lost.push(user);
                }
            }
        }
    }
}

/// For each task those that need it.
pub(crate) fn users(tasks: &[Task]) -> Vec<Vec<usize>> {
    let mut users = vec![Vec::new(); tasks.len()];
    for (index, task) in tasks.iter().enumerate() {
        task.needs.iter().for_each(|need| users[*need].push(index));
    }
    users
}

/// For each task how long the longest chain takes that starts with it. A task of a circle counts for itself.
pub(crate) fn ways(tasks: &[Task], users: &[Vec<usize>]) -> Vec<f64> {
    let mut ways: Vec<f64> = tasks.iter().map(|task| task.seconds).collect();
    let mut missing: Vec<usize> = users.iter().map(Vec::len).collect();
    let mut last: Vec<usize> = (0..tasks.len()).filter(|index| missing[*index] == 0).collect();
    let mut longest = vec![0.0_f64; tasks.len()];
    while let Some(index) = last.pop() {
        ways[index] = tasks[index].seconds + longest[index];
        for need in &tasks[index].needs {
            longest[*need] = longest[*need].max(ways[index]);
            missing[*need] -= 1;
            if missing[*need] == 0 {
                last.push(*need);
            }
        }
    }
    ways
}

/// The longest chain of all.
pub fn longest_way(tasks: &[Task]) -> f64 {
    ways(tasks, &users(tasks)).into_iter().fold(0.0, f64::max)
}

/// The memory of the ready tasks, by place; a tree of minima finds the first that fits.
#[derive(Debug, Clone)]
struct Ready {
    leaves: usize,
    least: Vec<u64>,
}

impl Ready {
    fn new(tasks: usize) -> Self {
        let leaves = tasks.next_power_of_two();
        Self {
            leaves,
            least: vec![u64::MAX; 2 * leaves],
        }
    }

    fn set(&mut self, place: usize, memory: u64) {
        // All of them would be none.
        self.put(place, memory.min(u64::MAX - 1));
    }

    fn clear(&mut self, place: usize) {
        self.put(place, u64::MAX);
    }

    fn put(&mut self, place: usize, value: u64) {
        let mut node = self.leaves + place;
        self.least[node] = value;
        while node > 1 {
            node /= 2;
            self.least[node] = self.least[2 * node].min(self.least[2 * node + 1]);
        }
    }

    /// The first place with at most so much memory.
    fn first(&self, most: u64) -> Option<usize> {
        if self.least[1] > most {
            return None;
        }
        let mut node = 1;
        while node < self.leaves {
            node *= 2;
            if self.least[node] > most {
                node += 1;
            }
        }
        Some(node - self.leaves)
    }
}
