//! Options of the long tasks: `--name VALUE`, `--flag`, and words.

use std::str::FromStr;

use anyhow::{Context as _, Result, bail};

/// What is left of a command line; each option is taken once, and what nobody took is an error.
#[derive(Debug)]
pub struct Options {
    rest: Vec<String>,
}

impl Options {
    /// Of the arguments after the task's name.
    pub fn new(arguments: &[String]) -> Self {
        Self {
            rest: arguments.to_vec(),
        }
    }

    /// Whether `name` is there.
    pub fn flag(&mut self, name: &str) -> bool {
        let before = self.rest.len();
        self.rest.retain(|argument| argument != name);
        self.rest.len() < before
    }

    /// Every value of `name`, in order: `--name VALUE` or `--name=VALUE`.
    pub fn values(&mut self, name: &str) -> Result<Vec<String>> {
        let with_equals = format!("{name}=");
        let mut values = Vec::new();
        let mut rest = Vec::new();
        let mut arguments = std::mem::take(&mut self.rest).into_iter();
        while let Some(argument) = arguments.next() {
            if argument == name {
                let value = arguments.next();
                values.push(value.with_context(|| format!("{name} needs a value"))?);
            } else if let Some(value) = argument.strip_prefix(&with_equals) {
                values.push(value.to_owned());
            } else {
                rest.push(argument);
            }
        }
        self.rest = rest;
        Ok(values)
    }

    /// The last value of `name`.
    pub fn value(&mut self, name: &str) -> Result<Option<String>> {
        Ok(self.values(name)?.pop())
    }

    /// The last value of `name`, which must be there.
    pub fn required(&mut self, name: &str) -> Result<String> {
        self.value(name)?.with_context(|| format!("{name} is missing"))
    }

    /// The last value of `name`, read.
    pub fn parsed<T: FromStr>(&mut self, name: &str) -> Result<Option<T>> {
        let Some(text) = self.value(name)? else {
            return Ok(None);
        };
        match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => bail!("{name} cannot be `{text}`"),
        }
    }

    /// The words that are no options; an option that is still there is unknown.
    pub fn words(self) -> Result<Vec<String>> {
        match self.rest.iter().find(|word| word.starts_with("--")) {
            Some(option) => bail!("unknown option `{option}`"),
            None => Ok(self.rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn options(line: &str) -> Options {
        Options::new(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_taken_wherever_they_stand() {
        let mut options = options("a --define x --define=y --quick b -n 3");
        assert_eq!(options.values("--define").unwrap(), ["x", "y"]);
        assert_eq!(options.parsed::<usize>("-n").unwrap(), Some(3));
        assert!(options.flag("--quick"));
        assert!(!options.flag("--quick"));
        assert_eq!(options.words().unwrap(), ["a", "b"]);
    }

    #[test]
    fn what_nobody_takes_is_an_error() {
        let unknown = options("a --nosuch").words().unwrap_err();
        assert_eq!(unknown.to_string(), "unknown option `--nosuch`");
        let missing = options("--define").values("--define").unwrap_err();
        assert_eq!(missing.to_string(), "--define needs a value");
    }
}
