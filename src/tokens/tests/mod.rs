//! What counting promises: counts, tokenizer files, models.

mod counting;
mod files;
mod models;

use crate::tokens::Tokenizer;

fn builtin(name: &str) -> Tokenizer {
    Tokenizer::builtin(name).expect("a name of the table")
}
