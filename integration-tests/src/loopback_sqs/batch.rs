//! The common part of the three batch operations.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::refusal::Refusal;

/// The most entries of a batch.
const MAX_ENTRIES: usize = 10;
const MAX_ID: usize = 80;

/// An entry of a batch request.
pub(super) trait Entry {
    /// The entry's name in the API, for the refusal of an empty batch.
    const NAME: &'static str;

    fn id(&self) -> Option<&str>;
}

/// Validates a batch: the number of entries and their ids.
pub(super) fn check<E: Entry>(entries: Option<Vec<E>>) -> Result<Vec<E>, Refusal> {
    let entries = entries.unwrap_or_default();
    if entries.is_empty() {
        return Err(Refusal::empty_batch(E::NAME));
    }
    if entries.len() > MAX_ENTRIES {
        return Err(Refusal::too_many_entries(entries.len()));
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let mut seen = BTreeSet::new();
    for entry in &entries {
        let id = entry.id().unwrap_or_default();
        if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(legal) {
            return Err(Refusal::invalid_entry_id());
        }
        if !seen.insert(id) {
            return Err(Refusal::repeated_entry_id(id));
        }
    }
    Ok(entries)
}

/// Applies an operation to each entry: one that is refused doesn't stop the others.
pub(super) fn each<E: Entry>(
    entries: Vec<E>,
    mut operation: impl FnMut(E) -> Result<Map<String, Value>, Refusal>,
) -> Value {
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in entries {
        let id = entry.id().unwrap_or_default().to_owned();
        match operation(entry) {
            Ok(mut answer) => {
                answer.insert("Id".to_owned(), Value::String(id));
                successful.push(Value::Object(answer));
            }
            Err(refusal) => failed.push(refusal.entry(&id)),
        }
    }
    json!({"Successful": successful, "Failed": failed})
}
