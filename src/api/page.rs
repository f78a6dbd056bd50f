//! Page tokens: where the next page begins, bound to the tenant, the list and its query.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::{Failure, Reason};

const TAG_BYTES: usize = 16;
/// The longest token that is looked at: the longest key with its tag, in base64.
pub const TOKEN_BYTES_MAX: usize = 1_024;

/// Makes and checks page tokens. A token is the last key of the page before, with a keyed hash over
/// it and everything that it is bound to.
#[derive(Clone)]
pub struct PageTokens {
    secret: [u8; 32],
}

impl PageTokens {
    /// Tokens under a key that is derived from the server's secret.
    pub fn new(server_secret: &[u8; 32]) -> Self {
        Self { secret: blake3::derive_key("keepsake 1 page tokens", server_secret) }
    }

    /// The token for the page after `last`; empty when there is none.
    pub fn issue(&self, bound_to: &[&str], last: Option<&str>) -> String {
        let Some(last) = last else { return String::new() };
        let mut bytes = self.tag(bound_to, last.as_bytes()).to_vec();
        bytes.extend_from_slice(last.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Where the page begins: after this key; `None`: at the start.
    ///
    /// # Errors
    /// `PAGE_TOKEN_INVALID` for a token of another tenant, list or query, or no token at all.
    pub fn open(&self, bound_to: &[&str], token: &str) -> Result<Option<String>, Failure> {
        if token.is_empty() {
            return Ok(None);
        }
        self.checked(bound_to, token).map(Some).ok_or_else(|| {
            Failure::new(Reason::PageTokenInvalid, "the page token is not one of this query")
                .at("page_token")
        })
    }

    fn checked(&self, bound_to: &[&str], token: &str) -> Option<String> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (tag, last) = bytes.split_at_checked(TAG_BYTES)?;
        // The comparison is not constant in time: a guessed tag gives no access to anything.
        (tag == self.tag(bound_to, last)).then(|| String::from_utf8(last.to_vec()).ok())?
    }

    fn tag(&self, bound_to: &[&str], last: &[u8]) -> [u8; TAG_BYTES] {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        for part in bound_to {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.update(last);
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&hasher.finalize().as_bytes()[..TAG_BYTES]);
        tag
    }
}
