//! Where the vectors of which embedder lie: what a start and a switch make of it.

use crate::record::{Slot, SpacesRow};

/// What a start makes of the row, by the keys of the embedders that the settings name. `None`: the
/// row stays as it is, or away while there is and was one embedder only.
///
/// An embedder that served goes on serving while it is named, whatever else is; where it is named
/// no more, the other one serves if that is, and else the first named one takes its place, with
/// nothing made yet. What lies in the slot of an embedder that is named no more is to be removed.
pub fn plan_start(
    row: Option<&SpacesRow>,
    model: Option<&str>,
    next: Option<&str>,
) -> Option<SpacesRow> {
    let model = model?;
    if row.is_none() && next.is_none() {
        return None;
    }
    let before = row.cloned().unwrap_or_default();
    let named = |slot: Slot| {
        let key = before.key(slot);
        key == model || Some(key) == next
    };
    let mut after = before.clone();
    if !named(after.serving) {
        match named(after.serving.other()) {
            true => after.serving = after.serving.other(),
            false => after = after.with(before.serving, model),
        }
    }
    let other = after.serving.other();
    let serving = after.key(after.serving).to_owned();
    let beside = [Some(model), next].into_iter().flatten().find(|key| *key != serving);
    match beside {
        Some(key) => {
            after.clearing = false;
            after = after.with(other, key);
        }
        None => {
            after.clearing |= !after.key(other).is_empty();
            after = after.with(other, "");
        }
    }
    (row != Some(&after)).then_some(after)
}

/// Has the embedder of this key serve. `None`: it has no slot.
pub fn plan_switch(row: &SpacesRow, key: &str) -> Option<SpacesRow> {
    let slot = Slot::ALL.into_iter().find(|slot| !key.is_empty() && row.key(*slot) == key)?;
    Some(SpacesRow { serving: slot, ..row.clone() })
}

#[cfg(test)]
mod tests {
    use super::{Slot, SpacesRow, plan_start, plan_switch};

    /// A row as text: the served key in brackets, `!` where the other is cleared.
    fn text(row: &SpacesRow) -> String {
        let mark = |slot: Slot| match (row.serving == slot, row.key(slot)) {
            (true, key) => format!("[{key}]"),
            (false, key) => key.to_owned(),
        };
        let clearing = if row.clearing { "!" } else { "" };
        format!("{} {}{clearing}", mark(Slot::First), mark(Slot::Second))
    }

    #[track_caller]
    fn check(starts: &[(&str, Option<&str>)], switch: Option<&str>, expected: &str) {
        let mut row = None;
        for (at, (model, next)) in starts.iter().enumerate() {
            row = plan_start(row.as_ref(), Some(model), *next).or(row);
            if let (0, Some(key), Some(now)) = (at, switch, &row) {
                row = plan_switch(now, key).or(row);
            }
        }
        assert_eq!(row.as_ref().map(text).unwrap_or_default(), expected);
    }

    #[test]
    fn one_embedder_alone_needs_no_row() {
        check(&[("a", None), ("b", None)], None, "");
    }

    #[test]
    fn the_next_one_has_the_other_slot_and_serves_after_the_switch() {
        check(&[("a", Some("b"))], None, "[a] b");
        check(&[("a", Some("b"))], Some("b"), "a [b]");
        check(&[("a", Some("b")), ("a", Some("b"))], Some("b"), "a [b]");
        check(&[("a", Some("b")), ("b", Some("a"))], Some("b"), "a [b]");
    }

    #[test]
    fn one_that_is_named_no_more_is_cleared() {
        check(&[("a", Some("b")), ("b", None)], Some("b"), " [b]!");
        check(&[("a", Some("b")), ("a", None)], None, "[a] !");
        check(&[("a", Some("b")), ("a", None), ("a", Some("b"))], None, "[a] b");
    }

    #[test]
    fn the_prepared_one_serves_when_the_settings_name_it_alone() {
        check(&[("a", Some("b")), ("b", None)], None, " [b]!");
        check(&[("a", Some("b")), ("b", Some("c"))], None, "c [b]");
    }

    #[test]
    fn an_unknown_one_takes_the_place_of_the_one_that_served() {
        check(&[("a", Some("b")), ("c", None)], None, "[c] !");
        check(&[("a", Some("b")), ("c", Some("d"))], None, "[c] d");
    }

    #[test]
    fn without_an_embedder_nothing_changes() {
        let row = SpacesRow::default().with(Slot::First, "a").with(Slot::Second, "b");
        assert_eq!(plan_start(Some(&row), None, None), None);
        assert_eq!(plan_switch(&row, "c"), None);
        assert_eq!(plan_switch(&row, ""), None);
    }
}
