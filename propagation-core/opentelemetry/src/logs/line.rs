use std::fmt::{self, Write};

use propagation_core::TraceContext;

/// The fields of one line.
pub(super) struct Fields {
    pub(super) trace: TraceContext,
    pub(super) baggage: Vec<(Box<str>, String)>,
}

impl Fields {
    pub(super) fn is_empty(&self) -> bool {
        self.trace.trace_id().is_none() && self.baggage.is_empty()
    }

    /// Whether the trace is sampled, as a `traceparent` would carry it.
    fn sampled(&self) -> bool {
        self.trace.sampling.decided() == Some(true)
    }

    pub(super) fn write_json(&self, out: &mut impl Write) -> fmt::Result {
        let mut comma = "";
        if let Some(trace) = self.trace.trace_id() {
            write!(out, r#""trace_id":"{trace}","#)?;
            if let Some(span) = self.trace.span_id() {
                write!(out, r#""span_id":"{span}","#)?;
            }
            write!(out, r#""trace_sampled":{}"#, self.sampled())?;
            comma = ",";
        }
        for (key, value) in &self.baggage {
            write!(out, r#"{comma}"baggage.{}":"{}""#, Escaped(key), Escaped(value))?;
            comma = ",";
        }
        Ok(())
    }

    pub(super) fn write_text(&self, out: &mut impl Write) -> fmt::Result {
        if let Some(trace) = self.trace.trace_id() {
            write!(out, "trace_id={trace} ")?;
            if let Some(span) = self.trace.span_id() {
                write!(out, "span_id={span} ")?;
            }
            write!(out, "trace_sampled={} ", self.sampled())?;
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
                '\0'..='\x1f'
                | '\x7f'..='\u{9f}'
                | '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}' => {
                    for unit in letter.encode_utf16(&mut [0; 2]) {
                        write!(f, "\\u{unit:04x}")?;
                    }
                }
                _ => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}
