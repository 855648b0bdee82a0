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
    /// The checks have passed.
    Good,
    /// A check has failed.
    Bad,
    /// The checks could not run: an unreadable file, an unreachable backend.
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

/// Checks traces, and shows the effect of a policy.
#[derive(Debug, Parser)]
#[command(name = "propagation", version)]
struct Command {
    #[command(subcommand)]
    subcommand: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Checks that a trace is whole. Exit status 0: whole; 1: not whole; 2: the check could not run
    Continuity(continuity::Arguments),
    /// Checks a policy file before a service reads it
    #[command(subcommand)]
    Policy(policy::Policy),
}

fn main() -> ExitCode {
    match Command::parse().subcommand {
        Sub::Continuity(arguments) => continuity::run(&arguments).into(),
        Sub::Policy(policy) => policy::run(&policy).into(),
    }
}

/// Prints to standard output. A closed pipe is not an error.
fn print(text: impl fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints to standard error.
fn report(text: impl fmt::Display) -> Exit {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "propagation: {text}");
    Exit::Unknown
}
