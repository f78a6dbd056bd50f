//! The binary `keepsake`; all it does stands in the library.

fn main() {}
