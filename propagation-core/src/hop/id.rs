use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
};

/// Identifies one hop within the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HopId(u64);

/// The ids that a thread takes from the shared counter at once.
const BLOCK: u64 = 1024;

impl HopId {
    /// Returns an id that no other hop of the process has.
    pub(crate) fn next() -> Self {
        static NEXT_BLOCK: AtomicU64 = AtomicU64::new(1);
        thread_local! {
            /// The next id of this thread's block, and the end of the block. Without a destructor: readable to the end.
            static IDS: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
        }
        let (mut next, mut end) = IDS.get();
        if next == end {
            next = NEXT_BLOCK.fetch_add(BLOCK, Ordering::Relaxed);
            end = next.wrapping_add(BLOCK);
        }
        IDS.set((next.wrapping_add(1), end));
        Self(next)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use super::*;

    #[test]
    fn hop_ids_are_unique_across_threads() {
        let take = || (0..BLOCK + BLOCK / 2).map(|_| HopId::next()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| thread::spawn(take)).collect();
        let ids: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    }
}
