use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

/// A writer that keeps a log in memory, to search it for canaries. Clones share the log.
///
/// `tracing-subscriber` writes to it through a closure, `.with_writer(move || lines.clone())`.
///
/// ```
/// use std::io::Write;
///
/// use propagation_testkit::canary::{Canaries, Evidence, LogCapture};
///
/// let lines = LogCapture::default();
/// writeln!(lines.clone(), "user=redacted")?;
/// assert_eq!(lines.text(), "user=redacted\n");
/// Canaries::new().assert_absent(&Evidence::new().line("gateway's log", lines.text()));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct LogCapture(Arc<Mutex<Vec<u8>>>);

impl LogCapture {
    /// Returns the text written so far. Invalid UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl io::Write for LogCapture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
