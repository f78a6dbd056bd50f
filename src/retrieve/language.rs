//! Languages: which one a text is in, and how its words are stemmed.

use rust_stemmers::{Algorithm, Stemmer};
use serde::{Deserialize, Serialize};
use whatlang::{Detector, Info, Lang};

/// Detection reads at most this many bytes of a text: what follows seldom changes the verdict.
const DETECTED_BYTES_MAX: usize = 400;

/// Texts with fewer letters than this are not trusted to show their language.
const DETECTED_LETTERS_MIN: usize = 24;

/// A language that analysis knows something about: stems, rule words or both.
///
/// The order is part of the derived rows: new languages go to the end.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Language {
    /// English, and what a text in Latin letters is taken for when nothing better is known.
    #[default]
    English,
    /// German.
    German,
    /// French.
    French,
    /// Spanish.
    Spanish,
    /// Italian.
    Italian,
    /// Portuguese.
    Portuguese,
    /// Dutch.
    Dutch,
    /// Turkish.
    Turkish,
    /// Swedish.
    Swedish,
    /// Danish.
    Danish,
    /// Norwegian.
    Norwegian,
    /// Finnish.
    Finnish,
    /// Hungarian.
    Hungarian,
    /// Romanian.
    Romanian,
    /// Russian.
    Russian,
    /// Arabic.
    Arabic,
    /// Greek.
    Greek,
    /// Tamil.
    Tamil,
    /// Japanese.
    Japanese,
    /// Chinese.
    Chinese,
    /// Korean.
    Korean,
    /// Thai.
    Thai,
    /// Any other: words as they are written.
    Other,
}

impl Language {
    /// How many languages there are.
    pub(super) const COUNT: usize = Self::Other as usize + 1;

    const CODES: [(&'static str, Self, Option<Lang>); Self::COUNT - 1] = [
        ("en", Self::English, Some(Lang::Eng)),
        ("de", Self::German, Some(Lang::Deu)),
        ("fr", Self::French, Some(Lang::Fra)),
        ("es", Self::Spanish, Some(Lang::Spa)),
        ("it", Self::Italian, Some(Lang::Ita)),
        ("pt", Self::Portuguese, Some(Lang::Por)),
        ("nl", Self::Dutch, Some(Lang::Nld)),
        ("tr", Self::Turkish, Some(Lang::Tur)),
        ("sv", Self::Swedish, Some(Lang::Swe)),
        ("da", Self::Danish, Some(Lang::Dan)),
        ("no", Self::Norwegian, Some(Lang::Nob)),
        ("fi", Self::Finnish, Some(Lang::Fin)),
        ("hu", Self::Hungarian, Some(Lang::Hun)),
        ("ro", Self::Romanian, Some(Lang::Ron)),
        ("ru", Self::Russian, Some(Lang::Rus)),
        ("ar", Self::Arabic, Some(Lang::Ara)),
        ("el", Self::Greek, Some(Lang::Ell)),
        ("ta", Self::Tamil, Some(Lang::Tam)),
        ("ja", Self::Japanese, Some(Lang::Jpn)),
        ("zh", Self::Chinese, Some(Lang::Cmn)),
        ("ko", Self::Korean, Some(Lang::Kor)),
        ("th", Self::Thai, Some(Lang::Tha)),
    ];

    /// Its ISO 639-1 code; empty for [`Language::Other`].
    pub fn code(self) -> &'static str {
        Self::CODES.iter().find(|(_, known, _)| *known == self).map_or("", |(code, ..)| code)
    }

    /// Its number, for rows that keep numbers only: its place in the order.
    pub fn number(self) -> u64 {
        self as u64
    }

    /// The language of that number; [`Language::Other`] for one that is none's.
    pub fn by_number(number: u64) -> Self {
        let known = Self::CODES.iter().find(|(_, known, _)| known.number() == number);
        known.map_or(Self::Other, |(_, language, _)| *language)
    }

    /// Reads an ISO 639-1 code, lower case, a region after `-` ignored; none for the empty text,
    /// [`Language::Other`] for a code that analysis knows nothing about.
    pub fn parse(code: &str) -> Option<Self> {
        let code = code.split('-').next().filter(|code| !code.is_empty())?;
        let known = Self::CODES.iter().find(|(known, ..)| *known == code);
        Some(known.map_or(Self::Other, |(_, language, _)| *language))
    }

    /// The language of `text`, by its script or by a confident guess over its first 400 bytes;
    /// none when the text is short or could be several.
    pub fn detect(text: &str) -> Option<Self> {
        let mut end = text.len().min(DETECTED_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let head = &text[..end];
        let telling = Self::by_script(head);
        if telling.is_some() {
            return telling;
        }
        if head.chars().filter(|c| c.is_alphabetic()).count() < DETECTED_LETTERS_MIN {
            return None;
        }
        if is_plain_english(head) {
            return Some(Self::English);
        }
        let languages = Self::CODES.iter().filter_map(|(.., lang)| *lang).collect();
        let info = Detector::with_allowlist(languages).detect(head).filter(Info::is_reliable)?;
        Self::CODES.iter().find(|(.., lang)| *lang == Some(info.lang())).map(|(_, known, _)| *known)
    }

    /// Whether words are not parted by spaces, so that character pairs are indexed.
    pub(super) fn is_spaceless(self) -> bool {
        matches!(self, Self::Japanese | Self::Chinese | Self::Korean | Self::Thai)
    }

    /// The language whose script a fifth of the letters are in, where the script says enough.
    pub(super) fn by_script(text: &str) -> Option<Self> {
        if text.is_ascii() {
            return None;
        }
        let mut letters = 0;
        let mut counts = [0usize; 8];
        for c in text.chars().filter(|c| c.is_alphabetic()) {
            letters += 1;
            match c {
                '\u{3040}'..='\u{30ff}' => counts[0] += 1,
                '\u{3400}'..='\u{9fff}' => counts[1] += 1,
                '\u{ac00}'..='\u{d7a3}' => counts[2] += 1,
                '\u{0e00}'..='\u{0e7f}' => counts[3] += 1,
                '\u{0400}'..='\u{04ff}' => counts[4] += 1,
                '\u{0600}'..='\u{06ff}' => counts[5] += 1,
                '\u{0370}'..='\u{03ff}' => counts[6] += 1,
                '\u{0b80}'..='\u{0bff}' => counts[7] += 1,
                _ => {}
            }
        }
        let [kana, han, hangul, thai, cyrillic, arabic, greek, tamil] = counts;
        let found = [
            (if kana > 0 { kana + han } else { 0 }, Self::Japanese),
            (han, Self::Chinese),
            (hangul, Self::Korean),
            (thai, Self::Thai),
            (cyrillic, Self::Russian),
            (arabic, Self::Arabic),
            (greek, Self::Greek),
            (tamil, Self::Tamil),
        ];
        let telling = found.iter().find(|(count, _)| *count > 0 && count * 5 >= letters);
        telling.map(|(_, language)| *language)
    }

    /// The Snowball stemmer, or none when the language has none.
    pub(super) fn stemmer(self) -> Option<Stemmer> {
        let algorithm = match self {
            Self::English => Algorithm::English,
            Self::German => Algorithm::German,
            Self::French => Algorithm::French,
            Self::Spanish => Algorithm::Spanish,
            Self::Italian => Algorithm::Italian,
            Self::Portuguese => Algorithm::Portuguese,
            Self::Dutch => Algorithm::Dutch,
            Self::Turkish => Algorithm::Turkish,
            Self::Swedish => Algorithm::Swedish,
            Self::Danish => Algorithm::Danish,
            Self::Norwegian => Algorithm::Norwegian,
            Self::Finnish => Algorithm::Finnish,
            Self::Hungarian => Algorithm::Hungarian,
            Self::Romanian => Algorithm::Romanian,
            Self::Russian => Algorithm::Russian,
            Self::Arabic => Algorithm::Arabic,
            Self::Greek => Algorithm::Greek,
            Self::Tamil => Algorithm::Tamil,
            Self::Japanese | Self::Chinese | Self::Korean | Self::Thai | Self::Other => {
                return None;
            }
        };
        Some(Stemmer::create(algorithm))
    }
}

/// Whether an ASCII text has so many of the commonest English words that detection, which costs
/// a hundred times as much, would say the same.
fn is_plain_english(text: &str) -> bool {
    const COMMON: [&str; 16] = [
        "the", "and", "of", "to", "is", "i", "you", "it", "that", "for", "my", "with", "was",
        "have", "this", "are",
    ];
    if !text.is_ascii() {
        return false;
    }
    let (mut words, mut common) = (0, 0);
    for word in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        words += 1;
        common += usize::from(COMMON.iter().any(|known| word.eq_ignore_ascii_case(known)));
    }
    common >= 2 && common * 8 >= words
}
