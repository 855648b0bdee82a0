//! The attributes of the resource.

use opentelemetry_sdk::{Resource, trace::InMemorySpanExporterBuilder};
use propagation_opentelemetry::setup::{ContainerDetector, HostDetector, Setup};

use super::{Variables, setup};

/// Returns the resource of a set-up, which the exporter of its spans receives.
fn resource(setup: Setup) -> Resource {
    let (sender, receiver) = std::sync::mpsc::channel();
    let _telemetry = setup.exporter(Seen(sender)).build().unwrap();
    receiver.recv().unwrap()
}

#[derive(Debug)]
struct Seen(std::sync::mpsc::Sender<Resource>);

impl opentelemetry_sdk::trace::SpanExporter for Seen {
    async fn export(&self, _: Vec<opentelemetry_sdk::trace::SpanData>) -> opentelemetry_sdk::error::OTelSdkResult {
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        let _ = self.0.send(resource.clone());
    }
}

fn attribute(resource: &Resource, key: &'static str) -> Option<String> {
    resource.get(&opentelemetry::Key::from_static_str(key)).map(|value| value.to_string())
}

#[test]
fn instance_id_is_a_random_uuid() {
    let id = || attribute(&resource(setup(&[])), "service.instance.id").unwrap();
    let (one, other) = (id(), id());
    assert_ne!(one, other);
    assert_eq!(one.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{one}");
    assert_eq!(one.as_bytes()[14], b'4', "{one}");
    assert!(matches!(one.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{one}");
}

#[test]
fn variables_go_before_code_and_code_before_detectors() {
    const SET: Variables = &[("OTEL_RESOURCE_ATTRIBUTES", "service.version=9,service.instance.id=a,host.name=b")];
    let found = resource(setup(SET).version("1.2.3").detector(HostDetector::default()));
    assert_eq!(attribute(&found, "service.version").as_deref(), Some("9"));
    assert_eq!(attribute(&found, "service.instance.id").as_deref(), Some("a"));
    assert_eq!(attribute(&found, "host.name").as_deref(), Some("b"));
    let found = resource(setup(&[]).version("1.2.3"));
    assert_eq!(attribute(&found, "service.version").as_deref(), Some("1.2.3"));
    assert_eq!(found.schema_url(), Some("https://opentelemetry.io/schemas/1.45.0"));
}

#[test]
fn detectors_add_attributes_only_if_given() {
    let plain = resource(setup(&[]));
    for key in ["host.name", "host.arch", "os.type", "host.id", "container.id"] {
        assert_eq!(attribute(&plain, key), None, "{key}");
    }
    let found = resource(setup(&[]).detector(HostDetector::default()).detector(ContainerDetector::default()));
    assert!(attribute(&found, "host.arch").is_some_and(|name| !name.is_empty()));
    assert_eq!(attribute(&found, "os.type").as_deref(), Some(std::env::consts::OS));
    assert_eq!(attribute(&found, "host.id"), None, "needs an option of its own");
}

#[test]
fn exporter_receives_the_resource_once() {
    let exporter = InMemorySpanExporterBuilder::new().build();
    let telemetry = setup(&[]).exporter(exporter).build().unwrap();
    assert!(telemetry.ignored_variables().is_empty());
}
