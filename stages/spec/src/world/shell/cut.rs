//! `cut`.

use super::{Sure, Unsure};

pub(super) struct Cut {
    /// Fields, or else characters.
    delimiter: Option<char>,
    between: Option<String>,
    /// First and last, from 1.
    ranges: Vec<(usize, usize)>,
    only_delimited: bool,
    pub(super) files: Vec<String>,
}

impl Cut {
    pub(super) fn parse(arguments: &[String]) -> Sure<Self> {
        let (mut delimiter, mut between, mut fields, mut characters) = (None, None, None, None);
        let (mut only_delimited, mut files) = (false, Vec::new());
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            if let Some(text) = argument.strip_prefix("--output-delimiter=") {
                between = Some(text.to_owned());
                continue;
            }
            let Some(option) = argument.strip_prefix('-').filter(|option| !option.is_empty()) else {
                files.push(argument.clone());
                continue;
            };
            let (letter, attached) = option.split_at(1);
            if option == "s" {
                only_delimited = true;
                continue;
            }
            let value = if attached.is_empty() {
                arguments.next().ok_or(Unsure)?
            } else {
                attached
            };
            let slot = match letter {
                "d" => &mut delimiter,
                "f" => &mut fields,
                "c" | "b" => &mut characters,
                _ => return Err(Unsure),
            };
            if slot.replace(value.to_owned()).is_some() {
                return Err(Unsure);
            }
        }
        let (list, delimiter) = match (fields, characters, delimiter) {
            (Some(list), None, Some(delimiter)) if delimiter.len() == 1 => (list, delimiter.chars().next()),
            (Some(list), None, None) => (list, Some('\t')),
            (None, Some(list), None) if !only_delimited && between.is_none() => (list, None),
            _ => return Err(Unsure),
        };
        Ok(Self {
            delimiter,
            between,
            ranges: ranges(&list)?,
            only_delimited,
            files,
        })
    }

    pub(super) fn run(&self, input: &str) -> String {
        let mut out = String::new();
        let is_chosen = |number: usize| {
            self.ranges
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&number))
        };
        for line in input.split_terminator('\n') {
            match self.delimiter {
                Some(delimiter) if !line.contains(delimiter) => {
                    if self.only_delimited {
                        continue;
                    }
                    out.push_str(line);
                }
                Some(delimiter) => {
                    let fields = line.split(delimiter).zip(1..);
                    let chosen: Vec<&str> = fields
                        .filter(|(_, number)| is_chosen(*number))
                        .map(|(field, _)| field)
                        .collect();
                    let own = delimiter.to_string();
                    out.push_str(&chosen.join(self.between.as_deref().unwrap_or(&own)));
                }
                None => out.extend(
                    line.chars()
                        .zip(1..)
                        .filter(|(_, number)| is_chosen(*number))
                        .map(|(c, _)| c),
                ),
            }
            out.push('\n');
        }
        out
    }
}

/// `1`, `2-3`, `-4`, `5-`, separated by commas.
fn ranges(list: &str) -> Sure<Vec<(usize, usize)>> {
    let number = |text: &str, otherwise| match text {
        "" => Ok(otherwise),
        _ if text.len() > 9 || !text.bytes().all(|byte| byte.is_ascii_digit()) => Err(Unsure),
        _ => text.parse::<usize>().map_err(|_| Unsure),
    };
    let mut ranges = Vec::new();
    for part in list.split(',') {
        let (first, last) = match part.split_once('-') {
            None if part.is_empty() => return Err(Unsure),
            None => (number(part, 0)?, number(part, 0)?),
            Some(("", "")) => return Err(Unsure),
            Some((first, last)) => (number(first, 1)?, number(last, usize::MAX)?),
        };
        if first == 0 || last < first {
            return Err(Unsure);
        }
        ranges.push((first, last));
    }
    Ok(ranges)
}
