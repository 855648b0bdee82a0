//! Parser for the frames of a grpc-web body: messages, and trailers in the last frame.

use tonic::Code;

/// The maximum number of bytes kept of a trailer line; `grpc-status` lines are shorter.
const MAX_LINE: usize = 64;

/// The bit of a frame's first byte that marks trailers.
const TRAILERS: u8 = 0x80;

/// Reads the status from the body of a grpc-web response while it is streamed. Buffers a frame's header and a line, never a message.
#[derive(Debug, Default)]
pub(crate) struct WebFrames {
    base64: Option<Base64>,
    header: [u8; 5],
    header_len: usize,
    /// The bytes left in the current frame.
    left: u32,
    line: Vec<u8>,
    /// Whether a message frame was read.
    pub(crate) has_message: bool,
    /// The status of the trailers.
    pub(crate) code: Option<Code>,
}

impl WebFrames {
    /// Returns a parser for a response with this `content-type`, or `None` if it is not grpc-web.
    pub(crate) fn from_content_type(content_type: &[u8]) -> Option<Self> {
        let rest = content_type.get("application/grpc-web".len()..)?;
        let is_web = content_type.to_ascii_lowercase().starts_with(b"application/grpc-web");
        let is_text = rest.to_ascii_lowercase().starts_with(b"-text");
        is_web.then(|| Self { base64: is_text.then(Base64::default), ..Self::default() })
    }

    pub(crate) fn read(&mut self, bytes: &[u8]) {
        let Some(mut base64) = self.base64.take() else { return self.read_frames(bytes) };
        for &byte in bytes {
            let (decoded, length) = base64.push(byte);
            self.read_frames(decoded.get(..length).unwrap_or_default());
        }
        self.base64 = Some(base64);
    }

    fn read_frames(&mut self, mut bytes: &[u8]) {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.header_len < self.header.len() {
                if let Some(byte) = self.header.get_mut(self.header_len) {
                    *byte = first;
                }
                self.header_len += 1;
                bytes = rest;
                if self.header_len == self.header.len() {
                    let [_, length @ ..] = self.header;
                    self.left = u32::from_be_bytes(length);
                    self.has_message |= !self.is_trailers();
                }
            } else {
                let taken = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                let (part, rest) = bytes.split_at(taken);
                if self.is_trailers() {
                    self.read_lines(part);
                }
                self.left -= u32::try_from(taken).unwrap_or(self.left);
                bytes = rest;
            }
            if self.header_len == self.header.len() && self.left == 0 {
                self.end_line();
                self.header_len = 0;
            }
        }
    }

    fn is_trailers(&self) -> bool {
        let [flags, ..] = self.header;
        flags & TRAILERS != 0
    }

    fn read_lines(&mut self, part: &[u8]) {
        for &byte in part {
            if byte == b'\n' {
                self.end_line();
            } else if self.line.len() <= MAX_LINE {
                self.line.push(byte);
            }
        }
    }

    fn end_line(&mut self) {
        let mut parts = self.line.splitn(2, |&byte| byte == b':');
        if let (Some(name), Some(value)) = (parts.next(), parts.next())
            && name.trim_ascii().eq_ignore_ascii_case(b"grpc-status")
        {
            self.code = Some(Code::from_bytes(value.trim_ascii()));
        }
        self.line.clear();
    }
}

/// Decodes base64 byte by byte. Each chunk of a body has its own padding.
#[derive(Debug, Default)]
struct Base64 {
    bits: u32,
    count: u8,
}

impl Base64 {
    /// Returns a buffer of decoded bytes, and the number of valid bytes in it.
    fn push(&mut self, byte: u8) -> ([u8; 3], usize) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => return self.finish(),
            _ => return ([0; 3], 0),
        };
        self.bits = self.bits << 6 | u32::from(value);
        self.count += 1;
        if self.count == 4 { self.finish() } else { ([0; 3], 0) }
    }

    fn finish(&mut self) -> ([u8; 3], usize) {
        let length = usize::from(self.count.saturating_sub(1));
        let bits = self.bits << (6 * (4 - u32::from(self.count.min(4))));
        let [_, decoded @ ..] = bits.to_be_bytes();
        *self = Self::default();
        (decoded, length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
        [&[flags], u32::try_from(body.len()).unwrap().to_be_bytes().as_slice(), body].concat()
    }

    fn read(content_type: &str, body: &[u8], step: usize) -> (bool, Option<Code>) {
        let mut frames = WebFrames::from_content_type(content_type.as_bytes()).unwrap();
        body.chunks(step).for_each(|part| frames.read(part));
        (frames.has_message, frames.code)
    }

    #[test]
    fn web_status_is_read_across_chunk_boundaries() {
        let long = format!("x-long: {}\r\ngrpc-status:5\r\n", "y".repeat(10_000));
        for (trailers, code) in [
            ("grpc-status:0\r\n", Some(Code::Ok)),
            ("grpc-message:no\r\nGrpc-Status: 13 \r\n", Some(Code::Internal)),
            ("grpc-status: 7", Some(Code::PermissionDenied)),
            (long.as_str(), Some(Code::NotFound)),
            ("x: grpc-status:0\r\n", None),
            ("", None),
        ] {
            // A message that looks like trailers is still a message.
            let body = [frame(0, b"grpc-status:0\n"), frame(0, b""), frame(TRAILERS, trailers.as_bytes())].concat();
            for step in [1, 2, 3, 5, 7, 1_000_000] {
                assert_eq!(read("application/grpc-web+proto", &body, step), (true, code), "{trailers} {step}");
            }
        }
        assert_eq!(read("application/grpc-web", &frame(TRAILERS, b"grpc-status:0"), 4), (false, Some(Code::Ok)));
        assert!(
            WebFrames::from_content_type(b"application/grpc").is_none()
                && WebFrames::from_content_type(b"text/html").is_none()
        );
    }

    #[test]
    fn web_text_status_is_read_from_padded_parts() {
        // Frames of "hello" and of "grpc-status:0\r\n", each encoded separately.
        let body = b"AAAAAAVoZWxsbw==gAAAAA9ncnBjLXN0YXR1czowDQo=";
        for step in [1, 3, 4, 1_000] {
            assert_eq!(read("application/grpc-web-text+proto", body, step), (true, Some(Code::Ok)), "{step}");
        }
        // Garbage yields no status and does not panic.
        for garbage in [b"====".as_slice(), b"\xff\x00!!", b"gP////9n", &[b'/'; 999]] {
            assert_eq!(read("application/grpc-web-text", garbage, 1).1, None);
        }
    }
}
