//! `keel image convert`.

use std::{io::ErrorKind, path::Path};

use keel_config::image::Qcow2Compression;
use keel_image::{
    Error,
    convert::{Request, convert},
    read::Format,
};

use crate::{
    args::{self, DiskFormat, image::Compression},
    context::Context,
    failure::{Class, Failure},
    report,
};

pub(super) fn run(context: &Context<'_>, options: &args::Convert) -> Result<(), Failure> {
    let to_format = options.to_format.map(format).or_else(|| by_name(&options.to));
    let to_format = to_format.ok_or_else(|| {
        let text = format!(
            "the name of `{}` does not tell a format of disks",
            options.to.display()
        );
        Failure::input(text).hint("say it: --to raw, qcow2, vhd or vhdx")
    })?;
    if options.compression.is_some() && to_format != Format::Qcow2 {
        let text = format!("`--compression` is about qcow2, and this is to be {to_format}");
        return Err(Failure::input(text));
    }
    let request = Request {
        from: &context.directory.join(&options.from),
        from_format: options.from_format.map(format),
        to: &context.directory.join(&options.to),
        to_format,
        compression: match options.compression {
            Some(Compression::None) => Qcow2Compression::None,
            Some(Compression::Zstd) | None => Qcow2Compression::Zstd,
        },
        force: options.force,
    };
    let converted = convert(&request, context.sink(), &context.interrupt);
    let converted = converted.map_err(|error| failure(&request, &error))?;
    report::print(context, &converted, |converted| {
        format!(
            "{}: {} of {}, {} in the file",
            converted.file.display(),
            converted.to,
            report::bytes(converted.disk_size),
            report::bytes(converted.size),
        )
    })
}

fn failure(request: &Request<'_>, error: &Error) -> Failure {
    let class = match error {
        Error::Exists { .. } | Error::Unreadable { .. } | Error::TooLargeFor { .. } => Class::Input,
        Error::Io { source, .. } if source.kind() == ErrorKind::NotFound => Class::Input,
        Error::Io { .. } | Error::Busy { .. } => Class::Environment,
        _ => Class::Failed,
    };
    let failure = Failure::because(
        class,
        format!("`{}` is not converted", request.from.display()),
        error,
    );
    match error {
        Error::Exists { .. } if request.to.is_file() => failure.hint("--force replaces it"),
        Error::TooLargeFor { .. } => failure.hint("--to qcow2 or raw has room for it"),
        Error::Io { source, .. } if source.kind() == ErrorKind::NotFound && !request.from.exists() => {
            failure.hint("it is the path of a disk: `keel image build` prints where an image's is")
        }
        _ => failure,
    }
}

fn format(format: DiskFormat) -> Format {
    match format {
        DiskFormat::Raw => Format::Raw,
        DiskFormat::Qcow2 => Format::Qcow2,
        DiskFormat::Vhd => Format::Vhd,
        DiskFormat::Vhdx => Format::Vhdx,
    }
}

fn by_name(path: &Path) -> Option<Format> {
    let end = path.extension()?.to_str()?;
    let end = if end == "img" { "raw" } else { end };
    Format::ALL.into_iter().find(|format| format.as_str() == end)
}
