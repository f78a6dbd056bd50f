//! Letters that are written in several ways, made one.

use unicode_normalization::char::{decompose_canonical, is_combining_mark};

/// Writes `word` case-folded to `folded`: lower case, the letters that lower case leaves apart,
/// digits as 0 to 9; without commas, and without marks that are written or left out as one likes.
pub(super) fn fold(word: &str, folded: &mut String) {
    folded.clear();
    for c in word.chars() {
        match c {
            ',' => {}
            _ if c.is_ascii() => folded.push(c.to_ascii_lowercase()),
            'ß' | 'ẞ' => folded.push_str("ss"),
            'ς' => folded.push('σ'),
            'İ' => folded.push('i'),
            'ё' | 'Ё' => folded.push('е'),
            _ if is_optional(c) => {}
            _ => match digit(c) {
                Some(digit) => folded.push(digit),
                None => folded.extend(c.to_lowercase()),
            },
        }
    }
}

/// Whether a character is seldom written, or not seen: the points of Hebrew, the vowels of Arabic
/// and its tatweel, joiners and hyphens that show at the ends of lines only.
fn is_optional(c: char) -> bool {
    matches!(c,
        '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}'
        | '\u{5c7}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{ad}'
        | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{fe0e}' | '\u{fe0f}')
}

/// The digit that a decimal digit of another script stands for.
pub(super) fn digit(c: char) -> Option<char> {
    const ZEROS: [u32; 16] = [
        0x660, 0x6f0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xe50, 0xed0,
        0xf20, 0x1040, 0x17e0,
    ];
    let c = u32::from(c);
    let zero = ZEROS.into_iter().find(|zero| (*zero..zero + 10).contains(&c))?;
    char::from_digit(c - zero, 10)
}

/// A folded word without accents: its letters as those that type without them write it.
///
/// Latin and Greek letters lose every mark; Cyrillic ones those of stress; Arabic ones that are
/// often confused become one; the nukta of Devanagari goes.
pub(super) fn unaccented(word: &str) -> String {
    let mut bare = String::with_capacity(word.len());
    for c in word.chars() {
        match c {
            'ø' => bare.push('o'),
            'æ' => bare.push_str("ae"),
            'œ' => bare.push_str("oe"),
            'ł' => bare.push('l'),
            'đ' | 'ð' => bare.push('d'),
            'þ' => bare.push_str("th"),
            'ħ' => bare.push('h'),
            'ı' => bare.push('i'),
            'أ' | 'إ' | 'آ' | 'ٱ' => bare.push('ا'),
            'ى' | 'ی' | 'ئ' => bare.push('ي'),
            'ؤ' => bare.push('و'),
            'ة' | 'ہ' => bare.push('ه'),
            'ک' => bare.push('ك'),
            '\u{300}'..='\u{36f}' | '\u{93c}' => {}
            '\u{c0}'..='\u{24f}' | '\u{370}'..='\u{3ff}' | '\u{1e00}'..='\u{1fff}' => {
                decompose_canonical(c, |part| {
                    if !is_combining_mark(part) {
                        bare.push(part);
                    }
                })
            }
            _ => bare.push(c),
        }
    }
    bare
}
