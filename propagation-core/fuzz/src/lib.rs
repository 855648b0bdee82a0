//! What must hold for any input whatever. The fuzzers look for inputs that break it; the stable tests replay the seeds.

mod checks;

/// Checks a format by its name in `OTEL_PROPAGATORS`.
pub fn format(name: &str, data: &[u8]) {
    checks::format(name, data);
}

/// Checks a context that was stored as a string.
pub fn stored(data: &[u8]) {
    checks::stored(data);
}

/// Checks a policy file, and what it lets cross.
pub fn policy(data: &[u8]) {
    checks::policy(data);
}
