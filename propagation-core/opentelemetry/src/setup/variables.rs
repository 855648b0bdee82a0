use std::{cell::RefCell, str::FromStr};

use super::SetupError;
use propagation_core::Formats;

/// Reads variables, and keeps the errors of those that are ignored.
pub(super) struct Variables<'a> {
    look_up: &'a dyn Fn(&str) -> Option<String>,
    strict: bool,
    ignored: RefCell<Vec<SetupError>>,
}

impl<'a> Variables<'a> {
    pub(super) fn new(look_up: &'a dyn Fn(&str) -> Option<String>, strict: bool) -> Self {
        Self { look_up, strict, ignored: RefCell::default() }
    }

    /// The errors of the variables that were ignored.
    pub(super) fn into_ignored(self) -> Vec<SetupError> {
        self.ignored.into_inner()
    }

    /// A value without white space around it. An empty one counts as not set (OpenTelemetry's environment variables, "Parsing empty
    /// value").
    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.look_up)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// Like [`get`](Self::get), in lower case: names of enumerations are compared without regard to case.
    pub(super) fn lower_case(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| value.to_ascii_lowercase())
    }

    /// Replaces an error by the default and keeps it for a warning; with `strict`, passes it on.
    pub(super) fn accept<T: Default>(&self, read: Result<T, SetupError>) -> Result<T, SetupError> {
        match read {
            Err(error) if !self.strict => {
                // A variable of all signals is read for each of them.
                let mut ignored = self.ignored.borrow_mut();
                if !ignored.iter().any(|known| known.to_string() == error.to_string()) {
                    ignored.push(error);
                }
                Ok(T::default())
            }
            read => read,
        }
    }

    /// Keeps an error for a warning; with `strict`, returns it.
    pub(super) fn ignore(&self, error: SetupError) -> Result<(), SetupError> {
        self.accept(Err(error))
    }

    /// The first of these variables that is set to an accepted value.
    pub(super) fn first_of<T, const N: usize>(
        &self,
        names: [&'static str; N],
        parse: impl Fn(&'static str, &str) -> Result<T, SetupError>,
    ) -> Result<Option<T>, SetupError> {
        for name in names {
            let Some(value) = self.get(name) else { continue };
            if let Some(found) = self.accept(parse(name, &value).map(Some))? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// A whole number above zero.
    pub(super) fn number<T: FromStr + Default + PartialEq>(&self, name: &'static str) -> Result<Option<T>, SetupError> {
        self.first_of([name], positive)
    }

    /// A whole number, zero included.
    pub(super) fn count<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, SetupError> {
        self.first_of([name], |name, value| value.parse().map_err(|_| refused(name, "is not a whole number")))
    }

    /// Whether a variable is `true`, in any case. Any other value than `true` and `false` is an error, and false.
    pub(super) fn is_true(&self, name: &'static str) -> Result<bool, SetupError> {
        let value = self.first_of([name], |name, value| match value.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(refused(name, "is neither 'true' nor 'false', and counts as 'false'")),
        })?;
        Ok(value.unwrap_or(false))
    }

    /// The formats of `OTEL_PROPAGATORS` without unknown names; W3C's where none is left.
    pub(super) fn formats(&self) -> Result<Formats, SetupError> {
        let Some(list) = self.get("OTEL_PROPAGATORS") else { return Ok(Formats::w3c()) };
        match list.parse::<Formats>() {
            Ok(formats) => return Ok(formats),
            Err(error) if self.strict => return Err(SetupError::Formats(error)),
            Err(_) => {}
        }
        let mut known = Vec::new();
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name.parse::<Formats>() {
                // `none` beside others: the others count.
                Ok(formats) if formats == Formats::none() => {
                    self.ignore(refused("OTEL_PROPAGATORS", "names 'none' beside other formats"))?;
                }
                Ok(_) => known.push(name),
                Err(error) => self.ignore(SetupError::Formats(error))?,
            }
        }
        known.join(",").parse().map_err(SetupError::Formats)
    }
}

/// Parses a whole number above zero.
pub(super) fn positive<T: FromStr + Default + PartialEq>(name: &'static str, value: &str) -> Result<T, SetupError> {
    let number = value.parse().ok().filter(|number| *number != T::default());
    number.ok_or(refused(name, "is not a whole number above zero"))
}

/// Decodes percent-encoding, without the white space around.
pub(super) fn decode(text: &str) -> std::borrow::Cow<'_, str> {
    percent_encoding::percent_decode_str(text.trim()).decode_utf8_lossy()
}

pub(super) fn refused(name: &'static str, problem: &'static str) -> SetupError {
    SetupError::Variable { name, problem }
}
