//! Frames as bytes, before decoding and after encoding.

use amq_protocol::{
    frame::{AMQPFrame, WriteContext, gen_frame},
    protocol::{
        AMQPClass,
        basic::{gen_properties, parse_properties},
        constants::{FRAME_BODY, FRAME_END, FRAME_HEADER, FRAME_HEARTBEAT, FRAME_METHOD},
        parse_class,
    },
    protocol::{BasicProperties, basic},
    types::ChannelId,
};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::fault::Fault;

/// The overhead of a frame: type, channel, size and end marker.
pub(super) const FRAME_OVERHEAD: usize = 8;

/// Tables and arrays nested deeper than this are refused: the codec's parser is recursive, and a client must not be
/// able to exhaust the stack of the test that runs the double.
const MAX_NESTING: usize = 64;

/// The class of every message that carries content.
const CLASS_BASIC: u16 = 60;

/// One frame as it came, not yet decoded.
#[derive(Debug)]
pub(super) struct RawFrame {
    pub(super) kind: u8,
    pub(super) channel: ChannelId,
    pub(super) payload: Vec<u8>,
}

/// A content header: the size of the body that follows and the property list, decoded and as it was on the wire.
#[derive(Debug)]
pub(super) struct ContentHeader {
    pub(super) body_size: u64,
    pub(super) properties: BasicProperties,
    pub(super) wire: Vec<u8>,
}

/// Why no frame could be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The peer is gone.
    Closed,
    /// The peer sent something that ends the connection, and this many octets of the frame are still unread.
    Fault(Fault, usize),
}

impl From<Fault> for ReadError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault, 0)
    }
}

impl From<std::io::Error> for ReadError {
    fn from(_: std::io::Error) -> Self {
        Self::Closed
    }
}

/// Reads one frame and refuses, before reading its payload, one that is larger than `frame_max`.
pub(super) async fn read_frame<R>(from: &mut R, frame_max: usize) -> Result<RawFrame, ReadError>
where
    R: AsyncRead + Unpin,
{
    let kind = from.read_u8().await?;
    let channel = from.read_u16().await?;
    let size = from.read_u32().await?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    // RabbitMQ compares the payload, not the frame, with frame_max: it forgives the eight octets of overhead.
    if size > frame_max {
        let limit = frame_max.saturating_sub(FRAME_OVERHEAD);
        let text = format!("type {kind}, all octets = <<>>: {{frame_too_large,{size},{limit}}}");
        return Err(ReadError::Fault(Fault::frame_error(text), size.saturating_add(1)));
    }
    let mut payload = vec![0; size];
    from.read_exact(&mut payload).await?;
    let end = from.read_u8().await?;
    if end != FRAME_END {
        return Err(Fault::frame_error(format!("type {kind}, {{invalid_frame_end_marker,{end}}}")).into());
    }
    Ok(RawFrame { kind, channel, payload })
}

/// Decodes the payload of a method frame.
pub(super) fn decode_method(payload: &[u8]) -> Result<AMQPClass, Fault> {
    refuse_deep_nesting(payload)?;
    match parse_class(payload) {
        Ok(([], method)) => Ok(method),
        Ok(_) => Err(Fault::frame_error("octets left over after a method")),
        Err(_) => Err(Fault::frame_error("a method that cannot be decoded")),
    }
}

/// Decodes the payload of a content header frame and keeps the bytes of its property list.
pub(super) fn decode_header(payload: &[u8]) -> Result<ContentHeader, Fault> {
    let (Some(class), Some(size), Some(wire)) = (payload.get(0..2), payload.get(4..12), payload.get(12..)) else {
        return Err(Fault::frame_error("a content header that is too short"));
    };
    if class != CLASS_BASIC.to_be_bytes() {
        return Err(Fault::unexpected_frame("a content header of another class"));
    }
    let body_size = size
        .try_into()
        .map(u64::from_be_bytes)
        .map_err(|_| Fault::frame_error("a content header that is too short"))?;
    refuse_deep_nesting(wire)?;
    match parse_properties(wire) {
        Ok(([], properties)) => Ok(ContentHeader { body_size, properties, wire: wire.to_vec() }),
        _ => Err(Fault::undecodable_properties()),
    }
}

/// Encodes a property list; `None` if the codec refuses it, which it does for no list that it decoded.
pub(super) fn encode_properties(properties: &BasicProperties) -> Option<Vec<u8>> {
    let context = gen_properties(properties)(WriteContext::from(Vec::new())).ok()?;
    Some(context.into_inner().0)
}

/// Encodes a method frame. Empty if the codec refuses it, which it does for no method this module builds.
pub(super) fn method_frame(channel: ChannelId, method: AMQPClass) -> Vec<u8> {
    let frame = AMQPFrame::Method(channel, method);
    gen_frame(&frame)(WriteContext::from(Vec::new())).map(|context| context.into_inner().0).unwrap_or_default()
}

/// The heartbeat frame.
pub(super) fn heartbeat_frame() -> Vec<u8> {
    vec![FRAME_HEARTBEAT, 0, 0, 0, 0, 0, 0, FRAME_END]
}

/// Encodes a method, its content header and its body, the body in as many frames as `frame_max` asks for.
///
/// The header is one frame whatever its size, as in RabbitMQ, which does not look at the consumer's limit either.
pub(super) fn content_frames(
    channel: ChannelId,
    method: basic::AMQPMethod,
    wire_properties: &[u8],
    body: &[u8],
    frame_max: usize,
) -> Vec<u8> {
    let mut out = method_frame(channel, AMQPClass::Basic(method));
    let mut header = Vec::with_capacity(12 + wire_properties.len());
    header.extend_from_slice(&CLASS_BASIC.to_be_bytes());
    header.extend_from_slice(&[0, 0]);
    header.extend_from_slice(&(body.len() as u64).to_be_bytes());
    header.extend_from_slice(wire_properties);
    push_frame(&mut out, FRAME_HEADER, channel, &header);
    let chunk = frame_max.saturating_sub(FRAME_OVERHEAD).max(1);
    for part in body.chunks(chunk) {
        push_frame(&mut out, FRAME_BODY, channel, part);
    }
    out
}

fn push_frame(out: &mut Vec<u8>, kind: u8, channel: ChannelId, payload: &[u8]) {
    // A payload is a part of a frame that was read, so it fits; a table grown past 4 GiB is cut, not wrapped.
    let size = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.push(kind);
    out.extend_from_slice(&channel.to_be_bytes());
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(payload);
    out.push(FRAME_END);
}

/// Returns the kind of a frame that carries a method or content.
pub(super) fn frame_kind(kind: u8) -> Option<FrameKind> {
    match kind {
        FRAME_METHOD => Some(FrameKind::Method),
        FRAME_HEADER => Some(FrameKind::Header),
        FRAME_BODY => Some(FrameKind::Body),
        FRAME_HEARTBEAT => Some(FrameKind::Heartbeat),
        _ => None,
    }
}

/// The four frame types of AMQP 0-9-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    Method,
    Header,
    Body,
    Heartbeat,
}

/// Refuses a payload whose tables could nest deeper than [`MAX_NESTING`].
///
/// A nested table or array is a tag and a length that fits into the remaining bytes. The intervals that all such places span
/// bound the true depth from above, without knowing where a table begins; text never looks like one, because four
/// printable octets are a length far beyond any frame.
fn refuse_deep_nesting(payload: &[u8]) -> Result<(), Fault> {
    // Each opening counts up where its content begins and down where it ends.
    let mut steps: Vec<(usize, i32)> = Vec::new();
    for (at, window) in payload.windows(5).enumerate() {
        let [b'F' | b'A', length @ ..] = window else {
            continue;
        };
        let Ok(length) = length.try_into().map(u32::from_be_bytes) else {
            continue;
        };
        let end = at.saturating_add(5).saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
        if end <= payload.len() {
            steps.push((at, 1));
            steps.push((end, -1));
        }
    }
    if steps.len() <= MAX_NESTING {
        return Ok(());
    }
    steps.sort_unstable();
    let mut depth = 0i32;
    for (_, step) in steps {
        depth += step;
        if usize::try_from(depth).is_ok_and(|depth| depth > MAX_NESTING) {
            return Err(Fault::undecodable_properties());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use amq_protocol::types::{AMQPValue, FieldTable};

    use super::*;

    /// A property list with one header: arrays, one in another.
    fn nested(depth: usize) -> Vec<u8> {
        let mut value = b"V".to_vec();
        for _ in 0..depth {
            let length = u32::try_from(value.len()).expect("fits").to_be_bytes();
            value.splice(0..0, [&b"A"[..], &length].concat());
        }
        let length = u32::try_from(value.len() + 2).expect("fits").to_be_bytes();
        [&[0x20, 0][..], &length, b"\x01k", &value].concat()
    }

    fn header(properties: &[u8]) -> Vec<u8> {
        let mut payload = vec![0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
        payload.extend_from_slice(properties);
        payload
    }

    #[test]
    fn a_table_nests_as_deep_as_anyone_means_it_and_no_deeper() {
        assert!(decode_header(&header(&nested(MAX_NESTING))).is_ok());
        assert!(decode_header(&header(&nested(MAX_NESTING + 1))).is_err());
        assert!(decode_header(&header(&nested(20_000))).is_err());
    }

    #[test]
    fn many_tables_beside_each_other_are_not_deep() {
        let one = AMQPValue::FieldTable(FieldTable::default());
        let mut headers = FieldTable::default();
        headers.insert("x-death".into(), AMQPValue::FieldArray(vec![one; 1_000].into()));
        let properties = BasicProperties::default().with_headers(headers);
        let bytes = encode_properties(&properties).expect("encodes");
        let decoded = decode_header(&header(&bytes)).expect("decodes");
        assert_eq!(decoded.properties, properties);
        assert_eq!((decoded.body_size, decoded.wire), (7, bytes));
    }

    #[test]
    fn no_octets_make_the_decoder_panic() {
        // A small linear congruential generator: reproducible, and without a dependency.
        let mut state = 1u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        for round in 0..20_000usize {
            let mut payload: Vec<u8> = (0..round % 61).map(|_| next()).collect();
            if round % 2 == 0 {
                payload.splice(0..0, header(&[0x20, 0]));
            } else {
                payload.splice(0..0, [0, 50, 0, 10, 0, 0]);
            }
            let _ = decode_header(&payload);
            let _ = decode_method(&payload);
        }
    }
}
