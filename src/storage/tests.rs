use super::{Batch, KEY_BYTES_MAX, Order, Precondition, Read, Revision, StoreErrorKind};

#[track_caller]
fn check_prefix_end(prefix: &[u8], expected: Option<&[u8]>) {
    let Read::Range { from, to, limit, order } = Read::prefix(prefix.to_vec()) else {
        panic!("a prefix is a range");
    };
    assert_eq!((&from[..], to.as_deref()), (prefix, expected));
    assert_eq!((limit, order), (usize::MAX, Order::Ascending));
}

#[test]
fn a_prefix_ends_where_the_next_one_begins() {
    check_prefix_end(b"ab", Some(b"ac"));
    check_prefix_end(b"a\xff", Some(b"b"));
    check_prefix_end(b"a\0", Some(b"a\x01"));
    check_prefix_end(b"", None);
    check_prefix_end(b"\xff\xff", None);
}

#[test]
fn of_two_writes_of_one_key_the_later_one_counts() {
    let batch = Batch::new().put("a", "1").delete("a").delete("b").put("b", "2");
    let writes: Vec<_> = batch.writes().map(|(k, v)| (k.clone(), v.cloned())).collect();
    assert_eq!(writes, [("a".into(), None), ("b".into(), Some("2".into()))]);
}

#[test]
fn a_precondition_holds_for_what_it_names_only() {
    let absent = Precondition::Absent("a".into());
    let third = Precondition::Revision("a".into(), Revision(3));
    assert!(absent.holds(None) && !absent.holds(Some(Revision(3))));
    assert!(third.holds(Some(Revision(3))) && !third.holds(Some(Revision(4))));
    assert!(!third.holds(None));
}

#[test]
fn an_empty_key_and_one_too_long_are_refused_in_preconditions_too() {
    let long = vec![b'k'; KEY_BYTES_MAX + 1];
    for batch in [
        Batch::new().put("", ""),
        Batch::new().delete(long.clone()),
        Batch::new().absent(long.clone()),
        Batch::new().revision("", Revision(1)),
    ] {
        let error = batch.check_size().expect_err("must be refused");
        assert_eq!(error.kind(), StoreErrorKind::Invalid);
    }
    Batch::new().put(vec![b'k'; KEY_BYTES_MAX], "").check_size().expect("the longest is allowed");
}
