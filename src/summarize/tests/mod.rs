//! What is planned, and what summaries say.

mod extraction;
mod histories;
mod planning;
