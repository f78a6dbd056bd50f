//! How a term of a collection is written in the files: as text, since only text has counts there.
//! The bytes of the collection and of the term's hash, seven bits a letter, so that the terms of a
//! collection lie together and are nobody else's.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use crate::types::Incarnation;

/// The name of the tokenizer in the schema.
pub(super) const TOKENIZER: &str = "hashes";

/// The letters of a term: 16 bytes and 8 bytes of 8 bits, at 7 bits a letter.
pub(super) const LETTERS: usize = 192_usize.div_ceil(7);

/// Appends a term of a collection.
pub(super) fn write(collection: Incarnation, hash: u64, to: &mut String) {
    let (mut bits, mut held) = (0u16, 0u32);
    for byte in collection.0.into_iter().chain(hash.to_be_bytes()) {
        bits = (bits << 8) | u16::from(byte);
        held += 8;
        while held >= 7 {
            held -= 7;
            to.push(letter(bits >> held));
        }
    }
    to.push(letter(bits << (7 - held)));
}

fn letter(bits: u16) -> char {
    // Seven bits are a letter of ASCII.
    char::from((bits & 0x7f) as u8)
}

/// Cuts a text into terms of [`LETTERS`] letters each.
#[derive(Clone, Default)]
pub(super) struct Terms {
    token: Token,
}

/// The terms of one text.
pub(super) struct TermStream<'a> {
    rest: &'a str,
    token: &'a mut Token,
}

impl Tokenizer for Terms {
    type TokenStream<'a> = TermStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> TermStream<'a> {
        self.token.reset();
        TermStream { rest: text, token: &mut self.token }
    }
}

impl TokenStream for TermStream<'_> {
    fn advance(&mut self) -> bool {
        let Some((term, rest)) = self.rest.split_at_checked(LETTERS) else { return false };
        self.rest = rest;
        self.token.text.clear();
        self.token.text.push_str(term);
        self.token.position = self.token.position.wrapping_add(1);
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}
