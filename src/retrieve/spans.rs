//! Times that a question names by their distance from now: "two weeks ago", "last weekend".

use std::ops::RangeInclusive;

use jiff::{ToSpan, civil::Date};

use crate::retrieve::rules::Relative;

/// How many words before a unit may say which one is meant: "in the last few busy weeks".
const REACH: usize = 3;

/// More units back than this name no time of a conversation.
const NUMBER_MAX: i32 = 400;

/// What a word measures time by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Day,
    Week,
    Weekend,
    Month,
    Year,
    /// A day of the week, from Monday 0 on.
    Weekday(i8),
    /// A quarter of the year, from spring 0 on, as the north has them.
    Season(i8),
}

/// The days that `words` (folded, in order) name by their distance from `today`; what is said of
/// them may have been said a little later, so each range has some days more than its name.
pub(super) fn asked_spans(
    words: &[String],
    relative: &Relative,
    today: Date,
) -> Vec<RangeInclusive<Date>> {
    let mut spans = Vec::new();
    for (at, word) in words.iter().enumerate() {
        if has(relative.yesterday, word) {
            spans.extend(back(today, Unit::Day, 1));
        }
        let Some(unit) = unit(relative, word) else { continue };
        let before = &words[at.saturating_sub(REACH)..at];
        let after = words.get(at + 1);
        let near = |row: &str| before.iter().chain(after).any(|word| has(row, word));
        let number = before.iter().rev().find_map(|word| number(relative, word));
        let span = match number {
            Some(number) if near(relative.ago) => back(today, unit, number),
            Some(number) if number > 1 && near(relative.last) => within(today, unit, number),
            _ if near(relative.last) => last(today, unit),
            _ if near(relative.this) => this(today, unit),
            _ => None,
        };
        spans.extend(span);
    }
    spans
}

/// Whether a row of words, some of one meaning, has `word`.
fn has(row: &str, word: &str) -> bool {
    row.split([' ', '/']).any(|known| known == word)
}

/// The place of `word` in a row of words, those of one meaning at one place.
fn place(row: &str, word: &str) -> Option<i8> {
    let place = row.split(' ').position(|same| same.split('/').any(|known| known == word));
    place.and_then(|place| i8::try_from(place).ok())
}

fn unit(relative: &Relative, word: &str) -> Option<Unit> {
    let units = [Unit::Day, Unit::Week, Unit::Weekend, Unit::Month, Unit::Year];
    let known = relative.units.iter().zip(units).find(|(row, _)| has(row, word));
    let weekday = || place(relative.weekdays, word).map(Unit::Weekday);
    let season = || place(relative.seasons, word).map(Unit::Season);
    known.map(|(_, unit)| unit).or_else(weekday).or_else(season)
}

fn number(relative: &Relative, word: &str) -> Option<i32> {
    let digits = word.parse().ok().filter(|number| (1..=NUMBER_MAX).contains(number));
    let named = || place(relative.numbers, word).map(|place| i32::from(place) + 1);
    digits.or_else(|| has(relative.few, word).then_some(3)).or_else(named)
}

/// Some units back, about that day.
fn back(today: Date, unit: Unit, number: i32) -> Option<RangeInclusive<Date>> {
    let (days, slack) = match unit {
        Unit::Day => (1, 1),
        Unit::Week | Unit::Weekend | Unit::Weekday(_) => (7, 4),
        Unit::Month => (30, 15),
        Unit::Year | Unit::Season(_) => (365, 120),
    };
    let day = today.checked_sub((days * number).days()).ok()?;
    around(day, slack, slack)
}

/// The last so many units, up to today.
fn within(today: Date, unit: Unit, number: i32) -> Option<RangeInclusive<Date>> {
    let days = match unit {
        Unit::Day => 1,
        Unit::Week | Unit::Weekend | Unit::Weekday(_) => 7,
        Unit::Month => 31,
        Unit::Year | Unit::Season(_) => 366,
    };
    around(today, days * number, 0)
}

/// The unit before the one that today is in, as people say it.
fn last(today: Date, unit: Unit) -> Option<RangeInclusive<Date>> {
    let weekday = i32::from(today.weekday().to_monday_zero_offset());
    match unit {
        Unit::Day => None,
        // Weeks begin on a Saturday, a Sunday or a Monday; some mean the seven days before today.
        Unit::Week => around(today, weekday + 9, 0),
        Unit::Weekend => {
            // The Saturday before this week's; on a Sunday, too.
            let since_saturday = if weekday == 6 { 8 } else { weekday + 2 };
            let saturday = today.checked_sub(since_saturday.days()).ok()?;
            around(saturday, 0, 2)
        }
        Unit::Month => {
            let first = today.first_of_month().checked_sub(1.month()).ok()?;
            Some(first..=first.last_of_month())
        }
        Unit::Year => {
            let year = today.checked_sub(1.year()).ok()?;
            Some(year.first_of_year()..=year.last_of_year())
        }
        Unit::Weekday(day) => {
            let since = (weekday - i32::from(day) + 6).rem_euclid(7) + 1;
            around(today.checked_sub(since.days()).ok()?, 0, 1)
        }
        Unit::Season(season) => {
            let this_year = season_of(today.year(), season)?;
            if *this_year.start() <= today && !this_year.contains(&today) {
                return Some(this_year);
            }
            season_of(today.year() - 1, season)
        }
    }
}

/// The unit that today is in, up to today.
fn this(today: Date, unit: Unit) -> Option<RangeInclusive<Date>> {
    let weekday = i32::from(today.weekday().to_monday_zero_offset());
    match unit {
        Unit::Day | Unit::Weekday(_) => None,
        Unit::Week => around(today, weekday, 0),
        Unit::Weekend => around(today, (weekday + 2) % 7, 0).filter(|_| weekday >= 4),
        Unit::Month => Some(today.first_of_month()..=today),
        Unit::Year => Some(today.first_of_year()..=today),
        Unit::Season(season) => season_of(today.year(), season),
    }
}

/// Three months: spring from March on, winter from December on.
fn season_of(year: i16, season: i8) -> Option<RangeInclusive<Date>> {
    let first = Date::new(year, season * 3 + 3, 1).ok()?;
    let end = first.checked_add(3.months()).ok()?.yesterday().ok()?;
    Some(first..=end)
}

/// A day with so many days before and after it.
fn around(day: Date, before: i32, after: i32) -> Option<RangeInclusive<Date>> {
    Some(day.checked_sub(before.days()).ok()?..=day.checked_add(after.days()).ok()?)
}
