//! Maps ids of anyone's alphabet to ids of Keepsake's, so that different ones stay different and
//! a person still recognises them.

use crate::types::ID_BYTES_MAX;

/// The most bytes of an external id and of a value of a label.
pub(super) const EXTERNAL_ID_BYTES_MAX: usize = 256;

/// Hexadecimal digits of the hash that ends an id which would be too long: 120 bits, so that two
/// ids of one tenant never meet by chance.
const HASH_DIGITS: usize = 30;

/// The user of a conversation.
pub fn user_id(conversation: &str) -> String {
    shorten(escape(conversation, "._-"), conversation)
}

/// The session of a conversation: both ids, joined by the first `.` that stands for itself. Without
/// a conversation no `.` stands for itself.
pub fn session_id(conversation: &str, session: &str) -> String {
    let joined = if conversation.is_empty() {
        escape(session, "_-")
    } else {
        format!("{}.{}", escape(conversation, "_-"), escape_rest(session, "._-"))
    };
    shorten(joined, &format!("{conversation}\0{session}"))
}

/// The client's own id of a turn: as it is, or with a hash at its end when it is too long.
pub fn external_id(turn: &str) -> String {
    if turn.len() <= EXTERNAL_ID_BYTES_MAX {
        return turn.to_owned();
    }
    let room = EXTERNAL_ID_BYTES_MAX - HASH_DIGITS - 2;
    format!("{}~~{}", cut(turn, room), digits(turn))
}

/// Letters, digits and `kept` stand for themselves, any other byte is `~` and two digits. What
/// would not begin with a letter or a digit gets `x~` in front, which no escape looks like: a digit
/// follows the `~` of an escape, and never the one of `x~`.
fn escape(text: &str, kept: &str) -> String {
    let escaped = escape_rest(text, kept);
    let plain = escaped.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
    if plain { escaped } else { format!("x~{escaped}") }
}

fn escape_rest(text: &str, kept: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("~{byte:02X}"));
        }
    }
    escaped
}

/// An id that is too long keeps its beginning, then `~~` and a hash of the `original`; a shorter
/// one has no `~~` at that place.
fn shorten(escaped: String, original: &str) -> String {
    if escaped.len() <= ID_BYTES_MAX {
        return escaped;
    }
    let room = ID_BYTES_MAX - HASH_DIGITS - 2;
    format!("{}~~{}", &escaped[..room], digits(original))
}

/// The beginning of a text, of at most `bytes_max` bytes, cut between characters.
pub fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn digits(original: &str) -> String {
    blake3::hash(original.as_bytes()).to_hex()[..HASH_DIGITS].to_owned()
}
