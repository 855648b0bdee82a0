//! The services' processes.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::mpsc,
};

use crate::{Error, PolicyMode, event::Event, service::Name, telemetry};

/// Each service is a process of its own; all that it shares with the others is addresses.
pub(super) struct Children {
    children: Vec<(Name, Child)>,
    variables: Vec<(&'static str, String)>,
    sender: mpsc::UnboundedSender<Told>,
    receiver: mpsc::UnboundedReceiver<Told>,
}

enum Told {
    Event(Event),
    /// A service's output ended: it has died, or is stopping.
    Ended(Name),
}

impl Children {
    pub(super) fn new(mut variables: Vec<(&'static str, String)>, otlp: String, policy: PolicyMode) -> Self {
        variables.extend([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", otlp),
            // Spans come soon, and none is lost where hundreds of orders are placed at once.
            ("OTEL_BSP_SCHEDULE_DELAY", "200".to_owned()),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "65536".to_owned()),
            (telemetry::POLICY, policy.as_str().to_owned()),
        ]);
        let (sender, receiver) = mpsc::unbounded_channel();
        Self { children: Vec::new(), variables, sender, receiver }
    }

    /// Starts a service and waits until it is ready; answers its address, if it listens.
    pub(super) async fn start(&mut self, name: Name, more: &[(&str, String)]) -> Result<String, Error> {
        let mut command = Command::new(std::env::current_exe()?);
        // What the user has set for other programs must not choose where the demo's spans go.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")) {
            command.env_remove(name);
        }
        let mut child = command
            .args(["service", name.as_str()])
            .envs(self.variables.iter().map(|(name, value)| (*name, value)))
            .envs(more.iter().map(|(name, value)| (*name, value)))
            .env("OTEL_SERVICE_NAME", name.as_str())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().ok_or("a service without output")?;
        let sender = self.sender.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                match serde_json::from_str(&line) {
                    Ok(event) => drop(sender.send(Told::Event(event))),
                    Err(_) => eprintln!("{}: {line}", name.as_str()),
                }
            }
            drop(sender.send(Told::Ended(name)));
        });
        self.children.push((name, child));
        match self.next().await? {
            Event::Ready { address } => Ok(address.unwrap_or_default()),
            other => Err(format!("{} began with {other:?}", name.as_str()).into()),
        }
    }

    /// What a service says next.
    ///
    /// # Errors
    ///
    /// A service died.
    pub(super) async fn next(&mut self) -> Result<Event, Error> {
        match self.receiver.recv().await {
            Some(Told::Event(event)) => Ok(event),
            Some(Told::Ended(name)) => Err(format!("the service {} has died", name.as_str()).into()),
            None => Err("no service runs".into()),
        }
    }

    /// Stops the services one by one, callers before whom they call, each once it has finished what it is at.
    pub(super) async fn stop(&mut self) {
        while let Some((name, mut child)) = self.children.pop() {
            drop(child.stdin.take());
            match tokio::time::timeout(std::time::Duration::from_secs(15), child.wait()).await {
                Ok(Ok(status)) if status.success() => {}
                Ok(ended) => eprintln!("{} ended with {ended:?}", name.as_str()),
                Err(_) => eprintln!("{} does not stop", name.as_str()),
            }
        }
    }
}
