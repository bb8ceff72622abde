//! `awk` with nothing but one `print`.

use super::{Sure, Unsure};

/// `awk -F. '{print $1"."$2}'`: fields and texts, one after the other, or with a comma between.
pub(super) fn awk(arguments: &[String], input: &str) -> Sure<String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (separator, program) = match words.as_slice() {
        ["-F", separator, program] => (Some(*separator), *program),
        [separator, program] if separator.starts_with("-F") => (Some(&separator[2..]), *program),
        [program] => (None, *program),
        _ => return Err(Unsure),
    };
    let separator = match separator {
        None => None,
        Some(text) if text.len() == 1 && ".-_:,/=~".contains(text) => text.chars().next(),
        Some(_) => return Err(Unsure),
    };
    let program = program
        .trim_matches(' ')
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    let items = program
        .ok_or(Unsure)?
        .trim_matches(' ')
        .strip_prefix("print")
        .ok_or(Unsure)?;
    if !items.starts_with([' ', '$', '"']) {
        return Err(Unsure);
    }
    let items = awk_items(items)?;
    let mut out = String::new();
    for line in input.split_terminator('\n') {
        let fields: Vec<&str> = match separator {
            Some(_) if line.is_empty() => Vec::new(),
            Some(separator) => line.split(separator).collect(),
            None => line
                .split([' ', '\t'])
                .filter(|field| !field.is_empty())
                .collect(),
        };
        for item in &items {
            match item {
                AwkItem::Text(text) => out.push_str(text),
                AwkItem::Field(0) => out.push_str(line),
                AwkItem::Field(number) => out.push_str(fields.get(number - 1).unwrap_or(&"")),
                AwkItem::Last => out.push_str(fields.last().unwrap_or(&line)),
            }
        }
        out.push('\n');
    }
    Ok(out)
}

enum AwkItem<'a> {
    Text(&'a str),
    Field(usize),
    /// `$NF`
    Last,
}

fn awk_items(text: &str) -> Sure<Vec<AwkItem<'_>>> {
    let mut items = Vec::new();
    let mut rest = text.trim_start_matches(' ');
    let mut after_comma = true;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('"') {
            let (text, after) = after.split_once('"').ok_or(Unsure)?;
            if text.contains('\\') {
                return Err(Unsure);
            }
            items.push(AwkItem::Text(text));
            rest = after;
        } else if let Some(after) = rest.strip_prefix("$NF") {
            items.push(AwkItem::Last);
            rest = after;
        } else if let Some(after) = rest.strip_prefix('$') {
            let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            items.push(AwkItem::Field(after[..end].parse().map_err(|_| Unsure)?));
            rest = &after[end..];
        } else {
            return Err(Unsure);
        }
        // Anything else that may follow is an operator.
        after_comma = false;
        if !rest.is_empty() && !rest.starts_with([' ', ',', '"', '$']) {
            return Err(Unsure);
        }
        rest = rest.trim_start_matches(' ');
        if let Some(after) = rest.strip_prefix(',') {
            items.push(AwkItem::Text(" "));
            rest = after.trim_start_matches(' ');
            after_comma = true;
        }
    }
    if after_comma || items.len() > 100 {
        Err(Unsure)
    } else {
        Ok(items)
    }
}
