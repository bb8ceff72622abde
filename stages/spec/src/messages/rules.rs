//! What is known of rpm's messages: which part of the line each means, and what helps.

use super::{
    hints::{self as h, About},
    mark::{self, Mark, Mark as M},
};

/// What helps.
#[derive(Clone, Copy)]
pub(super) enum Hint {
    None,
    Say(&'static str),
    Make(fn(&About<'_>) -> Option<String>),
}

use Hint::{Make, None as N, Say};

/// A kind of message.
pub(super) struct Rule {
    /// Words that are in it.
    pub says: &'static str,
    pub mark: Mark,
    pub hint: Hint,
    /// It ends with the line that it is about.
    pub quotes: bool,
}

/// The rule for a message.
pub(super) fn of(text: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| text.contains(rule.says))
}

/// Is it about no line, although one was being read?
pub(crate) fn is_about_all(text: &str) -> bool {
    let all = [
        " field must be present ",
        " entries in package: ",
        "Package has no %description",
        "No compatible architectures",
        "%{buildroot}",
    ];
    all.iter().any(|words| text.contains(words))
}

const fn rule(says: &'static str, mark: Mark, hint: Hint) -> Rule {
    Rule {
        says,
        mark,
        hint,
        quotes: false,
    }
}

const fn line(says: &'static str, mark: Mark, hint: Hint) -> Rule {
    Rule {
        quotes: true,
        ..rule(says, mark, hint)
    }
}

/// Of two that fit, the first counts.
const RULES: &[Rule] = &[
    // Tags.
    line("Unknown tag", M::First, Make(h::unknown_tag)),
    line(
        "Empty tag",
        M::First,
        Say("give it a value, or take the line out"),
    ),
    line("Malformed tag", M::Whole, N),
    line("Duplicate BuildArch entry", M::First, N),
    line("Tag takes single token only", M::Value, Make(h::one_word)),
    line("Epoch field must be", M::Value, N),
    line("Docdir must begin", M::Value, N),
    line("Prefixes must not end", M::Value, N),
    line("Bad Requirename: qualifiers", M::Brackets, Make(h::qualifier)),
    line(
        "Bad BuildOption section",
        M::Brackets,
        Say("it names a section of the build: `conf`, `build`, `install`, `check` …"),
    ),
    line(
        "Bad source number",
        M::First,
        Say("`Source` or `Source1`, then a colon"),
    ),
    line(
        "Bad patch number",
        M::First,
        Say("`Patch` or `Patch1`, then a colon"),
    ),
    rule("defined multiple times", M::First, Make(h::twice)),
    rule("Bad number", M::Last, N),
    rule(
        "Bad nosource number",
        M::Value,
        Say("the source must stand before it"),
    ),
    rule(
        "Bad nopatch number",
        M::Value,
        Say("the patch must stand before it"),
    ),
    line(
        "Only noarch subpackages",
        M::Value,
        Say("all other packages are of the architecture that is built for"),
    ),
    line("Bad BuildArchitecture", M::Value, N),
    rule("Unknown buildsystem", M::Value, Make(h::buildsystem)),
    rule("Required parametric macro", M::Value, N),
    // Dependencies.
    line(
        "Dependency tokens must begin",
        M::In(mark::bad_name),
        Make(h::dependency),
    ),
    line(
        "Version required",
        M::In(mark::last_operator),
        Say("write the version after the operator"),
    ),
    line(
        "Versioned file name not permitted",
        M::In(mark::versioned_file),
        Say("name the package that has the file, or the file alone"),
    ),
    line(
        "No rich dependencies allowed",
        M::In(mark::rich),
        Say("here only names and versions are allowed"),
    ),
    line(
        "Cannot chain different ops",
        M::In(mark::rich),
        Say("brackets say what belongs together: `(a and (b or c))`"),
    ),
    line(
        "Can only chain and/or/with ops",
        M::In(mark::rich),
        Say("brackets say what belongs together: `(a if (b if c))`"),
    ),
    line(
        "Unterminated rich dependency",
        M::In(mark::rich),
        Say("a `)` is missing"),
    ),
    line("Empty rich dependency", M::In(mark::rich), N),
    line("Missing argument to rich dependency op", M::In(mark::rich), N),
    line(
        "Unknown rich dependency op",
        M::Named,
        Say("the operators are `and`, `or`, `if`, `else`, `unless`, `with`, `without`"),
    ),
    line("Illegal ops in with/without", M::In(mark::rich), N),
    line("Illegal context for", M::In(mark::rich), N),
    line("Rich dependency is nested", M::In(mark::rich), N),
    line("Name required", M::In(mark::rich), N),
    line("Invalid version", M::Last, N),
    line("Illegal char", M::Character, Make(h::character)),
    line("Illegal sequence", M::In(mark::dots), N),
    // Sections.
    rule("does not exist", M::Rest, Make(h::no_package)),
    rule("already exists", M::Rest, N),
    line(
        "Bad package specification",
        M::Whole,
        Say("`%package NAME` adds to the main package's name, `%package -n NAME` does not"),
    ),
    line("Bad option", M::Named, N),
    line(
        "Too many names",
        M::Rest,
        Say("`-n NAME`, or what is added to the main package's name"),
    ),
    line(
        "append and prepend specified",
        M::Rest,
        Say("`-a` or `-p`, not both"),
    ),
    rule("second %", M::First, Make(h::second)),
    rule("Second %", M::First, Make(h::second)),
    line("%end doesn't take", M::Rest, N),
    line("%end not expected here", M::First, N),
    line(
        "doesn't belong to any section",
        M::Whole,
        Say("between `%end` and the next section nothing may stand"),
    ),
    line("triggers must have --", M::Whole, Say("`%triggerin -- NAME`")),
    line(
        "missing trigger condition",
        M::Whole,
        Say("after `--` stands what sets the trigger off"),
    ),
    rule(
        "script program must begin with '/'",
        M::Last,
        Say("the whole path: `/usr/bin/perl`; `<lua>` is rpm's own"),
    ),
    rule(
        "unsupported internal script",
        M::Last,
        Say("`<lua>` is the only one"),
    ),
    rule("file trigger conditions must begin", M::Last, N),
    rule("Error parsing", M::Rest, N),
    // Conditions.
    rule("Unclosed %if", M::Whole, Make(h::unclosed_if)),
    rule("with no %if", M::First, Make(h::no_if)),
    rule(
        "after %else",
        M::First,
        Say("an `%if` has one `%else`, as its last branch; perhaps an `%endif` is missing before this line"),
    ),
    rule(
        "Argument expected for",
        M::First,
        Say("name one or more after it, as in `%ifarch x86_64 aarch64`"),
    ),
    rule("malformed %include", M::First, Say("`%include FILE`")),
    rule("%include is nested", M::Whole, N),
    rule("Unable to open", M::Rest, Make(h::include)),
    // Expressions.
    rule("bare words are no longer supported", M::Rest, Make(h::bare_word)),
    rule(
        "macro expansion returned a bare word",
        M::Rest,
        Say("put the macro into quotes"),
    ),
    rule(
        "macro expansion did not return an integer",
        M::Rest,
        Say("put the macro into quotes, or compare versions: `v\"…\"`"),
    ),
    rule("syntax error while parsing", M::Rest, Make(h::sign)),
    line(
        "types must match",
        M::Rest,
        Say("numbers are compared with numbers, \"text\" with \"text\", v\"1.0\" with v\"1.0\""),
    ),
    rule(
        "unexpected end of expression",
        M::Rest,
        Say("something is missing at its end; an empty macro? `0%{?name}` is a number always"),
    ),
    rule("unmatched (", M::Rest, Say("a `)` is missing")),
    rule(
        "unterminated string in expression",
        M::Rest,
        Say("a `\"` is missing"),
    ),
    rule("parse error in expression", M::Rest, Make(h::expression)),
    rule("syntax error in expression", M::Rest, Make(h::expression)),
    rule("expression", M::Rest, N),
    // Macros.
    rule(
        "unclosed macro or bad line continuation",
        M::Open,
        Say("what closes it is missing; from here on everything belongs to it. `%%` is a percent sign"),
    ),
    rule(
        "Unterminated",
        M::Open,
        Say("what closes it is missing; `%%` is a percent sign"),
    ),
    rule("has empty body", M::Defined, Say("`%{nil}` stands for nothing")),
    rule("has unterminated body", M::Defined, N),
    rule("has unterminated opts", M::Defined, N),
    rule(
        "has illegal name",
        M::Defined,
        Say("a letter or `_` first, then letters, digits and `_`"),
    ),
    rule("is a built-in", M::Defined, Say("choose another name")),
    rule("needs whitespace before body", M::Defined, N),
    rule("Too many levels of recursion", M::First, Make(h::recursion)),
    rule("cannot run `", M::Command, Make(h::command)),
    rule("Unknown option", M::First, Make(h::option)),
    rule("failed to load macro file", M::Whole, N),
    rule("it takes longer than", M::First, N),
    rule("it expands to more than", M::First, N),
    rule("lua script", M::First, N),
    // All of it.
    rule("field must be present", M::Whole, Make(h::missing_tag)),
    rule(
        "entries in package: ",
        M::Whole,
        Say("a package has this tag once: take one out, or let a condition choose"),
    ),
    rule(
        "Package has no %description",
        M::Whole,
        Make(h::missing_description),
    ),
    rule("No compatible architectures", M::Whole, Make(h::architectures)),
    // The changelog.
    rule(
        "bad date in %changelog",
        M::Whole,
        Say("`* Thu Jan 01 2026 Name <name@example.org> - 1.0-1`"),
    ),
    rule(
        "%changelog entries must start with *",
        M::Whole,
        Say("`* Thu Jan 01 2026 Name <name@example.org> - 1.0-1`"),
    ),
    rule("Macro expanded in comment", M::Macro, N),
    rule("bogus date in %changelog", M::Whole, N),
];
