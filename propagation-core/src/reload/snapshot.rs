//! The bytes of a policy file and of the keys that it refers to.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    Policy,
    policy::{
        PolicyFileError, PolicyFileErrorKind,
        file::{MAX_KEY_BYTES, MAX_POLICY_BYTES, Source, Version, key_files, read_file, text_of},
    },
};

/// One read of a policy file and of its pseudonym keys.
pub(super) struct Snapshot {
    policy: Source,
    keys: Vec<(PathBuf, Result<Source, String>)>,
}

/// The versions of the files of a snapshot.
#[derive(PartialEq, Eq)]
pub(super) struct Versions(Vec<Option<Version>>);

impl Snapshot {
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let policy = read_file(path, MAX_POLICY_BYTES)?;
        let names = text_of(&policy.bytes).map(key_files).unwrap_or_default();
        let key = |path: PathBuf| {
            let source = read_file(&path, MAX_KEY_BYTES).map_err(|error| error.to_string());
            (path, source)
        };
        Ok(Self { policy, keys: names.into_iter().map(key).collect() })
    }

    /// Compiles the policy, with the keys that were read together with it.
    pub(super) fn policy(&self, path: &Path) -> Result<Policy, PolicyFileError> {
        let read_key = |path: &Path| {
            let known = self.keys.iter().find(|(known, _)| known == path);
            let (_, source) = known.ok_or_else(|| "not read yet".to_owned())?;
            source.as_ref().map(|source| source.bytes.clone()).map_err(Clone::clone)
        };
        Policy::from_bytes(&self.policy.bytes, &read_key).map_err(|error| error.in_file(path))
    }

    /// Whether all bytes are the same. The versions may differ.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let bytes = |source: &Result<Source, String>| source.as_ref().ok().map(|source| source.bytes.clone());
        let key = |(path, source): &(PathBuf, Result<Source, String>)| (path.clone(), bytes(source));
        self.policy.bytes == other.policy.bytes && self.keys.iter().map(key).eq(other.keys.iter().map(key))
    }

    /// Returns an error if a file is only the beginning of its earlier content.
    pub(super) fn check_not_cut(&self, before: &Self, path: &Path) -> Result<(), PolicyFileError> {
        if is_cut(&self.policy.bytes, &before.policy.bytes) {
            let message = "the file is the beginning of the one in force, as if it had been cut while it was written; \
                           if that is intended, add a comment at its end, or force the reload";
            return Err(PolicyFileError::new(PolicyFileErrorKind::Truncated, message).in_file(path));
        }
        for (key, source) in &self.keys {
            let old = before.keys.iter().find(|(known, _)| known == key).and_then(|(_, source)| source.as_ref().ok());
            if let (Ok(source), Some(old)) = (source, old)
                && is_cut(&source.bytes, &old.bytes)
            {
                let message =
                    "the key is the beginning of the one in force, as if it had been cut while it was written";
                return Err(PolicyFileError::new(PolicyFileErrorKind::Truncated, message).in_file(key));
            }
        }
        Ok(())
    }

    /// Returns the versions of the files, unless one of them can change without a change of its version.
    pub(super) fn versions(&self) -> Option<Versions> {
        let keys = self.keys.iter().map(|(_, source)| source.as_ref().ok().map(|source| source.version.clone()));
        let versions: Vec<_> = std::iter::once(Some(self.policy.version.clone())).chain(keys).collect();
        (!versions.iter().flatten().any(Version::is_recent)).then_some(Versions(versions))
    }

    /// Returns the versions that the files of this snapshot have now.
    pub(super) fn versions_now(&self, path: &Path) -> Versions {
        let keys = self.keys.iter().map(|(path, _)| path.as_path());
        Versions(std::iter::once(path).chain(keys).map(|path| Version::of(path).ok()).collect())
    }
}

/// Whether a text is a proper prefix of another, apart from space at their ends, a byte-order mark, and the kind of line ends.
fn is_cut(bytes: &[u8], before: &[u8]) -> bool {
    let text = |bytes: &'_ [u8]| -> Vec<u8> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_end();
        bytes.iter().copied().filter(|byte| *byte != b'\r').collect()
    };
    let (bytes, before) = (text(bytes), text(before));
    bytes.len() < before.len() && before.starts_with(&bytes)
}
