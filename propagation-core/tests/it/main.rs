//! The public API, as a user sees it.

mod bridges;
mod carriers;
mod current;
mod policy;
mod wire;
