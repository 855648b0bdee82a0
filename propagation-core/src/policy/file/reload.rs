use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Mutex,
    time::SystemTime,
};

use super::PolicyFileError;
use crate::{Policy, Propagator};

/// A policy file that can be read again while the program runs.
///
/// Call [`reload`](Self::reload) from wherever a program learns of a new configuration (a signal, an admin route), or
/// [`reload_if_changed`](Self::reload_if_changed) from a timer. It watches nothing by itself, and has no thread.
///
/// ```no_run
/// use propagation_core::{Propagator, Reload};
///
/// let propagator = Propagator::default();
/// // A file that is refused here ends the start.
/// let policy = Reload::start(propagator.clone(), "/etc/shop/policy.toml")?;
/// // From a timer: one that is refused here changes nothing, and says so.
/// if let Err(error) = policy.reload_if_changed() {
///     eprintln!("{error}");
/// }
/// # Ok::<(), propagation_core::PolicyFileError>(())
/// ```
#[derive(Debug)]
pub struct Reload {
    path: PathBuf,
    propagator: Propagator,
    seen: Mutex<Option<Version>>,
}

/// What tells one version of a file from another without reading it.
type Version = (SystemTime, u64);

impl Reload {
    /// Reads a policy file, puts it in force, and remembers where it came from.
    ///
    /// # Errors
    ///
    /// As [`reload`](Self::reload); the propagator keeps its policy.
    pub fn start(propagator: Propagator, path: impl Into<PathBuf>) -> Result<Self, PolicyFileError> {
        let reload = Self { path: path.into(), propagator, seen: Mutex::new(None) };
        reload.reload()?;
        Ok(reload)
    }

    /// Reads the file again. Extracts and injects under way finish with the policy they began with.
    ///
    /// # Errors
    ///
    /// As [`Policy::from_file`], and for an empty file, which is one that is about to be written; an empty policy can be said by a
    /// comment. The policy in force stays, and a `tracing` error says so.
    pub fn reload(&self) -> Result<(), PolicyFileError> {
        let version = version(&self.path).ok();
        let read = Policy::from_file_with_words(&self.path);
        // A version that was refused is not tried again until it changes.
        if let Ok(mut seen) = self.seen.lock() {
            *seen = version;
        }
        match read {
            Ok(policy) => {
                self.propagator.set_policy(policy);
                Ok(())
            }
            Err(error) => {
                tracing::error!(target: "propagation", %error, "the policy file was refused; the policy in force stays");
                Err(error)
            }
        }
    }

    /// The same, if the file's time or size has changed since it was last read; answers whether it had.
    ///
    /// # Errors
    ///
    /// As [`reload`](Self::reload).
    pub fn reload_if_changed(&self) -> Result<bool, PolicyFileError> {
        let version = version(&self.path).map_err(|error| PolicyFileError::unreadable(&self.path, &error))?;
        let changed = self.seen.lock().map_or(true, |seen| *seen != Some(version));
        if changed {
            self.reload()?;
        }
        Ok(changed)
    }
}

fn version(path: &Path) -> io::Result<Version> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.modified()?, metadata.len()))
}
