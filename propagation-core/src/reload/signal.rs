//! SIGHUP, as a flag.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Records whether SIGHUP has arrived since the last check. Dropping it restores the earlier handlers of the signal.
pub(super) struct Hangup {
    came: Arc<AtomicBool>,
    #[cfg(unix)]
    id: signal_hook::SigId,
}

impl Hangup {
    #[cfg(unix)]
    pub(super) fn listen() -> io::Result<Self> {
        let came = Arc::new(AtomicBool::new(false));
        let id = signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::clone(&came))?;
        Ok(Self { came, id })
    }

    #[cfg(not(unix))]
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self { came: Arc::default() })
    }

    pub(super) fn take(&self) -> bool {
        self.came.swap(false, Ordering::Relaxed)
    }
}

#[cfg(unix)]
impl Drop for Hangup {
    fn drop(&mut self) {
        signal_hook::low_level::unregister(self.id);
    }
}
