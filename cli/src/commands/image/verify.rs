//! `keel image verify`.

use keel_image::verify::{Report, verify};

use crate::{
    args,
    context::Context,
    failure::{Class, Failure},
    report,
};

pub(super) fn run(context: &Context<'_>, options: &args::image::Verify) -> Result<(), Failure> {
    let certificates = context.certificates(options.certificate.as_deref())?;
    let path = context.directory.join(&options.path);
    let found = verify(&path, &certificates, &context.interrupt).map_err(|error| match error {
        keel_image::Error::Interrupted(interrupted) => interrupted.into(),
        error => Failure::because(
            Class::Input,
            format!("cannot check {}", options.path.display()),
            &error,
        )
        .hint("name the folder of an image (out/images/NAME), or a file in it"),
    })?;
    report::print(context, &found, text)?;
    if found.problems.is_empty() {
        return Ok(());
    }
    let text = format!(
        "{} is not as it was built and signed: {}",
        options.path.display(),
        problems(found.problems.len())
    );
    let failure = Failure::new(Class::Failed, text);
    Err(match found.signed_by.is_none() && options.certificate.is_none() {
        true => failure.hint(
            "only this machine's development key was trusted: `--certificate FILE` names another public key",
        ),
        false => failure,
    })
}

fn text(found: &Report) -> String {
    let mut lines: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
    let signed = match &found.signed_by {
        Some(key) => format!("signed by {key}"),
        None => "no signature that is trusted".to_owned(),
    };
    lines.extend(found.image.as_ref().map(ToString::to_string));
    lines.push(format!(
        "{} files are right, {}; {signed}",
        found.good.len(),
        problems(found.problems.len())
    ));
    lines.join("\n")
}

fn problems(count: usize) -> String {
    match count {
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    }
}
