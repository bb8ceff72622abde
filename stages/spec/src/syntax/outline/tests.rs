use super::*;
use crate::syntax::tests::{RICH, wild_texts};

fn shown(text: &str) -> String {
    Outline::of(&Tree::parse(text)).to_string()
}

#[test]
fn an_outline_is_indented_by_conditions() {
    let text = "\
Name: a
%if 0%{?x} && \\
  1
BuildRequires: %{expand:
  b}
%else
%{?scl:%scl_package}
%endif

# about it
%if 1
%package -n %{name}-b
Summary: b
%ifarch x
%global c d
%endif
%endif
%build -a
make
%{nothing}
%if 2
%endif
%include f
%changelog
* Thu Jan  1 2026 A B <a@example.org> - 1.0-1
- x
%endif
";
    assert_eq!(
        shown(text),
        " 1-11  preamble  (a)
    1    Name: a
  2-3    %if 0%{?x} && …
  4-5      BuildRequires: %{expand: …
    6    %else
    7      %scl
    8    %endif
   11  %if 1
12-17    %package -n %{name}-b  (a-b)
   13      Summary: b
   14      %ifarch x
   15        %global c
   16      %endif
   17  %endif
18-23  %build -a
   21    %if 2
   22    %endif
   23    %include f
24-27  %changelog  1 entry
   27    %endif
   27  wrong: this has no `%if`
"
    );
}

#[test]
fn an_outline_as_json_has_lines_and_conditions() {
    let json = serde_json::to_value(Outline::of(&Tree::parse(
        "%if a\n%ifarch b\n%files x -f l\n%endif\n%endif",
    )))
    .unwrap();
    assert_eq!(json["lines"], 5);
    let files = &json["sections"][1];
    assert_eq!(files["header"], "%files x -f l");
    assert_eq!(
        (&files["kind"], &files["package"]),
        (&"files".into(), &"%{name}-x".into())
    );
    assert_eq!(files["lines"], serde_json::json!([3, 5]));
    assert_eq!(files["within"], serde_json::json!([1, 2]));
    let end = serde_json::json!(
        {"lines": [4, 4], "within": [1], "is": "directive", "keyword": "endif", "argument": ""}
    );
    assert_eq!(files["items"][0], end);
}

#[test]
fn any_text_has_an_outline() {
    for text in wild_texts() {
        let tree = Tree::parse(&text);
        let outline = Outline::of(&tree);
        assert_eq!(outline.sections.len(), tree.sections().len());
        let lines = text.split_inclusive('\n').count();
        assert_eq!(outline.lines, lines, "{text:?}");
        let last = outline.sections.iter().filter_map(|part| part.lines).next_back();
        assert!(
            last.is_none_or(|Range(_, last)| last as usize == lines),
            "{text:?}"
        );
        let _ = outline.to_string();
    }
    assert_eq!(shown(""), "");
    assert!(shown(RICH).contains("%triggerin -P 5 devel -- other > 1, more  (libdemo-devel)"));
    let deep = format!("{}Name: a\n{}", "%if 1\n".repeat(5000), "%endif\n".repeat(5000));
    assert!(shown(&deep).len() < 3_000_000);
}
