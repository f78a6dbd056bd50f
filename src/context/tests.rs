//! What contexts are made of, and what they cost.
