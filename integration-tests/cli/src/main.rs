//! The command `propagation`: one module for each subcommand.
//!
//! A subcommand is a module with an `Arguments` type (`clap::Args`) and a function `run` that takes it and returns an
//! `Exit`; it is added to the enum here.

mod continuity;
mod policy;

use std::fmt;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// How the command ends, for scripts and CI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is well.
    Good,
    /// What was judged is not well.
    Bad,
    /// It could not be judged: a file that cannot be read, a backend that does not answer.
    Unknown,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Good => Self::from(0),
            Exit::Bad => Self::from(1),
            Exit::Unknown => Self::from(2),
        }
    }
}

/// Judges whether traces are whole, and what a policy lets cross.
#[derive(Debug, Parser)]
#[command(name = "propagation", version)]
struct Command {
    #[command(subcommand)]
    subcommand: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Is a trace whole? Exit status 0: yes; 1: no; 2: it could not be judged.
    Continuity(continuity::Arguments),
    /// Looks at a policy file before a service does.
    #[command(subcommand)]
    Policy(policy::Policy),
}

fn main() -> ExitCode {
    match Command::parse().subcommand {
        Sub::Continuity(arguments) => continuity::run(&arguments).into(),
        Sub::Policy(policy) => policy::run(&policy).into(),
    }
}

/// Prints to standard output; a reader that has gone away is no reason to fail.
fn say(text: impl fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints to standard error.
fn complain(text: impl fmt::Display) -> Exit {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "propagation: {text}");
    Exit::Unknown
}
