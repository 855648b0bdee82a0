use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

/// Keeps all that is written to it, as a log to search for canaries. Clones share what they keep.
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
    /// All that was written so far; what is not UTF-8 is replaced.
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
