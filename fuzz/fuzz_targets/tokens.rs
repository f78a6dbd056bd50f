//! Token counts: of any text, by every tokenizer; lines add up where the tokenizer says so.
#![no_main]

use std::sync::LazyLock;

use keepsake::tokens::Tokenizer;
use libfuzzer_sys::fuzz_target;

static TOKENIZERS: LazyLock<Vec<Tokenizer>> =
    LazyLock::new(|| Tokenizer::builtin_names().filter_map(Tokenizer::builtin).collect());

fuzz_target!(|input: (&str, &str)| {
    let (above, below) = input;
    for tokenizer in &*TOKENIZERS {
        let counts = (tokenizer.count(above), tokenizer.count(below));
        assert!(counts.0 as usize <= 2 * above.len() + 2, "{}: {counts:?}", tokenizer.key());
        let joins = below.starts_with(|first: char| first.is_whitespace() || first == '/');
        if tokenizer.lines_add_up() && !joins && !below.is_empty() {
            let whole = tokenizer.count(&format!("{above}\n{below}"));
            let parts = tokenizer.count(&format!("{above}\n")) + counts.1;
            assert_eq!(whole, parts, "{}: {above:?} over {below:?}", tokenizer.key());
        }
    }
});
