//! Page tokens: nothing but a token that was issued for the same query opens.
#![no_main]

use keepsake::api::PageTokens;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (String, String, String, Vec<(usize, u8)>)| {
    let (bound, other, last, changes) = input;
    let pages = PageTokens::new(&[7; 32]);
    // Anything may come.
    let _ = pages.open(&[&bound, &other], &last);
    let token = pages.issue(&[&bound, &other], Some(&last));
    if token.len() > 1_024 {
        return;
    }
    let opened = pages.open(&[&bound, &other], &token).expect("an issued token opens");
    assert_eq!(opened.as_deref(), Some(last.as_str()));
    if bound != other {
        assert!(pages.open(&[&other, &bound], &token).is_err(), "a token of another query opens");
    }
    let mut bytes = token.clone().into_bytes();
    for (at, by) in changes {
        let at = at % bytes.len();
        bytes[at] = bytes[at].wrapping_add(by);
    }
    if let Ok(changed) = String::from_utf8(bytes)
        && changed != token
        && !changed.is_empty()
    {
        assert!(pages.open(&[&bound, &other], &changed).is_err(), "a changed token opens");
    }
});
