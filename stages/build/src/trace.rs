//! What the linker read: the proof that nothing of the borrowed root was linked into a package.
//!
//! `gcc -B/usr/lib64` in a root without Debian's libc headers takes every object from Keel's packages but gcc's own
//! (`crtbegin*.o`, `crtend*.o`, `libgcc*`). The `ld` of a build root writes what it reads as a makefile dependency
//! list (`ld --dependency-file`, binutils' manual) into `/build/trace`, one file a link; here each input must be the
//! build's own, a Keel package's, or one of these few. Link-time optimisation changes nothing of that: what its plugin takes is listed
//! as it was given to the linker; the objects that it makes of it, in `/tmp`, may be or not.

use std::{collections::BTreeSet, path::Path};

use keel_sandbox::Beneath;
use serde::{Deserialize, Serialize};

/// One run of the linker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What it wrote.
    pub output: String,
    /// What it read, as the linker named it.
    pub inputs: Vec<String>,
}

/// A link that read a file which is neither the build's nor Keel's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Leak {
    /// What was linked.
    pub output: String,
    /// The borrowed file.
    pub input: String,
}

/// Parses one dependency file of `ld`: `output: input input \` with continued lines, `\ ` and `$$` escapes. The empty
/// rules for each input that follow it (`input:`) are passed over.
pub fn parse(text: &str) -> Option<Link> {
    let joined = text.replace("\\\n", " ");
    let (output, inputs) = joined
        .lines()
        .next()?
        .split_once(": ")
        .or_else(|| joined.lines().next()?.split_once(':'))?;
    let mut words = Vec::new();
    let mut word = String::new();
    let mut characters = inputs.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if matches!(characters.peek(), Some(' ' | '#' | '\\')) => word.extend(characters.next()),
            '$' if characters.peek() == Some(&'$') => word.extend(characters.next()),
            c if c.is_whitespace() => {
                words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()))
            }
            c => word.push(c),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    Some(Link {
        output: output.trim().to_owned(),
        inputs: words,
    })
}

/// What a link may take from the borrowed root: gcc's own start files and support library.
fn is_gcc_own(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let in_gcc = path.starts_with("/usr/lib/gcc/");
    let start_file =
        ["crtbegin", "crtend"].iter().any(|start| name.starts_with(start)) && name.ends_with(".o");
    let support = matches!(name, "libgcc.a" | "libgcc_eh.a" | "libgcc_s.so" | "libgcov.a");
    (in_gcc && (start_file || support)) || (name == "libgcc_s.so.1" && path.starts_with("/usr/lib"))
}

/// The borrowed files that `link` read. `trees` are the unpacked Keel packages of the build root.
pub fn leaks(link: &Link, trees: &[&Path]) -> BTreeSet<Leak> {
    let borrowed = |input: &&String| {
        let Some(path) = normalise(input) else {
            return false;
        };
        let own = ["/build/", "/tmp/", "/var/tmp/", "/dev/", "/proc/"]
            .iter()
            .any(|start| path.starts_with(start));
        !own && !is_gcc_own(&path) && !trees.iter().any(|tree| has(tree, Path::new(&path[1..])))
    };
    let leak = |input: &String| Leak {
        output: link.output.clone(),
        input: input.clone(),
    };
    link.inputs.iter().filter(borrowed).map(leak).collect()
}

/// Has a tree this file? A link in it that leads to the host's own file does not count; nor does a tree that cannot be asked.
fn has(tree: &Path, name: &Path) -> bool {
    let is_in = || Beneath::open(tree).and_then(|tree| tree.has(name));
    tree.join(name).symlink_metadata().is_ok() && is_in().unwrap_or(false)
}

/// An absolute path without `..`, with the links of merged /usr followed; none for a relative path, which is below the
/// build's folder.
fn normalise(path: &str) -> Option<String> {
    if !path.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    if matches!(parts.first(), Some(&("bin" | "sbin" | "lib" | "lib64"))) {
        parts.insert(0, "usr");
    }
    Some(format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependency_files_are_read_with_their_escapes() {
        let text =
            "a.out: /usr/lib64/crt1.o \\\n  main\\ 1.o \\\n  pri$$e.o\n\n/usr/lib64/crt1.o:\n\nmain\\ 1.o:\n";
        let link = parse(text).unwrap();
        assert_eq!(link.output, "a.out");
        assert_eq!(link.inputs, ["/usr/lib64/crt1.o", "main 1.o", "pri$e.o"]);
        assert_eq!(parse("x:\n").unwrap().inputs, Vec::<String>::new());
        assert_eq!(parse(""), None);
    }

    #[test]
    fn only_gcc_itself_may_be_borrowed() {
        let keel = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(keel.path().join("usr/lib64")).unwrap();
        fs_err::write(keel.path().join("usr/lib64/libc.so.6"), "").unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs_err::write(outside.path().join("crt9.o"), "").unwrap();
        std::os::unix::fs::symlink(outside.path(), keel.path().join("usr/lib64/out")).unwrap();
        let inputs = [
            ("main.o", false),
            ("/build/BUILD/x/main.o", false),
            ("/tmp/ccX.o", false),
            ("/lib64/libc.so.6", false),
            ("/usr/lib64/../lib64/libc.so.6", false),
            ("/usr/lib/gcc/x86_64-linux-gnu/14/crtbeginS.o", false),
            ("/usr/lib/gcc/x86_64-linux-gnu/14/libgcc_s.so", false),
            ("/lib/x86_64-linux-gnu/libgcc_s.so.1", false),
            ("/usr/lib/x86_64-linux-gnu/libc.so.6", true),
            (
                "/usr/lib/gcc/x86_64-linux-gnu/14/../../../x86_64-linux-gnu/crti.o",
                true,
            ),
            ("/usr/lib/gcc/x86_64-linux-gnu/14/libstdc++.a", true),
            ("/usr/lib64/libz.so.1", true),
            ("/usr/lib64/out/crt9.o", true),
        ];
        for (input, is_leak) in inputs {
            let link = Link {
                output: "a.out".into(),
                inputs: vec![input.into()],
            };
            assert_eq!(!leaks(&link, &[keel.path()]).is_empty(), is_leak, "{input}");
        }
    }
}
