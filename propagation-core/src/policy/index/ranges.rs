//! Ranges of addresses. Two ranges are apart, or one is within the other.

use std::net::IpAddr;

use super::{NONE, Place};

/// Ranges with their places. The first one that has an address is found without trying the others.
#[derive(Clone, Debug)]
pub(super) struct RangeIndex {
    first: Place,
    v4: Vec<Range>,
    v6: Vec<Range>,
}

#[derive(Clone, Debug)]
struct Range {
    start: u128,
    last: u128,
    /// The smallest place of this range and of those around it.
    place: Place,
    /// The smallest range around it.
    parent: Option<usize>,
}

impl Default for RangeIndex {
    fn default() -> Self {
        Self { first: NONE, v4: Vec::new(), v6: Vec::new() }
    }
}

impl RangeIndex {
    pub(super) fn add(&mut self, network: IpAddr, bits: u8, place: Place) {
        self.first = self.first.min(place);
        let (ranges, address, width) = match network {
            IpAddr::V4(address) => (&mut self.v4, u128::from(u32::from(address)), 32_u32),
            IpAddr::V6(address) => (&mut self.v6, u128::from(address), 128),
        };
        // The bits that differ within the range.
        let free = width.saturating_sub(u32::from(bits));
        let mask = u128::MAX.checked_shl(free).map_or(u128::MAX, |network| !network);
        let (start, last) = (address & !mask, address | mask);
        ranges.push(Range { start, last, place, parent: None });
    }

    /// Sorts the ranges. Must be called after the last one was added.
    pub(super) fn finish(&mut self) {
        finish(&mut self.v4);
        finish(&mut self.v6);
    }

    pub(super) fn starts_before(&self, limit: Place) -> bool {
        self.first < limit
    }

    /// Returns the place of the first range before `limit` that has an address, or `limit`.
    pub(super) fn find_before(&self, limit: Place, address: IpAddr) -> Place {
        if self.first >= limit {
            return limit;
        }
        let (ranges, address) = match address.to_canonical() {
            IpAddr::V4(address) => (&self.v4, u128::from(u32::from(address))),
            IpAddr::V6(address) => (&self.v6, u128::from(address)),
        };
        let after = ranges.partition_point(|range| range.start <= address);
        let mut next = after.checked_sub(1);
        while let Some(range) = next.and_then(|at| ranges.get(at)) {
            if address <= range.last {
                return limit.min(range.place);
            }
            next = range.parent;
        }
        limit
    }
}

fn finish(ranges: &mut [Range]) {
    // A range comes after those around it.
    ranges.sort_by(|one, other| (one.start, other.last).cmp(&(other.start, one.last)));
    let mut around: Vec<(usize, u128, Place)> = Vec::new();
    for (at, range) in ranges.iter_mut().enumerate() {
        while around.last().is_some_and(|(_, last, _)| *last < range.last) {
            around.pop();
        }
        if let Some((parent, _, place)) = around.last() {
            range.parent = Some(*parent);
            range.place = range.place.min(*place);
        }
        around.push((at, range.last, range.place));
    }
}
