//! The five running services: their events and how they are stopped. Each is a process of this machine or
//! of a container; all that it shares with the others is addresses.

use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout, Command},
    sync::mpsc,
    time::timeout,
};

use super::stack;
use crate::{Error, event::Event, service::Name};

/// How long a service may take to stop, and to be ready.
const STOPPING: Duration = Duration::from_secs(15);
const STARTING: Duration = Duration::from_secs(60);

/// Variables of a service.
pub(super) type Variables = Vec<(&'static str, String)>;

pub(super) struct Services {
    running: Vec<(Name, Running)>,
    sender: mpsc::UnboundedSender<Output>,
    receiver: mpsc::UnboundedReceiver<Output>,
}

enum Running {
    Process(Child),
    /// The container's id, and the process that reads its output.
    Container(String, Child),
}

enum Output {
    Event(Event),
    /// A service's output ended: it has died, or is stopping.
    Ended(Name),
}

impl Services {
    pub(super) fn new() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self { running: Vec::new(), sender, receiver }
    }

    /// Starts a service as a process and waits until it is ready; answers its address, if it listens.
    pub(super) async fn start(
        &mut self,
        name: Name,
        variables: &Variables,
        more: &[(&str, String)],
    ) -> Result<String, Error> {
        let mut command = Command::new(std::env::current_exe()?);
        // The user's variables for other programs must not change the demo's exporter.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")) {
            command.env_remove(name);
        }
        let mut child = command
            .args(["service", name.as_str()])
            .envs(variables.iter().map(|(name, value)| (*name, value)))
            .envs(more.iter().map(|(name, value)| (*name, value)))
            .env("OTEL_SERVICE_NAME", name.as_str())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        self.listen(name, child.stdout.take())?;
        self.running.push((name, Running::Process(child)));
        self.ready().await
    }

    /// Takes over a service that runs in a container, and waits until it is ready.
    pub(super) async fn follow(&mut self, name: Name, container: &str) -> Result<(), Error> {
        let mut logs = stack::apart("docker")
            .args(["logs", "--follow", container])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        self.listen(name, logs.stdout.take())?;
        self.running.push((name, Running::Container(container.to_owned(), logs)));
        self.ready().await.map(drop)
    }

    fn listen(&self, name: Name, output: Option<ChildStdout>) -> Result<(), Error> {
        let output = output.ok_or("a service without output")?;
        let sender = self.sender.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                match serde_json::from_str(&line) {
                    Ok(event) => drop(sender.send(Output::Event(event))),
                    Err(_) => eprintln!("{}: {line}", name.as_str()),
                }
            }
            drop(sender.send(Output::Ended(name)));
        });
        Ok(())
    }

    async fn ready(&mut self) -> Result<String, Error> {
        let ready = async {
            loop {
                if let Event::Ready { address } = self.next().await? {
                    return Ok(address.unwrap_or_default());
                }
            }
        };
        timeout(STARTING, ready).await.map_err(|_| format!("a service was not ready after {STARTING:?}"))?
    }

    /// The next event of a service.
    ///
    /// # Errors
    ///
    /// A service died.
    pub(super) async fn next(&mut self) -> Result<Event, Error> {
        match self.receiver.recv().await {
            Some(Output::Event(event)) => Ok(event),
            Some(Output::Ended(name)) => Err(format!("the service {} has died", name.as_str()).into()),
            None => Err("no service runs".into()),
        }
    }

    /// The containers that services run in.
    pub(super) fn containers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.running.iter().filter_map(|(name, running)| match running {
            Running::Process(_) => None,
            Running::Container(id, _) => Some((name.as_str(), id.as_str())),
        })
    }

    /// Stops the services one by one, callers before callees, each after its work in progress. Returns their last
    /// events: those of different services may arrive out of order.
    pub(super) async fn stop(&mut self) -> Vec<Event> {
        let mut talking = self.running.len();
        while let Some((name, running)) = self.running.pop() {
            match timeout(STOPPING, running.stop()).await {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(status))) => eprintln!("{} ended with {status}", name.as_str()),
                Ok(Err(error)) => eprintln!("{} does not stop: {error}", name.as_str()),
                Err(_) => eprintln!("{} does not stop", name.as_str()),
            }
        }
        let mut last = Vec::new();
        while talking > 0
            && let Ok(Some(output)) = timeout(STOPPING, self.receiver.recv()).await
        {
            match output {
                Output::Event(event) => last.push(event),
                Output::Ended(_) => talking -= 1,
            }
        }
        last
    }
}

impl Running {
    /// Lets it finish; answers how it ended, if that was not well.
    async fn stop(self) -> Result<Option<String>, Error> {
        match self {
            Self::Process(mut child) => {
                drop(child.stdin.take());
                let status = child.wait().await?;
                Ok((!status.success()).then(|| status.to_string()))
            }
            Self::Container(id, mut logs) => {
                stack::docker(&["stop", "--time", "10", &id]).await?;
                let status = stack::docker(&["inspect", "--format", "{{.State.ExitCode}}", &id]).await?;
                logs.wait().await?;
                Ok((status != "0").then(|| format!("exit status {status}")))
            }
        }
    }
}
