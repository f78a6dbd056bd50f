//! Dates that a question names, and whether a day is one of them.

use jiff::civil::Date;

use crate::retrieve::rules::{Rules, WordKind};
use crate::types::Timestamp;

/// A date as far as a question names it; a part that is missing fits any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct AskedDate {
    pub(super) year: Option<i16>,
    pub(super) month: Option<u8>,
    pub(super) day: Option<u8>,
}

impl AskedDate {
    /// Whether the day of a turn is the one that is asked for.
    pub(super) fn matches(self, day: Date) -> bool {
        self.year.is_none_or(|year| year == day.year())
            && self.month.is_none_or(|month| i16::from(month) == i16::from(day.month()))
            && self.day.is_none_or(|wanted| i16::from(wanted) == i16::from(day.day()))
    }
}

/// The day of a moment, in UTC; none outside the years that have dates.
pub(super) fn day_of(moment: Timestamp) -> Option<Date> {
    let moment = jiff::Timestamp::from_millisecond(moment.0).ok()?;
    Some(jiff::tz::Offset::UTC.to_datetime(moment).date())
}

/// The dates in `words` (folded, in order): "7 May 2023", "May 7th", "2023-05-07", "in May".
/// A month that is also a common word counts only beside a number. A bare year is no date.
pub(super) fn asked_dates(words: &[String], rules: &Rules) -> Vec<AskedDate> {
    let mut dates = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let near = |offset: isize| at.checked_add_signed(offset).and_then(|at| words.get(at));
        if let Some(month) = rules.month(word) {
            let link = near(-1).is_some_and(|word| rules.kind(word).is(WordKind::STOP));
            let before = near(if link { -2 } else { -1 }).and_then(|word| day_number(word));
            let after = near(1).and_then(|word| day_number(word));
            let years = [near(1), near(2), near(3)];
            let year = years.into_iter().flatten().find_map(|word| year_number(word));
            let sure = before.or(after).is_some() || year.is_some();
            if sure || !rules.kind(word).is(WordKind::STOP) {
                dates.push(AskedDate { year, month: Some(month), day: before.or(after) });
            }
        } else if let Some(year) = year_number(word) {
            let month = near(1).and_then(|word| two_digits(word)).filter(|month| *month <= 12);
            let day = near(2).and_then(|word| two_digits(word)).filter(|day| *day <= 31);
            if let (Some(month), Some(day)) = (month, day) {
                dates.push(AskedDate { year: Some(year), month: Some(month), day: Some(day) });
            }
        }
    }
    dates
}

fn year_number(word: &str) -> Option<i16> {
    let year = word.parse().ok().filter(|_| word.len() == 4)?;
    (1900..2100).contains(&year).then_some(year)
}

fn two_digits(word: &str) -> Option<u8> {
    word.parse().ok().filter(|number| word.len() == 2 && *number > 0)
}

fn day_number(word: &str) -> Option<u8> {
    let digits = word.trim_end_matches(|c: char| !c.is_ascii_digit());
    let day: u8 = digits.parse().ok().filter(|_| word.len() <= digits.len() + 2)?;
    (1..=31).contains(&day).then_some(day)
}
