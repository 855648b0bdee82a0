//! Encodings that several parts of the kit need.

pub(crate) mod base64;
#[cfg(feature = "schema")]
pub(crate) mod glob;
pub(crate) mod percent;
