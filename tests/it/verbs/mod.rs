//! The verbs over a store and a clock that a test holds in its hands.

mod audit;
pub mod behind;
pub mod copies;
mod crash;
mod deadline;
mod documents;
mod histories;
mod life;
mod limits;
mod model;
mod rerank;
mod shelves;
mod spaces;
mod summaries;
mod vectors;
mod world;
