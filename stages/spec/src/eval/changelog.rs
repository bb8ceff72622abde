//! `%changelog`.

use super::{Change, Parser, Part, Stop, Strip};
use crate::macros::text::{is_space, trim_end, trim_start};

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

impl Parser<'_> {
    pub(super) fn changelog(&mut self) -> Result<Option<Part>, Stop> {
        if !self.spec.packages[0].changelog.is_empty() {
            let line = self.lines.number;
            return Err(self.error(format!("line {line}: second %changelog")));
        }
        let (text, next) = self.section_text(Strip::COMMENTS)?;
        if let Err(why) = self.entries(&text) {
            // rpm says so, and goes on with what it has.
            let _ = self.error(why);
        }
        Ok(next)
    }

    fn entries(&mut self, text: &str) -> Result<(), String> {
        let mut oldest = self.engine.expand_number("%{?_changelog_trimtime}");
        let age = self.engine.expand_number("%{?_changelog_trimage}");
        let (mut first, mut last) = (None, None);
        let mut rest = trim_start(text);
        while !rest.is_empty() {
            let Some(entry) = rest.strip_prefix('*') else {
                return Err("%changelog entries must start with *".to_owned());
            };
            let (head, body) = entry.split_once('\n').ok_or("incomplete %changelog entry")?;
            let (time, words) = self.date(trim_start(head))?;
            if first.is_none() {
                first = Some(time);
                if age > 0 {
                    oldest = time - age;
                }
            }
            if last.is_some_and(|last| last < time) {
                return Err("%changelog not in descending chronological order".to_owned());
            }
            last = Some(time);
            let name = trim_end(after_words(head, words));
            if name.len() < 2 {
                return Err("missing name in %changelog".to_owned());
            }
            let body = trim_start(body);
            if body.is_empty() {
                return Err("no description in %changelog".to_owned());
            }
            let end = body.find("\n*").map_or(body.len(), |end| end + 1);
            if oldest != 0 && time < oldest {
                break;
            }
            self.spec.packages[0].changelog.push(Change {
                time,
                name: name.to_owned(),
                text: trim_end(&body[..end]).to_owned(),
            });
            rest = &body[end..];
        }
        Ok(())
    }

    /// Seconds since 1970, and how many words the date has: `Wed Jan 01 2020`, or with a time and a zone before the year.
    fn date(&mut self, text: &str) -> Result<(i64, usize), String> {
        let bad = || format!("bad date in %changelog: {text}");
        let words: Vec<&str> = text
            .split(|c: char| u8::try_from(c).is_ok_and(is_space))
            .filter(|word| !word.is_empty())
            .collect();
        let [weekday, month, day, fourth, ..] = words[..] else {
            return Err(bad());
        };
        let month = MONTHS.iter().position(|name| *name == month).ok_or_else(bad)?;
        let month = u32::try_from(month).map_err(|_| bad())? + 1;
        if !DAYS.contains(&weekday) {
            return Err(bad());
        }
        let day: u32 = day.parse().map_err(|_| bad())?;
        if day > [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month as usize - 1] {
            return Err(bad());
        }
        let is_time = fourth.as_bytes().get(1) == Some(&b':') || fourth.as_bytes().get(2) == Some(&b':');
        let (seconds, count, year) = match is_time {
            false => (12 * 3600, 4, Some(fourth)),
            true => {
                let zone = words.get(4).copied().unwrap_or("");
                let seconds = clock(fourth).ok_or_else(bad)? - zone_offset(zone);
                (seconds, 6, words.get(5).copied())
            }
        };
        let year: i64 = year.and_then(|year| year.parse().ok()).ok_or_else(bad)?;
        if !(1990..3000).contains(&year) {
            return Err(bad());
        }
        let days = days_since_1970(year, month, day);
        let right = usize::try_from(days.rem_euclid(7))
            .ok()
            .and_then(|at| DAYS.get(at));
        if right != Some(&weekday) || day == 0 || (month == 2 && day == 29 && !is_leap(year)) {
            self.warn(format!("bogus date in %changelog: {text}"));
        }
        Ok((days * 86_400 + seconds, count))
    }
}

fn after_words(text: &str, count: usize) -> &str {
    let mut rest = trim_start(text);
    for _ in 0..count {
        let end = rest.bytes().position(is_space).unwrap_or(rest.len());
        rest = trim_start(&rest[end..]);
    }
    rest
}

fn clock(text: &str) -> Option<i64> {
    let mut parts = text.split(':').map(str::parse::<i64>);
    let (hours, minutes, seconds) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let good = (0..24).contains(&hours) && (0..60).contains(&minutes) && (0..61).contains(&seconds);
    (good && parts.next().is_none()).then_some(hours * 3600 + minutes * 60 + seconds)
}

/// Seconds to the east of UTC, of the zones that changelogs name.
fn zone_offset(zone: &str) -> i64 {
    const ZONES: [(&str, i64); 12] = [
        ("CET", 1),
        ("CEST", 2),
        ("EET", 2),
        ("EEST", 3),
        ("MSK", 3),
        ("EST", -5),
        ("EDT", -4),
        ("CST", -6),
        ("CDT", -5),
        ("MST", -7),
        ("PST", -8),
        ("PDT", -7),
    ];
    let found = ZONES.iter().find(|(name, _)| *name == zone);
    found.map_or(0, |(_, hours)| hours * 3600)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days from 1 January 1970; a day that the month does not have counts on into the next, as `mktime` does.
fn days_since_1970(year: i64, month: u32, day: u32) -> i64 {
    let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month as usize - 1];
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    let leap_day = i64::from(month > 2 && is_leap(year));
    (year - 1970) * 365 + leaps(year - 1) - leaps(1969) + before + leap_day + i64::from(day) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted() {
        assert_eq!(days_since_1970(1970, 1, 1), 0);
        assert_eq!(days_since_1970(2000, 2, 29), 11_016);
        assert_eq!(days_since_1970(2026, 11, 22), 20_779);
        assert_eq!(DAYS[20_779 % 7], "Sun");
    }
}
