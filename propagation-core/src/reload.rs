//! A policy file that is read again while the program runs.
//!
//! ```text
//!             poll                 same bytes, a second later          not looser by accident
//!  file ──▶ Snapshot ──▶ Candidate ───────────────────────▶ judge ───────────────────────▶ PolicySink
//!             │  ▲                                            │
//!             │  └── unreadable: tried again                  └── rejected: kept out until the bytes change
//!             └───── unchanged: nothing to do
//! ```

mod signal;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod thread;

use std::{
    fmt,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

pub use thread::ReloadThread;

use crate::{
    PolicySink,
    policy::{PolicyFileError, PolicyFileErrorKind},
};
use state::{Mode, Progress, State};

/// A policy file that is read again while the program runs, and that never loosens the policy by accident.
///
/// [`spawn`](Self::spawn) reads it at an interval, on a thread of its own. A version comes into force once two reads, at least a second
/// apart, have found the same bytes. Rejected are a file without a rule (empty, cut, comments alone), unless it contains `open = true`,
/// and a file that is the beginning of the one in force, unless [`force`](Self::force) is called. A rejected file leaves the policy in
/// force. Files with pseudonym keys are watched, too. A version that allows more than the one before is logged, key by key.
///
/// Replace the file by `rename`, as most editors, configuration tools and Kubernetes do.
///
/// ```no_run
/// use std::time::Duration;
///
/// use propagation_core::{Propagator, Reload};
///
/// let propagator = Propagator::default();
/// // A file that is rejected here ends the start.
/// let reload = Reload::start(propagator.clone(), "/etc/shop/policy.toml")?;
/// // Every ten seconds, and on SIGHUP. A file that is rejected from now on is logged, and changes nothing.
/// let _thread = reload.with_sighup(true).spawn(Duration::from_secs(10))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Reload {
    path: PathBuf,
    sink: Box<dyn PolicySink>,
    state: Mutex<State>,
    sighup: bool,
}

/// The least time between two reads that find the same bytes.
const STABLE: Duration = Duration::from_secs(1);

impl Reload {
    /// Reads a policy file and puts it in force: in a [`Propagator`](crate::Propagator), or by a closure that takes the policy.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Policy::from_file`](crate::Policy::from_file); the sink keeps its policy.
    pub fn start(sink: impl PolicySink, path: impl Into<PathBuf>) -> Result<Self, PolicyFileError> {
        let path = path.into();
        let (state, policy) = State::start(&path)?;
        sink.replace_policy(policy);
        Ok(Self { path, sink: Box::new(sink), state: Mutex::new(state), sighup: false })
    }

    /// Sets whether the thread of [`spawn`](Self::spawn) also reads the file on SIGHUP, which then no longer ends the program. Unix
    /// alone; elsewhere it has no effect.
    #[must_use]
    pub fn with_sighup(mut self, sighup: bool) -> Self {
        self.sighup = sighup;
        self
    }

    /// Reads the file at an interval, on a thread of its own. The interval is at least 100 ms.
    ///
    /// The thread lives as long as the program, unless [`ReloadThread::stop`] ends it.
    ///
    /// # Errors
    ///
    /// Returns an error if the system starts no thread, or takes no handler for SIGHUP.
    pub fn spawn(self, interval: Duration) -> std::io::Result<ReloadThread> {
        thread::spawn(self, interval)
    }

    /// Reads the file until two reads, a second apart, have found the same bytes, and puts it in force. Blocks for at least a second if
    /// the file has changed: call it from a blocking task.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Policy::from_file`](crate::Policy::from_file), and an error if the file is the beginning of the one in force
    /// or keeps changing for ten seconds. The policy in force stays, and a `tracing` error reports it.
    pub fn reload(&self) -> Result<(), PolicyFileError> {
        let deadline = Instant::now() + 10 * STABLE;
        loop {
            let Progress::Pending(due) = self.poll(Instant::now(), Mode::Always)? else { return Ok(()) };
            if due > deadline {
                let error = PolicyFileError::new(PolicyFileErrorKind::Unstable, "the file keeps changing");
                return Err(error.in_file(&self.path));
            }
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }

    /// Reads the file if it has changed, without blocking: for a timer of one's own. Returns whether a new version came into force; a
    /// change does so at the first call that is a second after the one that found it.
    ///
    /// # Errors
    ///
    /// Like [`reload`](Self::reload). A rejected version is reported once; a file that can't be read, at each call.
    pub fn reload_if_changed(&self) -> Result<bool, PolicyFileError> {
        self.poll(Instant::now(), Mode::IfChanged).map(|progress| progress == Progress::Applied)
    }

    /// Reads the file once and puts it in force, also if it is the beginning of the one in force: for an operator who has removed the
    /// last rules of a file on purpose.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Policy::from_file`](crate::Policy::from_file). The policy in force stays.
    pub fn force(&self) -> Result<(), PolicyFileError> {
        self.poll(Instant::now(), Mode::Forced).map(|_| ())
    }

    fn poll(&self, now: Instant, mode: Mode) -> Result<Progress, PolicyFileError> {
        // The sink is called under the lock: two versions come into force in the order in which they were read.
        let mut state = self.state();
        let (progress, policy) = state.poll(&self.path, now, mode)?;
        if let Some(policy) = policy {
            self.sink.replace_policy(policy);
        }
        Ok(progress)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload").field("path", &self.path).field("sighup", &self.sighup).finish_non_exhaustive()
    }
}
