//! When the files of a store hold nothing of what was removed.

/// How the files of a store come to hold nothing of rows that were removed or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erases {
    /// There are no files.
    AtOnce,
    /// When [`super::Store::erase`] is called.
    WhenAsked,
    /// Only in a copy of the folder, when the original is gone.
    ByCopy,
}

/// What came of erasing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Erased {
    /// The files hold nothing of what was removed or replaced before.
    Done,
    /// They do as long as this is there, or in use.
    Held {
        /// What it is.
        by: String,
    },
    /// They do for good: only a copy of the folder does not.
    ByCopy,
}
