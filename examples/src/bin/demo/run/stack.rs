//! `integration-tests/compose.yaml`, by way of the script beside it that knows both kinds of Compose: the brokers, and a container
//! for each service.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Command as Blocking, Stdio},
};

use tokio::process::Command;

use super::services::Variables;
use crate::{Error, brokers::Addresses, service::Name};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../integration-tests/setup/demo.sh");

/// The containers. Removes those it has started when dropped.
#[derive(Default)]
pub(super) struct Stack {
    touched: Option<Touched>,
}

/// The part to remove: containers of another run stay.
#[derive(Clone, Copy)]
enum Touched {
    Brokers,
    Services,
}

impl Touched {
    const fn down(self) -> &'static [&'static str] {
        match self {
            Self::Brokers => &["down"],
            Self::Services => &["down", "services"],
        }
    }
}

/// A stack whose brokers are healthy.
pub(super) struct Up {
    pub(super) addresses: Addresses,
    /// Where the Collector sends spans back to that come from services in containers.
    pub(super) back: SocketAddr,
}

impl Stack {
    /// Uses the brokers that are up, or starts them.
    pub(super) async fn up(&mut self) -> Result<Up, Error> {
        if !Path::new(SCRIPT).exists() {
            return Err(format!("{SCRIPT} is not there: the containers need the repository").into());
        }
        self.touched = Some(Touched::Brokers);
        let answer = script(&["brokers"], &Variables::new()).await?;
        let port = |name| lookup(&answer, name).ok_or_else(|| format!("{name} is not published"));
        Ok(Up {
            addresses: Addresses {
                kafka: port("kafka")?.to_owned(),
                amqp: format!("amqp://guest:guest@{}/%2f", port("rabbitmq")?),
                sqs: format!("http://{}", port("elasticmq")?),
            },
            back: port("return")?.trim_start_matches("http://").parse()?,
        })
    }

    /// Builds the services' image from this program. Returns the reason if the program does not run in it.
    pub(super) async fn image(&self) -> Result<Option<String>, Error> {
        let program = std::env::current_exe()?;
        let program = program.to_str().ok_or("the program's path is not UTF-8")?;
        let answer = script(&["image", program], &Variables::new()).await?;
        Ok(lookup(&answer, "unfit").map(ToOwned::to_owned))
    }

    /// Starts a container for each service; answers their ids, and where customers reach the gateway.
    pub(super) async fn services(&mut self, variables: &Variables) -> Result<(Vec<(Name, String)>, String), Error> {
        self.touched = Some(Touched::Services);
        let answer = script(&["up"], variables).await?;
        let container = |name: Name| {
            let id = lookup(&answer, name.as_str()).ok_or_else(|| format!("{} has no container", name.as_str()))?;
            Ok::<_, Error>((name, id.to_owned()))
        };
        let containers = Name::ALL.into_iter().map(container).collect::<Result<_, _>>()?;
        let gateway = lookup(&answer, "address").ok_or("the gateway has no address")?;
        Ok((containers, gateway.to_owned()))
    }

    /// Takes away the services' containers, and the brokers if they were started here.
    pub(super) async fn down(mut self) -> Result<(), Error> {
        if let Some(touched) = self.touched.take() {
            script(touched.down(), &Variables::new()).await?;
        }
        Ok(())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if let Some(touched) = self.touched {
            let _ = Blocking::new("bash").arg(SCRIPT).args(touched.down()).stdout(Stdio::null()).status();
        }
    }
}

/// A command that Ctrl-C does not reach, so that it can finish and clean up.
pub(super) fn apart(program: &str) -> Command {
    let mut command = Command::new(program);
    #[cfg(unix)]
    command.process_group(0);
    command
}

/// Returns the output of a `docker` command.
pub(super) async fn docker(arguments: &[&str]) -> Result<String, Error> {
    answer(apart("docker").args(arguments)).await.map_err(|error| format!("docker {}: {error}", arguments[0]).into())
}

/// Runs the script, whose output is for the demo and whose messages are for its user.
async fn script(arguments: &[&str], variables: &Variables) -> Result<String, Error> {
    let variables = variables.iter().map(|(name, value)| (*name, value));
    let answered = answer(apart("bash").arg(SCRIPT).args(arguments).envs(variables)).await;
    answered.map_err(|error| format!("the containers ({}): {error}", arguments[0]).into())
}

async fn answer(command: &mut Command) -> Result<String, Error> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut group = Group(child.id());
    let output = child.wait_with_output().await?;
    group.0 = None;
    if !output.status.success() {
        return Err(output.status.to_string().into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// A command and its child processes, killed when dropped.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            let _ = Blocking::new("kill").args(["-TERM", "--", &format!("-{id}")]).status();
        }
    }
}

/// The value of a line `NAME VALUE`.
fn lookup<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
}
