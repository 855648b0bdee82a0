use std::path::Path;

use clap::ValueEnum;
use propagation_core::Policy;

use super::{Error, Exit};
use crate::print;

/// Findings that make the command fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Denied {
    /// Warnings, and not errors alone.
    Warnings,
}

pub(super) fn run(file: &Path, denied: Option<Denied>) -> Result<Exit, Error> {
    let warnings = match Policy::lint_file(file) {
        Ok(warnings) => warnings,
        Err(error) => {
            let place = error.place().map_or_else(String::new, |(line, column)| format!("{line}:{column}:"));
            let excerpt = error.excerpt().map_or_else(String::new, |excerpt| format!("\n{excerpt}"));
            return Err(format!("{}:{place} error: {}{excerpt}", file.display(), error.message()).into());
        }
    };
    for found in &warnings {
        let (line, column) = (found.line, found.column);
        print(format_args!("{}:{line}:{column}: warning: {}", file.display(), found.warning));
        print(&found.excerpt);
    }
    let count = warnings.len();
    print(format_args!("{}: {count} warning{}", file.display(), if count == 1 { "" } else { "s" }));
    Ok(if denied.is_some() && count > 0 { Exit::Bad } else { Exit::Good })
}
