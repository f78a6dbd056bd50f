//! What one read asks for.

use bytes::Bytes;

/// The order in which a range gives its rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// From the smallest key on, by their bytes.
    #[default]
    Ascending,
    /// From the greatest key down.
    Descending,
}

/// One part of a read: a key, or a range of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// The row of a key: one, or none.
    Get(Bytes),
    /// The rows from `from` up to, and without, `to`; none when `to` is not after `from`.
    Range {
        /// The first key of the range, whether it has a value or not; empty for the first of all.
        from: Bytes,
        /// The first key after the range; `None` for a range without end.
        to: Option<Bytes>,
        /// The most rows to give, the first ones in `order`; `usize::MAX` for all.
        limit: usize,
        /// The order of the rows.
        order: Order,
    },
}

impl Read {
    /// Asks for the row of one key.
    pub fn get(key: impl Into<Bytes>) -> Self {
        Self::Get(key.into())
    }

    /// Asks for all rows from `from` up to, and without, `to`, ascending.
    pub fn range(from: impl Into<Bytes>, to: impl Into<Bytes>) -> Self {
        let (from, to) = (from.into(), Some(to.into()));
        Self::Range { from, to, limit: usize::MAX, order: Order::Ascending }
    }

    /// Asks for all rows whose key begins with `prefix`, ascending; an empty one means all rows.
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        let from = prefix.into();
        let to = after_prefix(&from);
        Self::Range { from, to, limit: usize::MAX, order: Order::Ascending }
    }

    /// Asks for `rows` rows at most; a get is as it was.
    #[must_use]
    pub fn limit(mut self, rows: usize) -> Self {
        if let Self::Range { limit, .. } = &mut self {
            *limit = rows;
        }
        self
    }

    /// Asks for the greatest keys first; a get is as it was.
    #[must_use]
    pub fn descending(mut self) -> Self {
        if let Self::Range { order, .. } = &mut self {
            *order = Order::Descending;
        }
        self
    }
}

/// Gives the first key after all that begin with `prefix`, or `None` where there can be none.
fn after_prefix(prefix: &[u8]) -> Option<Bytes> {
    let kept = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut after = prefix[..=kept].to_vec();
    after[kept] += 1;
    Some(after.into())
}
