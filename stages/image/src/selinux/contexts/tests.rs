use super::*;
use crate::accounts::root_path;

const CONTEXTS: &str = "\
# a comment
/a/b\tu:r:exact:s0
/a(/.*)?\tu:r:below:s0
/a/.*\tu:r:later:s0
/x|/y\tu:r:choice:s0
/t\t-d\tu:r:dir:s0
/t\t--\tu:r:file:s0
/t\t-l\tu:r:link:s0
/t\t-c\tu:r:char:s0
/t\t-b\tu:r:block:s0
/t\t-p\tu:r:pipe:s0
/n(/.*)?\tu:r:n:s0
/n/none\t<<none>>
/esc\\.d\tu:r:escaped:s0
/dup\tu:r:all:s0
/dup\t--\tu:r:files:s0
/h(/.*)?\tu:r:main:s0
/opt?\tu:r:optional:s0
/z{2}\tu:r:counted:s0
/k\tu:r:kmain:s0
/lt\\<x\tu:r:lt:s0
/range\tu:r:t:s0-s0:c0.c1023
";

fn contexts() -> Contexts {
    let mut contexts = Contexts::default();
    for (name, text) in [
        ("file_contexts", CONTEXTS),
        (
            "file_contexts.homedirs",
            "/h(/.*)? u:r:home:s0\n/k u:r:khome:s0\n",
        ),
        ("file_contexts.local", "/k u:r:klocal:s0\n"),
        ("file_contexts.subs", "/s3 /s1\n/both /n\n/top /\n"),
        (
            "file_contexts.subs_dist",
            "/s1 /a\n/s2 /s1\n/sub/deep /n\n/sub /a\n/both /a\n",
        ),
    ] {
        let (_, meaning) = FILES.into_iter().find(|(file, _)| *file == name).unwrap();
        let file = root_path("/etc/selinux/p/contexts/files").join(name).unwrap();
        contexts.read(file, meaning, text).unwrap();
    }
    contexts
}

fn file() -> Kind {
    Kind::File(crate::tree::File::of(Vec::new()))
}

/// As `selabel_lookup -b file` of libselinux 3.4 answers with the same files.
#[test]
fn a_path_has_the_label_that_libselinux_gives_it() {
    let contexts = contexts();
    for (path, wanted) in [
        ("/a", "below"),
        ("/a/b", "exact"),
        ("/a/c", "later"),
        ("/x", "choice"),
        ("/xfoo", "choice"),
        ("/foo/y", "choice"),
        ("/foo/yy", ""),
        ("/n/none", ""),
        ("/n/other", "n"),
        ("/esc.d", "escaped"),
        ("/escxd", ""),
        ("/dup", "files"),
        ("/h/x", "home"),
        ("/op", "optional"),
        ("/opt", "optional"),
        ("/zz", "counted"),
        ("/z", ""),
        ("/k", "klocal"),
        ("/s1/c", "later"),
        ("/s2/c", ""),
        ("/sub/deep/c", "later"),
        ("/sub/c", "later"),
        ("/s3/c", "later"),
        ("/both/c", "n"),
        ("/both", "n"),
        ("/bothx", ""),
        ("/top/a/b", "exact"),
        ("/top", ""),
        ("/lt<x", "lt"),
        ("/", ""),
    ] {
        let found = contexts.of(&root_path(path), &file()).unwrap();
        let found = found.map_or("", |context| context.split(':').nth(2).unwrap());
        assert_eq!(found, wanted, "{path}");
    }
    let range = contexts.of(&root_path("/range"), &file()).unwrap();
    assert_eq!(range, Some("u:r:t:s0-s0:c0.c1023"));
}

#[test]
fn a_type_counts_where_it_is_said() {
    let contexts = contexts();
    let (major, minor) = (1, 2);
    for (kind, wanted) in [
        (Kind::Dir, "u:r:dir:s0"),
        (file(), "u:r:file:s0"),
        (Kind::Symlink("x".to_owned()), "u:r:link:s0"),
        (Kind::CharDevice { major, minor }, "u:r:char:s0"),
        (Kind::BlockDevice { major, minor }, "u:r:block:s0"),
        (Kind::Fifo, "u:r:pipe:s0"),
    ] {
        let found = contexts.of(&root_path("/t"), &kind).unwrap();
        assert_eq!(found, Some(wanted), "{}", kind.noun());
    }
    let of_dup = contexts.of(&root_path("/dup"), &Kind::Dir).unwrap();
    assert_eq!(of_dup, Some("u:r:all:s0"));
}

#[test]
fn a_line_that_says_nothing_is_named() {
    for (meaning, line, wanted) in [
        (
            Meaning::Contexts,
            "/a",
            "it is not an expression, a type or none, and a context",
        ),
        (
            Meaning::Contexts,
            "/a -- u:r:t more",
            "it is not an expression, a type or none, and a context",
        ),
        (
            Meaning::Contexts,
            "/a -x u:r:t",
            "`-x` is no type of a file (`--`, `-d`, `-l`, `-c`, `-b`, `-p`, `-s`)",
        ),
        (
            Meaning::Contexts,
            "/a d u:r:t",
            "`d` is no type of a file (`--`, `-d`, `-l`, `-c`, `-b`, `-p`, `-s`)",
        ),
        (
            Meaning::Contexts,
            "/a u:r",
            "`u:r` is no context (`USER:ROLE:TYPE:LEVEL`)",
        ),
        (
            Meaning::Contexts,
            "/a u::t",
            "`u::t` is no context (`USER:ROLE:TYPE:LEVEL`)",
        ),
        (
            Meaning::Contexts,
            "/a u:r:\u{e4}",
            "`u:r:\u{e4}` is no context (`USER:ROLE:TYPE:LEVEL`)",
        ),
        (Meaning::Substitutes, "/a", "it is not two paths"),
        (Meaning::Substitutes, "a /b", "it is not two paths"),
    ] {
        let mut contexts = Contexts::default();
        let text = format!("# first\n\n{line}\n");
        let wrong = contexts.read(root_path("/f"), meaning, &text).unwrap_err();
        assert_eq!((wrong.line, wrong.why.as_str()), (3, wanted));
    }
}

#[test]
fn an_expression_that_cannot_be_used_is_named_when_it_is_met() {
    for expression in ["/a(", "/a[z-b]", "/a(?=b)", "/a(((x{1000}){1000}){1000})"] {
        let mut contexts = Contexts::default();
        let text = format!("{expression} u:r:t:s0\n");
        contexts.read(root_path("/f"), Meaning::Contexts, &text).unwrap();
        assert_eq!(contexts.of(&root_path("/b"), &file()), Ok(None));
        let wrong = contexts.of(&root_path("/a"), &file()).unwrap_err();
        assert_eq!(wrong.line, 1);
        let begins = format!("the expression `{expression}` cannot be used: ");
        assert!(
            wrong.why.starts_with(&begins) && wrong.why.len() > begins.len(),
            "{}",
            wrong.why
        );
    }
}

#[test]
fn a_policy_has_an_end() {
    let text = "/a u:r:t:s0\n".repeat(MOST_LINES + 1);
    let wrong = Contexts::default().read(root_path("/f"), Meaning::Contexts, &text);
    assert_eq!(wrong.unwrap_err().line, MOST_LINES + 1);
}
