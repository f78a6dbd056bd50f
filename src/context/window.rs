//! Where the recent turns start: a fold over the past that moves in steps.

use crate::context::groups::Unit;

/// The index of the first unit that is recent, of all `units` before the current exchange. It
/// moves only when the window passes `high` tokens, and then so far that at most half of `high` is
/// left: at most once for each `high / 2` tokens appended. `units.len()` when nothing fits.
///
/// The fold looks at each unit as if it were the last one, so that a longer past gives the same
/// start until the window is full again.
pub(super) fn start(units: &[Unit], high: u64) -> usize {
    let low = high / 2;
    let mut start = 0;
    let mut window = 0;
    for (at, unit) in units.iter().enumerate() {
        window += unit.tokens;
        if window <= high {
            continue;
        }
        while window > low {
            window -= units[start].tokens;
            start += 1;
        }
        let (better, passed) = user_border(&units[start..=at], low / 4);
        start += better;
        window -= passed;
    }
    start
}

/// How many units to pass over, and their tokens, so that a user's turn comes first; none when that
/// costs `limit` or more.
fn user_border(units: &[Unit], limit: u64) -> (usize, u64) {
    let mut passed = 0;
    for (at, unit) in units.iter().enumerate() {
        if unit.user && unit.tokens > 0 {
            return (at, passed);
        }
        passed += unit.tokens;
        if passed >= limit {
            break;
        }
    }
    (0, 0)
}
