//! The states of a policy file between two reads.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use super::{
    STABLE,
    snapshot::{Snapshot, Versions},
};
use crate::{
    EscapedText, Policy,
    policy::{PolicyFileError, PolicyFileErrorKind},
};

/// The checks that a read makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Skips files whose version was seen before.
    IfChanged,
    /// Reads in any case, and reports a rejected version again.
    Always,
    /// Does not wait for a second read, nor compare with the bytes in force.
    Forced,
}

/// The outcome of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Unchanged,
    /// New bytes, to be read again at that time.
    Pending(Instant),
    Applied,
}

pub(super) struct State {
    in_force: Snapshot,
    /// The policy in force, to compare with the next.
    policy: Policy,
    /// Bytes that were read once, and when.
    candidate: Option<(Snapshot, Instant)>,
    /// Bytes that were rejected for their content.
    rejected: Option<Snapshot>,
    /// The versions of files that need no other look.
    settled: Option<Versions>,
    /// The last error that another read may cure, and when it was logged.
    logged: Option<(String, Instant)>,
}

impl State {
    pub(super) fn start(path: &Path) -> Result<(Self, Policy), PolicyFileError> {
        let in_force = Snapshot::read(path).map_err(|error| PolicyFileError::unreadable(path, &error))?;
        let policy = in_force.policy(path)?;
        let settled = in_force.versions();
        let state = Self { in_force, policy: policy.clone(), candidate: None, rejected: None, settled, logged: None };
        Ok((state, policy))
    }

    /// Reads the file. Returns the policy to put in force, if there is a new one.
    pub(super) fn poll(
        &mut self,
        path: &Path,
        now: Instant,
        mode: Mode,
    ) -> Result<(Progress, Option<Policy>), PolicyFileError> {
        if mode == Mode::IfChanged && self.is_settled(path) {
            return Ok((Progress::Unchanged, None));
        }
        let snapshot = match Snapshot::read(path) {
            Ok(snapshot) => snapshot,
            // It is being written at this moment.
            Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy && mode != Mode::Forced => {
                self.candidate = None;
                return Ok((Progress::Pending(now + STABLE), None));
            }
            Err(error) => return Err(self.report(PolicyFileError::unreadable(path, &error), now, mode)),
        };
        if snapshot.is_same(&self.in_force) {
            (self.candidate, self.rejected, self.logged) = (None, None, None);
            self.settled = snapshot.versions();
            return Ok((Progress::Unchanged, None));
        }
        if mode == Mode::IfChanged && self.rejected.as_ref().is_some_and(|rejected| rejected.is_same(&snapshot)) {
            self.candidate = None;
            self.settled = snapshot.versions();
            return Ok((Progress::Unchanged, None));
        }
        if mode != Mode::Forced
            && let Some(due) = self.not_yet_stable(&snapshot, now)
        {
            if self.candidate.as_ref().is_none_or(|(candidate, _)| !candidate.is_same(&snapshot)) {
                self.candidate = Some((snapshot, now));
            }
            return Ok((Progress::Pending(due), None));
        }
        let checked = if mode == Mode::Forced { Ok(()) } else { snapshot.check_not_cut(&self.in_force, path) };
        match snapshot.policy(path).and_then(|policy| checked.map(|()| policy)) {
            Ok(policy) => {
                log_loosened(path, &self.policy.loosened_by(&policy));
                self.settled = snapshot.versions();
                (self.in_force, self.policy) = (snapshot, policy.clone());
                (self.candidate, self.rejected, self.logged) = (None, None, None);
                Ok((Progress::Applied, Some(policy)))
            }
            Err(error) => {
                if error.kind() != PolicyFileErrorKind::Unreadable {
                    self.settled = snapshot.versions();
                    (self.candidate, self.rejected) = (None, Some(snapshot));
                }
                Err(self.report(error, now, mode))
            }
        }
    }

    fn is_settled(&self, path: &Path) -> bool {
        let Some(settled) = &self.settled else { return false };
        self.candidate.is_none() && {
            let seen = self.rejected.as_ref().unwrap_or(&self.in_force);
            seen.versions_now(path) == *settled
        }
    }

    /// Returns when bytes can be stable at the earliest, if they are not yet.
    fn not_yet_stable(&self, snapshot: &Snapshot, now: Instant) -> Option<Instant> {
        let since = match &self.candidate {
            Some((candidate, since)) if candidate.is_same(snapshot) => *since,
            _ => now,
        };
        let due = since + STABLE;
        (now < due).then_some(due)
    }

    /// Logs an error. One that repeats at each read is logged once a minute.
    fn report(&mut self, error: PolicyFileError, now: Instant, mode: Mode) -> PolicyFileError {
        const AGAIN: Duration = Duration::from_secs(60);
        let retry = error.kind() == PolicyFileErrorKind::Unreadable;
        let text = error.to_string();
        let repeats = |(known, at): &(String, Instant)| *known == text && now.saturating_duration_since(*at) < AGAIN;
        if mode != Mode::IfChanged || !self.logged.as_ref().is_some_and(repeats) {
            tracing::error!(
                target: "propagation",
                error = %error,
                retry,
                "policy file rejected; the policy in force stays"
            );
            self.logged = Some((text, now));
        }
        error
    }
}

/// Logs each permission that a new version adds.
fn log_loosened(path: &Path, loosened: &[crate::policy::Loosening]) {
    /// A version that opens everything needs no thousand lines.
    const MOST: usize = 100;
    for loosening in loosened.iter().take(MOST) {
        tracing::warn!(
            target: "propagation",
            direction = loosening.direction.map(crate::Direction::as_str),
            peer = loosening.peer.as_deref().map(escaped).as_deref(),
            key = loosening.key.as_deref().map(escaped).as_deref(),
            change = escaped(&loosening.change),
            "policy reload allows more"
        );
    }
    tracing::info!(
        target: "propagation",
        file = %EscapedText::new(&path.to_string_lossy()).with_max_bytes(4096),
        loosened = loosened.len(),
        suppressed = loosened.len().saturating_sub(MOST),
        "policy reloaded"
    );
}

fn escaped(text: &str) -> String {
    EscapedText::new(text).to_string()
}
