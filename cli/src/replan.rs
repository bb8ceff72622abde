//! What components ask for while they are built (`%generate_buildrequires`): remembered between runs, and planned again in a run that
//! finds it out.

use keel_artefact::{ComponentName, Dependency, Event};
use keel_build::{fingerprint::Own, generate};
use keel_config::Project;
use keel_host::stage0::Stage0;
use keel_plan::Generated;
use keel_source::SourceSet;
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
    let asking: Vec<Recipe> = (recipes.iter())
        .filter(|recipe| recipe.generates.is_some())
        .cloned()
        .collect();
    if asking.is_empty() {
        return Ok(generated);
    }
    let all = pinned(context, project, &asking)?;
    for (recipe, sources) in asking.iter().zip(&all) {
        let Some(sources) = sources else { continue };
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

/// What is pinned for each. The locks are read once; where something is wrong with them, once for each: what that is is told when
/// they are fetched, if they are.
fn pinned(
    context: &Context<'_>,
    project: &Project,
    recipes: &[Recipe],
) -> Result<Vec<Option<SourceSet>>, Failure> {
    let known = |recipes: &[Recipe]| match pipeline::pinned(context, project, recipes) {
        Ok(sources) => Ok(Some(sources)),
        Err(failure) if failure.class == Class::Input => Ok(None),
        Err(failure) => Err(failure),
    };
    if let Some(all) = known(recipes)? {
        return Ok(all.into_iter().map(Some).collect());
    }
    let one = |recipe| Ok(known(std::slice::from_ref(recipe))?.and_then(|all| all.into_iter().next()));
    recipes.iter().map(one).collect()
}

/// Does `work` with a plan, and with another one for as long as components ask for what it does not know: what is finished is
/// cached, so that this costs little. Where something failed, too, that is the end, but for those who want to `keep_going`: it
/// is not tried again by the next plan.
pub fn until_known<T>(
    context: &Context<'_>,
    mut planned: Planned,
    keep_going: bool,
    work: &mut Work<'_, T>,
) -> Result<(Planned, T), Failure> {
    let mut failed = Vec::new();
    for _ in 0..MOST_PLANS {
        let mut errors = match work(&planned)? {
            Ok(done) => return Ok((planned, done)),
            Err(errors) => errors,
        };
        context.interrupt.check()?;
        errors.failed.splice(0..0, std::mem::take(&mut failed));
        if errors.wanted.is_empty() || !(errors.failed.is_empty() || keep_going) {
            return Err(errors.into());
        }
        tell(context, &planned, &errors.wanted);
        let names = errors
            .failed
            .iter()
            .map(|(component, _)| component.clone())
            .collect();
        failed = errors.failed;
        planned = match planned.again(context, errors.wanted, names) {
            Ok(planned) => planned,
            Err(failure) => return Err(after(failed, failure)),
        };
    }
    let text = format!("what %generate_buildrequires asks for does not come to rest in {MOST_PLANS} plans");
    Err(after(failed, Failure::new(Class::Failed, text)))
}

/// What had failed before there was no other plan, and why there is none.
fn after(failed: Vec<(ComponentName, keel_build::Error)>, failure: Failure) -> Failure {
    if failed.is_empty() || failure.class == Class::Interrupted {
        return failure;
    }
    let mut all = Failure::from(keel_build::Errors {
        failed,
        wanted: Generated::new(),
        skipped: Vec::new(),
    });
    all.diagnostics.extend(failure.diagnostics);
    all
}

fn tell(context: &Context<'_>, planned: &Planned, wanted: &Generated) {
    for (component, all) in wanted {
        let job = planned.plan.job(component);
        let known: Vec<&Dependency> = job.into_iter().flat_map(|job| job.generated()).collect();
        let new = (all.iter().flatten()).filter(|requirement| !known.contains(requirement));
        let mut names: Vec<String> = new.map(|requirement| format!("`{requirement}`")).collect();
        const MOST: usize = 10;
        if names.len() > MOST {
            let more = names.len() - MOST;
            names.truncate(MOST);
            names.push(format!("{more} more"));
        }
        let asks = match names.as_slice() {
            [] => "no longer asks for all that it did".to_owned(),
            names => format!("asks for {}", names.join(", ")),
        };
        let text = format!("`{component}` {asks} (%generate_buildrequires): planned again");
        context.sink().event(Event::Note { text: &text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(names: &[&str]) -> Vec<(ComponentName, keel_build::Error)> {
        let one = |name: &&str| (name.parse().unwrap(), std::io::Error::other("full disk").into());
        names.iter().map(one).collect()
    }

    #[test]
    fn what_failed_before_is_told_with_why_there_is_no_other_plan() {
        let none = || Failure::input("no package provides `x`").hint("did you mean `y`?");
        let text = after(failed(&["zlib", "bash"]), none()).render(false);
        let places: Vec<usize> = [
            "cannot build `zlib`",
            "cannot build `bash`",
            "no package provides `x`",
        ]
        .iter()
        .map(|part| text.find(part).unwrap_or_else(|| panic!("{part}: {text}")))
        .collect();
        assert!(places.is_sorted(), "{text}");
        assert!(text.contains("full disk"), "{text}");
        assert!(text.ends_with("hint: did you mean `y`?"), "{text}");
        // What failed first says how the command ends.
        assert_eq!(after(failed(&["zlib"]), none()).class, Class::Environment);
    }

    #[test]
    fn where_nothing_failed_before_or_the_user_stops_nothing_is_added() {
        let alone = after(failed(&[]), Failure::input("no package provides `x`"));
        assert_eq!(alone.class, Class::Input);
        assert_eq!(alone.render(false), "error: no package provides `x`");
        let stopped = Failure::from(keel_artefact::Interrupted);
        let text = stopped.render(false);
        let stopped = after(failed(&["zlib"]), stopped);
        assert_eq!(stopped.class, Class::Interrupted);
        assert_eq!(stopped.render(false), text);
    }
}
