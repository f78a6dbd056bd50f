//! What an upload, a whole document and a deletion do to a tenant's documents. Pure.
//! In: the request, the rows that were read with their revisions, `now`. Out: a batch with its
//! preconditions, and the answer.
//! Invariant: rows of a content are written only while its upload or its document is there, so that
//! nothing that was forgotten comes back; a document changes in one commit.

mod delete;
mod done;
mod upload;

pub use delete::{ForgottenLife, plan_delete_collection, plan_delete_document, plan_forget_life};
pub use done::{Whole, plan_chunks, plan_done, plan_pending, plan_unchanged, plan_vectors};
pub use upload::{
    DOCUMENT_BYTES_MAX, PARTS_MAX, PartRefused, Spot, plan_give_up, plan_part, plan_start,
};

#[cfg(test)]
mod tests;
