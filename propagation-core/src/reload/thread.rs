//! The thread that reads the policy file at an interval and on SIGHUP.

use std::{
    fmt, io,
    ops::Deref,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{
    Reload,
    signal::Hangup,
    state::{Mode, Progress},
};

/// The thread of [`Reload::spawn`]. Dereferences to its [`Reload`].
///
/// Dropping it leaves the thread running.
pub struct ReloadThread {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

struct Shared {
    reload: Reload,
    stopped: Mutex<bool>,
    wake: Condvar,
}

pub(super) fn spawn(reload: Reload, interval: Duration) -> io::Result<ReloadThread> {
    let hangup = if reload.sighup { Some(Hangup::listen()?) } else { None };
    let shared = Arc::new(Shared { reload, stopped: Mutex::new(false), wake: Condvar::new() });
    let ours = Arc::clone(&shared);
    let interval = interval.max(Duration::from_millis(100));
    let thread = std::thread::Builder::new()
        .name("propagation-reload".to_owned())
        .spawn(move || ours.run(interval, hangup.as_ref()))?;
    Ok(ReloadThread { shared, thread })
}

impl Shared {
    fn run(&self, interval: Duration, hangup: Option<&Hangup>) {
        /// How long a signal waits at most: its handler can do no more than set a flag.
        const LATENCY: Duration = Duration::from_millis(200);
        let (mut due, mut mode) = (Instant::now() + interval, Mode::IfChanged);
        loop {
            let wait = due.saturating_duration_since(Instant::now());
            if self.wait(if hangup.is_some() { wait.min(LATENCY) } else { wait }) {
                return;
            }
            let now = Instant::now();
            if hangup.is_some_and(Hangup::take) {
                (due, mode) = (now, Mode::Always);
            }
            if now < due {
                continue;
            }
            // Errors are logged by the read itself, and the next read is the remedy.
            (due, mode) = match self.reload.poll(now, mode) {
                Ok(Progress::Pending(due)) => (due, mode),
                _ => (now + interval, Mode::IfChanged),
            };
        }
    }

    /// Waits; returns whether the thread is to stop.
    fn wait(&self, time: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.wake.wait_timeout_while(stopped, time, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl ReloadThread {
    /// Ends the thread and waits for it. The policy in force stays.
    pub fn stop(self) {
        *self.shared.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.wake.notify_all();
        let _ = self.thread.join();
    }
}

impl Deref for ReloadThread {
    type Target = Reload;

    fn deref(&self) -> &Reload {
        &self.shared.reload
    }
}

impl fmt::Debug for ReloadThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReloadThread").field("reload", &self.shared.reload).finish_non_exhaustive()
    }
}
