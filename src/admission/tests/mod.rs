//! Claims about admission, in simulated time.

mod fairness;
mod limits;
mod loads;
mod machine;

use std::time::Duration;

use crate::admission::{Ask, Class, GateBounds, LimitBounds};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The bounds of reads on two cores.
fn bounds() -> GateBounds {
    GateBounds {
        limit: LimitBounds { min: 4, max: 256, initial: 8, tolerance: 1.5 },
        waiting_max: 64,
        wait_max: ms(100),
        wait_overloaded_max: ms(5),
        tenant_share_percent: 50,
    }
}

/// The same with a limit that does not adapt.
fn fixed(places: usize) -> GateBounds {
    let limit = LimitBounds { min: places, max: places, initial: places, tolerance: 1.5 };
    GateBounds { limit, ..bounds() }
}

fn ask(tenant: &'static str, class: Class) -> Ask<&'static str> {
    Ask { tenant, class, kind: 0, deadline: None }
}
