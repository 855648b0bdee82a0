//! The command `propagation`; all of it is in the library's `cli` module.

use std::process::ExitCode;

fn main() -> ExitCode {
    propagation_testkit::cli::main()
}
