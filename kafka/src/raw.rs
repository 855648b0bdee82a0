//! Access to librdkafka's header list. The only module of this workspace with `unsafe`.
//!
//! rdkafka's own getter unwraps the UTF-8 of a header's name, so that one malformed record would stop a consumer. It can neither
//! add nor remove headers with such a name.
//!
//! Invariant: a `&BorrowedHeaders` *is* a pointer to librdkafka's header list. rdkafka creates it from the list of a message or of an
//! `OwnedHeaders` that lives as long as the reference, and all its own methods rely on it.
#![allow(unsafe_code)]

use std::{
    ffi::{CStr, c_char, c_void},
    iter::FusedIterator,
    marker::PhantomData,
    ptr, slice,
};

use rdkafka::message::{BorrowedHeaders, OwnedHeaders};
use rdkafka_sys::{self as sys, rd_kafka_resp_err_t as RespErr};

/// A header with any bytes as name and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawHeader<'a> {
    /// The bytes of the name: UTF-8 if the producer follows Kafka's rules. librdkafka ends it at the first zero byte.
    pub name: &'a [u8],
    /// The value, or `None` for null, which differs from empty.
    pub value: Option<&'a [u8]>,
}

impl<'a> RawHeader<'a> {
    /// Creates a header.
    #[must_use]
    pub fn new(name: &'a [u8], value: Option<&'a [u8]>) -> Self {
        Self { name, value }
    }
}

/// An iterator over all headers in wire order, that never panics.
#[derive(Clone, Debug)]
pub struct RawHeaders<'a> {
    list: *const sys::rd_kafka_headers_t,
    next: usize,
    count: usize,
    lent: PhantomData<&'a BorrowedHeaders>,
}

// SAFETY: it represents a `&'a BorrowedHeaders`, which is `Send` and `Sync`, and only reads.
unsafe impl Send for RawHeaders<'_> {}
// SAFETY: as above.
unsafe impl Sync for RawHeaders<'_> {}

impl<'a> RawHeaders<'a> {
    pub(crate) fn of(headers: &'a BorrowedHeaders) -> Self {
        let list = ptr::from_ref(headers).cast();
        // SAFETY: `list` is a live header list (see above); counting only reads it.
        let count = unsafe { sys::rd_kafka_header_cnt(list) };
        Self { list, next: 0, count, lent: PhantomData }
    }
}

impl<'a> Iterator for RawHeaders<'a> {
    type Item = RawHeader<'a>;

    fn next(&mut self) -> Option<RawHeader<'a>> {
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        // SAFETY: `list` lives as long as 'a and cannot change meanwhile, because that requires a `&mut OwnedHeaders`. The three
        // pointers are to locals. An index beyond the end returns an error.
        let error = unsafe { sys::rd_kafka_header_get_all(self.list, self.next, &mut name, &mut value, &mut size) };
        if error != RespErr::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
            self.next = self.count;
            return None;
        }
        self.next += 1;
        // SAFETY: librdkafka ends each name with a zero byte, and keeps name and value in the list, which lives as long as 'a.
        let name = unsafe { CStr::from_ptr(name) }.to_bytes();
        // SAFETY: a value that is not null has `size` bytes, kept in the list like the name.
        let value = (!value.is_null()).then(|| unsafe { slice::from_raw_parts(value.cast::<u8>(), size) });
        Some(RawHeader { name, value })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.count.saturating_sub(self.next);
        (left, Some(left))
    }
}

impl ExactSizeIterator for RawHeaders<'_> {}
impl FusedIterator for RawHeaders<'_> {}

/// Appends a header with any name. Returns `false` if librdkafka rejects it: only if the list is read-only, which rdkafka's
/// lists never are.
pub(crate) fn append(headers: &mut OwnedHeaders, header: RawHeader<'_>) -> bool {
    let (Ok(name_size), Ok(value_size)) =
        (isize::try_from(header.name.len()), isize::try_from(header.value.map_or(0, <[u8]>::len)))
    else {
        return false;
    };
    let value = header.value.map_or(ptr::null(), |value| value.as_ptr().cast::<c_void>());
    // SAFETY: the list is live and borrowed exclusively. librdkafka copies the bytes of name and value, whose lengths are passed with
    // them; without a value the pointer is null, as it expects.
    let error = unsafe {
        sys::rd_kafka_header_add(list_of(headers), header.name.as_ptr().cast::<c_char>(), name_size, value, value_size)
    };
    error == RespErr::RD_KAFKA_RESP_ERR_NO_ERROR
}

/// Removes all headers of exactly this name.
pub(crate) fn remove(headers: &mut OwnedHeaders, name: &CStr) {
    // SAFETY: the list is live and borrowed exclusively; the name ends with a zero byte. A name that is not found is no error here.
    unsafe { sys::rd_kafka_header_remove(list_of(headers), name.as_ptr()) };
}

fn list_of(headers: &mut OwnedHeaders) -> *mut sys::rd_kafka_headers_t {
    ptr::from_ref(headers.as_borrowed()).cast_mut().cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_and_value_survives_a_round_trip() {
        let mut headers = OwnedHeaders::new();
        let all = [
            RawHeader { name: b"plain", value: Some(b"1") },
            RawHeader { name: b"\xff\xfe", value: Some(b"\xff") },
            RawHeader { name: b"", value: Some(b"") },
            RawHeader { name: b"null", value: None },
            RawHeader { name: b"plain", value: Some(b"2") },
        ];
        assert!(all.iter().all(|header| append(&mut headers, *header)));
        assert_eq!(RawHeaders::of(headers.as_borrowed()).len(), all.len());
        assert!(RawHeaders::of(headers.as_borrowed()).eq(all));

        remove(&mut headers, c"plain");
        remove(&mut headers, c"absent");
        assert!(RawHeaders::of(headers.as_borrowed()).eq(all[1..4].iter().copied()));
    }

    #[test]
    fn empty_list_has_no_headers() {
        let headers = OwnedHeaders::new();
        let mut shown = RawHeaders::of(headers.as_borrowed());
        assert_eq!((shown.next(), shown.next(), shown.len()), (None, None, 0));
    }
}
