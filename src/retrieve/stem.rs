//! Words to term hashes.

use snowball_stemmers_rs::Stemmer;

use crate::retrieve::{Language, fold::unaccented, script::Script, words::Word};

/// Makes terms of words, by the stems of one language; words in the letters of others get those of
/// the language that is at home in them.
pub(super) struct Stem {
    script: Option<Script>,
    own: Option<Stemmer>,
    /// For words in Latin letters.
    latin: Option<Stemmer>,
}

impl Stem {
    /// The stems of `language`; words stay whole where it has none.
    pub(super) fn new(language: Language) -> Self {
        // A language that is not known is taken for one in Latin letters.
        let script = language.script().or(Some(Script::Latin));
        let at_home = if script == Some(Script::Latin) { language } else { Language::English };
        Self { script, own: language.stemmer(), latin: at_home.stemmer() }
    }

    /// Gives the hash of a word's stem, accents aside. Where accents tell a stem apart that lies
    /// behind them, also that of the word as it is written without; where there are no stems, also
    /// that of the word with its accents. So either way of writing finds the other, and the same
    /// way finds it twice.
    pub(super) fn each_hash(&self, word: Word<'_>, each: &mut dyn FnMut(u64)) {
        if word.raw {
            return each(hash(word.text));
        }
        if word.text.is_ascii() {
            return each(match &self.latin {
                Some(stemmer) => hash(&stemmer.stem(word.text)),
                None => hash(word.text),
            });
        }
        let of = word.text.chars().find_map(Script::of);
        let guest = of.and_then(Script::guest).and_then(Language::stemmer);
        let stemmer = match of {
            Some(Script::Latin) => self.latin.as_ref(),
            _ if of == self.script => self.own.as_ref(),
            _ => guest.as_ref(),
        };
        let bare = unaccented(word.text);
        let Some(stemmer) = stemmer else {
            each(hash(&bare));
            if bare != word.text {
                each(hash(word.text));
            }
            return;
        };
        let stem = hash(&unaccented(&stemmer.stem(word.text)));
        each(stem);
        if bare != word.text {
            let other = hash(&unaccented(&stemmer.stem(&bare)));
            if other != stem {
                each(other);
            }
        }
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
