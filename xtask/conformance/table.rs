//! What a run over a corpus found: the table, the differences, the report, and whether the bars are reached.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    corpus::{Spec, Times},
    fields::{Bar, Equality, FIELDS, compare, difference},
};

/// A thing that has a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The fields with this bar, each.
    Field(Bar),
    /// Syntax trees printed back.
    Syntax,
    /// The graphs' lines.
    Graph,
}

/// One graph: the known lines, and Keel's.
pub struct GraphRow {
    /// Of which folders.
    pub folders: String,
    /// As the baseline's script prints them.
    pub rpm: Vec<String>,
    /// From Keel's answers.
    pub keel: Vec<String>,
}

/// Of one field, or anything else that is counted in SPECs.
struct Row {
    name: &'static str,
    outcome: Option<Outcome>,
    total: usize,
    equal: usize,
    /// Of those that are not equal.
    other_order: usize,
    differing: Vec<String>,
}

impl Row {
    fn percent(&self) -> f64 {
        match self.total {
            0 => 100.0,
            total => 100.0 * self.equal as f64 / total as f64,
        }
    }
}

/// Everything that was found.
pub struct Table {
    rows: Vec<Row>,
    graphs: Vec<GraphRow>,
    times: Times,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    specs: usize,
    rpm_refuses: usize,
    keel_refuses: usize,
    both_refuse: usize,
    packages: usize,
    errors: BTreeMap<String, usize>,
}

impl Table {
    /// Compares. `syntax`: SPECs that are not printed back as they are, if that was asked.
    pub fn new(specs: &[Spec], syntax: Option<Vec<String>>, graphs: Vec<GraphRow>, times: Times) -> Self {
        let mut counts = Counts {
            specs: specs.len(),
            ..Counts::default()
        };
        for spec in specs {
            counts.packages += spec.rpm.as_ref().map_or(0, |facts| facts.built.len());
            match (&spec.rpm, &spec.keel) {
                (None, Err(_)) => counts.both_refuse += 1,
                (None, Ok(_)) => counts.rpm_refuses += 1,
                (Some(_), Err(error)) => {
                    counts.keel_refuses += 1;
                    *counts.errors.entry(kind_of(error)).or_default() += 1;
                }
                (Some(_), Ok(_)) => {}
            }
        }
        let mut rows: Vec<Row> = (0..FIELDS.len()).filter_map(|field| row(specs, field)).collect();
        if let Some(differing) = syntax {
            rows.push(Row {
                name: "syntax tree printed back",
                outcome: Some(Outcome::Syntax),
                total: specs.len(),
                equal: specs.len() - differing.len(),
                other_order: 0,
                differing,
            });
        }
        Self {
            rows,
            graphs,
            times,
            counts,
        }
    }

    /// The table, to standard output.
    pub fn print(&self) {
        let counts = &self.counts;
        println!(
            "{} SPECs, {} built packages; rpm refuses {}, of them Keel also {}; Keel refuses {} that rpm takes",
            counts.specs,
            counts.packages,
            counts.rpm_refuses + counts.both_refuse,
            counts.both_refuse,
            counts.keel_refuses
        );
        let mut kinds: Vec<_> = counts.errors.iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (kind, count) in kinds.iter().take(12) {
            println!("    {count:>5}  {kind}");
        }
        println!(
            "\n{:26} {:>6} {:>6} {:>8} {:>6} {:>6}",
            "field", "SPECs", "equal", "%", "order", "other"
        );
        for row in &self.rows {
            println!(
                "{:26} {:>6} {:>6} {:>8.3} {:>6} {:>6}",
                row.name,
                row.total,
                row.equal,
                row.percent(),
                row.other_order,
                row.total - row.equal - row.other_order
            );
        }
        for graph in &self.graphs {
            let verdict = if graph.rpm == graph.keel {
                "equal"
            } else {
                "DIFFERS"
            };
            println!("graph of {}: {verdict}", graph.folders);
            for line in difference(&graph.rpm, &graph.keel) {
                println!("    {line}");
            }
        }
        let times = self
            .times
            .iter()
            .map(|(what, time)| format!("{what} {:.2} s", time.as_secs_f64()));
        println!("wall: {}", times.collect::<Vec<_>>().join(", "));
    }

    /// Of each field in `names` the first `most` SPECs that differ, with the difference. `kept`: rpm's expanded text of a SPEC, if
    /// somebody has it.
    pub fn show(&self, specs: &[Spec], names: &[String], most: usize, kept: &dyn Fn(&str) -> Option<String>) {
        for name in names {
            let row = self.rows.iter().find(|row| row.name == name);
            let field = FIELDS.iter().find(|field| field.name == name);
            let Some((row, field)) = row.zip(field) else {
                continue;
            };
            println!("\n{name}: {} SPECs differ", row.differing.len());
            for path in row.differing.iter().take(most) {
                let Some(spec) = specs.iter().find(|spec| spec.path == *path) else {
                    continue;
                };
                println!("  {path}");
                match (&spec.rpm, &spec.keel) {
                    (_, Err(error)) => println!("    error: {error}"),
                    (Some(rpm), Ok(keel)) => {
                        let texts = (field.bar == Bar::Parse).then(|| kept(path)).flatten();
                        let lines = match texts.zip(spec.text.as_ref()) {
                            Some((rpm, keel)) => difference(&lines_of(&rpm), &lines_of(keel)),
                            None => {
                                let [rpm, keel] =
                                    [rpm, keel].map(|facts| (field.lines)(facts).unwrap_or_default());
                                difference(&rpm, &keel)
                            }
                        };
                        lines.iter().take(20).for_each(|line| println!("    {line}"));
                        if lines.len() > 20 {
                            println!("    … and {} more lines", lines.len() - 20);
                        }
                    }
                    (None, Ok(_)) => {}
                }
            }
        }
    }

    /// What is under its bar, as text.
    pub fn under(&self, bars: &[(Outcome, f64)]) -> Vec<String> {
        let mut under = Vec::new();
        for (outcome, bar) in bars {
            let rows = || self.rows.iter().filter(|row| row.outcome == Some(*outcome));
            let measured = rows().count() + usize::from(*outcome == Outcome::Graph) * self.graphs.len();
            if measured == 0 {
                under.push(format!(
                    "nothing was measured for the bar of {bar} % ({outcome:?})"
                ));
            }
            for row in rows().filter(|row| row.percent() < *bar) {
                under.push(format!("{} {:.3} % < {bar} %", row.name, row.percent()));
            }
            let graphs = self.graphs.iter().filter(|_| *outcome == Outcome::Graph);
            for graph in graphs.filter(|graph| graph.rpm != graph.keel) {
                under.push(format!("graph of {}", graph.folders));
            }
        }
        under
    }

    /// The whole of it.
    pub fn json(&self, specs: &[Spec]) -> Value {
        let fields = self.rows.iter().map(|row| {
            json!({
                "field": row.name, "specs": row.total, "equal": row.equal, "percent": row.percent(),
                "other_order": row.other_order, "differing": row.differing,
            })
        });
        let errors = specs.iter().filter(|spec| spec.rpm.is_some()).filter_map(|spec| {
            let error = spec.keel.as_ref().err()?;
            Some(json!({ "spec": spec.path, "error": error }))
        });
        let graphs = self.graphs.iter().map(|graph| {
            json!({ "folders": graph.folders, "equal": graph.rpm == graph.keel, "rpm": graph.rpm, "keel": graph.keel })
        });
        let times = self
            .times
            .iter()
            .map(|(what, time)| json!({ "run": what, "wall_seconds": time.as_secs_f64() }));
        json!({
            "specs": self.counts.specs,
            "built_packages": self.counts.packages,
            "rpm_refuses": self.counts.rpm_refuses + self.counts.both_refuse,
            "fields": fields.collect::<Vec<_>>(),
            "errors": errors.collect::<Vec<_>>(),
            "graphs": graphs.collect::<Vec<_>>(),
            "times": times.collect::<Vec<_>>(),
        })
    }
}

fn lines_of(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// A row, unless nobody said anything about this field.
fn row(specs: &[Spec], field: usize) -> Option<Row> {
    let field = &FIELDS[field];
    let mut row = Row {
        name: field.name,
        outcome: (field.bar != Bar::None).then_some(Outcome::Field(field.bar)),
        total: 0,
        equal: 0,
        other_order: 0,
        differing: Vec::new(),
    };
    let mut asked = false;
    for spec in specs {
        let Some(rpm) = spec.rpm.as_ref().and_then(field.lines) else {
            continue;
        };
        let keel = spec.keel.as_ref().ok().map(field.lines);
        asked |= matches!(keel, Some(Some(_)));
        row.total += 1;
        match keel.flatten().map(|keel| compare(&rpm, &keel)) {
            Some(Equality::Equal) => row.equal += 1,
            Some(Equality::OtherOrder) => {
                row.other_order += 1;
                row.differing.push(spec.path.clone());
            }
            Some(Equality::Differs) | None => row.differing.push(spec.path.clone()),
        }
    }
    asked.then_some(row)
}

/// Errors that are the same but for names and numbers are counted together: the text without its place and quotations.
fn kind_of(error: &str) -> String {
    let text = error.lines().next().unwrap_or_default();
    let text = text.rsplit(".spec:").next().unwrap_or(text);
    let plain: String = text
        .trim_start_matches(|c: char| c.is_ascii_digit() || c == ':' || c == ' ')
        .to_owned();
    plain.chars().take(90).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::{Facts, Package};

    fn facts(name: &str, sources: &[&str]) -> Facts {
        Facts {
            source: Package {
                name: name.to_owned(),
                ..Package::default()
            },
            sources: sources.iter().map(|file| (*file).to_owned()).collect(),
            ..Facts::default()
        }
    }

    fn spec(path: &str, rpm: Option<Facts>, keel: Result<Facts, String>) -> Spec {
        Spec {
            path: path.to_owned(),
            rpm,
            keel,
            text: None,
        }
    }

    #[test]
    fn rows_count_equal_reordered_and_refused_specs() {
        let specs = [
            spec("a", Some(facts("a", &["1", "2"])), Ok(facts("a", &["1", "2"]))),
            spec("b", Some(facts("b", &["1", "2"])), Ok(facts("b", &["2", "1"]))),
            spec("c", Some(facts("c", &["1"])), Err("c.spec:3:1: no".to_owned())),
            spec("d", None, Err("refused".to_owned())),
        ];
        let graph = GraphRow {
            folders: "S".to_owned(),
            rpm: vec!["x".to_owned()],
            keel: vec!["y".to_owned()],
        };
        let table = Table::new(&specs, Some(vec!["c".to_owned()]), vec![graph], Vec::new());
        let sources = table.rows.iter().find(|row| row.name == "sources").unwrap();
        assert_eq!((sources.total, sources.equal, sources.other_order), (3, 1, 1));
        assert_eq!(sources.differing, ["b", "c"]);
        assert_eq!(table.counts.both_refuse, 1);
        assert_eq!(table.counts.errors["no"], 1);
        let under = table.under(&[
            (Outcome::Field(Bar::Nevr), 66.0),
            (Outcome::Syntax, 80.0),
            (Outcome::Graph, 100.0),
        ]);
        assert_eq!(under, ["syntax tree printed back 75.000 % < 80 %", "graph of S"]);
        // Keel was not asked for the expanded text: no row, rather than one of zeros.
        assert!(!table.rows.iter().any(|row| row.name == "parse"));
        assert_eq!(table.json(&specs)["errors"][0]["spec"], "c");
    }
}
