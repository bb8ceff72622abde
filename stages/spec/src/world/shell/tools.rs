//! Programs that only cut text, with the options that SPECs give them.

use super::{Machine, Sure, Unsure, awk::awk, cut::Cut, print::echo, regex::Regex, sed};

/// What a program did.
pub(super) struct Done {
    pub(super) stdout: String,
    /// On standard error.
    pub(super) complaint: String,
    pub(super) code: i32,
}

impl Done {
    fn printed(stdout: String) -> Self {
        Self {
            stdout,
            complaint: String::new(),
            code: 0,
        }
    }
}

type Stdin<'a> = &'a dyn Fn() -> Sure<String>;

pub(super) fn run(name: &str, arguments: &[String], stdin: Stdin<'_>, machine: &dyn Machine) -> Sure<Done> {
    let input = |files: &[String]| match files {
        [] => stdin(),
        [file] if !file.starts_with('-') => machine.read(file)?.ok_or(Unsure),
        _ => Err(Unsure),
    };
    Ok(Done::printed(match name {
        "echo" => echo(arguments)?,
        "true" if arguments.is_empty() => String::new(),
        "cat" => return cat(arguments, stdin, machine),
        "grep" => return grep(arguments, input),
        "basename" => base_name(arguments)?,
        "dirname" => folder_name(arguments)?,
        "cut" => {
            let cut = Cut::parse(arguments)?;
            cut.run(&input(&cut.files)?)
        }
        "tr" => tr(arguments, &stdin()?)?,
        "sed" => {
            let script = sed::Script::parse(arguments)?;
            script.run(&input(&script.files)?)?
        }
        "awk" => awk(arguments, &stdin()?)?,
        "rev" if arguments.is_empty() => rev(&stdin()?)?,
        "head" => head(arguments, input)?,
        _ => return Err(Unsure),
    }))
}

fn cat(arguments: &[String], stdin: Stdin<'_>, machine: &dyn Machine) -> Sure<Done> {
    let mut done = Done::printed(String::new());
    if arguments.is_empty() {
        done.stdout = stdin()?;
    }
    for file in arguments {
        if file.starts_with('-') {
            return Err(Unsure);
        }
        match machine.read(file)? {
            Some(text) => done.stdout += &text,
            None => {
                done.complaint += &format!("cat: {file}: No such file or directory\n");
                done.code = 1;
            }
        }
    }
    Ok(done)
}

fn grep(arguments: &[String], input: impl Fn(&[String]) -> Sure<String>) -> Sure<Done> {
    let options = arguments
        .iter()
        .take_while(|argument| argument.starts_with('-'))
        .count();
    let (options, rest) = arguments.split_at(options);
    let (mut extended, mut quiet, mut inverted) = (false, false, false);
    for option in options {
        match option.as_str() {
            "-E" => extended = true,
            "-q" => quiet = true,
            "-v" => inverted = true,
            "-qE" | "-Eq" => (extended, quiet) = (true, true),
            _ => return Err(Unsure),
        }
    }
    let (pattern, files) = rest.split_first().ok_or(Unsure)?;
    if files.iter().any(|file| file.starts_with('-')) {
        return Err(Unsure);
    }
    let regex = Regex::parse(pattern, extended)?;
    let mut out = String::new();
    let mut found = false;
    for line in input(files)?.lines() {
        if regex.find(line, 0)?.is_some() != inverted {
            found = true;
            out.extend([line, "\n"]);
        }
    }
    let stdout = if quiet { String::new() } else { out };
    Ok(Done {
        stdout,
        complaint: String::new(),
        code: i32::from(!found),
    })
}

fn base_name(arguments: &[String]) -> Sure<String> {
    let (path, suffix) = match arguments {
        [path] => (path, ""),
        [path, suffix] => (path, suffix.as_str()),
        _ => return Err(Unsure),
    };
    let path = path.trim_end_matches('/');
    if path.is_empty() || path.starts_with('-') {
        return Err(Unsure);
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    let short = name
        .strip_suffix(suffix)
        .filter(|short| !short.is_empty())
        .unwrap_or(name);
    Ok(format!("{short}\n"))
}

fn folder_name(arguments: &[String]) -> Sure<String> {
    let [path] = arguments else { return Err(Unsure) };
    if path.starts_with('-') || path.contains("//") || path.ends_with('/') || path.is_empty() {
        return Err(Unsure);
    }
    Ok(match path.rfind('/') {
        None => ".\n".to_owned(),
        Some(0) => "/\n".to_owned(),
        Some(at) => format!("{}\n", &path[..at]),
    })
}

fn tr(arguments: &[String], input: &str) -> Sure<String> {
    let is_option = |word: &String| word.len() > 1 && word.starts_with('-');
    match arguments {
        [delete, set] if delete == "-d" && !is_option(set) => {
            let set = characters(set)?;
            Ok(input.chars().filter(|c| !set.contains(c)).collect())
        }
        [from, to] if !is_option(from) && !is_option(to) => {
            let (from, to) = (characters(from)?, characters(to)?);
            let last = *to.last().ok_or(Unsure)?;
            let change = |c| match from.iter().rposition(|one| *one == c) {
                Some(at) => to.get(at).copied().unwrap_or(last),
                None => c,
            };
            Ok(input.chars().map(change).collect())
        }
        _ => Err(Unsure),
    }
}

/// The characters of a set of `tr`: ranges, and a few escapes.
fn characters(set: &str) -> Sure<Vec<char>> {
    if set.is_empty() || ["[:", "[=", "*]"].iter().any(|special| set.contains(special)) {
        return Err(Unsure);
    }
    let mut chars = set.chars();
    // Escaped ones take no part in ranges.
    let mut plain = Vec::new();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next().ok_or(Unsure)? {
                'n' => ('\n', true),
                't' => ('\t', true),
                other if other.is_ascii_alphanumeric() => return Err(Unsure),
                other => (other, true),
            },
            _ => (c, false),
        });
    }
    let mut all = Vec::new();
    let mut rest = plain.as_slice();
    while let [(first, _), after @ ..] = rest {
        rest = match after {
            [('-', false), (last, _), after @ ..] => {
                if first > last {
                    return Err(Unsure);
                }
                all.extend(*first..=*last);
                after
            }
            _ => {
                all.push(*first);
                after
            }
        };
    }
    Ok(all)
}

fn rev(input: &str) -> Sure<String> {
    if !input.is_empty() && !input.ends_with('\n') {
        return Err(Unsure);
    }
    Ok(input
        .split_terminator('\n')
        .flat_map(|line| line.chars().rev().chain(['\n']))
        .collect())
}

fn head(arguments: &[String], input: impl Fn(&[String]) -> Sure<String>) -> Sure<String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (count, files) = match words.as_slice() {
        ["-n", count, files @ ..] => (*count, files),
        [first, files @ ..] if first.starts_with("-n") => (&first[2..], files),
        [first, files @ ..] if first.starts_with('-') => (&first[1..], files),
        files => ("10", files),
    };
    if count.len() > 9 || count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Unsure);
    }
    let count = count.parse().map_err(|_| Unsure)?;
    let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
    Ok(input(&files)?.split_inclusive('\n').take(count).collect())
}
