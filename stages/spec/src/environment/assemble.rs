//! The macro environment of Azure Linux, put together from a checkout of its SPECs.
//!
//! The packages that install macro files into a build root keep those files beside their SPECs, so the tree that a build
//! root has at `/usr/lib/rpm` can be made without building anything: rpm's own tree with those files over it. Which file
//! goes where is what `%install` of `azurelinux-rpm-macros.spec` (`azurelinux-rpm-config.spec` in 4.0) and of the others
//! says; where a SPEC makes a macro file itself, its text stands here.

use std::{io, path::Path};

use crate::macros::{Behaviour, pattern_matches};

use super::{
    Error,
    tree::{CONFIG, Tree},
};

/// A distribution whose checkouts are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distribution {
    /// Branch `3.0` of microsoft/azurelinux: the toolkit's worker chroot, with rpm 4.18.
    AzureLinux3,
    /// Branch `tomls/base/main`: the rendered SPECs of Azure Linux 4, with rpm 6.0.
    AzureLinux4,
}

/// Files of a checkout and the folder that they are seen in.
struct Step {
    /// The folder in the checkout.
    from: &'static str,
    /// Patterns of names in it.
    names: &'static [&'static str],
    /// The folder below [`CONFIG`].
    to: &'static str,
}

const fn step(from: &'static str, names: &'static [&'static str], to: &'static str) -> Step {
    Step { from, names, to }
}

const AZURE_LINUX_3: &[Step] = &[
    step(
        "SPECS/azurelinux-rpm-macros",
        &[
            "macros",
            "rpmrc",
            "default-*",
            "gpgverify",
            "*.py",
            "*.sh",
            "brp-*",
        ],
        "azl",
    ),
    step("SPECS/azurelinux-rpm-macros", &["macros.*"], "macros.d"),
    step("SPECS/azurelinux-rpm-macros", &["common.lua"], "lua/azl"),
    step(
        "SPECS/azurelinux-rpm-macros",
        &["forge.lua", "python.lua"],
        "lua/azl/srpm",
    ),
    step("SPECS/pyproject-rpm-macros", &["macros.pyproject"], "macros.d"),
    step("SPECS/pyproject-rpm-macros", &["*.py"], "azl"),
    step("SPECS/perl", &["macros.perl"], "macros.d"),
    step("SPECS/ocaml-srpm-macros", &["macros.ocaml-srpm"], "macros.d"),
    step(
        "toolkit/resources/manifests/package",
        &["macros.override"],
        "macros.d",
    ),
    step("SPECS/python-rpm-generators", &["*.attr"], "fileattrs"),
];

const AZURE_LINUX_4: &[Step] = &[
    step(
        "specs/a/azurelinux-rpm-config",
        &[
            "macros", "rpmrc", "dist.sh", "redhat-*", "brp-*", "find-*", "config.*",
        ],
        "redhat",
    ),
    step(
        "specs/a/azurelinux-rpm-config",
        &["macros.[!k]*", "macros.k[!m]*"],
        "macros.d",
    ),
    step("specs/a/azurelinux-rpm-config", &["common.lua"], "lua/fedora"),
    step("specs/a/azurelinux-rpm-config", &["*.attr"], "fileattrs"),
    step("specs/p/python-rpm-macros", &["python.lua"], "lua/fedora/srpm"),
    step("specs/a/ansible-packaging", MACROS, "macros.d"),
    step("specs/f/filesystem", MACROS, "macros.d"),
    step("specs/f/fpc-srpm-macros", MACROS, "macros.d"),
    step("specs/g/gap-srpm-macros", MACROS, "macros.d"),
    step("specs/g/ghc-srpm-macros", MACROS, "macros.d"),
    step("specs/g/gnat-srpm-macros", MACROS, "macros.d"),
    step("specs/g/gpgverify", MACROS, "macros.d"),
    step("specs/j/java-rpm-macros", MACROS, "macros.d"),
    step("specs/k/kernel-srpm-macros", MACROS, "macros.d"),
    step("specs/l/lua-rpm-macros", MACROS, "macros.d"),
    step("specs/o/ocaml-srpm-macros", MACROS, "macros.d"),
    step("specs/o/openblas-srpm-macros", MACROS, "macros.d"),
    step("specs/p/package-notes", MACROS, "macros.d"),
    step("specs/p/perl-srpm-macros", MACROS, "macros.d"),
    step("specs/p/pyproject-rpm-macros", MACROS, "macros.d"),
    step("specs/p/python-rpm-macros", MACROS, "macros.d"),
    step("specs/q/qt5", MACROS, "macros.d"),
    step("specs/q/qt6", MACROS, "macros.d"),
    step("specs/r/rust", MACROS, "macros.d"),
    step("specs/t/tree-sitter-srpm-macros", MACROS, "macros.d"),
    step("specs/z/zig-srpm-macros", MACROS, "macros.d"),
];

const MACROS: &[&str] = &["macros.*"];

/// What pkgconf.spec of Azure Linux 3 writes, with its slip of the pen.
const PKGCONF: &str = "%pkgconfig_personalitydir %{_datadir}/pkgconfPig/personality.d\n";

/// What azurelinux-release of Azure Linux 4 installs; `%dist` puts `%distprefix0`, `%distprefix1` … in front.
const DIST_4: &str = "\
%__bootstrap ~bootstrap
%azurelinux 4
%azl4 1
%fedora 43
%distcore .azl4
%dist %{lua: \\
    local text = rpm.isdefined('distprefix0') and '' or rpm.expand('%{?distprefix}') \\
    local n = 0 \\
    while rpm.isdefined('distprefix' .. n) do \\
        text = text .. rpm.expand('%distprefix' .. n) \\
        n = n + 1 \\
    end \\
    print(text) \\
}%{distcore}%{?with_bootstrap:%{__bootstrap}}%{?buildrelease:+build%{buildrelease}}
%dist_vendor Microsoft Corporation
%dist_name Azure Linux
";

impl Distribution {
    /// What a folder is a checkout of.
    pub fn of(checkout: &Path) -> Option<Self> {
        [Self::AzureLinux3, Self::AzureLinux4]
            .into_iter()
            .find(|one| checkout.join(one.steps()[0].from).is_dir())
    }

    /// The rpm that it builds with.
    pub fn behaviour(self) -> Behaviour {
        match self {
            Self::AzureLinux3 => Behaviour::Rpm418,
            Self::AzureLinux4 => Behaviour::Rpm6,
        }
    }

    /// The folder below rpm's that its own macros lie in.
    pub fn vendor(self) -> &'static str {
        match self {
            Self::AzureLinux3 => "azl",
            Self::AzureLinux4 => "redhat",
        }
    }

    /// What its build tool defines for every SPEC, as `--define` takes it.
    pub fn defines(self) -> &'static [&'static str] {
        match self {
            Self::AzureLinux3 => &["dist .azl3", "azl 3", "with_check 0"],
            Self::AzureLinux4 => &[],
        }
    }

    fn steps(self) -> &'static [Step] {
        match self {
            Self::AzureLinux3 => AZURE_LINUX_3,
            Self::AzureLinux4 => AZURE_LINUX_4,
        }
    }

    /// The tree that its build roots have: `base` is `/usr/lib/rpm` of the rpm that the tree is made over.
    pub fn assemble(self, checkout: &Path, base: &Path) -> Result<Tree, Error> {
        let mut tree = Tree::new();
        tree.add_folder(base, CONFIG)
            .map_err(|source| Error::read(base, source))?;
        for step in self.steps() {
            let folder = checkout.join(step.from);
            step.take(&folder, &mut tree)
                .map_err(|source| Error::read(&folder, source))?;
        }
        match self {
            Self::AzureLinux3 => {
                tree.add_bytes(PKGCONF.as_bytes(), &format!("{CONFIG}/macros.d/macros.pkgconf"))
            }
            Self::AzureLinux4 => tree.add_bytes(DIST_4.as_bytes(), &format!("{CONFIG}/macros.d/macros.dist")),
        }
        self.make_its_own(&mut tree)
            .map_err(|source| Error::read(base, source))?;
        Ok(tree)
    }

    /// Takes out of rpm's own files what another distribution's build of rpm put there.
    fn make_its_own(self, tree: &mut Tree) -> io::Result<()> {
        let platform = format!("{CONFIG}/platform");
        let platforms: Vec<String> = tree.below(&platform).map(str::to_owned).collect();
        let vendor = format!("%_vendor\t\t{}", self.vendor());
        for path in platforms.iter().filter(|path| path.ends_with("/macros")) {
            edit(tree, path, |line| {
                line.starts_with("%_vendor").then(|| vendor.clone())
            })?;
        }
        let macros = format!("{CONFIG}/macros");
        if !tree.is_file(&macros) {
            return Ok(());
        }
        edit(tree, &macros, |line| match line.starts_with("%_dbpath") {
            true => Some("%_dbpath\t\t%{_var}/lib/rpm".to_owned()),
            false => without_triplet(line),
        })
    }
}

impl Step {
    fn take(&self, folder: &Path, tree: &mut Tree) -> io::Result<()> {
        if !folder.is_dir() {
            return Ok(());
        }
        for entry in fs_err::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let wanted = self.names.iter().any(|pattern| pattern_matches(pattern, &name));
            if wanted && entry.path().is_file() {
                tree.add_file(entry.path(), &format!("{CONFIG}/{}/{name}", self.to));
            }
        }
        Ok(())
    }
}

/// Debian's `%__cc x86_64-linux-gnu-gcc` as everybody else's `%__cc gcc`.
fn without_triplet(line: &str) -> Option<String> {
    const TOOLS: [&str; 5] = ["%__ar", "%__as", "%__cc", "%__cpp", "%__cxx"];
    let (name, rest) = line.split_at(line.find([' ', '\t'])?);
    let value = rest.trim_start_matches([' ', '\t']);
    let tool = value
        .strip_prefix("x86_64-linux-gnu-")
        .filter(|_| TOOLS.contains(&name))?;
    Some(format!("{name}{}{tool}", &rest[..rest.len() - value.len()]))
}

/// Puts other lines in the place of those that `other` gives any for.
fn edit(tree: &mut Tree, path: &str, other: impl Fn(&str) -> Option<String>) -> io::Result<()> {
    let bytes = tree.read(path)?;
    let lines = bytes.split(|byte| *byte == b'\n').map(|line| {
        let other = std::str::from_utf8(line).ok().and_then(&other);
        other.map_or_else(|| line.to_vec(), String::into_bytes)
    });
    let edited = lines.collect::<Vec<_>>().join(&b'\n');
    tree.add_bytes(edited, path);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    #[test]
    fn a_checkout_becomes_a_tree() {
        let root = tempfile::tempdir().unwrap();
        let (base, checkout) = (root.path().join("base"), root.path().join("checkout"));
        write(
            &base,
            "macros",
            "%_dbpath /x\n%__cc\tx86_64-linux-gnu-gcc\n%__ld x86_64-linux-gnu-ld\n",
        );
        write(
            &base,
            "platform/x86_64-linux/macros",
            "%_vendor debian\n%_arch x86_64\n",
        );
        for (path, text) in [
            ("SPECS/azurelinux-rpm-macros/macros", "%_vendor azl\n"),
            (
                "SPECS/azurelinux-rpm-macros/rpmrc",
                "include: /usr/lib/rpm/rpmrc\n",
            ),
            ("SPECS/azurelinux-rpm-macros/macros.forge", "%forge 1\n"),
            ("SPECS/azurelinux-rpm-macros/forge.lua", "return {}\n"),
            (
                "SPECS/azurelinux-rpm-macros/azurelinux-rpm-macros.spec",
                "Name: x\n",
            ),
            ("toolkit/resources/manifests/package/macros.override", "%o 1\n"),
        ] {
            write(&checkout, path, text);
        }
        assert_eq!(Distribution::of(&base), None);
        let distribution = Distribution::of(&checkout).unwrap();
        assert_eq!(distribution, Distribution::AzureLinux3);

        let tree = distribution.assemble(&checkout, &base).unwrap();
        let read = |path: &str| String::from_utf8(tree.read(&format!("{CONFIG}/{path}")).unwrap()).unwrap();
        assert_eq!(
            read("macros"),
            "%_dbpath\t\t%{_var}/lib/rpm\n%__cc\tgcc\n%__ld x86_64-linux-gnu-ld\n"
        );
        assert_eq!(
            read("platform/x86_64-linux/macros"),
            "%_vendor\t\tazl\n%_arch x86_64\n"
        );
        assert_eq!(read("lua/azl/srpm/forge.lua"), "return {}\n");
        assert_eq!(
            tree.list(&format!("{CONFIG}/macros.d")),
            ["macros.forge", "macros.override", "macros.pkgconf"]
        );
        assert_eq!(tree.list(&format!("{CONFIG}/azl")), ["macros", "rpmrc"]);
    }
}
