//! What components ask for while they are built (`%generate_buildrequires`): remembered between runs, and planned again in a run that
//! finds it out.

use keel_artefact::Event;
use keel_build::{fingerprint::Own, generate};
use keel_config::Project;
use keel_host::stage0::Stage0;
use keel_plan::Generated;
use keel_spec::Recipe;

use crate::{
    context::Context,
    failure::{Class, Failure},
    pipeline::{self, Planned},
};

/// How often a run is planned again. Each time it knows more of what sections print; what they print ends after ten rounds.
const MOST_PLANS: usize = 100;

/// What the sections of these recipes printed in earlier runs, over the same SPECs and pinned sources.
pub fn remembered(
    context: &Context<'_>,
    project: &Project,
    stage0: &Stage0,
    recipes: &[Recipe],
) -> Result<Generated, Failure> {
    let store = context.store()?;
    let mut generated = Generated::new();
    for recipe in recipes.iter().filter(|recipe| recipe.generates.is_some()) {
        // What is wrong with its sources is told when they are fetched, if they are.
        let Ok(sources) = pipeline::pinned(context, project, std::slice::from_ref(recipe)) else {
            continue;
        };
        let Some(sources) = sources.first() else { continue };
        let own = Own {
            recipe,
            sources,
            skip_check: false,
            borrowed_libc: false,
            bootstrap_libc: false,
        };
        if let Some(known) = generate::remembered(store, &own, &stage0.digest)? {
            generated.insert(recipe.component.clone(), known);
        }
    }
    Ok(generated)
}

/// What is done with a plan; the inner errors may ask for another one.
pub type Work<'w, T> = dyn FnMut(&Planned) -> Result<Result<T, keel_build::Errors>, Failure> + 'w;

/// Does `work` with a plan, and with another one for as long as components ask for what it does not know: what is finished is
/// cached, so that this costs little. Where something failed, too, that is the end, but for those who want to `keep_going`.
pub fn until_known<T>(
    context: &Context<'_>,
    mut planned: Planned,
    keep_going: bool,
    work: &mut Work<'_, T>,
) -> Result<(Planned, T), Failure> {
    for _ in 0..MOST_PLANS {
        let errors = match work(&planned)? {
            Ok(done) => return Ok((planned, done)),
            Err(errors) => errors,
        };
        context.interrupt.check()?;
        if errors.wanted.is_empty() || !(errors.failed.is_empty() || keep_going) {
            return Err(errors.into());
        }
        tell(context, &planned, &errors.wanted);
        planned = planned.again(context, errors.wanted)?;
    }
    let text = format!("what %generate_buildrequires asks for does not come to rest in {MOST_PLANS} plans");
    Err(Failure::new(Class::Failed, text))
}

fn tell(context: &Context<'_>, planned: &Planned, wanted: &Generated) {
    for (component, all) in wanted {
        let known = planned.plan.job(component).map_or(&[][..], |job| &job.generated);
        let new = all.iter().filter(|requirement| !known.contains(requirement));
        let mut names: Vec<String> = new.map(|requirement| format!("`{requirement}`")).collect();
        const MOST: usize = 10;
        if names.len() > MOST {
            let more = names.len() - MOST;
            names.truncate(MOST);
            names.push(format!("{more} more"));
        }
        let text = format!(
            "`{component}` asks for {} (%generate_buildrequires): planned again",
            names.join(", ")
        );
        context.sink().event(Event::Note { text: &text });
    }
}
