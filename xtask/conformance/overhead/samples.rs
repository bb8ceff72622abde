//! 20 small packages of different kinds, each with its SPEC and sources.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::Result;

/// One package.
pub struct Sample {
    /// Its name, and its component's.
    pub name: String,
    /// What it is.
    pub kind: &'static str,
    /// The SPEC.
    pub spec: String,
    /// Files beside the SPEC.
    pub sources: Vec<(String, Vec<u8>)>,
}

/// A SPEC's parts that are not the same in all.
#[derive(Default)]
struct Parts<'a> {
    preamble: &'a str,
    build: &'a str,
    install: &'a str,
    sections: &'a str,
}

const MAKE: &str = "%set_build_flags\nmake CC=\"$CC\" CFLAGS=\"$CFLAGS\" LDFLAGS=\"$LDFLAGS\"\n";
const LIBRARY: &str = "%package devel\nSummary: Headers\nRequires: %{name} = %{version}-%{release}\n%description devel\nHeaders.\n\
    %files\n%{_libdir}/lib*.so.1\n%files devel\n%{_includedir}/*.h\n%{_libdir}/lib*.so\n";

/// All of them, those that others need first.
pub fn all() -> Vec<Sample> {
    let mut all = vec![
        library("liba", 3),
        library("libb", 12),
        data("dataa", 500),
        data("datab", 50),
    ];
    all.extend([
        program("proga", 1),
        program("progb", 4),
        program("progc", 16),
        program("progd", 40),
    ]);
    all.extend([configured("confa", 6), configured("confb", 25)]);
    all.extend([linked("linka", &["liba"]), linked("linkb", &["liba", "libb"])]);
    all.extend([scripts("scripta", 5), scripts("scriptb", 120)]);
    all.extend([
        many("many", 10),
        tested("tested"),
        patched("patched"),
        blob("blob", 4 << 20),
    ]);
    all.extend([generated("generated", 300), empty("meta")]);
    all
}

/// Writes a tree with all of them, in the fixture's distribution.
pub fn write(samples: &[Sample], tree: &Path) -> Result<()> {
    let mut project = "includes = [\"settings.toml\"]\n\n[project]\ndescription = \"Small packages\"\noutput-dir = \"out\"\n\
                       default-distro = { name = \"fixture\", version = \"1\" }\n"
        .to_owned();
    for sample in samples {
        let (name, folder) = (&sample.name, tree.join("specs").join(&sample.name));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("{name}.spec")), &sample.spec)?;
        for (file, bytes) in &sample.sources {
            fs::write(folder.join(file), bytes)?;
        }
        write!(
            project,
            "\n[components.{name}]\nspec = {{ type = \"local\", path = \"specs/{name}/{name}.spec\" }}\n\
             build = {{ bootstrap-libc = true, borrowed-libc = true }}\n\n[[components.{name}.package-checks.allow]]\n\
             rule = \"unmet-requirement\"\nreason = \"Debian's libc is lent to it\"\n"
        )?;
    }
    fs::write(tree.join("keel.toml"), project)?;
    fs::write(
        tree.join("settings.toml"),
        include_str!("../../../tests/fixture/settings.toml"),
    )?;
    fs::write(
        tree.join("macros.fixture"),
        include_str!("../../../tests/fixture/macros.fixture"),
    )?;
    Ok(())
}

fn sample(name: &str, kind: &'static str, parts: &Parts<'_>, sources: Vec<(String, Vec<u8>)>) -> Sample {
    let mut listed = String::new();
    for (number, (file, _)) in sources.iter().enumerate() {
        let _ = writeln!(listed, "Source{number}: {file}");
    }
    let copy = if sources.is_empty() {
        ""
    } else {
        "cp %{_sourcedir}/* .\n"
    };
    let Parts {
        preamble,
        build,
        install,
        sections,
    } = parts;
    let spec = format!(
        "Name: {name}\nVersion: 1\nRelease: 1%{{?dist}}\nSummary: A small package\nLicense: MIT\nURL: https://example.org/\n{listed}{preamble}\
         \n%description\nA small package.\n\n%prep\n%setup -q -c -T\n{copy}\n%build\n{build}\n%install\n{install}\n{sections}\
         \n%changelog\n* Thu Jan 01 2026 Keel Linux <keel@keel-linux.org> - 1-1\n- First.\n"
    );
    Sample {
        name: name.to_owned(),
        kind,
        spec,
        sources,
    }
}

/// Sources of a program of so many files, and a file for make.
fn c_files(count: usize, program: &str, head: &str, libraries: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut objects = String::new();
    for number in 0..count {
        let next = (number + 1) % count;
        let text = format!(
            "#include <stdio.h>\n#include <string.h>\nint part{next}(int);\nint part{number}(int depth)\n{{\n\tchar text[64];\n\
             \tsnprintf(text, sizeof text, \"part {number} of %d\", depth);\n\treturn depth <= 0 ? (int)strlen(text) : part{next}(depth - 1);\n}}\n"
        );
        files.push((format!("part{number}.c"), text.into_bytes()));
        let _ = write!(objects, " part{number}.o");
    }
    let main = format!(
        "{head}#include <stdio.h>\nint part0(int);\nint main(void)\n{{\n\tprintf(\"%d\\n\", part0(3));\n\treturn 0;\n}}\n"
    );
    files.push(("main.c".to_owned(), main.into_bytes()));
    let make = format!("{program}: main.o{objects}\n\t$(CC) $(LDFLAGS) -o $@ $^ {libraries}\n");
    files.push(("Makefile".to_owned(), make.into_bytes()));
    files
}

const PROGRAM: Parts<'_> = Parts {
    preamble: "BuildRequires: gcc make\n",
    build: MAKE,
    install: "install -D -m755 %{name} %{buildroot}%{_bindir}/%{name}\n",
    sections: "%files\n%{_bindir}/%{name}\n",
};

fn program(name: &str, files: usize) -> Sample {
    sample(name, "program, make", &PROGRAM, c_files(files, name, "", ""))
}

fn configured(name: &str, checks: usize) -> Sample {
    let mut configure = "#!/bin/sh\nset -e\n: > config.h\n".to_owned();
    for number in 0..checks {
        let _ = writeln!(
            configure,
            "printf '#include <stdio.h>\\nint main(void) {{ return {number}; }}\\n' > try.c\n\
             ${{CC:-gcc}} -c try.c -o try.o && echo '#define HAVE_{number} 1' >> config.h"
        );
    }
    let mut sources = c_files(3, name, "#include \"config.h\"\n", "");
    sources.push(("configure".to_owned(), configure.into_bytes()));
    let build = format!("%set_build_flags\nsh ./configure\n{MAKE}");
    let parts = Parts {
        build: &build,
        ..PROGRAM
    };
    sample(name, "program, configure", &parts, sources)
}

fn library(name: &str, files: usize) -> Sample {
    let mut sources = c_files(files, name, "", "");
    let short = name.trim_start_matches("lib");
    sources.retain(|(file, _)| file.starts_with("part"));
    let header = format!("int part0(int);\n#define {short}_call part0\n");
    sources.push((format!("{short}.h"), header.into_bytes()));
    let build = format!(
        "%set_build_flags\nfor file in part*.c; do $CC $CFLAGS -fPIC -c $file; done\n\
         $CC $LDFLAGS -shared -Wl,-soname,{name}.so.1 -o {name}.so.1 part*.o\n"
    );
    let install = format!(
        "install -D -m755 {name}.so.1 %{{buildroot}}%{{_libdir}}/{name}.so.1\nln -s {name}.so.1 %{{buildroot}}%{{_libdir}}/{name}.so\n\
         install -D -m644 {short}.h %{{buildroot}}%{{_includedir}}/{short}.h\n"
    );
    let parts = Parts {
        preamble: "BuildRequires: gcc\n",
        build: &build,
        install: &install,
        sections: LIBRARY,
    };
    sample(name, "library, -devel", &parts, sources)
}

fn linked(name: &str, libraries: &[&str]) -> Sample {
    let flags: Vec<String> = libraries
        .iter()
        .map(|library| format!("-l{}", &library[3..]))
        .collect();
    let requires: Vec<String> = libraries
        .iter()
        .map(|library| format!("{library}-devel"))
        .collect();
    let preamble = format!("BuildRequires: gcc make {}\n", requires.join(" "));
    let head = format!("#include <{}.h>\n", &libraries[0][3..]);
    let parts = Parts {
        preamble: &preamble,
        ..PROGRAM
    };
    let libraries = format!("-L/usr/lib64 -Wl,--no-as-needed {}", flags.join(" "));
    sample(
        name,
        "program, libraries",
        &parts,
        c_files(2, name, &head, &libraries),
    )
}

fn data(name: &str, files: usize) -> Sample {
    let install = format!(
        "mkdir -p %{{buildroot}}%{{_datadir}}/%{{name}}\nfor n in $(seq {files}); do echo \"file $n\" > %{{buildroot}}%{{_datadir}}/%{{name}}/$n; done\n"
    );
    let parts = Parts {
        preamble: "BuildArch: noarch\n",
        install: &install,
        sections: "%files\n%{_datadir}/%{name}\n",
        ..Parts::default()
    };
    sample(name, "noarch, data", &parts, Vec::new())
}

fn scripts(name: &str, files: usize) -> Sample {
    let sources = (0..files).map(|number| {
        let text = format!("#!/bin/sh\n# Script {number} of {name}.\necho {number} \"$@\"\n");
        (format!("{name}-{number}.sh"), text.into_bytes())
    });
    let parts = Parts {
        preamble: "BuildArch: noarch\n",
        install: "mkdir -p %{buildroot}%{_bindir}\nfor file in *.sh; do install -m755 $file %{buildroot}%{_bindir}/${file%.sh}; done\n",
        sections: "%files\n%{_bindir}/*\n",
        ..Parts::default()
    };
    sample(name, "noarch, scripts", &parts, sources.collect())
}

fn many(name: &str, count: usize) -> Sample {
    let mut sections = "%files\n".to_owned();
    let mut install = "mkdir -p %{buildroot}%{_datadir}/%{name}\n".to_owned();
    for number in 0..count {
        let _ = write!(
            sections,
            "%package part{number}\nSummary: Part\n%description part{number}\nPart.\n%files part{number}\n%{{_datadir}}/%{{name}}/{number}\n"
        );
        let _ = writeln!(
            install,
            "echo {number} > %{{buildroot}}%{{_datadir}}/%{{name}}/{number}"
        );
    }
    let parts = Parts {
        preamble: "BuildArch: noarch\n",
        install: &install,
        sections: &sections,
        ..Parts::default()
    };
    sample(name, "noarch, 11 packages", &parts, Vec::new())
}

fn tested(name: &str) -> Sample {
    let sections =
        "%check\nfor n in $(seq 50); do ./%{name} | grep -q '^[0-9]'; done\n%files\n%{_bindir}/%{name}\n";
    let parts = Parts { sections, ..PROGRAM };
    sample(name, "program, %check", &parts, c_files(5, name, "", ""))
}

fn patched(name: &str) -> Sample {
    let mut sources = c_files(5, name, "", "");
    let patch = "--- a/main.c\n+++ b/main.c\n@@ -1,3 +1,4 @@\n+#include <stdlib.h>\n #include <stdio.h>\n int part0(int);\n int main(void)\n";
    sources.push(("fix.patch".to_owned(), patch.into()));
    let build = format!("patch -p1 < fix.patch\n{MAKE}");
    let parts = Parts {
        build: &build,
        ..PROGRAM
    };
    sample(name, "program, patch", &parts, sources)
}

fn blob(name: &str, size: usize) -> Sample {
    // What no compressor makes smaller; the same each time.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = (0..size / 8).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let parts = Parts {
        preamble: "BuildArch: noarch\n",
        install: "install -D -m644 blob.bin %{buildroot}%{_datadir}/%{name}/blob.bin\n",
        sections: "%files\n%{_datadir}/%{name}\n",
        ..Parts::default()
    };
    sample(
        name,
        "noarch, 4 MiB",
        &parts,
        vec![("blob.bin".to_owned(), words.collect())],
    )
}

fn generated(name: &str, functions: usize) -> Sample {
    let mut sources = c_files(1, name, "", "table.c");
    let mut table = String::new();
    for number in 0..functions {
        let _ = writeln!(
            table,
            "int row{number}(int x) {{ for (int i = 0; i < {number}; i++) x = x * 31 + i; return x; }}"
        );
    }
    sources.push(("table.c".to_owned(), table.into_bytes()));
    sample(name, "program, generated", &PROGRAM, sources)
}

fn empty(name: &str) -> Sample {
    let parts = Parts {
        preamble: "BuildArch: noarch\n",
        sections: "%files\n",
        ..Parts::default()
    };
    sample(name, "noarch, no files", &parts, Vec::new())
}
