//! Scripts: which one a character is of, and what that says of the language.

use crate::retrieve::Language;

/// A script that analysis tells from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    Latin,
    Greek,
    Cyrillic,
    Armenian,
    Hebrew,
    Arabic,
    Devanagari,
    Tamil,
    Thai,
    Lao,
    Burmese,
    Khmer,
    Hangul,
    /// Hiragana; and katakana, when languages are told by it.
    Kana,
    Han,
}

impl Script {
    const COUNT: usize = Self::Han as usize + 1;

    /// The script of a letter; none when it is of another, or of none.
    pub(super) fn of(c: char) -> Option<Self> {
        let script = match c {
            'a'..='z'
            | 'A'..='Z'
            | '\u{aa}'
            | '\u{ba}'
            | '\u{c0}'..='\u{24f}'
            | '\u{1e00}'..='\u{1eff}' => Self::Latin,
            '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => Self::Greek,
            '\u{400}'..='\u{52f}' => Self::Cyrillic,
            '\u{530}'..='\u{58f}' => Self::Armenian,
            '\u{590}'..='\u{5ff}' => Self::Hebrew,
            '\u{600}'..='\u{6ff}' | '\u{750}'..='\u{77f}' => Self::Arabic,
            '\u{900}'..='\u{97f}' => Self::Devanagari,
            '\u{b80}'..='\u{bff}' => Self::Tamil,
            '\u{e00}'..='\u{e7f}' => Self::Thai,
            '\u{e80}'..='\u{eff}' => Self::Lao,
            '\u{1000}'..='\u{109f}' | '\u{aa60}'..='\u{aa7f}' => Self::Burmese,
            '\u{1780}'..='\u{17ff}' => Self::Khmer,
            '\u{ac00}'..='\u{d7a3}' => Self::Hangul,
            '\u{3041}'..='\u{30ff}' => Self::Kana,
            '々' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' => {
                Self::Han
            }
            '\u{20000}'..='\u{3ffff}' => Self::Han,
            _ => return None,
        };
        Some(script)
    }

    /// Whether neighbouring characters are indexed in place of words.
    pub(super) fn is_spaceless(self) -> bool {
        match self {
            Self::Latin
            | Self::Greek
            | Self::Cyrillic
            | Self::Armenian
            | Self::Hebrew
            | Self::Arabic
            | Self::Devanagari
            | Self::Tamil => false,
            Self::Thai
            | Self::Lao
            | Self::Burmese
            | Self::Khmer
            | Self::Hangul
            | Self::Kana
            | Self::Han => true,
        }
    }

    /// The language whose stems a word of this script gets in a text of a language that is written
    /// in another one: a name or a quotation.
    pub(super) fn guest(self) -> Option<Language> {
        match self {
            Self::Latin => Some(Language::English),
            Self::Greek => Some(Language::Greek),
            Self::Cyrillic => Some(Language::Russian),
            Self::Armenian => Some(Language::Armenian),
            Self::Arabic => Some(Language::Arabic),
            Self::Devanagari => Some(Language::Hindi),
            Self::Tamil => Some(Language::Tamil),
            Self::Hebrew
            | Self::Thai
            | Self::Lao
            | Self::Burmese
            | Self::Khmer
            | Self::Hangul
            | Self::Kana
            | Self::Han => None,
        }
    }
}

/// How many letters of a text are of each script, and of what else its language is seen.
pub(super) struct Letters {
    all: usize,
    of: [usize; Script::COUNT],
    /// Letters that Vietnamese alone has.
    vietnamese: usize,
    persian: bool,
    urdu: bool,
    ukrainian: bool,
    serbian: bool,
    /// Letters of Belarusian and Macedonian.
    other_cyrillic: bool,
}

impl Letters {
    pub(super) fn count(text: &str) -> Self {
        let mut letters = Self {
            all: 0,
            of: [0; Script::COUNT],
            vietnamese: 0,
            persian: false,
            urdu: false,
            ukrainian: false,
            serbian: false,
            other_cyrillic: false,
        };
        for c in text.chars().filter(|c| c.is_alphabetic()) {
            letters.all += 1;
            if let Some(script) = Script::of(c) {
                letters.of[script as usize] += 1;
            }
            match c {
                '\u{1ea0}'..='\u{1ef9}' | 'ơ' | 'ư' | 'Ơ' | 'Ư' => letters.vietnamese += 1,
                'پ' | 'چ' | 'ژ' | 'گ' | 'ک' | 'ی' => letters.persian = true,
                'ٹ' | 'ڈ' | 'ڑ' | 'ے' | 'ں' => letters.urdu = true,
                'і' | 'ї' | 'є' | 'ґ' | 'І' | 'Ї' | 'Є' | 'Ґ' => letters.ukrainian = true,
                'ђ' | 'ћ' | 'љ' | 'њ' | 'џ' | 'ј' | 'Ђ' | 'Ћ' | 'Љ' | 'Њ' | 'Џ' | 'Ј' =>
                {
                    letters.serbian = true;
                }
                'ў' | 'Ў' | 'ѓ' | 'ќ' | 'ѕ' | 'Ѓ' | 'Ќ' | 'Ѕ' => {
                    letters.other_cyrillic = true
                }
                _ => {}
            }
        }
        letters
    }

    /// How many there are.
    pub(super) fn all(&self) -> usize {
        self.all
    }

    /// The script that most are of; none when they are of none that is known.
    pub(super) fn most(&self) -> Option<Script> {
        const ALL: [Script; Script::COUNT] = [
            Script::Latin,
            Script::Greek,
            Script::Cyrillic,
            Script::Armenian,
            Script::Hebrew,
            Script::Arabic,
            Script::Devanagari,
            Script::Tamil,
            Script::Thai,
            Script::Lao,
            Script::Burmese,
            Script::Khmer,
            Script::Hangul,
            Script::Kana,
            Script::Han,
        ];
        let most = ALL.into_iter().max_by_key(|script| self.of[*script as usize])?;
        (self.of[most as usize] > 0).then_some(most)
    }

    /// The language whose script a fifth of the letters are in, where the script says enough, or
    /// letters of which show it.
    pub(super) fn language(&self) -> Option<Language> {
        let of = |script: Script| self.of[script as usize];
        let kana = if of(Script::Kana) > 0 { of(Script::Kana) + of(Script::Han) } else { 0 };
        let found = [
            (kana, Language::Japanese),
            (of(Script::Han), Language::Chinese),
            (of(Script::Hangul), Language::Korean),
            (of(Script::Thai), Language::Thai),
            (of(Script::Lao), Language::Lao),
            (of(Script::Burmese), Language::Burmese),
            (of(Script::Khmer), Language::Khmer),
            (of(Script::Cyrillic), self.cyrillic()),
            (of(Script::Arabic), self.arabic()),
            (of(Script::Greek), Language::Greek),
            (of(Script::Tamil), Language::Tamil),
            (of(Script::Hebrew), Language::Hebrew),
            (of(Script::Devanagari), Language::Hindi),
            (of(Script::Armenian), Language::Armenian),
            (self.vietnamese * 2, Language::Vietnamese),
        ];
        let telling = found.iter().find(|(count, _)| *count > 0 && count * 5 >= self.all);
        telling.map(|(_, language)| *language)
    }

    fn cyrillic(&self) -> Language {
        match () {
            () if self.other_cyrillic => Language::Other,
            () if self.ukrainian => Language::Ukrainian,
            () if self.serbian => Language::Serbian,
            () => Language::Russian,
        }
    }

    fn arabic(&self) -> Language {
        match () {
            () if self.urdu => Language::Other,
            () if self.persian => Language::Persian,
            () => Language::Arabic,
        }
    }
}
