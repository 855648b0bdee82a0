//! The policy file of a set-up.

use std::path::PathBuf;

use super::{SetupError, Telemetry};

/// The variable that names the file.
pub(super) const VARIABLE: &str = "PROPAGATION_POLICY_FILE";

/// Puts the policy of a file in force.
#[cfg(not(feature = "reload"))]
pub(super) fn read(telemetry: Telemetry, path: PathBuf) -> Result<Telemetry, SetupError> {
    let policy = propagation_core::Policy::from_file(path).map_err(SetupError::Policy)?;
    telemetry.propagator().set_policy(policy);
    Ok(telemetry)
}

/// Puts the policy of a file in force, and reads it again at an interval.
#[cfg(feature = "reload")]
pub(super) fn watch(
    telemetry: Telemetry,
    path: PathBuf,
    interval: Option<std::time::Duration>,
) -> Result<Telemetry, SetupError> {
    let reload = propagation_core::Reload::start(telemetry.propagator(), path).map_err(SetupError::Policy)?;
    let Some(interval) = interval else { return Ok(telemetry) };
    let thread = reload.spawn(interval).map_err(|error| SetupError::Reload(Box::new(error)))?;
    Ok(telemetry.with_reload(thread))
}
