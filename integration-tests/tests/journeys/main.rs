//! Journeys over real brokers with the adapters of this family: the whole way and each transport alone, with a service in
//! Python in the middle, with brokers that restart and messages that are broken.
//!
//! Not part of `cargo test`: `integration-tests/setup/suite.sh` starts the stack and passes its addresses. Without a stack every
//! test here fails; none is skipped. Tests in `restarts` stop brokers, and run alone and last; tests in `demo` run the shop in containers,
//! one at a time.
#![cfg(feature = "otlp")]

mod alone;
mod bridge;
mod canaries;
mod contexts;
mod demo;
mod drawn;
mod faults;
mod kafka;
mod kafka_groups;
mod kafka_journeys;
mod loads;
mod python;
mod rabbitmq;
mod rabbitmq_journeys;
mod restarts;
mod service;
mod shop;
mod sqs;
mod sqs_journeys;
mod transport;
mod web;
mod whole;

/// Set-up that tests need but do not check.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: integration-tests/setup/suite.sh starts the stack"))
}
