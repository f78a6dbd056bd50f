//! The parts of a store on disk, and the whole over engines that fail.

mod faults;
mod parts;
