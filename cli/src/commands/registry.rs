//! `keel image index`, `push` and `pull`: finished containers, here and in registries.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use keel_artefact::ImageName;
use keel_config::image::Format;
use keel_image::{
    join,
    layout::Layout,
    registry::{
        Login, Options, Reference, login,
        pull::{self, Which},
        push,
    },
};

use crate::{
    args::image::Registry,
    context::Context,
    failure::{Class, Failure},
    pipeline, report,
};

/// Certificates that this machine trusts.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The longest password, in bytes: some are tokens.
const MAX_PASSWORD: u64 = 64 * 1024;

/// Joins containers of several architectures.
pub fn index(context: &Context<'_>, output: &Path, layouts: &[PathBuf]) -> Result<(), Failure> {
    let layouts: Vec<PathBuf> = layouts.iter().map(|path| context.directory.join(path)).collect();
    let joined = join::join(&layouts, &context.directory.join(output), &context.interrupt)?;
    report::print(context, &joined, |joined| {
        let platforms: Vec<String> = joined.platforms.iter().map(ToString::to_string).collect();
        let (path, digest) = (joined.path.display(), joined.digest);
        format!("{path}  sha256:{digest}\n  {}", platforms.join(", "))
    })
}

/// Sends a container.
pub fn push(
    context: &Context<'_>,
    image: &str,
    reference: &Reference,
    mount_from: Option<&str>,
    asked: &Registry,
) -> Result<(), Failure> {
    let path = find(context, image)?;
    let layout = Layout::open(&path)?;
    let options = options(context, reference, asked)?;
    let pushed = push::push(
        &layout,
        reference,
        mount_from,
        &options,
        context.sink(),
        &context.interrupt,
    )?;
    report::print(context, &pushed, |pushed| {
        let (name, digest) = (&pushed.reference, pushed.digest);
        let (blobs, bytes) = (push::told(pushed), report::bytes(pushed.bytes));
        format!("{name}@sha256:{digest}\n  blobs: {blobs}; {bytes} sent")
    })
}

/// Gets a container.
pub fn pull(
    context: &Context<'_>,
    reference: &Reference,
    dir: &Path,
    all_platforms: bool,
    asked: &Registry,
) -> Result<(), Failure> {
    let options = options(context, reference, asked)?;
    let which = match all_platforms {
        true => Which::All,
        false => Which::For(context.arch()),
    };
    let dir = context.directory.join(dir);
    let store = context.store()?;
    let pulled = pull::pull(
        reference,
        which,
        &dir,
        &options,
        store,
        context.sink(),
        &context.interrupt,
    )?;
    report::print(context, &pulled, |pulled| {
        let (fetched, there) = (pulled.fetched.len(), pulled.there.len());
        let (dir, digest) = (pulled.dir.display(), pulled.digest);
        format!("{dir}  sha256:{digest}\n  blobs: {fetched} fetched, {there} in the store")
    })
}

/// The finished container that is meant.
fn find(context: &Context<'_>, image: &str) -> Result<PathBuf, Failure> {
    if image.contains('/') {
        return Ok(context.directory.join(image));
    }
    let name: ImageName = image
        .parse()
        .map_err(|error| Failure::input(format!("{error}")).hint("a path has a `/` in it"))?;
    let project = context.project()?;
    let image = pipeline::images(&project, std::slice::from_ref(&name))?.remove(0);
    if !image.is_container() {
        return Err(Failure::input(format!(
            "image `{name}` is not built as a container"
        )));
    }
    let built = keel_image::existing(&project, &image).map_err(|error| {
        Failure::because(Class::Input, format!("image `{name}` is not built"), &error)
            .hint(format!("keel image build {name}"))
    })?;
    let file = built.file(Format::Oci).or_else(|| built.file(Format::OciArchive));
    file.ok_or_else(|| {
        Failure::input(format!("image `{name}` was built before it was a container"))
            .hint(format!("keel image build {name}"))
    })
}

/// How a registry is asked, by the arguments, this machine's certificates and the logins that are kept.
fn options(context: &Context<'_>, reference: &Reference, asked: &Registry) -> Result<Options, Failure> {
    if context.global.offline {
        return Err(Failure::input(format!(
            "`--offline` fetches nothing, and `{}` is a registry",
            reference.registry
        )));
    }
    let own = asked.ca_file.as_ref().map(|file| context.directory.join(file));
    let of_machine = Some(PathBuf::from(CERTIFICATES)).filter(|file| file.exists());
    let login = match &asked.username {
        Some(user) => Some(Login::Password {
            user: user.clone(),
            password: password()?,
        }),
        None => match &asked.auth_file {
            Some(file) => login::named(&context.directory.join(file), reference)?,
            None => login::find(&kept_logins(), reference)?,
        },
    };
    Ok(Options {
        certificates: of_machine.into_iter().chain(own).collect(),
        login,
        insecure_http: asked.insecure_http,
        ..Options::default()
    })
}

/// The first line of standard input, as `podman login --password-stdin` has it.
fn password() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin()
        .lock()
        .take(MAX_PASSWORD)
        .read_to_string(&mut text);
    read.map_err(|error| Failure::because(Class::Input, "cannot read the password", &error))?;
    let password = text.trim_end_matches(['\r', '\n']);
    match password.is_empty() {
        true => Err(Failure::input("there is no password on standard input")),
        false => Ok(password.to_owned()),
    }
}

/// Where podman and docker keep logins, in the order in which podman looks.
fn kept_logins() -> Vec<PathBuf> {
    let of_user = |variable: &str| {
        std::env::var_os(variable)
            .map(PathBuf::from)
            .filter(|dir| dir.is_absolute())
    };
    let home = of_user("HOME");
    let of_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let configuration = of_user("XDG_CONFIG_HOME").or_else(|| of_home(".config"));
    [
        of_user("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json")),
        configuration.map(|dir| dir.join("containers/auth.json")),
        of_user("DOCKER_CONFIG")
            .or_else(|| of_home(".docker"))
            .map(|dir| dir.join("config.json")),
    ]
    .into_iter()
    .flatten()
    .collect()
}
