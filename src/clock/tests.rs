use super::{Clock, ManualClock, SystemClock};
use crate::types::Timestamp;

#[test]
fn the_system_clock_never_goes_backwards() {
    let clock = SystemClock::new();
    let times: Vec<_> = (0..1000).map(|_| clock.now()).collect();
    assert!(times.is_sorted());
    assert!(times[0] > Timestamp(1_700_000_000_000));
}

#[test]
fn the_system_clock_stands_still_after_it_was_set_back() {
    let clock = SystemClock::new();
    let ahead = Timestamp(clock.now().0 + 60_000);
    clock.latest_ms.store(ahead.0, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(clock.now(), ahead);
}

#[test]
fn a_time_after_is_later_than_all_before_it_and_not_than_those_that_follow() {
    let clocks: [Box<dyn Clock>; 2] =
        [Box::new(SystemClock::new()), Box::new(ManualClock::new(Timestamp(5)))];
    for clock in clocks {
        for _ in 0..1000 {
            let (before, after, next) = (clock.now(), clock.now_after(), clock.now());
            assert!(before < after && after <= next);
            assert!(next < clock.now_after());
        }
    }
}

#[test]
fn a_manual_clock_moves_only_forwards_and_only_when_told() {
    let clock = ManualClock::new(Timestamp(5));
    assert_eq!((clock.now(), clock.now()), (Timestamp(5), Timestamp(5)));
    clock.advance(10);
    clock.advance(-100);
    assert_eq!(clock.now(), Timestamp(15));
    clock.advance_to(Timestamp(7));
    assert_eq!(clock.now(), Timestamp(15));
    clock.advance_to(Timestamp(20));
    assert_eq!(clock.now(), Timestamp(20));
}
