//! `keel image import`: definitions of other builders' images.

use std::{io::Write as _, path::Path};

use fs_err::OpenOptions;

use keel_config::{Import, import::Packages};

use crate::{
    context::Context,
    failure::{Class, Failure},
    pipeline, report,
};

/// What packages are called here, and with `known` which there are.
pub fn packages(context: &Context<'_>, map: Option<&Path>, known: bool) -> Result<Packages, Failure> {
    let read = |shown: &Path| {
        let path = context.directory.join(shown);
        Packages::read_map(&path, shown).map_err(keel_config::Errors::from)
    };
    let made = || -> Result<_, Failure> {
        let project = pipeline::project(context)?;
        let recipes = pipeline::recipes(context, &project, &context.stage0(&project)?)?;
        let packages = recipes.into_iter().flat_map(|recipe| recipe.packages);
        Ok(packages.map(|package| package.nevra.name).collect())
    };
    Ok(Packages {
        map: map.map(read).transpose()?.unwrap_or_default(),
        known: known.then(made).transpose()?,
    })
}

/// Does what was asked for.
pub fn run(
    context: &Context<'_>,
    file: &Path,
    out: Option<&Path>,
    packages: &Packages,
) -> Result<(), Failure> {
    let from = context.directory.join(file);
    let import = keel_config::import::of_file(&from, file, packages).map_err(keel_config::Errors::from)?;
    let Some(out) = out else {
        return report::print(context, &import, |import| import.annotated());
    };
    let to = context.directory.join(out);
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).open(&to)?;
        file.write_all(import.annotated().as_bytes())?;
        file.sync_all()
    };
    if let Err(error) = write() {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            return Err(Failure::input(format!(
                "`{}` is there already: it is not written over",
                out.display()
            )));
        }
        return Err(Failure::because(
            Class::Environment,
            format!("cannot write `{}`", out.display()),
            &error,
        ));
    }
    report::print(context, &import, |import| told(import, out))
}

fn told(import: &Import, out: &Path) -> String {
    let counts = format!(
        "{}: {} values carried over, {} not",
        out.display(),
        import.carried.len(),
        import.left.len()
    );
    if import.left.is_empty() {
        return counts;
    }
    let row =
        |left: &keel_config::import::Left| vec![left.at.to_string(), left.key.clone(), left.why.clone()];
    let rows: Vec<Vec<String>> = import.left.iter().map(row).collect();
    format!(
        "{counts}\n{}",
        report::table(&["place", "not carried over", "why"], &rows)
    )
}
