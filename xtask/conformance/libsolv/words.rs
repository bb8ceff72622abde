//! The notation of libsolv's testcases: dependencies, packages, versions.

use anyhow::{Context as _, Result, bail};
use keel_artefact::{Dependency, Evr, Rich};

/// `1:2.0-3`
pub fn evr(text: &str) -> Result<Evr> {
    text.parse()
        .map_err(|_| anyhow::anyhow!("`{text}` is no version"))
}

/// `a & b`, `a <IF> (b <ELSE> c)`, `a >= 2-1`.
pub fn dependency(text: &str) -> Result<Rich> {
    let mut words = split(text);
    words.reverse();
    let rich = expression(&mut words, 0)?;
    if words.is_empty() {
        return Ok(as_rich(rich));
    }
    bail!("`{text}` is no dependency")
}

/// Names may hold `\xx`.
fn unescape(word: &str) -> String {
    let mut parts = word.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                text.push(char::from(byte));
                text.push_str(&part[2..]);
            }
            None => {
                text.push('\\');
                text.push_str(part);
            }
        }
    }
    text
}

fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        let mut word = word;
        while let Some(rest) = word.strip_prefix('(') {
            words.push("(".to_owned());
            word = rest;
        }
        let mut closing = 0;
        while word.ends_with(')') && word.matches(')').count() > word.matches('(').count() {
            word = &word[..word.len() - 1];
            closing += 1;
        }
        if !word.is_empty() {
            words.push(word.to_owned());
        }
        words.extend((0..closing).map(|_| ")".to_owned()));
    }
    words
}

enum Part {
    Rich(Rich),
    Else(Rich, Rich),
}

fn as_rich(part: Part) -> Rich {
    match part {
        Part::Rich(rich) => rich,
        Part::Else(one, _) => one,
    }
}

fn expression(words: &mut Vec<String>, depth: usize) -> Result<Part> {
    let first = operand(words, depth)?;
    let Some(operator) = words.last().filter(|word| *word != ")").cloned() else {
        return Ok(first);
    };
    let mut list = vec![as_rich(first)];
    let mut last = None;
    while words.last() == Some(&operator) {
        words.pop();
        let part = operand(words, depth)?;
        if let Part::Else(one, other) = part {
            last = Some(other);
            list.push(one);
        } else {
            list.push(as_rich(part));
        }
    }
    let mut parts = list.clone().into_iter().map(Box::new);
    let mut next = || parts.next().context("an operand is missing");
    let otherwise = last.map(Box::new);
    Ok(match operator.as_str() {
        "&" => Part::Rich(Rich::And(list)),
        "|" => Part::Rich(Rich::Or(list)),
        "+" => Part::Rich(Rich::With(list)),
        "-" => Part::Rich(Rich::Without(next()?, next()?)),
        "<IF>" => Part::Rich(Rich::If(next()?, next()?, otherwise)),
        "<UNLESS>" => Part::Rich(Rich::Unless(next()?, next()?, otherwise)),
        "<ELSE>" => Part::Else(*next()?, *next()?),
        other => bail!("operator {other}"),
    })
}

fn operand(words: &mut Vec<String>, depth: usize) -> Result<Part> {
    let word = words.pop().context("an operand is missing")?;
    if word == "(" {
        anyhow::ensure!(depth < 100, "too deep");
        let inner = expression(words, depth + 1)?;
        anyhow::ensure!(words.pop().as_deref() == Some(")"), "a parenthesis is not closed");
        return Ok(inner);
    }
    let is_operator = words
        .last()
        .is_some_and(|word| matches!(word.as_str(), "<" | "<=" | "=" | ">=" | ">"));
    let name = unescape(&word);
    let version = match is_operator {
        false => None,
        true => {
            let operator = words.pop().unwrap_or_default();
            let version = words.pop().context("a version is missing")?;
            let parsed: Dependency = format!("x {operator} {version}")
                .parse()
                .map_err(|_| anyhow::anyhow!("{version}"))?;
            parsed.version
        }
    };
    Ok(Part::Rich(Rich::Simple(Dependency { name, version })))
}
