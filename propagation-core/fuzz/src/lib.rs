//! The properties that hold for every input. Fuzzers search for inputs that break one; core's tests check them on the seeds.

// Core's tests own the checks: they run on stable, this package on nightly alone.
#[path = "../../tests/it/corpus/checks.rs"]
mod checks;

/// Checks a format by its name in `OTEL_PROPAGATORS`.
pub fn format(name: &str, data: &[u8]) {
    checks::format(name, data);
}

/// Checks a stored context.
pub fn stored(data: &[u8]) {
    checks::stored(data);
}

/// Checks a policy file, and the contexts that it admits and releases.
pub fn policy(data: &[u8]) {
    checks::policy(data);
}
