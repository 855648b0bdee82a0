//! Parses method names from an encoded `google.protobuf.FileDescriptorSet`.

use std::{error::Error, fmt};

/// The error for an invalid descriptor set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DescriptorSetError {
    /// The bytes are not a valid protobuf message.
    Malformed,
    /// The set has no service with a method.
    NoMethods,
}

impl fmt::Display for DescriptorSetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed descriptor set: expected the bytes of a google.protobuf.FileDescriptorSet",
            Self::NoMethods => {
                "descriptor set without methods: generate it from the .proto files that define the services"
            }
        })
    }
}

impl Error for DescriptorSetError {}

/// Returns the methods of all services, as `package.Service/Method`.
pub(crate) fn methods(set: &[u8]) -> Result<Vec<String>, DescriptorSetError> {
    let mut methods = Vec::new();
    for file in Fields(set) {
        if let (1, file) = file? {
            methods_of_file(file, &mut methods)?;
        }
    }
    if methods.is_empty() { Err(DescriptorSetError::NoMethods) } else { Ok(methods) }
}

fn methods_of_file(file: &[u8], methods: &mut Vec<String>) -> Result<(), DescriptorSetError> {
    let package = text(file, 2)?;
    for service in Fields(file) {
        let (6, service) = service? else { continue };
        let name = text(service, 1)?;
        for method in Fields(service) {
            let (2, method) = method? else { continue };
            let method = text(method, 1)?;
            let dot = if package.is_empty() { "" } else { "." };
            methods.push(format!("{package}{dot}{name}/{method}"));
        }
    }
    Ok(())
}

/// Returns the last value of a string field, or an empty string.
fn text(message: &[u8], number: u64) -> Result<&str, DescriptorSetError> {
    let mut found: &[u8] = b"";
    for field in Fields(message) {
        let (each, value) = field?;
        if each == number {
            found = value;
        }
    }
    std::str::from_utf8(found).map_err(|_| DescriptorSetError::Malformed)
}

/// Iterates over the fields of a protobuf message: number, and the bytes of a length-delimited field. Other wire types yield no bytes.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn read(&mut self) -> Option<(u64, &'a [u8])> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => {
                self.varint()?;
                b""
            }
            1 => self.take(8).map(|_| b"".as_slice())?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                self.take(length)?
            }
            5 => self.take(4).map(|_| b"".as_slice())?,
            _ => return None,
        };
        Some((tag >> 3, value))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?.first().copied()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, &'a [u8]), DescriptorSetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_none() {
            self.0 = b"";
        }
        Some(read.ok_or(DescriptorSetError::Malformed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncated_descriptor_set_is_malformed() {
        let field = |number: u8, value: &[u8]| [&[number << 3 | 2, u8::try_from(value.len()).unwrap()], value].concat();
        let method = field(2, &field(1, b"Place"));
        let service = field(6, &[field(1, b"Orders"), method].concat());
        let set = |package: &[u8]| field(1, &[field(2, package), service.clone()].concat());
        assert_eq!(methods(&set(b"shop")).unwrap(), ["shop.Orders/Place"]);
        assert_eq!(methods(&field(1, &service)).unwrap(), ["Orders/Place"]);
        let whole = set(b"shop");
        for end in 1..whole.len() {
            assert_eq!(methods(&whole[..end]), Err(DescriptorSetError::Malformed), "{end}");
        }
        assert_eq!(methods(b""), Err(DescriptorSetError::NoMethods));
        assert_eq!(methods(&field(1, b"")), Err(DescriptorSetError::NoMethods));
        assert_eq!(methods(b"text = \"proto\""), Err(DescriptorSetError::Malformed));
        assert_eq!(methods(&[0xff; 64]), Err(DescriptorSetError::Malformed));
    }
}
