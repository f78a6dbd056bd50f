//! Languages: their codes, their scripts, and how their words are stemmed.

use serde::{Deserialize, Serialize};
use snowball_stemmers_rs::{Algorithm, Stemmer};
use whatlang::Lang;

use crate::retrieve::script::Script;

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
    /// Armenian.
    Armenian,
    /// Basque.
    Basque,
    /// Burmese.
    Burmese,
    /// Catalan.
    Catalan,
    /// Czech.
    Czech,
    /// Esperanto.
    Esperanto,
    /// Estonian.
    Estonian,
    /// Hebrew.
    Hebrew,
    /// Hindi.
    Hindi,
    /// Indonesian.
    Indonesian,
    /// Irish.
    Irish,
    /// Khmer.
    Khmer,
    /// Lao.
    Lao,
    /// Lithuanian.
    Lithuanian,
    /// Nepali.
    Nepali,
    /// Persian.
    Persian,
    /// Polish.
    Polish,
    /// Serbian.
    Serbian,
    /// Sotho.
    Sotho,
    /// Ukrainian.
    Ukrainian,
    /// Vietnamese.
    Vietnamese,
    /// Yiddish.
    Yiddish,
}

/// What analysis knows of a language.
struct Known {
    code: &'static str,
    language: Language,
    /// What statistics of letters take for it; none: they are not asked about it.
    detected: Option<Lang>,
    stems: Option<Algorithm>,
    script: Script,
}

const fn known(
    code: &'static str,
    language: Language,
    detected: Option<Lang>,
    stems: Option<Algorithm>,
    script: Script,
) -> Known {
    Known { code, language, detected, stems, script }
}

impl Language {
    /// How many languages there are.
    pub(super) const COUNT: usize = Self::Yiddish as usize + 1;

    /// All but [`Language::Other`]. Statistics are asked about languages of the same script only;
    /// they are not asked about those that they would find in the texts of greater ones.
    const ALL: [Known; Self::COUNT - 1] = {
        use Script::{
            Arabic, Armenian, Burmese, Cyrillic, Devanagari, Greek, Han, Hangul, Hebrew, Kana,
            Khmer, Lao, Latin, Tamil, Thai,
        };
        [
            known("en", Self::English, Some(Lang::Eng), Some(Algorithm::English), Latin),
            known("de", Self::German, Some(Lang::Deu), Some(Algorithm::German), Latin),
            known("fr", Self::French, Some(Lang::Fra), Some(Algorithm::French), Latin),
            known("es", Self::Spanish, Some(Lang::Spa), Some(Algorithm::Spanish), Latin),
            known("it", Self::Italian, Some(Lang::Ita), Some(Algorithm::Italian), Latin),
            known("pt", Self::Portuguese, Some(Lang::Por), Some(Algorithm::Portuguese), Latin),
            known("nl", Self::Dutch, Some(Lang::Nld), Some(Algorithm::Dutch), Latin),
            known("tr", Self::Turkish, Some(Lang::Tur), Some(Algorithm::Turkish), Latin),
            known("sv", Self::Swedish, Some(Lang::Swe), Some(Algorithm::Swedish), Latin),
            known("da", Self::Danish, Some(Lang::Dan), Some(Algorithm::Danish), Latin),
            known("no", Self::Norwegian, Some(Lang::Nob), Some(Algorithm::Norwegian), Latin),
            known("fi", Self::Finnish, Some(Lang::Fin), Some(Algorithm::Finnish), Latin),
            known("hu", Self::Hungarian, Some(Lang::Hun), Some(Algorithm::Hungarian), Latin),
            known("ro", Self::Romanian, Some(Lang::Ron), Some(Algorithm::Romanian), Latin),
            known("ru", Self::Russian, Some(Lang::Rus), Some(Algorithm::Russian), Cyrillic),
            known("ar", Self::Arabic, Some(Lang::Ara), Some(Algorithm::Arabic), Arabic),
            known("el", Self::Greek, Some(Lang::Ell), Some(Algorithm::Greek), Greek),
            known("ta", Self::Tamil, Some(Lang::Tam), Some(Algorithm::Tamil), Tamil),
            known("ja", Self::Japanese, Some(Lang::Jpn), None, Kana),
            known("zh", Self::Chinese, Some(Lang::Cmn), None, Han),
            known("ko", Self::Korean, Some(Lang::Kor), None, Hangul),
            known("th", Self::Thai, Some(Lang::Tha), None, Thai),
            known("hy", Self::Armenian, Some(Lang::Hye), Some(Algorithm::Armenian), Armenian),
            known("eu", Self::Basque, None, Some(Algorithm::Basque), Latin),
            known("my", Self::Burmese, Some(Lang::Mya), None, Burmese),
            known("ca", Self::Catalan, Some(Lang::Cat), Some(Algorithm::Catalan), Latin),
            known("cs", Self::Czech, Some(Lang::Ces), Some(Algorithm::Czech), Latin),
            known("eo", Self::Esperanto, None, Some(Algorithm::Esperanto), Latin),
            known("et", Self::Estonian, Some(Lang::Est), Some(Algorithm::Estonian), Latin),
            known("he", Self::Hebrew, Some(Lang::Heb), None, Hebrew),
            known("hi", Self::Hindi, Some(Lang::Hin), Some(Algorithm::Hindi), Devanagari),
            known("id", Self::Indonesian, Some(Lang::Ind), Some(Algorithm::Indonesian), Latin),
            known("ga", Self::Irish, None, Some(Algorithm::Irish), Latin),
            known("km", Self::Khmer, Some(Lang::Khm), None, Khmer),
            known("lo", Self::Lao, None, None, Lao),
            known("lt", Self::Lithuanian, Some(Lang::Lit), Some(Algorithm::Lithuanian), Latin),
            known("ne", Self::Nepali, Some(Lang::Nep), Some(Algorithm::Nepali), Devanagari),
            known("fa", Self::Persian, Some(Lang::Pes), Some(Algorithm::Persian), Arabic),
            known("pl", Self::Polish, Some(Lang::Pol), Some(Algorithm::Polish), Latin),
            known("sr", Self::Serbian, Some(Lang::Srp), Some(Algorithm::Serbian), Cyrillic),
            known("st", Self::Sotho, None, Some(Algorithm::Sesotho), Latin),
            known("uk", Self::Ukrainian, Some(Lang::Ukr), Some(Algorithm::Ukrainian), Cyrillic),
            known("vi", Self::Vietnamese, Some(Lang::Vie), None, Latin),
            known("yi", Self::Yiddish, Some(Lang::Yid), Some(Algorithm::Yiddish), Hebrew),
        ]
    };

    fn known(self) -> Option<&'static Known> {
        const ALL: &[Known] = &Language::ALL;
        ALL.iter().find(|known| known.language == self)
    }

    /// Its ISO 639-1 code; empty for [`Language::Other`].
    pub fn code(self) -> &'static str {
        self.known().map_or("", |known| known.code)
    }

    /// Its number, for rows that keep numbers only: its place in the order.
    pub fn number(self) -> u64 {
        self as u64
    }

    /// The language of that number; [`Language::Other`] for one that is none's.
    pub fn by_number(number: u64) -> Self {
        let known = Self::ALL.iter().find(|known| known.language.number() == number);
        known.map_or(Self::Other, |known| known.language)
    }

    /// Reads an ISO 639-1 code, lower case, a region after `-` ignored; none for the empty text,
    /// [`Language::Other`] for a code that analysis knows nothing about.
    pub fn parse(code: &str) -> Option<Self> {
        let code = code.split('-').next().filter(|code| !code.is_empty())?;
        // Norwegian by its older name's code or by one of its two written forms.
        let code = if matches!(code, "nb" | "nn") { "no" } else { code };
        let known = Self::ALL.iter().find(|known| known.code == code);
        Some(known.map_or(Self::Other, |known| known.language))
    }

    /// The language that statistics of letters mean, of those that analysis knows something about.
    pub(super) fn detected_as(lang: Lang) -> Option<Self> {
        let found = Self::ALL.iter().find(|known| known.detected == Some(lang));
        found.map(|known| known.language)
    }

    /// What statistics of letters may find in a text of this script.
    pub(super) fn detectable(script: Script) -> Vec<Lang> {
        let of_script = Self::ALL.iter().filter(|known| known.script == script);
        of_script.filter_map(|known| known.detected).collect()
    }

    /// The script that it is written in; none for [`Language::Other`].
    pub(super) fn script(self) -> Option<Script> {
        self.known().map(|known| known.script)
    }

    /// Whether words are not parted by spaces, or carry endings that no stemmer knows, so that
    /// neighbouring characters are indexed.
    pub(super) fn is_spaceless(self) -> bool {
        self.script().is_some_and(Script::is_spaceless)
    }

    /// The Snowball stemmer, or none when the language has none.
    pub(super) fn stemmer(self) -> Option<Stemmer> {
        Some(Stemmer::create(self.known()?.stems?))
    }
}
