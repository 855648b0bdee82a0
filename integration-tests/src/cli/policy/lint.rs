use std::{path::Path, process::ExitCode};

use propagation_core::Policy;

use super::Error;

pub(super) fn run(file: &Path, strict: bool) -> Result<ExitCode, Error> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let warnings = match Policy::lint_toml(&text) {
        Ok(warnings) => warnings,
        Err(error) => {
            eprintln!("{}:{}error: {}", file.display(), place(error.place()), error.message());
            return Ok(ExitCode::from(2));
        }
    };
    for (line, warning) in &warnings {
        println!("{}:{line}: warning: {warning}", file.display());
    }
    let count = warnings.len();
    println!("{}: {count} warning{}", file.display(), if count == 1 { "" } else { "s" });
    Ok(if strict && count > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn place(place: Option<(usize, usize)>) -> String {
    place.map_or_else(|| " ".to_owned(), |(line, column)| format!("{line}:{column}: "))
}
