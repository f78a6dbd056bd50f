//! Who comes in next, who is refused.

use std::time::Duration;

use super::{ask, bounds, fixed, ms};
use crate::admission::{
    Account, Arrival, Ask, Class, Gate, GateBounds, Granted, Load, Refused, Taken, Ticket, may_run,
};

type Tenants = Gate<&'static str>;

#[track_caller]
fn waits(gate: &mut Tenants, ask: &Ask<&'static str>, now: Duration) -> Ticket {
    match gate.arrive(ask, now) {
        Arrival::Waits { ticket, .. } => ticket,
        other => panic!("it should wait: {other:?}"),
    }
}

/// Ends a call of a tenant and says whose comes in for it.
fn ends(gate: &mut Tenants, tenant: &'static str, now: Duration) -> Vec<&'static str> {
    gate.leave(&ask(tenant, Class::Interactive), ms(1), now);
    let next = std::iter::from_fn(|| gate.next(now));
    next.filter_map(|granted| match granted {
        Granted::In { ask, .. } => Some(ask.tenant),
        Granted::Expired { .. } => None,
    })
    .collect()
}

#[test]
fn tenants_that_wait_come_in_turn() {
    let mut gate = Gate::new(GateBounds { tenant_share_percent: 100, ..fixed(1) }, 1);
    let call = |tenant| ask(tenant, Class::Interactive);
    assert_eq!(gate.arrive(&call("a"), ms(0)), Arrival::In);
    for tenant in ["a", "a", "a", "a", "b", "b", "c"] {
        waits(&mut gate, &call(tenant), ms(0));
    }
    let mut order = String::new();
    let mut inside = "a";
    while let [next] = ends(&mut gate, inside, ms(1))[..] {
        order.push_str(next);
        inside = next;
    }
    assert_eq!(order, "abcabaa");
}

#[test]
fn one_tenant_has_its_share_of_the_places_while_another_is_there() {
    let mut gate = Gate::new(fixed(4), 1);
    let call = |tenant| ask(tenant, Class::Interactive);
    for _ in 0..4 {
        assert_eq!(gate.arrive(&call("a"), ms(0)), Arrival::In, "alone it may have all");
    }
    waits(&mut gate, &call("a"), ms(1));
    waits(&mut gate, &call("b"), ms(1));
    assert_eq!(ends(&mut gate, "a", ms(2)), ["b"], "a has three of four places");
    assert!(ends(&mut gate, "a", ms(3)).is_empty(), "a has half of them: the place stays free");
    assert_eq!(gate.arrive(&call("b"), ms(3)), Arrival::In, "past those who have their share");
    // When the other one has not called for a second, a may have all again.
    assert_eq!(ends(&mut gate, "a", ms(1_100)), Vec::<&str>::new(), "it has waited too long");
    for _ in 0..1 {
        assert_eq!(gate.arrive(&call("a"), ms(1_200)), Arrival::In);
    }
}

#[test]
fn interactive_calls_come_before_ingest_which_is_not_starved() {
    let mut gate = Gate::new(GateBounds { tenant_share_percent: 100, ..fixed(1) }, 1);
    assert_eq!(gate.arrive(&ask("a", Class::Interactive), ms(0)), Arrival::In);
    for _ in 0..4 {
        waits(&mut gate, &ask("b", Class::Ingest), ms(0));
    }
    for _ in 0..16 {
        waits(&mut gate, &ask("a", Class::Interactive), ms(0));
    }
    let mut order = String::new();
    let mut inside = ask("a", Class::Interactive);
    for _ in 0..20 {
        gate.leave(&inside, ms(1), ms(1));
        let Some(Granted::In { ask, .. }) = gate.next(ms(1)) else { panic!("all come in") };
        order.push_str(ask.tenant);
        inside = ask;
    }
    assert_eq!(order, "aaaaaaabaaaaaaabaabb");
}

#[test]
fn ingest_has_half_of_the_places() {
    let mut gate = Gate::new(fixed(4), 1);
    let bulk = ask("a", Class::Ingest);
    assert_eq!(gate.arrive(&bulk, ms(0)), Arrival::In);
    assert_eq!(gate.arrive(&bulk, ms(0)), Arrival::In);
    waits(&mut gate, &bulk, ms(0));
    assert_eq!(gate.arrive(&ask("a", Class::Interactive), ms(0)), Arrival::In);
}

#[test]
fn a_full_queue_takes_from_whoever_has_most_in_it() {
    let mut gate = Gate::new(GateBounds { waiting_max: 3, ..fixed(1) }, 1);
    let call = |tenant| ask(tenant, Class::Interactive);
    assert_eq!(gate.arrive(&call("a"), ms(0)), Arrival::In);
    let tickets: Vec<_> = (0..3).map(|_| waits(&mut gate, &call("a"), ms(0))).collect();
    let Arrival::Refused { why, retry } = gate.arrive(&call("a"), ms(0)) else {
        panic!("the queue is full of its own calls")
    };
    assert_eq!(why, Refused::QueueFull);
    assert!((ms(100)..ms(200)).contains(&retry), "{retry:?}");
    let Arrival::Waits { ousted, .. } = gate.arrive(&call("b"), ms(0)) else {
        panic!("another tenant finds a place")
    };
    assert_eq!(ousted.map(|(ticket, _)| ticket), Some(tickets[2]), "the latest has to go");
    assert_eq!(gate.give_up(&call("a"), tickets[2]), None, "it does not wait any more");
}

#[test]
fn who_has_waited_too_long_is_not_let_in() {
    let mut gate = Gate::new(fixed(1), 1);
    let call = |tenant| ask(tenant, Class::Interactive);
    assert_eq!(gate.arrive(&call("a"), ms(0)), Arrival::In);
    let old = waits(&mut gate, &call("b"), ms(0));
    waits(&mut gate, &call("b"), ms(99));
    gate.leave(&call("a"), ms(1), ms(101));
    let Some(Granted::Expired { ticket, .. }) = gate.next(ms(101)) else { panic!("it is old") };
    assert_eq!(ticket, old);
    // The queue has not been empty for 100 ms: now 5 ms are too long, but 2 are not.
    assert!(matches!(gate.next(ms(101)), Some(Granted::In { .. })));
}

#[test]
fn a_queue_that_stands_makes_calls_give_up_sooner() {
    let mut gate = Gate::new(fixed(1), 1);
    let call = |tenant| ask(tenant, Class::Interactive);
    let until = |gate: &mut Tenants, now| match gate.arrive(&call("b"), now) {
        Arrival::Waits { until, .. } => until - now,
        other => panic!("it should wait: {other:?}"),
    };
    assert_eq!(gate.arrive(&call("a"), ms(0)), Arrival::In);
    assert_eq!(until(&mut gate, ms(0)), ms(100));
    assert_eq!(until(&mut gate, ms(100)), ms(100));
    assert_eq!(until(&mut gate, ms(101)), ms(5));
}

#[test]
fn a_call_that_cannot_come_in_before_its_deadline_is_refused_at_once() {
    let mut gate = Gate::new(fixed(1), 1);
    let call = |deadline| Ask { deadline, ..ask("a", Class::Interactive) };
    for n in 0..200 {
        assert_eq!(gate.arrive(&call(None), ms(n * 20)), Arrival::In);
        gate.leave(&call(None), ms(20), ms(n * 20 + 20));
    }
    let now = ms(10_000);
    assert_eq!(gate.arrive(&call(None), now), Arrival::In);
    waits(&mut gate, &call(None), now);
    let soon = gate.arrive(&call(Some(now + ms(10))), now);
    assert!(matches!(soon, Arrival::Refused { why: Refused::WaitTooLong, .. }), "{soon:?}");
    let Arrival::Waits { until, .. } = gate.arrive(&call(Some(now + ms(60))), now) else {
        panic!("there is time")
    };
    assert_eq!(until, now + ms(60), "it never waits past its deadline");
}

#[test]
fn those_refused_together_are_not_told_to_come_back_together() {
    let mut gate = Gate::new(GateBounds { waiting_max: 0, ..fixed(1) }, 1);
    let call = ask("a", Class::Interactive);
    assert_eq!(gate.arrive(&call, ms(0)), Arrival::In);
    let retries: std::collections::BTreeSet<_> = (0..100)
        .map(|_| match gate.arrive(&call, ms(0)) {
            Arrival::Refused { retry, .. } => retry,
            other => panic!("there is no queue: {other:?}"),
        })
        .collect();
    assert!(retries.len() > 90);
    assert!(retries.iter().all(|retry| (ms(100)..=ms(200)).contains(retry)));
}

#[test]
fn background_work_gives_way_but_not_for_ever() {
    let load = |in_flight, waiting| Load { in_flight, waiting, floor: 8 };
    let calm = load(0, 0);
    assert!(may_run(&[calm, calm], ms(0)));
    assert!(may_run(&[load(4, 0), calm], ms(0)));
    assert!(!may_run(&[load(5, 0), calm], ms(0)), "more than half of the floor is taken");
    assert!(!may_run(&[calm, load(0, 1)], ms(0)), "somebody waits");
    assert!(!may_run(&[load(8, 9), load(8, 9)], ms(999)));
    assert!(may_run(&[load(8, 9), load(8, 9)], ms(1_000)), "it has waited for a second");
}

#[test]
fn a_tenant_takes_half_of_an_account_unless_it_asks_for_one_thing() {
    let mut account = Account::new(100);
    assert_eq!(account.take(&"a", 70), Taken::Yes, "it has nothing yet");
    assert!(account.is_over(&"a") && !account.is_over(&"b"));
    assert_eq!(account.take(&"a", 1), Taken::Over, "it has more than half");
    assert_eq!(account.take(&"b", 31), Taken::Over, "so much is not there");
    assert_eq!(account.take(&"b", 30), Taken::Yes);
    assert!(account.is_over(&"c"));
    account.give_back(&"a", 70);
    assert_eq!((account.used(), account.take(&"c", 1)), (30, Taken::Yes));
}

proptest::proptest! {
    /// Whatever comes, goes and gives up: places and waiters stay within their limits, nobody is
    /// lost, and all who are in or wait come out.
    #[test]
    fn a_gate_keeps_its_limits_and_loses_nobody(
        events in proptest::collection::vec((0_u8..5, 0_usize..4, 0_u64..30), 1..400),
    ) {
        let tenants = ["a", "b", "c", "d"];
        let bounds = GateBounds { waiting_max: 6, ..bounds() };
        let mut gate = Gate::new(GateBounds { limit: fixed(5).limit, ..bounds }, 3);
        let (mut inside, mut waiting) = (Vec::new(), std::collections::BTreeMap::new());
        let mut now = ms(0);
        let end = std::iter::repeat_n((3, 0, 1), 400);
        for (what, which, wait) in events.into_iter().chain(end) {
            now += ms(wait);
            let class = if what == 1 { Class::Ingest } else { Class::Interactive };
            match what {
                0..=2 => {
                    let call = ask(tenants[which], class);
                    match gate.arrive(&call, now) {
                        Arrival::In => inside.push(call),
                        Arrival::Waits { ticket, ousted, .. } => {
                            waiting.insert(ticket, call);
                            if let Some((ticket, _)) = ousted {
                                proptest::prop_assert!(waiting.remove(&ticket).is_some());
                            }
                        }
                        Arrival::Refused { .. } => {}
                    }
                }
                3 if !inside.is_empty() => {
                    let call = inside.remove(which % inside.len());
                    gate.leave(&call, ms(3), now);
                    while let Some(granted) = gate.next(now) {
                        match granted {
                            Granted::In { ticket, ask } => {
                                proptest::prop_assert!(waiting.remove(&ticket).is_some());
                                inside.push(ask);
                            }
                            Granted::Expired { ticket, .. } => {
                                proptest::prop_assert!(waiting.remove(&ticket).is_some());
                            }
                        }
                    }
                }
                _ => {
                    if let Some((ticket, call)) = waiting.pop_last() {
                        proptest::prop_assert!(gate.give_up(&call, ticket).is_some());
                    }
                }
            }
            let load = gate.load();
            let found = (load.in_flight, load.waiting);
            proptest::prop_assert_eq!(found, (inside.len(), waiting.len()));
            proptest::prop_assert!(inside.len() <= 5 && waiting.len() <= 12);
        }
        proptest::prop_assert!(inside.is_empty() && waiting.is_empty());
    }
}

#[test]
fn a_queue_that_ran_empty_of_refused_calls_is_overloaded_until_it_had_a_rest() {
    let mut gate = Gate::new(fixed(1), 1);
    let call = ask("a", Class::Interactive);
    let patience = |gate: &mut Tenants, now| match gate.arrive(&call, now) {
        Arrival::Waits { until, .. } => until - now,
        other => panic!("it should wait: {other:?}"),
    };
    assert_eq!(gate.arrive(&call, ms(0)), Arrival::In);
    assert_eq!(patience(&mut gate, ms(0)), ms(100), "a burst may wait");
    assert_eq!(patience(&mut gate, ms(90)), ms(100));
    // The queue stood for more than 100 ms: those who waited long are sent away, and it is empty.
    assert!(ends(&mut gate, "a", ms(110)).is_empty());
    assert_eq!((gate.load().in_flight, gate.load().waiting), (0, 0));
    assert_eq!(gate.arrive(&call, ms(111)), Arrival::In);
    assert_eq!(patience(&mut gate, ms(112)), ms(5), "this was no rest");
    assert_eq!(ends(&mut gate, "a", ms(113)), ["a"]);
    assert_eq!(patience(&mut gate, ms(209)), ms(5));
    assert_eq!(ends(&mut gate, "a", ms(209)), ["a"]);
    assert_eq!(patience(&mut gate, ms(211)), ms(100), "nobody was refused for 100 ms");
}
