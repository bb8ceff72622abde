//! First lines of the changelog's entries: `* Sat Nov 21 2026 Name <name@example.org> - 1.0-1`.

use serde::Serialize;

use super::Span;
use crate::macros::text;

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
/// Most days that rpm lets a month have.
const LENGTHS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// A day as an entry gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Date {
    /// 1990 to 2999.
    pub year: u16,
    /// From 1.
    pub month: u8,
    /// As written: it may be more than the month has.
    pub day: u8,
    /// Seconds from midnight, in an entry that gives the time.
    pub time: u32,
    /// From Sunday, 0; as written.
    pub weekday: u8,
}

impl Date {
    /// The weekday that this day really is, from Sunday, 0; none if there is no such day.
    pub fn true_weekday(self) -> Option<u8> {
        let leap =
            self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let most = LENGTHS[usize::from(self.month - 1)] - u8::from(self.month == 2 && !leap);
        if self.day == 0 || self.day > most {
            return None;
        }
        // Sakamoto's method.
        const OFFSETS: [u16; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
        let year = self.year - u16::from(self.month < 3);
        let offset = OFFSETS[usize::from(self.month - 1)];
        let days = year + year / 4 - year / 100 + year / 400 + offset + u16::from(self.day);
        u8::try_from(days % 7).ok()
    }

    /// `Sun` … `Sat`.
    pub fn weekday_name(weekday: u8) -> &'static str {
        DAYS[usize::from(weekday % 7)]
    }
}

/// The first line of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its date; none if rpm would not read it.
    pub date: Option<Date>,
    /// The words of the date; without a date, all that follows the asterisk.
    pub date_span: Span,
    /// Who wrote it, with the address; empty if nobody is named.
    pub author: Span,
    /// The version, and perhaps release, at its end.
    pub version: Option<Span>,
}

/// Reads the line at `span`, which starts with an asterisk.
pub(super) fn entry(source: &str, span: Span) -> Entry {
    let rest = Span::new(span.start + 1, span.end).trimmed(source);
    let mut words = Vec::with_capacity(8);
    let mut at = rest.start;
    while at < rest.end && words.len() < 6 {
        let word = word_at(source, Span::new(at, rest.end));
        at = word.end;
        words.push(word);
    }
    let Some((date, count)) = date(source, &words) else {
        return Entry {
            date: None,
            date_span: rest,
            author: Span::new(rest.end, rest.end),
            version: None,
        };
    };
    let date_end = words[count - 1].end;
    let whole = Span::new(date_end, rest.end).trimmed(source);
    let (author, version) = divide(source, whole);
    Entry {
        date: Some(date),
        date_span: Span::new(rest.start, date_end),
        author,
        version,
    }
}

/// The first word of what is at `span`.
fn word_at(source: &str, span: Span) -> Span {
    let bytes = &source.as_bytes()[span.start..span.end];
    let space = bytes.iter().take_while(|byte| text::is_space(**byte)).count();
    let length = bytes[space..]
        .iter()
        .take_while(|byte| !text::is_space(**byte))
        .count();
    Span::new(span.start + space, span.start + space + length)
}

/// The date that words give, and how many of them: `Sat Nov 21 2026`, or `Sat Nov 21 10:00:00 CET 2026`.
fn date(source: &str, words: &[Span]) -> Option<(Date, usize)> {
    let word = |index: usize| words.get(index).map(|span| span.of(source));
    let place = |names: &[&str], name: &str| names.iter().position(|one| *one == name);
    let weekday = place(&DAYS, word(0)?)?;
    let month = place(&MONTHS, word(1)?)?;
    let day: u8 = word(2)?.parse().ok()?;
    let fourth = word(3)?;
    let (time, count) = match fourth.contains(':') {
        true => (time(fourth)?, 6),
        false => (0, 4),
    };
    let year: u16 = word(count - 1)?.parse().ok()?;
    if day > LENGTHS[month] || !(1990..3000).contains(&year) {
        return None;
    }
    let date = Date {
        year,
        month: u8::try_from(month + 1).ok()?,
        day,
        time,
        weekday: u8::try_from(weekday).ok()?,
    };
    Some((date, count))
}

fn time(text: &str) -> Option<u32> {
    let mut parts = text.split(':').map(|part| part.parse::<u32>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    (hours < 24 && minutes < 60 && seconds < 60).then_some(hours * 3600 + minutes * 60 + seconds)
}

/// Author and version: after the address, or else after the last ` - `.
fn divide(source: &str, span: Span) -> (Span, Option<Span>) {
    let written = span.of(source);
    let end = match (written.rfind('>'), written.rfind(" - ")) {
        (Some(end), _) => end + 1,
        (None, Some(end)) => end,
        (None, None) => return (span, None),
    };
    let author = Span::new(span.start, span.start + end).trimmed(source);
    let rest = &written[end..];
    let version = rest.trim_matches(|c: char| c == '-' || c.is_ascii_whitespace());
    if version.is_empty() {
        return (author, None);
    }
    let start = span.start + end + rest.find(version).unwrap_or(0);
    (author, Some(Span::new(start, start + version.len())))
}
