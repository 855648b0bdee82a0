use std::fmt::{self, Write};

use propagation_core::TraceContext;

/// What one line says of the current context.
pub(super) struct Said {
    pub(super) trace: TraceContext,
    pub(super) baggage: Vec<(Box<str>, String)>,
}

impl Said {
    pub(super) fn is_empty(&self) -> bool {
        !self.trace.has_ids() && self.baggage.is_empty()
    }

    pub(super) fn write_json(&self, out: &mut impl Write) -> fmt::Result {
        let mut comma = "";
        if let (Some(trace), Some(span)) = (self.trace.trace_id(), self.trace.span_id()) {
            let sampled = self.trace.flags().is_sampled();
            write!(out, r#""trace_id":"{trace}","span_id":"{span}","trace_sampled":{sampled}"#)?;
            comma = ",";
        }
        for (key, value) in &self.baggage {
            write!(out, r#"{comma}"baggage.{}":"{}""#, Escaped(key), Escaped(value))?;
            comma = ",";
        }
        Ok(())
    }

    pub(super) fn write_text(&self, out: &mut impl Write) -> fmt::Result {
        if let (Some(trace), Some(span)) = (self.trace.trace_id(), self.trace.span_id()) {
            let sampled = self.trace.flags().is_sampled();
            write!(out, "trace_id={trace} span_id={span} trace_sampled={sampled} ")?;
        }
        for (key, value) in &self.baggage {
            // Quoted and escaped: a value must not begin a line of its own.
            write!(out, "baggage.{key}={value:?} ")?;
        }
        Ok(())
    }
}

/// Text within a JSON string (RFC 8259, section 7).
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '"' | '\\' => write!(f, "\\{letter}")?,
                '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
                    write!(f, "\\u{:04x}", u32::from(letter))?;
                }
                _ => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}
