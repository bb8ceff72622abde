//! Architectures for a tree that has no `rpmrc`: those that Keel may meet, as rpm's documentation names them.

/// What is read instead of `rpmrc`.
pub(super) const RPMRC: &str = "\
optflags: x86_64 -O2 -g
optflags: i386 -O2 -g
optflags: i686 -O2 -g
optflags: aarch64 -O2 -g
optflags: riscv64 -O2 -g

archcolor: noarch 0
archcolor: i386 1
archcolor: x86_64 2
archcolor: aarch64 2
archcolor: riscv64 2

arch_canon: x86_64: x86_64 1
arch_canon: i686: i686 1
arch_canon: i386: i386 1
arch_canon: aarch64: aarch64 19
arch_canon: riscv64: riscv64 22
os_canon: Linux: Linux 1

buildarchtranslate: i686: i386

buildarch_compat: x86_64: noarch
buildarch_compat: i686: i386
buildarch_compat: i386: noarch
buildarch_compat: aarch64: noarch
buildarch_compat: riscv64: noarch
";
