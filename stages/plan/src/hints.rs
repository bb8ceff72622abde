//! What sections printed in earlier runs is a hint: the packages around them may have changed since.

use std::collections::BTreeSet;

use keel_artefact::{ComponentName, Dependency, Interrupted};
use keel_config::Project;
use keel_spec::Recipe;

use crate::{
    Known, by_name, draft, graph,
    job::Generated,
    needs::{self, Needs},
    providers::Providers,
};

/// What of `known.generated` can still be so. Left out is what nobody meets any more, what cannot be in one root with the rest, and what closes a
/// cycle: the section runs again, and says what it asks for now. What `is_asked` in this run stays, and is an error in the plan if it is wrong.
pub fn fitting(
    project: &Project,
    recipes: &[Recipe],
    known: &Known<'_>,
    is_asked: &dyn Fn(&ComponentName) -> bool,
) -> Result<Generated, Interrupted> {
    let mut generated = known.generated.clone();
    if generated.keys().all(is_asked) {
        return Ok(generated);
    }
    let recipes = known.published.stand_in(by_name(recipes), &project.stage0.lends);
    let providers = Providers::with(project, &recipes, known);
    let mut needs = needs::all(project, &recipes, &providers, &generated)?;
    // What is blamed alone, then all that a component has, then all on a cycle: each time less is left.
    for step in [blamed, refused, tangled] {
        let wrong: Vec<(usize, Option<Vec<Dependency>>)> = step(&needs)
            .into_iter()
            .filter(|(index, _)| {
                let component = &recipes[*index].component;
                generated.contains_key(component) && !is_asked(component)
            })
            .collect();
        for (index, requirements) in &wrong {
            let component = &recipes[*index].component;
            let Some(requirements) = requirements else {
                generated.remove(component);
                continue;
            };
            if let Some(rounds) = generated.get_mut(component) {
                (rounds.iter_mut()).for_each(|round| round.retain(|one| !requirements.contains(one)));
                rounds.retain(|round| !round.is_empty());
            }
        }
        if !wrong.is_empty() {
            needs = needs::all(project, &recipes, &providers, &generated)?;
        }
    }
    Ok(generated)
}

/// Recipes by index, and what is wrong with what their sections printed; none: all of it may be.
type Wrong = Vec<(usize, Option<Vec<Dependency>>)>;

/// Requirements that sections printed and nobody meets.
fn blamed(needs: &[Needs]) -> Wrong {
    let of = |needs: &Needs| -> Vec<Dependency> {
        let unmet = needs.unmet.iter();
        unmet.filter_map(|unmet| unmet.generated.clone()).collect()
    };
    let all = needs.iter().map(of).enumerate();
    all.filter(|(_, wrong)| !wrong.is_empty())
        .map(|(index, wrong)| (index, Some(wrong)))
        .collect()
}

/// Recipes that have no root.
fn refused(needs: &[Needs]) -> Wrong {
    let all = needs.iter().enumerate();
    all.filter(|(_, needs)| !needs.unmet.is_empty())
        .map(|(index, _)| (index, None))
        .collect()
}

/// Recipes on cycles.
fn tangled(needs: &[Needs]) -> Wrong {
    let indices: Vec<usize> = (0..needs.len()).collect();
    let knots = graph::knots(&draft::edges(needs, &indices));
    let members: BTreeSet<usize> = knots.into_iter().flat_map(|knot| knot.members).collect();
    members.into_iter().map(|index| (index, None)).collect()
}
