//! Encodings that several parts of the kit need.

pub(crate) mod base64;
pub(crate) mod percent;
