//! The policy file of a set-up.

use std::time::{Duration, Instant};

use opentelemetry_sdk::trace::InMemorySpanExporterBuilder;
use propagation_core::{Peer, Propagator};
use propagation_opentelemetry::setup::{Setup, SetupError};

use super::setup;

/// A file that is removed at the end of the test.
struct File(std::path::PathBuf);

impl File {
    fn new(name: &str, key: &str) -> Self {
        let file = Self(std::env::temp_dir().join(format!("propagation-{name}-{}.toml", std::process::id())));
        file.write(key);
        file
    }

    fn write(&self, key: &str) {
        let text = format!("[[inbound]]\npeers = [\"http:*\"]\nbaggage = [\"{key}\"]\n");
        let new = self.0.with_extension("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, &self.0).unwrap();
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn admits(propagator: &Propagator, key: &str) -> bool {
    let received = vec![("baggage".to_owned(), format!("{key}=1").into_bytes())];
    propagator.extract(&Peer::http("shop"), &received).context.baggage.get(key).is_some()
}

fn quiet(setup: Setup) -> Setup {
    setup.exporter(InMemorySpanExporterBuilder::new().build())
}

#[test]
fn policy_file_is_in_force_and_read_again() {
    let file = File::new("reload", "plan");
    let setup = quiet(setup(&[])).policy_file(&file.0).reload_interval(Duration::from_millis(100));
    let telemetry = setup.build().unwrap();
    let propagator = telemetry.propagator();
    assert!(admits(&propagator, "plan") && !admits(&propagator, "tenant.id"));
    assert!(telemetry.policy_reload().is_some());
    file.write("tenant.id");
    let began = Instant::now();
    while !admits(&propagator, "tenant.id") {
        assert!(began.elapsed() < Duration::from_secs(20), "the new version did not come into force");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn variable_names_another_policy_file() {
    let (file, other) = (File::new("code", "plan"), File::new("variable", "tenant.id"));
    let path = other.0.display().to_string();
    let setup =
        quiet(Setup::new("orders").variables(move |name| (name == "PROPAGATION_POLICY_FILE").then(|| path.clone())));
    let telemetry = setup.policy_file(&file.0).reload_interval(None).build().unwrap();
    assert!(admits(&telemetry.propagator(), "tenant.id") && !admits(&telemetry.propagator(), "plan"));
    assert!(telemetry.policy_reload().is_none());
}

#[test]
fn unusable_policy_file_ends_the_start() {
    let missing = quiet(setup(&[])).policy_file("/nonexistent/policy.toml").build();
    assert!(matches!(missing, Err(SetupError::Policy(_))), "{missing:?}");
    let file = File::new("broken", "plan");
    std::fs::write(&file.0, "[[inbound]]\npeers = 7\n").unwrap();
    let error = quiet(setup(&[])).policy_file(&file.0).build().unwrap_err().to_string();
    assert!(error.contains("toml") && error.contains('2'), "{error}");
}
