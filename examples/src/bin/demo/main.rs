//! The order shop: one trace through HTTP, gRPC, Kafka, RabbitMQ and SQS, between processes of their own.
//!
//! `gateway` (HTTP) → `orders` (gRPC) → Kafka → `payments` → RabbitMQ → `shipping` → SQS → `notifications`, which calls the
//! gateway back over HTTP. The demo starts a process for each, places orders, and judges the traces from the spans that it
//! receives over OTLP. With `--brokers compose`, the brokers are real and each process is in a container.

mod brokers;
mod event;
mod judge;
mod report;
mod run;
mod service;
mod services;
mod shop;
mod telemetry;
mod transit;
mod wire;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};

/// One trace through HTTP, gRPC, Kafka, RabbitMQ and SQS, between real processes.
#[derive(Debug, Parser)]
#[command(name = "demo")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// How many orders to place at once.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    orders: u32,
    /// Write the verdict, the spans and the received messages as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write the trace as a self-contained web page.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Which brokers the services talk to.
    #[arg(long, value_enum, default_value = "loopback")]
    brokers: BrokerKind,
    /// Whether the policy blocks forbidden fields, or lets them pass and reports them.
    #[arg(long, value_enum, default_value = "enforce")]
    policy: PolicyMode,
    /// Strip the headers in transit at one hop: the verdict fails and names the hop.
    #[arg(long = "break", value_name = "HOP")]
    broken: Option<Hop>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs one service of the shop; the demo starts them all itself.
    #[command(hide = true)]
    Service { name: service::Name },
    /// Asks a service whether it is ready: the health check of its container.
    #[command(hide = true)]
    Healthy { address: String },
}

/// Where the brokers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum BrokerKind {
    /// Inside the demo: nothing to install.
    Loopback,
    /// Those of integration-tests/compose.yaml, and each service in a container of its own; started if they are not up.
    Compose,
}

/// How the services' policy acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PolicyMode {
    /// Forbidden fields are blocked.
    Enforce,
    /// Everything passes; fields that would have been blocked are listed.
    Report,
}

impl PolicyMode {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Report => "report",
        }
    }
}

/// The transports between the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Hop {
    Http,
    Grpc,
    Kafka,
    Amqp,
    Sqs,
}

impl Hop {
    /// The hops in the order in which an order takes them: transport, from, to.
    const JOURNEY: [(Self, &'static str, &'static str); 5] = [
        (Self::Grpc, "gateway", "orders"),
        (Self::Kafka, "orders", "payments"),
        (Self::Amqp, "payments", "shipping"),
        (Self::Sqs, "shipping", "notifications"),
        (Self::Http, "notifications", "gateway"),
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::Kafka => "kafka",
            Self::Amqp => "amqp",
            Self::Sqs => "sqs",
        }
    }
}

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = match arguments.command {
        Some(Command::Service { name }) => service::run(name).await.map(|()| true),
        Some(Command::Healthy { ref address }) => services::health::ask(address).await,
        None => run::demo(&arguments).await,
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::from(2)
        }
    }
}
