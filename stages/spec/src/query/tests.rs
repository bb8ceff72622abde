use super::*;

struct Header;

impl Tags for Header {
    fn get(&self, tag: &str) -> Option<Values> {
        let strings = |all: &[&str]| {
            Some(Values::Strings(
                all.iter().map(|text| (*text).to_owned()).collect(),
            ))
        };
        match tag {
            "NAME" => Some("zlib".into()),
            "SUMMARY" => Some("it's <small>\t\"quoted\"".into()),
            "BUILDTIME" => Some(86_400.into()),
            "PROVIDENAME" => strings(&["zlib", "libz.so.1"]),
            "PROVIDEVERSION" => strings(&["1.3-1", ""]),
            "PROVIDEFLAGS" => Some(Values::Numbers(vec![8, 0])),
            "LICENSE" => Some(Values::Strings(Vec::new())),
            _ => None,
        }
    }

    fn expand(&self, text: &str) -> String {
        text.to_uppercase()
    }
}

fn show(format: &str) -> Result<String, String> {
    let shown = Query::parse(format).and_then(|query| query.show(&Header));
    shown.map_err(|error| error.to_string())
}

#[test]
fn formats_are_filled_in() {
    let cases = [
        ("%{NAME}", "zlib"),
        ("%{name}-%{RPMTAG_N}", "zlib-zlib"),
        ("[%{NAME}]\\n\\t\\x%%", "zlib\n\tx%"),
        ("<%10{NAME}|%-10{NAME}|%2{NAME}>", "<      zlib|zlib      |zlib>"),
        ("%{VERSION} %{LICENSE}", "(none) (none)"),
        ("%{PROVIDES}", "zlib"),
        (
            "[%{PROVIDES} %{PROVIDEFLAGS:depflags} %{PROVIDEVERSION}\\n]",
            "zlib = 1.3-1\nlibz.so.1  \n",
        ),
        ("[%{=NAME}: %{P} ]", "zlib: zlib zlib: libz.so.1 "),
        ("[%{REQUIRES}\\n]", ""),
        ("[%{PROVIDES}%{REQUIRES} ]", "zlib(none) libz.so.1(none) "),
        ("%{#PROVIDES} %{PROVIDES:arraysize} %{#REQUIRES}", "2 2 (none)"),
        ("%|NAME?{yes %{NAME}}:{no}|", "yes zlib"),
        ("%|EPOCH?{%{EPOCH}:}|%{NAME}", "zlib"),
        ("%|EPOCH?{e}:{%|NAME?{n}|}|", "n"),
        ("%|NOSUCH?{a}:{b}|", "b"),
        (
            "[%{PROVIDES}%|PROVIDES?{ %{PROVIDEVERSION}}|,]",
            "zlib 1.3-1,libz.so.1 ,",
        ),
        ("%{SUMMARY:shescape}", "'it'\\''s <small>\t\"quoted\"'"),
        ("%{SUMMARY:json}", "\"it's <small>\\t\\\"quoted\\\"\""),
        (
            "%{SUMMARY:xml}",
            "\t<string>it's &lt;small&gt;\t\"quoted\"</string>",
        ),
        (
            "%{BUILDTIME} %{BUILDTIME:day} %{BUILDTIME:json}",
            "86400 Fri Jan 02 1970 86400",
        ),
        ("%{BUILDTIME:date}", "Fri Jan  2 00:00:00 1970"),
        ("%{BUILDTIME:hex} %{BUILDTIME:octal}", "15180 250600"),
        (
            "%{NAME:date} %{BUILDTIME:expand} %{NAME:base64}",
            "(not a number) (not a string) (not a blob)",
        ),
        ("%{NAME:expand} %{P:tagname} %{P:tagnum}", "ZLIB Providename 1047"),
        ("", ""),
    ];
    for (format, expected) in cases {
        assert_eq!(show(format).as_deref(), Ok(expected), "{format}");
    }
}

#[test]
fn errors_are_in_rpms_words() {
    let cases = [
        ("%{NOSUCH}", "unknown tag: \"NOSUCH\""),
        ("%{NAME:nosuch}", "unknown tag: \"NAME\""),
        ("%{NAME", "missing } after %{"),
        ("%NAME}", "invalid field width"),
        ("%5", "missing { after %"),
        ("%5%{NAME}", "missing { after %"),
        ("%", "missing { after %"),
        ("%{}", "empty tag name"),
        ("%{NAME:}", "empty tag format"),
        ("[%{NAME}", "] expected at end of array"),
        ("a]", "unexpected ]"),
        ("a}", "unexpected }"),
        ("a\\", "escaped char expected after \\"),
        ("%|NAME", "? expected in expression"),
        ("%|NAME?x", "{ expected after ? in expression"),
        ("%|NAME?{x", "} expected in expression"),
        ("%|NAME?{x}", "} expected in expression"),
        ("%|NAME?{x}y", ": expected following ? subexpression"),
        ("%|NAME?{x}:y", "{ expected after : in expression"),
        ("%|NAME?{x}:{y}z", "| expected at end of expression"),
        (
            "[%{NAME} %{PROVIDES}]",
            "array iterator used with different sized arrays",
        ),
    ];
    for (format, expected) in cases {
        assert_eq!(
            show(format),
            Err(format!("incorrect format: {expected}")),
            "{format}"
        );
    }
}
