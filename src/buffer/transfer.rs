//! Moving chains between buffers, and showing one buffer's chains in another.

use super::chain::{ChainPtr, flag};
use super::chains::{Chains, Detached, Run};
use super::{End, Evbuffer, Guard, Refused, file};
use crate::warning_with_errno;

impl Guard {
    /// Refuses when data cannot go from `self`'s front to `target`'s end.
    fn check_move(&self, target: &Guard, target_end: End) -> Result<(), Refused> {
        target.check_frozen(target_end)?;
        self.check_frozen(End::Front)?;
        target.check_total(self.length.get())
    }

    /// Moves all data to the end of `target`. The buffers differ.
    #[inline(always)]
    pub fn move_all_to(&self, target: &Guard) -> Result<(), Refused> {
        if self.move_only_chain(target) {
            self.notify();
            target.notify();
            return Ok(());
        }
        self.move_chains_to(target)
    }

    /// The most frequent move: a single chain with data goes into a buffer without chains. Returns
    /// whether this was the case and is allowed; the move is then done, except for the
    /// notification.
    #[inline(always)]
    fn move_only_chain(&self, target: &Guard) -> bool {
        let chain = self.only_chain_for(target);
        if let Some(chain) = chain {
            self.hand_over(chain, self.length.get(), target);
        }
        chain.is_some()
    }

    /// The chain, if it is the only one, has data, and may go into the other buffer, which has none.
    #[inline(always)]
    fn only_chain_for(&self, target: &Guard) -> Option<ChainPtr> {
        let chain = self.first.get();
        let single = chain == self.last.get() && self.length.get() > 0;
        let frozen = self.front_frozen.get() || target.back_frozen.get();
        let fits = single && !frozen && target.first.get().is_none();
        chain.filter(|chain| fits && !chain.is(flag::PINNED_FOR_READ))
    }

    /// Moves the only chain, of which the buffer has counted this many bytes, into a buffer without
    /// chains.
    #[inline(always)]
    fn hand_over(&self, chain: ChainPtr, counted: usize, target: &Guard) {
        self.forget_chains();
        self.count_deleted(counted);
        // The slot of the last chain with data is that of the first already.
        target.first.set(Some(chain));
        target.last.set(Some(chain));
        target.count_added(chain.length.get());
    }

    /// [`Guard::move_all_behind`] for the case that the data is in a single chain with room for the
    /// prefix, and goes into a buffer without chains. Returns whether this was the case; the move
    /// is then done.
    pub fn move_only_chain_behind(&self, prefix: &[u8], target: &Guard) -> bool {
        let only = self.only_chain_for(target);
        let Some(chain) = only.filter(|chain| chain.can_be_prefixed(prefix.len())) else {
            return false;
        };
        let counted = self.length.get();
        // SAFETY: so it was asked; the prefix is the caller's.
        unsafe { chain.put_in_front(prefix) };
        self.hand_over(chain, counted, target);
        self.notify();
        target.notify();
        true
    }

    /// [`Guard::move_all_to`] for all cases.
    #[inline(never)]
    fn move_chains_to(&self, target: &Guard) -> Result<(), Refused> {
        if self.length.get() == 0 {
            return Ok(());
        }
        self.check_move(target, End::Back)?;
        let detached = self.splice_to(target)?;
        detached.release();
        self.notify();
        target.notify();
        Ok(())
    }

    fn splice_to(&self, target: &Guard) -> Result<Detached, Refused> {
        let Some(run) = self.take_run()? else {
            return Ok(Detached::NONE);
        };
        self.count_deleted(run.length());
        Ok(target.append_moved(run))
    }

    /// Appends `prefix` to `target` and moves all data after it, or does nothing. The buffers
    /// differ.
    pub fn move_all_behind(&self, prefix: &[u8], target: &Guard) -> Result<(), Refused> {
        target.check_frozen(End::Back)?;
        target.check_total(self.length.get() + prefix.len())?;
        if self.length.get() > 0 {
            self.check_frozen(End::Front)?;
        }
        let swept = target.make_room(prefix.len(), 2)?;
        let taken = match self.length.get() {
            0 => Ok(None),
            _ => self.take_run(),
        };
        let run = match taken {
            Ok(run) => run,
            Err(refused) => {
                swept.release();
                return Err(refused.into());
            }
        };
        // SAFETY: room for the prefix was made, and it is readable.
        unsafe { target.fill(prefix.as_ptr(), prefix.len()) };
        let swept_too = run.map_or(Detached::NONE, |run| {
            self.count_deleted(run.length());
            target.append_run(run)
        });
        swept.and(swept_too).release();
        self.notify();
        target.notify();
        Ok(())
    }

    /// Moves all data to the front of `target`. The buffers differ.
    pub fn move_all_before(&self, target: &Guard) -> Result<(), Refused> {
        if self.length.get() == 0 {
            return Ok(());
        }
        self.check_move(target, End::Front)?;
        if let Some(run) = self.take_run()? {
            self.count_deleted(run.length());
            target.prepend_run(run);
        }
        self.notify();
        target.notify();
        Ok(())
    }

    /// Moves up to `count` bytes from the front to the end of `target`: whole chains where
    /// possible, the rest by copying. Returns how many. The buffers differ.
    pub fn move_to(&self, target: &Guard, count: usize) -> Result<usize, Refused> {
        if count == 0 {
            return Ok(0);
        }
        target.check_frozen(End::Back)?;
        self.check_frozen(End::Front)?;
        let total = self.length.get();
        if count >= total {
            self.move_all_to(target)?;
            return Ok(total);
        }
        target.check_total(count)?;
        if !self.copy_part_of_first(target, count)? {
            return self.move_chains_and_part(target, count);
        }
        target.notify();
        self.notify();
        Ok(count)
    }

    /// If the first chain holds more than these bytes, copies them to the end of `target` and
    /// removes them. Returns whether this was the case. Parts of files are not copied.
    #[inline]
    fn copy_part_of_first(&self, target: &Guard, count: usize) -> Result<bool, Refused> {
        let first = self.first.get();
        let plain = |first: &ChainPtr| first.length.get() > count && !first.is(flag::FILE_SEGMENT);
        let Some(first) = first.filter(plain) else {
            return Ok(false);
        };
        // SAFETY: the chain holds `count` bytes in memory, in another buffer.
        let swept = unsafe { target.store(first.start(), count) }?;
        first.advance(count);
        self.count_deleted(count);
        swept.release();
        Ok(true)
    }

    /// [`Guard::move_to`] for bytes that end in another chain, or in a part of a file.
    #[inline(never)]
    fn move_chains_and_part(&self, target: &Guard, count: usize) -> Result<usize, Refused> {
        let (whole, swept) = self.move_leading_chains(target, count);
        let (moved, drained) = match self.move_part_of_chain(target, count - whole) {
            Ok(drained) => (count, drained),
            Err(refused) if whole == 0 => return Err(refused),
            Err(_) => (whole, Detached::NONE),
        };
        swept.release();
        drained.release();
        target.notify();
        self.notify();
        Ok(moved)
    }

    /// Moves the chains that lie wholly within the first `count` bytes. Returns how many bytes,
    /// and the chains that `target` no longer needs.
    fn move_leading_chains(&self, target: &Guard, count: usize) -> (usize, Detached) {
        let mut run: Option<Run> = None;
        let mut left = count;
        while let Some(chain) = self.first.get() {
            if chain.length.get() > left || chain.is(flag::PINNED) || left == 0 {
                break;
            }
            left -= chain.length.get();
            self.pop_first();
            match &mut run {
                Some(run) => run.push(chain),
                None => run = Some(Run::of(chain)),
            }
        }
        let moved = count - left;
        self.count_deleted(moved);
        let swept = run.map_or(Detached::NONE, |run| target.append_moved(run));
        (moved, swept)
    }

    /// Moves bytes that end inside the first chain with data: a part of a file stays a part of
    /// the file, anything else is copied. Returns the chains that neither buffer needs any more.
    fn move_part_of_chain(&self, target: &Guard, count: usize) -> Result<Detached, Refused> {
        if count == 0 {
            return Ok(Detached::NONE);
        }
        let source = self.chains().find(|chain| chain.length.get() > 0);
        let Some(source) = source else {
            return Err(Refused::Range);
        };
        let detached = if source.is(flag::FILE_SEGMENT) && count <= source.length.get() {
            target.append_run(Run::of(file::share(source, count)?))
        } else {
            self.copy_front(target, count)?
        };
        Ok(detached.and(self.discard(count)))
    }

    fn copy_front(&self, target: &Guard, count: usize) -> Result<Detached, Refused> {
        let single = self.chains().find(|chain| chain.length.get() > 0);
        if let Some(chain) = single.filter(|chain| chain.length.get() >= count) {
            file::load(chain)?;
            // SAFETY: the chain holds `count` bytes in memory, in another buffer.
            return unsafe { target.store(chain.start(), count) };
        }
        // Only pinned chains, which cannot be moved, get here with more than one chain.
        let copy = ChainPtr::allocate(count)?;
        // SAFETY: the new chain has room, and the bytes are there.
        let copied = unsafe { Evbuffer::copy_from(self.first.get(), 0, copy.start(), count) };
        if let Err(refused) = copied {
            copy.release();
            return Err(refused);
        }
        copy.length.set(count);
        Ok(target.append_run(Run::of(copy)))
    }

    /// Appends a view of every chain of `source` that has data. The buffers differ.
    pub fn append_views(&self, source: &Guard) -> Result<(), Refused> {
        if source.length.get() == 0 {
            return Ok(());
        }
        self.check_frozen(End::Back)?;
        self.check_total(source.length.get())?;
        let unsuitable = flag::FILE_SEGMENT | flag::SENDFILE | flag::VIEW;
        if source.chains().any(|chain| chain.is(unsuitable)) {
            return Err(Refused::Unsuitable);
        }
        if let Some(views) = views_of(source.chains())? {
            self.append_run(views).release();
        }
        self.notify();
        Ok(())
    }
}

/// Views of the chains with data; none at all when memory runs out half-way.
fn views_of(chains: Chains) -> Result<Option<Run>, Refused> {
    let mut views: Option<Run> = None;
    for chain in chains.filter(|chain| chain.length.get() > 0) {
        let view = match chain.view() {
            Ok(view) => view,
            Err(error) => {
                warning_with_errno!("evbuffer_add_buffer_reference: out of memory");
                if let Some(views) = views {
                    views.discard();
                }
                return Err(error.into());
            }
        };
        match &mut views {
            Some(views) => views.push(view),
            None => views = Some(Run::of(view)),
        }
    }
    Ok(views)
}
