use std::path::Path;

use propagation_core::Policy;

use super::{Error, Exit};
use crate::say;

pub(super) fn run(file: &Path, strict: bool) -> Result<Exit, Error> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let warnings = match Policy::lint_toml(&text) {
        Ok(warnings) => warnings,
        Err(error) => {
            return Err(format!("{}:{}error: {}", file.display(), place(error.place()), error.message()).into());
        }
    };
    for ((line, column), warning) in &warnings {
        say(format_args!("{}:{line}:{column}: warning: {warning}", file.display()));
    }
    let count = warnings.len();
    say(format_args!("{}: {count} warning{}", file.display(), if count == 1 { "" } else { "s" }));
    Ok(if strict && count > 0 { Exit::Bad } else { Exit::Good })
}

fn place(place: Option<(usize, usize)>) -> String {
    place.map_or_else(|| " ".to_owned(), |(line, column)| format!("{line}:{column}: "))
}
