//! Reads the files that configure a policy: bounded, and without ever blocking on them.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read},
    path::Path,
    time::SystemTime,
};

/// The largest policy file.
pub(crate) const MAX_POLICY_BYTES: u64 = 4 << 20;

/// The largest file with a pseudonym key.
pub(crate) const MAX_KEY_BYTES: u64 = 64 << 10;

/// The bytes of a file, and the file's version.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) bytes: Vec<u8>,
    pub(crate) version: Version,
}

/// Distinguishes one version of a file from another without reading it: replaced by `rename`, written in place, or reached through
/// another symbolic link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    length: u64,
    modified: Option<SystemTime>,
    /// Device, inode, and the time at which either changed, in seconds and nanoseconds.
    #[cfg(unix)]
    inode: (u64, u64, i64, i64),
}

#[cfg(feature = "reload")]
impl Version {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|metadata| Self::from(&metadata))
    }

    /// Whether the file may have been written again without a change of its times: they are as coarse as a clock's tick.
    pub(crate) fn is_recent(&self) -> bool {
        const TICK: std::time::Duration = std::time::Duration::from_secs(2);
        self.modified.is_none_or(|modified| modified.elapsed().map_or(true, |age| age < TICK))
    }
}

impl From<&Metadata> for Version {
    fn from(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;

        Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            inode: (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
///
/// Returns an error if the file can't be opened or read, is not a regular file (a FIFO would block until it has a writer), is larger, or
/// changes while it is read.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Source> {
    let mut file = open(path)?;
    let before = file.metadata()?;
    if !before.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    Read::by_ref(&mut file).take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than the limit of {limit} bytes")));
    }
    let version = Version::from(&file.metadata()?);
    if version != Version::from(&before) {
        return Err(io::Error::new(io::ErrorKind::ResourceBusy, "the file changed while it was read"));
    }
    Ok(Source { bytes, version })
}

/// Opens a file without waiting for a FIFO's writer.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}
