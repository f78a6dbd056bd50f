//! Words to term hashes.

use rust_stemmers::Stemmer;

use crate::retrieve::{Language, terms::unaccented, words::Word};

/// Makes terms of words, by the stems of one language.
pub(super) struct Stem {
    stemmer: Option<Stemmer>,
}

impl Stem {
    /// The stems of `language`; words stay whole where it has none.
    pub(super) fn new(language: Language) -> Self {
        Self { stemmer: language.stemmer() }
    }

    /// The hash of a word's stem, accents aside.
    pub(super) fn hash(&self, word: Word<'_>) -> u64 {
        let Some(stemmer) = self.stemmer.as_ref().filter(|_| !word.pair) else {
            return hash(word.text);
        };
        let stem = stemmer.stem(word.text);
        if stem.is_ascii() { hash(&stem) } else { hash(&unaccented(&stem)) }
    }
}

/// FNV-1a over 64 bits (Fowler, Noll and Vo), its bits mixed once more by the finaliser of
/// MurmurHash3, so that tables may use any of them. Part of the derived rows: it may not change
/// without a new analysis version.
pub(super) fn hash(term: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in term.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}
