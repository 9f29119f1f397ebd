//! The allocator of a component: a tenth of the standard one's code, and none
//! of its growth of memory for the first small allocation. A fresh instance
//! per call makes both count.
//!
//! Blocks come from size classes with a list of free blocks each. Freed blocks
//! are used again for their own class and never joined, so an instance that
//! lives long keeps at most the peak of every class; the rounding costs less
//! than a quarter of a large block.

use std::alloc::Layout;
use std::ptr::{null_mut, with_exposed_provenance_mut};

/// What every block is aligned to, and the step between small classes.
const STEP: usize = 16;

/// Up to here classes are a `STEP` apart, above there are four per doubling.
const SMALL: usize = 128;

/// 8 small ones, and four for each of the 24 doublings up to 2 GiB.
const CLASSES: usize = SMALL / STEP + 4 * 24;

/// A piece of memory from address to address.
pub(crate) type Region = (usize, usize);

pub(crate) struct Heap {
    /// What was never handed out: from here ...
    top: usize,
    /// ... to here.
    end: usize,
    /// The first free block of every class, 0 for none. A free block begins
    /// with the address of the next.
    free: [usize; CLASSES],
}

impl Heap {
    pub(crate) const fn new() -> Self {
        Heap {
            top: 0,
            end: 0,
            free: [0; CLASSES],
        }
    }

    /// A block, or null when there is no more memory. `more` is asked for a
    /// region of at least so many bytes, best one that starts where the last
    /// ended; 0 is the end of no region.
    ///
    /// # Safety
    ///
    /// The regions that `more` gives belong to this heap alone.
    pub(crate) unsafe fn allocate(
        &mut self,
        layout: Layout,
        more: impl FnOnce(usize, usize) -> Option<Region>,
    ) -> *mut u8 {
        let (class, size) = class_of(layout.size());
        // SAFETY: the list holds free blocks of this class.
        if let Some(block) = unsafe { self.take_free(class, layout.align()) } {
            return block;
        }
        match self.carve(size, layout.align().max(STEP), more) {
            Some(address) => with_exposed_provenance_mut(address),
            None => null_mut(),
        }
    }

    /// # Safety
    ///
    /// The block is from this heap, for this layout, and no longer used.
    pub(crate) unsafe fn release(&mut self, block: *mut u8, layout: Layout) {
        let (class, size) = class_of(layout.size());
        let address = block.expose_provenance();
        if address + size == self.top {
            self.top = address;
        } else if let Some(first) = self.free.get_mut(class) {
            // SAFETY: blocks have room for an address and are aligned for it.
            unsafe { *block.cast::<usize>() = *first };
            *first = address;
        }
    }

    /// Whether the block can hold so many bytes where it is; grows it if it
    /// is the last one.
    pub(crate) fn resize_in_place(&mut self, block: *mut u8, from: usize, to: usize) -> bool {
        let (_, old) = class_of(from);
        let (_, new) = class_of(to);
        let address = block.expose_provenance();
        if new != old && address + old == self.top && new <= self.end - address {
            self.top = address + new;
            return true;
        }
        new == old
    }

    /// Takes the first free block with this alignment, which is the first one
    /// for everything up to `STEP`.
    ///
    /// # Safety
    ///
    /// Nobody else uses the blocks in the list.
    unsafe fn take_free(&mut self, class: usize, align: usize) -> Option<*mut u8> {
        let mut link: *mut usize = self.free.get_mut(class)?;
        // SAFETY: a link is in `free` or at the start of a free block.
        unsafe {
            while *link != 0 {
                let block = with_exposed_provenance_mut::<usize>(*link);
                if block.addr().is_multiple_of(align) {
                    *link = *block;
                    return Some(block.cast());
                }
                link = block;
            }
        }
        None
    }

    fn carve(
        &mut self,
        size: usize,
        align: usize,
        more: impl FnOnce(usize, usize) -> Option<Region>,
    ) -> Option<usize> {
        if let Some(address) = self.fit(size, align) {
            return Some(address);
        }
        let (start, end) = more(size.checked_add(align)?, self.end)?;
        if start != self.end {
            self.top = start;
        }
        self.end = end;
        self.fit(size, align)
    }

    fn fit(&mut self, size: usize, align: usize) -> Option<usize> {
        let address = self.top.checked_next_multiple_of(align)?;
        let top = address.checked_add(size)?;
        if top > self.end {
            return None;
        }
        self.top = top;
        Some(address)
    }
}

/// The class of a size and the size of its blocks.
fn class_of(size: usize) -> (usize, usize) {
    if size <= SMALL {
        let index = size.max(1).div_ceil(STEP) - 1;
        return (index, (index + 1) * STEP);
    }
    // Four classes between 2^n and 2^(n+1): the two bits below the highest.
    let last = size - 1;
    let n = last.ilog2();
    let quarter = last >> (n - 2);
    let index = SMALL / STEP + 4 * (n - SMALL.ilog2()) as usize + (quarter - 4);
    (index, (quarter + 1) << (n - 2))
}

#[cfg(target_arch = "wasm32")]
mod global {
    //! The heap of the component: from where the linker's data ends, growing
    //! with the memory.

    use std::alloc::{GlobalAlloc, Layout};
    use std::arch::wasm32::{memory_grow, memory_size};
    use std::cell::UnsafeCell;
    use std::ptr::copy_nonoverlapping;

    use super::{Heap, Region};

    const PAGE: usize = 64 * 1024;

    struct Global(UnsafeCell<Heap>);

    // SAFETY: a component has one thread.
    unsafe impl Sync for Global {}

    #[global_allocator]
    static GLOBAL: Global = Global(UnsafeCell::new(Heap::new()));

    // SAFETY: blocks are distinct, as large and as aligned as asked for, and
    // nothing here calls back into the allocator while it holds the heap.
    unsafe impl GlobalAlloc for Global {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: one thread, no reentrance; `more` owns what it gives.
            unsafe { (*self.0.get()).allocate(layout, more) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: as above, and the caller's promise.
            unsafe { (*self.0.get()).release(block, layout) }
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            // SAFETY: as above; `size` is valid for this alignment by the
            // caller's promise, and both blocks hold the smaller of the sizes.
            unsafe {
                if (*self.0.get()).resize_in_place(block, layout.size(), size) {
                    return block;
                }
                let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
                if !moved.is_null() {
                    copy_nonoverlapping(block, moved, size.min(layout.size()));
                    self.dealloc(block, layout);
                }
                moved
            }
        }
    }

    /// First what the linker left over of the initial memory, then new pages.
    fn more(bytes: usize, last_end: usize) -> Option<Region> {
        unsafe extern "C" {
            static __heap_base: u8;
        }

        let start = match last_end {
            0 => (&raw const __heap_base).addr(),
            _ => memory_end()?,
        };
        let pages = bytes.saturating_sub(memory_end()? - start).div_ceil(PAGE);
        if pages > 0 && memory_grow::<0>(pages) == usize::MAX {
            return None;
        }
        Some((start, memory_end()?))
    }

    /// None for a full 4 GiB, whose end has no address.
    fn memory_end() -> Option<usize> {
        memory_size::<0>().checked_mul(PAGE)
    }
}

#[cfg(test)]
mod tests {
    use std::alloc::Layout;

    use super::{CLASSES, Heap, class_of};

    #[test]
    fn classes_follow_each_other_without_gaps() {
        let mut last = (0, 16);
        for size in 0..100_000 {
            let (class, block) = class_of(size);
            assert!(block >= size && block % 16 == 0, "{size}: {block}");
            assert!(size <= 128 || block * 4 <= size * 5, "{size}: {block}");
            let next = if size > last.1 { last.0 + 1 } else { last.0 };
            assert_eq!(class, next, "{size}");
            last = (class, block);
        }
        assert_eq!(class_of(i32::MAX as usize), (CLASSES - 1, 1 << 31));
    }

    /// Blocks carry their number in every byte; a block that overlaps another
    /// loses it.
    struct Block(*mut u8, Layout, u8);

    impl Block {
        fn fill(&self, from: usize) {
            // SAFETY: the block is that large.
            unsafe { self.0.add(from).write_bytes(self.2, self.1.size() - from) };
        }

        fn check(&self, size: usize) {
            // SAFETY: the block is that large and was filled.
            let bytes = unsafe { std::slice::from_raw_parts(self.0, size) };
            assert!(bytes.iter().all(|byte| *byte == self.2));
            assert_eq!(self.0.addr() % self.1.align(), 0);
        }
    }

    #[test]
    fn blocks_never_overlap_and_are_used_again() {
        let mut memory = vec![0u8; 4 << 20];
        let begin = memory.as_mut_ptr().expose_provenance();
        let mut given = begin;
        let mut heap = Heap::new();
        let mut blocks: Vec<Block> = Vec::new();
        let mut random = 1u32;
        for round in 0..200_000u32 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let dice = random >> 8;
            let size = 1 + (dice as usize >> 4) % [16, 200, 5_000][dice as usize % 3];
            if blocks.len() < 60 {
                let align = [1, 8, 16, 64][dice as usize % 4];
                let layout = Layout::from_size_align(size, align).expect("a small layout");
                let more = |bytes: usize, _| {
                    let start = given;
                    given += bytes.next_multiple_of(4096);
                    (given <= begin + (4 << 20)).then_some((start, given))
                };
                // SAFETY: every region is given once.
                let block = unsafe { heap.allocate(layout, more) };
                assert!(!block.is_null(), "round {round}: memory is not used again");
                blocks.push(Block(block, layout, round as u8));
                blocks.last().expect("just pushed").fill(0);
            } else {
                let index = dice as usize % blocks.len();
                let Block(block, layout, _) = blocks[index];
                if heap.resize_in_place(block, layout.size(), size) {
                    let kept = layout.size().min(size);
                    blocks[index].check(kept);
                    blocks[index].1 = Layout::from_size_align(size, layout.align()).expect("small");
                    blocks[index].fill(kept);
                } else {
                    blocks[index].check(layout.size());
                    // SAFETY: the block leaves the list of those in use.
                    unsafe { heap.release(block, layout) };
                    blocks.swap_remove(index);
                }
            }
        }
    }
}
