//! What is chosen and all needs, before there is an order; cycles, and the ways out of them.

use std::collections::{BTreeMap, BTreeSet};

use keel_artefact::{ComponentName, Interrupt, Interrupted};
use keel_config::{Diagnostic, Errors, Location, Project};
use keel_spec::Recipe;

use crate::{
    Error, Known, Targets,
    graph::{self, Knot},
    job::{Because, Generated},
    needs::{self, Needs},
    providers::{self, Providers},
    select::{self, Chosen},
};

/// A SPEC read otherwise than it is built.
#[derive(Debug, Clone)]
pub struct Variant {
    /// What the configuration of its component must say for that: `without = ["tests"]`.
    pub setting: String,
    /// What the SPEC means then.
    pub recipe: Recipe,
}

/// Reads the SPEC of a recipe with each of its build conditions the other way round.
pub type Variants<'a> = dyn Fn(&Recipe) -> Vec<Variant> + 'a;

/// How many recipes of one knot are read otherwise: each may have many conditions.
const MOST_READ: usize = 8;
/// How many names, and how many places, a message lists.
const MOST_NAMES: usize = 40;
const MOST_PLACES: usize = 12;

/// What is chosen, and all needs; free of cycles.
pub(crate) struct Draft {
    pub(crate) needs: Vec<Needs>,
    pub(crate) chosen: Chosen,
    /// Published packages that are needed.
    pub(crate) taken: select::Taken,
}

impl Draft {
    pub(crate) fn new(
        project: &Project,
        recipes: &[Recipe],
        targets: &Targets,
        variants: &Variants<'_>,
        known: &Known<'_>,
    ) -> Result<Self, Error> {
        let generated = known.generated;
        let providers = Providers::with(project, recipes, known);
        let mut wrong = providers::made_twice(recipes);
        let needs = needs::all(project, recipes, &providers, generated)?;
        let (chosen, taken) = match select::select(project, recipes, &providers, &needs, targets) {
            Ok(selected) => selected,
            Err(Error::Input(errors)) => return Err(errors.and(wrong).into()),
            Err(error) => return Err(error),
        };
        for index in chosen.keys() {
            let why = select::why(*index, recipes, &chosen);
            for unmet in &needs[*index].unmet {
                let told = unmet.told(&recipes[*index], recipes, &providers);
                wrong.push(match &why {
                    Some(why) => told.hint(why),
                    None => told,
                });
            }
        }
        let draft = Self { needs, chosen, taken };
        let indices: Vec<usize> = draft.chosen.keys().copied().collect();
        let edges = draft.edges(&indices);
        for knot in graph::knots(&edges) {
            let cuts = graph::cuts(&edges, &knot.members);
            let tangle = Tangle {
                draft: &draft,
                project,
                recipes,
                providers: &providers,
                generated,
                shortest: knot.shortest.iter().map(|node| indices[*node]).collect(),
                members: knot.members.iter().map(|node| indices[*node]).collect(),
                cuts: cuts
                    .iter()
                    .map(|(from, to)| (indices[*from], indices[*to]))
                    .collect(),
            };
            wrong.push(tangle.told(variants)?);
        }
        Ok(Errors::check(draft, wrong)?)
    }

    /// The needs among `indices`, which are ascending, by position there.
    pub(crate) fn edges(&self, indices: &[usize]) -> Vec<BTreeSet<usize>> {
        edges(&self.needs, indices)
    }
}

pub(crate) fn edges(needs: &[Needs], indices: &[usize]) -> Vec<BTreeSet<usize>> {
    let position: BTreeMap<usize, usize> = indices
        .iter()
        .enumerate()
        .map(|(at, index)| (*index, at))
        .collect();
    (indices.iter())
        .map(|index| {
            needs[*index]
                .jobs
                .keys()
                .filter_map(|need| position.get(need).copied())
                .collect()
        })
        .collect()
}

/// A knot, with all that is to be said of it.
struct Tangle<'a, 'r> {
    draft: &'a Draft,
    project: &'a Project,
    recipes: &'r [Recipe],
    providers: &'a Providers<'r>,
    generated: &'a Generated,
    shortest: Vec<usize>,
    members: BTreeSet<usize>,
    cuts: Vec<(usize, usize)>,
}

impl Tangle<'_, '_> {
    fn name(&self, index: usize) -> &str {
        self.recipes[index].component.as_str()
    }

    /// Where `from` says that it needs `to`.
    fn because(&self, from: usize, to: usize) -> Option<(Location, &Because)> {
        let because = self.draft.needs[from].because.get(&to)?;
        let place = Location::line(&self.recipes[from].spec_shown, because.line.unwrap_or(0));
        Some((place, because))
    }

    /// The loop as an error; the rest as hints.
    fn told(&self, variants: &Variants<'_>) -> Result<Diagnostic, Interrupted> {
        let names: Vec<&str> = self.shortest.iter().map(|index| self.name(*index)).collect();
        let message = match names.as_slice() {
            [one] => format!("cannot plan `{one}`: it needs itself to be built"),
            several => format!("cannot plan a cycle: {} → {}", several.join(" → "), several[0]),
        };
        let mut new = Diagnostic::new(message);
        for (at, index) in self.shortest.iter().enumerate() {
            let next = self.shortest[(at + 1) % self.shortest.len()];
            let Some((place, because)) = self.because(*index, next) else {
                continue;
            };
            new = if at == 0 {
                new.at(place).note(&because.says)
            } else {
                new.cause(format!("{place}: {}", because.says))
            };
        }
        if self.members.len() > self.shortest.len() {
            new = new.hint(self.whole()).hint(self.untied());
        }
        if let Some(why) = select::why(self.shortest[0], self.recipes, &self.draft.chosen) {
            new = new.hint(why);
        }
        for way in self.ways_out(variants)? {
            new = new.hint(way);
        }
        Ok(new.hint("drop one of these requirements, or let stage0 lend it (`keel.stage0.lends`)"))
    }

    fn whole(&self) -> String {
        let names: Vec<&str> = self
            .members
            .iter()
            .take(MOST_NAMES)
            .map(|index| self.name(*index))
            .collect();
        let more = match self.members.len() - names.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(
            "this is the shortest of the loops among {} components: {}{more}",
            self.members.len(),
            names.join(", ")
        )
    }

    /// A few requirements that hold the knot together.
    fn untied(&self) -> String {
        let mut lines = Vec::new();
        for (from, to) in self.cuts.iter().take(MOST_PLACES) {
            if let Some((place, because)) = self.because(*from, *to) {
                lines.push(format!("\n{place}: {}", because.says));
            }
        }
        if self.cuts.len() > MOST_PLACES {
            lines.push(format!("\nand {} more", self.cuts.len() - MOST_PLACES));
        }
        let count = match self.cuts.len() {
            1 => "this requirement".to_owned(),
            several => format!("these {several} requirements"),
        };
        format!("without {count} there is no loop among them:{}", lines.concat())
    }

    /// Build conditions that, turned round, take an edge away.
    fn ways_out(&self, variants: &Variants<'_>) -> Result<Vec<String>, Interrupted> {
        let mut needed: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        let mut order: Vec<usize> = Vec::new();
        let pairs = self.shortest.iter().enumerate();
        let on_loop = pairs.map(|(at, index)| (*index, self.shortest[(at + 1) % self.shortest.len()]));
        for (from, to) in on_loop.chain(self.cuts.iter().copied()) {
            needed.entry(from).or_default().insert(to);
            if !order.contains(&from) {
                order.push(from);
            }
        }
        let mut ways = Vec::new();
        for index in order.into_iter().take(MOST_READ) {
            for variant in variants(&self.recipes[index]) {
                let base = self.draft.needs[index].base(self.project);
                let generated = needs::generated_of(&variant.recipe, self.generated);
                let then = needs::of(&variant.recipe, &base, generated, self.providers)?;
                let gone: Vec<&str> = needed[&index]
                    .iter()
                    .filter(|need| !then.jobs.contains_key(need))
                    .map(|need| self.name(*need))
                    .collect();
                if !gone.is_empty() {
                    ways.push(format!(
                        "`{}` in `[components.{}.build]` is a way out: `{}` needs no {} then",
                        variant.setting,
                        self.name(index),
                        self.name(index),
                        gone.join(", ")
                    ));
                }
            }
        }
        Ok(ways)
    }
}

/// A capability that has to come from elsewhere, if all recipes are to be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// The capability.
    pub name: String,
    /// Does nobody provide it, as it is asked for? Else it is on a cycle.
    pub is_missing: bool,
    /// How often it is asked for.
    pub asked: usize,
    /// Who asks first.
    pub first: ComponentName,
}

/// Capabilities that nobody provides, as they are asked for: those that most ask for first, then by name.
pub fn missing(
    project: &Project,
    recipes: &[Recipe],
    interrupt: &Interrupt,
) -> Result<Vec<Suggestion>, Interrupted> {
    let providers = Providers::new(recipes, &project.stage0.lends, interrupt);
    let needs = needs::all(project, recipes, &providers, &Generated::new())?;
    Ok(unmet(&needs, recipes, &providers))
}

fn unmet(needs: &[Needs], recipes: &[Recipe], providers: &Providers<'_>) -> Vec<Suggestion> {
    let mut asked: BTreeMap<String, Suggestion> = BTreeMap::new();
    for (needs, recipe) in needs.iter().zip(recipes) {
        let names: BTreeSet<String> = (needs.unmet.iter())
            .flat_map(|unmet| unmet.lacks(providers))
            .collect();
        for name in names {
            let new = || Suggestion {
                name: name.clone(),
                is_missing: true,
                asked: 0,
                first: recipe.component.clone(),
            };
            asked.entry(name.clone()).or_insert_with(new).asked += 1;
        }
    }
    let mut all: Vec<Suggestion> = asked.into_values().collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.asked));
    all
}

/// Capabilities that, lent, leave all recipes with a plan: those that nobody provides, and of those on cycles as few as
/// taking the one that most of a knot asks for, again and again, finds. In the order of finding.
pub fn suggest(
    project: &Project,
    recipes: &[Recipe],
    interrupt: &Interrupt,
) -> Result<Vec<Suggestion>, Interrupted> {
    let mut project = project.clone();
    let mut found = Vec::new();
    let indices: Vec<usize> = (0..recipes.len()).collect();
    loop {
        let providers = Providers::new(recipes, &project.stage0.lends, interrupt);
        let needs = needs::all(&project, recipes, &providers, &Generated::new())?;
        let mut new = unmet(&needs, recipes, &providers);
        if new.is_empty() {
            let knots = graph::knots(&edges(&needs, &indices));
            new = knots
                .iter()
                .filter_map(|knot| most_asked(knot, &needs, recipes))
                .collect();
        }
        if new.is_empty() {
            return Ok(found);
        }
        let names = new.iter().map(|one| (one.name.clone(), Vec::new()));
        project.stage0.lends.extend(names);
        found.extend(new);
    }
}

/// The capability that most edges of a knot go through.
fn most_asked(knot: &Knot, needs: &[Needs], recipes: &[Recipe]) -> Option<Suggestion> {
    let mut asked: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for member in &knot.members {
        for (_, because) in needs[*member]
            .because
            .iter()
            .filter(|(need, _)| knot.members.contains(need))
        {
            asked.entry(&because.capability).or_default().push(*member);
        }
    }
    let (name, by) = asked
        .into_iter()
        .max_by_key(|(name, by)| (by.len(), std::cmp::Reverse(*name)))?;
    Some(Suggestion {
        name: name.to_owned(),
        is_missing: false,
        asked: by.len(),
        first: recipes[*by.first()?].component.clone(),
    })
}
