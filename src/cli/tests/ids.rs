use proptest::prelude::*;

use crate::cli::import::ids::{external_id, session_id, user_id};
use crate::types::{SessionId, UserId};

#[track_caller]
fn check(conversation: &str, session: &str, user: &str, id: &str) {
    assert_eq!(
        (user_id(conversation), session_id(conversation, session)),
        (user.into(), id.into())
    );
}

#[test]
fn ids_stay_readable() {
    check("conv-26", "S1", "conv-26", "conv-26.S1");
    check("9ea5eabc", "62e6593e_1#0", "9ea5eabc", "9ea5eabc.62e6593e_1~230");
    check("a.b", "c.d", "a.b", "a~2Eb.c.d");
    check("", "chat", "x~", "chat");
}

#[test]
fn what_may_not_begin_an_id_gets_a_prefix() {
    check("#1", ".2", "x~~231", "x~~231..2");
    check("-a", "_b", "x~-a", "x~-a._b");
    check("Ünal", "α", "x~~C3~9Cnal", "x~~C3~9Cnal.~CE~B1");
}

#[test]
fn a_long_id_keeps_its_beginning_and_ends_in_a_hash() {
    let long = "a".repeat(200);
    let id = session_id(&long, "s");
    assert!(id.len() == 128 && id.starts_with(&"a".repeat(96)), "{id}");
    assert_ne!(id, session_id(&long, "t"));
    assert_ne!(user_id(&long), user_id(&format!("{long}a")));
}

#[test]
fn a_long_turn_id_fits_an_external_id() {
    let long = "ä".repeat(200);
    assert!(external_id(&long).len() <= 256);
    assert_ne!(external_id(&long), external_id(&format!("{long}x")));
    assert_eq!(external_id("D1:3"), "D1:3");
}

/// Ids full of the characters that have a meaning in mapped ones.
fn tricky() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-cx0-9A-F.~_#-]{0,8}", any::<String>(), "[a~.]{90,140}"]
}

proptest! {
    #[test]
    fn mapped_ids_are_ids_and_different_ones_stay_different(
        a in (tricky(), tricky()), b in (tricky(), tricky())
    ) {
        for (conversation, session) in [&a, &b] {
            prop_assert!(UserId::parse(&user_id(conversation)).is_ok());
            prop_assert!(SessionId::parse(&session_id(conversation, session)).is_ok());
        }
        prop_assert_eq!(a.0 == b.0, user_id(&a.0) == user_id(&b.0));
        prop_assert_eq!(a == b, session_id(&a.0, &a.1) == session_id(&b.0, &b.1));
    }
}
