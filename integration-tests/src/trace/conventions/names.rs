//! The names of attributes by version.

use super::{Version, table};

impl Version {
    /// Returns the name that an attribute of version 1.45 has in this version.
    pub(super) fn name(self, key: &'static str) -> &'static str {
        let older = table::RENAMED.iter().find(|(current, _)| self == Self::V1_44 && *current == key);
        older.map_or(key, |(_, older)| older)
    }

    /// Returns the replacement of a name that this version deprecates; empty if it has none.
    pub(super) fn replacement(self, key: &str) -> Option<(&'static str, &'static str)> {
        let renamed = table::RENAMED.iter().find(|(_, older)| self != Self::V1_44 && *older == key);
        if let Some((current, older)) = renamed {
            return Some((older, current));
        }
        let (older, current) = table::DEPRECATED.iter().find(|(older, _)| *older == key)?;
        Some((older, self.name(current)))
    }

    /// Returns the type of an attribute; `None` if the checked conventions do not define it.
    pub(super) fn type_of(self, key: &str) -> Option<&'static str> {
        let older = table::RENAMED.iter().find(|(_, older)| self == Self::V1_44 && *older == key);
        table::type_of(older.map_or(key, |(current, _)| current))
    }
}
