//! How one value is shown: `%{TAG:FORMAT}`.

use super::{Tags, Values, tags::Tag};

/// The formats of rpm that a SPEC's header can have use for; those about files only know their name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Octal,
    Hex,
    Date,
    Day,
    ShellQuoted,
    Comparison,
    DependencyKind,
    TriggerKind,
    Json,
    Xml,
    Count,
    Human(u16),
    TagName,
    TagNumber,
    Expanded,
    Armor,
    /// Wants bytes, which no tag of a SPEC has.
    Binary,
    /// Wants a number that says something about a file.
    OfFiles,
}

impl Format {
    pub fn find(name: &str) -> Option<Self> {
        Some(match name {
            "string" => Self::Text,
            "octal" => Self::Octal,
            "hex" => Self::Hex,
            "date" => Self::Date,
            "day" => Self::Day,
            "shescape" => Self::ShellQuoted,
            "depflags" => Self::Comparison,
            "deptype" => Self::DependencyKind,
            "triggertype" => Self::TriggerKind,
            "json" => Self::Json,
            "xml" => Self::Xml,
            "arraysize" => Self::Count,
            "humansi" => Self::Human(1000),
            "humaniec" => Self::Human(1024),
            "tagname" => Self::TagName,
            "tagnum" => Self::TagNumber,
            "expand" => Self::Expanded,
            "armor" => Self::Armor,
            "base64" | "pgpsig" => Self::Binary,
            "fflags" | "fstate" | "fstatus" | "hashalgo" | "permissions" | "perms" | "vflags" => {
                Self::OfFiles
            }
            _ => return None,
        })
    }

    /// The value at `index`, which exists.
    pub fn show(self, tag: Tag, values: &Values, index: usize, tags: &dyn Tags) -> String {
        match self {
            Self::Count => return values.len().to_string(),
            Self::TagName => return capitalised(tag.name),
            Self::TagNumber => return tag.number.to_string(),
            _ => {}
        }
        match values {
            Values::Strings(all) => self.text(&all[index], tags),
            Values::Numbers(all) => self.number(all[index]),
        }
    }

    fn text(self, text: &str, tags: &dyn Tags) -> String {
        match self {
            Self::Text => text.to_owned(),
            Self::ShellQuoted => format!("'{}'", text.replace('\'', "'\\''")),
            Self::Json => json(text),
            Self::Xml => xml("string", text),
            Self::Expanded => tags.expand(text),
            Self::Armor => "(not base64)".to_owned(),
            Self::Binary => "(not a blob)".to_owned(),
            _ => "(not a number)".to_owned(),
        }
    }

    fn number(self, number: u64) -> String {
        match self {
            // As in rpm, which takes the lower half.
            Self::Octal => format!("{:o}", number as u32),
            Self::Hex => format!("{:x}", number as u32),
            Self::Date => Moment::of(number).date(),
            Self::Day => Moment::of(number).day(),
            Self::Comparison => comparison(number),
            Self::DependencyKind => dependency_kind(number),
            Self::TriggerKind => trigger_kind(number).to_owned(),
            Self::Xml => xml("integer", &number.to_string()),
            Self::Human(kilo) => human(number, kilo),
            Self::Expanded => "(not a string)".to_owned(),
            Self::Armor => "(invalid type)".to_owned(),
            Self::Binary => "(not a blob)".to_owned(),
            _ => number.to_string(),
        }
    }
}

fn capitalised(name: &str) -> String {
    let (first, rest) = name.split_at(name.len().min(1));
    first.to_owned() + &rest.to_ascii_lowercase()
}

/// Bits of dependency flags (`rpmds.h`).
mod sense {
    pub const LESS: u64 = 1 << 1;
    pub const GREATER: u64 = 1 << 2;
    pub const EQUAL: u64 = 1 << 3;
    pub const TRIGGER_IN: u64 = 1 << 16;
    pub const TRIGGER_UN: u64 = 1 << 17;
    pub const TRIGGER_POSTUN: u64 = 1 << 18;
    pub const TRIGGER_PREIN: u64 = 1 << 25;
    /// What each bit, or pair of bits, says about a dependency, in rpm's order.
    pub const KINDS: [(u64, &str); 16] = [
        (1 << 9, "pre"),
        (1 << 10, "post"),
        (1 << 11, "preun"),
        (1 << 12, "postun"),
        (1 << 13, "verify"),
        (1 << 8, "interp"),
        (1 << 24, "rpmlib"),
        ((1 << 14) | (1 << 15), "auto"),
        (1 << 6, "prereq"),
        (1 << 7, "pretrans"),
        (1 << 5, "posttrans"),
        (1 << 20, "preuntrans"),
        (1 << 21, "postuntrans"),
        (1 << 28, "config"),
        (1 << 19, "missingok"),
        (1 << 29, "meta"),
    ];
}

fn comparison(flags: u64) -> String {
    let signs = [(sense::LESS, '<'), (sense::GREATER, '>'), (sense::EQUAL, '=')];
    let set = signs.iter().filter(|(bit, _)| flags & bit != 0);
    set.map(|(_, sign)| sign).collect()
}

fn dependency_kind(flags: u64) -> String {
    let set = sense::KINDS.iter().filter(|(bits, _)| flags & bits != 0);
    let names: Vec<&str> = set.map(|(_, name)| *name).collect();
    match names.is_empty() {
        true => "manual".to_owned(),
        false => names.join(","),
    }
}

fn trigger_kind(flags: u64) -> &'static str {
    let kinds = [
        (sense::TRIGGER_PREIN, "prein"),
        (sense::TRIGGER_IN, "in"),
        (sense::TRIGGER_UN, "un"),
        (sense::TRIGGER_POSTUN, "postun"),
    ];
    let found = kinds.iter().find(|(bit, _)| flags & bit != 0);
    found.map_or("", |(_, name)| name)
}

/// Only what JSON cannot have is escaped, as in rpm.
fn json(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}

fn xml(element: &str, text: &str) -> String {
    if text.is_empty() {
        return format!("\t<{element}/>");
    }
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!("\t<{element}>{text}</{element}>")
}

fn human(number: u64, kilo: u16) -> String {
    const UNITS: [&str; 9] = ["", "K", "M", "G", "T", "P", "E", "Z", "Y"];
    // rpm counts in single precision.
    let (mut value, mut unit) = (number as f32, 0);
    while value >= f32::from(kilo) {
        value /= f32::from(kilo);
        unit += 1;
    }
    let decimals = usize::from(value > 0.05 && value < 9.95);
    format!("{value:.decimals$}{}", UNITS[unit])
}

/// A time in UTC, as C's locale writes it: rpm takes the zone and the language of whoever asks.
struct Moment {
    year: i64,
    /// From 0.
    month: usize,
    day: u32,
    /// From 0, which is Sunday.
    weekday: usize,
    second_of_day: u64,
}

impl Moment {
    /// Counts days in eras of 400 years that begin with March.
    fn of(seconds: u64) -> Self {
        let days = i64::try_from(seconds / 86_400).unwrap_or(0);
        let shifted = days + 719_468;
        let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let march_month = (5 * day + 2) / 153;
        let month = (march_month + 2) % 12;
        Self {
            year: era * 400 + year + i64::from(month < 2),
            month: usize::try_from(month).unwrap_or(0),
            day: u32::try_from(day - (153 * march_month + 2) / 5 + 1).unwrap_or(0),
            weekday: usize::try_from((days + 4).rem_euclid(7)).unwrap_or(0),
            second_of_day: seconds % 86_400,
        }
    }

    fn names(&self) -> (&'static str, &'static str) {
        const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        (DAYS[self.weekday], MONTHS[self.month])
    }

    /// `%c`
    fn date(&self) -> String {
        let ((weekday, month), time) = (self.names(), self.second_of_day);
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        let Self { day, year, .. } = self;
        format!("{weekday} {month} {day:2} {hour:02}:{minute:02}:{second:02} {year}")
    }

    /// `%a %b %d %Y`
    fn day(&self) -> String {
        let (weekday, month) = self.names();
        format!("{weekday} {month} {:02} {}", self.day, self.year)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_the_calendars() {
        let cases = [
            (0, "Thu Jan  1 00:00:00 1970", "Thu Jan 01 1970"),
            (951_782_399, "Mon Feb 28 23:59:59 2000", "Mon Feb 28 2000"),
            (951_782_400, "Tue Feb 29 00:00:00 2000", "Tue Feb 29 2000"),
            (1_767_225_599, "Wed Dec 31 23:59:59 2025", "Wed Dec 31 2025"),
            (4_107_542_400, "Mon Mar  1 00:00:00 2100", "Mon Mar 01 2100"),
        ];
        for (seconds, date, day) in cases {
            let moment = Moment::of(seconds);
            assert_eq!((moment.date().as_str(), moment.day().as_str()), (date, day));
        }
    }

    #[test]
    fn flags_have_names() {
        assert_eq!(comparison(sense::GREATER | sense::EQUAL), ">=");
        assert_eq!(comparison(0), "");
        assert_eq!(dependency_kind((1 << 8) | (1 << 10)), "post,interp");
        assert_eq!(dependency_kind(sense::EQUAL), "manual");
        assert_eq!(trigger_kind(sense::TRIGGER_UN), "un");
    }

    #[test]
    fn numbers_are_made_short() {
        let cases = [
            (0, 1024, "0"),
            (999, 1000, "999"),
            (1500, 1000, "1.5K"),
            (10 << 20, 1024, "10M"),
        ];
        for (number, kilo, text) in cases {
            assert_eq!(human(number, kilo), text);
        }
        assert!(human(u64::MAX, 1000).ends_with('E'));
    }
}
