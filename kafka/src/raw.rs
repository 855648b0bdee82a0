//! Headers as librdkafka holds them. The one place of this workspace with `unsafe`.
//!
//! rdkafka's own getter unwraps the UTF-8 of a header's name, so that one odd record would stop a consumer; and its headers can
//! neither be removed nor added under such a name.
//!
//! What is relied on throughout: a `&BorrowedHeaders` *is* a pointer to librdkafka's header list. rdkafka makes it so, from the
//! list of a message or of an `OwnedHeaders` that lives as long as the reference, and all its own methods rely on it.
#![allow(unsafe_code)]

use std::{
    ffi::{CStr, c_char, c_void},
    iter::FusedIterator,
    marker::PhantomData,
    ptr, slice,
};

use rdkafka::message::{BorrowedHeaders, OwnedHeaders};
use rdkafka_sys::{self as sys, rd_kafka_resp_err_t as RespErr};

/// One header, whatever its name and value are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawHeader<'a> {
    /// The name's bytes; UTF-8 if whoever wrote it kept to Kafka's rules. librdkafka ends it at the first zero byte.
    pub name: &'a [u8],
    /// The value; `None` for null, which is not the same as empty.
    pub value: Option<&'a [u8]>,
}

impl<'a> RawHeader<'a> {
    /// A header.
    #[must_use]
    pub fn new(name: &'a [u8], value: Option<&'a [u8]>) -> Self {
        Self { name, value }
    }
}

/// All headers in wire order, of which none makes it panic.
#[derive(Clone, Debug)]
pub struct RawHeaders<'a> {
    list: *const sys::rd_kafka_headers_t,
    next: usize,
    count: usize,
    lent: PhantomData<&'a BorrowedHeaders>,
}

// SAFETY: it stands for a `&'a BorrowedHeaders`, which is `Send` and `Sync`, and only reads.
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
        // SAFETY: `list` lives as long as 'a and nobody changes it meanwhile: that would need a `&mut OwnedHeaders`. The three
        // pointers are to locals. An index beyond the end is answered with an error.
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

/// Adds a header at the end, whatever its name is. Answers whether that was possible: librdkafka refuses only a list that it has
/// made read-only, which those of rdkafka never are.
pub(crate) fn append(headers: &mut OwnedHeaders, header: RawHeader<'_>) -> bool {
    let (Ok(name_size), Ok(value_size)) =
        (isize::try_from(header.name.len()), isize::try_from(header.value.map_or(0, <[u8]>::len)))
    else {
        return false;
    };
    let value = header.value.map_or(ptr::null(), |value| value.as_ptr().cast::<c_void>());
    // SAFETY: the list is live, and the exclusive borrow says that nobody else reads or changes it. librdkafka copies the bytes of
    // name and value, of which there are as many as it is told; without a value the pointer is null, as it expects.
    let error = unsafe {
        sys::rd_kafka_header_add(list_of(headers), header.name.as_ptr().cast::<c_char>(), name_size, value, value_size)
    };
    error == RespErr::RD_KAFKA_RESP_ERR_NO_ERROR
}

/// Removes every header of exactly that name.
pub(crate) fn remove(headers: &mut OwnedHeaders, name: &CStr) {
    // SAFETY: the list is live and borrowed exclusively; the name ends with a zero byte. That nothing has the name is no error to us.
    unsafe { sys::rd_kafka_header_remove(list_of(headers), name.as_ptr()) };
}

fn list_of(headers: &mut OwnedHeaders) -> *mut sys::rd_kafka_headers_t {
    ptr::from_ref(headers.as_borrowed()).cast_mut().cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_and_value_is_kept_and_shown() {
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
    fn a_list_without_headers_shows_none() {
        let headers = OwnedHeaders::new();
        let mut shown = RawHeaders::of(headers.as_borrowed());
        assert_eq!((shown.next(), shown.next(), shown.len()), (None, None, 0));
    }
}
