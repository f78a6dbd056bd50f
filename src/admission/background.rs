//! When work behind the calls may go on.

use std::time::Duration;

use crate::admission::Load;

/// Background work goes on after this long, whatever the load is: late is better than never.
pub const BACKGROUND_FLOOR: Duration = Duration::from_secs(1);

/// Whether a piece of background work may begin now that has waited for `waited`: when no call
/// waits in any lane and each lane has half of its floor free, or when it has waited long enough.
pub fn may_run(lanes: &[Load], waited: Duration) -> bool {
    let has_room = |lane: &Load| lane.waiting == 0 && lane.in_flight <= lane.floor / 2;
    waited >= BACKGROUND_FLOOR || lanes.iter().all(has_room)
}
