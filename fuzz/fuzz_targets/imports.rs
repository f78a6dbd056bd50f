//! Files to import: read or refused, and twice the same.
#![no_main]

use keepsake::cli::parse_import;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (first, second) = (parse_import(text, "file"), parse_import(text, "file"));
    assert_eq!(format!("{:?}", first.sessions), format!("{:?}", second.sessions));
});
