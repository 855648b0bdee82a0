//! Counts allocations, and the bytes that they hold.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
};

pub struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
/// Off, so that counting bytes costs nothing where instructions are counted.
static WEIGHS: AtomicBool = AtomicBool::new(false);
// May become negative: memory from before the measurement is freed.
static HELD: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);

pub fn allocations() -> u64 {
    ALLOCATIONS.load(Relaxed)
}

/// From now on bytes are counted, too.
pub fn weigh() {
    WEIGHS.store(true, Relaxed);
}

/// The most bytes held at once since [`begin_peak`].
pub fn peak() -> i64 {
    PEAK.load(Relaxed)
}

/// How many bytes are held now, from where the peak is taken.
pub fn begin_peak() -> i64 {
    let held = HELD.load(Relaxed);
    PEAK.store(held, Relaxed);
    held
}

fn grew(size: usize) {
    if WEIGHS.load(Relaxed) {
        let held = HELD.fetch_add(size as i64, Relaxed) + size as i64;
        PEAK.fetch_max(held, Relaxed);
    }
}

fn shrank(size: usize) {
    if WEIGHS.load(Relaxed) {
        HELD.fetch_sub(size as i64, Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        grew(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        shrank(layout.size());
        grew(size);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        shrank(layout.size());
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}
